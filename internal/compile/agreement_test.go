package compile

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/test/fixture"
)

const (
	day        = 24 * time.Hour
	lastMoment = -time.Nanosecond
)

func date(t *testing.T, d v1alpha1.Date) time.Time {
	t.Helper()
	if d.Time().IsZero() {
		t.Fatalf("%q is no date", d)
	}
	return d.Time()
}

func agreement(change ...func(*v1alpha1.Agreement)) v1alpha1.Agreement {
	a := fixture.Agreement()
	a.ExecutedOn, a.ExpiresOn = "2026-01-15", "2028-01-15"
	for _, c := range change {
		c(&a)
	}
	return a
}

// TestJudgeAgreement looks at each boundary and at the last moment before it.
func TestJudgeAgreement(t *testing.T) {
	executed, expires := date(t, "2026-01-15"), date(t, "2028-01-15")
	unsigned := func(keep ...v1alpha1.SignatureParty) func(*v1alpha1.Agreement) {
		return func(a *v1alpha1.Agreement) {
			a.Signatures = nil
			for _, party := range keep {
				a.Signatures = append(a.Signatures, v1alpha1.Signature{Party: party})
			}
		}
	}
	verified := func(d v1alpha1.Date) func(*v1alpha1.Agreement) {
		return func(a *v1alpha1.Agreement) { a.LastVerifiedOn = d }
	}
	for _, tc := range []struct {
		name     string
		a        v1alpha1.Agreement
		reverify time.Duration
		now      time.Time
		want     Verdict
	}{
		{"before the first day", agreement(), 0, executed.Add(lastMoment),
			Verdict{Reason: v1alpha1.ReasonExpired, Message: "begins on 2026-01-15", Next: executed}},
		{"the first instant", agreement(), 0, executed,
			Verdict{InForce: true, Reason: v1alpha1.ReasonInForce, Message: "in force until 2028-01-15", Next: expires}},
		{"the last instant", agreement(), 0, expires.Add(lastMoment),
			Verdict{InForce: true, Reason: v1alpha1.ReasonInForce, Message: "in force until 2028-01-15", Next: expires}},
		{"the day it expires", agreement(), 0, expires,
			Verdict{Reason: v1alpha1.ReasonExpired, Message: "ended on 2028-01-15"}},
		{"another time zone, same instant", agreement(), 0, expires.In(time.FixedZone("east", 5*3600)),
			Verdict{Reason: v1alpha1.ReasonExpired, Message: "ended on 2028-01-15"}},
		{"nobody signed", agreement(unsigned()), 0, executed,
			Verdict{Reason: v1alpha1.ReasonIncomplete, Message: "signature of CoveredEntity is missing"}},
		{"the associate did not sign", agreement(unsigned(v1alpha1.PartyCoveredEntity)), 0, executed,
			Verdict{Reason: v1alpha1.ReasonIncomplete, Message: "signature of BusinessAssociate is missing"}},
		{"the covered entity did not sign", agreement(unsigned(v1alpha1.PartyBusinessAssociate)), 0, executed,
			Verdict{Reason: v1alpha1.ReasonIncomplete, Message: "signature of CoveredEntity is missing"}},
		{"unsigned and ended is unsigned", agreement(unsigned()), 0, expires,
			Verdict{Reason: v1alpha1.ReasonIncomplete, Message: "signature of CoveredEntity is missing"}},
		{"never verified, the last instant", agreement(), 30 * day, executed.Add(30*day + lastMoment),
			Verdict{InForce: true, Reason: v1alpha1.ReasonInForce, Message: "in force until 2028-01-15", Next: executed.Add(30 * day)}},
		{"never verified, due", agreement(), 30 * day, executed.Add(30 * day),
			Verdict{Reason: v1alpha1.ReasonReverificationDue, Next: expires,
				Message: "last verified on 2026-01-15, due again on 2026-02-14: verify it and set lastVerifiedOn"}},
		{"verified, the last instant", agreement(verified("2026-06-01")), 30 * day, date(t, "2026-07-01").Add(lastMoment),
			Verdict{InForce: true, Reason: v1alpha1.ReasonInForce, Message: "in force until 2028-01-15", Next: date(t, "2026-07-01")}},
		{"verified, due", agreement(verified("2026-06-01")), 30 * day, date(t, "2026-07-01"),
			Verdict{Reason: v1alpha1.ReasonReverificationDue, Next: expires,
				Message: "last verified on 2026-06-01, due again on 2026-07-01: verify it and set lastVerifiedOn"}},
		{"due after the end", agreement(verified("2028-01-01")), 30 * day, date(t, "2028-01-02"),
			Verdict{InForce: true, Reason: v1alpha1.ReasonInForce, Message: "in force until 2028-01-15", Next: expires}},
		{"ended, and due long before", agreement(), 30 * day, expires,
			Verdict{Reason: v1alpha1.ReasonExpired, Message: "ended on 2028-01-15"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, judgeAgreement(tc.a, tc.reverify, tc.now)); diff != "" {
				t.Errorf("verdict (-want +got):\n%s", diff)
			}
		})
	}
}

// vendor with an agreement until a day ("" for none) and subcontractors.
func vendor(name string, until v1alpha1.Date, subcontractors ...v1alpha1.Name) *v1alpha1.BusinessAssociate {
	return fixture.Associate(name, func(a *v1alpha1.BusinessAssociate) {
		a.Spec.Subcontractors = subcontractors
		a.Spec.BAA.ExpiresOn = until
		if until == "" {
			a.Spec.BAA = nil
		}
	})
}

func harmless(a *v1alpha1.BusinessAssociate) *v1alpha1.BusinessAssociate {
	a.Spec.HandlesPHI, a.Spec.NoPHIReason, a.Spec.BAA = false, "sees request counts only", nil
	return a
}

func byName(list []*v1alpha1.BusinessAssociate) map[string]*v1alpha1.BusinessAssociate {
	m := map[string]*v1alpha1.BusinessAssociate{}
	for _, a := range list {
		m[a.Name] = a
	}
	return m
}

func TestJudgeAssociate(t *testing.T) {
	const soon, late, past = v1alpha1.Date("2027-01-01"), v1alpha1.Date("2029-01-01"), v1alpha1.Date("2026-02-01")
	inForce := func(next v1alpha1.Date) Verdict {
		return Verdict{InForce: true, Reason: v1alpha1.ReasonInForce, Message: "in force until 2029-01-01", Next: date(t, next)}
	}
	lapsed := func(message string, next v1alpha1.Date) Verdict {
		return Verdict{Reason: v1alpha1.ReasonSubcontractorLapsed, Message: message, Next: next.Time()}
	}
	for _, tc := range []struct {
		name string
		list []*v1alpha1.BusinessAssociate // the first is judged
		want Verdict
	}{
		{"alone", []*v1alpha1.BusinessAssociate{vendor("a", late)}, inForce(late)},
		{"ended", []*v1alpha1.BusinessAssociate{vendor("a", past)}, Verdict{Reason: v1alpha1.ReasonExpired, Message: "ended on 2026-02-01"}},
		{"without an agreement", []*v1alpha1.BusinessAssociate{vendor("a", "")},
			Verdict{Reason: v1alpha1.ReasonIncomplete, Message: "handles PHI and has no agreement"}},
		{"without PHI", []*v1alpha1.BusinessAssociate{harmless(vendor("a", ""))},
			Verdict{InForce: true, Reason: v1alpha1.ReasonNoPHI, Message: "handles no PHI: sees request counts only"}},
		{"a subcontractor that ends sooner", []*v1alpha1.BusinessAssociate{vendor("a", late, "b"), vendor("b", soon)}, inForce(soon)},
		{"a subcontractor that ends later", []*v1alpha1.BusinessAssociate{vendor("a", late, "b"), vendor("b", "2031-01-01")}, inForce(late)},
		{"a subcontractor without PHI", []*v1alpha1.BusinessAssociate{vendor("a", late, "b"), harmless(vendor("b", ""))}, inForce(late)},
		{"without PHI, a subcontractor with", []*v1alpha1.BusinessAssociate{harmless(vendor("a", "", "b")), vendor("b", soon)},
			Verdict{InForce: true, Reason: v1alpha1.ReasonNoPHI, Message: "handles no PHI: sees request counts only", Next: soon.Time()}},
		{"a subcontractor that ended", []*v1alpha1.BusinessAssociate{vendor("a", late, "b"), vendor("b", past)},
			lapsed("subcontractor b: ended on 2026-02-01", late)},
		{"a subcontractor that is unknown", []*v1alpha1.BusinessAssociate{vendor("a", late, "ghost")},
			lapsed("subcontractor ghost does not exist: create BusinessAssociate ghost", late)},
		{"a chain of three", []*v1alpha1.BusinessAssociate{vendor("a", late, "b"), vendor("b", late, "c"), vendor("c", past)},
			lapsed("subcontractor b: subcontractor c: ended on 2026-02-01", late)},
		{"a chain that mends itself before the own end", []*v1alpha1.BusinessAssociate{vendor("a", late, "b"), begins(vendor("b", late), "2027-05-05")},
			lapsed("subcontractor b: begins on 2027-05-05", "2027-05-05")},
		{"itself", []*v1alpha1.BusinessAssociate{vendor("a", late, "a")}, lapsed("subcontractors form a cycle through a: remove one link", late)},
		{"a cycle of two", []*v1alpha1.BusinessAssociate{vendor("a", late, "b"), vendor("b", late, "a")},
			lapsed("subcontractor b: subcontractors form a cycle through a: remove one link", late)},
		{"a cycle further on", []*v1alpha1.BusinessAssociate{vendor("a", late, "b"), vendor("b", late, "c"), vendor("c", late, "b")},
			lapsed("subcontractor b: subcontractor c: subcontractors form a cycle through b: remove one link", late)},
		{"a diamond is no cycle", []*v1alpha1.BusinessAssociate{vendor("a", late, "b", "c"), vendor("b", late, "d"), vendor("c", late, "d"), vendor("d", soon)},
			inForce(soon)},
		{"own lapse before a subcontractor's", []*v1alpha1.BusinessAssociate{vendor("a", past, "b"), vendor("b", past)},
			Verdict{Reason: v1alpha1.ReasonExpired, Message: "ended on 2026-02-01"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, JudgeAssociate(tc.list[0], byName(tc.list), 0, noon)); diff != "" {
				t.Errorf("verdict (-want +got):\n%s", diff)
			}
		})
	}
}

func begins(a *v1alpha1.BusinessAssociate, d v1alpha1.Date) *v1alpha1.BusinessAssociate {
	a.Spec.BAA.ExecutedOn = d
	return a
}

// TestVerdictHoldsUntilNext: between now and Next, and for ever where there is no Next, time changes nothing.
func TestVerdictHoldsUntilNext(t *testing.T) {
	list := []*v1alpha1.BusinessAssociate{
		begins(vendor("a", "2030-01-01", "b", "c"), "2026-01-01"), begins(vendor("b", "2029-01-01", "d"), "2026-05-01"),
		begins(vendor("c", "2028-06-01"), "2027-01-01"), harmless(vendor("d", "")),
	}
	all, end := byName(list), date(t, "2031-01-01")
	for _, a := range list {
		changes := 0
		for now := date(t, "2025-12-01"); now.Before(end); {
			v := JudgeAssociate(a, all, 0, now)
			until := v.Next
			if until.IsZero() {
				until = end
			}
			if !until.After(now) {
				t.Fatalf("%s at %s: Next %s does not lie ahead", a.Name, now, until)
			}
			for ; now.Before(until); now = now.Add(day) {
				if diff := cmp.Diff(v, JudgeAssociate(a, all, 0, now)); diff != "" {
					t.Fatalf("%s: the verdict changed by %s, before Next %s:\n%s", a.Name, now, until, diff)
				}
			}
			now, changes = until, changes+1
		}
		if want := map[string]int{"a": 4, "b": 3, "c": 3, "d": 1}[a.Name]; changes < want {
			t.Errorf("%s: %d verdicts over five years, want at least %d", a.Name, changes, want)
		}
	}
}

// TestDiamondsAreJudgedOnce: without memory, 40 layers of two vendors, each with both of the next layer as
// subcontractors, would take 2^40 visits.
func TestDiamondsAreJudgedOnce(t *testing.T) {
	const layers = 40
	var list []*v1alpha1.BusinessAssociate
	for i := range layers {
		var below []v1alpha1.Name
		if i+1 < layers {
			below = []v1alpha1.Name{v1alpha1.Name(fmt.Sprintf("l%d", i+1)), v1alpha1.Name(fmt.Sprintf("r%d", i+1))}
		}
		list = append(list, vendor(fmt.Sprintf("l%d", i), "2029-01-01", below...), vendor(fmt.Sprintf("r%d", i), "2029-01-01", below...))
	}
	list[len(list)-1].Spec.BAA.ExpiresOn = "2027-03-03"
	all := byName(list)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	done := make(chan Verdict, 1)
	go func() { done <- JudgeAssociate(list[0], all, 0, noon) }()
	select {
	case v := <-done:
		if !v.InForce || !v.Next.Equal(date(t, "2027-03-03")) {
			t.Errorf("verdict is %+v; want in force until the first end, 2027-03-03", v)
		}
	case <-ctx.Done():
		t.Fatal("40 layers of diamonds were not judged within 10 seconds: each vendor is to be judged once")
	}
	if got := AssociateExpiry(list[0], all); got != "2027-03-03" {
		t.Errorf("expiry is %s, want 2027-03-03", got)
	}
}

func TestAssociateExpiry(t *testing.T) {
	for _, tc := range []struct {
		name string
		list []*v1alpha1.BusinessAssociate
		want v1alpha1.Date
	}{
		{"its own", []*v1alpha1.BusinessAssociate{vendor("a", "2029-01-01")}, "2029-01-01"},
		{"none", []*v1alpha1.BusinessAssociate{harmless(vendor("a", ""))}, ""},
		{"a subcontractor's, sooner", []*v1alpha1.BusinessAssociate{vendor("a", "2029-01-01", "b"), vendor("b", "2028-12-31")}, "2028-12-31"},
		{"a subcontractor's, later", []*v1alpha1.BusinessAssociate{vendor("a", "2029-01-01", "b"), vendor("b", "2029-01-02")}, "2029-01-01"},
		{"two links down", []*v1alpha1.BusinessAssociate{vendor("a", "2029-01-01", "b"), harmless(vendor("b", "", "c")), vendor("c", "2027-01-01")}, "2027-01-01"},
		{"beyond one that is unknown", []*v1alpha1.BusinessAssociate{vendor("a", "2029-01-01", "ghost", "b"), vendor("b", "2027-01-01")}, "2027-01-01"},
		{"in a cycle", []*v1alpha1.BusinessAssociate{vendor("a", "2029-01-01", "b"), vendor("b", "2028-01-01", "a")}, "2028-01-01"},
		{"one that ended already", []*v1alpha1.BusinessAssociate{vendor("a", "2029-01-01", "b"), vendor("b", "2026-02-01")}, "2026-02-01"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := AssociateExpiry(tc.list[0], byName(tc.list)); got != tc.want {
				t.Errorf("expiry is %q, want %q", got, tc.want)
			}
		})
	}
}

func TestWarningBeforeTheEnd(t *testing.T) {
	for _, tc := range []struct {
		name   string
		before v1alpha1.Duration
		now    v1alpha1.Date
		offset time.Duration
		warned bool
		next   v1alpha1.Date
	}{
		{"30 days by default, the last instant without", "", "2027-12-16", lastMoment, false, "2027-12-16"},
		{"30 days by default", "", "2027-12-16", 0, true, "2028-01-15"},
		{"as the profile says, the last instant without", "24h", "2028-01-14", lastMoment, false, "2028-01-14"},
		{"as the profile says", "24h", "2028-01-14", 0, true, "2028-01-15"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := factsFor(fixture.Profile("default", func(p *v1alpha1.HIPAAProfile) { p.Spec.BAA = &v1alpha1.BAARules{WarnBefore: tc.before} }))
			f.Now = date(t, tc.now).Add(tc.offset)
			p := Compile(fixture.Tenant("acme", func(h *v1alpha1.HIPAATenant) { h.Spec.BAA = agreement() }), f)
			if got := has(p, CodeBAAExpiring); got != tc.warned {
				t.Errorf("finding %s: %t, want %t", CodeBAAExpiring, got, tc.warned)
			}
			if !p.Next.Equal(date(t, tc.next)) {
				t.Errorf("next look on %s, want %s", p.Next, tc.next)
			}
			if strings.Contains(fmt.Sprint(p.Findings), CodeBAALapsed) {
				t.Errorf("findings %v: the agreement is in force", p.Findings)
			}
		})
	}
}
