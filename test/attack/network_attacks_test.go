package attack

import (
	"fmt"
	"strings"
)

// netpol is a NetworkPolicy for all pods with this spec, YAML in flow style.
func netpol(spec string) string {
	return fmt.Sprintf("{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: NAME}, spec: {podSelector: {}, %s}}", spec)
}

// ownPods is what tenants may write: among themselves.
var ownPods = netpol("policyTypes: [Ingress, Egress], ingress: [{from: [{podSelector: {}}]}], egress: [{to: [{podSelector: {}}]}]")

// opens is an attack by a NetworkPolicy with this spec.
func opens(name, spec string, parts ...string) Attack {
	return Attack{Name: name, Object: netpol(spec), From: ownPods, By: []refusal{policy("network", parts...)}}
}

const denyAll = "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: hipaa-default-deny}}"

var byItAlone = policy("tenancy", "is managed by hipaa-tenant-operator for tenant acme-health")

var network = Group{Name: "network", Least: 12, Attacks: []Attack{
	opens("allow-all ingress", "ingress: [{}]", "an ingress rule without from lets everybody in"),
	opens("allow-all egress", "policyTypes: [Egress], egress: [{}]", "an egress rule without to lets pods reach everybody"),
	opens("ingress from an empty list of peers", "ingress: [{from: [], ports: [{port: 443}]}]", "an ingress rule without from"),
	opens("ingress from the whole internet", "ingress: [{from: [{ipBlock: {cidr: 0.0.0.0/0}}]}]", "ingress ipBlock 0.0.0.0/0 is not inside", "change spec.ipAllowlist of HIPAATenant acme-health"),
	opens("ingress from the whole internet, IPv6", "ingress: [{from: [{ipBlock: {cidr: '::/0'}}]}]", "ingress ipBlock ::/0 is not inside"),
	opens("ingress from the internet with exceptions", "ingress: [{from: [{ipBlock: {cidr: 0.0.0.0/0, except: [10.0.0.0/8]}}]}]", "(except does not count)"),
	opens("ingress from a network around the allowlist", "ingress: [{from: [{ipBlock: {cidr: 203.0.112.0/23}}]}]", "203.0.112.0/23 is not inside"),
	opens("ingress from the internet in two halves", "ingress: [{from: [{ipBlock: {cidr: 0.0.0.0/1}}, {ipBlock: {cidr: 128.0.0.0/1}}]}]", "0.0.0.0/1 (and 1 more) is not inside"),
	opens("egress to the whole internet", "policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 0.0.0.0/0}}], ports: [{port: 443}]}]", "egress ipBlock 0.0.0.0/0 is not inside"),
	opens("egress to the metadata service", "policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 169.254.169.254/32}}], ports: [{port: 80}]}]", "169.254.169.254/32 is not inside"),
	opens("egress to the metadata service, IPv6", "policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 'fd00:ec2::254/128'}}], ports: [{port: 80}]}]", "fd00:ec2::254/128 is not inside"),
	opens("DNS to a foreign server", "policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 8.8.8.8/32}}], ports: [{port: 53, protocol: UDP}]}]", "8.8.8.8/32 is not inside"),
	// The API server itself refuses this notation since 1.36.
	{Name: "IPv4 written as IPv6", Object: netpol("ingress: [{from: [{ipBlock: {cidr: '::ffff:0:0/96'}}]}]"), From: ownPods, By: []refusal{validation("ipBlock.cidr"), policy("network")}},
	{Name: "network with leading zeros", Object: netpol("ingress: [{from: [{ipBlock: {cidr: 010.000.000.000/8}}]}]"), From: ownPods, By: []refusal{validation("ipBlock.cidr"), policy("network")}},
	opens("every namespace", "ingress: [{from: [{namespaceSelector: {}}]}]", "a namespaceSelector may select namespaces of other tenants"),
	opens("namespaces by a label others can take", "ingress: [{from: [{namespaceSelector: {matchLabels: {team: acme}}}]}]", "a namespaceSelector may select"),
	opens("namespaces of any tenant", "ingress: [{from: [{namespaceSelector: {matchExpressions: [{key: hipaatenant.dev/tenant, operator: Exists}]}}]}]", "a namespaceSelector may select"),
	opens("another tenant by name", "policyTypes: [Egress], egress: [{to: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: VICTIM}}}]}]", "a namespaceSelector may select"),
	opens("another tenant by its label", "ingress: [{from: [{namespaceSelector: {matchLabels: {hipaatenant.dev/tenant: VICTIM}}, podSelector: {}}]}]", "a namespaceSelector may select"),
	opens("port of a disabled channel", "policyTypes: [Egress], egress: [{to: [{podSelector: {}}], ports: [{port: 2775}]}]", "TCP/2775 of channels disabled for tenant acme-health"),
	opens("port of a disabled channel in a range", "policyTypes: [Egress], egress: [{to: [{podSelector: {}}], ports: [{port: 2000, endPort: 3000}]}]", "TCP/2775"),
	opens("all ports of an associate", "policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 198.51.100.0/25}}]}]", "opens ports it does not name by number"),
	opens("ports of an associate by name", "policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 198.51.100.0/25}}], ports: [{port: smpp}]}]", "opens ports it does not name by number"),

	{Name: "deny-all without egress", On: denyAll, Patch: "{spec: {policyTypes: [Ingress]}}", By: []refusal{byItAlone}},
	{Name: "deny-all opened by a rule", On: denyAll, Patch: "{spec: {ingress: [{}]}}", By: []refusal{byItAlone, policy("network")}},
	{Name: "deny-all moved off the pods", On: denyAll, Patch: "{spec: {podSelector: {matchLabels: {app: nothing}}}}", By: []refusal{byItAlone}},
	{Name: "deny-all without its labels", On: denyAll, Patch: "{metadata: {labels: {app.kubernetes.io/managed-by: null, hipaatenant.dev/tenant: null}}}", By: []refusal{byItAlone}},
	{Name: "deny-all deleted", On: denyAll, By: []refusal{byItAlone}},
	// Once the owner is deleted, the garbage collector would delete the policy.
	{Name: "deny-all given an owner of one's own", On: denyAll, By: []refusal{byItAlone},
		Patch: "{metadata: {ownerReferences: [{apiVersion: v1, kind: ConfigMap, name: mine, uid: c3a3a3a3-0000-4000-8000-000000000001}]}}"},
	{Name: "deny-all held by a finalizer", On: denyAll, Patch: "{metadata: {finalizers: [example.com/hold]}}", By: []refusal{byItAlone}},
	{Name: "policy under a reserved name", Object: "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: hipaa-allow-mailbox, generateName: hipaa-}, spec: {podSelector: {}, ingress: [{}]}}",
		By: []refusal{byItAlone, policy("network")}},
	// A policy that is being deleted still counts until its finalizers are gone.
	{Name: "opened while it is being deleted", Doomed: true, Without: []string{"create", "server-side apply,", "update into"}, By: []refusal{policy("network")},
		From:   "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: NAME, finalizers: [example.com/hold]}, spec: {podSelector: {}}}",
		Object: "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: NAME, finalizers: [example.com/hold]}, spec: {podSelector: {}, ingress: [{}]}}"},
	// The cost of an expression is limited; above it a policy that fails closed refuses.
	{Name: "policy worn out by thousands of networks", Object: netpol("ingress: [{from: [" + manyNetworks + "{ipBlock: {cidr: 0.0.0.0/0}}]}]"), As: []actor{operations, account, administrator},
		By: []refusal{policy("network"), {who: "a broken policy"}}},
	{Name: "traffic of a node redirected to a pod", Object: "{apiVersion: cilium.io/v2, kind: CiliumLocalRedirectPolicy, metadata: {name: NAME}, spec: {redirectFrontend: {addressMatcher: {ip: 198.51.100.7}}}}",
		By: []refusal{policy("network", "CiliumLocalRedirectPolicy of cilium.io opens what NetworkPolicies of tenant acme-health keep closed")}},
	{Name: "interface beside the pod network", Object: "{apiVersion: k8s.cni.cncf.io/v1, kind: NetworkAttachmentDefinition, metadata: {name: NAME}, spec: {config: '{\"type\": \"host-device\"}'}}",
		By: []refusal{policy("network", "written by who may write network-attachment-definitions in kube-system")}},
	{Name: "tier of the cluster", Object: "{apiVersion: policy.networking.k8s.io/v1alpha2, kind: ClusterNetworkPolicy, metadata: {name: NAME}, spec: {tier: Admin, priority: 1, subject: {namespaces: {}}, ingress: [{action: Accept, from: [{namespaces: {}}]}]}}",
		By: []refusal{accessControl("clusternetworkpolicies")}},
}}

// manyNetworks are lawful, and more than an expression can afford to look at.
var manyNetworks = strings.Repeat("{ipBlock: {cidr: 203.0.113.0/24}}, ", 5000)
