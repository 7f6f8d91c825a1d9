package attack

import "time"

// on names an admission policy or its binding.
func on(kind, name string) string {
	return "{apiVersion: admissionregistration.k8s.io/v1, kind: " + kind + ", metadata: {name: " + name + "}}"
}

var (
	networkPolicy    = on("ValidatingAdmissionPolicy", "hipaatenant-network")
	networkBinding   = on("ValidatingAdmissionPolicyBinding", "hipaatenant-network")
	placementPolicy  = on("MutatingAdmissionPolicy", "hipaatenant-placement")
	placementBinding = on("MutatingAdmissionPolicyBinding", "hipaatenant-placement")
)

// undone is an attack on a policy. Tenants have no right to; what a cluster administrator does, the operator undoes.
func undone(name, target, patch string) Attack {
	return Attack{Name: name, On: target, Patch: patch, As: []actor{developer, operations, account, administrator, root}, Without: []string{"server-side apply", "strategic"},
		By: []refusal{accessControl("admissionregistration.k8s.io"), repaired("AdmissionPolicyRestored", 5*time.Second)}}
}

// The API server exempts its own admission configuration from admission: only RBAC and repair are left, and the static
// form of the policies, which is not reached by the API.
var policyEngine = Group{Name: "policy-engine", Least: 8, Serial: true, Attacks: []Attack{
	undone("policy deleted", networkPolicy, ""),
	undone("binding deleted", networkBinding, ""),
	undone("mutating policy deleted", placementPolicy, ""),
	undone("mutating binding deleted", placementBinding, ""),
	undone("policy that lets errors pass", networkPolicy, "{spec: {failurePolicy: Ignore}}"),
	undone("policy with a condition that never holds", networkPolicy, "{spec: {matchConditions: [{name: never, expression: 'false'}]}}"),
	undone("policy that looks at nothing", networkPolicy, "{spec: {matchConstraints: {namespaceSelector: {matchLabels: {no: one}}}}}"),
	undone("binding that only warns", networkBinding, "{spec: {validationActions: [Warn]}}"),
	undone("binding that matches no namespace", networkBinding, "{spec: {matchResources: {namespaceSelector: {matchLabels: {no: one}}}}}"),
}}
