package controllers

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring"
)

// TestShred: what was done is done, told by events, and written on the tombstone in words that promise no more.
func TestShred(t *testing.T) {
	for name, tc := range map[string]struct {
		uri       string
		change    func(*v1alpha1.HIPAATenant)
		later     time.Duration
		outcome   v1alpha1.ShredOutcome
		destroyed []string
		says      string
	}{
		"own key":                  {uri: ownKey, outcome: v1alpha1.Shredded, destroyed: []string{"k1"}, says: "nothing this key wrapped can be opened any more"},
		"own key, in a week":       {uri: ownKey, later: 168 * time.Hour, outcome: v1alpha1.Shredded, destroyed: []string{"k1"}, says: "from 2026-11-28T12:00:00Z on"},
		"shared key":               {uri: "fake://acme", outcome: v1alpha1.WrappedCopiesDeleted, says: "the key stands"},
		"own key after a shared":   {uri: ownKey, change: func(h *v1alpha1.HIPAATenant) { h.Status.FormerKeys = []string{"fake://other"} }, outcome: v1alpha1.WrappedCopiesDeleted, destroyed: []string{"k1"}, says: "whoever has a backup"},
		"another key, never used":  {uri: "fake://acme", change: func(h *v1alpha1.HIPAATenant) { h.Spec.Encryption.KeyURI = "fake://other?scope=tenant" }, outcome: v1alpha1.WrappedCopiesDeleted, says: "the key stands"},
		"policy Retain, confirmed": {uri: ownKey, change: func(h *v1alpha1.HIPAATenant) { h.Spec.DeletionPolicy = v1alpha1.DeletionRetain }, outcome: v1alpha1.ShredRetained},
		"no policy, confirmed":     {uri: ownKey, change: func(h *v1alpha1.HIPAATenant) { h.Spec.DeletionPolicy = "" }, outcome: v1alpha1.ShredRetained},
	} {
		t.Run(name, func(t *testing.T) {
			w := newShredWorld(t, tc.uri, tc.change)
			w.kms.later = tc.later
			w.turn(t)
			if diff := cmp.Diff(tc.destroyed, w.kms.destroyed); diff != "" {
				t.Errorf("destroyed in the KMS (-want +got):\n%s", diff)
			}
			if !w.done(t) || w.keyset(t) != (tc.outcome == v1alpha1.ShredRetained) {
				t.Errorf("let go: %t, the keyset stands: %t", w.done(t), w.keyset(t))
			}
			stone := w.stone(t)
			if stone.Outcome != tc.outcome {
				t.Errorf("outcome %s, want %s", stone.Outcome, tc.outcome)
			}
			happened := strings.Join(told(w.recorder), "\n")
			if tc.outcome == v1alpha1.ShredRetained {
				if stone.Shred != nil || happened != "" {
					t.Errorf("retained, and told %+v and %q", stone.Shred, happened)
				}
				return
			}
			if !slices.ContainsFunc(stone.Shred.Keys, func(k keyRecord) bool { return strings.Contains(k.Promise, tc.says) }) {
				t.Errorf("the tombstone promises %+v, want it to say %q", stone.Shred.Keys, tc.says)
			}
			for _, want := range []string{"ShredStarted", string(tc.outcome)} {
				if !strings.Contains(happened, "Warning "+want) {
					t.Errorf("events %q, want %s", happened, want)
				}
			}
			if gate := fetch(t, w.store, "", "acme", &corev1.Namespace{}).Annotations[v1alpha1.AnnotationAdmission]; gate != string(v1alpha1.GateQuarantined) {
				t.Errorf("the gate is %s", gate)
			}
		})
	}
}

// TestShredWaits: nothing is touched, the status says for what, the event comes once, and what it waits for lets it go on.
func TestShredWaits(t *testing.T) {
	forbidden := apierrors.NewForbidden(schema.GroupResource{Resource: "secrets"}, v1alpha1.SecretKeyset, nil)
	confirmedBy := func(uid string) func(*v1alpha1.HIPAATenant) {
		return func(h *v1alpha1.HIPAATenant) { h.Annotations = map[string]string{v1alpha1.AnnotationConfirmShred: uid} }
	}
	for name, tc := range map[string]struct {
		change func(*v1alpha1.HIPAATenant)
		hinder func(shredWorld)
		reason string
		says   string
		mend   func(*testing.T, shredWorld)
	}{
		"not confirmed": {
			change: func(h *v1alpha1.HIPAATenant) { h.Annotations = nil }, reason: v1alpha1.ReasonShredNotConfirmed,
			says: "hipaatenant.dev/confirm-shred=u-acme", mend: func(t *testing.T, w shredWorld) { w.edit(t, confirmedBy("u-acme")) },
		},
		"confirmed with another UID": {
			change: confirmedBy("u-former"), reason: v1alpha1.ReasonShredNotConfirmed,
			says: `names "u-former"`, mend: func(t *testing.T, w shredWorld) { w.edit(t, confirmedBy("u-acme")) },
		},
		"not permitted": {
			hinder: func(w shredWorld) { w.fail["delete Secret acme/hipaa-keyset"] = forbidden }, reason: v1alpha1.ReasonShredNotPermitted,
			says: "shred.enabled=true", mend: func(_ *testing.T, w shredWorld) { delete(w.fail, "delete Secret acme/hipaa-keyset") },
		},
		"KMS away": {
			hinder: func(w shredWorld) { w.kms.describe["acme"] = keyring.Errorf(keyring.Unreachable, "no route") }, reason: v1alpha1.ReasonKMSUnreachable,
			says: "no route", mend: func(_ *testing.T, w shredWorld) { delete(w.kms.describe, "acme") },
		},
		"KMS away when asked": {
			hinder: func(w shredWorld) { w.kms.destroy = keyring.Errorf(keyring.Unreachable, "no answer") }, reason: v1alpha1.ReasonKMSUnreachable,
			says: "may be destroyed already, or not", mend: func(_ *testing.T, w shredWorld) { w.kms.destroy = nil },
		},
		"KMS refuses": {
			hinder: func(w shredWorld) { w.kms.destroy = keyring.Errorf(keyring.Refused, "permission denied") }, reason: v1alpha1.ReasonKMSRefused,
			says: "permission denied", mend: func(_ *testing.T, w shredWorld) { w.kms.destroy = nil },
		},
		"provider that cannot": {
			hinder: func(w shredWorld) { w.kms.destroy = keyring.Errorf(keyring.Unsupported, "no way") }, reason: v1alpha1.ReasonKeyUnsupported,
			says: "take scope=tenant out", mend: func(_ *testing.T, w shredWorld) { w.kms.destroy = nil },
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newShredWorld(t, ownKey, tc.change)
			if tc.hinder != nil {
				tc.hinder(w)
			}
			w.turn(t)
			first := w.subject(t).ResourceVersion
			reason, message := w.ready(t)
			if reason != tc.reason || !strings.Contains(message, tc.says) || !strings.Contains(message, "hipaatenant.dev/abandon=u-acme") {
				t.Errorf("Ready is %s: %s", reason, message)
			}
			if w.done(t) || !w.keyset(t) || len(w.kms.destroyed) > 0 {
				t.Errorf("let go: %t, keyset stands: %t, destroyed %v", w.done(t), w.keyset(t), w.kms.destroyed)
			}
			w.turn(t)
			if again, _ := w.ready(t); again != tc.reason {
				t.Errorf("the second time Ready is %s", again)
			}
			if unstable := tc.reason == v1alpha1.ReasonKMSRefused || tc.reason == v1alpha1.ReasonKeyUnsupported; !unstable && w.subject(t).ResourceVersion != first {
				t.Error("the same wait was written twice")
			}
			if n := strings.Count(strings.Join(told(w.recorder), "\n"), "ShredWaiting"); n != 1 {
				t.Errorf("%d events ShredWaiting for one wait, want 1", n)
			}
			tc.mend(t, w)
			w.turn(t)
			if stone := w.stone(t); !w.done(t) || w.keyset(t) || stone.Outcome != v1alpha1.Shredded {
				t.Errorf("mended, and let go: %t, keyset stands: %t, outcome %s", w.done(t), w.keyset(t), stone.Outcome)
			}
		})
	}
}

// TestANameThatLeadsElsewhere: an alias that was moved, or a key that was made anew under the old name, is not the key whose
// end was asked for. To destroy it would harm whoever it serves, and leave the true one.
func TestANameThatLeadsElsewhere(t *testing.T) {
	for name, tc := range map[string]struct {
		hinder, mend func(*fakeKMS)
		reason, says string
	}{
		"before the shred": {
			func(k *fakeKMS) { k.ids["acme"] = "k3" }, func(k *fakeKMS) { k.ids["acme"] = "k1" },
			v1alpha1.ReasonForeignKeyMaterial, "another key wrapped it",
		},
		"after the KMS was asked": {
			func(k *fakeKMS) { k.destroy = keyring.Errorf(keyring.Unreachable, "no answer") },
			func(k *fakeKMS) { k.destroy, k.ids["acme"] = nil, "k3" },
			v1alpha1.ReasonForeignKeyMaterial, "leads to k3, and was k1 when its destruction began",
		},
		"gone before the proof is complete": {
			func(k *fakeKMS) { k.unwrap = keyring.Errorf(keyring.Unreachable, "no answer") }, func(k *fakeKMS) { k.unwrap = nil },
			v1alpha1.ReasonKMSUnreachable, "no answer",
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newShredWorld(t, ownKey, nil)
			tc.hinder(w.kms)
			w.turn(t)
			if name == "after the KMS was asked" {
				tc.mend(w.kms)
				w.turn(t)
				tc.mend = func(k *fakeKMS) { k.ids["acme"] = "k1" }
			}
			if reason, message := w.ready(t); reason != tc.reason || !strings.Contains(message, tc.says) {
				t.Errorf("Ready is %s: %s", reason, message)
			}
			if len(w.kms.destroyed) > 0 || w.done(t) || !w.keyset(t) {
				t.Fatalf("destroyed %v, let go: %t, keyset stands: %t", w.kms.destroyed, w.done(t), w.keyset(t))
			}
			tc.mend(w.kms)
			w.turn(t)
			if !slices.Equal(w.kms.destroyed, []string{"k1"}) || !w.done(t) || w.stone(t).Outcome != v1alpha1.Shredded {
				t.Errorf("mended: destroyed %v, let go: %t", w.kms.destroyed, w.done(t))
			}
		})
	}
}

// TestShredIsStopped at the last moment: by the policy, or by abandoning. What was asked for before is told, and no more.
func TestShredIsStopped(t *testing.T) {
	retain := func(h *v1alpha1.HIPAATenant) { h.Spec.DeletionPolicy = v1alpha1.DeletionRetain }
	abandon := func(h *v1alpha1.HIPAATenant) { h.Annotations[v1alpha1.AnnotationAbandon] = "u-acme" }
	away := keyring.Errorf(keyring.Unreachable, "no answer")
	for name, tc := range map[string]struct {
		stop    func(*v1alpha1.HIPAATenant)
		hinder  func(*fakeKMS)
		then    func(*fakeKMS)
		outcome v1alpha1.ShredOutcome // empty: no tombstone
	}{
		"Retain before anything was asked":    {retain, func(k *fakeKMS) { k.describe["acme"] = away }, nil, v1alpha1.ShredRetained},
		"Retain, and the key stands":          {retain, func(k *fakeKMS) { k.destroy = away }, nil, v1alpha1.ShredRetained},
		"Retain, and the key is gone":         {retain, func(k *fakeKMS) { k.destroy = away }, func(k *fakeKMS) { k.gone["k1"] = true }, v1alpha1.ShredUnknown},
		"Retain, and nobody can tell":         {retain, func(k *fakeKMS) { k.destroy = away }, func(k *fakeKMS) { k.describe["acme"] = away }, v1alpha1.ShredUnknown},
		"abandoned before anything was asked": {abandon, func(k *fakeKMS) { k.describe["acme"] = away }, nil, ""},
		"abandoned after the KMS was asked":   {abandon, func(k *fakeKMS) { k.destroy = away }, nil, v1alpha1.ShredUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			w := newShredWorld(t, ownKey, nil)
			tc.hinder(w.kms)
			w.turn(t)
			if tc.then != nil {
				tc.then(w.kms)
			}
			w.kms.onDestroy = func() { t.Error("the KMS is asked to destroy after it was stopped") }
			w.edit(t, tc.stop)
			w.turn(t)
			if !w.done(t) || !w.keyset(t) {
				t.Errorf("let go: %t, the keyset stands: %t; want both", w.done(t), w.keyset(t))
			}
			if tc.outcome == "" {
				if exists(t, w.store, v1alpha1.OperatorNamespace, "hipaa-tombstone-u-acme", &corev1.ConfigMap{}) {
					t.Error("abandoned without a deed, and there is a tombstone")
				}
				return
			}
			if stone := w.stone(t); stone.Outcome != tc.outcome {
				t.Errorf("outcome %s, want %s: %+v", stone.Outcome, tc.outcome, stone.Shred)
			}
		})
	}
}

// TestTheTombstoneIsTheEnd: nothing is destroyed that it does not tell, whatever the spec says afterwards.
func TestTheTombstoneIsTheEnd(t *testing.T) {
	w := newShredWorld(t, ownKey, func(h *v1alpha1.HIPAATenant) { h.Spec.DeletionPolicy = v1alpha1.DeletionRetain })
	w.fail["patch HIPAATenant acme"] = errors.New("no route")
	if _, err := w.r.Reconcile(t.Context(), requestFor("acme")); err == nil {
		t.Fatal("the finalizer cannot be removed and there is no error")
	}
	w.edit(t, func(h *v1alpha1.HIPAATenant) { h.Spec.DeletionPolicy = v1alpha1.DeletionShred })
	delete(w.fail, "patch HIPAATenant acme")
	w.turn(t)
	if len(w.kms.destroyed) > 0 || !w.keyset(t) || !w.done(t) || w.stone(t).Outcome != v1alpha1.ShredRetained {
		t.Errorf("destroyed %v, keyset stands: %t, let go: %t, outcome %s", w.kms.destroyed, w.keyset(t), w.done(t), w.stone(t).Outcome)
	}
}
