package keyring

import (
	"context"
	"crypto/subtle"
	"maps"
	"slices"
)

// job is one Ensure under way.
type job struct {
	req      Request
	standing map[string]Keyset
	known    look
	target   kek
	plan     plan
	// made and rewrapped grow as the KMS answers. They hold ciphertext only.
	made, rewrapped map[place]envelope
}

// supply asks the KMS for everything the plan lacks. Nothing lacking, nothing asked.
func (r *Ring) supply(ctx context.Context, j *job) error {
	if err := r.makeLacking(ctx, j); err != nil {
		return err
	}
	for _, v := range j.plan.flipped {
		if err := r.proveSame(ctx, j, v); err != nil {
			return err
		}
	}
	if err := r.compare(ctx, j); err != nil {
		return err
	}
	return r.rewrapBehind(ctx, j)
}

func (r *Ring) makeLacking(ctx context.Context, j *job) error {
	if len(j.plan.lacking) == 0 {
		return nil
	}
	info, err := j.known.info, error(nil)
	if !j.known.fresh {
		info, err = r.Describe(ctx, j.target.ref)
	}
	if err == nil {
		err = usable(j.req, j.target.ref, info)
	}
	if err != nil {
		return err
	}
	for _, v := range slices.SortedFunc(maps.Keys(j.plan.lacking), id.Compare) {
		if err := r.makeVersion(ctx, j, v); err != nil {
			return err
		}
	}
	return nil
}

// makeVersion seals one version of a data key for every namespace that lacks it. The plaintext lives only here.
func (r *Ring) makeVersion(ctx context.Context, j *job, v id) error {
	dek, err := r.takeOut(ctx, j, v)
	if err != nil {
		return err
	}
	if dek == nil {
		dek = newKey()
	}
	defer clear(dek)
	same := j.copies(v)
	for _, ns := range j.plan.lacking[v] {
		env, err := r.seal(ctx, j.target.ref, dek, j.req.owner(ns).Binding(v))
		if err != nil {
			return err
		}
		j.made[place{ns, v}] = env
		same = append(same, printOf(ns, v, env.sealed, env.wrapped))
	}
	r.proofs.prove(j.req.TenantUID, v, same)
	return nil
}

// takeOut takes the data key out of the namespaces that have it; nil when none has. All copies are opened, because
// sealing one of two different keys anew would hide that the other one's data cannot be read any more.
func (r *Ring) takeOut(ctx context.Context, j *job, v id) ([]byte, error) {
	var dek []byte
	var first string
	for _, ns := range slices.Sorted(maps.Keys(j.standing)) {
		k := j.standing[ns]
		e, ok := k.Find(v)
		if !ok {
			continue
		}
		o := j.req.owner(ns)
		o.TenantUID = k.TenantUID
		copied, err := r.open(ctx, e, o.Binding(v))
		if err != nil {
			clear(dek)
			return nil, unopened(ns, e, err)
		}
		if dek == nil {
			dek, first = copied, ns
			continue
		}
		same := subtle.ConstantTimeCompare(dek, copied) == 1
		clear(copied)
		if !same {
			clear(dek)
			return nil, about(subject(ns), Errorf(Foreign, "key %s version %d is another key than in namespace %s; %s",
				v.Name, v.Version, first, leftAlone))
		}
	}
	r.proofs.prove(j.req.TenantUID, v, j.copies(v))
	return dek, nil
}

// unopened names the keyset instead of the KMS key when the keyset is at fault.
func unopened(namespace string, e Entry, err error) error {
	if KindOf(err) != Foreign {
		return err
	}
	cause := about("", err)
	out := Errorf(Foreign, "key %s version %d does not open with %s://%s for this namespace: %s; %s",
		e.Name, e.Version, e.Provider, e.KeyRef, cause.Reason, leftAlone)
	out.Err = err
	return about(subject(namespace), out)
}
