package keyring_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/keyringtest"
)

func unreachable(context.Context, string) error { return keyring.Errorf(keyring.Unreachable, "away") }

func refuse(context.Context, string) error {
	return keyring.Errorf(keyring.Refused, "permission denied")
}

// hang does not answer until the caller gives up.
func hang(ctx context.Context, _ string) error {
	<-ctx.Done()
	return ctx.Err()
}

// failOnce lets some calls pass, fails one, and lets the rest pass.
func failOnce(left *int, failure error) func(context.Context, string) error {
	return func(context.Context, string) error {
		*left--
		if *left == -1 {
			return failure
		}
		return nil
	}
}

// limited gives the world a Ring with the given limits.
func (w *world) limited(change func(*keyring.Limits)) {
	l := keyring.DefaultLimits()
	l.Pause = time.Millisecond
	change(&l)
	w.ring = keyring.NewLimited(w.clock, l, w.one, w.two)
}

func TestDefaultLimits(t *testing.T) {
	l := keyring.DefaultLimits()
	if l.Timeout != 5*time.Second || l.Attempts < 2 || l.Threshold < 2 || l.CoolDown < l.Timeout {
		t.Errorf("%+v; expected 5s for a call, some repetitions, and a cool-down that outlasts a call", l)
	}
}

func TestRepetitions(t *testing.T) {
	for _, tc := range []struct {
		name    string
		disturb func(context.Context, string) error
		want    keyring.Kind
		calls   int
	}{
		{"away for a moment", failOnce(new(int), keyring.Errorf(keyring.Unreachable, "away")), "", 3},
		{"away", unreachable, keyring.Unreachable, 3},
		{"refused", refuse, keyring.Refused, 1},
		{"unsupported", func(context.Context, string) error { return keyring.Errorf(keyring.Unsupported, "no such form") }, keyring.Unsupported, 1},
		{"an error of no kind", func(context.Context, string) error { return errors.New("oh\nno") }, keyring.Unreachable, 3},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t)
			w.limited(func(l *keyring.Limits) { l.Attempts = 3 })
			w.one.disturb = tc.disturb
			out, err := w.ensure(request())
			if keyring.KindOf(err) != tc.want {
				t.Fatalf("error %v; expected kind %q", err, tc.want)
			}
			if err != nil {
				keyringtest.Expect(t, err, tc.want)
				if !strings.HasPrefix(err.Error(), "one://acme: ") || len(out.Keysets) != 0 {
					t.Errorf("%v with %d keysets; expected the key's URI in front and nothing made", err, len(out.Keysets))
				}
			}
			if n := len(w.one.calls); n != tc.calls {
				t.Errorf("calls %v; expected %d", w.one.calls, tc.calls)
			}
		})
	}
}

// A KMS that takes the connection and never answers costs one deadline, not one per attempt.
func TestDeadline(t *testing.T) {
	w := newWorld(t)
	w.limited(func(l *keyring.Limits) { l.Timeout = 50 * time.Millisecond })
	w.one.disturb = hang
	began := time.Now()
	_, err := w.ensure(request())
	keyringtest.Expect(t, err, keyring.Unreachable)
	if !strings.Contains(err.Error(), "no answer within 50ms") || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v; expected the deadline in words and as a cause", err)
	}
	if took := time.Since(began); took > 5*time.Second || len(w.one.calls) != 1 {
		t.Errorf("%s and calls %v; expected about 50ms and one", took, w.one.calls)
	}
}

// A pause that would outlast the deadline is not begun.
func TestNoPauseBeyondTheDeadline(t *testing.T) {
	w := newWorld(t)
	w.limited(func(l *keyring.Limits) { l.Pause = time.Hour })
	w.one.disturb = unreachable
	began := time.Now()
	_, err := w.ensure(request())
	keyringtest.Expect(t, err, keyring.Unreachable)
	if took := time.Since(began); took > 4*time.Second || len(w.one.calls) != 1 {
		t.Errorf("%s and calls %v; expected to give up at once", took, w.one.calls)
	}
}

// When the operator stops, Ensure stops, and the KMS is not blamed.
func TestCancelled(t *testing.T) {
	w := newWorld(t)
	w.limited(func(l *keyring.Limits) { l.Threshold = 1 })
	ctx, cancel := context.WithCancel(t.Context())
	w.one.disturb = func(inner context.Context, call string) error {
		cancel()
		return hang(inner, call)
	}
	_, err := w.ring.Ensure(ctx, request())
	keyringtest.Expect(t, err, keyring.Unreachable)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v; expected context.Canceled as the cause", err)
	}
	w.one.disturb = nil
	w.settle(request())
}

func TestUnfitKeys(t *testing.T) {
	t.Run("disabled", func(t *testing.T) {
		w := newWorld(t)
		w.one.disabled = true
		_, err := w.ensure(request())
		keyringtest.Expect(t, err, keyring.Refused)
		if n := len(w.one.calls); n != 1 {
			t.Errorf("calls %v; expected nothing after Describe", w.one.calls)
		}
	})
	t.Run("wraps into nothing", func(t *testing.T) {
		w := newWorld(t)
		w.ring = keyring.New(w.clock, hollow{w.one})
		_, err := w.ensure(request())
		keyringtest.Expect(t, err, keyring.Refused)
	})
}

// hollow returns nothing for what it wraps.
type hollow struct{ *kms }

func (hollow) Wrap(context.Context, keyring.KeyRef, []byte, keyring.Binding) ([]byte, string, error) {
	return nil, "1", nil
}

func TestUnusableRequests(t *testing.T) {
	for name, change := range map[string]func(*keyring.Request){
		"no cluster":         func(r *keyring.Request) { r.ClusterUID = "" },
		"no tenant":          func(r *keyring.Request) { r.Tenant = "" },
		"no UID":             func(r *keyring.Request) { r.TenantUID = "" },
		"no period":          func(r *keyring.Request) { r.RotationPeriod = 0 },
		"no data keys":       func(r *keyring.Request) { r.DataKeys = nil },
		"data key no label":  func(r *keyring.Request) { r.DataKeys = []string{"a b"} },
		"namespace no label": func(r *keyring.Request) { r.Namespaces = []string{""} },
		"unknown scheme":     func(r *keyring.Request) { r.KeyURI = "three://acme" },
		"no URI":             func(r *keyring.Request) { r.KeyURI = "" },
		"malformed URI":      func(r *keyring.Request) { r.KeyURI = "one://a/../b" },
		"unknown parameter":  func(r *keyring.Request) { r.KeyURI = "one://acme?x=y" },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			req := request()
			change(&req)
			out, err := w.ensure(req)
			keyringtest.Expect(t, err, keyring.Unsupported)
			if len(out.Keysets) != 0 {
				t.Error("keysets were made")
			}
		})
	}
}

// A keyset wrapped by a KMS this operator no longer knows stays, and the error says which KMS is missed.
func TestProviderGone(t *testing.T) {
	w := newWorld(t)
	req := request()
	req.KeyURI = "two://acme"
	settled := w.settle(req)
	w.ring = keyring.New(w.clock, w.one)
	req = with(req, settled)
	req.KeyURI = "one://acme"
	out, err := w.ensure(req)
	keyringtest.Expect(t, err, keyring.Unsupported)
	if !strings.Contains(err.Error(), "two://acme") || string(out.Keysets["acme-app"]) != string(settled.Keysets["acme-app"]) {
		t.Errorf("%v; expected it to name two://acme, and the keyset to stay", err)
	}
	if a := out.Keys[0].Assurance; a != "SoftwareKey" {
		t.Errorf("assurance %q; expected no claim for a KMS nobody vouches for", a)
	}
}
