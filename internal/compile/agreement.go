package compile

import (
	"fmt"
	"slices"
	"time"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
)

// Verdict on an agreement.
type Verdict struct {
	// InForce: both parties signed and now lies inside the agreement.
	InForce bool
	// Reason is one of the condition reasons InForce, Expired, Incomplete, OutOfScope, ReverificationDue, SubcontractorLapsed, NoPHI.
	Reason string
	// Message for people.
	Message string
	// Next is when time alone changes the verdict; zero when it does not.
	Next time.Time
}

// judgeAgreement decides whether an agreement holds at now. reverifyEvery zero means never.
func judgeAgreement(a v1alpha1.Agreement, reverifyEvery time.Duration, now time.Time) Verdict {
	for _, party := range []v1alpha1.SignatureParty{v1alpha1.PartyCoveredEntity, v1alpha1.PartyBusinessAssociate} {
		if !slices.ContainsFunc(a.Signatures, func(s v1alpha1.Signature) bool { return s.Party == party }) {
			return Verdict{Reason: v1alpha1.ReasonIncomplete, Message: fmt.Sprintf("signature of %s is missing", party)}
		}
	}
	executed, expires := a.ExecutedOn.Time(), a.ExpiresOn.Time()
	switch {
	case now.Before(executed):
		return Verdict{Reason: v1alpha1.ReasonExpired, Message: fmt.Sprintf("begins on %s", a.ExecutedOn), Next: executed}
	case !now.Before(expires):
		return Verdict{Reason: v1alpha1.ReasonExpired, Message: fmt.Sprintf("ended on %s", a.ExpiresOn)}
	}
	v := Verdict{InForce: true, Reason: v1alpha1.ReasonInForce, Message: fmt.Sprintf("in force until %s", a.ExpiresOn), Next: expires}
	if reverifyEvery > 0 {
		v = judgeVerification(a, reverifyEvery, now, v)
	}
	return v
}

// covering is the verdict on an agreement in force for services: each has to be in its scope, because uses and disclosures
// beyond what the agreement permits are not permitted (45 CFR 164.504(e)(2)(i)).
func (v Verdict) covering(services, scope []string) Verdict {
	at := slices.IndexFunc(services, func(service string) bool { return !slices.Contains(scope, service) })
	if !v.InForce || at < 0 {
		return v
	}
	return Verdict{
		Reason: v1alpha1.ReasonOutOfScope, Next: v.Next,
		Message: fmt.Sprintf("does not cover service %s: its scope is %s", services[at], orNothing(scope)),
	}
}

func judgeVerification(a v1alpha1.Agreement, every time.Duration, now time.Time, v Verdict) Verdict {
	last := a.LastVerifiedOn
	if last == "" {
		last = a.ExecutedOn
	}
	due := last.Time().Add(every)
	if !now.Before(due) {
		return Verdict{
			Reason:  v1alpha1.ReasonReverificationDue,
			Message: fmt.Sprintf("last verified on %s, due again on %s: verify it and set lastVerifiedOn", last, due.Format(time.DateOnly)),
			Next:    v.Next,
		}
	}
	if due.Before(v.Next) {
		v.Next = due
	}
	return v
}

// JudgeAssociate decides whether a vendor may be reached at now: its own agreement and those of all its
// subcontractors must be in force (45 CFR 164.308(b)(2)), and verified as often as the tenant's profile asks; reverifyEvery
// zero means never. A missing subcontractor or a cycle is not in force.
func JudgeAssociate(a *v1alpha1.BusinessAssociate, all map[string]*v1alpha1.BusinessAssociate, reverifyEvery time.Duration, now time.Time) Verdict {
	j := chainJudge{all: all, every: reverifyEvery, now: now, done: map[string]Verdict{}, open: map[string]bool{}}
	return j.judge(a)
}

// chainJudge walks subcontractors depth first. Each is judged once, however many chains lead to it.
type chainJudge struct {
	all   map[string]*v1alpha1.BusinessAssociate
	every time.Duration
	now   time.Time
	done  map[string]Verdict
	open  map[string]bool
}

func (j *chainJudge) judge(a *v1alpha1.BusinessAssociate) Verdict {
	if v, known := j.done[a.Name]; known {
		return v
	}
	j.open[a.Name] = true
	defer delete(j.open, a.Name)
	v := j.own(a)
	for _, name := range a.Spec.Subcontractors {
		if !v.InForce {
			break
		}
		v = j.subcontractor(string(name), v)
	}
	j.done[a.Name] = v
	return v
}

func (j *chainJudge) own(a *v1alpha1.BusinessAssociate) Verdict {
	switch {
	case !a.Spec.HandlesPHI:
		return Verdict{InForce: true, Reason: v1alpha1.ReasonNoPHI, Message: "handles no PHI: " + a.Spec.NoPHIReason}
	case a.Spec.BAA == nil:
		return Verdict{Reason: v1alpha1.ReasonIncomplete, Message: "handles PHI and has no agreement"}
	}
	v := judgeAgreement(*a.Spec.BAA, j.every, j.now)
	if len(a.Spec.BAA.Scope) == 0 {
		return v
	}
	if v = v.covering(a.Spec.Services, a.Spec.BAA.Scope); v.Reason == v1alpha1.ReasonOutOfScope {
		v.Message = "its agreement " + v.Message
	}
	return v
}

func (j *chainJudge) subcontractor(name string, v Verdict) Verdict {
	lapsed := Verdict{Reason: v1alpha1.ReasonSubcontractorLapsed, Next: v.Next}
	sub, found := j.all[name]
	switch {
	case j.open[name]:
		lapsed.Message = fmt.Sprintf("subcontractors form a cycle through %s: remove one link", name)
		return lapsed
	case !found:
		lapsed.Message = fmt.Sprintf("subcontractor %s does not exist: create BusinessAssociate %s", name, name)
		return lapsed
	}
	s := j.judge(sub)
	if !s.InForce {
		lapsed.Message, lapsed.Next = fmt.Sprintf("subcontractor %s: %s", name, s.Message), sooner(v.Next, s.Next)
		return lapsed
	}
	v.Next = sooner(v.Next, s.Next)
	return v
}

// sooner is the earlier of two times; a zero time never comes.
func sooner(a, b time.Time) time.Time {
	if a.IsZero() || (!b.IsZero() && b.Before(a)) {
		return b
	}
	return a
}

// AssociateExpiry is the earliest end of an associate's own agreement and its subcontractors', empty when none ends.
func AssociateExpiry(a *v1alpha1.BusinessAssociate, all map[string]*v1alpha1.BusinessAssociate) v1alpha1.Date {
	seen := map[string]bool{}
	var earliest v1alpha1.Date
	var visit func(*v1alpha1.BusinessAssociate)
	visit = func(a *v1alpha1.BusinessAssociate) {
		if a == nil || seen[a.Name] {
			return
		}
		seen[a.Name] = true
		if a.Spec.BAA != nil && (earliest == "" || a.Spec.BAA.ExpiresOn < earliest) {
			earliest = a.Spec.BAA.ExpiresOn
		}
		for _, s := range a.Spec.Subcontractors {
			visit(all[string(s)])
		}
	}
	visit(a)
	return earliest
}
