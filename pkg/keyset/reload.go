package keyset

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/document"
)

// Reload takes a newer document. On error nothing changes: the keys that were good stay in use. ErrForeign says that this
// document will never do: it is malformed, another's, or older than the one in use; any other error is the KMS's.
//
// Versions may be added, become DecryptOnly, and retire; a retired one is cleared. Primary versions never go down, a
// version never means another key, and a data key never disappears. A version that is no longer listed goes on
// decrypting until Close: somebody may have lost it.
func (k *Keyset) Reload(ctx context.Context, raw []byte) error {
	k.turn.Lock()
	defer k.turn.Unlock()
	d, err := Parse(raw)
	if err != nil {
		return err
	}
	if err := k.admissible(d); err != nil {
		return err
	}
	next, err := k.openAll(ctx, d)
	if err != nil {
		return err
	}
	return k.take(d, next)
}

// admissible compares a document with what is expected and what is in use.
func (k *Keyset) admissible(d Document) error {
	k.mu.RLock()
	defer k.mu.RUnlock()
	if err := d.Check(k.opts.Expect); err != nil {
		return err
	}
	known := k.identity
	taken := known.TenantUID != "" && d.Identity.TenantUID != known.TenantUID
	known.TenantUID = ""
	if err := d.Check(known); err != nil {
		return err
	}
	primary := primaries(d)
	for _, name := range slices.Sorted(maps.Keys(k.primary)) {
		found, want := primary[name], k.primary[name]
		if found < want {
			return foreign(fmt.Errorf("key %s: primary version is %d; expected at least %d, which is in use: an old keyset was restored", name, found, want))
		}
		// A tenant that was created again under its name shows that it is the same by the same key.
		if _, ok := d.keyset.Find(document.ID{Name: name, Version: want}); taken && !ok {
			return foreign(fmt.Errorf("it belongs to another tenant UID, %s, and key %s version %d of this one is not in it", document.Quote(d.Identity.TenantUID), name, want))
		}
	}
	return nil
}

func primaries(d Document) map[string]int64 {
	out := map[string]int64{}
	for _, e := range d.Entries {
		if e.State == Primary {
			out[e.Name] = e.Version
		}
	}
	return out
}

// opening is what came of opening a document.
type opening struct {
	keys     map[document.ID]*key
	unopened map[document.ID]error
	// fresh keys are not in use yet, and cleared unless they come to be.
	fresh []*key
}

func (o *opening) discard() {
	for _, f := range o.fresh {
		clear(f.bytes)
	}
}

// openAll opens every entry that may be used and is not open yet.
func (k *Keyset) openAll(ctx context.Context, d Document) (*opening, error) {
	k.mu.RLock()
	next := &opening{keys: maps.Clone(k.keys), unopened: map[document.ID]error{}}
	k.mu.RUnlock()
	for _, e := range d.keyset.Keys {
		if e.State == Retired {
			delete(next.keys, e.ID())
			continue
		}
		err := k.openEntry(ctx, e, next)
		if err != nil && (e.State == Primary || errors.Is(err, ErrForeign) || errors.Is(err, ErrClosed) || ctx.Err() != nil) {
			next.discard()
			return nil, err
		}
		if err != nil {
			next.unopened[e.ID()] = err
		}
	}
	return next, nil
}

// openEntry opens an entry unless it is open. One that changed must hold the same key.
func (k *Keyset) openEntry(ctx context.Context, e document.Entry, next *opening) error {
	before, known := next.keys[e.ID()]
	if known && before.seal == string(e.Sealed) && before.binding == e.Binding {
		return nil
	}
	raw, err := open(ctx, k.opts.Unwrapper, e)
	if err != nil && known && e.State != Primary && !errors.Is(err, ErrForeign) {
		return nil // what is open already goes on decrypting
	}
	if err != nil {
		return err
	}
	opened := &key{bytes: raw, seal: string(e.Sealed), binding: e.Binding}
	next.fresh = append(next.fresh, opened)
	if known {
		err = k.same(before, opened)
	}
	if err != nil {
		return fmt.Errorf("key %s version %d: %w", e.Name, e.Version, err)
	}
	next.keys[e.ID()] = opened
	return nil
}

// same compares a key with the one in use, unless that was cleared meanwhile.
func (k *Keyset) same(before, opened *key) error {
	k.mu.RLock()
	defer k.mu.RUnlock()
	if k.closed {
		return ErrClosed
	}
	if subtle.ConstantTimeCompare(before.bytes, opened.bytes) != 1 {
		return foreign(errors.New("it is another key than the one in use"))
	}
	return nil
}

// take puts the opened keys to use and clears those that are not used any more.
func (k *Keyset) take(d Document, next *opening) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		next.discard()
		return ErrClosed
	}
	for id, before := range k.keys {
		if next.keys[id] != before {
			clear(before.bytes)
		}
	}
	k.identity, k.keys, k.primary, k.unopened = d.Identity, next.keys, primaries(d), next.unopened
	return nil
}
