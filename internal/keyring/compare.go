package keyring

import (
	"context"
	"crypto/sha256"
	"maps"
	"slices"
	"sync"
	"time"

	"k8s.io/utils/clock"
)

// Two processes that make a data key at the same time, or a Secret that is restored, can leave one version number with
// two data keys: each namespace encrypts with its own, and what moves between them cannot be read. Only opening tells.
// Therefore every copy is opened once by each process, beside the others of its version: at once where the tenant is not
// known to be in order or where this process finds a copy it did not make, and otherwise at the tenant's next look, so
// that a restart opens nothing.

// fingerprint identifies one copy of a data key in its envelope.
type fingerprint [sha256.Size]byte

// proofs remembers which copies this process found, or made, to be one and the same data key.
type proofs struct {
	clock clock.PassiveClock

	mu       sync.Mutex
	byTenant map[string]*proof // by tenant UID
}

type proof struct {
	// same holds, by version, copies of one data key.
	same map[id]map[fingerprint]bool
	// met are the copies that stood when the tenant was first seen. They wait until due.
	met map[fingerprint]bool
	due time.Time
}

func newProofs(c clock.PassiveClock) *proofs {
	return &proofs{clock: c, byTenant: map[string]*proof{}}
}

// of returns what is known of the tenant. The caller holds mu.
func (p *proofs) of(tenantUID string) *proof {
	known := p.byTenant[tenantUID]
	if known == nil {
		for uid := range p.byTenant {
			if len(p.byTenant) < maxLooks {
				break
			}
			delete(p.byTenant, uid) // it is met again
		}
		known = &proof{same: map[id]map[fingerprint]bool{}}
		p.byTenant[tenantUID] = known
	}
	return known
}

// prove notes that copies of a version are one data key. What was noted of the version before counts no more.
func (p *proofs) prove(tenantUID string, v id, copies []fingerprint) {
	p.mu.Lock()
	defer p.mu.Unlock()
	same := map[fingerprint]bool{}
	for _, c := range copies {
		same[c] = true
	}
	p.of(tenantUID).same[v] = same
}

// putOff has the copies that wait be compared at the tenant's next look.
func (p *proofs) putOff(req Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.of(req.TenantUID).due = req.comeBack(p.clock.Now())
}

// open lists the versions whose copies have to be compared now: those that must not be relied on before, and those whose
// time has come.
func (p *proofs) open(req Request, copies map[id][]fingerprint) (urgent, due []id) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.clock.Now()
	_, seen := p.byTenant[req.TenantUID]
	known := p.of(req.TenantUID)
	if !seen {
		known.met, known.due = map[fingerprint]bool{}, req.comeBack(now)
		for _, c := range slices.Concat(slices.Collect(maps.Values(copies))...) {
			known.met[c] = true
		}
	}
	late := !now.Before(known.due) || known.due.After(now.Add(comeBack+comeBackSpread)) // or the clock was set back
	for _, v := range slices.SortedFunc(maps.Keys(copies), id.Compare) {
		missing := func(in map[fingerprint]bool) bool {
			return slices.ContainsFunc(copies[v], func(c fingerprint) bool { return !in[c] })
		}
		switch {
		case len(copies[v]) < 2 || !missing(known.same[v]):
		case req.Unproven || missing(known.met):
			urgent = append(urgent, v)
		case late:
			due = append(due, v)
		}
	}
	return urgent, due
}

// rewrapped notes that a copy was wrapped anew. It has been opened, and holds what it held.
func (p *proofs) rewrapped(tenantUID string, v id, before, after fingerprint) {
	p.mu.Lock()
	defer p.mu.Unlock()
	known := p.of(tenantUID)
	for _, set := range []map[fingerprint]bool{known.same[v], known.met} {
		if set[before] {
			set[after] = true
		}
	}
}

// printOf a copy.
func printOf(namespace string, v id, sealed, wrapped []byte) fingerprint {
	sum := sha256.New()
	for _, part := range []string{namespace, v.Name, decimal(v.Version), string(sealed), string(wrapped)} {
		sum.Write([]byte(decimal(int64(len(part))) + ":" + part))
	}
	return fingerprint(sum.Sum(nil))
}

// copies of a version that stand.
func (j *job) copies(v id) []fingerprint {
	var out []fingerprint
	for ns, k := range j.standing {
		if e, ok := k.Find(v); ok {
			out = append(out, printOf(ns, v, e.Sealed, e.Wrapped))
		}
	}
	return out
}

// compare opens copies that were not compared yet. Where time alone asks for it, a KMS that is away puts it off.
func (r *Ring) compare(ctx context.Context, j *job) error {
	copies := map[id][]fingerprint{}
	for v := range j.plan.versions {
		copies[v] = j.copies(v)
	}
	urgent, due := r.proofs.open(j.req, copies)
	for _, v := range urgent {
		if err := r.proveSame(ctx, j, v); err != nil {
			return err
		}
	}
	for _, v := range due {
		err := r.proveSame(ctx, j, v)
		if KindOf(err) == Unreachable {
			r.proofs.putOff(j.req)
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (r *Ring) proveSame(ctx context.Context, j *job, v id) error {
	dek, err := r.takeOut(ctx, j, v)
	clear(dek)
	return err
}
