package keyring

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// limits of every call to a provider.
type limits struct {
	// timeout covers all attempts of one call together.
	timeout time.Duration
	// attempts at most; only Unreachable is tried again.
	attempts int
	// pause before the second attempt; each further one waits four times as long, and up to half as much again at
	// random, so that tenants that failed together do not return together.
	pause time.Duration
	// threshold and coolDown of the circuits.
	threshold int
	coolDown  time.Duration
	// lanes is the number of calls under way to one endpoint, a quarter of the tenants that are reconciled side by side;
	// patience is how long one more waits for an answer to any of them.
	lanes    int
	patience time.Duration
}

func defaultLimits() limits {
	return limits{
		timeout: 5 * time.Second, attempts: 3, pause: 100 * time.Millisecond, threshold: 3, coolDown: 30 * time.Second,
		lanes: 16, patience: 250 * time.Millisecond,
	}
}

// Call is one call to a provider that has ended, with all its attempts.
type Call struct {
	// Provider is the scheme, Operation the method in lower case.
	Provider, Operation string
	Took                time.Duration
	// Kind of error; empty when there was none.
	Kind Kind
}

// Observe has every call told to f, which must not block. Use it before the Ring is used.
func (r *Ring) Observe(f func(Call)) { r.observe = f }

// Bound sets how many calls to one endpoint may be under way, at least 1. Use it before the Ring is used.
func (r *Ring) Bound(calls int) { r.lanes = newLanes(max(1, calls), r.limits.patience) }

// call runs one operation of the key's provider with a deadline, repetitions and the circuit of its endpoint.
// The error is an *Error whose subject is the key URI.
func (r *Ring) call(ctx context.Context, ref KeyRef, operation string, do func(context.Context, Provider) error) error {
	p, err := r.provider(ref)
	if err != nil {
		return err
	}
	endpoint := Endpoint{p.Scheme(), p.Endpoint(ref)}
	if err := r.circuits.admit(endpoint); err != nil {
		return about(ref.URI(), err)
	}
	if !r.lanes.enter(ctx, endpoint) {
		r.circuits.forget(endpoint)
		return &Error{Kind: Unreachable, Subject: ref.URI(), Reason: r.unanswered(), Err: ctx.Err()}
	}
	defer r.lanes.leave(endpoint)
	began := r.clock.Now()
	err = r.attempt(ctx, func(ctx context.Context) error { return do(ctx, p) })
	r.observe(Call{Provider: ref.Scheme, Operation: operation, Took: r.clock.Since(began), Kind: KindOf(err)})
	if err != nil && ctx.Err() != nil {
		r.circuits.forget(endpoint)
		return &Error{Kind: Unreachable, Subject: ref.URI(), Reason: "given up before the KMS answered", Err: ctx.Err()}
	}
	if err != nil {
		err = about(ref.URI(), err)
	}
	r.circuits.report(endpoint, err)
	return err
}

// attempt repeats do while it is Unreachable and time is left.
func (r *Ring) attempt(ctx context.Context, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, r.limits.timeout)
	defer cancel()
	pause := r.limits.pause
	for n := 1; ; n++ {
		err := do(ctx)
		if err == nil {
			return nil
		}
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return &Error{Kind: Unreachable, Reason: r.unanswered(), Err: err}
		}
		if kind := KindOf(err); n == r.limits.attempts || ctx.Err() != nil || (kind != "" && kind != Unreachable) {
			return err
		}
		//nolint:gosec // spreading retries over time needs no secrecy
		if !wait(ctx, pause+rand.N(pause/2+1)) {
			return err
		}
		pause *= 4
	}
}

// unanswered is said of a call that took too long, and of one that was turned away because others take too long: the
// tenant's status does not change between the two.
func (r *Ring) unanswered() string { return fmt.Sprintf("no answer within %s", r.limits.timeout) }

// wait returns false when ctx ends, or is due to end, before d has passed.
func wait(ctx context.Context, d time.Duration) bool {
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= d {
		return false
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// provider of a key's scheme.
func (r *Ring) provider(ref KeyRef) (Provider, error) {
	if p, ok := r.providers[ref.Scheme]; ok {
		return p, nil
	}
	return nil, about(ref.URI(), Errorf(Unsupported, "no provider answers for %s://; this operator has %s", ref.Scheme, r.schemes()))
}
