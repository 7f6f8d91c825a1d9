package controllers

import (
	"context"
	"slices"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/apply"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/compile"
)

// closeFirst gives up the network policies that only open something and are not wanted any more, where deny-all stands
// without them, before anything else is done, and says whether there were any. An agreement that ends may close them to every
// tenant at once: the rest of the work for the first tenants has to wait until they are closed to the last.
func (r *TenantReconciler) closeFirst(ctx context.Context, t *v1alpha1.HIPAATenant, plan *compile.Plan) bool {
	if !plan.Writable() && !plan.Narrows() {
		return false
	}
	var obsolete []v1alpha1.ObjectRef
	for _, ref := range t.Status.Inventory {
		if compile.IsPolicy(ref) && compile.Opens(ref) && !plan.Owns(ref) && r.Applier.Stands(ctx, plan, compile.DenyAll(ref.Namespace)) {
			obsolete = append(obsolete, ref)
		}
	}
	return r.Applier.Close(ctx, obsolete, apply.Parent{Label: v1alpha1.LabelTenant, Value: t.Name})
}

// closable are those of the objects that may go although something could not be written: they open something, and deny-all stands in
// their namespace.
func closable(refs []v1alpha1.ObjectRef, result apply.Result) []v1alpha1.ObjectRef {
	return slices.DeleteFunc(slices.Clone(refs), func(ref v1alpha1.ObjectRef) bool { return !compile.Opens(ref) || !denied(ref.Namespace, result) })
}

// denied says that deny-all stands in a namespace: without it, the last policy to go would open everything.
func denied(namespace string, result apply.Result) bool {
	_, stands := result.UIDs[compile.DenyAll(namespace)]
	return stands
}
