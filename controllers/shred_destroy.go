package controllers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/shred"
)

// destroyKey has the KMS destroy the i-th key in status.shred, when it is proven to serve nobody else. The proof is made
// twice: before the key is marked as doomed, and after. Whoever comes between is seen by the second, and whoever comes
// later sees the mark (see beingShredded).
func (r *TenantReconciler) destroyKey(ctx context.Context, t *v1alpha1.HIPAATenant, i int, e estate) error {
	k := t.Status.Shred.Keys[i]
	begun := k.Outcome == v1alpha1.ShredDestroying
	name, stands, err := r.look(ctx, k)
	if err != nil {
		return err
	}
	if !begun {
		if err := r.servesNobodyElse(ctx, t, e, name); err != nil {
			return err
		}
	}
	r.doomed.Store(t.UID, doomedKey{t.Name, name})
	r.crossing.drain()
	k.ID, k.Outcome = name.ID, v1alpha1.ShredDestroying
	if err := r.setKey(ctx, t, i, k); err != nil {
		return err
	}
	err = r.servesNobodyElse(ctx, t, e, name)
	if err == nil {
		err = r.askToDestroy(ctx, t, i, name.Ref)
	}
	if h, waits := errors.AsType[*hold](err); waits && h.reason != v1alpha1.ReasonKMSUnreachable && (stands || !begun) {
		return cmp.Or(r.unmark(ctx, t, i), err) // it was not destroyed, for certain
	}
	return err
}

// look asks the KMS what the key is. Stands says that it can be used now. One that was never marked and does not exist is
// not reported as destroyed: the operator may be looking in the wrong place.
func (r *TenantReconciler) look(ctx context.Context, k v1alpha1.ShreddedKey) (name shred.Name, stands bool, err error) {
	ref, err := keyring.ParseKeyURI(k.KeyURI)
	if err != nil {
		return name, false, kmsHold(k, err)
	}
	info, err := r.Keys.Describe(ctx, ref)
	if err == nil && !info.Exists {
		err = keyring.Errorf(keyring.Refused, "there is no such key")
	}
	begun := k.Outcome == v1alpha1.ShredDestroying
	if err != nil && (!begun || keyring.KindOf(err) == keyring.Unreachable) {
		return name, false, kmsHold(k, err)
	}
	return shred.Name{Ref: ref, ID: cmp.Or(info.ID, k.ID), Known: true}, err == nil && info.Enabled, nil
}

// askToDestroy is the one place where a key in a KMS is destroyed.
func (r *TenantReconciler) askToDestroy(ctx context.Context, t *v1alpha1.HIPAATenant, i int, ref keyring.KeyRef) error {
	k := t.Status.Shred.Keys[i]
	done, err := r.Keys.Destroy(ctx, ref)
	if apierrors.IsForbidden(err) {
		return notPermitted(t)
	}
	if err != nil {
		return kmsHold(k, err)
	}
	if done.EffectiveAt.IsZero() {
		done.EffectiveAt = r.Clock.Now() // it is gone, since when nobody can say
	}
	k.Outcome = v1alpha1.Shredded
	if r.Keys.Assurance(ref.Scheme) == v1alpha1.ReasonSoftwareKey {
		k.Outcome = v1alpha1.SoftwareKeyDeleted
	}
	k.Method, k.EffectiveAt = done.Method, new(metav1.NewTime(done.EffectiveAt).Rfc3339Copy())
	if err := r.setKey(ctx, t, i, k); err != nil {
		return err
	}
	r.Recorder.Eventf(t, nil, corev1.EventTypeWarning, "KeyDestroyed", "Delete", "%s: %s, effective %s: %s",
		k.KeyURI, k.Method, k.EffectiveAt.UTC().Format(time.RFC3339), shred.Promise(k, r.Clock.Now()))
	return nil
}

// unmark lets others use the key again.
func (r *TenantReconciler) unmark(ctx context.Context, t *v1alpha1.HIPAATenant, i int) error {
	k := t.Status.Shred.Keys[i]
	k.Outcome = v1alpha1.ShredPending
	if err := r.setKey(ctx, t, i, k); err != nil {
		return err
	}
	r.doomed.Delete(t.UID)
	return nil
}

// kmsHold waits for a KMS.
func kmsHold(k v1alpha1.ShreddedKey, err error) error {
	after, state := retryRefused, "is not destroyed yet"
	if keyring.KindOf(err) == keyring.Unreachable {
		after = retryWaiting
	}
	if k.Outcome == v1alpha1.ShredDestroying {
		state = "may be destroyed already, or not"
	}
	hint := "it is tried again"
	if keyring.KindOf(err) != keyring.Unreachable {
		hint = "if it is gone already, take scope=tenant out of spec.encryption.keyURI to delete the wrapped copies only"
	}
	return holdf(keyProblem(err).Reason, after, "%s %s: %v; %s", k.KeyURI, state, err, hint)
}

// tellEnd records what a shred achieved.
func (r *TenantReconciler) tellEnd(t *v1alpha1.HIPAATenant, e ending) {
	stone := r.stone(t, e)
	if stone.Shred == nil {
		return
	}
	var keys []string
	for _, k := range stone.Shred.Keys {
		keys = append(keys, fmt.Sprintf("%s %s: %s", k.KeyURI, k.Outcome, k.Promise))
	}
	r.Recorder.Eventf(t, nil, corev1.EventTypeWarning, string(stone.Outcome), "Delete", "recorded in ConfigMap %s: %s", tombstoneName(t), strings.Join(keys, "; "))
}

// begun lists the keys that were destroyed, or may have been.
func begun(s *v1alpha1.ShredStatus) string {
	var keys []string
	for _, k := range s.Keys {
		if shred.Begun(k) {
			keys = append(keys, fmt.Sprintf("%s (%s)", k.KeyURI, k.Outcome))
		}
	}
	return strings.Join(keys, ", ")
}
