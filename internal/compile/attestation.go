package compile

import (
	"fmt"
	"slices"
	"time"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
)

// statement is an attestation and where it is written.
type statement struct {
	v1alpha1.Attestation
	path string
}

// holds says whether the statement counts at now: from the first instant of its day until the first of the day it expires.
func (s statement) holds(now time.Time) bool {
	return !now.Before(s.On.Time()) && now.Before(s.ExpiresOn.Time())
}

// statements are the tenant's attestations of a safeguard. Those of the profile hold for the whole platform and count for a
// tenant that has none of its own, not even one that has expired: what the tenant says of itself beats what is said of all.
func statements(t *v1alpha1.HIPAATenant, profile *v1alpha1.HIPAAProfile, citation v1alpha1.Citation) []statement {
	list := cited(t.Spec.Attestations, "", citation)
	if len(list) == 0 && profile != nil {
		list = cited(profile.Spec.Attestations, "profile ", citation)
	}
	return list
}

func cited(all []v1alpha1.Attestation, owner string, citation v1alpha1.Citation) []statement {
	var list []statement
	for i, a := range all {
		if a.Citation == citation {
			list = append(list, statement{Attestation: a, path: fmt.Sprintf("%sspec.attestations[%d]", owner, i)})
		}
	}
	return list
}

// resolveAttestations judges what no cluster can check: whether a named person vouches for it today. Each citation is judged
// once, those the profile requires first.
func (r *resolved) resolveAttestations(f Facts, p *Plan) {
	var judged []v1alpha1.Citation
	for i, required := range r.profile.Spec.RequiredAttestations {
		judged = append(judged, required.Citation)
		list := statements(r.tenant, r.profile, required.Citation)
		if len(list) == 0 {
			p.find(v1alpha1.SeverityWarning, CodeAttestationMissing, "spec.attestations",
				"nobody attests %s, which profile %s requires in requiredAttestations[%d] (%s): have a named person state it, in spec.attestations "+
					"or, where it holds for every tenant, in those of the profile", required.Citation, r.profile.Name, i, required.Reason)
			continue
		}
		r.judgeStatements(list, true, f.Now, p)
	}
	for _, a := range slices.Concat(r.tenant.Spec.Attestations, r.profile.Spec.Attestations) {
		if !slices.Contains(judged, a.Citation) {
			judged = append(judged, a.Citation)
			r.judgeStatements(statements(r.tenant, r.profile, a.Citation), false, f.Now, p)
		}
	}
}

// judgeStatements says what is to be done about the attestations of one safeguard, of which there is at least one.
func (r *resolved) judgeStatements(list []statement, required bool, now time.Time, p *Plan) {
	slices.SortStableFunc(list, func(a, b statement) int { return a.On.Time().Compare(b.On.Time()) })
	var ended *statement
	for i := range list {
		s := &list[i]
		p.wake(now, s.On.Time())
		p.wake(now, s.ExpiresOn.Time())
		if !now.Before(s.ExpiresOn.Time()) && (ended == nil || s.ExpiresOn > ended.ExpiresOn) {
			ended = s
		}
	}
	last := lastToEnd(list, now)
	switch {
	case last != nil:
		r.warnOfAttestation(last, required, now, p)
	case ended != nil:
		severity, code := outOfPlace(required, CodeAttestationExpired)
		p.find(severity, code, ended.path+".expiresOn", "the attestation of %s by %s expired on %s: have a named person state it again, with a new date and expiry",
			ended.Citation, ended.By, ended.ExpiresOn)
	default:
		severity, code := outOfPlace(required, CodeAttestationMissing)
		p.find(severity, code, list[0].path+".on", "the attestation of %s by %s begins on %s: until then it does not count; correct the date, or have a named person state what holds today",
			list[0].Citation, list[0].By, list[0].On)
	}
}

// lastToEnd is the statement that ends last of those that hold at now and those that follow them without a gap; nil when none
// holds. The list is in the order of their first days.
func lastToEnd(list []statement, now time.Time) *statement {
	var last *statement
	for i := range list {
		s := &list[i]
		follows := last != nil && !s.On.Time().After(last.ExpiresOn.Time())
		if (s.holds(now) || follows) && (last == nil || s.ExpiresOn > last.ExpiresOn) {
			last = s
		}
	}
	return last
}

// outOfPlace tells a safeguard somebody must vouch for from one that somebody merely does.
func outOfPlace(required bool, code string) (v1alpha1.Severity, string) {
	if required {
		return v1alpha1.SeverityWarning, code
	}
	return v1alpha1.SeverityInfo, CodeAttestationNotCounted
}

func (r *resolved) warnOfAttestation(s *statement, required bool, now time.Time, p *Plan) {
	severity, _ := outOfPlace(required, "")
	begin := s.ExpiresOn.Time().Add(-r.warnBefore())
	p.wake(now, begin)
	if !now.Before(begin) {
		p.find(severity, CodeAttestationExpiring, s.path+".expiresOn",
			"the attestation of %s by %s expires on %s: have a named person state it again before then", s.Citation, s.By, s.ExpiresOn)
	}
}

// warnBefore is how long before the end of an agreement or an attestation it is told.
func (r *resolved) warnBefore() time.Duration {
	if r.profile.Spec.BAA != nil && r.profile.Spec.BAA.WarnBefore.Value() > 0 {
		return r.profile.Spec.BAA.WarnBefore.Value()
	}
	return defaultWarnBefore
}
