package keyring_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring"
)

// kept is one tenant whose keysets are kept, as the loop around the Ring keeps them: what Ensure returns is written
// namespace by namespace, the status is remembered at the end, and the next call comes when the outcome says.
type kept struct {
	w   *world
	req keyring.Request
	// writesLeft is how many writes succeed before the process dies; negative means all.
	writesLeft int
	// afterWrite runs after each write.
	afterWrite func()
	next       time.Time
	told       time.Time // the earliest next rotation, as the status tells it
	rotations  []time.Time
	changes    []keyring.Change
}

func keep(w *world, req keyring.Request) *kept {
	req.Keysets, req.PrimaryVersions = map[string][]byte{}, map[string]int64{}
	return &kept{w: w, req: req, writesLeft: -1, afterWrite: func() {}}
}

var errDied = errors.New("the process died")

// reconcile calls Ensure once and writes what it returned.
func (k *kept) reconcile() error {
	k.w.t.Helper()
	out, err := k.w.ring.Ensure(k.w.t.Context(), k.req)
	if err != nil {
		return err
	}
	for _, ns := range slices.Sorted(maps.Keys(out.Keysets)) {
		if bytes.Equal(k.req.Keysets[ns], out.Keysets[ns]) {
			continue
		}
		if k.writesLeft == 0 {
			return errDied
		}
		k.writesLeft--
		k.req.Keysets[ns] = out.Keysets[ns]
		k.afterWrite()
	}
	k.told = time.Time{}
	for _, s := range out.Keys {
		k.req.PrimaryVersions[s.Name] = s.PrimaryVersion
		if k.told.IsZero() || s.NextRotation.Time.Before(k.told) {
			k.told = s.NextRotation.Time
		}
	}
	for _, c := range out.Changes {
		if c.Kind == keyring.Rotated {
			k.rotations = append(k.rotations, k.w.clock.Now())
		}
	}
	k.changes = append(k.changes, out.Changes...)
	k.next = out.Next
	if out.Unfinished {
		k.next = k.w.clock.Now().Add(time.Second)
	}
	return nil
}

// settle reconciles until nothing is left to do at this time.
func (k *kept) settle() {
	k.w.t.Helper()
	for range 6 {
		before := clone(k.req.Keysets)
		if err := k.reconcile(); err != nil {
			k.w.t.Fatal(err)
		}
		if maps.EqualFunc(before, k.req.Keysets, bytes.Equal) {
			return
		}
	}
	k.w.t.Fatal("it does not settle")
}

// invariants that hold after every single write: one primary for each name and namespace, every primary opens in every
// namespace, to the same data key, and no data key there ever was is lost.
func (k *kept) invariants(t *testing.T, known map[string][]byte) {
	t.Helper()
	opened := map[string]map[string][]byte{}
	for ns, raw := range k.req.Keysets {
		opened[ns] = k.w.open(raw)
		for name, dek := range opened[ns] {
			if first, seen := known[name]; seen && !bytes.Equal(first, dek) {
				t.Errorf("namespace %s: %s is another data key than before", ns, name)
			}
			known[name] = dek
		}
	}
	for ns, raw := range k.req.Keysets {
		for _, e := range decode(t, raw).Keys {
			if e.State != keyring.Primary {
				continue
			}
			for other := range k.req.Keysets {
				if opened[other][fmt.Sprintf("%s/%d", e.Name, e.Version)] == nil {
					t.Errorf("%s version %d is primary in namespace %s and cannot be opened in %s", e.Name, e.Version, ns, other)
				}
			}
		}
	}
}

func (k *kept) shapes(t *testing.T) string {
	t.Helper()
	text := ""
	for _, ns := range slices.Sorted(maps.Keys(k.req.Keysets)) {
		text += " " + shapeOf(t, k.req.Keysets[ns])
	}
	return text[1:]
}
