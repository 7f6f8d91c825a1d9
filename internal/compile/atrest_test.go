package compile

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/atrest"
	"github.com/hipaatenant/hipaa-tenant-operator/test/fixture"
)

func attesting(citation v1alpha1.Citation, on, until v1alpha1.Date) v1alpha1.Attestation {
	return v1alpha1.Attestation{Citation: citation, Statement: "etcd is encrypted by the cloud", By: "Dana Ruiz", On: on, ExpiresOn: until}
}

func ofCluster(p *Plan) []v1alpha1.Finding {
	var list []v1alpha1.Finding
	for _, f := range p.Findings {
		if OfCluster(f) {
			list = append(list, f)
		}
	}
	return list
}

// TestAtRest: each state has one finding, none keeps the tenant from being provisioned.
func TestAtRest(t *testing.T) {
	in := func(citation v1alpha1.Citation) []v1alpha1.Attestation {
		return []v1alpha1.Attestation{attesting(citation, "2026-03-01", "2027-03-01")}
	}
	for name, c := range map[string]struct {
		state        atrest.State
		attestations []v1alpha1.Attestation
		want         string
		next         string
	}{
		"encrypted":                       {atrest.StateKMS, nil, "Info EncryptedAtRest: seen", ""},
		"encrypted without a KMS":         {atrest.StateOther, nil, "Warning AtRestWithoutKMS: seen", ""},
		"plaintext remains":               {atrest.StatePlaintextRemains, nil, "Warning PlaintextAtRest: seen", ""},
		"not encrypted":                   {atrest.StateNotEncrypted, nil, "Warning NotEncryptedAtRest: seen", ""},
		"not encrypted, whoever vouches":  {atrest.StateNotEncrypted, in("164.312(a)(2)(iv)"), "Warning NotEncryptedAtRest: seen", "2027-01-30"},
		"unknown":                         {atrest.StateUnknown, nil, "Warning AtRestUnknown: seen", ""},
		"unknown, somebody vouches":       {atrest.StateUnknown, in("164.312(a)(2)(iv)"), "Info AtRestAttested: seen; attested by Dana Ruiz on 2026-03-01, until 2027-03-01", "2027-01-30"},
		"unknown, vouched for other rows": {atrest.StateUnknown, in("164.312(a)(2)"), "Warning AtRestUnknown: seen", "2027-01-30"},
		"unknown, no longer vouched for": {
			atrest.StateUnknown, []v1alpha1.Attestation{attesting("164.312(a)(2)(iv)", "2025-03-01", "2026-11-21")}, "Warning AtRestUnknown: seen", "",
		},
		"unknown, not vouched for yet": {
			atrest.StateUnknown, []v1alpha1.Attestation{attesting("164.312(a)(2)(iv)", "2026-11-22", "2027-03-01")}, "Warning AtRestUnknown: seen", "2026-11-22",
		},
		"unknown, vouched for twice": {
			atrest.StateUnknown, append(in("164.312(a)(2)(iv)"), attesting("164.312(a)(2)(iv)", "2026-05-01", "2028-01-01")),
			"Info AtRestAttested: seen; attested by Dana Ruiz on 2026-05-01, until 2028-01-01", "2027-03-01",
		},
	} {
		t.Run(name, func(t *testing.T) {
			tenant := fixture.Tenant("acme", func(t *v1alpha1.HIPAATenant) { t.Spec.Attestations = c.attestations })
			facts := factsFor(fixture.Profile("default"))
			facts.AtRest = &atrest.Verdict{State: c.state, Message: "seen"}
			p := Compile(tenant, facts)
			got := ofCluster(p)
			if len(got) != 1 || string(got[0].Severity)+" "+got[0].Code+": "+got[0].Message != c.want {
				t.Errorf("findings %v, want %s", got, c.want)
			}
			if !p.Writable() || p.Gates["acme"] != v1alpha1.GateOpen {
				t.Errorf("the tenant is not provisioned: %v", p.Findings)
			}
			next := ""
			if day := p.Next.Format(time.DateOnly); day < "2028-01-02" && !p.Next.IsZero() {
				next = day
			}
			if next != c.next {
				t.Errorf("looked at again on %q, want %q", next, c.next)
			}
		})
	}
}

// TestAtRestAttestedForThePlatform: what the profile attests counts for every tenant that says nothing of its own.
func TestAtRestAttestedForThePlatform(t *testing.T) {
	platform := factsFor(fixture.Profile("default", func(p *v1alpha1.HIPAAProfile) {
		p.Spec.Attestations = []v1alpha1.Attestation{attesting(citationAtRest, "2026-03-01", "2027-03-01")}
	}))
	platform.AtRest = &atrest.Verdict{State: atrest.StateUnknown, Message: "seen"}
	own := func(t *v1alpha1.HIPAATenant) {
		t.Spec.Attestations = []v1alpha1.Attestation{attesting(citationAtRest, "2025-03-01", "2026-03-01")}
	}
	for code, tenant := range map[string]*v1alpha1.HIPAATenant{
		CodeAtRestAttested: fixture.Tenant("acme"), CodeAtRestUnknown: fixture.Tenant("acme", own),
	} {
		if got := ofCluster(Compile(tenant, platform)); len(got) != 1 || got[0].Code != code {
			t.Errorf("findings %v, want %s", got, code)
		}
	}
}

// TestAtRestStandsUntilObserved: an operator that has just started repeats what was said, and claims nothing of its own.
func TestAtRestStandsUntilObserved(t *testing.T) {
	tenant, facts := fixture.Tenant("acme"), factsFor(fixture.Profile("default"))
	if got := ofCluster(Compile(tenant, facts)); len(got) != 0 {
		t.Errorf("findings %v although nothing was observed", got)
	}
	facts.AtRest = &atrest.Verdict{State: atrest.StateNotEncrypted, Message: "seen"}
	before := Compile(tenant, facts)
	tenant.Status.Findings = append(before.Findings, v1alpha1.Finding{Severity: v1alpha1.SeverityWarning, Code: CodeBAAExpiring})
	facts.AtRest = nil
	if diff := cmp.Diff(before.Findings, Compile(tenant, facts).Findings); diff != "" {
		t.Errorf("findings change with the restart (-before +after):\n%s", diff)
	}
	facts.AtRest = &atrest.Verdict{State: atrest.StateKMS, Message: "seen"}
	if got := ofCluster(Compile(tenant, facts)); len(got) != 1 || got[0].Code != CodeEncryptedAtRest {
		t.Errorf("findings %v, want what was observed anew alone", got)
	}
}
