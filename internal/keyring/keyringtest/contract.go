// Package keyringtest holds what tests of several keyring packages share: the contract every provider must keep, and a
// real transit engine to try it on.
package keyringtest

import (
	"bytes"
	"context"
	"crypto/rand"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/utils/clock"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring"
)

// Harness is one provider under test.
type Harness struct {
	// Variant tells apart several harnesses of one provider. Empty where there is one alone.
	Variant  string
	Provider keyring.Provider
	// Usable is a key URI the provider can wrap with; Other is a second one.
	Usable, Other string
	// Unknown names a key that does not exist, or whose material is gone.
	Unknown string
	// Malformed key URIs, of this provider's scheme, that cannot name a key.
	Malformed []string
	// Dead is the same provider with a backend that does not answer.
	Dead keyring.Provider
	// Rotate gives the usable key a new version in the KMS. Nil for a provider whose keys have one version for life.
	Rotate func(t *testing.T)
	// Doomed is the URI of a key that Destroy may have. Empty where Destroy is Unsupported.
	Doomed string
	// KMSIgnoresContext: this KMS binds nothing to what it wraps, and the provider says so (KeyInfo.Derived false).
	KMSIgnoresContext bool
}

// Ref parses a key URI of a test.
func Ref(t testing.TB, uri string) keyring.KeyRef {
	t.Helper()
	ref, err := keyring.ParseKeyURI(uri)
	if err != nil {
		t.Fatalf("key URI of the test: %v", err)
	}
	return ref
}

// Binding returns a complete binding for tests.
func Binding() keyring.Binding {
	return keyring.Binding{
		ClusterUID: "c1", Tenant: "acme", TenantUID: "t1", Namespace: "acme-app", Secret: "hipaa-keyset", Key: "default", Version: 1,
	}
}

// Elsewhere lists bindings that differ from Binding in one member each.
func Elsewhere() map[string]keyring.Binding {
	out := map[string]keyring.Binding{}
	for name, change := range map[string]func(*keyring.Binding){
		"other cluster":    func(b *keyring.Binding) { b.ClusterUID = "c2" },
		"other tenant":     func(b *keyring.Binding) { b.Tenant = "globex" },
		"other tenant UID": func(b *keyring.Binding) { b.TenantUID = "t2" },
		"other namespace":  func(b *keyring.Binding) { b.Namespace = "acme-data" },
		"other secret":     func(b *keyring.Binding) { b.Secret = "copy" },
		"other key name":   func(b *keyring.Binding) { b.Key = "records" },
		"other version":    func(b *keyring.Binding) { b.Version = 2 },
	} {
		b := Binding()
		change(&b)
		out[name] = b
	}
	return out
}

// Contract runs what every provider must keep, on each variant of one provider, and reports the number of properties.
func Contract(t *testing.T, variants ...Harness) {
	seen := &properties{kept: map[string]bool{}}
	defer seen.report(variants[0].Provider.Scheme())
	for _, h := range variants {
		if h.Variant == "" {
			contract(t, h, seen)
			continue
		}
		t.Run(h.Variant, func(t *testing.T) { contract(t, h, seen) })
	}
}

func contract(t *testing.T, h Harness, seen *properties) {
	usable, other := Ref(t, h.Usable), Ref(t, h.Other)
	key := make([]byte, 32)
	_, _ = rand.Read(key)

	seen.check(t, "round trip", func(t *testing.T) { roundTrip(t, h, usable, key) })
	bound(t, h, key, seen)
	seen.check(t, "bound to the KMS key", func(t *testing.T) {
		wrapped := wrap(t, h.Provider, usable, key)
		_ = wrap(t, h.Provider, other, key)
		got, err := h.Provider.Unwrap(t.Context(), other, wrapped, Binding())
		if kind := keyring.KindOf(err); kind != keyring.Foreign && kind != keyring.Refused {
			t.Errorf("Unwrap with another key: %d bytes, error %v; expected Foreign or Refused", len(got), err)
		}
	})
	seen.check(t, "moved keyset", func(t *testing.T) { moved(t, h) })
	seen.check(t, "damaged", func(t *testing.T) { damaged(t, h.Provider, usable, key) })
	seen.check(t, "unknown key", func(t *testing.T) {
		wrapped := wrap(t, h.Provider, usable, key)
		_, err := h.Provider.Unwrap(t.Context(), Ref(t, h.Unknown), wrapped, Binding())
		Expect(t, err, keyring.Refused, key)
	})
	seen.check(t, "malformed key URI", func(t *testing.T) {
		for _, uri := range h.Malformed {
			ref, err := keyring.ParseKeyURI(uri)
			if err == nil {
				_, err = h.Provider.Describe(t.Context(), ref)
			}
			Expect(t, err, keyring.Unsupported, key)
		}
	})
	seen.check(t, "unreachable", func(t *testing.T) { unreachable(t, h, usable, key) })
	seen.check(t, "concurrent", func(t *testing.T) { concurrent(t, h.Provider, usable) })
	seen.check(t, "rewrap", func(t *testing.T) { rewrap(t, h, usable, key) })
	seen.check(t, "destroy", func(t *testing.T) { destroy(t, h, key) })
}

func roundTrip(t *testing.T, h Harness, ref keyring.KeyRef, key []byte) {
	p := h.Provider
	first, version, err := p.Wrap(t.Context(), ref, key, Binding())
	if err != nil {
		t.Fatalf("Wrap: %v", err)
	}
	if second := wrap(t, p, ref, key); bytes.Equal(first, second) {
		t.Error("wrapping twice gave the same bytes; expected a fresh nonce each time")
	}
	got, err := p.Unwrap(t.Context(), ref, first, Binding())
	if err != nil || !bytes.Equal(got, key) {
		t.Errorf("Unwrap: %d bytes, error %v; expected the wrapped key", len(got), err)
	}
	info, err := p.Describe(t.Context(), ref)
	if err != nil || !info.Exists || !info.Enabled || info.Derived == h.KMSIgnoresContext || info.Version != version {
		t.Errorf("Describe: %+v, error %v; expected an enabled key of version %q, derived=%t", info, err, version, !h.KMSIgnoresContext)
	}
	if Reveals(string(first), key) {
		t.Error("the wrapped key holds the key")
	}
}

// bound to each member of the binding by the KMS itself. Where that ignores the context, the seal around the data key binds
// alone: see moved.
func bound(t *testing.T, h Harness, key []byte, seen *properties) {
	if h.KMSIgnoresContext {
		return
	}
	usable := Ref(t, h.Usable)
	for name, b := range Elsewhere() {
		seen.check(t, "bound: "+name, func(t *testing.T) {
			_, err := h.Provider.Unwrap(t.Context(), usable, wrap(t, h.Provider, usable, key), b)
			Expect(t, err, keyring.Foreign, key)
		})
	}
}

// moved claims, in a keyset of one tenant, that it is another's: every member that names the owner is rewritten, and the
// sealed and wrapped bytes are kept. The Ring must find out, whatever the KMS binds.
func moved(t *testing.T, h Harness) {
	ring := keyring.New(clock.RealClock{}, h.Provider)
	request := keyring.Request{
		ClusterUID: "c1", Tenant: "acme", TenantUID: "t1", KeyURI: h.Usable, RotationPeriod: time.Hour,
		DataKeys: []string{"default"}, Namespaces: []string{"acme-app"},
	}
	own, err := ring.Ensure(t.Context(), request)
	if err != nil {
		t.Fatalf("Ensure: %v", err)
	}
	thief := request
	thief.Tenant, thief.TenantUID, thief.Namespaces = "globex", "t2", []string{"globex-app", "globex-data"}
	forged := strings.NewReplacer("acme-app", "globex-app", `"acme"`, `"globex"`, `\"acme\"`, `\"globex\"`, `"t1"`, `"t2"`, `\"t1\"`, `\"t2\"`).Replace(string(own.Keysets["acme-app"]))
	thief.Keysets = map[string][]byte{"globex-app": []byte(forged)}
	_, err = ring.Ensure(t.Context(), thief)
	Expect(t, err, keyring.Foreign)
	if err != nil && !strings.Contains(err.Error(), "does not open") {
		t.Errorf("found out by %q; expected the forged keyset to be opened, and not to open", err)
	}
}

func damaged(t *testing.T, p keyring.Provider, ref keyring.KeyRef, key []byte) {
	wrapped := wrap(t, p, ref, key)
	flipped := bytes.Clone(wrapped)
	flipped[len(flipped)-3] ^= 1
	for name, raw := range map[string][]byte{
		"nothing": {}, "one byte": {7}, "half": wrapped[:len(wrapped)/2], "flipped bit": flipped,
		"text": []byte("not a wrapped key at all, but long enough to be one, is it not?"),
	} {
		got, err := p.Unwrap(t.Context(), ref, raw, Binding())
		if kind := keyring.KindOf(err); kind != keyring.Foreign && kind != keyring.Refused || len(got) > 0 {
			t.Errorf("%s: %d bytes, error %v; expected Foreign or Refused", name, len(got), err)
		}
		if err != nil && Reveals(err.Error(), key) {
			t.Errorf("%s: the error holds the key", name)
		}
	}
}

func unreachable(t *testing.T, h Harness, ref keyring.KeyRef, key []byte) {
	dead, wrapped := h.Dead, wrap(t, h.Provider, ref, key)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, err := dead.Describe(ctx, ref)
	Expect(t, err, keyring.Unreachable, key)
	_, _, err = dead.Wrap(ctx, ref, key, Binding())
	Expect(t, err, keyring.Unreachable, key)
	_, err = dead.Unwrap(ctx, ref, wrapped, Binding())
	Expect(t, err, keyring.Unreachable, key)
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("giving up took %s; expected the end of the context after 300ms to end the calls", took)
	}
}

func concurrent(t *testing.T, p keyring.Provider, ref keyring.KeyRef) {
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			key := bytes.Repeat([]byte{byte(i)}, 32)
			wrapped, _, err := p.Wrap(t.Context(), ref, key, Binding())
			if err != nil {
				t.Errorf("Wrap: %v", err)
				return
			}
			if got, err := p.Unwrap(t.Context(), ref, wrapped, Binding()); err != nil || !bytes.Equal(got, key) {
				t.Errorf("Unwrap: %d bytes, error %v; expected key %d", len(got), err, i)
			}
		})
	}
	wg.Wait()
}

func wrap(t *testing.T, p keyring.Provider, ref keyring.KeyRef, key []byte) []byte {
	t.Helper()
	wrapped, _, err := p.Wrap(t.Context(), ref, key, Binding())
	if err != nil {
		t.Fatalf("Wrap: %v", err)
	}
	return wrapped
}
