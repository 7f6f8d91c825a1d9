package keyring

import (
	"slices"
	"time"
)

// A data key is replaced in steps, each of which is written everywhere before the next begins, so that at no time
// one namespace encrypts with a version that another cannot read:
//
//  1. staged: the new version stands in every namespace, DecryptOnly;
//  2. flipped: it is opened everywhere, becomes Primary, and the one before DecryptOnly;
//  3. retired: a grace later the one before is Retired. It is kept, and decrypts again should the grace become longer.
//
// What a namespace missed is made up for by merge, whatever step it missed.

// rotate works out the step each data key is to take now.
func (p *plan) rotate(req Request, standing map[string]Keyset, now time.Time) {
	for _, name := range p.names() {
		versions := p.of(name)
		at := slices.IndexFunc(versions, func(v id) bool { return p.versions[v].state == Primary })
		primary, newest := versions[at], versions[len(versions)-1]
		switch {
		case newest != primary && p.everywhere(newest, standing):
			p.flip(primary, newest)
			p.wake(req.due(newest, p.versions[newest].createdAt))
		case newest != primary:
			p.unfinished = true
		default:
			p.stage(req, primary, now)
		}
		p.retire(req, versions[:at+1], now)
	}
}

// names of all data keys, sorted.
func (p *plan) names() []string {
	var names []string
	for v := range p.versions {
		names = append(names, v.Name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// of lists the versions of a data key, the oldest first.
func (p *plan) of(name string) []id {
	var versions []id
	for v := range p.versions {
		if v.Name == name {
			versions = append(versions, v)
		}
	}
	slices.SortFunc(versions, id.Compare)
	return versions
}

// everywhere says that every namespace that has a keyset has this version. One without a keyset reads nothing yet.
func (p *plan) everywhere(v id, standing map[string]Keyset) bool {
	return !slices.ContainsFunc(p.lacking[v], func(ns string) bool {
		_, stands := standing[ns]
		return stands
	})
}

// stage adds the next version when the primary is due, and otherwise notes when it will be.
func (p *plan) stage(req Request, primary id, now time.Time) {
	if at := req.begin(primary, p.versions[primary].createdAt, now); at.After(now) {
		p.wake(at)
		return
	}
	next := id{Name: primary.Name, Version: max(primary.Version, req.PrimaryVersions[primary.Name]) + 1}
	p.versions[next] = version{DecryptOnly, now.UTC().Truncate(time.Second)}
	p.lacking[next] = req.namespaces()
	p.unfinished = true
}

func (p *plan) flip(primary, next id) {
	was, is := p.versions[primary], p.versions[next]
	was.state, is.state = DecryptOnly, Primary
	p.versions[primary], p.versions[next] = was, is
	p.flipped = append(p.flipped, next)
	p.changes = append(p.changes, Change{Kind: Rotated, Key: next.Name, From: decimal(primary.Version), To: decimal(next.Version)})
}

// retire ends the use of versions whose successor was made one grace ago, and gives back those it was ended for too soon:
// by a grace that has been made longer again, or by a clock that was ahead. Otherwise one edit of a profile would take the
// data of all its tenants for good. The last of the versions is the primary.
func (p *plan) retire(req Request, versions []id, now time.Time) {
	if req.RetireAfter <= 0 {
		return
	}
	for i, v := range versions[:len(versions)-1] {
		is := p.versions[v]
		at := p.versions[versions[i+1]].createdAt.Add(req.RetireAfter)
		if at.After(now) {
			p.wake(at)
		}
		change := Change{Key: v.Name, From: decimal(v.Version), To: decimal(v.Version)}
		switch over := !at.After(now); {
		case over == (is.state == Retired):
			continue
		case over:
			is.state, change.Kind = Retired, RetiredKey
		default:
			is.state, change.Kind = DecryptOnly, GivenBack
		}
		p.versions[v] = is
		p.changes = append(p.changes, change)
	}
}

// wake asks for another look at t.
func (p *plan) wake(t time.Time) {
	if p.next.IsZero() || t.Before(p.next) {
		p.next = t
	}
}
