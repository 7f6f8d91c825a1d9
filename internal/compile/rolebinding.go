package compile

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	acrbac "k8s.io/client-go/applyconfigurations/rbac/v1"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
)

const kindRoleBinding = "RoleBinding." + rbacv1.GroupName

// roleBindings binds each role's unexpired subjects to its narrow ClusterRole (45 CFR 164.308(a)(4)(ii)(B)).
func (r *resolved) roleBindings(namespace string, f Facts, p *Plan) {
	subjects := r.subjects(f)
	for _, role := range slices.Sorted(maps.Keys(subjects)) {
		p.write(WaveAccess, v1alpha1.ObjectRef{Kind: kindRoleBinding, Namespace: namespace, Name: bindingName(role)},
			r.roleBinding(role, namespace, subjects[role]))
	}
}

// allRoles a spec can grant.
var allRoles = []v1alpha1.Role{"Developer", "Operator", "Auditor"}

func bindingName(role v1alpha1.Role) string {
	return v1alpha1.RoleBindingPrefix + strings.ToLower(string(role))
}

// subjects of the grants that have not expired.
func (r *resolved) subjects(f Facts) map[v1alpha1.Role][]v1alpha1.Subject {
	subjects := map[v1alpha1.Role][]v1alpha1.Subject{}
	for _, g := range r.tenant.Spec.Roles {
		if !expired(g, f.Now) {
			subjects[g.Role] = append(subjects[g.Role], g.Subjects...)
		}
	}
	return subjects
}

func (r *resolved) roleBinding(role v1alpha1.Role, namespace string, subjects []v1alpha1.Subject) *acrbac.RoleBindingApplyConfiguration {
	return acrbac.RoleBinding(bindingName(role), namespace).
		WithLabels(managedLabels(r.tenant.Name)).
		WithRoleRef(acrbac.RoleRef().WithAPIGroup(rbacv1.GroupName).WithKind("ClusterRole").
			WithName(v1alpha1.ClusterRolePrefix + strings.ToLower(string(role)))).
		WithSubjects(bindingSubjects(subjects)...)
}

func bindingSubjects(list []v1alpha1.Subject) []*acrbac.SubjectApplyConfiguration {
	sorted := slices.SortedFunc(slices.Values(list), func(a, b v1alpha1.Subject) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	var out []*acrbac.SubjectApplyConfiguration
	for _, s := range slices.Compact(sorted) {
		subject := acrbac.Subject().WithKind(string(s.Kind)).WithName(s.Name)
		if s.Kind == rbacv1.ServiceAccountKind {
			subject.WithNamespace(string(s.Namespace))
		} else {
			subject.WithAPIGroup(rbacv1.GroupName)
		}
		out = append(out, subject)
	}
	return out
}
