package controllers

import (
	"context"
	"errors"
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
		noteExpiry(associateExpiry, req.Name, "")
		return ctrl.Result{}, nil
	}
	used, every, err := r.users(ctx, req.Name, known)
	if err != nil {
		return ctrl.Result{}, err
	}
	now := r.Clock.Now()
	verdict := compile.JudgeAssociate(found, known, every, now)
	a := found.DeepCopy()
	describeAssociate(a, verdict, used, now)
	a.Status.ExpiresOn = compile.AssociateExpiry(found, known)
	noteExpiry(associateExpiry, a.Name, a.Status.ExpiresOn)
	if !equality.Semantic.DeepEqual(a.Status, found.Status) {
		if err := r.Client.Status().Update(ctx, a, client.FieldOwner(v1alpha1.OperatorName)); err != nil {
			return ctrl.Result{}, err
		}
	}
	return ctrl.Result{RequeueAfter: until(verdict.Next, now)}, nil
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

// users counts the tenants that name an associate, and says how often it must be verified: as the strictest profile asks
// of those whose tenants depend on it. A profile without such a tenant has no say.
func (r *AssociateReconciler) users(ctx context.Context, name string, known map[string]*v1alpha1.BusinessAssociate) (used int32, every time.Duration, err error) {
	var tenants v1alpha1.HIPAATenantList
	if err := r.Client.List(ctx, &tenants, client.UnsafeDisableDeepCopy); err != nil {
		return 0, 0, err
	}
	profiles, err := profilesOf(ctx, r.Client)
	if err != nil {
		return 0, 0, err
	}
	dependants := compile.Dependants(name, known)
	for i := range tenants.Items {
		t := &tenants.Items[i]
		if slices.Contains(t.Spec.BusinessAssociates, v1alpha1.Name(name)) {
			used++
		}
		if p := profiles[compile.ProfileName(t)]; compile.Uses(t, p, dependants) {
			every = compile.Stricter(every, compile.ReverifyEvery(p))
		}
	}
	return used, every, nil
}

// profilesOf the cluster, by name.
func profilesOf(ctx context.Context, c client.Reader) (map[string]*v1alpha1.HIPAAProfile, error) {
	var list v1alpha1.HIPAAProfileList
	if err := c.List(ctx, &list, client.UnsafeDisableDeepCopy); err != nil {
		return nil, err
	}
	m := make(map[string]*v1alpha1.HIPAAProfile, len(list.Items))
	for i := range list.Items {
		m[list.Items[i].Name] = &list.Items[i]
	}
	return m, nil
}

// SetupWithManager registers the controller. An associate's verdict depends on its subcontractors and on the profiles of
// those who use it, so a change of either wakes all of them; a changed tenant wakes those it depends on or did.
func (r *AssociateReconciler) SetupWithManager(mgr ctrl.Manager) error {
	return ctrl.NewControllerManagedBy(mgr).Named("associates").
		Watches(&v1alpha1.BusinessAssociate{}, handler.EnqueueRequestsFromMapFunc(r.everyAssociate),
			builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&v1alpha1.HIPAAProfile{}, handler.EnqueueRequestsFromMapFunc(r.everyAssociate),
			builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&v1alpha1.HIPAATenant{}, r.usedAssociates()).
		Complete(r)
}

func (r *AssociateReconciler) everyAssociate(ctx context.Context, _ client.Object) []reconcile.Request {
	var all v1alpha1.BusinessAssociateList
	if err := r.Client.List(ctx, &all, client.UnsafeDisableDeepCopy); err != nil {
		unread(ctx, err, "listing associates from the cache; their status is written at the next change")
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
func (r *AssociateReconciler) usedAssociates() handler.EventHandler {
	enqueue := func(ctx context.Context, q queue, tenants ...client.Object) {
		for _, t := range tenants {
			for _, name := range r.reached(ctx, t) {
				q.AddAfter(requestFor(name), countDelay)
			}
		}
	}
	return handler.Funcs{
		CreateFunc: func(ctx context.Context, e event.CreateEvent, q queue) { enqueue(ctx, q, e.Object) },
		DeleteFunc: func(ctx context.Context, e event.DeleteEvent, q queue) { enqueue(ctx, q, e.Object) },
		UpdateFunc: func(ctx context.Context, e event.UpdateEvent, q queue) {
			if dependsElsewhere(e.ObjectOld, e.ObjectNew) {
				enqueue(ctx, q, e.ObjectOld, e.ObjectNew)
			}
		},
	}
}

// dependsElsewhere says that a tenant may have come to depend on other associates, or on the same by other rules.
func dependsElsewhere(before, after client.Object) bool {
	was, ok := before.(*v1alpha1.HIPAATenant)
	is, also := after.(*v1alpha1.HIPAATenant)
	return ok && also && (!slices.Equal(was.Spec.BusinessAssociates, is.Spec.BusinessAssociates) || was.Spec.Profile != is.Spec.Profile ||
		was.Spec.Region != is.Spec.Region || !slices.Equal(was.Spec.FailoverRegions, is.Spec.FailoverRegions))
}

// reached are the associates a tenant depends on.
func (r *AssociateReconciler) reached(ctx context.Context, obj client.Object) []string {
	t, ok := obj.(*v1alpha1.HIPAATenant)
	if !ok {
		return nil
	}
	var all v1alpha1.BusinessAssociateList
	err := r.Client.List(ctx, &all, client.UnsafeDisableDeepCopy)
	profiles, failed := profilesOf(ctx, r.Client)
	if err = errors.Join(err, failed); err != nil {
		unread(ctx, err, "reading profiles and associates from the cache; the status of those used is written at the next change")
		return nil
	}
	return compile.Reached(t, profiles[compile.ProfileName(t)], byName(all.Items))
}

func requestFor(name string) reconcile.Request {
	return reconcile.Request{NamespacedName: types.NamespacedName{Name: name}}
}
