package controllers

import (
	"context"

	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/compile"
)

// openings are the tenant's objects that open something, as the API server gave them.
type openings map[v1alpha1.ObjectRef]client.Object

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
