package controllers

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/test/fixture"
)

// TestExpiryMetrics: when agreements end, the subcontractor's where that is sooner, and nothing of what is gone.
func TestExpiryMetrics(t *testing.T) {
	ending := fixture.Associate("labs", func(a *v1alpha1.BusinessAssociate) { a.Spec.BAA.ExpiresOn = "2027-02-03" })
	using := fixture.Associate("clearing", func(a *v1alpha1.BusinessAssociate) { a.Spec.Subcontractors = []v1alpha1.Name{"labs"} })
	s := newStore(t, defaultProfile(), tenant(), ending, using)
	r, _ := keyed(s)
	t.Cleanup(func() { forgetKeys("acme") })
	run(t, r, s)
	a := associates(s)
	if _, err := a.Reconcile(t.Context(), requestFor("clearing")); err != nil {
		t.Fatal(err)
	}
	if got, want := testutil.ToFloat64(tenantExpiry.WithLabelValues("acme")), float64(v1alpha1.Date(fixture.Expires).Time().Unix()); got != want {
		t.Errorf("the tenant's agreement ends at %s, want %s", time.Unix(int64(got), 0).UTC(), fixture.Expires)
	}
	if got, want := testutil.ToFloat64(associateExpiry.WithLabelValues("clearing")), float64(v1alpha1.Date("2027-02-03").Time().Unix()); got != want {
		t.Errorf("the associate's agreement ends at %s, want that of its subcontractor", time.Unix(int64(got), 0).UTC())
	}
	noteExpiry(associateExpiry, "clearing", "")
	if _, err := r.Reconcile(t.Context(), requestFor("gone")); err != nil {
		t.Fatal(err)
	}
	noteExpiry(tenantExpiry, "acme", "")
	if n := testutil.CollectAndCount(associateExpiry) + testutil.CollectAndCount(tenantExpiry); n != 0 {
		t.Errorf("%d series are left of what is gone", n)
	}
}

// TestLapseAndRenewalAreTold on the tenant, once each.
func TestLapseAndRenewalAreTold(t *testing.T) {
	s, r := sociable(t, v1alpha1.LapseFreeze)
	t.Cleanup(func() { forgetKeys("acme"); noteExpiry(tenantExpiry, "acme", "") })
	_, recorder := reconciler(s)
	r.Recorder = recorder
	r.Clock = clocktesting.NewFakePassiveClock(v1alpha1.Date(fixture.Expires).Time())
	run(t, r, s)
	run(t, r, s)
	lapsed := told(recorder)
	r.Clock = clocktesting.NewFakePassiveClock(noon)
	run(t, r, s)
	run(t, r, s)
	renewed := told(recorder)
	want := map[string]int{"BAALapsed": 1, "AssociateNotInForce": 2}
	if got := reasons(lapsed, want); !cmp.Equal(want, got) {
		t.Errorf("at the lapse %v is told, want %v: %v", got, want, lapsed)
	}
	want = map[string]int{reasonBAARenewed: 1, reasonAssociateRenewed: 2}
	if got := reasons(renewed, want); !cmp.Equal(want, got) {
		t.Errorf("at the renewal %v is told, want %v: %v", got, want, renewed)
	}
}

// reasons counts events by those reasons.
func reasons(events []string, of map[string]int) map[string]int {
	out := map[string]int{}
	for _, e := range events {
		if words := strings.Fields(e); len(words) > 1 {
			if _, asked := of[words[1]]; asked {
				out[words[1]]++
			}
		}
	}
	return out
}
