package controllers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/apply"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/compile"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/shred"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/status"
)

// delete quarantines the tenant's namespaces, removes what opens them, shreds the keys where that is asked for and
// confirmed, writes a tombstone, and only then lets go. It needs nothing but the inventory, and to shred also the KMS. It
// destroys neither namespaces nor volumes.
func (r *TenantReconciler) delete(ctx context.Context, t *v1alpha1.HIPAATenant) (ctrl.Result, error) {
	if !controllerutil.ContainsFinalizer(t, v1alpha1.Finalizer) {
		return ctrl.Result{}, nil
	}
	if t.Annotations[v1alpha1.AnnotationAbandon] == string(t.UID) {
		return ctrl.Result{}, r.abandon(ctx, t)
	}
	before := meta.FindStatusCondition(t.Status.Conditions, v1alpha1.ConditionReady).DeepCopy()
	err := r.conclude(ctx, t)
	if held, waits := errors.AsType[*hold](err); waits {
		return r.wait(ctx, t, *held, before)
	}
	if err != nil {
		message := fmt.Sprintf("deletion cannot finish: %v (it is retried; %s)", err, wayOut(t))
		if statusErr := r.writeStatus(ctx, t, status.Delete(t, message, r.Clock.Now())); statusErr != nil {
			return ctrl.Result{}, statusErr
		}
		return ctrl.Result{}, err
	}
	return ctrl.Result{}, r.letGo(ctx, t)
}

// conclude does all that has to be done before the tenant may go. The error is a *hold when that waits for somebody. A
// tombstone is the end: whatever the spec says afterwards, nothing may happen that it does not tell.
func (r *TenantReconciler) conclude(ctx context.Context, t *v1alpha1.HIPAATenant) error {
	end, owned, err := r.quarantine(ctx, t)
	if err != nil {
		return err
	}
	stones, _, err := r.tombstones(ctx, t.Name)
	if err != nil || slices.ContainsFunc(stones, func(s tombstone) bool { return s.UID == string(t.UID) }) {
		return err
	}
	if t.Spec.DeletionPolicy == v1alpha1.DeletionShred {
		err = r.shred(ctx, t, owned, &end)
	} else {
		err = r.retainAfterAll(ctx, t)
	}
	if err == nil {
		err = r.bury(ctx, t, end)
	}
	if err == nil {
		r.tellEnd(t, end)
	}
	return err
}

// wayOut ends every message about a deletion that waits.
func wayOut(t *v1alpha1.HIPAATenant) string {
	return fmt.Sprintf("annotation %s=%s lets go without changing anything", v1alpha1.AnnotationAbandon, t.UID)
}

// quarantine closes the tenant's namespaces and returns their gates and the names of all that exist.
func (r *TenantReconciler) quarantine(ctx context.Context, t *v1alpha1.HIPAATenant) (ending, []string, error) {
	namespaces, err := r.readNamespaces(ctx, t, live)
	if err != nil {
		return ending{}, nil, err
	}
	facts := compile.Facts{Namespaces: namespaces, Extensions: r.State.Extensions()}
	plan := compile.Retire(t, facts)
	if _, err := r.Applier.Apply(ctx, plan); err != nil {
		return ending{}, nil, err
	}
	obsolete := slices.DeleteFunc(slices.Clone(t.Status.Inventory), plan.Owns)
	if _, err := r.Applier.Prune(ctx, obsolete, apply.Parent{Label: v1alpha1.LabelTenant, Value: t.Name}); err != nil {
		return ending{}, nil, err
	}
	return ending{gates: plan.Gates}, compile.Owned(t, facts), nil
}

// hold is the error of a deletion that waits for somebody, and tells for whom.
type hold struct {
	reason, message string
	after           time.Duration // until the next attempt; zero where a change of the tenant wakes the operator
}

// Error is the message.
func (h *hold) Error() string { return h.message }

func holdf(reason string, after time.Duration, format string, args ...any) error {
	return &hold{reason: reason, after: after, message: fmt.Sprintf(format, args...)}
}

// wait tells why the deletion waits, as an event only when it is news.
func (r *TenantReconciler) wait(ctx context.Context, t *v1alpha1.HIPAATenant, h hold, before *metav1.Condition) (ctrl.Result, error) {
	s := status.Hold(t, h.reason, fmt.Sprintf("%s (%s)", h.message, wayOut(t)), r.Clock.Now())
	now := meta.FindStatusCondition(s.Conditions, v1alpha1.ConditionReady)
	if err := r.writeStatus(ctx, t, s); err != nil {
		return ctrl.Result{}, err
	}
	if before == nil || before.Reason != now.Reason || before.Message != now.Message {
		r.Recorder.Eventf(t, nil, corev1.EventTypeWarning, "ShredWaiting", "Delete", "%s: %s", h.reason, h.message)
	}
	return ctrl.Result{RequeueAfter: h.after}, nil
}

// abandon lets go and changes nothing. What a shred destroyed before is put on record if the API server lets it: holding
// on for the record would take the only way out away.
func (r *TenantReconciler) abandon(ctx context.Context, t *v1alpha1.HIPAATenant) error {
	done := "namespaces, policies and keys stay as they are"
	if s := t.Status.Shred; s != nil && slices.ContainsFunc(s.Keys, shred.Begun) {
		done = "namespaces and wrapped keys stay as they are; what was destroyed in the KMS before is told by ConfigMap " + tombstoneName(t)
		if err := r.bury(ctx, t, ending{}); err != nil {
			done = fmt.Sprintf("namespaces and wrapped keys stay as they are; destroyed in the KMS, or asked for, was %s, and it could not be recorded: %v", begun(s), err)
		}
	}
	r.Recorder.Eventf(t, nil, corev1.EventTypeWarning, "Abandoned", "Delete", "let go by annotation %s: %s", v1alpha1.AnnotationAbandon, done)
	return r.letGo(ctx, t)
}

func (r *TenantReconciler) letGo(ctx context.Context, t *v1alpha1.HIPAATenant) error {
	before := t.DeepCopy()
	controllerutil.RemoveFinalizer(t, v1alpha1.Finalizer)
	lock := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	err := client.IgnoreNotFound(r.Client.Patch(ctx, t, lock, client.FieldOwner(v1alpha1.OperatorName)))
	if err != nil {
		return err
	}
	r.lastWrites.Delete(t.UID)
	r.evictions.Delete(t.UID)
	r.doomed.Delete(t.UID)
	return nil
}
