package keyring_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/keyringtest"
)

// The fields and their order are a contract with readers in other languages; docs/keyset.md lists them.
func TestKeysetFields(t *testing.T) {
	w := newWorld(t)
	raw := w.settle(request()).Keysets["acme-app"]
	want := []string{
		"schema", "tenant", "tenantUID", "namespace", "keys", "name", "version", "state", "alg", "provider", "keyRef",
		"kmsKeyVersion", "createdAt", "binding", "sealed", "wrapped",
	}
	var got []string
	for token := range bytes.SplitSeq(raw, []byte(`"`)) {
		if slices.Contains(want, string(token)) {
			got = append(got, string(token))
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("fields (-want +got):\n%s", diff)
	}
}

func TestEncodingIsDeterministic(t *testing.T) {
	w := newWorld(t)
	req := request()
	req.DataKeys = []string{"c", "a", "b"}
	raw := w.settle(req).Keysets["acme-app"]
	k := decode(t, raw)
	slices.Reverse(k.Keys)
	if again := k.Encode(); !bytes.Equal(raw, again) {
		t.Errorf("encoded again:\n%s\nbefore:\n%s", again, raw)
	}
	if bytes.ContainsAny(raw, "\n") || !json.Valid(raw) {
		t.Error("expected one line of JSON")
	}
}

// Whatever stands in a Secret: no panic, and either a keyset that survives being written and read again, or a refusal
// that is fit for a status.
func FuzzParseKeyset(f *testing.F) {
	w := newWorld(f)
	f.Add(w.shaped("a", "DP"))
	f.Add([]byte(`{"schema":"hipaatenant.dev/keyset/v1","tenant":"acme","tenantUID":"u","namespace":"a","keys":[]}`))
	f.Add([]byte(`{"schema":"hipaatenant.dev/keyset/v1","keys":[{"name":"x","version":1e99}]}`))
	f.Add([]byte("null"))
	f.Add([]byte{0xff, 0})
	f.Fuzz(func(t *testing.T, raw []byte) {
		k, err := keyring.ParseKeyset(raw)
		if err != nil {
			keyringtest.Expect(t, err, keyring.Foreign)
			return
		}
		again, err := keyring.ParseKeyset(k.Encode())
		if err != nil {
			t.Fatalf("%q was read, and what was written from it was not: %v", raw, err)
		}
		if !bytes.Equal(k.Encode(), again.Encode()) {
			t.Errorf("%q is not the same after writing and reading", raw)
		}
	})
}

// The same for a whole Ensure: a keyset of any content is used, or refused and left alone; it is never replaced.
func FuzzEnsureNeverOverwrites(f *testing.F) {
	seed := newWorld(f)
	f.Add(seed.shaped("acme-app", "P"))
	f.Add(seed.shaped("acme-app", "RDP"))
	f.Add(seed.shaped("other", "P"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		w := newWorld(t)
		// The software key of the seeds does not exist in this world, so nothing can be opened.
		req := request()
		req.Keysets["acme-app"] = raw
		out, err := w.ensure(req)
		if err != nil {
			keyringtest.Expect(t, err, keyring.KindOf(err))
		}
		got, stands := out.Keysets["acme-app"]
		switch {
		case !stands && err == nil:
			t.Error("no keyset and no error")
		case stands && !bytes.Equal(got, raw) && err != nil:
			t.Error("an error, and a changed keyset")
		case stands && !bytes.Equal(got, raw):
			before := decode(t, raw)
			for _, e := range before.Keys {
				if !slices.ContainsFunc(decode(t, got).Keys, func(a keyring.Entry) bool {
					return a.Name == e.Name && a.Version == e.Version && bytes.Equal(a.Sealed, e.Sealed)
				}) {
					t.Errorf("key %s version %d is gone", e.Name, e.Version)
				}
			}
		}
	})
}
