package admission_test

import (
	"fmt"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	pt "github.com/hipaatenant/hipaa-tenant-operator/test/policytest"
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

var ingressRows = []pt.Row{
	{Name: "ingress from a part of the allowlist", Do: pt.Create(netpol(fromBlock("203.0.113.128/25"))), Want: pt.Allowed()},
	{Name: "ingress from a whole entry of the allowlist", Do: pt.Create(netpol(fromBlock("203.0.113.0/24"))), Want: pt.Allowed()},
	{Name: "ingress from a part of the allowlist, IPv6", Do: pt.Create(netpol(fromBlock("2001:db8:12:7::/64"))), Want: pt.Allowed()},
	{Name: "ingress from a part of the allowlist but a host", Do: pt.Create(netpol(`ingress: [{from: [{ipBlock: {cidr: 203.0.113.0/24, except: [203.0.113.7/32]}}]}]`)), Want: pt.Allowed()},
	{Name: "ingress from everybody, no from", Do: pt.Create(netpol("ingress: [{}]")), Want: pt.Refused("network", "an ingress rule without from lets everybody in")},
	{Name: "ingress from everybody, empty from", Do: pt.Create(netpol("ingress: [{from: [], ports: [{port: 80}]}]")), Want: pt.Refused("network", "an ingress rule without from")},
	{Name: "ingress from everybody, second rule", Do: pt.Create(netpol("ingress: [{from: [{podSelector: {}}]}, {ports: [{port: 80}]}]")), Want: pt.Refused("network", "an ingress rule without from")},
	{Name: "ingress from everybody, 0.0.0.0/0", Do: pt.Create(netpol(fromBlock("0.0.0.0/0"))),
		Want: pt.Refused("network", "ingress ipBlock 0.0.0.0/0 is not inside 203.0.113.0/24,2001:db8:12::/48 allowed to tenant acme-health", "change spec.ipAllowlist of HIPAATenant acme-health")},
	{Name: "ingress from everybody, ::/0", Do: pt.Create(netpol(fromBlock("::/0"))), Want: pt.Refused("network", "ingress ipBlock ::/0 is not inside")},
	{Name: "ingress from nearly everybody, by except", Do: pt.Create(netpol(`ingress: [{from: [{ipBlock: {cidr: 0.0.0.0/0, except: [10.0.0.0/8]}}]}]`)), Want: pt.Refused("network", "ingress ipBlock 0.0.0.0/0", "except does not count")},
	{Name: "ingress from the allowlist, spelled as 0.0.0.0/0 with exceptions", Do: pt.Create(netpol(`ingress: [{from: [{ipBlock: {cidr: 0.0.0.0/0, except: [0.0.0.0/1, 128.0.0.0/2]}}]}]`)),
		Want: pt.Refused("network", "except does not count")},
	{Name: "ingress from a network around the allowlist", Do: pt.Create(netpol(fromBlock("203.0.112.0/23"))), Want: pt.Refused("network", "ingress ipBlock 203.0.112.0/23")},
	{Name: "ingress from a network beside the allowlist", Do: pt.Create(netpol(fromBlock("203.0.114.0/24"))), Want: pt.Refused("network", "ingress ipBlock 203.0.114.0/24")},
	{Name: "ingress, one block of two outside", Do: pt.Create(netpol(`ingress: [{from: [{ipBlock: {cidr: 203.0.113.0/24}}, {ipBlock: {cidr: 192.0.2.0/24}}, {ipBlock: {cidr: 8.8.8.0/24}}]}]`)),
		Want: pt.Refused("network", "ingress ipBlock 192.0.2.0/24 (and 1 more) is not inside")},
	{Name: "ingress, allowlist empty", Facts: map[string]string{"hipaatenant.dev/ip-allowlist": ""}, Do: pt.Create(netpol(fromBlock("203.0.113.0/24"))), Want: pt.Refused("network", "ingress ipBlock 203.0.113.0/24 is not inside anything")},
	{Name: "ingress, allowlist missing", Facts: map[string]string{"hipaatenant.dev/ip-allowlist": pt.Without}, Do: pt.Create(netpol("")), Want: pt.Refused("network", "has no annotation hipaatenant.dev/ip-allowlist")},
	{Name: "ingress, allowlist spoilt", Facts: map[string]string{"hipaatenant.dev/ip-allowlist": "everywhere"}, Do: pt.Create(netpol(fromBlock("203.0.113.0/24"))), Want: pt.Refused("network")},
	{Name: "ingress from everybody", As: pt.Admin, Do: pt.Create(netpol(fromBlock("0.0.0.0/0"))), Want: pt.Refused("network", "ingress ipBlock 0.0.0.0/0")},
	{Name: "ingress from everybody", As: pt.Application, Do: pt.Create(netpol(fromBlock("0.0.0.0/0"))), Want: pt.Refused("network", "ingress ipBlock 0.0.0.0/0")},
	{Name: "ingress from everybody, dry run", Do: pt.DryRun(netpol("ingress: [{}]")), Want: pt.Refused("network", "an ingress rule without from")},
	{Name: "ingress from everybody, server-side apply", Do: pt.Apply(netpol("ingress: [{}]")), Want: pt.Refused("network", "an ingress rule without from")},
	{Name: "ingress from everybody", As: pt.Operator, Do: pt.Create(netpol("ingress: [{}]")), Want: pt.Allowed()},
	{Name: "own policy widened", Given: []pt.Request{pt.Create(netpol(fromBlock("203.0.113.0/24")))}, Do: pt.Apply(netpol(fromBlock("0.0.0.0/0"))), Want: pt.Refused("network", "ingress ipBlock 0.0.0.0/0")},
	{Name: "own policy widened by a JSON patch", Given: []pt.Request{pt.Create(netpol(fromBlock("203.0.113.0/24")))},
		Do: pt.Patch(aPolicy, types.JSONPatchType, `[{"op":"remove","path":"/spec/ingress/0/from"}]`), Want: pt.Refused("network", "an ingress rule without from")},
	{Name: "own policy narrowed", Given: []pt.Request{pt.Create(netpol(fromBlock("203.0.113.0/24")))}, Do: pt.Apply(netpol(fromBlock("203.0.113.0/28"))), Want: pt.Allowed()},
	{Name: "own policy deleted", Given: []pt.Request{pt.Create(netpol(fromBlock("203.0.113.0/24")))}, Do: pt.Delete(aPolicy), Want: pt.Allowed()},
	{Name: "label of a policy that is wider than the facts by now", Given: []pt.Request{pt.Create(netpol("ingress: [{}]"))}, Do: pt.Patch(aPolicy, types.MergePatchType, `{"metadata":{"labels":{"a":"b"}}}`), Want: pt.Allowed()},
	{Name: "deny-all of the tenant's own", Do: pt.Create(netpol("policyTypes: [Ingress, Egress]")), Want: pt.Allowed()},
}

var selectorRows = []pt.Row{
	{Name: "ingress from pods of the namespace", Do: pt.Create(netpol("ingress: [{from: [{podSelector: {matchLabels: {app: web}}}]}]")), Want: pt.Allowed()},
	{Name: "ingress from all namespaces", Do: pt.Create(netpol(fromNamespaces("{}"))),
		Want: pt.Refused("network", "a namespaceSelector may select namespaces of other tenants; leave it out, or give it matchLabels hipaatenant.dev/tenant: acme-health")},
	{Name: "ingress from the tenant's namespaces", Do: pt.Create(netpol(fromNamespaces("{matchLabels: {hipaatenant.dev/tenant: acme-health}}"))), Want: pt.Allowed()},
	{Name: "ingress from one namespace of the tenant's", Do: pt.Create(netpol(fromNamespaces("{matchLabels: {hipaatenant.dev/tenant: acme-health, kubernetes.io/metadata.name: acme-data}}"))), Want: pt.Allowed()},
	{Name: "ingress from the own namespace, by name", Do: pt.Create(netpol(fromNamespaces("{matchLabels: {kubernetes.io/metadata.name: NAMESPACE}}"))), Want: pt.Allowed()},
	{Name: "ingress from another tenant", Do: pt.Create(netpol(fromNamespaces("{matchLabels: {hipaatenant.dev/tenant: other-clinic}}"))), Want: pt.Refused("network", "a namespaceSelector may select")},
	{Name: "ingress from every tenant", Do: pt.Create(netpol(fromNamespaces("{matchExpressions: [{key: hipaatenant.dev/tenant, operator: Exists}]}"))), Want: pt.Refused("network", "a namespaceSelector may select")},
	{Name: "ingress from this tenant or another", Do: pt.Create(netpol(fromNamespaces("{matchExpressions: [{key: hipaatenant.dev/tenant, operator: In, values: [acme-health, other-clinic]}]}"))), Want: pt.Refused("network", "a namespaceSelector may select")},
	{Name: "ingress from another namespace, by name", Do: pt.Create(netpol(fromNamespaces("{matchLabels: {kubernetes.io/metadata.name: kube-system}}"))), Want: pt.Refused("network", "a namespaceSelector may select")},
	{Name: "ingress from namespaces by a label anybody can set", Do: pt.Create(netpol(fromNamespaces("{matchLabels: {team: blue}}"))), Want: pt.Refused("network", "a namespaceSelector may select")},
	{Name: "ingress from another namespace's pods", Do: pt.Create(netpol("ingress: [{from: [{namespaceSelector: {matchLabels: {team: blue}}, podSelector: {matchLabels: {app: web}}}]}]")), Want: pt.Refused("network", "a namespaceSelector may select")},
	{Name: "egress to all namespaces", Do: pt.Create(netpol("egress: [{to: [{namespaceSelector: {}}]}]")), Want: pt.Refused("network", "a namespaceSelector may select")},
	{Name: "egress to the tenant's namespaces", Do: pt.Create(netpol("egress: [{to: [{namespaceSelector: {matchLabels: {hipaatenant.dev/tenant: acme-health}}}]}]")), Want: pt.Allowed()},
}

var egressRows = []pt.Row{
	{Name: "egress to a part of an associate's network", Do: pt.Create(netpol(toBlock("198.51.100.16/28", https))), Want: pt.Allowed()},
	{Name: "egress to everybody, no to", Do: pt.Create(netpol("egress: [{}]")), Want: pt.Refused("network", "an egress rule without to lets pods reach everybody")},
	{Name: "egress to everybody on a port", Do: pt.Create(netpol("egress: [{ports: [{port: 443}]}]")), Want: pt.Refused("network", "an egress rule without to")},
	{Name: "egress to everybody, 0.0.0.0/0", Do: pt.Create(netpol(toBlock("0.0.0.0/0", https))),
		Want: pt.Refused("network", "egress ipBlock 0.0.0.0/0 is not inside 198.51.100.0/24 allowed to tenant acme-health", "change spec.businessAssociates of HIPAATenant acme-health")},
	{Name: "egress to everybody but, by except", Do: pt.Create(netpol("egress: [{to: [{ipBlock: {cidr: 0.0.0.0/0, except: [10.0.0.0/8]}}], ports: [{port: 443}]}]")), Want: pt.Refused("network", "egress ipBlock 0.0.0.0/0")},
	{Name: "egress to the metadata service", Do: pt.Create(netpol(toBlock("169.254.169.254/32", "ports: [{port: 80}]"))), Want: pt.Refused("network", "egress ipBlock 169.254.169.254/32")},
	{Name: "egress, nothing may be reached", Facts: map[string]string{"hipaatenant.dev/egress": ""}, Do: pt.Create(netpol(toBlock("198.51.100.16/28", https))), Want: pt.Refused("network", "egress ipBlock 198.51.100.16/28 is not inside anything")},
	{Name: "egress, fact missing", Facts: map[string]string{"hipaatenant.dev/egress": pt.Without}, Do: pt.Create(netpol("")), Want: pt.Refused("network", "has no annotation hipaatenant.dev/egress")},
	{Name: "egress inside the allowlist of ingress", Do: pt.Create(netpol(toBlock("203.0.113.0/24", https))), Want: pt.Refused("network", "egress ipBlock 203.0.113.0/24")},
	{Name: "egress to a disabled port", Do: pt.Create(netpol(toBlock("198.51.100.16/28", "ports: [{port: 2775}]"))),
		Want: pt.Refused("network", "an egress rule opens one of the ports TCP/2775,UDP/5060 of channels disabled for tenant acme-health")},
	{Name: "egress to a disabled port, second of two", Do: pt.Create(netpol(toBlock("198.51.100.16/28", "ports: [{port: 443}, {port: 5060, protocol: UDP}]"))), Want: pt.Refused("network", "opens one of the ports")},
	{Name: "egress to a disabled port, in a range", Do: pt.Create(netpol(toBlock("198.51.100.16/28", "ports: [{port: 2000, endPort: 3000}]"))), Want: pt.Refused("network", "opens one of the ports")},
	{Name: "egress to a disabled port of pods", Do: pt.Create(netpol("egress: [{to: [{podSelector: {}}], ports: [{port: 2775}]}]")), Want: pt.Refused("network", "opens one of the ports")},
	{Name: "egress to the number of a disabled port, other protocol", Do: pt.Create(netpol(toBlock("198.51.100.16/28", "ports: [{port: 2775, protocol: UDP}]"))), Want: pt.Allowed()},
	{Name: "egress to a range beside the disabled port", Do: pt.Create(netpol(toBlock("198.51.100.16/28", "ports: [{port: 2776, endPort: 3000}]"))), Want: pt.Allowed()},
	{Name: "egress to all ports", Do: pt.Create(netpol(toBlock("198.51.100.16/28", ""))), Want: pt.Refused("network", "opens ports it does not name by number", "list the ports you need by number")},
	{Name: "egress to all TCP ports", Do: pt.Create(netpol(toBlock("198.51.100.16/28", "ports: [{protocol: TCP}]"))), Want: pt.Refused("network", "does not name by number")},
	{Name: "egress to all SCTP ports, none of which is disabled", Do: pt.Create(netpol(toBlock("198.51.100.16/28", "ports: [{protocol: SCTP}]"))), Want: pt.Allowed()},
	{Name: "egress to a port by name", Do: pt.Create(netpol(toBlock("198.51.100.16/28", "ports: [{port: smpp}]"))), Want: pt.Refused("network", "does not name by number")},
	{Name: "egress to all ports, none is disabled", Facts: map[string]string{"hipaatenant.dev/disabled-ports": ""}, Do: pt.Create(netpol(toBlock("198.51.100.16/28", ""))), Want: pt.Allowed()},
	{Name: "egress, fact about ports missing", Facts: map[string]string{"hipaatenant.dev/disabled-ports": pt.Without}, Do: pt.Create(netpol("")), Want: pt.Refused("network", "has no annotation hipaatenant.dev/disabled-ports")},
	{Name: "egress to all ports of own pods", Do: pt.Create(netpol("egress: [{to: [{podSelector: {}}]}]")), Want: pt.Allowed()},
	{Name: "egress to a port of own pods by name", Do: pt.Create(netpol("egress: [{to: [{podSelector: {}}], ports: [{port: web}]}]")), Want: pt.Allowed()},
}

var nodeRights = map[string]string{"hipaatenant.dev/ip-allowlist": "169.254.0.0/16,0.0.0.0/0,fe80::/9", "hipaatenant.dev/egress": "168.0.0.0/6,fd00::/8,::/0", "hipaatenant.dev/disabled-ports": ""}

// metadataRows: whatever the facts say, nobody reaches the metadata service.
var metadataRows = []pt.Row{
	{Name: "metadata service, inside the fact", Facts: nodeRights, Do: pt.Create(netpol(toBlock("169.254.169.254/32", https))),
		Want: pt.Refused("network", "ipBlock 169.254.169.254/32 overlaps one of 169.254.0.0/16, fe80::/10, fd00:ec2::/32, where clouds hand out the rights of the node")},
	{Name: "metadata service, around it", Facts: nodeRights, Do: pt.Create(netpol(toBlock("168.0.0.0/6", https))), Want: pt.Refused("network", "ipBlock 168.0.0.0/6 overlaps")},
	{Name: "metadata service, but for it", Facts: nodeRights, Do: pt.Create(netpol("egress: [{to: [{ipBlock: {cidr: 168.0.0.0/6, except: [169.254.0.0/16]}}], " + https + "}]")), Want: pt.Refused("network", "except does not count")},
	{Name: "metadata service, IPv6", Facts: nodeRights, Do: pt.Create(netpol(toBlock("fd00:ec2::254/128", https))), Want: pt.Refused("network", "ipBlock fd00:ec2::254/128 overlaps")},
	{Name: "link-local addresses, IPv6", As: pt.Admin, Facts: nodeRights, Do: pt.Create(netpol(toBlock("fe80::1/128", https))), Want: pt.Refused("network", "ipBlock fe80::1/128 overlaps")},
	{Name: "everything, IPv6", Facts: nodeRights, Do: pt.Create(netpol(toBlock("::/0", https))), Want: pt.Refused("network", "ipBlock ::/0 overlaps")},
	{Name: "from link-local addresses", As: pt.Application, Facts: nodeRights, Do: pt.Create(netpol(fromBlock("169.254.7.0/24"))), Want: pt.Refused("network", "ipBlock 169.254.7.0/24 overlaps")},
	{Name: "beside the metadata service", Facts: nodeRights, Do: pt.Create(netpol(toBlock("169.253.0.0/16", https))), Want: pt.Allowed()},
	{Name: "DNS of a foreign server", Do: pt.Create(netpol(toBlock("192.0.2.53/32", "ports: [{port: 53, protocol: UDP}]"))), Want: pt.Refused("network", "egress ipBlock 192.0.2.53/32 is not inside 198.51.100.0/24")},
	{Name: "DNS of another namespace's pods", Do: pt.Create(netpol("egress: [{to: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: kube-system}}}], ports: [{port: 53, protocol: UDP}]}]")), Want: pt.Refused("network", "a namespaceSelector may select")},
}

var openRules = []pt.Request{pt.Create(netpol(fromBlock("203.0.113.0/24") + ", " + toBlock("198.51.100.16/28", https)))}

// inQuarantine makes a request as the developer once the API server has seen that the namespace is quarantined.
func inQuarantine(request pt.Request) pt.Request {
	probe := pt.As(pt.Developer, pt.DryRun(netpolNamed("probe", fromBlock("203.0.113.0/24"))))
	return pt.InOrder(setFacts(gate("quarantined")), untilRefusedOnly(probe), pt.As(pt.Developer, request))
}

// quarantineRows: nothing is opened in quarantine.
var quarantineRows = []pt.Row{
	{Name: "ingress in quarantine", Facts: gate("quarantined"), Do: pt.Create(netpol(fromBlock("203.0.113.0/24"))),
		Want: pt.Refused("network", "of tenant acme-health is quarantined, so nothing is opened; rules may be taken away. See condition BAAInForce of HIPAATenant acme-health")},
	{Name: "ingress from own pods in quarantine", As: pt.Admin, Facts: gate("quarantined"), Do: pt.Create(netpol("ingress: [{from: [{podSelector: {}}]}]")), Want: pt.Refused("network", "is quarantined, so nothing is opened")},
	{Name: "egress in quarantine", As: pt.Application, Facts: gate("quarantined"), Do: pt.Create(netpol(toBlock("198.51.100.16/28", https))), Want: pt.Refused("network", "is quarantined, so nothing is opened")},
	{Name: "deny-all in quarantine", Facts: gate("quarantined"), Do: pt.Create(netpol("policyTypes: [Ingress, Egress]")), Want: pt.Allowed()},
	{Name: "ingress while frozen", Facts: gate("frozen"), Do: pt.Create(netpol(fromBlock("203.0.113.0/24"))), Want: pt.Allowed()},
	{Name: "rules, gate missing", Facts: gate(pt.Without), Do: pt.Create(netpol("")), Want: pt.Refused("network", "has no annotation hipaatenant.dev/admission")},
	{Name: "rules taken away in quarantine", As: pt.Operator, Given: openRules, Do: inQuarantine(pt.Patch(aPolicy, types.JSONPatchType, `[{"op":"remove","path":"/spec/egress"}]`)), Want: pt.Allowed()},
	{Name: "rules for more pods in quarantine", As: pt.Operator, Inside: true, Given: []pt.Request{pt.Create("{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: own}, spec: {podSelector: {matchLabels: {tier: edge}}, " + fromBlock("203.0.113.0/24") + "}}")},
		Do: inQuarantine(pt.Patch(aPolicy, types.JSONPatchType, `[{"op":"replace","path":"/spec/podSelector","value":{}}]`)), Want: pt.Refused("network", "is quarantined, so nothing is opened")},
	{Name: "rules changed in quarantine", As: pt.Operator, Inside: true, Given: openRules,
		Do: inQuarantine(pt.Patch(aPolicy, types.JSONPatchType, `[{"op":"replace","path":"/spec/ingress/0/from/0/ipBlock/cidr","value":"203.0.113.0/28"}]`)), Want: pt.Refused("network", "is quarantined, so nothing is opened")},
}

const openForAll = "metadata: {name: own}, spec: {ingress: [{}], egress: [{}]}}"

const endpoint = "metadata: {name: own}, status: {identity: {id: 1}}}"

var (
	aCiliumEndpoint = unstructuredOf("cilium.io/v2", "CiliumEndpoint", "own")
	endpoints       = []pt.Request{pt.As(pt.Admin, pt.Create("{apiVersion: cilium.io/v2, kind: CiliumEndpoint, "+endpoint))}
)

// unstructuredOf is an object of another project's kind.
func unstructuredOf(version, kind, name string) *unstructured.Unstructured {
	object := &unstructured.Unstructured{}
	object.SetAPIVersion(version)
	object.SetKind(kind)
	object.SetName(name)
	return object
}

// pluginRows: other languages for the same thing are the platform's.
var pluginRows = []pt.Row{
	{Name: "policy of Cilium", Do: pt.Create("{apiVersion: cilium.io/v2, kind: CiliumNetworkPolicy, " + openForAll),
		Want: pt.Refused("network", "CiliumNetworkPolicy of cilium.io opens what NetworkPolicies of tenant acme-health keep closed, so it is written by who may write ciliumnetworkpolicies in kube-system, not by dev@acme.example; use a NetworkPolicy")},
	{Name: "policies of Cilium changed", Given: []pt.Request{pt.As(pt.Admin, pt.Create("{apiVersion: cilium.io/v2, kind: CiliumNetworkPolicy, metadata: {name: own}, specs: []}"))},
		Do: pt.Apply("{apiVersion: cilium.io/v2, kind: CiliumNetworkPolicy, metadata: {name: own}, specs: [{ingress: [{}]}]}"), Want: pt.Refused("network", "CiliumNetworkPolicy of cilium.io")},
	{Name: "policy of Calico", As: pt.Application, Do: pt.Create("{apiVersion: crd.projectcalico.org/v1, kind: NetworkPolicy, " + openForAll), Want: pt.Refused("network", "NetworkPolicy of crd.projectcalico.org")},
	{Name: "policy of Calico changed", Given: []pt.Request{pt.As(pt.Admin, pt.Create("{apiVersion: projectcalico.org/v3, kind: NetworkPolicy, metadata: {name: own}, spec: {}}"))},
		Do: pt.Apply("{apiVersion: projectcalico.org/v3, kind: NetworkPolicy, " + openForAll), Want: pt.Refused("network", "NetworkPolicy of projectcalico.org")},
	{Name: "policy of Antrea", Do: pt.Create("{apiVersion: crd.antrea.io/v1beta1, kind: NetworkPolicy, " + openForAll), Want: pt.Refused("network", "NetworkPolicy of crd.antrea.io")},
	{Name: "traffic of the node redirected", Do: pt.Create("{apiVersion: cilium.io/v2, kind: CiliumLocalRedirectPolicy, metadata: {name: own}, spec: {redirectFrontend: {addressMatcher: {ip: 192.0.2.9}}}}"), Want: pt.Refused("network", "CiliumLocalRedirectPolicy of cilium.io")},
	{Name: "identity of an address", Do: pt.Apply("{apiVersion: cilium.io/v2, kind: CiliumEndpoint, " + endpoint), Want: pt.Refused("network", "CiliumEndpoint of cilium.io")},
	{Name: "identity of an address changed", As: pt.Application, Given: endpoints, Do: pt.Patch(aCiliumEndpoint, types.MergePatchType, `{"status":{"identity":{"id":2}}}`), Want: pt.Refused("network", "CiliumEndpoint of cilium.io")},
	{Name: "identity of an address taken away", Given: endpoints, Do: pt.Patch(aCiliumEndpoint, types.JSONPatchType, `[{"op":"remove","path":"/status"}]`), Want: pt.Refused("network", "CiliumEndpoint of cilium.io")},
	{Name: "interface beside the pod network", Do: pt.Create("{apiVersion: k8s.cni.cncf.io/v1, kind: NetworkAttachmentDefinition, metadata: {name: own}, spec: {config: '{}'}}"),
		Want: pt.Refused("network", "NetworkAttachmentDefinition of k8s.cni.cncf.io opens what NetworkPolicies of tenant acme-health keep closed, so it is written by who may write network-attachment-definitions in kube-system")},
	{Name: "interface with a device of the node's", Given: []pt.Request{pt.As(pt.Admin, pt.Create("{apiVersion: k8s.cni.cncf.io/v1, kind: NetworkAttachmentDefinition, metadata: {name: own}}"))},
		Do: pt.Apply("{apiVersion: k8s.cni.cncf.io/v1, kind: NetworkAttachmentDefinition, metadata: {name: own, annotations: {k8s.v1.cni.cncf.io/resourceName: intel.com/sriov}}}"), Want: pt.Refused("network", "NetworkAttachmentDefinition of k8s.cni.cncf.io")},
	{Name: "networks others let in by label", Given: []pt.Request{pt.As(pt.Admin, pt.Create("{apiVersion: crd.projectcalico.org/v1, kind: NetworkSet, metadata: {name: own}}"))},
		Do: pt.Apply("{apiVersion: crd.projectcalico.org/v1, kind: NetworkSet, metadata: {name: own, labels: {trusted: 'yes'}}}"), Want: pt.Refused("network", "NetworkSet of crd.projectcalico.org")},
	{Name: "what the VPC CNI makes of policies", Do: pt.Create("{apiVersion: networking.k8s.aws/v1alpha1, kind: PolicyEndpoint, " + openForAll), Want: pt.Refused("network", "PolicyEndpoint of networking.k8s.aws")},
	{Name: "security group of a pod", Do: pt.Create("{apiVersion: vpcresources.k8s.aws/v1beta1, kind: SecurityGroupPolicy, " + openForAll), Want: pt.Refused("network", "SecurityGroupPolicy of vpcresources.k8s.aws")},
	{Name: "policy of GKE by name of the host", Do: pt.Create("{apiVersion: networking.gke.io/v1alpha1, kind: FQDNNetworkPolicy, " + openForAll), Want: pt.Refused("network", "FQDNNetworkPolicy of networking.gke.io")},
	{Name: "policy of GKE changed", Given: []pt.Request{pt.As(pt.Admin, pt.Create("{apiVersion: networking.gke.io/v1alpha1, kind: FQDNNetworkPolicy, metadata: {name: own}}"))},
		Do: pt.Apply("{apiVersion: networking.gke.io/v1alpha1, kind: FQDNNetworkPolicy, " + openForAll), Want: pt.Refused("network", "FQDNNetworkPolicy of networking.gke.io")},
	{Name: "network of one's own", Do: pt.Create("{apiVersion: k8s.ovn.org/v1, kind: UserDefinedNetwork, " + openForAll), Want: pt.Refused("network", "UserDefinedNetwork of k8s.ovn.org")},
	{Name: "finalizer of an endpoint", Given: endpoints, Do: pt.Patch(aCiliumEndpoint, types.MergePatchType, `{"metadata":{"finalizers":["example.com/hold"]}}`), Want: pt.Allowed()},
	{Name: "endpoint made and kept by its agent", As: pt.NetworkPlugin, Facts: map[string]string{"hipaatenant.dev/egress": pt.Without}, Want: pt.Allowed(),
		Do: pt.InOrder(pt.Create("{apiVersion: cilium.io/v2, kind: CiliumEndpoint, "+endpoint), pt.Patch(aCiliumEndpoint, types.MergePatchType, `{"status":{"identity":{"id":2}}}`))},
	{Name: "policy of Cilium, by the platform", As: pt.Admin, Do: pt.Create("{apiVersion: cilium.io/v2, kind: CiliumNetworkPolicy, " + openForAll), Want: pt.Allowed()},
}

// The largest policies that can be asked about: 64 entries in the allowlist, 64 blocks in each direction, each of which
// has to be compared with all 64 entries. They must be decided, not run into the cost limit of CEL.
const most = 64

func networks(format string) []string {
	list := make([]string, most)
	for i := range list {
		list[i] = fmt.Sprintf(format, i)
	}
	return list
}

// largest is a policy with 64 blocks in each direction. Those blocks lie in the last entries, or in none.
func largest(format string) string {
	list := "[{ipBlock: {cidr: '" + strings.Join(networks(format), "'}}, {ipBlock: {cidr: '") + "'}}]"
	return netpol("ingress: [{from: " + list + "}], egress: [{to: " + list + ", ports: [{port: 443}]}]")
}

func lists(format string) map[string]string {
	list := strings.Join(networks(format), ",")
	return map[string]string{"hipaatenant.dev/ip-allowlist": list, "hipaatenant.dev/egress": list}
}

var largestRows = []pt.Row{
	{Name: "64 blocks in the last of 64 networks, IPv4", Facts: lists("10.%d.0.0/16"), Do: pt.Create(largest("10.63.%d.0/24")), Want: pt.Allowed()},
	{Name: "64 blocks in the last of 64 networks, IPv6", Facts: lists("2001:db8:1%02x::/48"), Do: pt.Create(largest("2001:db8:13f:1234:5678:9abc:def0:%x/128")), Want: pt.Allowed()},
	{Name: "64 blocks in none of 64 networks, IPv4", Facts: lists("10.%d.0.0/16"), Do: pt.Create(largest("10.64.%d.0/24")), Want: pt.Refused("network", "ingress ipBlock 10.64.0.0/24 (and 63 more) is not inside 10.0.0.0/16,10.1.0.0/16")},
	{Name: "64 blocks in none of 64 networks, IPv6", Facts: lists("2001:db8:1%02x::/48"), Do: pt.Create(largest("2001:db8:140:1234:5678:9abc:def0:%x/128")), Want: pt.Refused("network", "(and 63 more) is not inside 2001:db8:100::/48,2001:db8:101::/48")},
}

var networkTable = pt.Table{Policy: "network", Rows: concat(ingressRows, selectorRows, egressRows, metadataRows, quarantineRows, pluginRows, largestRows)}

var _ = networkTable.Specs(environment)
