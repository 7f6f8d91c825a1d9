package keyring

import (
	"crypto/sha256"
	"encoding/binary"
	"strings"
	"time"
)

const (
	// earliest is the part of the rotation period by which a data key may be replaced early: 1/10. Rotation is never
	// planned late, so the period stays a ceiling.
	earliest = 10
	// spreadMissed is the time over which rotations that were missed are spread, at most: after a long absence, or a
	// jump of the clock, every tenant is due at once.
	spreadMissed = 24 * time.Hour
	// slots is how many parts that time has. A tenant may begin in one of them.
	slots = 24
	// maxSkew is how far in the future a data key may have been made before its age counts as unknown.
	maxSkew = 24 * time.Hour
)

// share is a part of d, the same for the same names and spread evenly over all others.
func share(d time.Duration, names ...string) time.Duration {
	sum := sha256.Sum256([]byte(strings.Join(names, "\x00")))
	const bits = 53 // of a float64
	return time.Duration(float64(d) * (float64(binary.BigEndian.Uint64(sum[:])>>(64-bits)) / (1 << bits)))
}

// due is when a primary version has to be replaced: before it reaches the rotation period, by up to a tenth of it, so
// that tenants made together are not rotated together. It does not depend on the present time.
func (req Request) due(v id, createdAt time.Time) time.Time {
	jitter := share(req.RotationPeriod/earliest, req.TenantUID, v.Name, decimal(v.Version))
	return createdAt.Add(req.RotationPeriod - jitter).Truncate(time.Second)
}

// begin is when the replacement may begin: now, or a time ahead. A rotation that is on time begins at once. One that was
// missed waits for the tenant's slot, so that all that were missed are spread.
func (req Request) begin(v id, createdAt, now time.Time) time.Time {
	spread := min(spreadMissed, req.RotationPeriod/earliest)
	slot := spread / slots
	due := req.due(v, createdAt)
	switch unknown := createdAt.After(now.Add(maxSkew)); {
	case unknown: // made by a clock that was wrong, then or now: replaced once, by a key of known age
	case now.Before(due):
		return due
	case now.Sub(due) < slot:
		return now
	}
	into := (time.Duration(now.UnixNano())%spread - share(spread, req.TenantUID, v.Name) + spread) % spread
	if into < slot {
		return now
	}
	return now.Add(spread - into)
}
