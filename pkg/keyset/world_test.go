package keyset_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"sync"
	"testing"
	"time"

	"k8s.io/utils/clock"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/document"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/local"
	"github.com/hipaatenant/hipaa-tenant-operator/pkg/keyset"
	"github.com/hipaatenant/hipaa-tenant-operator/pkg/keyset/localkeys"
)

// world makes documents with the operator's own Ring and software keys, and is the KMS of the application.
type world struct {
	t    testing.TB
	ring *keyring.Ring

	mu    sync.Mutex
	keks  map[string][]byte
	fail  func(binding document.Binding) error
	calls int
}

func newWorld(t testing.TB) *world {
	w := &world{t: t, keks: map[string][]byte{}}
	w.ring = keyring.New(clock.RealClock{}, local.New(w, clock.RealClock{}))
	return w
}

// Get, Create and Delete make the world a store of software keys.
func (w *world) Get(_ context.Context, name string) ([]byte, bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	kek, ok := w.keks[name]
	return bytes.Clone(kek), ok, nil
}

func (w *world) Create(_ context.Context, name string, kek []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, ok := w.keks[name]; !ok {
		w.keks[name] = bytes.Clone(kek)
	}
	return nil
}

func (w *world) Delete(context.Context, string) error { return errors.New("not here") }

// UnwrapKey makes the world the application's KMS, which can fail.
func (w *world) UnwrapKey(ctx context.Context, provider, keyRef string, wrapped, binding []byte) ([]byte, error) {
	b, err := document.ParseBinding(string(binding))
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	w.calls++
	fail := w.fail
	keks := localkeys.Unwrapper{}
	for name, kek := range w.keks {
		keks[name[len(local.SecretPrefix):]] = kek
	}
	w.mu.Unlock()
	if fail != nil {
		if err := fail(b); err != nil {
			return nil, err
		}
	}
	return keks.UnwrapKey(ctx, provider, keyRef, wrapped, binding)
}

// failing makes UnwrapKey fail where f does.
func (w *world) failing(f func(document.Binding) error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fail = f
}

func (w *world) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.calls
}

func request() keyring.Request {
	return keyring.Request{
		ClusterUID: "c1", Tenant: "acme", TenantUID: "t1", KeyURI: "local://acme", RotationPeriod: 24 * time.Hour,
		DataKeys: []string{"default", "records"}, Namespaces: []string{"acme-app", "acme-data"},
	}
}

// make has the Ring make what is missing, and returns the keyset of the first namespace.
func (w *world) make(req keyring.Request) []byte {
	w.t.Helper()
	return w.all(req)[req.Namespaces[0]]
}

func (w *world) all(req keyring.Request) map[string][]byte {
	w.t.Helper()
	out, err := w.ring.Ensure(w.t.Context(), req)
	if err != nil {
		w.t.Fatal(err)
	}
	return out.Keysets
}

// rotated puts a new primary in front of every data key of a keyset. Entries are bound one by one, so what the Ring makes
// for the next version stands beside the old one.
func (w *world) rotated(req keyring.Request, raw []byte) []byte {
	w.t.Helper()
	before := decode(w.t, raw)
	req.Keysets, req.PrimaryVersions = nil, map[string]int64{}
	for _, e := range before.Keys {
		req.PrimaryVersions[e.Name] = max(req.PrimaryVersions[e.Name], e.Version)
	}
	after := decode(w.t, w.make(req))
	for _, e := range before.Keys {
		if e.State == document.Primary {
			e.State = document.DecryptOnly
		}
		after.Keys = append(after.Keys, e)
	}
	return after.Encode()
}

func decode(t testing.TB, raw []byte) document.Keyset {
	t.Helper()
	k, err := document.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// edited changes a document.
func edited(t testing.TB, raw []byte, edit func(*document.Keyset)) []byte {
	t.Helper()
	var k document.Keyset
	if err := json.Unmarshal(raw, &k); err != nil {
		t.Fatal(err)
	}
	edit(&k)
	return k.Encode()
}

func (w *world) options() keyset.Options {
	return keyset.Options{Unwrapper: w, Expect: keyset.Identity{Namespace: "acme-app"}}
}

func (w *world) open(raw []byte) *keyset.Keyset {
	w.t.Helper()
	k, err := keyset.Open(w.t.Context(), raw, w.options())
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(k.Close)
	return k
}

// want fails unless err is the wanted one.
func want(t testing.TB, err, wanted error) {
	t.Helper()
	if !errors.Is(err, wanted) {
		t.Errorf("error %v; expected %v", err, wanted)
	}
}

// replaced is a copy of the request with changes.
func replaced(req keyring.Request, changes ...func(*keyring.Request)) keyring.Request {
	req.Keysets = maps.Clone(req.Keysets)
	for _, change := range changes {
		change(&req)
	}
	return req
}
