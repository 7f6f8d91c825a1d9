package keyring_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/keyringtest"
)

const day = 24 * time.Hour

// threefold is a tenant with three namespaces, whose versions retire 90 days after they were replaced.
func threefold() keyring.Request {
	req := request()
	req.Namespaces, req.RetireAfter = []string{"a", "b", "c"}, 90*day
	return req
}

// A rotation takes one step after the other, and each stands everywhere before the next.
func TestRotationInSteps(t *testing.T) {
	w := newWorld(t)
	k := keep(w, threefold())
	k.settle()
	if got := k.shapes(t); got != "P P P" {
		t.Fatalf("shapes %s; expected P P P", got)
	}
	due := k.told
	if early := start.Add(90 * day).Sub(due); early < 0 || early > 9*day {
		t.Errorf("due at %s; expected at most a tenth of 90 days before they have passed", due)
	}
	w.clock.SetTime(due.Add(-time.Second))
	k.settle()
	if got := k.shapes(t); got != "P P P" || !k.next.Before(due.Add(time.Second)) {
		t.Errorf("a second before: shapes %s, next look at %s; expected P P P, and a look at %s at the latest", got, k.next, due)
	}
	w.clock.SetTime(due)
	for _, want := range []string{"PD PD PD", "DP DP DP", "DP DP DP"} {
		if err := k.reconcile(); err != nil {
			t.Fatal(err)
		}
		if got := k.shapes(t); got != want {
			t.Errorf("shapes %s; expected %s", got, want)
		}
	}
	if diff := cmp.Diff([]keyring.Change{{Kind: keyring.Rotated, Key: "default", From: "1", To: "2"}}, k.changes); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
	if k.told.Before(due.Add(81*day)) || k.told.After(due.Add(90*day)) {
		t.Errorf("after a rotation at %s the next is due at %s", due, k.told)
	}
	w.clock.SetTime(due.Add(90*day - time.Second))
	k.req.RotationPeriod = 900 * day // the next rotation is another story
	k.settle()
	if got := k.shapes(t); got != "DP DP DP" {
		t.Errorf("a second less than 90 days after its replacement: shapes %s", got)
	}
	w.advance(time.Second)
	k.settle()
	if got := k.shapes(t); got != "RP RP RP" {
		t.Errorf("90 days after its replacement: shapes %s; expected version 1 to be retired and kept", got)
	}
	w.cleared()
}

// The process may die after any write of a rotation, and even the status with it. Whatever stands then is sound, and is
// finished by the next process.
func TestCrashAtEveryWrite(t *testing.T) {
	crashes := 0
	for k := 0; ; k++ {
		w := newWorld(t)
		c := keep(w, threefold())
		c.req.DataKeys = []string{"default", "records"}
		known := map[string][]byte{}
		c.settle()
		c.invariants(t, known)
		c.afterWrite = func() { c.invariants(t, known) }
		c.writesLeft = k
		died := false
		deaths := func() {
			err := c.reconcile()
			if errors.Is(err, errDied) {
				died = true
				crashes++
				c.writesLeft = -1
				w.restart()
			} else if err != nil {
				t.Fatalf("after %d writes: %v", k, err)
			}
		}
		for w.clock.Now().Before(start.Add(200 * day)) {
			w.clock.SetTime(c.told)
			if end := start.Add(200 * day); c.told.After(end) {
				w.clock.SetTime(end)
			}
			for range 4 {
				deaths()
			}
			c.settle()
		}
		if n := len(known); n != 6 {
			t.Errorf("crash after write %d: %d data keys; expected 3 versions of 2 names", k, n)
		}
		if got := c.shapes(t); got != "RDPRDP RDPRDP RDPRDP" {
			t.Errorf("crash after write %d: shapes %s", k, got)
		}
		if !died {
			break
		}
	}
	if crashes != 27 {
		t.Errorf("%d crashes; expected 27: two steps of two rotations of two keys, and one of retiring both, in three namespaces each", crashes)
	}
}

// A staged version that does not open, in whichever namespace, never becomes primary: data encrypted with it would
// be lost.
func TestWhatDoesNotOpenNeverBecomesPrimary(t *testing.T) {
	w := newWorld(t)
	k := keep(w, threefold())
	k.settle()
	w.clock.SetTime(k.told)
	if err := k.reconcile(); err != nil {
		t.Fatal(err)
	}
	doc := decode(t, k.req.Keysets["b"])
	doc.Keys[1].Sealed[20] ^= 1
	k.req.Keysets["b"] = doc.Encode()
	before := clone(k.req.Keysets)
	err := k.reconcile()
	keyringtest.Expect(t, err, keyring.Foreign)
	if diff := cmp.Diff(before, k.req.Keysets); diff != "" {
		t.Errorf("something was written:\n%s", diff)
	}
}

// A KMS that is away when a rotation is due delays it, and changes nothing.
func TestRotationWithoutTheKMS(t *testing.T) {
	w := newWorld(t)
	k := keep(w, threefold())
	k.settle()
	w.clock.SetTime(k.told)
	w.one.disturb = unreachable
	keyringtest.Expect(t, k.reconcile(), keyring.Unreachable)
	w.one.disturb = nil
	if err := k.reconcile(); err != nil || k.shapes(t) != "PD PD PD" {
		t.Fatalf("shapes %s, error %v", k.shapes(t), err)
	}
	w.one.disturb = unreachable
	keyringtest.Expect(t, k.reconcile(), keyring.Unreachable)
	if got := k.shapes(t); got != "PD PD PD" {
		t.Errorf("shapes %s; expected the version to wait as it is", got)
	}
}

// Clocks are wrong now and then. No key is rotated twice for it, and none lives for ever.
func TestClockJumps(t *testing.T) {
	for _, tc := range []struct {
		name string
		jump []time.Duration // from the start, one after the other; each lasts two days
		want int
	}{
		{"back by most of a day", []time.Duration{-20 * time.Hour, 4 * day}, 0},
		{"back by an hour, again and again", []time.Duration{10 * day, 10*day - time.Hour, 11 * day, 11*day - time.Hour}, 0},
		{"five periods ahead: one rotation, not five", []time.Duration{450 * day}, 1},
		{"a day and more in the future: unknown age, one rotation", []time.Duration{-30 * day}, 1},
		{"ahead and back again", []time.Duration{450 * day, 10 * day}, 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t)
			k := keep(w, request())
			k.settle()
			for _, jump := range tc.jump {
				w.clock.SetTime(start.Add(jump))
				for range 48 {
					k.settle()
					w.clock.SetTime(w.clock.Now().Add(time.Hour))
				}
			}
			if len(k.rotations) != tc.want {
				t.Errorf("%d rotations at %v; expected %d", len(k.rotations), k.rotations, tc.want)
			}
		})
	}
}

// A namespace that has no keyset yet holds up no rotation of the others.
func TestRotationBesideAMissingNamespace(t *testing.T) {
	w := newWorld(t)
	k := keep(w, threefold())
	k.settle()
	w.clock.SetTime(k.told)
	for range 3 {
		if err := k.reconcile(); err != nil {
			t.Fatal(err)
		}
		delete(k.req.Keysets, "c") // it could not be written
	}
	if got := k.shapes(t); got != "DP DP" {
		t.Errorf("shapes %s; expected the rotation to be through in a and b", got)
	}
	k.settle()
	if got := fmt.Sprint(k.shapes(t)); got != "DP DP DP" {
		t.Errorf("shapes %s", got)
	}
}

// A grace that was too short for a while, or a clock that was ahead, takes no data for good: what was retired too soon
// decrypts again, whichever write of that the process died after.
func TestRetiredTooSoonIsGivenBack(t *testing.T) {
	for name, tc := range map[string]struct{ mistake, undo func(*world, *kept) }{
		"grace": {
			func(_ *world, k *kept) { k.req.RetireAfter = 30 * day },
			func(_ *world, k *kept) { k.req.RetireAfter = 365 * day },
		},
		"clock": {
			func(w *world, _ *kept) { w.advance(400 * day) },
			func(w *world, _ *kept) { w.advance(-400 * day) },
		},
	} {
		for writes := -1; writes < 3; writes++ {
			t.Run(fmt.Sprintf("%s, %d writes", name, writes), func(t *testing.T) {
				w := newWorld(t)
				k := keep(w, threefold())
				k.req.RetireAfter = 365 * day
				k.settle()
				w.clock.SetTime(k.told)
				k.settle()
				k.req.RotationPeriod = 900 * day // the next rotation is another story
				w.advance(40 * day)
				k.settle()
				tc.mistake(w, k)
				k.settle()
				if got := k.shapes(t); got != "RP RP RP" {
					t.Fatalf("shapes %s; expected version 1 to be retired", got)
				}
				tc.undo(w, k)
				k.changes, k.writesLeft = nil, writes
				if err := k.reconcile(); writes >= 0 && !errors.Is(err, errDied) {
					t.Fatalf("error %v; expected to die after %d writes", err, writes)
				}
				k.writesLeft = -1
				k.settle()
				if got := k.shapes(t); got != "DP DP DP" {
					t.Errorf("shapes %s; expected version 1 to decrypt again", got)
				}
				if diff := cmp.Diff([]keyring.Change{{Kind: keyring.GivenBack, Key: "default", From: "1", To: "1"}}, k.changes); diff != "" {
					t.Errorf("changes (-want +got):\n%s", diff)
				}
			})
		}
	}
}
