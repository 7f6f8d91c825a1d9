package controllers

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/events"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/keyringtest"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/local"
)

// timed is a reconciler whose clock, and whose keys' clock, can be set.
func timed(s *store, shelf *keyringtest.Shelf) (*TenantReconciler, *clocktesting.FakePassiveClock, *events.FakeRecorder) {
	r, recorder := reconciler(s)
	clock := clocktesting.NewFakePassiveClock(noon)
	r.Clock, r.Keys = clock, keyring.New(clock, local.New(shelf, clock))
	return r, clock, recorder
}

// TestRotation through the loop: it wakes when a key is due, takes one step at a time, tells of it once, and a keyset that
// lives is no drift.
func TestRotation(t *testing.T) {
	s := newStore(t, defaultProfile(), tenant(named(false, "app", "data"), func(h *v1alpha1.HIPAATenant) {
		h.Spec.BAA.ExpiresOn, h.Spec.Encryption.RotationPeriod = "2036-01-01", "720h"
	}))
	r, clock, recorder := timed(s, keyringtest.NewShelf())
	due := run(t, r, s).Status.Keys[0].NextRotation.Time
	if early := noon.Add(720 * time.Hour).Sub(due); early < 0 || early > 72*time.Hour {
		t.Fatalf("due at %s", due)
	}
	run(t, r, s)
	told(recorder)
	s.asked()

	// Between times: asleep for as long as nothing is due, and not for longer than until the next look at the KMS key.
	result, err := r.Reconcile(t.Context(), requestFor("acme"))
	if err != nil || result.RequeueAfter < 30*time.Minute || result.RequeueAfter > time.Hour {
		t.Errorf("looks again after %s, %v; want 30 to 60 minutes", result.RequeueAfter, err)
	}
	clock.SetTime(due.Add(-time.Minute))
	if result, err = r.Reconcile(t.Context(), requestFor("acme")); err != nil || result.RequeueAfter != time.Minute || len(s.asked()) != 0 {
		t.Errorf("a minute before the time it looks again after %s, %v; want a minute, and no write", result.RequeueAfter, err)
	}

	clock.SetTime(due)
	if result, err = r.Reconcile(t.Context(), requestFor("acme")); err != nil || result.RequeueAfter != nextStep {
		t.Errorf("after the first step it looks again after %s, %v; want %s", result.RequeueAfter, err, nextStep)
	}
	both := []string{"patch Secret app/hipaa-keyset", "patch Secret data/hipaa-keyset"}
	if diff := cmp.Diff(both, s.asked()); diff != "" {
		t.Errorf("writes of the first step (-want +got):\n%s", diff)
	}
	got := run(t, r, s)
	if diff := cmp.Diff(append(both, "update status HIPAATenant acme"), s.asked()); diff != "" {
		t.Errorf("writes of the second step (-want +got):\n%s", diff)
	}
	if k := got.Status.Keys[0]; k.PrimaryVersion != 2 || !k.RotatedAt.Time.Equal(due) || reasonOf(got, v1alpha1.ConditionReady) != "True/Ready" {
		t.Errorf("key %+v, Ready %s", k, reasonOf(got, v1alpha1.ConditionReady))
	}
	if diff := cmp.Diff([]string{"Normal DataKeyRotated data key default: version 2 is primary, version 1 only decrypts"}, told(recorder)); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	run(t, r, s)
	if more := append(s.asked(), told(recorder)...); len(more) != 0 {
		t.Errorf("afterwards: %v; want nothing", more)
	}

	// One namespace is restored from a backup of before: it is brought up to the other, and that is told.
	restored := fetch(t, s, "app", v1alpha1.SecretKeyset, &corev1.Secret{})
	restored.Data[v1alpha1.KeysetKey] = firstVersionOnly(t, restored.Data[v1alpha1.KeysetKey])
	if err := s.Update(t.Context(), restored); err != nil {
		t.Fatal(err)
	}
	run(t, r, s)
	if events := told(recorder); len(events) != 1 || !strings.HasPrefix(events[0], "Warning KeysetCaughtUp namespace app held an older keyset") {
		t.Errorf("events %v; want that namespace app caught up", events)
	}
}

// firstVersionOnly is the keyset as it was before its first rotation.
func firstVersionOnly(t *testing.T, raw []byte) []byte {
	t.Helper()
	first, _, found := strings.Cut(string(raw), `,{"name":"default","version":2`)
	if !found {
		t.Fatalf("no second version in %s", raw)
	}
	return []byte(strings.Replace(first, "DecryptOnly", "Primary", 1) + "]}")
}

// TestAKeyInAnotherRegion stalls the tenant; what it has stays.
func TestAKeyInAnotherRegion(t *testing.T) {
	s := newStore(t, defaultProfile(), tenant())
	r, clock, _ := timed(s, keyringtest.NewShelf())
	abroad := &foreign{Provider: local.New(keyringtest.NewShelf(), clock)}
	r.Keys = keyring.New(clock, abroad)
	if got := run(t, r, s); reasonOf(got, v1alpha1.ConditionReady) != "True/Ready" {
		t.Fatalf("Ready is %s", reasonOf(got, v1alpha1.ConditionReady))
	}
	run(t, r, s)
	s.asked()
	abroad.region = "eu-west-1"
	clock.SetTime(noon.Add(time.Hour))
	got := run(t, r, s)
	found := slices.ContainsFunc(got.Status.Findings, func(f v1alpha1.Finding) bool {
		return f.Code == "KeyRegionForeign" && strings.Contains(f.Message, "region eu-west-1") && f.Path == "spec.encryption.keyURI"
	})
	if !found || reasonOf(got, v1alpha1.ConditionStalled) != "True/"+v1alpha1.ReasonInvalid || len(got.Status.Keys) != 1 {
		t.Errorf("Stalled is %s, findings %v, keys %v", reasonOf(got, v1alpha1.ConditionStalled), got.Status.Findings, got.Status.Keys)
	}
	if diff := cmp.Diff([]string{"update status HIPAATenant acme"}, s.asked()); diff != "" {
		t.Errorf("writes (-want +got):\n%s", diff)
	}
	// It stays so over a restart, and resumes when the key is where it should be.
	r.Keys = keyring.New(clock, abroad)
	if got = run(t, r, s); reasonOf(got, v1alpha1.ConditionStalled) != "True/"+v1alpha1.ReasonInvalid || len(s.asked()) != 0 {
		t.Errorf("after a restart Stalled is %s", reasonOf(got, v1alpha1.ConditionStalled))
	}
	abroad.region = "us-east-1"
	clock.SetTime(noon.Add(2 * time.Hour))
	if got = run(t, r, s); reasonOf(got, v1alpha1.ConditionReady) != "True/Ready" {
		t.Errorf("with the key at home Ready is %s", reasonOf(got, v1alpha1.ConditionReady))
	}
}

// foreign is a KMS that tells a region.
type foreign struct {
	*local.Provider
	region string
}

// Describe adds the region.
func (f *foreign) Describe(ctx context.Context, ref keyring.KeyRef) (keyring.KeyInfo, error) {
	info, err := f.Provider.Describe(ctx, ref)
	info.Region = f.region
	return info, err
}
