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
		{"the end of an associate's agreement", nil, func(a *v1alpha1.BusinessAssociate) { a.Spec.BAA.ExpiresOn = "2027-03-03" }, "2027-03-03"},
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
	type want struct{ first, last v1alpha1.Gate }
	for _, tc := range []struct {
		name              string
		lapse             v1alpha1.LapseAction // empty while the agreement holds
		keyless, unarmed  bool
		live              map[v1alpha1.Gate]want
		foreign, unmarked want // an open namespace of a former tenant, and one with the marks stripped
	}{
		{"all well", "", false, false, map[v1alpha1.Gate]want{
			open: {open, open}, locked: {locked, open}, frozen: {frozen, open}, quarantined: {quarantined, open}, "bogus": {locked, open}, "": {locked, open},
		}, want{locked, open}, want{locked, open}},
		{"no keyset", "", true, false, map[v1alpha1.Gate]want{
			open: {open, open}, locked: {locked, locked}, frozen: {frozen, frozen}, quarantined: {quarantined, quarantined}, "bogus": {locked, locked}, "": {locked, locked},
		}, want{locked, locked}, want{locked, locked}},
		{"no policies", "", false, true, map[v1alpha1.Gate]want{
			open: {open, open}, locked: {locked, locked}, frozen: {frozen, frozen}, quarantined: {quarantined, quarantined}, "bogus": {locked, locked}, "": {locked, locked},
		}, want{locked, locked}, want{locked, locked}},
		{"lapsed, Alert", v1alpha1.LapseAlert, false, false, map[v1alpha1.Gate]want{
			open: {open, open}, locked: {locked, open}, frozen: {frozen, open}, quarantined: {quarantined, open},
		}, want{locked, open}, want{locked, open}},
		{"lapsed, Freeze", v1alpha1.LapseFreeze, false, false, map[v1alpha1.Gate]want{
			open: {frozen, frozen}, locked: {locked, frozen}, frozen: {frozen, frozen}, quarantined: {quarantined, frozen},
		}, want{locked, frozen}, want{locked, frozen}},
		{"lapsed, Freeze, no keyset", v1alpha1.LapseFreeze, true, false, map[v1alpha1.Gate]want{
			open: {frozen, frozen}, locked: {locked, locked}, frozen: {frozen, frozen}, quarantined: {quarantined, quarantined},
		}, want{locked, locked}, want{locked, locked}},
		{"lapsed, Isolate", v1alpha1.LapseIsolate, false, false, map[v1alpha1.Gate]want{
			open: {quarantined, quarantined}, locked: {quarantined, quarantined}, frozen: {quarantined, quarantined}, quarantined: {quarantined, quarantined},
		}, want{quarantined, quarantined}, want{quarantined, quarantined}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for live, w := range tc.live {
				checkGates(t, "ours, "+string(live), standing("acme", "u-acme", live), tc.lapse, tc.keyless, tc.unarmed, w.first, w.last)
			}
			checkGates(t, "a former tenant's", standing("acme", "u-former", open), tc.lapse, tc.keyless, tc.unarmed, tc.foreign.first, tc.foreign.last)
			checkGates(t, "stripped", standing("", "u-acme", open), tc.lapse, tc.keyless, tc.unarmed, tc.unmarked.first, tc.unmarked.last)
		})
	}
}

func checkGates(t *testing.T, what string, live Namespace, lapse v1alpha1.LapseAction, keyless, unarmed bool, first, last v1alpha1.Gate) {
	t.Helper()
	tenant := fixture.Tenant("acme", func(h *v1alpha1.HIPAATenant) {
		h.UID = "u-acme"
		h.Spec.Namespaces = []v1alpha1.TenantNamespace{{Name: "acme"}, {Name: "acme-side"}}
		h.Status.Namespaces = []v1alpha1.NamespaceStatus{{Name: "acme", UID: live.UID}}
		if lapse != "" {
			h.Spec.BAA.ExpiresOn = "2026-02-01"
		}
	})
	f := factsFor(fixture.Profile("default", func(p *v1alpha1.HIPAAProfile) { p.Spec.BAA = &v1alpha1.BAARules{OnLapse: lapse} }))
	f.Namespaces["acme"], f.Namespaces["acme-side"] = live, standing("acme", "u-acme", v1alpha1.GateLocked)
	f.AdmissionEnforced = !unarmed
	if keyless {
		f.Keysets = nil
	}
	p := Compile(tenant, f)
	gates := map[Wave]v1alpha1.Gate{}
	for _, wave := range []Wave{WaveNamespace, WaveGate} {
		for _, config := range p.Waves()[wave] {
			if n := config.(*accore.NamespaceApplyConfiguration); *n.Name == "acme" {
				gates[wave] = v1alpha1.Gate(n.Annotations[v1alpha1.AnnotationAdmission])
			}
		}
	}
	if want := (map[Wave]v1alpha1.Gate{WaveNamespace: first, WaveGate: last}); !cmp.Equal(gates, want) {
		t.Errorf("%s: gates written are %v, want %v (findings %v)", what, gates, want, p.Findings)
	}
	if p.FirstGates["acme"] != first || p.Gates["acme"] != last {
		t.Errorf("%s: the plan says gates %s then %s, want %s then %s", what, p.FirstGates["acme"], p.Gates["acme"], first, last)
	}
}
