package controllers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/document"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/shred"
)

// destroyKey has the KMS destroy the i-th key in status.shred, when it is proven to be the tenant's and to serve nobody else.
// The second proof is made twice: before the key is marked as doomed, and after. Whoever comes between is seen by the
// second, and whoever comes later sees the mark (see beingShredded).
func (r *TenantReconciler) destroyKey(ctx context.Context, t *v1alpha1.HIPAATenant, i int, e estate) error {
	k := t.Status.Shred.Keys[i]
	begun := k.Outcome == v1alpha1.ShredDestroying
	name, info, err := r.look(ctx, k)
	if err != nil {
		return err
	}
	if !begun {
		err := r.opensCopies(ctx, k, e, info)
		if err == nil {
			err = r.servesNobodyElse(ctx, t, e, name)
		}
		if err != nil {
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
	if h, waits := errors.AsType[*hold](err); waits && h.reason != v1alpha1.ReasonKMSUnreachable && (info.Enabled || !begun) {
		return cmp.Or(r.unmark(ctx, t, i), err) // it was not destroyed, for certain
	}
	return err
}

// look asks the KMS what the key is. The info is empty for a key that is gone. One that was never marked and does not exist
// is not reported as destroyed: the operator may be looking in the wrong place.
func (r *TenantReconciler) look(ctx context.Context, k v1alpha1.ShreddedKey) (name shred.Name, info keyring.KeyInfo, err error) {
	ref, err := keyring.ParseKeyURI(k.KeyURI)
	if err != nil {
		return name, info, kmsHold(k, err)
	}
	info, err = r.Keys.Describe(ctx, ref)
	if err == nil && !info.Exists {
		err = keyring.Errorf(keyring.Refused, "there is no such key")
	}
	begun := k.Outcome == v1alpha1.ShredDestroying
	switch {
	case err != nil && (!begun || keyring.KindOf(err) == keyring.Unreachable):
		return name, info, kmsHold(k, err)
	case err != nil:
		info = keyring.KeyInfo{}
	case begun && info.ID != k.ID:
		return name, info, holdf(v1alpha1.ReasonForeignKeyMaterial, retryRefused,
			"%s leads to %s, and was %s when its destruction began: it is not touched. Let it lead there again, or set spec.deletionPolicy to Retain", k.KeyURI, info.ID, k.ID)
	}
	return shred.Name{Ref: ref, ID: cmp.Or(info.ID, k.ID), Known: true}, info, nil
}

// opensCopies proves that the key is the one which wraps the tenant's data keys: an alias may have been moved, a key made
// anew under its name, or the operator may be looking into another KMS. A key that is due to go already opens nothing, and
// is destroyed by nobody here.
func (r *TenantReconciler) opensCopies(ctx context.Context, k v1alpha1.ShreddedKey, e estate, info keyring.KeyInfo) error {
	if !info.DestroyedAt.IsZero() {
		return nil
	}
	for _, ns := range slices.Sorted(maps.Keys(e.copies)) {
		keyset, err := document.Parse(e.copies[ns].Data[v1alpha1.KeysetKey])
		if err != nil {
			return err // it could be read a moment ago
		}
		for _, entry := range keyset.Keys {
			if entry.Provider+"://"+entry.KeyRef != k.KeyURI {
				continue
			}
			if err := r.Keys.Opens(ctx, entry); err != nil {
				return kmsHold(k, fmt.Errorf("it has to open key %s version %d in namespace %s first, which it wrapped: %w", entry.Name, entry.Version, ns, err))
			}
		}
	}
	return nil
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
