package compile

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	accore "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/test/fixture"
)

func TestWake(t *testing.T) {
	for _, tc := range []struct {
		name  string
		times []time.Time
		want  time.Time
	}{
		{"nothing", nil, time.Time{}},
		{"what is past", []time.Time{noon.Add(-time.Hour)}, time.Time{}},
		{"now", []time.Time{noon}, time.Time{}},
		{"never", []time.Time{{}}, time.Time{}},
		{"what lies ahead", []time.Time{noon.Add(time.Nanosecond)}, noon.Add(time.Nanosecond)},
		{"the soonest, first", []time.Time{noon.Add(time.Hour), noon.Add(2 * time.Hour)}, noon.Add(time.Hour)},
		{"the soonest, last", []time.Time{noon.Add(2 * time.Hour), noon.Add(time.Hour), noon.Add(-time.Hour), {}}, noon.Add(time.Hour)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := newPlan()
			for _, at := range tc.times {
				p.wake(noon, at)
			}
			if !p.Next.Equal(tc.want) {
				t.Errorf("Next is %s, want %s", p.Next, tc.want)
			}
		})
	}
}

// TestNext: the plan asks to be made anew at the first instant any date in it changes something.
func TestNext(t *testing.T) {
	for _, tc := range []struct {
		name   string
		tenant func(*v1alpha1.HIPAATenant)
		vendor func(*v1alpha1.BusinessAssociate)
		want   v1alpha1.Date
	}{
		{"the warning before the end of the agreement", nil, nil, "2027-12-16"},
		{"the first day of the agreement", func(h *v1alpha1.HIPAATenant) { h.Spec.BAA.ExecutedOn = "2026-12-24" }, nil, "2026-12-24"},
		{"the end of a grant", func(h *v1alpha1.HIPAATenant) {
			h.Spec.Roles = []v1alpha1.RoleGrant{{Role: "Auditor", ExpiresOn: "2027-02-02"}, {Role: "Operator", ExpiresOn: "2027-02-01"}, {Role: "Developer", ExpiresOn: "2026-02-01"}}
		}, nil, "2027-02-01"},
		{"the warning before the end of an associate's agreement", nil, func(a *v1alpha1.BusinessAssociate) { a.Spec.BAA.ExpiresOn = "2027-03-03" }, "2027-02-01"},
		{"the end of an associate's agreement", nil, func(a *v1alpha1.BusinessAssociate) { a.Spec.BAA.ExpiresOn = "2026-12-03" }, "2026-12-03"},
		{"the first day of an associate's agreement", nil, func(a *v1alpha1.BusinessAssociate) { a.Spec.BAA.ExecutedOn = "2026-11-30" }, "2026-11-30"},
		{"an agreement that ended does not wake", nil, func(a *v1alpha1.BusinessAssociate) { a.Spec.BAA.ExpiresOn = "2026-03-03" }, "2027-12-16"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tenant := fixture.Tenant("acme", func(h *v1alpha1.HIPAATenant) {
				h.Spec.BAA.ExpiresOn = "2028-01-15"
				h.Spec.BusinessAssociates = []v1alpha1.Name{"clearing"}
			})
			associate := fixture.Associate("clearing")
			if tc.tenant != nil {
				tc.tenant(tenant)
			}
			if tc.vendor != nil {
				tc.vendor(associate)
			}
			f := factsFor(fixture.Profile("default"), associate)
			if p := Compile(tenant, f); !p.Next.Equal(date(t, tc.want)) {
				t.Errorf("next look at %s, want %s", p.Next, tc.want)
			}
		})
	}
}

func TestRefsAreSorted(t *testing.T) {
	want := []v1alpha1.ObjectRef{
		{Kind: "Namespace", Name: "a"}, {Kind: "Namespace", Name: "b"},
		{Kind: "ConfigMap", Namespace: "a", Name: "x"}, {Kind: "Secret", Namespace: "a", Name: "a"}, {Kind: "Secret", Namespace: "a", Name: "b"},
		{Kind: "ConfigMap", Namespace: "b", Name: "x"},
	}
	r := rand.New(rand.NewPCG(3, 4))
	for range 50 {
		p := newPlan()
		for _, i := range r.Perm(len(want)) {
			p.keep(want[i])
			p.keep(want[i])
		}
		if diff := cmp.Diff(want, p.Refs()); diff != "" {
			t.Fatalf("refs (-want +got):\n%s", diff)
		}
	}
	if got := newPlan().Refs(); len(got) != 0 {
		t.Errorf("refs of an empty plan: %v", got)
	}
}

func TestFindingsStandErrorsFirst(t *testing.T) {
	p := newPlan()
	for _, f := range []v1alpha1.Finding{
		{Severity: v1alpha1.SeverityInfo, Code: "i1"}, {Severity: v1alpha1.SeverityWarning, Code: "w1"}, {Severity: v1alpha1.SeverityError, Code: "e1"},
		{Severity: v1alpha1.SeverityWarning, Code: "w2"}, {Severity: v1alpha1.SeverityError, Code: "e2"}, {Severity: v1alpha1.SeverityInfo, Code: "i2"},
	} {
		p.find(f.Severity, f.Code, "", "")
	}
	var codes []string
	for _, f := range p.settle().Findings {
		codes = append(codes, f.Code)
	}
	if diff := cmp.Diff([]string{"e1", "e2", "w1", "w2", "i1", "i2"}, codes); diff != "" {
		t.Errorf("order of findings (-want +got):\n%s", diff)
	}
}

func TestInvalidAndWritable(t *testing.T) {
	for _, tc := range []struct {
		name              string
		effective         *v1alpha1.Effective
		severity          v1alpha1.Severity
		invalid, writable bool
	}{
		{"nothing resolved", nil, "", false, false},
		{"nothing resolved and a warning", nil, v1alpha1.SeverityWarning, false, false},
		{"resolved", &v1alpha1.Effective{}, "", false, true},
		{"resolved with a warning", &v1alpha1.Effective{}, v1alpha1.SeverityWarning, false, true},
		{"resolved with an error", &v1alpha1.Effective{}, v1alpha1.SeverityError, true, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := newPlan()
			p.Effective = tc.effective
			if tc.severity != "" {
				p.find(tc.severity, "x", "", "")
			}
			if p.Invalid() != tc.invalid || p.Writable() != tc.writable {
				t.Errorf("Invalid %t, Writable %t; want %t, %t", p.Invalid(), p.Writable(), tc.invalid, tc.writable)
			}
		})
	}
}

// TestNarrower over all pairs: the order, both ways round, and what is no gate.
func TestNarrower(t *testing.T) {
	order := []v1alpha1.Gate{v1alpha1.GateQuarantined, v1alpha1.GateLocked, v1alpha1.GateFrozen, v1alpha1.GateOpen}
	for i, a := range order {
		for j, b := range order {
			if got, want := narrower(a, b), order[min(i, j)]; got != want {
				t.Errorf("narrower(%s, %s) = %s, want %s", a, b, got, want)
			}
		}
		for _, no := range []v1alpha1.Gate{"", "OPEN", "open "} {
			want := narrower(a, v1alpha1.GateLocked)
			if got := [2]v1alpha1.Gate{narrower(a, no), narrower(no, a)}; got != [2]v1alpha1.Gate{want, want} {
				t.Errorf("narrower of %s and %q, both ways, is %v; want %s: what is no gate counts as locked", a, no, got, want)
			}
		}
	}
}

// TestGates: what the two waves write, for every live gate, with and without what an open gate needs.
func TestGates(t *testing.T) {
	const open, locked, frozen, quarantined = v1alpha1.GateOpen, v1alpha1.GateLocked, v1alpha1.GateFrozen, v1alpha1.GateQuarantined
	for _, tc := range []struct {
		name string
		gateCase
		live     map[v1alpha1.Gate]gates
		stranger gates // an open namespace of a former tenant, or with the marks stripped
	}{
		{"all well", gateCase{}, map[v1alpha1.Gate]gates{
			open: {open, open}, locked: {locked, open}, frozen: {frozen, open}, quarantined: {quarantined, open}, "bogus": {locked, open}, "": {locked, open},
		}, gates{locked, open}},
		{"no keyset", gateCase{keyless: true}, map[v1alpha1.Gate]gates{
			open: {open, open}, locked: {locked, locked}, frozen: {frozen, frozen}, quarantined: {quarantined, quarantined}, "bogus": {locked, locked}, "": {locked, locked},
		}, gates{locked, locked}},
		{"no policies", gateCase{unarmed: true}, map[v1alpha1.Gate]gates{
			open: {open, open}, locked: {locked, locked}, frozen: {frozen, frozen}, quarantined: {quarantined, quarantined}, "bogus": {locked, locked}, "": {locked, locked},
		}, gates{locked, locked}},
		{"lapsed, Alert", gateCase{lapse: v1alpha1.LapseAlert}, map[v1alpha1.Gate]gates{
			open: {open, open}, locked: {locked, open}, frozen: {frozen, open}, quarantined: {quarantined, open},
		}, gates{locked, open}},
		{"lapsed, Freeze", gateCase{lapse: v1alpha1.LapseFreeze}, map[v1alpha1.Gate]gates{
			open: {frozen, frozen}, locked: {locked, frozen}, frozen: {frozen, frozen}, quarantined: {quarantined, frozen},
		}, gates{locked, frozen}},
		{"lapsed, Freeze, no keyset", gateCase{lapse: v1alpha1.LapseFreeze, keyless: true}, map[v1alpha1.Gate]gates{
			open: {frozen, frozen}, locked: {locked, locked}, frozen: {frozen, frozen}, quarantined: {quarantined, quarantined},
		}, gates{locked, locked}},
		{"lapsed, Isolate", gateCase{lapse: v1alpha1.LapseIsolate}, map[v1alpha1.Gate]gates{
			open: {quarantined, quarantined}, locked: {quarantined, quarantined}, frozen: {quarantined, quarantined}, quarantined: {quarantined, quarantined},
		}, gates{quarantined, quarantined}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for live, want := range tc.live {
				tc.check(t, standing("acme", "u-acme", live), want)
			}
			tc.check(t, standing("acme", "u-former", open), tc.stranger)
			tc.check(t, standing("", "u-acme", open), tc.stranger)
		})
	}
}

// gates of the first and the last wave.
type gates struct{ First, Last v1alpha1.Gate }

type gateCase struct {
	lapse            v1alpha1.LapseAction // empty while the agreement holds
	keyless, unarmed bool
}

func (c gateCase) check(t *testing.T, live Namespace, want gates) {
	t.Helper()
	tenant := fixture.Tenant("acme", func(h *v1alpha1.HIPAATenant) {
		h.UID = "u-acme"
		h.Spec.Namespaces = []v1alpha1.TenantNamespace{{Name: "acme"}, {Name: "acme-side"}}
		h.Status.Namespaces = []v1alpha1.NamespaceStatus{{Name: "acme", UID: live.UID}}
		if c.lapse != "" {
			h.Spec.BAA.ExpiresOn = "2026-02-01"
		}
	})
	f := factsFor(fixture.Profile("default", func(p *v1alpha1.HIPAAProfile) { p.Spec.BAA = &v1alpha1.BAARules{OnLapse: c.lapse} }))
	f.Namespaces["acme"], f.Namespaces["acme-side"] = live, standing("acme", "u-acme", v1alpha1.GateLocked)
	f.AdmissionEnforced = !c.unarmed
	if c.keyless {
		f.Keysets = nil
	}
	p := Compile(tenant, f)
	gateIn := func(w Wave) v1alpha1.Gate {
		for _, config := range p.Waves()[w] {
			if n := config.(*accore.NamespaceApplyConfiguration); *n.Name == "acme" {
				return v1alpha1.Gate(n.Annotations[v1alpha1.AnnotationAdmission])
			}
		}
		return "not written"
	}
	if got := (gates{gateIn(WaveNamespace), gateIn(WaveGate)}); got != want {
		t.Errorf("a namespace of tenant %q, %q, with gate %q: gates written are %v, want %v (findings %v)",
			live.Tenant(), live.TenantUID(), live.Gate(), got, want, p.Findings)
	}
	if got := (gates{p.FirstGates["acme"], p.Gates["acme"]}); got != want {
		t.Errorf("a namespace of tenant %q, %q, with gate %q: the plan says gates %v, want %v", live.Tenant(), live.TenantUID(), live.Gate(), got, want)
	}
}
