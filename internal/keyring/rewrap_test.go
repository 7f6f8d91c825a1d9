package keyring_test

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/keyringtest"
)

// advance lets the time pass in which every tenant looks at its key.
func (w *world) advance(d time.Duration) { w.clock.SetTime(w.clock.Now().Add(d)) }

// A new version of the KMS key is found at the next look, and everything an earlier one wrapped is wrapped anew: the seal
// and the data key in it stay.
func TestRewrap(t *testing.T) {
	w := newWorld(t)
	k := keep(w, threefold())
	k.settle()
	before := clone(k.req.Keysets)
	keys := w.open(before["a"])
	w.one.rotate("acme")

	calls := w.callCount()
	w.advance(20 * time.Minute)
	k.settle()
	if n := w.callCount() - calls; n != 0 {
		t.Errorf("%d KMS calls before the next look; expected none", n)
	}
	w.clock.SetTime(k.next)
	k.settle()
	for ns, raw := range k.req.Keysets {
		was, is := decode(t, before[ns]).Keys[0], decode(t, raw).Keys[0]
		if !bytes.Equal(was.Sealed, is.Sealed) || bytes.Equal(was.Wrapped, is.Wrapped) || is.KMSKeyVersion != "2" || is.Version != 1 || !is.CreatedAt.Equal(was.CreatedAt) {
			t.Errorf("namespace %s: %+v; expected what stood before, under version 2 of the KMS key", ns, is)
		}
		if diff := cmp.Diff(keys, w.open(raw)); diff != "" {
			t.Errorf("namespace %s has other data keys:\n%s", ns, diff)
		}
	}
	if diff := cmp.Diff([]keyring.Change{{Kind: keyring.Rewrapped, Key: "default", From: "1", To: "2"}}, k.changes); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
	w.cleared()
}

// What cannot be wrapped anew stays, is counted, and keeps nothing else from going on.
func TestRewrapWhileTheKMSIsAway(t *testing.T) {
	w := newWorld(t)
	k := keep(w, threefold())
	k.settle()
	before := clone(k.req.Keysets)
	w.one.rotate("acme")
	w.clock.SetTime(k.next)
	rewraps := 0
	w.one.disturb = func(_ context.Context, call string) error {
		if strings.HasPrefix(call, "Rewrap") {
			rewraps++
			if rewraps > 1 {
				return keyring.Errorf(keyring.Unreachable, "away")
			}
		}
		return nil
	}
	out, err := w.ensure(k.req)
	if err != nil || out.Behind != 2 {
		t.Errorf("error %v, %d entries behind; expected none, and 2", err, out.Behind)
	}
	if bytes.Equal(out.Keysets["a"], before["a"]) || !bytes.Equal(out.Keysets["b"], before["b"]) {
		t.Error("expected the first namespace to be wrapped anew and the second to stay")
	}
	w.one.disturb = nil
	k.settle()
	for ns, raw := range k.req.Keysets {
		if v := decode(t, raw).Keys[0].KMSKeyVersion; v != "2" {
			t.Errorf("namespace %s: wrapped by version %s; expected 2", ns, v)
		}
	}
}

// Some KMS have a right of its own for rewrapping. Without it, the rights to unwrap and to wrap do.
func TestRewrapWithoutTheRightTo(t *testing.T) {
	w := newWorld(t)
	k := keep(w, request())
	k.settle()
	w.one.rotate("acme")
	w.clock.SetTime(k.next)
	first := true
	w.one.disturb = func(_ context.Context, call string) error {
		if strings.HasPrefix(call, "Rewrap") && first {
			first = false
			return keyring.Errorf(keyring.Refused, "permission denied")
		}
		return nil
	}
	k.settle()
	if v := decode(t, k.req.Keysets["acme-app"]).Keys[0].KMSKeyVersion; v != "2" {
		t.Errorf("wrapped by version %s; expected 2", v)
	}
}

// corrupt answers Rewrap with what does not open.
type corrupt struct{ *kms }

func (c corrupt) Rewrap(ctx context.Context, ref keyring.KeyRef, wrapped []byte, b keyring.Binding) ([]byte, string, error) {
	out, version, err := c.kms.Rewrap(ctx, ref, wrapped, b)
	if len(out) > 0 {
		out[len(out)-1] ^= 1
	}
	return out, version, err
}

// What was wrapped anew is opened before it replaces what may be the only copy of a data key.
func TestACorruptRewrapReplacesNothing(t *testing.T) {
	w := newWorld(t)
	w.ring = keyring.New(w.clock, corrupt{w.one})
	k := keep(w, request())
	k.settle()
	before := clone(k.req.Keysets)
	w.one.rotate("acme")
	w.clock.SetTime(k.next)
	keyringtest.Expect(t, k.reconcile(), keyring.Foreign)
	if diff := cmp.Diff(before, k.req.Keysets); diff != "" {
		t.Errorf("something was written:\n%s", diff)
	}
}

// A thousand tenants with one key ask about it as often as one tenant does; a restart asks nothing.
func TestTenantsShareALook(t *testing.T) {
	w := newWorld(t)
	var tenants []*kept
	for i := range 100 {
		req := request()
		req.Tenant, req.TenantUID = "t"+string(rune('a'+i%26)), "uid-"+time.Duration(i).String()
		k := keep(w, req)
		k.settle()
		tenants = append(tenants, k)
	}
	asked := func() int {
		n := len(w.one.calls)
		for end := w.clock.Now().Add(2 * time.Hour); w.clock.Now().Before(end); w.advance(time.Minute) {
			for _, k := range tenants {
				if !w.clock.Now().Before(k.next) {
					if err := k.reconcile(); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
		return len(w.one.calls) - n
	}
	if n := asked(); n < 2 || n > 6 {
		t.Errorf("%d KMS calls in two hours; expected about one in 25 minutes", n)
	}
	w.restart()
	n := len(w.one.calls)
	for _, k := range tenants {
		if err := k.reconcile(); err != nil {
			t.Fatal(err)
		}
	}
	if asked := w.one.calls[n:]; len(asked) != 0 {
		t.Errorf("a restart made calls %v; expected none", slices.Compact(asked))
	}
}

// A key that is disabled, or turns out to be, is told of by the KMS's own words, within an hour; one a minute asks again.
func TestALookFindsWhatIsWrong(t *testing.T) {
	w := newWorld(t)
	k := keep(w, request())
	k.settle()
	w.one.disabled = true
	w.clock.SetTime(k.next)
	for range 3 {
		out, err := w.ensure(k.req)
		keyringtest.Expect(t, err, keyring.Refused)
		if !bytes.Equal(out.Keysets["acme-app"], k.req.Keysets["acme-app"]) {
			t.Error("the keyset changed")
		}
	}
	w.one.disabled = false
	calls := len(w.one.calls)
	k.req.Doubtful = true
	w.advance(time.Minute)
	k.settle()
	if n := len(w.one.calls) - calls; n != 1 {
		t.Errorf("%d calls; expected one", n)
	}

	// After a restart, a tenant that was not in order asks at once.
	w.restart()
	w.one.disabled = true
	_, err := w.ensure(k.req)
	keyringtest.Expect(t, err, keyring.Refused)
	w.restart()
	w.one.disabled, w.one.disturb = false, unreachable
	_, err = w.ensure(k.req)
	keyringtest.Expect(t, err, keyring.Unreachable)
}

// A key in a region the tenant may not use wraps nothing, and what it wrapped before stays.
func TestRegionOfTheKey(t *testing.T) {
	w := newWorld(t)
	w.one.region = "eu-west-1"
	req := request()
	req.Regions = []string{"us-east-1", "US-WEST-2"}
	out, err := w.ensure(req)
	keyringtest.Expect(t, err, keyring.Misplaced)
	if len(out.Keysets) != 0 || out.Key == nil || out.Key.Region != "eu-west-1" {
		t.Errorf("keysets %v, key %+v; expected none, and the region", out.Keysets, out.Key)
	}
	w.one.region = "us-west-2"
	k := keep(w, req)
	k.settle()
	w.one.region = "eu-west-1"
	w.clock.SetTime(k.next)
	before := clone(k.req.Keysets)
	for range 2 {
		keyringtest.Expect(t, k.reconcile(), keyring.Misplaced)
	}
	if diff := cmp.Diff(before, k.req.Keysets); diff != "" {
		t.Errorf("something was written:\n%s", diff)
	}
	for _, free := range [][]string{nil, {"eu-west-1"}} {
		k.req.Regions = free
		k.settle()
	}
	w.restart()
	w.one.region = ""
	k.req.Regions, k.req.Doubtful = []string{"us-east-1"}, true
	k.settle() // what a KMS does not tell is not held against the key
}

// A tenant in doubt about its keys is not told that they are in order while the KMS has not answered, however often it asks.
func TestDoubtIsNotSetAtRestBySilence(t *testing.T) {
	w := newWorld(t)
	k := keep(w, request())
	k.settle()
	w.restart()
	w.one.disturb = func(context.Context, string) error { return keyring.Errorf(keyring.Unreachable, "no route") }
	k.req.Doubtful = true
	before := w.callCount()
	for range 10 {
		if _, err := w.ensure(k.req); keyring.KindOf(err) != keyring.Unreachable {
			t.Fatalf("error %v; expected what the KMS said", err)
		}
		w.advance(10 * time.Second)
	}
	if n := w.callCount() - before; n > 6 {
		t.Errorf("%d calls in 100 s to a KMS that does not answer; expected 3, and one every 30 s", n)
	}
	w.one.disturb = nil
	w.advance(time.Minute)
	k.settle()
}
