package keyring

import (
	"context"
	"slices"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/document"
)

// rewrapBehind has the KMS wrap anew what an earlier version of its key wrapped. The seal and the data key in it stay.
// It is no work that cannot wait: where the KMS does not answer, the rest stays as it is until the next look.
func (r *Ring) rewrapBehind(ctx context.Context, j *job) error {
	for _, at := range j.plan.behind {
		entry, _ := j.standing[at.namespace].Find(at.id)
		env, err := r.rewrap(ctx, entry, j.req.owner(at.namespace).Binding(at.id))
		switch {
		case KindOf(err) == Unreachable && ctx.Err() == nil:
			return nil
		case err != nil:
			return unopened(at.namespace, entry, err)
		}
		r.looks.used(j.target.ref, env.kmsVersion)
		if env.kmsVersion != entry.KMSKeyVersion {
			j.rewrapped[at] = env
			r.proofs.rewrapped(j.req.TenantUID, at.id, printOf(at.namespace, at.id, entry.Sealed, entry.Wrapped), printOf(at.namespace, at.id, env.sealed, env.wrapped))
			j.plan.changes = j.tellRewrapped(entry, env.kmsVersion)
		}
	}
	return nil
}

// tellRewrapped adds a change unless the same one was told of another entry.
func (j *job) tellRewrapped(e Entry, to string) []Change {
	c := Change{Kind: Rewrapped, Key: e.Name, From: e.KMSKeyVersion, To: to}
	if slices.Contains(j.plan.changes, c) {
		return j.plan.changes
	}
	return append(j.plan.changes, c)
}

// rewrap returns the entry's envelope under the present version of its key. The result has been opened: it is to replace
// what may be the only copy of a data key.
func (r *Ring) rewrap(ctx context.Context, e Entry, b Binding) (envelope, error) {
	ref, err := e.Ref()
	if err != nil {
		return envelope{}, err
	}
	env := envelope{sealed: e.Sealed}
	err = r.call(ctx, ref, "rewrap", func(ctx context.Context, p Provider) (err error) {
		env.wrapped, env.kmsVersion, err = p.Rewrap(ctx, ref, e.Wrapped, b)
		return err
	})
	if KindOf(err) == Refused {
		// The right to rewrap is one of its own in some KMS, and may be missing where those to unwrap and to wrap are there.
		err = r.call(ctx, ref, "rewrap", func(ctx context.Context, p Provider) (err error) {
			env.wrapped, env.kmsVersion, err = RewrapHere(ctx, p, ref, e.Wrapped, b)
			return err
		})
	}
	if err != nil {
		return envelope{}, err
	}
	if n := len(env.wrapped); n == 0 || n > document.MaxWrapped {
		return envelope{}, about(ref.URI(), Errorf(Refused, "rewrapping gave %d bytes; expected 1 to %d", n, document.MaxWrapped))
	}
	e.Wrapped = env.wrapped
	dek, err := r.open(ctx, e, b)
	clear(dek)
	return env, err
}
