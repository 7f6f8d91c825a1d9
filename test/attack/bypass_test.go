package attack

import (
	"slices"
	"testing"
)

// item is one known class of bypass: what it is, and the attacks that try it ("group: name") or why there is nothing to try.
type item struct {
	bypass  string
	attacks []string
	reason  string
}

func tried(bypass string, attacks ...string) item { return item{bypass: bypass, attacks: attacks} }

func nothingToTry(bypass, reason string) item { return item{bypass: bypass, reason: reason} }

// bypasses are the classes that comparable products were bypassed with.
var bypasses = map[string][]item{
	"NetworkPolicy": {
		tried("additive allow-all", "network: allow-all ingress", "network: allow-all egress"),
		tried("empty podSelector or peer", "network: ingress from an empty list of peers", "network: every namespace"),
		tried("policyTypes without Egress", "network: deny-all without egress"),
		tried("0.0.0.0/0 or ::/0, with except", "network: ingress from the internet with exceptions", "network: ingress from the whole internet, IPv6"),
		tried("namespaceSelector on labels others can take", "network: namespaces by a label others can take", "network: namespaces of any tenant"),
		tried("pod relabelled through pods and pods/status", "pod: running pod relabelled for a disabled channel"),
		tried("hostNetwork", "pod: network of the host"),
		tried("policy deleted or patched", "network: deny-all deleted", "network: deny-all opened by a rule", "network: deny-all moved off the pods"),
		tried("owner of one's own, for the garbage collector", "network: deny-all given an owner of one's own"),
		tried("DNS and link-local addresses", "network: DNS to a foreign server", "network: egress to the metadata service", "network: egress to the metadata service, IPv6"),
		tried("cluster tier", "network: tier of the cluster"),
	},
	"Placement": {
		tried("nodeName", "placement: nodeName at create"),
		tried("pods/binding and legacy bindings", "placement: binding to a node outside", "placement: legacy binding", "placement: binding to no kind"),
		tried("terms that are ORed", "placement: affinity with one good term and one bad"),
		tried("toleration of everything", "placement: toleration of every taint"),
		tried("topologySpread without affinity", "placement: spread over all regions, affinity ignored"),
		tried("RuntimeClass", "placement: RuntimeClass that selects nodes abroad", "placement: RuntimeClass that tolerates everything", "placement: RuntimeClass of one's own"),
		tried("schedulerName", "placement: binding to a node outside", "placement: binding that names a region itself"),
		tried("DaemonSet", "placement: nodeSelector of another region"), // every pod is tried as a DaemonSet's
		tried("update of a gated pod", "placement: gated pod given a node selector and let go", "placement: gated pod given one more term and let go"),
		tried("mirror pod", "placement: mirror pod"),
		tried("ResourceClaim", "placement: claim of a device"),
		tried("volumeName of a foreign region", "storage: volume in another region", "storage: volume chosen later"),
		tried("allowedTopologies of a StorageClass", "storage: storage class of one's own", "storage: storage class that is not allowed"),
		tried("generic ephemeral volumes", "storage: generic ephemeral volume of a class that is not allowed", "storage: generic ephemeral volume of the default class"),
		tried("node relabelled after scheduling", "placement: node relabelled into the region"),
		tried("no region label", "placement: binding to a node of no region", "placement: nodeSelector of a node's name"),
	},
	"Pods": {
		tried("ephemeral containers", "pod: ephemeral container", "pod: ephemeral container at create"),
		tried("resize", "pod: more than the quota by resizing"),
		tried("init containers", "pod: privileged init container", "quota: more than the quota in an init container"),
		tried("sidecars", "pod: privileged sidecar"),
		nothingToTry("image volumes", "they are read-only and pulled as container images are; no policy here judges images, so there is none to go around"),
		tried("hostPath", "pod: files of the host"),
		tried("hostProcess", "pod: host process container of Windows"),
		tried("projected token for a foreign audience", "rbac-and-tokens: token for another audience, for a day"),
		tried("envFrom", "pod: config that may be missing", "pod: config under other names"),
		tried("subPath", "pod: path out of a volume"),
		tried("every template kind", "pod: disabled channel", "placement: nodeName at create"), // tried of every pod
	},
	"Services": {
		tried("externalIPs", "service-exposure: external IP"),
		tried("status.loadBalancer", "service-exposure: address of others in the status", "service-exposure: address of others in the status of an Ingress"),
		tried("ExternalName of another tenant", "service-exposure: name of another tenant's Service"),
		tried("NodePort", "service-exposure: port on every node"),
		tried("load balancer without source ranges", "service-exposure: load balancer that says not who may come", "service-exposure: load balancer for the internet"),
		tried("Endpoints and EndpointSlices by hand", "service-exposure: endpoints of another tenant's pod", "service-exposure: endpoint slice of another tenant's pod"),
		tried("Gateway routes", "service-exposure: route to another tenant's Service", "service-exposure: TCP route to another tenant's Service", "service-exposure: Gateway for routes of everybody"),
		tried("ReferenceGrant for everybody", "service-exposure: grant to everybody's routes"),
		nothingToTry("takeover of a host by an Ingress", "a policy sees one object, never another tenant's claim to the same host; the platform binds host names to tenants where it owns them (config/admission/exposure.yaml)"),
	},
	"RBAC": {
		tried("escalate and bind", "rbac-and-tokens: role that may give itself more", "rbac-and-tokens: cluster-admin in the namespace", "rbac-and-tokens: shipped role widened", "rbac-and-tokens: role of the cluster for oneself"),
		tried("impersonation", "rbac-and-tokens: role that may be somebody else", "rbac-and-tokens: impersonation of an administrator", "rbac-and-tokens: impersonation of a node"),
		tried("token of the operator", "rbac-and-tokens: token of the operator"),
		tried("subjects of another tenant", "rbac-and-tokens: role for another tenant's service account", "rbac-and-tokens: role for every service account of another tenant"),
		tried("everybody with or without a login", "rbac-and-tokens: role for everybody with a login", "rbac-and-tokens: role for everybody without a login"),
		tried("aggregated ClusterRole", "rbac-and-tokens: role that is aggregated into others"),
		tried("approval of certificates", "rbac-and-tokens: certificate approved by oneself"),
		tried("nodes/proxy", "rbac-and-tokens: exec by the kubelet's own port", "pod: proxy to a kubelet"),
	},
	"Namespace": {
		tried("tenant label and annotations", "namespace-tampering: tenant label changed", "namespace-tampering: tenant label stripped", "namespace-tampering: regions widened"),
		tried("second owner", "namespace-tampering: second owner"),
		tried("adoption of kube-system", "namespace-tampering: kube-system made a tenant's", "tenant-object: namespace of the cluster"),
		tried("finalizer that stalls", "namespace-tampering: finalizer that stalls"),
		tried("status and finalize", "namespace-tampering: emptying skipped"), // every change is tried through both
		tried("kinds of patches and dry run", "namespace-tampering: gate closed for others"),
		tried("delete and create again", "namespace-tampering: namespace deleted"),
		tried("born unlocked", "namespace-tampering: namespace born with an open gate", "pod: pod in a namespace under quarantine"),
		tried("generateName against reserved names", "network: policy under a reserved name", "rbac-and-tokens: binding that looks like an emergency's"),
	},
	"Tenant": {
		tried("status forged", "tenant-object: status forged", "tenant-object: vendor's status forged"),
		tried("finalizer stripped", "tenant-object: finalizer stripped"),
		tried("region and identity", "tenant-object: region changed", "namespace-tampering: owner of the namespace changed"),
		tried("namespace claimed by two tenants", "tenant-object: namespace that another tenant holds"),
		nothingToTry("reference to a Secret or ConfigMap elsewhere", "no field of the operator's kinds refers to one; keys are named by URI, within what the profile allows"),
		nothingToTry("templates that smuggle kinds of the cluster", "the operator applies no object a tenant wrote: every child is compiled, of a fixed kind and name"),
		tried("huge lists", "tenant-object: list without end", "network: policy worn out by thousands of networks"),
		nothingToTry("regular expressions that never end", "no field is a regular expression; patterns are in the schema, which the API server compiles with RE2, in linear time"),
		tried("letters that look alike", "tenant-object: name that looks like another's"),
	},
	"Policy engine": {
		nothingToTry("unanchored matches()", "no policy calls matches(); TestPoliciesGiveNoHold looks"),
		nothingToTry("missing has() under failurePolicy Ignore", "every policy fails closed; TestPoliciesGiveNoHold looks"),
		tried("cost exhaustion", "network: policy worn out by thousands of networks"),
		tried("matchConditions made false", "policy-engine: policy with a condition that never holds"),
		tried("other API versions", "placement: claim of a device"), // every object is tried in every version that is served
		tried("objects with a deletion timestamp", "network: opened while it is being deleted"),
		nothingToTry("parameters deleted or not synced", "no policy has parameters; TestPoliciesGiveNoHold looks"),
		tried("deletecollection", "network: deny-all deleted", "quota: quota deleted"),
		tried("system:masters", "namespace-tampering: tenant label changed", "tenant-object: status forged"),
		tried("deletion of a policy", "policy-engine: policy deleted", "policy-engine: binding deleted", "policy-engine: mutating policy deleted"),
	},
	"Quota": {
		tried("scopes", "quota: quota for pods of one kind alone", "quota: more than the quota, ending by itself"),
		nothingToTry("kinds that are not counted", "the quota counts the built-in kinds that grow large, which test/integration/tenant tries; custom kinds are the platform's to count, because only it knows which it serves"),
		tried("priority", "quota: quota for one priority alone", "quota: more than the quota, with priority"),
		tried("status.used", "quota: quota counted down"),
		tried("deleted and created again", "quota: quota deleted"),
	},
	"Data": {
		nothingToTry("keys in events, managedFields, last-applied, logs and metrics", "not a request; TestKeysStayInSecrets looks for them everywhere"),
		nothingToTry("core dumps", "the operator never holds a plain data key of a KMS beyond a call; dumps are a matter of the node"),
		tried("Secrets listed", "data: all Secrets", "data: Secret by a list of one"),
		tried("Secrets read by name or patch", "data: keyset", "data: keyset by an empty patch"),
		nothingToTry("etcd without encryption", "not visible through the API: it is the cluster's, and reported as unknown, never assumed"),
	},
}

// Every known class of bypass is tried, or has a reason.
func TestEveryBypassIsTried(t *testing.T) {
	var names []string
	for _, g := range groups {
		for _, a := range g.Attacks {
			if name := g.Name + ": " + a.Name; slices.Contains(names, name) {
				t.Errorf("two attacks %q", name)
			} else {
				names = append(names, name)
			}
		}
	}
	want := map[string]int{"NetworkPolicy": 11, "Placement": 16, "Pods": 11, "Services": 9, "RBAC": 8, "Namespace": 9, "Tenant": 9, "Policy engine": 10, "Quota": 5, "Data": 5}
	for bullet, n := range want {
		if got := len(bypasses[bullet]); got != n {
			t.Errorf("%s: want %d classes, got %d", bullet, n, got)
		}
		for _, i := range bypasses[bullet] {
			if (len(i.attacks) == 0) == (i.reason == "") {
				t.Errorf("%s: %s needs attacks or a reason", bullet, i.bypass)
			}
			for _, name := range i.attacks {
				if !slices.Contains(names, name) {
					t.Errorf("%s: %s: there is no attack %q", bullet, i.bypass, name)
				}
			}
		}
	}
}
