package keyring_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/keyringtest"
)

func TestCircuit(t *testing.T) {
	w := newWorld(t)
	w.limited(func(l *keyring.Limits) { l.Attempts, l.Threshold, l.CoolDown = 1, 3, time.Minute })
	other := request()
	other.Tenant, other.TenantUID, other.KeyURI = "globex", "uid-9", "one://globex"
	ensure := func(req keyring.Request, wantCalls int, wantErr string) {
		t.Helper()
		before := w.callCount()
		_, err := w.ensure(req)
		if got := fmt.Sprint(err); got != wantErr {
			t.Errorf("error %q; expected %q", got, wantErr)
		}
		if n := w.callCount() - before; n != wantCalls {
			t.Errorf("%d calls; expected %d", n, wantCalls)
		}
	}
	const away = "one://acme: away"

	// One answer in between, also a refusal, starts the count anew.
	w.one.disturb = unreachable
	ensure(request(), 1, away)
	ensure(request(), 1, away)
	w.one.disturb = refuse
	ensure(request(), 1, "one://acme: permission denied")
	w.one.disturb = unreachable
	for range 3 {
		ensure(request(), 1, away)
	}

	// Open: nobody asks, and the words stay the same. Other endpoints do not notice.
	for range 100 {
		ensure(request(), 0, away)
	}
	w.one.disturb = nil
	ensure(other, 2, "<nil>")
	ensure(request(), 0, away)

	// Half open: one probe. It fails, and the circuit is open again for a whole cool-down.
	w.clock.SetTime(start.Add(time.Minute))
	w.one.disturb = unreachable
	ensure(request(), 1, away)
	ensure(request(), 0, away)
	w.clock.SetTime(start.Add(2*time.Minute - time.Second))
	ensure(request(), 0, away)

	// The next probe is answered, and everybody may ask again.
	w.clock.SetTime(start.Add(2 * time.Minute))
	w.one.disturb = nil
	ensure(request(), 2, "<nil>")
	ensure(request(), 2, "<nil>")
}

// Behind one address all keys fail together: a tenant with another key waits no deadline either, and reads about its
// own key.
func TestSharedEndpoint(t *testing.T) {
	w := newWorld(t)
	w.limited(func(l *keyring.Limits) { l.Attempts, l.Threshold = 1, 1 })
	w.one.shared, w.one.disturb = true, unreachable
	_, _ = w.ensure(request())
	req := request()
	req.KeyURI = "one://globex"
	before := len(w.one.calls)
	_, err := w.ensure(req)
	keyringtest.Expect(t, err, keyring.Unreachable)
	if n := len(w.one.calls) - before; n != 0 || err.Error() != "one://globex: away" {
		t.Errorf("%d calls, error %v; expected none, and the words for one://globex", n, err)
	}
}

// While the probe is under way, all others fail fast; a probe that was cancelled leaves room for the next.
func TestOneProbeAtATime(t *testing.T) {
	w := newWorld(t)
	w.limited(func(l *keyring.Limits) { l.Attempts, l.Threshold, l.CoolDown = 1, 1, time.Minute })
	w.one.disturb = unreachable
	_, _ = w.ensure(request())
	w.clock.SetTime(start.Add(time.Minute))

	under := make(chan struct{})
	w.one.disturb = func(ctx context.Context, call string) error {
		close(under)
		return hang(ctx, call)
	}
	ctx, cancel := context.WithCancel(t.Context())
	probe := make(chan error)
	go func() {
		_, err := w.ring.Ensure(ctx, request())
		probe <- err
	}()
	<-under
	before := len(w.one.calls)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			_, err := w.ring.Ensure(t.Context(), request())
			keyringtest.Expect(t, err, keyring.Unreachable)
		})
	}
	wg.Wait()
	if n := len(w.one.calls) - before; n != 0 {
		t.Errorf("%d calls beside the probe; expected none", n)
	}
	cancel()
	keyringtest.Expect(t, <-probe, keyring.Unreachable)
	w.one.disturb = nil
	w.settle(request())
}

// Many tenants at once, one KMS dead: the others are served.
func TestConcurrentTenants(t *testing.T) {
	w := newWorld(t)
	w.two.disturb = unreachable
	var wg sync.WaitGroup
	for i := range 32 {
		wg.Go(func() {
			req := request()
			req.Tenant, req.TenantUID = fmt.Sprintf("tenant-%d", i), fmt.Sprintf("uid-%d", i)
			want := keyring.Kind("")
			if i%2 == 1 {
				req.KeyURI, want = "two://acme", keyring.Unreachable
			}
			if _, err := w.ring.Ensure(t.Context(), req); keyring.KindOf(err) != want {
				t.Errorf("tenant %d: error %v; expected kind %q", i, err, want)
			}
		})
	}
	wg.Wait()
}
