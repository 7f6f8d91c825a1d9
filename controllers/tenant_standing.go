package controllers

import (
	"context"
	"errors"
	"fmt"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/apply"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/compile"
)

// openings are the tenant's objects that open something, as the API server gave them.
type openings map[v1alpha1.ObjectRef]client.Object

// narrow leaves of what opens the tenant's namespaces what is still permitted, where a failure kept its plan from being written to
// the end. What it takes away whole is written anew once the failure is gone, so it stays in the inventory.
func (r *TenantReconciler) narrow(ctx context.Context, t *v1alpha1.HIPAATenant) error {
	facts, err := r.readFacts(ctx, t, live)
	if err != nil {
		return fmt.Errorf("reading facts: %w", err)
	}
	if facts.Standing, err = r.readStanding(ctx, t, facts); err != nil {
		return fmt.Errorf("reading what stands: %w", err)
	}
	plan := compile.Narrow(t, facts)
	if !plan.Closes() {
		return nil
	}
	result, err := r.Applier.Apply(ctx, plan)
	gone := closable(slices.DeleteFunc(slices.Clone(t.Status.Inventory), plan.Owns), result)
	_, pruneErr := r.Applier.Prune(ctx, gone, apply.Parent{Label: v1alpha1.LabelTenant, Value: t.Name})
	return errors.Join(err, pruneErr)
}

// readStanding reads what the tenant's own objects open. The cache holds digests of them only, so the API server is asked,
// once for each version: a tenant whose spec cannot be honoured may wait for long.
func (r *TenantReconciler) readStanding(ctx context.Context, t *v1alpha1.HIPAATenant, f compile.Facts) (map[string]compile.Standing, error) {
	before, after := openings{}, openings{}
	if known, found := r.standing.Load(t.Name); found {
		before = known.(openings)
	}
	stand := map[string]compile.Standing{}
	for _, namespace := range compile.Owned(t, f) {
		stand[namespace] = compile.NewStanding()
	}
	for _, ref := range t.Status.Inventory {
		s, owned := stand[ref.Namespace]
		if !owned || !compile.Narrowed(ref) {
			continue
		}
		obj, err := r.opening(ctx, ref, before[ref])
		switch {
		case apierrors.IsNotFound(err):
			continue
		case err != nil:
			return nil, err
		}
		after[ref], s.Versions[ref] = obj, obj.GetResourceVersion()
		switch o := obj.(type) {
		case *networkingv1.NetworkPolicy:
			s.Policies[ref.Name] = o.Spec
		case *rbacv1.RoleBinding:
			s.Subjects[ref.Name] = o.Subjects
		}
	}
	r.standing.Store(t.Name, after)
	return stand, nil
}

// opening is an object with its body: the one read before, when the cache shows no other version.
func (r *TenantReconciler) opening(ctx context.Context, ref v1alpha1.ObjectRef, before client.Object) (client.Object, error) {
	empty := func() client.Object {
		if compile.IsPolicy(ref) {
			return &networkingv1.NetworkPolicy{}
		}
		return &rbacv1.RoleBinding{}
	}
	key := client.ObjectKey{Namespace: ref.Namespace, Name: ref.Name}
	shown := empty()
	if err := r.Client.Get(ctx, key, shown); client.IgnoreNotFound(err) != nil {
		return nil, err
	}
	if before != nil && before.GetResourceVersion() == shown.GetResourceVersion() {
		return before, nil
	}
	obj := empty()
	err := r.Live.Get(ctx, key, obj)
	return obj, err
}
