package attack

import "fmt"

const (
	home       = "{apiVersion: v1, kind: Namespace, metadata: {name: NAMESPACE}}"
	kubeSystem = "{apiVersion: v1, kind: Namespace, metadata: {name: kube-system}}"
)

// withRoot also tries as a cluster administrator: RBAC refuses nothing there.
var withRoot = []actor{developer, operations, account, administrator, root}

// tampers is an attack on the tenant's namespace.
func tampers(name, patch string, parts ...string) Attack {
	return Attack{Name: name, On: home, Patch: patch, As: withRoot, By: []refusal{policy("tenancy", parts...)}}
}

func fact(key, value string) string {
	return fmt.Sprintf("{metadata: {annotations: {hipaatenant.dev/%s: %s}}}", key, value)
}

// of the namespace of the tenant, in the messages.
func guarded(key string) string {
	return key + " of namespace acme-health is written by hipaa-tenant-operator alone"
}

var namespaces = Group{Name: "namespace-tampering", Least: 10, Attacks: []Attack{
	tampers("tenant label changed", "{metadata: {labels: {hipaatenant.dev/tenant: birch-clinic}}}", guarded("hipaatenant.dev/tenant")),
	tampers("tenant label stripped", "{metadata: {labels: {hipaatenant.dev/tenant: null}}}", guarded("hipaatenant.dev/tenant")),
	tampers("all labels stripped", "{metadata: {labels: null}}", "hipaatenant.dev/tenant"),
	tampers("gate closed for others", fact("admission", "quarantined"), guarded("hipaatenant.dev/admission")),
	tampers("regions widened", fact("regions", "'us-east-1,eu-west-1'"), guarded("hipaatenant.dev/regions")),
	tampers("allowlist widened", fact("ip-allowlist", "0.0.0.0/0"), guarded("hipaatenant.dev/ip-allowlist")),
	tampers("egress widened", fact("egress", "0.0.0.0/0"), guarded("hipaatenant.dev/egress")),
	tampers("disabled ports forgotten", fact("disabled-ports", "null"), guarded("hipaatenant.dev/disabled-ports")),
	tampers("storage classes widened", fact("storage-classes", "'encrypted-gp3,plain'"), guarded("hipaatenant.dev/storage-classes")),
	tampers("owner of the namespace changed", fact("tenant-uid", "c3a3a3a3-0000-4000-8000-000000000001"), guarded("hipaatenant.dev/tenant-uid")),
	tampers("all annotations stripped", "{metadata: {annotations: null}}", "hipaatenant.dev/regions"),
	tampers("pod security loosened", "{metadata: {labels: {pod-security.kubernetes.io/enforce: privileged}}}", guarded("pod-security.kubernetes.io/enforce")),
	tampers("pod security of an older version", "{metadata: {labels: {pod-security.kubernetes.io/enforce-version: v1.20}}}", guarded("pod-security.kubernetes.io/enforce-version")),
	tampers("managed-by label stripped", "{metadata: {labels: {app.kubernetes.io/managed-by: null}}}", guarded("app.kubernetes.io/managed-by")),
	tampers("second owner", "{metadata: {ownerReferences: [{apiVersion: v1, kind: Node, name: us-1, uid: c3a3a3a3-0000-4000-8000-000000000001}]}}", "takes no owner"),
	tampers("finalizer that stalls", "{metadata: {finalizers: [example.com/hold]}}", "takes no finalizer"),
	// The update of a namespace keeps these; only finalize writes them.
	{Name: "emptying skipped", On: home, Patch: "{spec: {finalizers: []}}", As: withRoot, By: []refusal{policy("tenancy", "spec.finalizers of namespace acme-health"), harmless(withoutEffect)}},
	// No right inside a namespace covers the collection of all.
	{Name: "namespace deleted", On: home, As: withRoot, By: []refusal{policy("tenancy", "is deleted only while it is quarantined (it is open)"), accessControl("deletecollection")}},
	{Name: "kube-system made a tenant's", On: kubeSystem, Patch: "{metadata: {labels: {hipaatenant.dev/tenant: NAMESPACE}}}", As: withRoot, By: []refusal{policy("tenancy", "namespace kube-system is the cluster's or the operator's own"), accessControl("namespaces")}},
	{Name: "kube-system given facts", On: kubeSystem, Patch: fact("regions", "eu-west-1"), As: withRoot, By: []refusal{policy("tenancy", "hipaatenant.dev/regions of namespace kube-system"), accessControl("namespaces")}},
	{Name: "another tenant's namespace taken", On: "{apiVersion: v1, kind: Namespace, metadata: {name: VICTIM}}", Patch: "{metadata: {labels: {hipaatenant.dev/tenant: NAMESPACE}}}", As: withRoot,
		By: []refusal{policy("tenancy", "hipaatenant.dev/tenant of namespace birch-clinic"), accessControl("namespaces")}},
	// Nothing would stand in it yet: no policy of the network, no quota.
	{Name: "namespace born as the tenant's", Object: "{apiVersion: v1, kind: Namespace, metadata: {name: NAME, labels: {hipaatenant.dev/tenant: NAMESPACE}}}", As: withRoot,
		By: []refusal{policy("tenancy", "is written by hipaa-tenant-operator alone"), accessControl("namespaces")}},
	{Name: "namespace born with an open gate", Object: "{apiVersion: v1, kind: Namespace, metadata: {name: NAME, annotations: {hipaatenant.dev/admission: open}}}", As: withRoot,
		By: []refusal{policy("tenancy", "hipaatenant.dev/admission"), accessControl("namespaces")}},
	{Name: "gate of a namespace under quarantine opened", On: "{apiVersion: v1, kind: Namespace, metadata: {name: cedar-lab}}", Patch: fact("admission", "open"), As: withRoot, By: []refusal{policy("tenancy", "hipaatenant.dev/admission of namespace cedar-lab"), accessControl("namespaces")}},
}}
