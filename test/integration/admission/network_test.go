package admission_test

import (
	"fmt"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/types"

	. "github.com/hipaatenant/hipaa-tenant-operator/test/policytest"
)

// netpol is a NetworkPolicy of the tenant's own; rules are YAML in flow style.
func netpol(rules string) string { return netpolNamed("own", rules) }

func netpolNamed(name, rules string) string {
	return fmt.Sprintf("{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: %s}, spec: {podSelector: {}%s}}", name, more(rules))
}

func fromBlock(cidr string) string { return "ingress: [{from: [{ipBlock: {cidr: \"" + cidr + "\"}}]}]" }

func toBlock(cidr, ports string) string {
	return "egress: [{to: [{ipBlock: {cidr: \"" + cidr + "\"}}]" + more(ports) + "}]"
}

func fromNamespaces(selector string) string {
	return "ingress: [{from: [{namespaceSelector: " + selector + "}]}]"
}

const https = "ports: [{port: 443}]"

var aPolicy = &networkingv1.NetworkPolicy{ObjectMeta: named("own")}

var ingressRows = []Row{
	{Name: "ingress from a part of the allowlist", Do: Create(netpol(fromBlock("203.0.113.128/25"))), Want: Allowed()},
	{Name: "ingress from a whole entry of the allowlist", Do: Create(netpol(fromBlock("203.0.113.0/24"))), Want: Allowed()},
	{Name: "ingress from a part of the allowlist, IPv6", Do: Create(netpol(fromBlock("2001:db8:12:7::/64"))), Want: Allowed()},
	{Name: "ingress from a part of the allowlist but a host", Do: Create(netpol(`ingress: [{from: [{ipBlock: {cidr: 203.0.113.0/24, except: [203.0.113.7/32]}}]}]`)), Want: Allowed()},
	{Name: "ingress from everybody, no from", Do: Create(netpol("ingress: [{}]")), Want: Refused("network", "an ingress rule without from lets everybody in")},
	{Name: "ingress from everybody, empty from", Do: Create(netpol("ingress: [{from: [], ports: [{port: 80}]}]")), Want: Refused("network", "an ingress rule without from")},
	{Name: "ingress from everybody, second rule", Do: Create(netpol("ingress: [{from: [{podSelector: {}}]}, {ports: [{port: 80}]}]")), Want: Refused("network", "an ingress rule without from")},
	{Name: "ingress from everybody, 0.0.0.0/0", Do: Create(netpol(fromBlock("0.0.0.0/0"))),
		Want: Refused("network", "ingress ipBlock 0.0.0.0/0 is not inside 203.0.113.0/24,2001:db8:12::/48 allowed to tenant acme-health", "change spec.ipAllowlist of HIPAATenant acme-health")},
	{Name: "ingress from everybody, ::/0", Do: Create(netpol(fromBlock("::/0"))), Want: Refused("network", "ingress ipBlock ::/0 is not inside")},
	{Name: "ingress from nearly everybody, by except", Do: Create(netpol(`ingress: [{from: [{ipBlock: {cidr: 0.0.0.0/0, except: [10.0.0.0/8]}}]}]`)), Want: Refused("network", "ingress ipBlock 0.0.0.0/0", "except does not count")},
	{Name: "ingress from the allowlist, spelled as 0.0.0.0/0 with exceptions", Do: Create(netpol(`ingress: [{from: [{ipBlock: {cidr: 0.0.0.0/0, except: [0.0.0.0/1, 128.0.0.0/2]}}]}]`)),
		Want: Refused("network", "except does not count")},
	{Name: "ingress from a network around the allowlist", Do: Create(netpol(fromBlock("203.0.112.0/23"))), Want: Refused("network", "ingress ipBlock 203.0.112.0/23")},
	{Name: "ingress from a network beside the allowlist", Do: Create(netpol(fromBlock("203.0.114.0/24"))), Want: Refused("network", "ingress ipBlock 203.0.114.0/24")},
	{Name: "ingress, one block of two outside", Do: Create(netpol(`ingress: [{from: [{ipBlock: {cidr: 203.0.113.0/24}}, {ipBlock: {cidr: 192.0.2.0/24}}, {ipBlock: {cidr: 8.8.8.0/24}}]}]`)),
		Want: Refused("network", "ingress ipBlock 192.0.2.0/24 (and 1 more) is not inside")},
	{Name: "ingress, allowlist empty", Facts: map[string]string{"hipaatenant.dev/ip-allowlist": ""}, Do: Create(netpol(fromBlock("203.0.113.0/24"))), Want: Refused("network", "ingress ipBlock 203.0.113.0/24 is not inside anything")},
	{Name: "ingress, allowlist missing", Facts: map[string]string{"hipaatenant.dev/ip-allowlist": Without}, Do: Create(netpol("")), Want: Refused("network", "has no annotation hipaatenant.dev/ip-allowlist")},
	{Name: "ingress, allowlist spoilt", Facts: map[string]string{"hipaatenant.dev/ip-allowlist": "everywhere"}, Do: Create(netpol(fromBlock("203.0.113.0/24"))), Want: Refused("network")},
	{Name: "ingress from everybody", As: Admin, Do: Create(netpol(fromBlock("0.0.0.0/0"))), Want: Refused("network", "ingress ipBlock 0.0.0.0/0")},
	{Name: "ingress from everybody", As: Application, Do: Create(netpol(fromBlock("0.0.0.0/0"))), Want: Refused("network", "ingress ipBlock 0.0.0.0/0")},
	{Name: "ingress from everybody, dry run", Do: DryRun(netpol("ingress: [{}]")), Want: Refused("network", "an ingress rule without from")},
	{Name: "ingress from everybody, server-side apply", Do: Apply(netpol("ingress: [{}]")), Want: Refused("network", "an ingress rule without from")},
	{Name: "ingress from everybody", As: Operator, Do: Create(netpol("ingress: [{}]")), Want: Allowed()},
	{Name: "own policy widened", Given: []Request{Create(netpol(fromBlock("203.0.113.0/24")))}, Do: Apply(netpol(fromBlock("0.0.0.0/0"))), Want: Refused("network", "ingress ipBlock 0.0.0.0/0")},
	{Name: "own policy widened by a JSON patch", Given: []Request{Create(netpol(fromBlock("203.0.113.0/24")))},
		Do: Patch(aPolicy, types.JSONPatchType, `[{"op":"remove","path":"/spec/ingress/0/from"}]`), Want: Refused("network", "an ingress rule without from")},
	{Name: "own policy narrowed", Given: []Request{Create(netpol(fromBlock("203.0.113.0/24")))}, Do: Apply(netpol(fromBlock("203.0.113.0/28"))), Want: Allowed()},
	{Name: "own policy deleted", Given: []Request{Create(netpol(fromBlock("203.0.113.0/24")))}, Do: Delete(aPolicy), Want: Allowed()},
	{Name: "label of a policy that is wider than the facts by now", Given: []Request{Create(netpol("ingress: [{}]"))}, Do: Patch(aPolicy, types.MergePatchType, `{"metadata":{"labels":{"a":"b"}}}`), Want: Allowed()},
	{Name: "deny-all of the tenant's own", Do: Create(netpol("policyTypes: [Ingress, Egress]")), Want: Allowed()},
}

var selectorRows = []Row{
	{Name: "ingress from pods of the namespace", Do: Create(netpol("ingress: [{from: [{podSelector: {matchLabels: {app: web}}}]}]")), Want: Allowed()},
	{Name: "ingress from all namespaces", Do: Create(netpol(fromNamespaces("{}"))),
		Want: Refused("network", "a namespaceSelector may select namespaces of other tenants; leave it out, or give it matchLabels hipaatenant.dev/tenant: acme-health")},
	{Name: "ingress from the tenant's namespaces", Do: Create(netpol(fromNamespaces("{matchLabels: {hipaatenant.dev/tenant: acme-health}}"))), Want: Allowed()},
	{Name: "ingress from one namespace of the tenant's", Do: Create(netpol(fromNamespaces("{matchLabels: {hipaatenant.dev/tenant: acme-health, kubernetes.io/metadata.name: acme-data}}"))), Want: Allowed()},
	{Name: "ingress from the own namespace, by name", Do: Create(netpol(fromNamespaces("{matchLabels: {kubernetes.io/metadata.name: NAMESPACE}}"))), Want: Allowed()},
	{Name: "ingress from another tenant", Do: Create(netpol(fromNamespaces("{matchLabels: {hipaatenant.dev/tenant: other-clinic}}"))), Want: Refused("network", "a namespaceSelector may select")},
	{Name: "ingress from every tenant", Do: Create(netpol(fromNamespaces("{matchExpressions: [{key: hipaatenant.dev/tenant, operator: Exists}]}"))), Want: Refused("network", "a namespaceSelector may select")},
	{Name: "ingress from this tenant or another", Do: Create(netpol(fromNamespaces("{matchExpressions: [{key: hipaatenant.dev/tenant, operator: In, values: [acme-health, other-clinic]}]}"))), Want: Refused("network", "a namespaceSelector may select")},
	{Name: "ingress from another namespace, by name", Do: Create(netpol(fromNamespaces("{matchLabels: {kubernetes.io/metadata.name: kube-system}}"))), Want: Refused("network", "a namespaceSelector may select")},
	{Name: "ingress from namespaces by a label anybody can set", Do: Create(netpol(fromNamespaces("{matchLabels: {team: blue}}"))), Want: Refused("network", "a namespaceSelector may select")},
	{Name: "ingress from another namespace's pods", Do: Create(netpol("ingress: [{from: [{namespaceSelector: {matchLabels: {team: blue}}, podSelector: {matchLabels: {app: web}}}]}]")), Want: Refused("network", "a namespaceSelector may select")},
	{Name: "egress to all namespaces", Do: Create(netpol("egress: [{to: [{namespaceSelector: {}}]}]")), Want: Refused("network", "a namespaceSelector may select")},
	{Name: "egress to the tenant's namespaces", Do: Create(netpol("egress: [{to: [{namespaceSelector: {matchLabels: {hipaatenant.dev/tenant: acme-health}}}]}]")), Want: Allowed()},
}

var egressRows = []Row{
	{Name: "egress to a part of an associate's network", Do: Create(netpol(toBlock("198.51.100.16/28", https))), Want: Allowed()},
	{Name: "egress to everybody, no to", Do: Create(netpol("egress: [{}]")), Want: Refused("network", "an egress rule without to lets pods reach everybody")},
	{Name: "egress to everybody on a port", Do: Create(netpol("egress: [{ports: [{port: 443}]}]")), Want: Refused("network", "an egress rule without to")},
	{Name: "egress to everybody, 0.0.0.0/0", Do: Create(netpol(toBlock("0.0.0.0/0", https))),
		Want: Refused("network", "egress ipBlock 0.0.0.0/0 is not inside 198.51.100.0/24 allowed to tenant acme-health", "change spec.businessAssociates of HIPAATenant acme-health")},
	{Name: "egress to everybody but, by except", Do: Create(netpol("egress: [{to: [{ipBlock: {cidr: 0.0.0.0/0, except: [10.0.0.0/8]}}], ports: [{port: 443}]}]")), Want: Refused("network", "egress ipBlock 0.0.0.0/0")},
	{Name: "egress to the metadata service", Do: Create(netpol(toBlock("169.254.169.254/32", "ports: [{port: 80}]"))), Want: Refused("network", "egress ipBlock 169.254.169.254/32")},
	{Name: "egress, nothing may be reached", Facts: map[string]string{"hipaatenant.dev/egress": ""}, Do: Create(netpol(toBlock("198.51.100.16/28", https))), Want: Refused("network", "egress ipBlock 198.51.100.16/28 is not inside anything")},
	{Name: "egress, fact missing", Facts: map[string]string{"hipaatenant.dev/egress": Without}, Do: Create(netpol("")), Want: Refused("network", "has no annotation hipaatenant.dev/egress")},
	{Name: "egress inside the allowlist of ingress", Do: Create(netpol(toBlock("203.0.113.0/24", https))), Want: Refused("network", "egress ipBlock 203.0.113.0/24")},
	{Name: "egress to a disabled port", Do: Create(netpol(toBlock("198.51.100.16/28", "ports: [{port: 2775}]"))),
		Want: Refused("network", "an egress rule opens one of the ports TCP/2775,UDP/5060 of channels disabled for tenant acme-health")},
	{Name: "egress to a disabled port, second of two", Do: Create(netpol(toBlock("198.51.100.16/28", "ports: [{port: 443}, {port: 5060, protocol: UDP}]"))), Want: Refused("network", "opens one of the ports")},
	{Name: "egress to a disabled port, in a range", Do: Create(netpol(toBlock("198.51.100.16/28", "ports: [{port: 2000, endPort: 3000}]"))), Want: Refused("network", "opens one of the ports")},
	{Name: "egress to a disabled port of pods", Do: Create(netpol("egress: [{to: [{podSelector: {}}], ports: [{port: 2775}]}]")), Want: Refused("network", "opens one of the ports")},
	{Name: "egress to the number of a disabled port, other protocol", Do: Create(netpol(toBlock("198.51.100.16/28", "ports: [{port: 2775, protocol: UDP}]"))), Want: Allowed()},
	{Name: "egress to a range beside the disabled port", Do: Create(netpol(toBlock("198.51.100.16/28", "ports: [{port: 2776, endPort: 3000}]"))), Want: Allowed()},
	{Name: "egress to all ports", Do: Create(netpol(toBlock("198.51.100.16/28", ""))), Want: Refused("network", "opens ports it does not name by number", "list the ports you need by number")},
	{Name: "egress to all TCP ports", Do: Create(netpol(toBlock("198.51.100.16/28", "ports: [{protocol: TCP}]"))), Want: Refused("network", "does not name by number")},
	{Name: "egress to all SCTP ports, none of which is disabled", Do: Create(netpol(toBlock("198.51.100.16/28", "ports: [{protocol: SCTP}]"))), Want: Allowed()},
	{Name: "egress to a port by name", Do: Create(netpol(toBlock("198.51.100.16/28", "ports: [{port: smpp}]"))), Want: Refused("network", "does not name by number")},
	{Name: "egress to all ports, none is disabled", Facts: map[string]string{"hipaatenant.dev/disabled-ports": ""}, Do: Create(netpol(toBlock("198.51.100.16/28", ""))), Want: Allowed()},
	{Name: "egress, fact about ports missing", Facts: map[string]string{"hipaatenant.dev/disabled-ports": Without}, Do: Create(netpol("")), Want: Refused("network", "has no annotation hipaatenant.dev/disabled-ports")},
	{Name: "egress to all ports of own pods", Do: Create(netpol("egress: [{to: [{podSelector: {}}]}]")), Want: Allowed()},
	{Name: "egress to a port of own pods by name", Do: Create(netpol("egress: [{to: [{podSelector: {}}], ports: [{port: web}]}]")), Want: Allowed()},
}

// The largest policies that can be asked about: 64 entries in the allowlist, 64 blocks in each direction, each of which
// has to be compared with all 64 entries. They must be decided, not run into the cost limit of CEL.
const most = 64

func networks(count int, format string) string {
	list := make([]string, count)
	for i := range list {
		list[i] = fmt.Sprintf(format, i)
	}
	return strings.Join(list, ",")
}

// largest is a policy with 64 blocks in each direction. Those blocks lie in the last entries, or in none.
func largest(format string) string {
	var peers []string
	for _, cidr := range strings.Split(networks(most, format), ",") {
		peers = append(peers, fmt.Sprintf("{ipBlock: {cidr: %q}}", cidr))
	}
	list := "[" + strings.Join(peers, ", ") + "]"
	return netpol("ingress: [{from: " + list + "}], egress: [{to: " + list + ", ports: [{port: 443}]}]")
}

func lists(format string) map[string]string {
	list := networks(most, format)
	return map[string]string{"hipaatenant.dev/ip-allowlist": list, "hipaatenant.dev/egress": list}
}

var largestRows = []Row{
	{Name: "64 blocks in the last of 64 networks, IPv4", Facts: lists("10.%d.0.0/16"), Do: Create(largest("10.63.%d.0/24")), Want: Allowed()},
	{Name: "64 blocks in the last of 64 networks, IPv6", Facts: lists("2001:db8:1%02x::/48"), Do: Create(largest("2001:db8:13f:1234:5678:9abc:def0:%x/128")), Want: Allowed()},
	{Name: "64 blocks in none of 64 networks, IPv4", Facts: lists("10.%d.0.0/16"), Do: Create(largest("10.64.%d.0/24")), Want: Refused("network", "ingress ipBlock 10.64.0.0/24 (and 63 more) is not inside 10.0.0.0/16,10.1.0.0/16")},
	{Name: "64 blocks in none of 64 networks, IPv6", Facts: lists("2001:db8:1%02x::/48"), Do: Create(largest("2001:db8:140:1234:5678:9abc:def0:%x/128")), Want: Refused("network", "(and 63 more) is not inside 2001:db8:100::/48,2001:db8:101::/48")},
}

var networkTable = Table{Policy: "network", Rows: concat(ingressRows, selectorRows, egressRows, largestRows)}

var _ = networkTable.Specs(environment)
