package keyring

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/utils/clock"
)

const (
	// lookEvery is how long what the KMS said about a key is believed. All tenants of a key share it.
	lookEvery = 25 * time.Minute
	// lookAgain is how soon a key is looked at again that was not in order, and that a tenant in doubt asks about.
	lookAgain = time.Minute
	// comeBack and comeBackSpread say when a tenant asks again: after 30 to 60 minutes, each at a time of its own.
	comeBack, comeBackSpread = 30 * time.Minute, 30 * time.Minute
	// maxLooks bounds what is remembered: a key for each of the 10,000 namespaces Kubernetes is good for.
	maxLooks = 10_000
)

// looks remembers what each KMS said about its keys, so that a quiet cluster asks each key now and then, and not
// at every reconcile of every tenant.
type looks struct {
	clock clock.PassiveClock

	mu    sync.Mutex
	byKey map[string]*look // by key URI
}

type look struct {
	info  KeyInfo
	err   error // why the key is not in order; nil, or not Unreachable
	known bool  // the KMS has answered since this process began
	fresh bool  // it has answered just now
	at    time.Time
	next  time.Time
}

func newLooks(c clock.PassiveClock) *looks { return &looks{clock: c, byKey: map[string]*look{}} }

// turn returns what is known, and whether the caller has to ask. A key met for the first time is asked about later, at
// a time of its own: a restart asks nothing.
func (l *looks) turn(key string, doubtful bool) (known look, ask bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.clock.Now()
	k := l.byKey[key]
	if k == nil {
		l.makeRoom(now)
		k = &look{next: now.Add(lookAgain + share(lookEvery, key))}
		l.byKey[key] = k
	}
	if k.next.After(now.Add(2 * lookEvery)) {
		k.next = now // the clock was set back
	}
	// As long as nothing is known there is nothing to set a doubt at rest. The circuit bounds what that costs.
	unknown := !k.known && k.err == nil
	ask = !now.Before(k.next) || doubtful && (unknown || now.Sub(k.at) >= lookAgain || now.Before(k.at))
	if ask {
		k.next, k.at = now.Add(lookEvery), now // nobody else asks meanwhile
	}
	return *k, ask
}

// heard notes an answer. That the KMS did not answer says nothing about the key: what was known stays.
func (l *looks) heard(key string, info KeyInfo, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	k := l.byKey[key]
	if k == nil {
		k = &look{}
		l.byKey[key] = k
	}
	now := l.clock.Now()
	switch KindOf(err) {
	case "":
		k.info, k.err, k.known, k.at, k.next = info, nil, true, now, now.Add(lookEvery)
	case Unreachable:
	default:
		k.err, k.at, k.next = err, now, now.Add(lookAgain)
	}
}

// known is what the KMS last said about a key; nil when it has not been asked.
func (l *looks) known(key KeyRef) *KeyInfo {
	l.mu.Lock()
	defer l.mu.Unlock()
	k := l.byKey[key.URI()]
	if k == nil || !k.known {
		return nil
	}
	info := k.info
	return &info
}

// used notes the version a key just wrapped with. It counts for more than what the KMS says: where the two differ for
// a while, each entry would be wrapped anew at every reconcile.
func (l *looks) used(key KeyRef, version string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if k := l.byKey[key.URI()]; k != nil && k.known {
		k.info.Version = version
	}
}

// makeRoom forgets keys nobody asks about any more, and any one key when there are none.
func (l *looks) makeRoom(now time.Time) {
	if len(l.byKey) < maxLooks {
		return
	}
	last := ""
	for key, k := range l.byKey {
		last = key
		if now.Sub(k.next) > comeBack+comeBackSpread {
			delete(l.byKey, key)
		}
	}
	if len(l.byKey) >= maxLooks {
		delete(l.byKey, last)
	}
}

// look tells what is known about the key, and why the tenant must not rely on it. It asks the KMS when it is time, or
// when the tenant is in doubt. That the KMS does not answer is an error only for a tenant in doubt about a key that
// nothing is known of: another that lacks nothing needs no KMS.
func (r *Ring) look(ctx context.Context, req Request, target KeyRef) (look, error) {
	k, ask := r.looks.turn(target.URI(), req.Doubtful)
	if ask {
		info, err := r.Describe(ctx, target)
		switch KindOf(err) {
		case "":
			k = look{info: info, known: true, fresh: true}
		case Unreachable:
			if req.Doubtful && !k.known {
				return k, err
			}
		default:
			k.err = err
		}
	}
	if k.err == nil && k.known {
		k.err = usable(req, target, k.info)
	}
	return k, k.err
}

// usable says whether a key may be used as the KMS describes it.
func usable(req Request, target KeyRef, info KeyInfo) error {
	home := func(region string) bool { return strings.EqualFold(info.Region, region) }
	switch {
	case info.Exists && !info.Enabled:
		return about(target.URI(), Errorf(Refused, "the key is disabled; enable it, or name another key"))
	case info.Region != "" && req.Regions != nil && !slices.ContainsFunc(req.Regions, home):
		return about(target.URI(), Errorf(Misplaced, "the KMS says that the key lives in region %s; expected one of %s",
			Quote(info.Region), strings.Join(req.Regions, ", ")))
	}
	return nil
}

// comeBack is when a tenant that lacks nothing looks at its key again.
func (req Request) comeBack(now time.Time) time.Time {
	return now.Add(comeBack + share(comeBackSpread, req.TenantUID))
}
