// Package rbac checks what the shipped roles grant, as they are written. That the operator can do its work with them is
// shown by test/integration, which runs it under no other rights.
package rbac

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/admission"
	"github.com/hipaatenant/hipaa-tenant-operator/test/cluster"
)

// roles reads the Roles and ClusterRoles of a file of config/rbac, or of another directory of config.
func roles(t *testing.T, file string) map[string][]rbacv1.PolicyRule {
	t.Helper()
	root, err := cluster.RepositoryRoot()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(root, "config", "rbac", filepath.FromSlash(file)))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]rbacv1.PolicyRule{}
	for document := range strings.SplitSeq(string(text), "\n---\n") {
		var role rbacv1.ClusterRole
		if err := yaml.Unmarshal([]byte(document), &role); err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(role.Kind, "Role") {
			out[role.Kind+" "+role.Name] = role.Rules
		}
	}
	if len(out) == 0 {
		t.Fatalf("no roles in %s", file)
	}
	return out
}

func TestNoWildcardsAndNoEscalation(t *testing.T) {
	for _, file := range []string{"operator.yaml", "tenant_roles.yaml", "../shred/shred.yaml", "../network-probe/network-probe.yaml"} {
		for name, rules := range roles(t, file) {
			for _, rule := range rules {
				for _, list := range [][]string{rule.APIGroups, rule.Resources, rule.Verbs, rule.ResourceNames, rule.NonResourceURLs} {
					if slices.ContainsFunc(list, func(s string) bool { return strings.Contains(s, "*") }) {
						t.Errorf("%s: wildcard in %+v", name, rule)
					}
				}
				for _, verb := range []string{"escalate", "impersonate", "deletecollection"} {
					if slices.Contains(rule.Verbs, verb) {
						t.Errorf("%s: verb %s in %+v", name, verb, rule)
					}
				}
			}
		}
	}
}

// Verbs on these resources are granted by name or not at all.
func TestOperatorIsLimitedToNames(t *testing.T) {
	looks := map[string][]string{
		"nodes": {"get", "list", "watch"}, "pods": {"get", "list", "watch"}, "persistentvolumes": {"list", "watch"},
		"storageclasses": {"list", "watch"},
	}
	named := map[string]bool{"secrets": true, "configmaps": true, "clusterroles": true}
	for _, rule := range roles(t, "operator.yaml")["ClusterRole "+v1alpha1.OperatorName] {
		writes := slices.ContainsFunc(rule.Verbs, func(v string) bool { return v == "patch" || v == "update" || v == "delete" })
		for _, resource := range rule.Resources {
			if named[resource] && len(rule.ResourceNames) == 0 {
				t.Errorf("%s without resourceNames in %+v", resource, rule)
			}
			// RoleBindings are written by any name, for emergency accesses; admission policy tenancy keeps them to tenants.
			// So are ClusterNetworkPolicies, which are named after tenants; the policy keeps them to one tenant each.
			children := []string{"networkpolicies", "resourcequotas", "limitranges", "securitypolicies", "clienttrafficpolicies",
				"authorizationpolicies", "peerauthentications", "ciliumnetworkpolicies"}
			if slices.Contains(children, resource) && writes && len(rule.ResourceNames) == 0 {
				t.Errorf("%s are written without resourceNames in %+v", resource, rule)
			}
			if (resource == "secrets" || resource == "namespaces") && slices.Contains(rule.Verbs, "delete") {
				t.Errorf("%s may be deleted in %+v", resource, rule)
			}
			if seen, listed := looks[resource]; listed && !slices.Equal(rule.Verbs, seen) {
				t.Errorf("%s are only looked at, with the verbs %v: %+v", resource, seen, rule)
			}
			if strings.HasPrefix(resource, "pods/") && (resource != "pods/eviction" || !slices.Equal(rule.Verbs, []string{"create"})) {
				t.Errorf("the operator evicts pods and does nothing else to them: %+v", rule)
			}
		}
	}
}

// Keys are deleted under roles of their own, which an install has to ask for, and under them nothing else can be done.
func TestKeysAreDeletedUnderRolesOfTheirOwn(t *testing.T) {
	for name, rules := range roles(t, "operator.yaml") {
		for _, rule := range rules {
			if slices.Contains(rule.Resources, "secrets") && slices.Contains(rule.Verbs, "delete") {
				t.Errorf("%s may delete Secrets: %+v", name, rule)
			}
		}
	}
	secrets := func(names ...string) []rbacv1.PolicyRule {
		return []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"secrets"}, ResourceNames: names, Verbs: []string{"delete"}}}
	}
	want := map[string][]rbacv1.PolicyRule{
		"ClusterRole " + v1alpha1.OperatorName + "-shred": secrets(v1alpha1.SecretKeyset),
		"Role " + v1alpha1.OperatorName + "-shred":        secrets(),
	}
	if diff := cmp.Diff(want, roles(t, "../shred/shred.yaml")); diff != "" {
		t.Errorf("roles of config/shred (-want +got):\n%s", diff)
	}
}

// Pods are made in a namespace of their own, under a role that an install has to ask for, and nothing else can be done with it.
func TestPodsAreMadeUnderARoleOfItsOwn(t *testing.T) {
	for name, rules := range roles(t, "operator.yaml") {
		for _, rule := range rules {
			if slices.Contains(rule.Resources, "pods") && (slices.Contains(rule.Verbs, "create") || slices.Contains(rule.Verbs, "delete")) {
				t.Errorf("%s may make or delete pods: %+v", name, rule)
			}
		}
	}
	want := map[string][]rbacv1.PolicyRule{"Role " + v1alpha1.OperatorName + "-network-probe": {
		{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"create", "delete"}},
		{APIGroups: []string{"networking.k8s.io"}, Resources: []string{"networkpolicies"}, Verbs: []string{"create"}},
		{
			APIGroups: []string{"networking.k8s.io"}, Resources: []string{"networkpolicies"}, Verbs: []string{"update"},
			ResourceNames: []string{"hipaa-network-probe-client", "hipaa-network-probe-deny", "hipaa-network-probe-target"},
		},
		{APIGroups: []string{""}, Resources: []string{"configmaps"}, ResourceNames: []string{v1alpha1.ConfigMapNetworkProbe}, Verbs: []string{"get", "create", "patch"}},
	}}
	if diff := cmp.Diff(want, roles(t, "../network-probe/network-probe.yaml")); diff != "" {
		t.Errorf("roles of config/network-probe (-want +got):\n%s", diff)
	}
}

// A new admission policy needs its name in the ClusterRole, or the operator cannot put it back.
func TestOperatorMayRestoreEveryPolicy(t *testing.T) {
	objects, err := admission.Load(admission.DefaultIdentity)
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, o := range objects {
		want = append(want, o.GetName())
	}
	slices.Sort(want)
	want = slices.Compact(want)
	for _, rule := range roles(t, "operator.yaml")["ClusterRole "+v1alpha1.OperatorName] {
		if slices.Contains(rule.APIGroups, "admissionregistration.k8s.io") && slices.Contains(rule.Verbs, "update") {
			if !slices.Equal(rule.ResourceNames, want) {
				t.Errorf("the ClusterRole names %v, config/admission ships %v", rule.ResourceNames, want)
			}
			return
		}
	}
	t.Error("no rule lets the operator update admission policies")
}

// What tenants are bound to must not let them leave their cage by themselves.
func TestTenantRolesAreNarrow(t *testing.T) {
	forbidden := map[string][]string{ // resource -> verbs no tenant role has
		"pods/exec": nil, "pods/attach": nil, "pods/portforward": nil, "pods/ephemeralcontainers": nil, "pods/binding": nil, "bindings": nil,
		"serviceaccounts/token": nil, "roles": nil, "clusterroles": nil, "clusterrolebindings": nil, "namespaces": nil, "nodes": nil,
		"leases": nil, "referencegrants": nil,
		"secrets":        {"get", "list", "watch"},
		"rolebindings":   {"create", "update", "patch", "delete", "bind"},
		"endpoints":      {"create", "update", "patch", "delete"},
		"endpointslices": {"create", "update", "patch", "delete"},
		"resourcequotas": {"create", "update", "patch", "delete"},
		"limitranges":    {"create", "update", "patch", "delete"},
		"pods/status":    {"create", "update", "patch", "delete"},
	}
	for name, rules := range roles(t, "tenant_roles.yaml") {
		if name == "ClusterRole "+v1alpha1.ClusterRoleEmergency {
			continue // what it grants, no tenant holds but through an EmergencyAccess
		}
		for _, rule := range rules {
			for _, resource := range rule.Resources {
				verbs, listed := forbidden[resource]
				if !listed {
					continue
				}
				if verbs == nil {
					t.Errorf("%s names %s", name, resource)
				}
				for _, verb := range verbs {
					if slices.Contains(rule.Verbs, verb) {
						t.Errorf("%s may %s %s", name, verb, resource)
					}
				}
			}
		}
	}
	for _, role := range []string{"developer", "auditor"} {
		for _, rule := range roles(t, "tenant_roles.yaml")["ClusterRole "+v1alpha1.ClusterRolePrefix+role] {
			if slices.Contains(rule.Resources, "networkpolicies") && slices.Contains(rule.Verbs, "create") {
				t.Errorf("%s writes network policies", role)
			}
		}
	}
}

// Whoever asks or approves does not hold what is asked for.
func TestEmergencyRoles(t *testing.T) {
	all := roles(t, "tenant_roles.yaml")
	for name, want := range map[string][]string{
		"hipaatenant-emergency":           {"use"},
		"hipaatenant-emergency-requester": {"get", "list", "watch", "create"},
		"hipaatenant-emergency-approver":  {"get", "list", "watch", "update", "patch", "delete"},
	} {
		rules := all["ClusterRole "+name]
		if len(rules) == 0 || !slices.Equal(rules[0].Resources, []string{"emergencyaccesses"}) || !slices.Equal(rules[0].Verbs, want) {
			t.Errorf("%s begins with %+v, want %v on emergencyaccesses", name, rules, want)
		}
		if name != v1alpha1.ClusterRoleEmergency && len(rules) != 1 {
			t.Errorf("%s grants more than that: %+v", name, rules)
		}
	}
}
