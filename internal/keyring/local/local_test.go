package local

import (
	"bytes"
	"context"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/keyringtest"
)

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
		Provider: New(keyringtest.NewShelf(), newClock()),
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
	p := New(keyringtest.NewShelf(), newClock())
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
	p := New(keyringtest.NewShelf(), newClock())
	wrapped, _, err := p.Wrap(t.Context(), keyringtest.Ref(t, "local://acme?scope=tenant"), make([]byte, 32), keyringtest.Binding())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Unwrap(t.Context(), keyringtest.Ref(t, "local://acme"), wrapped, keyringtest.Binding()); err != nil {
		t.Errorf("Unwrap without the scope: %v", err)
	}
}

func TestDescribeMakesNothing(t *testing.T) {
	m := keyringtest.NewShelf()
	info, err := New(m, newClock()).Describe(t.Context(), keyringtest.Ref(t, "local://acme"))
	if err != nil || info.Exists || info.ProtectionLevel != keyring.ProtectionCluster || m.Creates != 0 {
		t.Errorf("Describe of a key that is not there: %+v, error %v, %d creates; expected Exists false and nothing created", info, err, m.Creates)
	}
}

// Two operators, or an operator and its successor, may wrap for the first time at the same moment.
func TestCreateRaceKeepsTheFirstKey(t *testing.T) {
	m := keyringtest.NewShelf()
	theirs := bytes.Repeat([]byte{9}, keySize)
	m.BeforeCreate = func(name string) { m.Keys[name] = theirs }
	p := New(m, newClock())
	ref := keyringtest.Ref(t, "local://acme")
	_, version, err := p.Wrap(t.Context(), ref, make([]byte, 32), keyringtest.Binding())
	if err != nil {
		t.Fatal(err)
	}
	if id := keyID(theirs); version != hex.EncodeToString(id[:]) || !bytes.Equal(m.Keys["hipaa-local-kek-acme"], theirs) {
		t.Errorf("wrapped with key %s; expected the one that was stored first", version)
	}
}

func TestCreatedButNotReadable(t *testing.T) {
	m := keyringtest.NewShelf()
	m.BeforeCreate = func(name string) { m.Keys[name] = bytes.Repeat([]byte{1}, keySize) }
	p := New(&forgetful{m}, newClock())
	_, _, err := p.Wrap(t.Context(), keyringtest.Ref(t, "local://acme"), make([]byte, 32), keyringtest.Binding())
	keyringtest.Expect(t, err, keyring.Unreachable)
}

// forgetful stores but finds nothing.
type forgetful struct{ *keyringtest.Shelf }

func (f *forgetful) Get(context.Context, string) ([]byte, bool, error) { return nil, false, nil }

// A thousand tenants that are made one after the other must not cost a thousand reads.
func TestReadsAreFew(t *testing.T) {
	m, c := keyringtest.NewShelf(), newClock()
	p := New(m, c)
	ref := keyringtest.Ref(t, "local://acme")
	for range 1000 {
		if _, _, err := p.Wrap(t.Context(), ref, make([]byte, 32), keyringtest.Binding()); err != nil {
			t.Fatal(err)
		}
	}
	if m.Gets > 2 || m.Creates != 1 {
		t.Errorf("%d reads and %d creates for 1000 wraps; expected at most 2 and 1", m.Gets, m.Creates)
	}
}

// A Secret that was replaced is noticed after a short while, in both directions of the clock.
func TestReplacedKeyIsNoticed(t *testing.T) {
	for name, step := range map[string]time.Duration{"later": remember, "clock set back": -time.Hour} {
		t.Run(name, func(t *testing.T) {
			m, c := keyringtest.NewShelf(), newClock()
			p := New(m, c)
			ref := keyringtest.Ref(t, "local://acme")
			wrapped, _, err := p.Wrap(t.Context(), ref, make([]byte, 32), keyringtest.Binding())
			if err != nil {
				t.Fatal(err)
			}
			old := m.Keys["hipaa-local-kek-acme"]
			m.Keys["hipaa-local-kek-acme"] = bytes.Repeat([]byte{5}, keySize)
			c.SetTime(c.Now().Add(step))
			_, err = p.Unwrap(t.Context(), ref, wrapped, keyringtest.Binding())
			keyringtest.Expect(t, err, keyring.Foreign, old, m.Keys["hipaa-local-kek-acme"])
			id := keyID(old)
			if !strings.Contains(err.Error(), hex.EncodeToString(id[:])) {
				t.Errorf("%v; expected the id of the key that is missed", err)
			}
			m.Keys["hipaa-local-kek-acme"] = old
			c.SetTime(c.Now().Add(remember))
			if _, err := p.Unwrap(t.Context(), ref, wrapped, keyringtest.Binding()); err != nil {
				t.Errorf("after restoring the Secret: %v", err)
			}
		})
	}
}

func TestLostKeyIsNotReplacedByUnwrap(t *testing.T) {
	m, c := keyringtest.NewShelf(), newClock()
	p := New(m, c)
	ref := keyringtest.Ref(t, "local://acme")
	wrapped, _, err := p.Wrap(t.Context(), ref, make([]byte, 32), keyringtest.Binding())
	if err != nil {
		t.Fatal(err)
	}
	delete(m.Keys, "hipaa-local-kek-acme")
	c.SetTime(c.Now().Add(remember))
	_, err = p.Unwrap(t.Context(), ref, wrapped, keyringtest.Binding())
	keyringtest.Expect(t, err, keyring.Refused)
	if len(m.Keys) != 0 {
		t.Error("Unwrap made a new key; expected it to leave the loss to be repaired")
	}
}

func TestShortKeyIsRefused(t *testing.T) {
	m := keyringtest.NewShelf()
	m.Keys["hipaa-local-kek-acme"] = []byte("sixteen-byte-key")
	_, _, err := New(m, newClock()).Wrap(t.Context(), keyringtest.Ref(t, "local://acme"), make([]byte, 32), keyringtest.Binding())
	keyringtest.Expect(t, err, keyring.Refused, []byte("sixteen-byte-key"))
}

func TestStoreErrorsPassThrough(t *testing.T) {
	for _, kind := range []keyring.Kind{keyring.Unreachable, keyring.Refused} {
		m := keyringtest.NewShelf()
		m.Fail = keyring.Errorf(kind, "as the store says")
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
	m := keyringtest.NewShelf()
	m.BeforeCreate = func(string) { m.Fail = keyring.Errorf(keyring.Refused, "no create here") }
	_, _, err := New(m, newClock()).Wrap(t.Context(), keyringtest.Ref(t, "local://acme"), make([]byte, 32), keyringtest.Binding())
	keyringtest.Expect(t, err, keyring.Refused)
}
