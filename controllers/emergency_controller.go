package controllers

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/apply"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/audit"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/compile"
)

// EmergencyReconciler opens and closes emergency accesses (45 CFR 164.312(a)(2)(ii)). It does not depend on the tenant
// being honoured: an access ends on time also while the tenant's spec is invalid or suspended.
type EmergencyReconciler struct {
	Client   client.Client
	Live     client.Reader
	Applier  *apply.Applier
	State    *ClusterState
	Recorder events.EventRecorder
	Clock    clock.PassiveClock
	Audit    audit.Trail

	// granted has the accesses this process saw granted, by name, for the record of their revocation: when an access is
	// deleted, the garbage collector may have taken its bindings already.
	granted sync.Map
}

// Reconcile opens or closes one access. The end is written down before the access begins, so that a crash in between
// cannot prolong it.
func (r *EmergencyReconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	e := &v1alpha1.EmergencyAccess{}
	if err := r.Live.Get(ctx, req.NamespacedName, e); err != nil {
		if client.IgnoreNotFound(err) != nil {
			return ctrl.Result{}, err
		}
		return ctrl.Result{}, r.revoked(ctx, req.Name)
	}
	ctx = ctrl.LoggerInto(ctx, ctrl.LoggerFrom(ctx).WithValues("tenant", e.Spec.Tenant))
	t, p, err := r.subject(ctx, e)
	if err != nil {
		return ctrl.Result{}, err
	}
	now := r.Clock.Now()
	v := r.trust(compile.JudgeEmergency(e, t, p, now), e, now)
	if v.Active {
		err = r.open(ctx, e, t, v)
	} else {
		err = r.close(ctx, e, v)
	}
	if err != nil || v.Next.IsZero() {
		return ctrl.Result{}, err
	}
	return ctrl.Result{RequeueAfter: max(time.Second, v.Next.Sub(now))}, nil
}

// unguarded is how often an approved access is looked at again while it waits for the admission policies.
const unguarded = 5 * time.Second

// trust holds back an access that would begin while the admission policies are not as shipped: its stamps may be forged.
func (r *EmergencyReconciler) trust(v compile.EmergencyVerdict, e *v1alpha1.EmergencyAccess, now time.Time) compile.EmergencyVerdict {
	if !v.Active || e.Status.ApprovedAt != nil || r.State.Known() && len(r.State.Admission()) == 0 {
		return v
	}
	return compile.EmergencyVerdict{
		Reason: v1alpha1.ReasonNotPossible, Next: now.Add(unguarded),
		Message: "the admission policies, which stamp who asked and who approved, are not in force; see condition AdmissionEnforced of the tenant",
	}
}

// subject reads the tenant and its profile; nil for what does not exist.
func (r *EmergencyReconciler) subject(ctx context.Context, e *v1alpha1.EmergencyAccess) (*v1alpha1.HIPAATenant, *v1alpha1.HIPAAProfile, error) {
	t, p := &v1alpha1.HIPAATenant{}, &v1alpha1.HIPAAProfile{}
	if err := r.Client.Get(ctx, client.ObjectKey{Name: string(e.Spec.Tenant)}, t); err != nil {
		return nil, nil, client.IgnoreNotFound(err)
	}
	if err := r.Client.Get(ctx, client.ObjectKey{Name: compile.ProfileName(t)}, p); err != nil {
		return t, nil, client.IgnoreNotFound(err)
	}
	return t, p, nil
}

func (r *EmergencyReconciler) open(ctx context.Context, e *v1alpha1.EmergencyAccess, t *v1alpha1.HIPAATenant, v compile.EmergencyVerdict) error {
	if e.Status.ApprovedAt == nil {
		started := e.Status.DeepCopy()
		started.TenantUID = t.UID
		started.ApprovedAt, started.ExpiresAt = new(metav1.NewTime(v.ApprovedAt)), new(metav1.NewTime(v.ExpiresAt))
		if err := r.writeStatus(ctx, e, *started); err != nil {
			return err
		}
		// The API server keeps whole seconds; what it keeps counts.
		v.ApprovedAt, v.ExpiresAt = e.Status.ApprovedAt.Time, e.Status.ExpiresAt.Time
	}
	namespaces, err := r.namespaces(ctx, t)
	if err != nil {
		return err
	}
	plan := &bindings{}
	for _, namespace := range namespaces {
		for _, b := range compile.EmergencyBindings(e, namespace) {
			plan.list = append(plan.list, b)
		}
	}
	if _, err := r.Applier.Apply(ctx, plan); err != nil {
		return fmt.Errorf("binding %s: %w", e.Annotations[v1alpha1.AnnotationRequestedBy], err)
	}
	if err := r.prune(ctx, e.Name, func(b *rbacv1.RoleBinding) bool { return !slices.Contains(namespaces, b.Namespace) }); err != nil {
		return err
	}
	return r.conclude(ctx, e, v, namespaces)
}

func (r *EmergencyReconciler) close(ctx context.Context, e *v1alpha1.EmergencyAccess, v compile.EmergencyVerdict) error {
	if err := r.prune(ctx, e.Name, func(*rbacv1.RoleBinding) bool { return true }); err != nil {
		return err
	}
	if e.DeletionTimestamp != nil {
		return nil
	}
	return r.conclude(ctx, e, v, nil)
}

// revoked takes away what a deleted access left behind. The garbage collector does the same.
func (r *EmergencyReconciler) revoked(ctx context.Context, name string) error {
	tenant, reason := "", "the object was deleted"
	err := r.prune(ctx, name, func(b *rbacv1.RoleBinding) bool {
		tenant = b.Labels[v1alpha1.LabelTenant]
		return true
	})
	if err != nil {
		return err
	}
	if known, granted := r.granted.LoadAndDelete(name); granted {
		e := known.(*v1alpha1.EmergencyAccess)
		tenant, reason = string(e.Spec.Tenant), "the object was deleted while it let in "+e.Annotations[v1alpha1.AnnotationRequestedBy]
	}
	if tenant == "" {
		return nil
	}
	r.Audit(ctx, audit.Record{
		Time: r.Clock.Now(), Actor: "see the API server's audit log", Tenant: tenant, Action: "EmergencyAccessRevoked",
		Subject: "EmergencyAccess " + name, Reason: reason,
	})
	return nil
}

// prune deletes RoleBindings of an access.
func (r *EmergencyReconciler) prune(ctx context.Context, name string, which func(*rbacv1.RoleBinding) bool) error {
	var list rbacv1.RoleBindingList
	if err := r.Client.List(ctx, &list, client.MatchingLabels{v1alpha1.LabelEmergency: name}); err != nil {
		return err
	}
	var refs []v1alpha1.ObjectRef
	for i := range list.Items {
		// The prefix is reserved for the operator, the label is not: somebody's own binding is left alone.
		if b := &list.Items[i]; strings.HasPrefix(b.Name, v1alpha1.EmergencyBindingPrefix) && which(b) {
			refs = append(refs, apply.RefOf(b))
		}
	}
	_, err := r.Applier.Prune(ctx, refs, apply.Parent{Label: v1alpha1.LabelEmergency, Value: name})
	return err
}

// namespaces that belong to the tenant now, sorted.
func (r *EmergencyReconciler) namespaces(ctx context.Context, t *v1alpha1.HIPAATenant) ([]string, error) {
	var list corev1.NamespaceList
	if err := r.Client.List(ctx, &list, client.MatchingLabels{v1alpha1.LabelTenant: t.Name}); err != nil {
		return nil, err
	}
	var names []string
	for i := range list.Items {
		ns := &list.Items[i]
		if ns.DeletionTimestamp == nil && ns.Annotations[v1alpha1.AnnotationTenantUID] == string(t.UID) {
			names = append(names, ns.Name)
		}
	}
	slices.Sort(names)
	return names, nil
}

// conclude writes the status if it changed, and tells about the change.
func (r *EmergencyReconciler) conclude(ctx context.Context, e *v1alpha1.EmergencyAccess, v compile.EmergencyVerdict, namespaces []string) error {
	before := meta.FindStatusCondition(e.Status.Conditions, v1alpha1.ConditionActive)
	was := ""
	if before != nil {
		was = before.Reason
	}
	now := r.Clock.Now()
	want := describeEmergency(e, v, now)
	want.Namespaces = nil
	for _, n := range namespaces {
		want.Namespaces = append(want.Namespaces, v1alpha1.Name(n))
	}
	if err := r.writeStatus(ctx, e, want); err != nil {
		return err
	}
	if v.Active {
		r.granted.Store(e.Name, e.DeepCopy())
	} else {
		r.granted.Delete(e.Name)
	}
	if was == v.Reason {
		return nil
	}
	r.tell(ctx, e, v, now)
	return nil
}

// describeEmergency is the status of a verdict.
func describeEmergency(e *v1alpha1.EmergencyAccess, v compile.EmergencyVerdict, now time.Time) v1alpha1.EmergencyAccessStatus {
	s := *e.Status.DeepCopy()
	s.ObservedGeneration = e.Generation
	s.RequestedBy, s.ApprovedBy = e.Annotations[v1alpha1.AnnotationRequestedBy], e.Annotations[v1alpha1.AnnotationApprovedBy]
	if !v.ExpiresAt.IsZero() {
		s.ExpiresAt = new(metav1.NewTime(v.ExpiresAt))
	}
	if v.Over && s.EndedAt == nil {
		s.EndedAt = new(metav1.NewTime(now))
	}
	state := metav1.ConditionFalse
	if v.Active {
		state = metav1.ConditionTrue
	}
	meta.SetStatusCondition(&s.Conditions, metav1.Condition{
		Type: v1alpha1.ConditionActive, Status: state, Reason: v.Reason, Message: v.Message,
		ObservedGeneration: e.Generation, LastTransitionTime: metav1.NewTime(now),
	})
	return s
}

func (r *EmergencyReconciler) writeStatus(ctx context.Context, e *v1alpha1.EmergencyAccess, want v1alpha1.EmergencyAccessStatus) error {
	if equality.Semantic.DeepEqual(e.Status, want) {
		return nil
	}
	e.Status = want
	return r.Client.Status().Update(ctx, e, client.FieldOwner(v1alpha1.OperatorName))
}

// tell records what happened, for people (events) and for the record (audit).
func (r *EmergencyReconciler) tell(ctx context.Context, e *v1alpha1.EmergencyAccess, v compile.EmergencyVerdict, now time.Time) {
	action, actor, kind := "EmergencyAccessRequested", e.Annotations[v1alpha1.AnnotationRequestedBy], corev1.EventTypeNormal
	switch {
	case v.Active:
		action, actor, kind = "EmergencyAccessGranted", e.Annotations[v1alpha1.AnnotationApprovedBy], corev1.EventTypeWarning
	case v.Reason == v1alpha1.ReasonDenied:
		action, actor, kind = "EmergencyAccessDenied", v1alpha1.OperatorName, corev1.EventTypeWarning
	case v.Over:
		action, actor = "EmergencyAccessEnded", v1alpha1.OperatorName
	case v.Reason == v1alpha1.ReasonNotPossible:
		action, kind = "EmergencyAccessNotPossible", corev1.EventTypeWarning
	}
	r.Recorder.Eventf(e, nil, kind, action, "Reconcile", "tenant %s: %s", e.Spec.Tenant, v.Message)
	r.Audit(ctx, audit.Record{
		Time: now, Actor: actor, Tenant: string(e.Spec.Tenant), Action: action,
		Subject: "EmergencyAccess " + e.Name, Reason: e.Spec.Reason + "; " + v.Message,
	})
}

// bindings are a plan of one wave.
type bindings struct{ list []runtime.ApplyConfiguration }

// Waves has one wave.
func (b *bindings) Waves() [][]runtime.ApplyConfiguration {
	return [][]runtime.ApplyConfiguration{b.list}
}

// Births is never: a binding of the name is brought in line.
func (*bindings) Births(v1alpha1.ObjectRef) bool { return false }
