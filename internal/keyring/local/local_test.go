package local

import (
	"bytes"
	"context"
	"encoding/hex"
	"strings"
	"sync"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/keyringtest"
)

// memory is a Store that counts and can be told to fail.
type memory struct {
	mu            sync.Mutex
	keys          map[string][]byte
	gets, creates int
	fail          error
	// beforeCreate runs once, before the next Create: somebody else at the same moment.
	beforeCreate func(name string)
}

func newMemory() *memory { return &memory{keys: map[string][]byte{}} }

func (m *memory) Get(ctx context.Context, name string) ([]byte, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.gets++
	key, ok := m.keys[name]
	return bytes.Clone(key), ok, m.fail
}

func (m *memory) Create(ctx context.Context, name string, key []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.creates++
	if f := m.beforeCreate; f != nil {
		m.beforeCreate = nil
		f(name)
	}
	if _, ok := m.keys[name]; !ok && m.fail == nil {
		m.keys[name] = bytes.Clone(key)
	}
	return m.fail
}

func (m *memory) Delete(ctx context.Context, name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail == nil {
		delete(m.keys, name)
	}
	return m.fail
}

// silent is a Store that never answers.
type silent struct{}

func (silent) Get(ctx context.Context, _ string) ([]byte, bool, error) {
	<-ctx.Done()
	return nil, false, keyring.Errorf(keyring.Unreachable, "no answer")
}

func (silent) Create(ctx context.Context, _ string, _ []byte) error {
	<-ctx.Done()
	return keyring.Errorf(keyring.Unreachable, "no answer")
}

func (silent) Delete(ctx context.Context, _ string) error {
	<-ctx.Done()
	return keyring.Errorf(keyring.Unreachable, "no answer")
}

func newClock() *clocktesting.FakePassiveClock {
	return clocktesting.NewFakePassiveClock(time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC))
}

func TestContract(t *testing.T) {
	keyringtest.Contract(t, keyringtest.Harness{
		Provider: New(newMemory(), newClock()),
		Usable:   "local://acme",
		Other:    "local://globex",
		Unknown:  "local://gone",
		Doomed:   "local://doomed",
		Malformed: []string{
			"local://Acme", "local://a/b", "local://-a", "local://a.b", "local://acme?region=x", "local://" + strings.Repeat("a", 64),
		},
		Dead: New(silent{}, newClock()),
	})
}

func TestTraits(t *testing.T) {
	p := New(newMemory(), newClock())
	if p.Scheme() != "local" || p.Assurance() != v1alpha1.ReasonSoftwareKey {
		t.Errorf("scheme %q, assurance %q; expected local, SoftwareKey", p.Scheme(), p.Assurance())
	}
	a, b := keyringtest.Ref(t, "local://a"), keyringtest.Ref(t, "local://b")
	if p.Endpoint(a) != p.Endpoint(b) {
		t.Error("two software keys have different endpoints; expected one: they come from the same API server")
	}
}

// The parameter scope tells whom the key serves, not which key it is.
func TestScopeNamesTheSameKey(t *testing.T) {
	p := New(newMemory(), newClock())
	wrapped, _, err := p.Wrap(t.Context(), keyringtest.Ref(t, "local://acme?scope=tenant"), make([]byte, 32), keyringtest.Binding())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Unwrap(t.Context(), keyringtest.Ref(t, "local://acme"), wrapped, keyringtest.Binding()); err != nil {
		t.Errorf("Unwrap without the scope: %v", err)
	}
}

func TestDescribeMakesNothing(t *testing.T) {
	m := newMemory()
	info, err := New(m, newClock()).Describe(t.Context(), keyringtest.Ref(t, "local://acme"))
	if err != nil || info.Exists || info.ProtectionLevel != keyring.ProtectionCluster || m.creates != 0 {
		t.Errorf("Describe of a key that is not there: %+v, error %v, %d creates; expected Exists false and nothing created", info, err, m.creates)
	}
}

// Two operators, or an operator and its successor, may wrap for the first time at the same moment.
func TestCreateRaceKeepsTheFirstKey(t *testing.T) {
	m := newMemory()
	theirs := bytes.Repeat([]byte{9}, keySize)
	m.beforeCreate = func(name string) { m.keys[name] = theirs }
	p := New(m, newClock())
	ref := keyringtest.Ref(t, "local://acme")
	_, version, err := p.Wrap(t.Context(), ref, make([]byte, 32), keyringtest.Binding())
	if err != nil {
		t.Fatal(err)
	}
	if id := keyID(theirs); version != hex.EncodeToString(id[:]) || !bytes.Equal(m.keys["hipaa-local-kek-acme"], theirs) {
		t.Errorf("wrapped with key %s; expected the one that was stored first", version)
	}
}

func TestCreatedButNotReadable(t *testing.T) {
	m := newMemory()
	m.beforeCreate = func(name string) { m.keys[name] = bytes.Repeat([]byte{1}, keySize) }
	p := New(&forgetful{m}, newClock())
	_, _, err := p.Wrap(t.Context(), keyringtest.Ref(t, "local://acme"), make([]byte, 32), keyringtest.Binding())
	keyringtest.Expect(t, err, keyring.Unreachable)
}

// forgetful stores but finds nothing.
type forgetful struct{ *memory }

func (f *forgetful) Get(context.Context, string) ([]byte, bool, error) { return nil, false, nil }

// A thousand tenants that are made one after the other must not cost a thousand reads.
func TestReadsAreFew(t *testing.T) {
	m, c := newMemory(), newClock()
	p := New(m, c)
	ref := keyringtest.Ref(t, "local://acme")
	for range 1000 {
		if _, _, err := p.Wrap(t.Context(), ref, make([]byte, 32), keyringtest.Binding()); err != nil {
			t.Fatal(err)
		}
	}
	if m.gets > 2 || m.creates != 1 {
		t.Errorf("%d reads and %d creates for 1000 wraps; expected at most 2 and 1", m.gets, m.creates)
	}
}

// A Secret that was replaced is noticed after a short while, in both directions of the clock.
func TestReplacedKeyIsNoticed(t *testing.T) {
	for name, step := range map[string]time.Duration{"later": remember, "clock set back": -time.Hour} {
		t.Run(name, func(t *testing.T) {
			m, c := newMemory(), newClock()
			p := New(m, c)
			ref := keyringtest.Ref(t, "local://acme")
			wrapped, _, err := p.Wrap(t.Context(), ref, make([]byte, 32), keyringtest.Binding())
			if err != nil {
				t.Fatal(err)
			}
			old := m.keys["hipaa-local-kek-acme"]
			m.keys["hipaa-local-kek-acme"] = bytes.Repeat([]byte{5}, keySize)
			c.SetTime(c.Now().Add(step))
			_, err = p.Unwrap(t.Context(), ref, wrapped, keyringtest.Binding())
			keyringtest.Expect(t, err, keyring.Foreign, old, m.keys["hipaa-local-kek-acme"])
			id := keyID(old)
			if !strings.Contains(err.Error(), hex.EncodeToString(id[:])) {
				t.Errorf("%v; expected the id of the key that is missed", err)
			}
			m.keys["hipaa-local-kek-acme"] = old
			c.SetTime(c.Now().Add(remember))
			if _, err := p.Unwrap(t.Context(), ref, wrapped, keyringtest.Binding()); err != nil {
				t.Errorf("after restoring the Secret: %v", err)
			}
		})
	}
}

func TestLostKeyIsNotReplacedByUnwrap(t *testing.T) {
	m, c := newMemory(), newClock()
	p := New(m, c)
	ref := keyringtest.Ref(t, "local://acme")
	wrapped, _, err := p.Wrap(t.Context(), ref, make([]byte, 32), keyringtest.Binding())
	if err != nil {
		t.Fatal(err)
	}
	delete(m.keys, "hipaa-local-kek-acme")
	c.SetTime(c.Now().Add(remember))
	_, err = p.Unwrap(t.Context(), ref, wrapped, keyringtest.Binding())
	keyringtest.Expect(t, err, keyring.Refused)
	if len(m.keys) != 0 {
		t.Error("Unwrap made a new key; expected it to leave the loss to be repaired")
	}
}

func TestShortKeyIsRefused(t *testing.T) {
	m := newMemory()
	m.keys["hipaa-local-kek-acme"] = []byte("sixteen-byte-key")
	_, _, err := New(m, newClock()).Wrap(t.Context(), keyringtest.Ref(t, "local://acme"), make([]byte, 32), keyringtest.Binding())
	keyringtest.Expect(t, err, keyring.Refused, []byte("sixteen-byte-key"))
}

func TestStoreErrorsPassThrough(t *testing.T) {
	for _, kind := range []keyring.Kind{keyring.Unreachable, keyring.Refused} {
		m := newMemory()
		m.fail = keyring.Errorf(kind, "as the store says")
		p := New(m, newClock())
		ref := keyringtest.Ref(t, "local://acme")
		_, err := p.Describe(t.Context(), ref)
		keyringtest.Expect(t, err, kind)
		_, _, err = p.Wrap(t.Context(), ref, make([]byte, 32), keyringtest.Binding())
		keyringtest.Expect(t, err, kind)
		_, err = p.Unwrap(t.Context(), ref, make([]byte, 80), keyringtest.Binding())
		keyringtest.Expect(t, err, kind)
	}
}

func TestCreateErrorPassesThrough(t *testing.T) {
	m := newMemory()
	m.beforeCreate = func(string) { m.fail = keyring.Errorf(keyring.Refused, "no create here") }
	_, _, err := New(m, newClock()).Wrap(t.Context(), keyringtest.Ref(t, "local://acme"), make([]byte, 32), keyringtest.Binding())
	keyringtest.Expect(t, err, keyring.Refused)
}
