package controllers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	ctrlsource "sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/apply"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/compile"
)

// SetupWithManager registers the controller and everything that wakes it: tenants, profiles, associates, every object
// it owns (drift), pods and volumes that are not where they should be, and the state of the cluster.
func (r *TenantReconciler) SetupWithManager(mgr ctrl.Manager) error {
	for name, values := range tenantIndexes() {
		if err := mgr.GetFieldIndexer().IndexField(context.Background(), &v1alpha1.HIPAATenant{}, name, values); err != nil {
			return err
		}
	}
	watchKMS(r.Keys)
	changed := predicate.Or(predicate.GenerationChangedPredicate{}, predicate.AnnotationChangedPredicate{})
	b := ctrl.NewControllerManagedBy(mgr).Named("tenants").
		For(&v1alpha1.HIPAATenant{}, builder.WithPredicates(changed)).
		Watches(&v1alpha1.HIPAAProfile{}, handler.EnqueueRequestsFromMapFunc(r.usersOfProfile), builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&v1alpha1.BusinessAssociate{}, handler.EnqueueRequestsFromMapFunc(r.usersOfAssociate), builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&v1alpha1.HIPAATenant{}, handler.EnqueueRequestsFromMapFunc(r.partners), builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		WatchesRawSource(ctrlsource.Channel(r.State.changed, handler.EnqueueRequestsFromMapFunc(r.everyTenant))).
		WatchesRawSource(r.Placement).
		WatchesRawSource(extensionSource{r}).
		WithOptions(controller.Options{MaxConcurrentReconciles: r.Concurrency, LogConstructor: tenantLog(mgr.GetLogger())})
	for _, kind := range apply.Kinds() {
		b = b.Watches(kind, handler.EnqueueRequestsFromMapFunc(r.concerned), builder.WithPredicates(r.drift()))
	}
	return b.Complete(r)
}

// drift lets through what somebody else did to an owned object, and holds back the echo of the operator's own writes.
func (r *TenantReconciler) drift() predicate.Predicate {
	return predicate.Funcs{
		CreateFunc: func(e event.CreateEvent) bool { return !r.Applier.Echo(e.Object) },
		UpdateFunc: func(e event.UpdateEvent) bool { return r.Applier.Changed(e.ObjectOld, e.ObjectNew) },
		DeleteFunc: func(e event.DeleteEvent) bool {
			r.Applier.Gone(e.Object)
			return true
		},
	}
}

// concerned are the tenant an object's label names and the one in whose namespace it stands. They differ when somebody
// else wrote the label, or took it off.
func (r *TenantReconciler) concerned(ctx context.Context, obj client.Object) []reconcile.Request {
	requests := tenantOf(ctx, obj)
	host := &corev1.Namespace{}
	if obj.GetNamespace() == "" || r.Client.Get(ctx, client.ObjectKey{Name: obj.GetNamespace()}, host) != nil {
		return requests // the cache holds the namespaces of tenants only
	}
	return append(requests, tenantOf(ctx, host)...)
}

func tenantOf(_ context.Context, obj client.Object) []reconcile.Request {
	tenant := obj.GetLabels()[v1alpha1.LabelTenant]
	if tenant == "" {
		return nil
	}
	return []reconcile.Request{requestFor(tenant)}
}

func (r *TenantReconciler) usersOfProfile(ctx context.Context, obj client.Object) []reconcile.Request {
	return r.tenants(ctx, func(t *v1alpha1.HIPAATenant) bool { return compile.ProfileName(t) == obj.GetName() })
}

// usersOfAssociate are the tenants that depend on an associate, be it through subcontractors or as the provider of a region.
func (r *TenantReconciler) usersOfAssociate(ctx context.Context, obj client.Object) []reconcile.Request {
	var all v1alpha1.BusinessAssociateList
	err := r.Client.List(ctx, &all, client.UnsafeDisableDeepCopy)
	profiles, failed := profilesOf(ctx, r.Client)
	if err = errors.Join(err, failed); err != nil {
		unread(ctx, err, "reading profiles and associates from the cache; every tenant is reconciled")
		return r.everyTenant(ctx, obj)
	}
	dependants := compile.Dependants(obj.GetName(), byName(all.Items))
	return r.tenants(ctx, func(t *v1alpha1.HIPAATenant) bool {
		return compile.Uses(t, profiles[compile.ProfileName(t)], dependants)
	})
}

func (r *TenantReconciler) everyTenant(ctx context.Context, _ client.Object) []reconcile.Request {
	return r.tenants(ctx, func(*v1alpha1.HIPAATenant) bool { return true })
}

func (r *TenantReconciler) tenants(ctx context.Context, keep func(*v1alpha1.HIPAATenant) bool) []reconcile.Request {
	var list v1alpha1.HIPAATenantList
	if err := r.Client.List(ctx, &list, client.UnsafeDisableDeepCopy); err != nil {
		unread(ctx, err, "listing tenants from the cache; those affected are reconciled at the next change")
		return nil
	}
	var requests []reconcile.Request
	for i := range list.Items {
		if keep(&list.Items[i]) {
			requests = append(requests, requestFor(list.Items[i].Name))
		}
	}
	return requests
}

// tell records as events what a reader of the tenant should act on or know: findings that keep it from being honoured,
// and drift that was repaired. What is found of the cluster as a whole is not told once for each tenant.
func (r *TenantReconciler) tell(t *v1alpha1.HIPAATenant, d decision) {
	for _, f := range d.plan.Findings {
		if kind := toldAs(f); kind != "" && !slices.Contains(d.before.Findings, f) {
			r.Recorder.Eventf(t, nil, kind, f.Code, "Reconcile", "%s: %s", f.Path, f.Message)
		}
	}
	r.tellRenewals(t, d)
	if repaired := d.repaired(); !d.plan.Narrows() && drifted(t, d) && len(repaired) > 0 {
		r.Recorder.Eventf(t, nil, corev1.EventTypeWarning, "DriftRepaired", "Reconcile",
			"brought back in line: %s", describe(repaired))
		for _, ref := range repaired {
			driftRepairs.WithLabelValues(ref.Kind).Inc()
		}
	}
	if d.inputs.Err == nil && d.plan.Writable() {
		r.keysChanged(t, d.keys.changes)
	}
}

// Reasons of events about agreements that are in force again.
const (
	reasonBAARenewed       = "BAARenewed"
	reasonAssociateRenewed = "AssociateRenewed"
)

// tellRenewals records that an agreement is in force again, and that what its lapse had closed is back.
func (r *TenantReconciler) tellRenewals(t *v1alpha1.HIPAATenant, d decision) {
	if d.inputs.Err != nil || !d.plan.Writable() {
		return
	}
	for _, f := range d.before.Findings {
		if f.Code == compile.CodeBAALapsed && d.plan.Agreement.InForce {
			r.Recorder.Eventf(t, nil, corev1.EventTypeNormal, reasonBAARenewed, "Reconcile", "%s: the agreement is %s", f.Path, d.plan.Agreement.Message)
		}
		for _, name := range d.plan.Effective.BusinessAssociates {
			if f.Code == compile.CodeAssociateNotInForce && strings.HasPrefix(f.Message, "egress to "+name+" stays closed") {
				r.Recorder.Eventf(t, nil, corev1.EventTypeNormal, reasonAssociateRenewed, "Reconcile", "%s: egress to %s is open again", f.Path, name)
			}
		}
	}
}

// toldAs is the type of a finding's event; empty when it is not told. That access ended is told although all is as it should be.
func toldAs(f v1alpha1.Finding) string {
	switch {
	case f.Code == compile.CodeGrantExpired:
		return corev1.EventTypeNormal
	case f.Severity == v1alpha1.SeverityInfo || compile.OfCluster(f):
		return ""
	}
	return corev1.EventTypeWarning
}

// repaired is what was written, but for what was never written before, because an API for it has come, and for the keysets
// that have a life of their own.
func (d decision) repaired() []v1alpha1.ObjectRef {
	return slices.DeleteFunc(slices.Clone(d.written), func(ref v1alpha1.ObjectRef) bool {
		return !slices.Contains(d.before.Inventory, ref) || ref.Kind == "Secret" && ref.Name == v1alpha1.SecretKeyset && d.keys.replaced[ref.Namespace]
	})
}

// drifted says that what was written was not asked for by a new spec or profile, nor by a date that passed, and is not the rest
// of an attempt that did not finish.
func drifted(t *v1alpha1.HIPAATenant, d decision) bool {
	ready := meta.FindStatusCondition(d.before.Conditions, v1alpha1.ConditionReady)
	unfinished := []string{v1alpha1.ReasonProgressing, v1alpha1.ReasonFailed, v1alpha1.ReasonWaiting, v1alpha1.ReasonSuspended}
	return d.before.ObservedGeneration == t.Generation && ready != nil && !slices.Contains(unfinished, ready.Reason) &&
		equality.Semantic.DeepEqual(d.before.Effective, d.plan.Effective) && slices.Equal(ofDates(d.before.Findings), ofDates(d.plan.Findings))
}

// ofDates are the findings that come and go with a date, and have objects written: a grant, an agreement or one of a vendor ends
// or is renewed.
func ofDates(findings []v1alpha1.Finding) []v1alpha1.Finding {
	dated := []string{compile.CodeGrantExpired, compile.CodeBAALapsed, compile.CodeAssociateNotInForce, compile.CodeRegionProviderLapsed}
	return slices.DeleteFunc(slices.Clone(findings), func(f v1alpha1.Finding) bool { return !slices.Contains(dated, f.Code) })
}

func describe(refs []v1alpha1.ObjectRef) string {
	const most = 5
	text := ""
	for i, ref := range refs {
		if i == most {
			return text + fmt.Sprintf(" and %d more", len(refs)-most)
		}
		if i > 0 {
			text += ", "
		}
		text += ref.Kind + " " + ref.Namespace + "/" + ref.Name
	}
	return text
}
