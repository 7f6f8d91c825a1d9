package controllers

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/utils/clock"
	clocktesting "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/compile"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/local"
	"github.com/hipaatenant/hipaa-tenant-operator/test/fixture"
)

func TestUntil(t *testing.T) {
	for name, tc := range map[string]struct {
		date time.Time
		want time.Duration
	}{
		"no date": {time.Time{}, 0}, "now": {noon, overdue}, "long ago": {noon.AddDate(-20, 0, 0), overdue},
		"a moment": {noon.Add(time.Nanosecond), atLeast}, "a minute": {noon.Add(time.Minute), time.Minute},
		"a minute, in another time zone": {noon.Add(time.Minute).In(time.FixedZone("east", 5*3600)), time.Minute},
		"as far as a timer is trusted":   {noon.Add(atMost), atMost}, "next year": {noon.AddDate(1, 0, 0), atMost},
		"when nobody is left": {v1alpha1.Date("9999-12-31").Time(), atMost},
	} {
		if got := until(tc.date, noon); got != tc.want {
			t.Errorf("%s: waits %s, want %s", name, got, tc.want)
		}
	}
}

// dated is a world in which a day changes something, and what shows it.
type dated struct {
	change func(*v1alpha1.HIPAATenant, *v1alpha1.HIPAAProfile, map[string]*v1alpha1.BusinessAssociate)
	show   func(*testing.T, *store) string
	before string
	after  string
}

const theDay v1alpha1.Date = "2026-11-22"

func condition(kind string) func(*testing.T, *store) string {
	return func(t *testing.T, s *store) string {
		t.Helper()
		return reasonOf(fetch(t, s, "", "acme", &v1alpha1.HIPAATenant{}), kind)
	}
}

func finding(code string) func(*testing.T, *store) string {
	return func(t *testing.T, s *store) string {
		t.Helper()
		for _, f := range fetch(t, s, "", "acme", &v1alpha1.HIPAATenant{}).Status.Findings {
			if f.Code == code {
				return f.Path
			}
		}
		return ""
	}
}

func egressFact(t *testing.T, s *store) string {
	t.Helper()
	return fetch(t, s, "", "acme", &corev1.Namespace{}).Annotations[v1alpha1.AnnotationEgress]
}

func regionsFact(t *testing.T, s *store) string {
	t.Helper()
	return fetch(t, s, "", "acme", &corev1.Namespace{}).Annotations[v1alpha1.AnnotationRegions]
}

func inForce(name string) func(*testing.T, *store) string {
	return func(t *testing.T, s *store) string {
		t.Helper()
		c := meta.FindStatusCondition(fetch(t, s, "", name, &v1alpha1.BusinessAssociate{}).Status.Conditions, v1alpha1.ConditionInForce)
		return string(c.Status) + "/" + c.Reason
	}
}

func boundAuditors(t *testing.T, s *store) string {
	t.Helper()
	b := &rbacv1.RoleBinding{}
	if s.Get(t.Context(), client.ObjectKey{Namespace: "acme", Name: "hipaa-auditor"}, b) != nil {
		return ""
	}
	return b.Subjects[0].Name
}

// worlds in which something happens on theDay, by what it is.
func worlds() map[string]dated {
	type (
		tenant    = v1alpha1.HIPAATenant
		profile   = v1alpha1.HIPAAProfile
		vendors   = map[string]*v1alpha1.BusinessAssociate
		agreement = func(vendors) *v1alpha1.Agreement
	)
	of := func(name string) agreement {
		return func(all vendors) *v1alpha1.Agreement { return all[name].Spec.BAA }
	}
	verified := func(p *profile, t *tenant, all vendors) {
		p.Spec.BAA = &v1alpha1.BAARules{ReverifyEvery: "240h"} // ten days
		t.Spec.BAA.LastVerifiedOn = "2029-01-01"
		for _, a := range all {
			a.Spec.BAA.LastVerifiedOn = "2029-01-01"
		}
	}
	open := "198.51.100.0/25"
	out := map[string]dated{
		"the tenant's agreement begins": {func(t *tenant, _ *profile, _ vendors) { t.Spec.BAA.ExecutedOn = theDay },
			condition(v1alpha1.ConditionReady), "False/Invalid", "True/Ready"},
		"the warning of its end": {func(t *tenant, _ *profile, _ vendors) { t.Spec.BAA.ExpiresOn = "2026-12-22" },
			finding(compile.CodeBAAExpiring), "", "spec.baa.expiresOn"},
		"it ends": {func(t *tenant, _ *profile, _ vendors) { t.Spec.BAA.ExpiresOn = theDay },
			condition(v1alpha1.ConditionBAAInForce), "True/InForce", "False/Expired"},
		"it is to be verified": {func(t *tenant, p *profile, all vendors) {
			verified(p, t, all)
			t.Spec.BAA.LastVerifiedOn = "2026-11-12"
		}, condition(v1alpha1.ConditionBAAInForce), "True/InForce", "False/ReverificationDue"},
		"a grant ends": {func(t *tenant, _ *profile, _ vendors) {
			t.Spec.Roles = []v1alpha1.RoleGrant{{Role: "Auditor", Subjects: []v1alpha1.Subject{{Kind: "User", Name: "dana"}}, ExpiresOn: theDay}}
		}, boundAuditors, "dana", ""},
		"the warning of an associate's end": {func(_ *tenant, _ *profile, all vendors) { of("clearing")(all).ExpiresOn = "2026-12-22" },
			finding(compile.CodeAssociateExpiring), "", "spec.businessAssociates[0]"},
		"the warning of a region provider's end": {func(_ *tenant, _ *profile, all vendors) { of("aws")(all).ExpiresOn = "2026-12-22" },
			finding(compile.CodeAssociateExpiring), "", "spec.region"},
	}
	for what, effect := range map[string]struct {
		vendor string
		show   func(*testing.T, *store) string
		opened string
	}{
		"an associate": {"clearing", egressFact, open}, "a subcontractor": {"labs", egressFact, open}, "a region's provider": {"aws", regionsFact, fixture.Region},
	} {
		out[what+" begins"] = dated{func(_ *tenant, _ *profile, all vendors) { of(effect.vendor)(all).ExecutedOn = theDay }, effect.show, "", effect.opened}
		out[what+" ends"] = dated{func(_ *tenant, _ *profile, all vendors) { of(effect.vendor)(all).ExpiresOn = theDay }, effect.show, effect.opened, ""}
		out[what+" is to be verified"] = dated{func(t *tenant, p *profile, all vendors) {
			verified(p, t, all)
			of(effect.vendor)(all).LastVerifiedOn = "2026-11-12"
		}, effect.show, effect.opened, ""}
	}
	for what, change := range map[string]func(*tenant, *profile, vendors){
		"False/Expired":             func(_ *tenant, _ *profile, all vendors) { of("clearing")(all).ExpiresOn = theDay },
		"False/SubcontractorLapsed": func(_ *tenant, _ *profile, all vendors) { of("labs")(all).ExpiresOn = theDay },
		"False/ReverificationDue": func(t *tenant, p *profile, all vendors) {
			verified(p, t, all)
			of("clearing")(all).LastVerifiedOn = "2026-11-12"
		},
	} {
		out["the status of an associate: "+what] = dated{change, inForce("clearing"), "True/InForce", what}
	}
	return out
}

// TestDates follows the operator from one look to the next, as it asks for them itself: what a day changes has not
// happened one second before it, and has happened at its first instant in UTC, whatever the zone of the clock.
func TestDates(t *testing.T) {
	for name, w := range worlds() {
		t.Run(name, func(t *testing.T) {
			clock := clocktesting.NewFakePassiveClock(noon.In(time.FixedZone("west", -9*3600)))
			s, looks := w.start(t, clock)
			day := theDay.Time()
			for steps := 0; clock.Now().Before(day); steps++ {
				next := looks()
				if steps == 100 {
					t.Fatalf("after %d looks it is %s, and the next is after %s", steps, clock.Now(), next)
				}
				if got := w.show(t, s); got != w.before {
					t.Fatalf("on %s it is %q, want %q until %s", clock.Now(), got, w.before, day)
				}
				if next <= 0 || next > atMost {
					t.Fatalf("on %s the next look is after %s", clock.Now(), next)
				}
				if at := clock.Now().Add(next); at.After(day) {
					t.Fatalf("on %s the next look is at %s, which is later than %s", clock.Now(), at, day)
				}
				clock.SetTime(clock.Now().Add(next))
			}
			for _, at := range []time.Time{day.Add(-time.Second), day, day.Add(time.Second)} {
				clock.SetTime(at)
				next, want := looks(), w.after
				if at.Before(day) {
					want = w.before
					if next != time.Second {
						t.Errorf("one second before, the next look is after %s", next)
					}
				}
				if got := w.show(t, s); got != want {
					t.Errorf("at %s it is %q, want %q", at, got, want)
				}
				s.asked()
				looks()
				if writes := s.asked(); len(writes) > 0 {
					t.Errorf("at %s the second look writes %v", at, writes)
				}
			}
		})
	}
}

// start makes the world, and returns a function that looks at it as both controllers do, until nothing is written, and
// says when to look again.
func (w dated) start(t *testing.T, clock clock.PassiveClock) (*store, func() time.Duration) {
	t.Helper()
	all := map[string]*v1alpha1.BusinessAssociate{}
	for _, name := range []string{"clearing", "labs", "aws"} {
		all[name] = fixture.Associate(name)
	}
	all["clearing"].Spec.Subcontractors = []v1alpha1.Name{"labs"}
	h, p := tenant(), defaultProfile()
	h.Spec.BusinessAssociates, p.Spec.Regions[0].BusinessAssociate = []v1alpha1.Name{"clearing"}, "aws"
	w.change(h, p, all)
	s := newStore(t, h, p, all["clearing"], all["labs"], all["aws"])
	r, shelf := keyed(s)
	t.Cleanup(func() { forgetKeys("acme") })
	a := associates(s)
	r.Keys, r.Clock, a.Clock = keyring.New(clock, local.New(shelf, clock)), clock, clock
	return s, func() time.Duration {
		var next time.Duration
		for range 4 { // the look after a write confirms it
			next = sooner(lookOnce(t, func() (ctrl.Result, error) { return r.Reconcile(t.Context(), requestFor("acme")) }),
				lookOnce(t, func() (ctrl.Result, error) { return a.Reconcile(t.Context(), requestFor("clearing")) }))
		}
		return next
	}
}

func lookOnce(t *testing.T, reconcile func() (ctrl.Result, error)) time.Duration {
	t.Helper()
	result, err := reconcile()
	if err != nil {
		t.Fatal(err)
	}
	return result.RequeueAfter
}

func sooner(a, b time.Duration) time.Duration {
	if b > 0 && (a == 0 || b < a) {
		return b
	}
	return a
}

// TestARenewalRestoresEverything that a lapse closed, byte for byte, whatever the profile has a lapse do.
func TestARenewalRestoresEverything(t *testing.T) {
	for _, lapse := range []v1alpha1.LapseAction{v1alpha1.LapseAlert, v1alpha1.LapseFreeze, v1alpha1.LapseIsolate} {
		t.Run(string(lapse), func(t *testing.T) {
			s, r := sociable(t, lapse)
			t.Cleanup(func() { forgetKeys("acme") })
			stood := picture(t, s)
			extend := func(day v1alpha1.Date) {
				h := fetch(t, s, "", "acme", &v1alpha1.HIPAATenant{})
				h.Spec.BAA.ExpiresOn = day
				h.Generation++
				if err := s.Update(t.Context(), h); err != nil {
					t.Fatal(err)
				}
			}
			extend("2026-11-21")
			if got := run(t, r, s); reasonOf(got, v1alpha1.ConditionBAAInForce) != "False/Expired" {
				t.Errorf("BAAInForce is %s", reasonOf(got, v1alpha1.ConditionBAAInForce))
			}
			gate := v1alpha1.Gate(fetch(t, s, "", "acme", &corev1.Namespace{}).Annotations[v1alpha1.AnnotationAdmission])
			var policies networkingv1.NetworkPolicyList
			if err := s.List(t.Context(), &policies, client.InNamespace("acme")); err != nil {
				t.Fatal(err)
			}
			want := map[v1alpha1.LapseAction]struct {
				gate     v1alpha1.Gate
				policies int
			}{
				v1alpha1.LapseAlert: {v1alpha1.GateOpen, 5}, v1alpha1.LapseFreeze: {v1alpha1.GateFrozen, 5}, v1alpha1.LapseIsolate: {v1alpha1.GateQuarantined, 2},
			}[lapse]
			if gate != want.gate || len(policies.Items) != want.policies {
				t.Errorf("lapsed: gate %s, %d policies; want %v", gate, len(policies.Items), want)
			}
			extend("2031-01-01")
			if got := run(t, r, s); reasonOf(got, v1alpha1.ConditionReady) != "True/Ready" {
				t.Errorf("Ready is %s after the renewal", reasonOf(got, v1alpha1.ConditionReady))
			}
			if diff := cmp.Diff(stood, picture(t, s)); diff != "" {
				t.Errorf("after the renewal things are not as they were (-want +got):\n%s", diff)
			}
		})
	}
}
