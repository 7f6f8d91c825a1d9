package attack

import (
	"context"
	"time"
)

// Attack is one thing nobody inside a tenant may bring about. Exactly one of Object, On and Send says what it is. In all
// texts NAMESPACE stands for the tenant's namespace, VICTIM for another tenant's, and NAME for a name of the attempt's own.
type Attack struct {
	// Name says what is tried.
	Name string

	// Object must not come to be. It is created in every way; with From, a lawful object of the same kind, every way of
	// changing From into it is tried as well. A Pod is also tried as the template of every kind that makes pods.
	Object, From string
	// On names an object that stands, as YAML of kind and name. Patch, a merge patch in YAML, does the harm; it is tried in
	// every way of changing an object. Without a patch the harm is that the object is deleted.
	On, Patch string
	// Send is a single request, for what is not a change of an object: "POST path", with a body, and perhaps as somebody
	// else. An object in On is watched.
	Send, Body, Impersonate string

	// Given are objects the cluster's administrator makes first.
	Given []string
	// Doomed deletes From before the attempt. It lasts, with a deletion timestamp, if it has a finalizer.
	Doomed bool
	// By must refuse the namespace's administrator; one of them is enough. The others may be refused by RBAC just as well.
	By []refusal
	// As is who tries; everybody unless told otherwise.
	As []actor
	// Without leaves ways out, by the beginning of their names. The reason is in the row's comment.
	Without []string
}

// Group of attacks, with the number of attacks it must have.
type Group struct {
	Name    string
	Least   int
	Attacks []Attack
	// Serial groups make one attempt at a time: what they break concerns every other attempt.
	Serial bool
}

// refusal says who refuses and what the answer says.
type refusal struct {
	who   string
	parts []string
	// check looks at what became of a request that was let through: harmless, or repaired.
	check func(ctx context.Context, t *trial) error
	// within is how long the repair of what was let through may take.
	within time.Duration
}

// Who refuses, as judge tells it from the answer.
const (
	byRBAC     = "RBAC"
	bySecurity = "pod security"
	byRules    = "validation"
	byQuota    = "quota"
	byAbsence  = "absence"
)

func policy(name string, parts ...string) refusal {
	return refusal{who: "policy " + name, parts: parts}
}

// validation is the API server's own.
func validation(parts ...string) refusal { return refusal{who: byRules, parts: parts} }

func podSecurity(parts ...string) refusal { return refusal{who: bySecurity, parts: parts} }

// absent: the API server has no such thing.
func absent(parts ...string) refusal { return refusal{who: byAbsence, parts: parts} }

func overQuota(parts ...string) refusal { return refusal{who: byQuota, parts: parts} }

// accessControl is for what only RBAC can refuse: reading, and kinds of the cluster.
func accessControl(parts ...string) refusal { return refusal{who: byRBAC, parts: parts} }

// harmless requests are let through, and the check finds that nothing harmful came of them.
func harmless(check func(ctx context.Context, t *trial) error) refusal {
	return refusal{who: "nothing", check: check}
}

// repaired requests are let through, and undone in time, with an event of this reason.
func repaired(reason string, within time.Duration) refusal {
	return refusal{who: "the operator", parts: []string{reason}, within: within}
}
