package controllers

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/compile"
)

// How fast unwanted pods of one tenant are evicted.
const (
	evictAtOnce  = 3                // pods
	evictPause   = 5 * time.Second  // between one few and the next, and after the facts of a namespace were written
	evictTimeout = 5 * time.Second  // for an answer
	retryHeld    = 10 * time.Second // until a pod is tried again, doubled each time
	retryHeldMax = 5 * time.Minute
	// longestGrace is what policy workload lets a pod take to end. One from before that may have asked for years.
	longestGrace = int64(3600) // seconds
)

// eviction is how the eviction of one tenant's pods goes. It is lost at a restart, which costs an early attempt each.
type eviction struct {
	notBefore time.Time
	held      map[types.UID]heldPod
}

// heldPod could not be evicted.
type heldPod struct {
	compile.Held
	again time.Time
	wait  time.Duration
}

// evict asks the eviction API for the next few of the pods the plan says, and puts into the plan what is in the way.
// PodDisruptionBudgets decide: a pod is never deleted past them.
func (r *TenantReconciler) evict(ctx context.Context, t *v1alpha1.HIPAATenant, d *decision) error {
	if len(d.plan.Evict) == 0 {
		r.evictions.Delete(t.UID)
		return nil
	}
	known, _ := r.evictions.LoadOrStore(t.UID, &eviction{held: map[types.UID]heldPod{}})
	e := known.(*eviction) // one worker at a time has this tenant
	e.forgetBut(d.plan.Evict)
	now := r.Clock.Now()
	if wroteNamespace(d.written) {
		e.notBefore = now.Add(evictPause) // API servers read the facts of a namespace from a cache
	}
	err := r.evictSome(ctx, t, d, e)
	var held []compile.Held
	for _, h := range e.held {
		held = append(held, h.Held)
	}
	d.plan.Hold(held)
	d.evictAgain = e.next(d.plan.Evict, now)
	return err
}

func (r *TenantReconciler) evictSome(ctx context.Context, t *v1alpha1.HIPAATenant, d *decision, e *eviction) error {
	now := r.Clock.Now()
	due := e.due(d.plan.Evict, now)
	if len(due) == 0 {
		return nil
	}
	e.notBefore = now.Add(evictPause)
	if same, err := r.unchanged(ctx, t, d.facts.Profile); err != nil || !same {
		return err
	}
	for _, m := range due {
		reason, err := r.evictPod(ctx, t, d.plan, m)
		if err != nil {
			return fmt.Errorf("evicting pod %s: %w", m.Pod, err)
		}
		if reason == "" {
			delete(e.held, m.UID)
			continue
		}
		wait := min(retryHeldMax, max(retryHeld, 2*e.held[m.UID].wait))
		e.held[m.UID] = heldPod{Held: compile.Held{Unwanted: m, Reason: reason}, wait: wait, again: now.Add(wait)}
	}
	return nil
}

// due are the next few pods to try.
func (e *eviction) due(pods []compile.Unwanted, now time.Time) []compile.Unwanted {
	if now.Before(e.notBefore) {
		return nil
	}
	var due []compile.Unwanted
	for _, m := range pods {
		if len(due) < evictAtOnce && !now.Before(e.held[m.UID].again) {
			due = append(due, m)
		}
	}
	return due
}

// next is the time until a pod is to be tried again.
func (e *eviction) next(pods []compile.Unwanted, now time.Time) time.Duration {
	soonest := time.Duration(0)
	for _, m := range pods {
		at := e.notBefore
		if again := e.held[m.UID].again; again.After(at) {
			at = again
		}
		if wait := max(time.Second, at.Sub(now)); soonest == 0 || wait < soonest {
			soonest = wait
		}
	}
	return soonest
}

// forgetBut drops what is no longer to be evicted.
func (e *eviction) forgetBut(pods []compile.Unwanted) {
	still := map[types.UID]compile.Cause{}
	for _, m := range pods {
		still[m.UID] = m.Cause
	}
	for uid, h := range e.held {
		if still[uid] != h.Cause {
			delete(e.held, uid)
		}
	}
}

// unchanged asks the API server whether tenant and profile are still those the plan was made from: a cache that lags
// must not cost a pod its life.
func (r *TenantReconciler) unchanged(ctx context.Context, t *v1alpha1.HIPAATenant, p *v1alpha1.HIPAAProfile) (bool, error) {
	tenant, profile := &v1alpha1.HIPAATenant{}, &v1alpha1.HIPAAProfile{}
	err := errors.Join(
		r.Live.Get(ctx, client.ObjectKeyFromObject(t), tenant),
		r.Live.Get(ctx, client.ObjectKeyFromObject(p), profile),
	)
	same := tenant.UID == t.UID && tenant.Generation == t.Generation && tenant.DeletionTimestamp.IsZero() &&
		profile.UID == p.UID && profile.Generation == p.Generation
	return same, client.IgnoreNotFound(err)
}

// evictPod evicts a pod if the API server, too, sees it as the plan does. It returns what is in the way; nothing when the
// pod is evicted, or is no longer what it was.
func (r *TenantReconciler) evictPod(ctx context.Context, t *v1alpha1.HIPAATenant, plan *compile.Plan, m compile.Unwanted) (reason string, err error) {
	pod := &corev1.Pod{}
	if err := r.Live.Get(ctx, client.ObjectKey{Namespace: m.Namespace, Name: m.Name}, pod); err != nil {
		return "", client.IgnoreNotFound(err)
	}
	ended := pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
	if pod.UID != m.UID || pod.Spec.NodeName != m.Node || pod.DeletionTimestamp != nil || ended {
		return "", nil
	}
	if still, err := r.stillUnwanted(ctx, pod, m); err != nil || !still {
		return "", err
	}
	if volume := leftBehind(plan, pod); m.Cause == compile.CauseMisplaced && volume != "" {
		return fmt.Sprintf("its volume %s lies outside too and cannot follow", volume), nil
	}
	ctx, cancel := context.WithTimeout(ctx, evictTimeout)
	defer cancel()
	err = r.Client.SubResource("eviction").Create(ctx, pod, &policyv1.Eviction{
		ObjectMeta:    metav1.ObjectMeta{Namespace: pod.Namespace, Name: pod.Name},
		DeleteOptions: deletionOf(pod),
	})
	if err == nil {
		r.tellEvicted(t, pod, m)
	}
	return refusal(err)
}

// stillUnwanted says whether what the API server knows is a reason to evict the pod.
func (r *TenantReconciler) stillUnwanted(ctx context.Context, pod *corev1.Pod, m compile.Unwanted) (bool, error) {
	if m.Cause == compile.CauseChannel {
		return pod.Labels[v1alpha1.LabelChannel] == m.Channel, nil
	}
	node := &corev1.Node{}
	err := r.Live.Get(ctx, client.ObjectKey{Name: m.Node}, node)
	return err == nil && regionOf(node) == m.Where, client.IgnoreNotFound(err)
}

func (r *TenantReconciler) tellEvicted(t *v1alpha1.HIPAATenant, pod *corev1.Pod, m compile.Unwanted) {
	evictedPods.WithLabelValues(string(m.Cause)).Inc()
	if m.Cause == compile.CauseChannel {
		r.Recorder.Eventf(t, pod, corev1.EventTypeNormal, "ChannelPodEvicted", "Evict",
			"evicted pod %s, which served channel %s: it is disabled", m.Pod, m.Channel)
		return
	}
	r.Recorder.Eventf(t, pod, corev1.EventTypeNormal, "MisplacedPodEvicted", "Evict",
		"evicted pod %s from node %s (%s), outside the tenant's regions", m.Pod, m.Node, m.Where)
}

// deletionOf this very pod, which ends the way it asked for, within an hour.
func deletionOf(pod *corev1.Pod) *metav1.DeleteOptions {
	options := &metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &pod.UID}}
	if asked := pod.Spec.TerminationGracePeriodSeconds; asked != nil && *asked > longestGrace {
		options.GracePeriodSeconds = new(longestGrace)
	}
	return options
}

// leftBehind is the volume outside the regions that a pod uses; empty when there is none.
func leftBehind(plan *compile.Plan, pod *corev1.Pod) string {
	for _, v := range pod.Spec.Volumes {
		claim := ""
		switch {
		case v.PersistentVolumeClaim != nil:
			claim = v.PersistentVolumeClaim.ClaimName
		case v.Ephemeral != nil:
			claim = pod.Name + "-" + v.Name
		}
		if left := plan.LeftBehind(pod.Namespace, claim); left != "" {
			return left
		}
	}
	return ""
}

// refusal tells an answer that says no, which is a state to report, from a failure, which is an error to retry.
func refusal(err error) (reason string, failure error) {
	var answer apierrors.APIStatus
	switch {
	case err == nil, apierrors.IsNotFound(err), apierrors.IsConflict(err):
		return "", nil // gone, or another pod of the same name by now
	case apierrors.HasStatusCause(err, policyv1.DisruptionBudgetCause):
		return "a PodDisruptionBudget does not allow it now", nil
	case errors.Is(err, context.DeadlineExceeded):
		return "the API server asked to wait", nil
	case apierrors.IsTooManyRequests(err), apierrors.IsServerTimeout(err), apierrors.IsServiceUnavailable(err):
		return "", err
	case errors.As(err, &answer):
		return "the API server refused: " + answer.Status().Message, nil
	}
	return "", err
}

func wroteNamespace(written []v1alpha1.ObjectRef) bool {
	for _, ref := range written {
		if ref.Kind == "Namespace" {
			return true
		}
	}
	return false
}
