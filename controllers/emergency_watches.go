package controllers

import (
	"context"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
)

// SetupWithManager registers the controller. It looks again when the access, its tenant or the tenant's profile changes,
// and when somebody touches one of its bindings.
func (r *EmergencyReconciler) SetupWithManager(mgr ctrl.Manager) error {
	changed := predicate.Or(predicate.GenerationChangedPredicate{}, predicate.AnnotationChangedPredicate{})
	return ctrl.NewControllerManagedBy(mgr).Named("emergencyaccesses").
		For(&v1alpha1.EmergencyAccess{}, builder.WithPredicates(changed)).
		Watches(&v1alpha1.HIPAATenant{}, handler.EnqueueRequestsFromMapFunc(r.ofTenant)).
		Watches(&v1alpha1.HIPAAProfile{}, handler.EnqueueRequestsFromMapFunc(r.every), builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&rbacv1.RoleBinding{}, handler.EnqueueRequestsFromMapFunc(func(_ context.Context, obj client.Object) []reconcile.Request {
			if name := obj.GetLabels()[v1alpha1.LabelEmergency]; name != "" {
				return []reconcile.Request{requestFor(name)}
			}
			return nil
		})).
		WithOptions(controller.Options{RateLimiter: emergencyBackoff()}).
		Complete(r)
}

// latest is how long after its end an access may last while writes fail, for as long as the operator runs.
const latest = 10 * time.Second

// emergencyBackoff is how soon a failed attempt is repeated. The default grows to a quarter of an hour: an access that could
// not be opened in one namespace, say for a quota on RoleBindings, would outlast its end by that in the others.
func emergencyBackoff() workqueue.TypedRateLimiter[reconcile.Request] {
	return workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](100*time.Millisecond, latest)
}

func (r *EmergencyReconciler) ofTenant(ctx context.Context, t client.Object) []reconcile.Request {
	return r.those(ctx, func(e *v1alpha1.EmergencyAccess) bool { return string(e.Spec.Tenant) == t.GetName() })
}

func (r *EmergencyReconciler) every(ctx context.Context, _ client.Object) []reconcile.Request {
	return r.those(ctx, func(*v1alpha1.EmergencyAccess) bool { return true })
}

// those that are not over; nothing changes for the others.
func (r *EmergencyReconciler) those(ctx context.Context, keep func(*v1alpha1.EmergencyAccess) bool) []reconcile.Request {
	var list v1alpha1.EmergencyAccessList
	if err := r.Client.List(ctx, &list, client.UnsafeDisableDeepCopy); err != nil {
		unread(ctx, err, "listing emergency accesses from the cache; they are looked at when they are due")
		return nil
	}
	var requests []reconcile.Request
	for i := range list.Items {
		if e := &list.Items[i]; e.Status.EndedAt == nil && keep(e) {
			requests = append(requests, requestFor(e.Name))
		}
	}
	return requests
}
