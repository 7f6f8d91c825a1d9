package keyring_test

import (
	"testing"
	"time"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/keyringtest"
)

// Two processes made version 1 at the same time, and each reached one namespace: by form and binding nothing is wrong.
func TestTwoMakers(t *testing.T) {
	torn := func(t *testing.T) (*world, keyring.Request) {
		w := newWorld(t)
		req := request()
		req.Namespaces = []string{"a", "b"}
		one := w.step(req)
		two := w.step(req)
		req.Keysets = map[string][]byte{"a": one.Keysets["a"], "b": two.Keysets["b"]}
		return w, req
	}
	found := func(w *world, req keyring.Request) {
		w.t.Helper()
		for range 2 {
			refused(w, req, "is another key than in namespace a", "")
		}
	}
	t.Run("found at once by one of the makers", func(t *testing.T) { found(torn(t)) })
	t.Run("found at once where nothing says that the tenant is in order", func(t *testing.T) {
		w, req := torn(t)
		w.restart()
		req.Unproven = true
		found(w, req)
	})
	t.Run("found at the next look after a restart, once the KMS answers", func(t *testing.T) {
		w, req := torn(t)
		w.restart()
		w.one.disturb = unreachable
		for range 2 {
			out, err := w.ensure(req)
			if err != nil {
				t.Fatal(err)
			}
			w.clock.SetTime(out.Next)
		}
		w.one.disturb = nil
		w.clock.SetTime(w.clock.Now().Add(time.Hour))
		found(w, req)
	})
	t.Run("not relied on where it was changed while the KMS is away", func(t *testing.T) {
		w, req := torn(t)
		w.one.disturb = unreachable
		_, err := w.ensure(req)
		keyringtest.Expect(t, err, keyring.Unreachable)
	})
}

// A process compares what it did not make once: not when it starts, and not again.
func TestCopiesAreComparedOnce(t *testing.T) {
	w := newWorld(t)
	k := keep(w, threefold())
	k.settle()
	w.restart()
	calls := w.callCount()
	k.settle()
	if n := w.callCount() - calls; n != 0 {
		t.Errorf("%d KMS calls after a restart; expected none", n)
	}
	w.clock.SetTime(k.next)
	k.settle()
	if n := w.callCount() - calls; n != 1+3 {
		t.Errorf("%d KMS calls at the next look; expected one about the key, and three copies to be opened", n)
	}
	w.one.rotate("acme")
	w.clock.SetTime(k.next)
	k.settle()
	calls = w.callCount()
	k.req.Unproven = true
	k.settle()
	if n := w.callCount() - calls; n != 0 {
		t.Errorf("%d KMS calls after the copies were wrapped anew; expected none, they were opened", n)
	}
}
