package compile

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/test/fixture"
)

const facilities v1alpha1.Citation = "164.310(a)(1)"

// vouching compiles a tenant and a profile with attestations, under a profile that requires the one of facilities.
func vouching(own, platform []v1alpha1.Attestation, now time.Time) *Plan {
	f := factsFor(fixture.Profile("default", func(p *v1alpha1.HIPAAProfile) {
		p.Spec.Attestations = platform
		p.Spec.RequiredAttestations = []v1alpha1.RequiredAttestation{{Citation: facilities, Reason: "doors", ReviewedOn: "2026-05-01"}}
	}))
	f.Now = now
	return Compile(fixture.Tenant("acme", func(t *v1alpha1.HIPAATenant) { t.Spec.Attestations = own }), f)
}

// told are the findings about attestations, without what is said of them.
func told(p *Plan) string {
	var out []string
	for _, f := range p.Findings {
		if strings.HasPrefix(f.Code, "Attestation") {
			out = append(out, fmt.Sprintf("%s %s %s", f.Severity, f.Code, f.Path))
		}
	}
	return strings.Join(out, "; ")
}

// TestAttestations looks at each boundary and at the last moment before it. Every one is of 164.310(a)(1) unless it says so.
func TestAttestations(t *testing.T) {
	type list = []v1alpha1.Attestation
	of := func(on, until v1alpha1.Date) v1alpha1.Attestation { return attesting(facilities, on, until) }
	year := list{of("2026-03-01", "2027-03-01")}
	chain := list{of("2027-02-01", "2028-02-01"), of("2026-03-01", "2027-03-01")}
	gap := list{of("2026-03-01", "2027-03-01"), of("2027-03-02", "2028-02-01")}
	other := list{attesting("164.308(a)(5)", "2026-03-01", "2027-03-01")}
	const missing, expired = "Warning AttestationMissing ", "Warning AttestationExpired "
	for _, tc := range []struct {
		name     string
		own      list
		platform list
		now      v1alpha1.Date
		offset   time.Duration
		want     string
	}{
		{"nobody", nil, nil, "2026-06-01", 0, missing + "spec.attestations"},
		{"somebody, of another safeguard", other, nil, "2026-06-01", 0, missing + "spec.attestations"},
		{"somebody, of a part of it", list{attesting("164.310(a)(1)(i)", "2026-03-01", "2027-03-01")}, nil, "2026-06-01", 0, missing + "spec.attestations"},
		{"somebody, of more than it", list{attesting("164.310", "2026-03-01", "2027-03-01")}, nil, "2026-06-01", 0, missing + "spec.attestations"},
		{"before the day", year, nil, "2026-03-01", lastMoment, missing + "spec.attestations[0].on"},
		{"on the day", year, nil, "2026-03-01", 0, ""},
		{"before the warning", year, nil, "2027-01-30", lastMoment, ""},
		{"the warning", year, nil, "2027-01-30", 0, "Warning AttestationExpiring spec.attestations[0].expiresOn"},
		{"the last instant", year, nil, "2027-03-01", lastMoment, "Warning AttestationExpiring spec.attestations[0].expiresOn"},
		{"the day it expires", year, nil, "2027-03-01", 0, expired + "spec.attestations[0].expiresOn"},
		{"stated again, and no warning", chain, nil, "2027-02-15", 0, ""},
		{"stated again in advance, and no warning", chain, nil, "2027-01-31", 0, ""},
		{"the end of the first is not theirs", chain, nil, "2027-03-01", 0, ""},
		{"the end of both", chain, nil, "2028-02-01", 0, expired + "spec.attestations[0].expiresOn"},
		{"the next begins when the first ends, and no warning", list{of("2026-03-01", "2027-03-01"), of("2027-03-01", "2028-02-01")}, nil, "2027-02-15", 0, ""},
		{"a gap ahead is warned of", gap, nil, "2027-02-28", 0, "Warning AttestationExpiring spec.attestations[0].expiresOn"},
		{"in the gap", gap, nil, "2027-03-01", 0, expired + "spec.attestations[0].expiresOn"},
		{"behind the gap", gap, nil, "2027-03-02", 0, ""},
		{"the platform's", nil, year, "2026-06-01", 0, ""},
		{"the platform's has not begun", nil, year, "2026-02-01", 0, missing + "profile spec.attestations[0].on"},
		{"the platform's expires", nil, year, "2027-02-01", 0, "Warning AttestationExpiring profile spec.attestations[0].expiresOn"},
		{"the platform's expired", nil, year, "2027-03-01", 0, expired + "profile spec.attestations[0].expiresOn"},
		{"the tenant's own beats it", chain, year, "2027-06-01", 0, ""},
		{"the tenant's own beats it, also expired", list{of("2025-03-01", "2026-03-01")}, year, "2026-06-01", 0, expired + "spec.attestations[0].expiresOn"},
		{"the platform's of another safeguard", nil, other, "2026-06-01", 0, missing + "spec.attestations"},
		{"not required, in force", append(list{}, append(other, year...)...), nil, "2026-06-01", 0, ""},
		{"not required, expiring", append(list{}, append(other, chain...)...), nil, "2027-02-01", 0, "Info AttestationExpiring spec.attestations[0].expiresOn"},
		{"not required, expired", append(list{}, append(other, chain...)...), nil, "2027-03-01", 0, "Info AttestationNotCounted spec.attestations[0].expiresOn"},
		{"not required, not begun", append(list{}, append(other, chain...)...), nil, "2026-02-01", 0,
			missing + "spec.attestations[2].on; Info AttestationNotCounted spec.attestations[0].on"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := vouching(tc.own, tc.platform, date(t, tc.now).Add(tc.offset))
			if got := told(p); got != tc.want {
				t.Errorf("found %q, want %q", got, tc.want)
			}
			if !p.Writable() {
				t.Errorf("the tenant is not provisioned: %v", p.Findings)
			}
		})
	}
}

// TestAttestationsSayWhoAndWhat: a finding names the safeguard, who vouched for it, until when, and what to do.
func TestAttestationsSayWhoAndWhat(t *testing.T) {
	p := vouching([]v1alpha1.Attestation{attesting(facilities, "2025-03-01", "2026-03-01")}, nil, noon)
	const want = "the attestation of 164.310(a)(1) by Dana Ruiz expired on 2026-03-01: have a named person state it again, with a new date and expiry"
	for _, f := range p.Findings {
		if f.Code == CodeAttestationExpired && f.Message == want {
			return
		}
	}
	t.Errorf("findings %v, want %q", p.Findings, want)
}

// TestAttestationsHoldUntilNext: what is found changes at no instant that the plan did not ask to be woken at.
func TestAttestationsHoldUntilNext(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	made := func() []v1alpha1.Attestation {
		var list []v1alpha1.Attestation
		for range r.IntN(4) {
			on := date(t, "2026-02-01").AddDate(0, r.IntN(20), 0)
			list = append(list, attesting(someCitations[r.IntN(2)], v1alpha1.Date(on.Format(time.DateOnly)),
				v1alpha1.Date(on.AddDate(0, 1+r.IntN(12), 0).Format(time.DateOnly))))
		}
		return list
	}
	changes := 0
	for range 60 {
		own, platform := made(), made()
		end := date(t, "2029-01-01")
		for now := date(t, "2026-01-20"); now.Before(end); changes++ {
			p := vouching(own, platform, now)
			until := p.Next
			if until.IsZero() || until.After(end) {
				until = end
			}
			for ; now.Before(until); now = now.Add(5 * day) {
				if diff := cmp.Diff(p.Findings, vouching(own, platform, now).Findings); diff != "" {
					t.Fatalf("%v %v: found otherwise on %s, before Next %s:\n%s", own, platform, now, p.Next, diff)
				}
			}
			now = until
		}
	}
	if changes < 300 {
		t.Errorf("%d plans in 60 lives, want at least 300: the dates no longer make what this test is for", changes)
	}
}
