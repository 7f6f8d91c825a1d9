package keyring_test

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/keyringtest"
)

// world is a Ring with two KMS. Everything a Ring of it returns is searched for key bytes.
type world struct {
	t     testing.TB
	clock *clocktesting.FakePassiveClock
	one   *kms
	two   *kms
	ring  *keyring.Ring
	deks  [][]byte
}

var start = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

func newWorld(t testing.TB) *world {
	t.Helper()
	clock := clocktesting.NewFakePassiveClock(start)
	w := &world{t: t, clock: clock, one: newKMS("one", clock), two: newKMS("two", clock)}
	w.restart()
	return w
}

// restart gives the world a fresh Ring, as a restart of the operator does.
func (w *world) restart() {
	limits := keyring.DefaultLimits()
	limits.Attempts, limits.Pause = 1, 0
	w.ring = keyring.NewLimited(w.clock, limits, w.one, w.two)
}

// request of a tenant with one namespace and one data key, as it is before its first Ensure.
func request() keyring.Request {
	return keyring.Request{
		ClusterUID: "cluster-1", Tenant: "acme", TenantUID: "uid-1", KeyURI: "one://acme", RotationPeriod: 90 * 24 * time.Hour,
		DataKeys: []string{"default"}, Namespaces: []string{"acme-app"}, Keysets: map[string][]byte{},
	}
}

// ensure runs Ensure, searches what it returned for key bytes, and checks that plaintexts were cleared.
func (w *world) ensure(req keyring.Request) (keyring.Outcome, error) {
	w.t.Helper()
	before := clone(req.Keysets)
	out, err := w.ring.Ensure(w.t.Context(), req)
	if !maps.EqualFunc(before, req.Keysets, bytes.Equal) {
		w.t.Error("Ensure changed its request")
	}
	for _, raw := range out.Keysets {
		w.deks = append(w.deks, slices.Collect(maps.Values(w.tryOpen(raw)))...)
	}
	keys, jsonErr := json.Marshal(out.Keys)
	if jsonErr != nil {
		w.t.Fatal(jsonErr)
	}
	shown := []string{fmt.Sprint(err), string(keys)}
	for _, raw := range out.Keysets {
		shown = append(shown, string(raw))
	}
	for _, secret := range slices.Concat(w.deks, w.one.secrets, w.two.secrets) {
		for _, text := range shown {
			if keyringtest.Reveals(text, secret) {
				w.t.Errorf("key bytes in %.200q", text)
			}
		}
	}
	return out, err
}

// cleared fails if a plaintext that passed through a KMS outlived the Ensure that needed it.
func (w *world) cleared() {
	w.t.Helper()
	for _, k := range []*kms{w.one, w.two} {
		for i, plaintext := range k.plaintexts {
			if !bytes.Equal(plaintext, make([]byte, len(plaintext))) {
				w.t.Errorf("plaintext %d of KMS %s was not cleared", i, k.scheme)
			}
		}
		k.plaintexts = nil
	}
}

// settle runs Ensure until every step is taken, expects success, and checks what holds after every success: all namespaces
// have the same data keys, a further run changes nothing and asks no KMS. It returns the outcome.
func (w *world) settle(req keyring.Request) keyring.Outcome {
	w.t.Helper()
	out := w.step(req)
	for range 3 {
		if !out.Unfinished && maps.EqualFunc(req.Keysets, out.Keysets, bytes.Equal) {
			break
		}
		next := clone(req.Keysets)
		maps.Copy(next, out.Keysets)
		req.Keysets = next
		out = w.step(req)
	}
	calls := w.callCount()
	again, err := w.ensure(req)
	if err != nil {
		w.t.Fatalf("Ensure once more: %v", err)
	}
	if n := w.callCount() - calls; n != 0 {
		w.t.Errorf("Ensure once more made %d KMS calls; expected none", n)
	}
	if diff := cmp.Diff(out, again); diff != "" || out.Unfinished || len(out.Changes) > 0 {
		w.t.Errorf("Ensure once more: unfinished=%t changes=%v, it differs:\n%s", out.Unfinished, out.Changes, diff)
	}
	return out
}

// step runs Ensure once, and checks what holds after each.
func (w *world) step(req keyring.Request) keyring.Outcome {
	w.t.Helper()
	out, err := w.ensure(req)
	if err != nil {
		w.t.Fatalf("Ensure: %v", err)
	}
	w.cleared()
	if got, want := slices.Sorted(maps.Keys(out.Keysets)), slices.Compact(slices.Sorted(slices.Values(req.Namespaces))); !slices.Equal(got, want) {
		w.t.Fatalf("keysets for %v; expected %v", got, want)
	}
	w.sameKeys(out.Keysets)
	return out
}

func (w *world) sameKeys(keysets map[string][]byte) {
	w.t.Helper()
	var first map[string][]byte
	for _, ns := range slices.Sorted(maps.Keys(keysets)) {
		keys := w.open(keysets[ns])
		if first == nil {
			first = keys
		}
		if diff := cmp.Diff(first, keys); diff != "" {
			w.t.Errorf("namespace %s has other data keys:\n%s", ns, diff)
		}
	}
}

func (w *world) callCount() int { return len(w.one.calls) + len(w.two.calls) }

// open reads a keyset the way docs/keyset.md tells consumers to: one KMS call and AES-GCM for each key.
func (w *world) open(raw []byte) map[string][]byte {
	w.t.Helper()
	keys := w.tryOpen(raw)
	var doc struct{ Keys []any }
	if err := json.Unmarshal(raw, &doc); err != nil || len(keys) != len(doc.Keys) {
		w.t.Fatalf("%d of %d keys can be opened, error %v", len(keys), len(doc.Keys), err)
	}
	return keys
}

func (w *world) tryOpen(raw []byte) map[string][]byte {
	var doc struct {
		Keys []struct {
			Name, Provider, KeyRef, Binding string
			Version                         int
			Sealed, Wrapped                 []byte
		}
	}
	keys := map[string][]byte{}
	if json.Unmarshal(raw, &doc) != nil {
		return keys
	}
	for _, k := range doc.Keys {
		provider := map[string]*kms{"one": w.one, "two": w.two}[k.Provider]
		if provider == nil {
			continue
		}
		ref, err := keyring.ParseKeyURI(k.Provider + "://" + k.KeyRef)
		if err != nil {
			continue
		}
		kek, err := provider.versioned.Unwrap(context.Background(), ref, k.Wrapped, parseBinding(k.Binding))
		if err != nil {
			continue
		}
		if dek := openGCM(kek, k.Sealed, []byte(k.Binding)); dek != nil {
			keys[fmt.Sprintf("%s/%d", k.Name, k.Version)] = dek
		}
	}
	return keys
}

// parseBinding reads the canonical form back, as a consumer whose KMS wants single values would.
func parseBinding(canonical string) keyring.Binding {
	var f struct {
		Cluster, Key, Namespace, Secret, Tenant, TenantUID string
		Version                                            int64
	}
	_ = json.Unmarshal([]byte(canonical), &f)
	return keyring.Binding{
		ClusterUID: f.Cluster, Tenant: f.Tenant, TenantUID: f.TenantUID, Namespace: f.Namespace,
		Secret: f.Secret, Key: f.Key, Version: f.Version,
	}
}

// openGCM is textbook AES-GCM with the nonce in front, not the code that sealed.
func openGCM(key, sealed, additional []byte) []byte {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil
	}
	plain, err := aead.Open(nil, nil, sealed, additional)
	if err != nil {
		return nil
	}
	return plain
}

func clone(in map[string][]byte) map[string][]byte {
	out := map[string][]byte{}
	for name, raw := range in {
		out[name] = bytes.Clone(raw)
	}
	return out
}

// with returns the request with what an Ensure returned standing.
func with(req keyring.Request, out keyring.Outcome) keyring.Request {
	req.Keysets = clone(out.Keysets)
	return req
}

func decode(t testing.TB, raw []byte) keyring.Keyset {
	t.Helper()
	k, err := keyring.ParseKeyset(raw)
	if err != nil {
		t.Fatalf("keyset: %v", err)
	}
	return k
}
