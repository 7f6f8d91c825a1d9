package keyring

import (
	"context"
	"time"

	"k8s.io/utils/clock"
)

// What tests in package keyring_test need of the inside.
var ParseKeyset = parseKeyset

// Limits of calls, for tests.
type Limits struct {
	Timeout, Pause      time.Duration
	Attempts, Threshold int
	CoolDown            time.Duration
	Lanes               int
	Patience            time.Duration
}

// DefaultLimits are those of New.
func DefaultLimits() Limits {
	l := defaultLimits()
	return Limits{l.timeout, l.pause, l.attempts, l.threshold, l.coolDown, l.lanes, l.patience}
}

// NewLimited is New with limits of the test's choice.
func NewLimited(c clock.PassiveClock, l Limits, providers ...Provider) *Ring {
	return newRing(c, limits{
		timeout: l.Timeout, attempts: l.Attempts, pause: l.Pause, threshold: l.Threshold, coolDown: l.CoolDown,
		lanes: l.Lanes, patience: l.Patience,
	}, providers...)
}

// Sealed makes the entry Ensure would make for this data key.
func (r *Ring) Sealed(ctx context.Context, uri string, dek []byte, b Binding) (Entry, error) {
	ref, err := ParseKeyURI(uri)
	if err != nil {
		return Entry{}, err
	}
	env, err := r.seal(ctx, ref, dek, b)
	return entry(b, ref, env), err
}
