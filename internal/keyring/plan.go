package keyring

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// plan is what decide found: every version the tenant must have, and which of them each namespace lacks. It is a value;
// nothing was made and no KMS asked.
type plan struct {
	// versions the tenant must have, each with its state and the time it was made.
	versions map[id]version
	// lacking lists, by version, the namespaces that need a new envelope for it; sorted.
	lacking map[id][]string
	// flipped are versions that become primary. Each has to open everywhere first.
	flipped []id
	// behind are the entries that an earlier version of the KMS key wrapped; sorted.
	behind []place
	// unfinished says that another step follows once this one stands.
	unfinished bool
	// next is when the passing of time alone changes the plan; zero when it does not.
	next time.Time
	// changes that are worth telling.
	changes []Change
}

type version struct {
	state     State
	createdAt time.Time
}

// kek is the KMS key that is to wrap everything.
type kek struct {
	ref KeyRef
	// version the KMS would use now; empty when that is not known.
	version string
}

// wraps says whether an entry is wrapped by this key, whatever its version.
func (k kek) wraps(e Entry) bool { return e.Provider == k.ref.Scheme && e.KeyRef == k.ref.ID() }

// decide works out what must be made. Inputs are checked already.
func decide(req Request, standing map[string]Keyset, target kek, now time.Time) plan {
	p := plan{versions: merge(standing), lacking: map[id][]string{}}
	have := map[string]bool{}
	for v := range p.versions {
		have[v.Name] = true
	}
	for _, name := range req.DataKeys {
		if !have[name] {
			have[name] = true
			seen := req.PrimaryVersions[name]
			p.versions[id{Name: name, Version: seen + 1}] = version{Primary, now.UTC().Truncate(time.Second)}
			if seen > 0 {
				p.changes = append(p.changes, Change{Kind: Lost, Key: name, From: decimal(seen), To: decimal(seen + 1)})
			}
		}
	}
	for _, ns := range req.namespaces() {
		k := standing[ns]
		for v := range p.versions {
			e, ok := k.Find(v)
			switch {
			case !ok || k.TenantUID != req.TenantUID || !target.wraps(e):
				p.lacking[v] = append(p.lacking[v], ns)
			case target.version != "" && e.KMSKeyVersion != target.version:
				p.behind = append(p.behind, place{ns, v})
			}
		}
	}
	slices.SortFunc(p.behind, place.compare)
	p.catchUp(req, standing)
	p.rotate(req, standing, now)
	return p
}

// catchUp notes where a primary version is missing beside an older one. A rotation stages a version everywhere before
// it becomes primary anywhere, so this keyset was restored from a backup, or its namespace was away during a rotation.
func (p *plan) catchUp(req Request, standing map[string]Keyset) {
	for _, ns := range req.namespaces() {
		k := standing[ns]
		for _, e := range k.Keys {
			newest := e.ID()
			for v, is := range p.versions {
				if v.Name == e.Name && is.state == Primary {
					newest = v
				}
			}
			if _, has := k.Find(newest); e.State == Primary && !has {
				p.changes = append(p.changes, Change{Kind: CaughtUp, Namespace: ns, Key: e.Name, From: decimal(e.Version), To: decimal(newest.Version)})
			}
		}
	}
}

// merge unites the versions of all namespaces. They differ when a write reached only some of them, so the furthest
// state wins: the highest primary is the primary, what is retired anywhere is retired (unless retire gives it back), the
// rest only decrypts. A version is as old as its oldest copy says.
func merge(standing map[string]Keyset) map[id]version {
	versions, primary := map[id]version{}, map[string]int64{}
	for _, ns := range slices.Sorted(maps.Keys(standing)) {
		for _, e := range standing[ns].Keys {
			v, ok := versions[e.ID()]
			if !ok {
				v = version{state: DecryptOnly, createdAt: e.CreatedAt}
			}
			if e.CreatedAt.Before(v.createdAt) {
				v.createdAt = e.CreatedAt
			}
			if e.State == Retired {
				v.state = Retired
			}
			if e.State == Primary {
				primary[e.Name] = max(primary[e.Name], e.Version)
			}
			versions[e.ID()] = v
		}
	}
	for name, n := range primary {
		v := versions[id{Name: name, Version: n}]
		v.state = Primary
		versions[id{Name: name, Version: n}] = v
	}
	return versions
}

// namespaces sorted and without repetition.
func (req Request) namespaces() []string {
	return slices.Compact(slices.Sorted(slices.Values(req.Namespaces)))
}

// place is one version of a data key in one namespace.
type place struct {
	namespace string
	id        id
}

func (p place) compare(q place) int {
	return cmp.Or(cmp.Compare(p.namespace, q.namespace), p.id.Compare(q.id))
}

// finish puts standing entries and new envelopes together. A namespace that lacked nothing keeps its bytes.
func (j *job) finish() map[string]finished {
	out := map[string]finished{}
	for _, ns := range j.req.namespaces() {
		before, stood := j.standing[ns]
		after := Keyset{Schema: Schema, Tenant: j.req.Tenant, TenantUID: j.req.TenantUID, Namespace: ns, Keys: []Entry{}}
		changed := !stood
		for v, want := range j.plan.versions {
			e, _ := before.Find(v)
			if env, ok := j.made[place{ns, v}]; ok {
				e = entry(j.req.owner(ns).Binding(v), j.target.ref, env)
				e.CreatedAt = want.createdAt
				changed = true
			}
			if env, ok := j.rewrapped[place{ns, v}]; ok {
				e.Wrapped, e.KMSKeyVersion = env.wrapped, env.kmsVersion
				changed = true
			}
			if e.State != want.state {
				e.State = want.state
				changed = true
			}
			after.Keys = append(after.Keys, e)
		}
		if changed {
			out[ns] = finished{after, after.Encode()}
		} else {
			out[ns] = finished{before, j.req.Keysets[ns]}
		}
	}
	return out
}

// finished is a keyset with its bytes.
type finished struct {
	keyset Keyset
	raw    []byte
}

// entry is a new envelope with its label; state and age are the version's.
func entry(b Binding, ref KeyRef, env envelope) Entry {
	return Entry{
		Name: b.Key, Version: b.Version, Alg: Algorithm,
		Provider: ref.Scheme, KeyRef: ref.ID(), KMSKeyVersion: env.kmsVersion,
		Binding: string(b.Bytes()), Sealed: env.sealed, Wrapped: env.wrapped,
	}
}
