package controllers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/handler"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/apply"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/compile"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/status"
)

// How soon to look again when no watch will tell.
const (
	retryWaiting = 10 * time.Second      // a namespace that terminates, a KMS that is down
	retryRefused = time.Minute           // a KMS that says no, or a namespace of somebody else: until people have acted
	retryStale   = 50 * time.Millisecond // the cache has not seen the last status write
	confirmAfter = 10 * time.Second      // that the cache has seen the last writes
)

// TenantReconciler keeps tenants as their specs ask.
type TenantReconciler struct {
	// Client reads from the cache and writes tenants.
	Client client.Client
	// Live reads from the API server, where the cache does not hold an object or must not be believed.
	Live client.Reader
	// Applier writes children.
	Applier *apply.Applier
	// Keys makes data keys.
	Keys *keyring.Ring
	// State of the cluster.
	State *ClusterState
	// Placement knows where pods and volumes are.
	Placement *Placement
	// Extensions knows which optional APIs are served.
	Extensions *Extensions
	// Recorder of events.
	Recorder events.EventRecorder
	// Clock agreements are judged by.
	Clock clock.PassiveClock
	// ClusterUID is the UID of namespace kube-system; keysets are bound to it.
	ClusterUID string
	// OperatorNamespace holds tombstones and may not belong to a tenant.
	OperatorNamespace string
	// ProbeNamespace may not belong to a tenant either.
	ProbeNamespace string
	// Concurrency is the number of tenants reconciled side by side.
	Concurrency int

	lastWrites sync.Map // tenant UID -> resource version of the last status write
	evictions  sync.Map // tenant UID -> *eviction
	standing   sync.Map // tenant name -> what its objects open, while its spec cannot be honoured
	doomed     sync.Map // tenant UID -> doomedKey, while it is destroyed
	crossing   crossing // of reconciles that may use a key
}

// Reconcile brings one tenant in line with its spec. A conflict says that somebody else wrote at the same time: it is
// no error, the next attempt sees what they wrote.
func (r *TenantReconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	result, err := r.reconcile(ctx, req)
	if all(err, apierrors.IsConflict) {
		ctrl.LoggerFrom(ctx).V(1).Info("somebody else wrote at the same time; trying again", "conflict", err.Error())
		return ctrl.Result{RequeueAfter: retryStale}, nil
	}
	return result, err
}

func (r *TenantReconciler) reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	t := &v1alpha1.HIPAATenant{}
	if err := r.Client.Get(ctx, req.NamespacedName, t); err != nil {
		r.Placement.forget(req.Name)
		r.standing.Delete(req.Name)
		noteExpiry(tenantExpiry, req.Name, "")
		tenantStates.forget(req.Name)
		forgetKeys(req.Name)
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if !r.State.Known() {
		return ctrl.Result{}, nil // every tenant is reconciled when it is
	}
	if r.stale(t) {
		return ctrl.Result{RequeueAfter: retryStale}, nil
	}
	noteExpiry(tenantExpiry, t.Name, t.Spec.BAA.ExpiresOn)
	t = t.DeepCopy()
	switch {
	case !t.DeletionTimestamp.IsZero():
		return r.delete(ctx, t)
	case t.Spec.Suspend:
		r.Placement.judged(t.Name, &compile.Plan{})
		return ctrl.Result{}, r.writeStatus(ctx, t, status.Suspend(t, r.Clock.Now()))
	}
	if err := r.ensureFinalizer(ctx, t); err != nil {
		return ctrl.Result{}, err
	}
	before := t.Status
	leave := r.crossing.enter()
	defer leave()
	d, err := r.decide(ctx, t, cached)
	if err != nil {
		return ctrl.Result{}, err
	}
	if r.closeFirst(ctx, t, d.plan) {
		return ctrl.Result{RequeueAfter: time.Millisecond, Priority: new(handler.LowPriority)}, nil
	}
	err = r.act(ctx, t, &d)
	if some(err, apierrors.IsAlreadyExists) {
		if d, err = r.decide(ctx, t, live); err != nil {
			return ctrl.Result{}, err
		}
		err = r.act(ctx, t, &d)
	}
	r.Placement.judged(t.Name, d.plan)
	d.inputs.Err = err
	if err := r.writeStatus(ctx, t, status.Compute(d.inputs)); err != nil {
		return ctrl.Result{}, err
	}
	d.before = before
	r.tell(t, d)
	return r.next(d), retriable(err)
}

// decision is a plan and what it was made from.
type decision struct {
	facts   compile.Facts
	plan    *compile.Plan
	inputs  status.Inputs
	keys    keyWork
	written []v1alpha1.ObjectRef
	refused bool                       // an object of an optional kind was not taken
	before  v1alpha1.HIPAATenantStatus // the status this reconcile began with

	evictAgain time.Duration // until the next unwanted pod is due; zero when none is
}

// decide reads the facts and makes the plan. Keys are made only for a plan that could be applied, so a spec that is
// refused never reaches a KMS.
func (r *TenantReconciler) decide(ctx context.Context, t *v1alpha1.HIPAATenant, from source) (decision, error) {
	facts, err := r.readFacts(ctx, t, from)
	if err != nil {
		return decision{}, fmt.Errorf("reading facts: %w", err)
	}
	d := decision{facts: facts, plan: compile.Check(t, facts)}
	if d.plan.Writable() {
		if d.keys, err = r.makeKeys(ctx, t, d); err != nil {
			return decision{}, err
		}
		d.facts.Keysets, d.facts.KeyRegion = d.keys.keysets, d.keys.abroad
		d.plan = compile.Compile(t, d.facts)
		r.standing.Delete(t.Name)
	} else {
		if d.facts.Standing, err = r.readStanding(ctx, t, facts); err != nil {
			return decision{}, fmt.Errorf("reading what stands: %w", err)
		}
		d.plan = compile.Compile(t, d.facts)
		if d.plan.Closes() && from == cached {
			return r.decide(ctx, t, live) // caches lag behind each other: nothing is given up on their word
		}
	}
	d.inputs = status.Inputs{
		Tenant: t, Plan: d.plan, Live: facts.Namespaces, Keys: d.keys.status,
		AdmissionProblems: r.State.Admission(), Network: r.State.Network(), Inventory: d.plan.Refs(), Now: r.Clock.Now(),
	}
	return d, nil
}

// act remembers what it is about to write, writes it, removes what is no longer wanted once all of it stands, and evicts what
// should not run any more after that.
func (r *TenantReconciler) act(ctx context.Context, t *v1alpha1.HIPAATenant, d *decision) error {
	d.inputs.Applied = nil
	if !d.plan.Writable() && !d.plan.Narrows() {
		return r.evict(ctx, t, d)
	}
	remembered := union(t.Status.Inventory, d.plan.Refs())
	d.inputs.Inventory = remembered
	if !slices.Equal(remembered, t.Status.Inventory) {
		if err := r.writeStatus(ctx, t, status.Remember(t, remembered, r.Clock.Now())); err != nil {
			return err
		}
	}
	begun := time.Now()
	result, err := r.Applier.Apply(ctx, d.plan)
	noteApply(time.Since(begun), result, err)
	d.written = result.Written
	d.inputs.Applied = &status.Applied{UIDs: result.UIDs, Failed: result.Failed}
	d.refused = len(result.Refused) > 0
	openings := d.plan.Refuse(result.Refused)
	obsolete := append(slices.DeleteFunc(slices.Clone(remembered), d.plan.Owns), openings...)
	if err != nil {
		// What an agreement no longer permits closes, whatever else cannot be written: a failure may last.
		obsolete = closable(obsolete, result)
		if d.plan.Writable() && !some(err, apierrors.IsAlreadyExists) && !all(err, apierrors.IsConflict) {
			err = errors.Join(err, r.narrow(ctx, t))
		}
	}
	survivors, pruneErr := r.Applier.Prune(ctx, obsolete, apply.Parent{Label: v1alpha1.LabelTenant, Value: t.Name})
	kept := d.plan.Refs()
	if err != nil {
		kept = slices.DeleteFunc(slices.Clone(remembered), func(ref v1alpha1.ObjectRef) bool { return slices.Contains(obsolete, ref) })
	}
	d.inputs.Inventory = union(kept, survivors)
	if err := errors.Join(err, pruneErr); err != nil {
		return err
	}
	return r.evict(ctx, t, d)
}

// stale says that the cache shows the tenant as it was before this process last wrote its status. Acting on it would
// repeat writes and end in a conflict.
func (r *TenantReconciler) stale(t *v1alpha1.HIPAATenant) bool {
	last, known := r.lastWrites.Load(t.UID)
	if !known {
		return false
	}
	c, err := resourceversion.CompareResourceVersion(last.(string), t.ResourceVersion)
	return err == nil && c > 0
}

// writeStatus is the only writer of a tenant's status. It writes nothing when nothing changed.
func (r *TenantReconciler) writeStatus(ctx context.Context, t *v1alpha1.HIPAATenant, s v1alpha1.HIPAATenantStatus) error {
	tenantStates.note(t.Name, s)
	if equality.Semantic.DeepEqual(t.Status, s) {
		return nil
	}
	t.Status = s
	if err := r.Client.Status().Update(ctx, t, client.FieldOwner(v1alpha1.OperatorName)); err != nil {
		return fmt.Errorf("writing the status: %w", err)
	}
	r.lastWrites.Store(t.UID, t.ResourceVersion)
	return nil
}

func (r *TenantReconciler) ensureFinalizer(ctx context.Context, t *v1alpha1.HIPAATenant) error {
	before := t.DeepCopy()
	if !controllerutil.AddFinalizer(t, v1alpha1.Finalizer) {
		return nil
	}
	lock := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	if err := r.Client.Patch(ctx, t, lock, client.FieldOwner(v1alpha1.OperatorName)); err != nil {
		return fmt.Errorf("adding the finalizer: %w", err)
	}
	return nil
}

// next says when to look again although no watch says so.
func (r *TenantReconciler) next(d decision) ctrl.Result {
	after := time.Duration(0)
	sooner := func(t time.Duration) {
		if t > 0 && (after == 0 || t < after) {
			after = t
		}
	}
	if len(d.plan.Waiting) > 0 || slices.Contains([]string{v1alpha1.ReasonKMSUnreachable, v1alpha1.ReasonKeyBeingShredded}, d.inputs.Keys.Reason) {
		sooner(retryWaiting)
	}
	if d.refused || d.inputs.Keys.Reason == v1alpha1.ReasonKMSRefused || conflicting(d.plan) {
		sooner(retryRefused)
	}
	if len(d.written) > 0 {
		sooner(confirmAfter)
	}
	sooner(d.evictAgain)
	for _, at := range []time.Time{d.plan.Next, d.keys.next} {
		sooner(until(at, r.Clock.Now()))
	}
	return ctrl.Result{RequeueAfter: after}
}

// conflicting says that a namespace of somebody else is in the way. The cache holds the tenants' namespaces only, so no watch
// tells when it is gone.
func conflicting(p *compile.Plan) bool {
	return slices.ContainsFunc(p.Findings, func(f v1alpha1.Finding) bool { return f.Code == compile.CodeNamespaceConflict })
}

func union(a, b []v1alpha1.ObjectRef) []v1alpha1.ObjectRef {
	set := map[v1alpha1.ObjectRef]bool{}
	for _, ref := range append(slices.Clone(a), b...) {
		set[ref] = true
	}
	return compile.SortRefs(set)
}
