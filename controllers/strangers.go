package controllers

import (
	"context"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	acrbac "k8s.io/client-go/applyconfigurations/rbac/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/apply"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/compile"
)

// stripOwn is the cache transform of kinds that tenants make too. What carries the operator's label becomes a digest; of the
// rest stays what it opens, because somebody has to judge that. It may be called again on what it returned.
func stripOwn(in any) (any, error) {
	obj, ok := in.(client.Object)
	if !ok {
		return in, nil
	}
	if labelled(obj) {
		return apply.Strip(in)
	}
	obj.SetManagedFields(nil)
	obj.SetAnnotations(nil)
	return obj, nil
}

func labelled(obj client.Object) bool {
	return obj.GetLabels()[v1alpha1.LabelManagedBy] == v1alpha1.OperatorName
}

// readStrangers looks up what stands in the namespaces a tenant names, or has from before, whoever made it. Compile knows what
// is its own.
func (r *TenantReconciler) readStrangers(ctx context.Context, t *v1alpha1.HIPAATenant, f *compile.Facts) error {
	f.Strangers = map[string]compile.Strangers{}
	for _, name := range namespacesOf(t) {
		if _, exists := f.Namespaces[name]; !exists {
			continue
		}
		var (
			policies networkingv1.NetworkPolicyList
			bindings rbacv1.RoleBindingList
			found    = compile.NewStrangers()
		)
		for _, list := range []client.ObjectList{&policies, &bindings} {
			if err := r.Client.List(ctx, list, client.InNamespace(name), client.UnsafeDisableDeepCopy); err != nil {
				return err
			}
		}
		strange := func(obj client.Object) bool {
			if labelled(obj) {
				found.Labelled[apply.RefOf(obj)] = true
			}
			return !labelled(obj)
		}
		for i := range policies.Items {
			if p := &policies.Items[i]; strange(p) {
				found.Policies[p.Name] = p.Spec
			}
		}
		for i := range bindings.Items {
			b := &bindings.Items[i]
			emergency, err := r.ofEmergency(ctx, t, b)
			if err != nil {
				return err
			}
			if !emergency && strange(b) {
				found.Subjects[b.Name] = b.Subjects
			}
		}
		f.Strangers[name] = found
	}
	return nil
}

// ofEmergency says that a role binding is one of an emergency access to the tenant: it has the name, and the owner, that the
// loop of emergency accesses gives it. That loop writes what the binding lets in, and takes it away while nobody may enter.
func (r *TenantReconciler) ofEmergency(ctx context.Context, t *v1alpha1.HIPAATenant, b *rbacv1.RoleBinding) (bool, error) {
	name := b.Labels[v1alpha1.LabelEmergency]
	if name == "" || !labelled(b) {
		return false, nil
	}
	e := &v1alpha1.EmergencyAccess{}
	if err := r.Client.Get(ctx, client.ObjectKey{Name: name}, e); err != nil {
		return false, client.IgnoreNotFound(err)
	}
	owned := slices.ContainsFunc(b.OwnerReferences, func(o metav1.OwnerReference) bool { return o.UID == e.UID })
	return owned && string(e.Spec.Tenant) == t.Name && slices.ContainsFunc(compile.EmergencyBindings(e, b.Namespace),
		func(own *acrbac.RoleBindingApplyConfiguration) bool { return *own.Name == b.Name }), nil
}
