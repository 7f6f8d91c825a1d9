package controllers

import (
	"context"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/compile"
)

type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]

// AssociateReconciler says on each BusinessAssociate whether its agreement holds and how many tenants use it. Tenants
// judge associates by themselves, from the same pure function: this status is for people.
type AssociateReconciler struct {
	Client client.Client
	Clock  clock.PassiveClock
}

// Reconcile writes the status of one associate.
func (r *AssociateReconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	var all v1alpha1.BusinessAssociateList
	if err := r.Client.List(ctx, &all, client.UnsafeDisableDeepCopy); err != nil {
		return ctrl.Result{}, err
	}
	known := byName(all.Items)
	found, exists := known[req.Name]
	if !exists {
		return ctrl.Result{}, nil
	}
	used, err := r.countUsers(ctx, req.Name)
	if err != nil {
		return ctrl.Result{}, err
	}
	now := r.Clock.Now()
	verdict := compile.JudgeAssociate(found, known, now)
	a := found.DeepCopy()
	describeAssociate(a, verdict, used, now)
	a.Status.ExpiresOn = compile.AssociateExpiry(found, known)
	if !equality.Semantic.DeepEqual(a.Status, found.Status) {
		if err := r.Client.Status().Update(ctx, a, client.FieldOwner(v1alpha1.OperatorName)); err != nil {
			return ctrl.Result{}, err
		}
	}
	if verdict.Next.IsZero() {
		return ctrl.Result{}, nil
	}
	return ctrl.Result{RequeueAfter: max(time.Second, verdict.Next.Sub(now))}, nil
}

func describeAssociate(a *v1alpha1.BusinessAssociate, v compile.Verdict, used int32, now time.Time) {
	a.Status.ObservedGeneration = a.Generation
	a.Status.UsedBy = used
	state := metav1.ConditionFalse
	if v.InForce {
		state = metav1.ConditionTrue
	}
	meta.SetStatusCondition(&a.Status.Conditions, metav1.Condition{
		Type: v1alpha1.ConditionInForce, Status: state, Reason: v.Reason, Message: v.Message,
		ObservedGeneration: a.Generation, LastTransitionTime: metav1.NewTime(now),
	})
}

func (r *AssociateReconciler) countUsers(ctx context.Context, name string) (int32, error) {
	var tenants v1alpha1.HIPAATenantList
	if err := r.Client.List(ctx, &tenants, client.UnsafeDisableDeepCopy); err != nil {
		return 0, err
	}
	var used int32
	for i := range tenants.Items {
		if slices.Contains(tenants.Items[i].Spec.BusinessAssociates, v1alpha1.Name(name)) {
			used++
		}
	}
	return used, nil
}

// SetupWithManager registers the controller. An associate's verdict depends on its subcontractors, so a changed one
// wakes all of them; a changed tenant wakes those it names or named.
func (r *AssociateReconciler) SetupWithManager(mgr ctrl.Manager) error {
	return ctrl.NewControllerManagedBy(mgr).Named("associates").
		Watches(&v1alpha1.BusinessAssociate{}, handler.EnqueueRequestsFromMapFunc(r.everyAssociate),
			builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&v1alpha1.HIPAATenant{}, usedAssociates()).
		Complete(r)
}

func (r *AssociateReconciler) everyAssociate(ctx context.Context, _ client.Object) []reconcile.Request {
	var all v1alpha1.BusinessAssociateList
	if err := r.Client.List(ctx, &all, client.UnsafeDisableDeepCopy); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "listing associates from the cache; their status is written at the next change")
		return nil
	}
	var requests []reconcile.Request
	for i := range all.Items {
		requests = append(requests, requestFor(all.Items[i].Name))
	}
	return requests
}

// countDelay lets a burst of tenants end in one write of the count.
const countDelay = 2 * time.Second

// usedAssociates enqueues the associates that gained or lost a tenant.
func usedAssociates() handler.EventHandler {
	enqueue := func(q queue, lists ...[]v1alpha1.Name) {
		for _, list := range lists {
			for _, name := range list {
				q.AddAfter(requestFor(string(name)), countDelay)
			}
		}
	}
	names := func(obj client.Object) []v1alpha1.Name {
		if t, ok := obj.(*v1alpha1.HIPAATenant); ok {
			return t.Spec.BusinessAssociates
		}
		return nil
	}
	return handler.Funcs{
		CreateFunc: func(_ context.Context, e event.CreateEvent, q queue) { enqueue(q, names(e.Object)) },
		DeleteFunc: func(_ context.Context, e event.DeleteEvent, q queue) { enqueue(q, names(e.Object)) },
		UpdateFunc: func(_ context.Context, e event.UpdateEvent, q queue) {
			if before, after := names(e.ObjectOld), names(e.ObjectNew); !slices.Equal(before, after) {
				enqueue(q, before, after)
			}
		},
	}
}

func requestFor(name string) reconcile.Request {
	return reconcile.Request{NamespacedName: types.NamespacedName{Name: name}}
}
