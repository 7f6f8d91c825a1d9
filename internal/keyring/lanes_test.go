package keyring_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/keyringtest"
)

// crowd runs Ensure for so many new tenants at once, all behind one endpoint, and returns their errors and how many
// calls were under way together.
func (w *world) crowd(tenants int, answer func(context.Context) error) (errs []error, together int64) {
	var now, most atomic.Int64
	w.one.shared = true
	w.one.disturb = func(ctx context.Context, _ string) error {
		n := now.Add(1)
		defer now.Add(-1)
		for seen := most.Load(); n > seen && !most.CompareAndSwap(seen, n); seen = most.Load() {
			continue
		}
		return answer(ctx)
	}
	errs = make([]error, tenants)
	var wg sync.WaitGroup
	for i := range tenants {
		wg.Go(func() {
			req := request()
			req.Tenant, req.TenantUID = fmt.Sprintf("tenant-%d", i), fmt.Sprintf("uid-%d", i)
			_, errs[i] = w.ring.Ensure(w.t.Context(), req)
		})
	}
	wg.Wait()
	return errs, most.Load()
}

// A KMS that does not answer holds a few callers. The others are turned away at once, with the words they would have
// read after the deadline.
func TestADeadEndpointHoldsFew(t *testing.T) {
	w := newWorld(t)
	w.limited(func(l *keyring.Limits) {
		l.Timeout, l.Lanes, l.Patience, l.Threshold = 500*time.Millisecond, 4, 10*time.Millisecond, 1000
	})
	errs, together := w.crowd(64, func(ctx context.Context) error {
		<-ctx.Done()
		return ctx.Err()
	})
	for _, err := range errs {
		keyringtest.Expect(t, err, keyring.Unreachable)
		if err != nil && err.Error() != "one://acme: no answer within 500ms" {
			t.Errorf("%v; expected the same words for all", err)
		}
	}
	if together != 4 || len(w.one.calls) > 8 {
		t.Errorf("%d calls together, %d in all; expected 4, and 60 callers turned away", together, len(w.one.calls))
	}
	if errs, _ := w.crowd(3, func(context.Context) error { return nil }); errs[0] != nil || errs[1] != nil || errs[2] != nil {
		t.Errorf("errors %v once it answers again", errs)
	}
}

// A KMS that is merely busy serves everybody, a few at a time.
func TestABusyEndpointServesAll(t *testing.T) {
	w := newWorld(t)
	w.limited(func(l *keyring.Limits) { l.Lanes, l.Patience = 4, 250*time.Millisecond })
	errs, together := w.crowd(64, func(ctx context.Context) error {
		timer := time.NewTimer(5 * time.Millisecond)
		defer timer.Stop()
		<-timer.C
		return nil
	})
	for i, err := range errs {
		if err != nil {
			t.Errorf("tenant %d: %v; expected to be served", i, err)
		}
	}
	if together > 4 {
		t.Errorf("%d calls together; expected at most 4", together)
	}
}

// The state of every circuit can be read, under a name that holds no credentials.
func TestCircuitsAreTold(t *testing.T) {
	w := newWorld(t)
	w.limited(func(l *keyring.Limits) { l.Attempts, l.Threshold = 1, 2 })
	two := request()
	two.KeyURI = "two://acme"
	w.settle(two)
	w.one.disturb = unreachable
	want := map[keyring.Endpoint]bool{{Provider: "one", Name: "acme"}: false, {Provider: "two", Name: "acme"}: false}
	for range 2 {
		_, _ = w.ensure(request())
		if len(w.one.calls) == 1 {
			if diff := cmp.Diff(want, w.ring.Circuits()); diff != "" {
				t.Errorf("after one failure (-want +got):\n%s", diff)
			}
		}
	}
	want[keyring.Endpoint{Provider: "one", Name: "acme"}] = true
	if diff := cmp.Diff(want, w.ring.Circuits()); diff != "" {
		t.Errorf("after two failures (-want +got):\n%s", diff)
	}
	w.ring = keyring.New(w.clock, careless{w.one})
	_, _ = w.ensure(request())
	for endpoint := range w.ring.Circuits() {
		if endpoint.Name != "https://[removed]@kms.example" {
			t.Errorf("endpoint %q", endpoint.Name)
		}
	}
}

// careless names its endpoint with a password in it.
type careless struct{ *kms }

func (careless) Endpoint(keyring.KeyRef) string { return "https://user:secret@kms.example" }

// Every call is told to the observer, with its kind of error.
func TestCallsAreObserved(t *testing.T) {
	w := newWorld(t)
	var seen []keyring.Call
	w.ring.Observe(func(c keyring.Call) { seen = append(seen, c) })
	w.settle(request())
	w.one.disturb = refuse
	_, _ = w.ensure(request())
	want := []keyring.Call{
		{Provider: "one", Operation: "describe"}, {Provider: "one", Operation: "wrap"}, {Provider: "one", Operation: "describe", Kind: keyring.Refused},
	}
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}
