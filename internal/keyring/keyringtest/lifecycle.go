package keyringtest

import (
	"bytes"
	"testing"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring"
)

func rewrap(t *testing.T, h Harness, ref keyring.KeyRef, key []byte) {
	p := h.Provider
	before, old, err := p.Wrap(t.Context(), ref, key, Binding())
	if err != nil {
		t.Fatalf("Wrap: %v", err)
	}
	if h.Rotate != nil {
		h.Rotate(t)
	}
	after, version, err := p.Rewrap(t.Context(), ref, before, Binding())
	if err != nil {
		t.Fatalf("Rewrap: %v", err)
	}
	if info, err := p.Describe(t.Context(), ref); err != nil || info.Version != version || (h.Rotate != nil) != (version != old) {
		t.Errorf("rewrapped from version %q to %q; Describe says %q, error %v", old, version, info.Version, err)
	}
	for name, wrapped := range map[string][]byte{"rewrapped": after, "of the version before": before} {
		if got, err := p.Unwrap(t.Context(), ref, wrapped, Binding()); err != nil || !bytes.Equal(got, key) {
			t.Errorf("%s: Unwrap gave %d bytes, error %v; expected the wrapped key", name, len(got), err)
		}
	}
	rewrapRefuses(t, h, ref, before)
}

// rewrapRefuses what the key did not make, or made for another binding.
func rewrapRefuses(t *testing.T, h Harness, ref keyring.KeyRef, wrapped []byte) {
	p := h.Provider
	_, _, err := p.Rewrap(t.Context(), ref, []byte("not a wrapped key at all, but long enough to be one, is it not?"), Binding())
	if kind := keyring.KindOf(err); kind != keyring.Foreign && kind != keyring.Refused {
		t.Errorf("Rewrap of other text: error %v; expected Foreign or Refused", err)
	}
	for name, b := range Elsewhere() {
		if h.KMSIgnoresContext {
			break
		}
		_, _, err := p.Rewrap(t.Context(), ref, wrapped, b)
		if keyring.KindOf(err) != keyring.Foreign {
			t.Errorf("Rewrap for %s: error %v; expected Foreign", name, err)
		}
	}
}

func destroy(t *testing.T, h Harness, key []byte) {
	p := h.Provider
	if h.Doomed == "" {
		_, err := p.Destroy(t.Context(), Ref(t, h.Usable))
		Expect(t, err, keyring.Unsupported, key)
		return
	}
	ref := Ref(t, h.Doomed)
	wrapped := wrap(t, p, ref, key)
	first, err := p.Destroy(t.Context(), ref)
	if err != nil || first.Method == "" || first.EffectiveAt.IsZero() {
		t.Fatalf("Destroy: %+v, error %v; expected a method and a time", first, err)
	}
	if again, err := p.Destroy(t.Context(), ref); err != nil || again.Method == "" || again.EffectiveAt.After(first.EffectiveAt) {
		t.Errorf("Destroy again: %+v, error %v; expected no later end than %s", again, err, first.EffectiveAt)
	}
	if got, err := p.Unwrap(t.Context(), ref, wrapped, Binding()); err == nil {
		t.Errorf("Unwrap after Destroy: %d bytes; expected a refusal", len(got))
	}
	info, err := p.Describe(t.Context(), ref)
	if usable := err == nil && info.Exists && info.Enabled; usable {
		t.Errorf("Describe after Destroy: %+v; expected a key that is gone or not enabled", info)
	}
}
