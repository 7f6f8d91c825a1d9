package keyset_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/document"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/keyringtest"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/local"
	"github.com/hipaatenant/hipaa-tenant-operator/pkg/keyset"
	"github.com/hipaatenant/hipaa-tenant-operator/pkg/keyset/localkeys"
)

var update = flag.Bool("update", false, "write testdata/golden.json again")

// golden is a document as the operator made it, its software key, what is in it, and a record.
type golden struct {
	Keyset json.RawMessage   `json:"keyset"`
	KEK    []byte            `json:"kek"`
	Keys   map[string][]byte `json:"keys"`
	Record []byte            `json:"record"`
}

// What stands in clusters and in databases must open for ever.
func TestGolden(t *testing.T) {
	file := filepath.Join("testdata", "golden.json")
	if *update {
		writeGolden(t, file)
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var g golden
	if err := json.Unmarshal(raw, &g); err != nil {
		t.Fatal(err)
	}
	k, err := keyset.Open(t.Context(), g.Keyset, keyset.Options{
		Unwrapper: localkeys.Unwrapper{"acme": g.KEK},
		Expect:    keyset.Identity{ClusterUID: "c1", Tenant: "acme", TenantUID: "t1", Namespace: "acme-app"},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	for name, wanted := range g.Keys {
		key, err := k.Primary(name)
		if err != nil || !bytes.Equal(key.Bytes, wanted) {
			t.Errorf("key %s: %d bytes, error %v; expected the golden ones", name, len(key.Bytes), err)
		}
	}
	if got, err := k.Decrypt("records", g.Record, []byte("row 1")); string(got) != "a record of version 1" {
		t.Errorf("record: %q, error %v", got, err)
	}
}

func writeGolden(t *testing.T, file string) {
	w := newWorld(t)
	first := w.make(request())
	k := w.open(first)
	record, err := k.Encrypt("records", []byte("a record of version 1"), []byte("row 1"))
	if err != nil {
		t.Fatal(err)
	}
	g := golden{Keyset: w.rotated(request(), first), KEK: w.keks[local.SecretPrefix+"acme"], Keys: map[string][]byte{}, Record: record}
	k = w.open(g.Keyset)
	for _, name := range request().DataKeys {
		key, err := k.Primary(name)
		if err != nil {
			t.Fatal(err)
		}
		g.Keys[name] = key.Bytes
	}
	raw, err := json.MarshalIndent(g, "", "  ")
	if err == nil {
		err = os.WriteFile(file, append(raw, '\n'), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestParse(t *testing.T) {
	w := newWorld(t)
	d, err := keyset.Parse(w.rotated(request(), w.make(request())))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(keyset.Identity{ClusterUID: "c1", Tenant: "acme", TenantUID: "t1", Namespace: "acme-app"}, d.Identity); diff != "" {
		t.Error(diff)
	}
	var got []string
	for _, e := range d.Entries {
		got = append(got, e.Name+" "+string(rune('0'+e.Version))+" "+string(e.State)+" "+e.Provider+" "+e.KeyRef)
	}
	if diff := cmp.Diff([]string{
		"default 1 DecryptOnly local acme", "default 2 Primary local acme",
		"records 1 DecryptOnly local acme", "records 2 Primary local acme",
	}, got); diff != "" {
		t.Error(diff)
	}
}

// Both namespaces of a tenant can read each other's records; that is what the copies are for.
func TestNamespacesShareKeys(t *testing.T) {
	w := newWorld(t)
	all := w.all(request())
	app := w.open(all["acme-app"])
	o := w.options()
	o.Expect.Namespace = "acme-data"
	data, err := keyset.Open(t.Context(), all["acme-data"], o)
	if err != nil {
		t.Fatal(err)
	}
	defer data.Close()
	record, err := app.Encrypt("default", []byte("hello"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := data.Decrypt("default", record, nil); string(got) != "hello" {
		t.Errorf("%q, error %v", got, err)
	}
}

// Everything that may be done to a document must be found out.
func TestTampering(t *testing.T) {
	w := newWorld(t)
	good := w.make(request())
	other := w.make(replaced(request(), func(r *keyring.Request) {
		r.Tenant, r.TenantUID, r.KeyURI, r.Namespaces = "globex", "t2", "local://globex", []string{"globex-app"}
	}))
	flip := func(b []byte) { b[len(b)/2] ^= 1 }
	for name, raw := range map[string][]byte{
		"empty":           {},
		"cut off":         good[:len(good)/2],
		"no keyset":       []byte(`{"schema":"hipaatenant.dev/keyset/v1"}`),
		"no keys":         edited(t, good, func(k *document.Keyset) { k.Keys = []document.Entry{} }),
		"unknown member":  bytes.Replace(good, []byte(`"keys"`), []byte(`"x":1,"keys"`), 1),
		"twice":           append(bytes.Clone(good), good...),
		"schema":          edited(t, good, func(k *document.Keyset) { k.Schema = "hipaatenant.dev/keyset/v2" }),
		"two primaries":   edited(t, w.rotated(request(), good), func(k *document.Keyset) { k.Keys[0].State, k.Keys[1].State = keyset.Primary, keyset.Primary }),
		"another's":       other,
		"tenant":          edited(t, good, func(k *document.Keyset) { k.Tenant = "globex" }),
		"namespace":       bytes.ReplaceAll(other, []byte("globex-app"), []byte("acme-app")),
		"secret":          bytes.ReplaceAll(good, []byte("hipaa-keyset"), []byte("hipaa-copies")),
		"seal":            edited(t, good, func(k *document.Keyset) { flip(k.Keys[0].Sealed) }),
		"wrapped":         edited(t, good, func(k *document.Keyset) { flip(k.Keys[0].Wrapped) }),
		"swapped names":   edited(t, good, func(k *document.Keyset) { k.Keys[0].Name, k.Keys[1].Name = k.Keys[1].Name, k.Keys[0].Name }),
		"swapped seals":   edited(t, good, func(k *document.Keyset) { k.Keys[0].Sealed, k.Keys[1].Sealed = k.Keys[1].Sealed, k.Keys[0].Sealed }),
		"swapped content": edited(t, good, func(k *document.Keyset) { swapContent(k) }),
		"other cluster":   bytes.ReplaceAll(good, []byte(`\"cluster\":\"c1\"`), []byte(`\"cluster\":\"c2\"`)),
		"version number":  bytes.ReplaceAll(bytes.ReplaceAll(good, []byte(`"version":1,`), []byte(`"version":7,`)), []byte(`\"version\":1}`), []byte(`\"version\":7}`)),
	} {
		t.Run(name, func(t *testing.T) {
			k, err := keyset.Open(t.Context(), raw, w.options())
			if err == nil {
				k.Close()
				t.Fatal("it was taken")
			}
			for _, kek := range w.keks {
				if keyringtest.Reveals(err.Error(), kek) {
					t.Error("the error holds a key")
				}
			}
			if len(err.Error()) > 1500 || strings.ContainsAny(err.Error(), "\n") {
				t.Errorf("%q; expected one line", err)
			}
		})
	}
}

func swapContent(k *document.Keyset) {
	a, b := &k.Keys[0], &k.Keys[1]
	a.Sealed, b.Sealed = b.Sealed, a.Sealed
	a.Wrapped, b.Wrapped = b.Wrapped, a.Wrapped
}

func TestExpectations(t *testing.T) {
	w := newWorld(t)
	raw := w.make(request())
	for name, expect := range map[string]keyset.Identity{
		"cluster":    {Namespace: "acme-app", ClusterUID: "c2"},
		"tenant":     {Namespace: "acme-app", Tenant: "globex"},
		"tenant UID": {Namespace: "acme-app", TenantUID: "t2"},
		"namespace":  {Namespace: "acme-data"},
	} {
		_, err := keyset.Open(t.Context(), raw, keyset.Options{Unwrapper: w, Expect: expect})
		want(t, err, keyset.ErrForeign)
		if err != nil && !strings.Contains(err.Error(), name) {
			t.Errorf("%v; expected it to name the %s", err, name)
		}
	}
	if w.count() > 0 {
		t.Errorf("%d KMS calls for keysets of others", w.count())
	}
	for name, o := range map[string]keyset.Options{
		"Unwrapper":        {Expect: keyset.Identity{Namespace: "acme-app"}},
		"Expect.Namespace": {Unwrapper: w},
	} {
		if _, err := keyset.Open(t.Context(), raw, o); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%v; expected it to ask for %s", err, name)
		}
	}
}

func TestUnwrapOne(t *testing.T) {
	w := newWorld(t)
	raw := edited(t, w.rotated(request(), w.make(request())), func(k *document.Keyset) { k.Keys[0].State = keyset.Retired })
	d, err := keyset.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range d.Entries {
		if key, err := d.Unwrap(t.Context(), w, e.Name, e.Version); err != nil || len(key) != 32 {
			t.Errorf("%s %d %s: %d bytes, error %v", e.Name, e.Version, e.State, len(key), err)
		}
	}
	_, err = d.Unwrap(t.Context(), w, "default", 9)
	want(t, err, keyset.ErrNoKey)
	_, err = d.Unwrap(t.Context(), keyset.ByProvider{"vault": w}, "default", 1)
	if err == nil || !strings.Contains(err.Error(), "vault") {
		t.Errorf("%v; expected it to list the providers there are", err)
	}
	if _, err = d.Unwrap(t.Context(), keyset.ByProvider{"local": w}, "default", 1); err != nil {
		t.Error(err)
	}
}

// Retired keys are not opened, and not to be had.
func TestRetired(t *testing.T) {
	w := newWorld(t)
	raw := edited(t, w.rotated(request(), w.make(request())), func(k *document.Keyset) { k.Keys[0].State = keyset.Retired })
	before := w.count()
	k := w.open(raw)
	if n := w.count() - before; n != 3 {
		t.Errorf("%d KMS calls; expected 3", n)
	}
	_, err := k.Version("default", 1)
	want(t, err, keyset.ErrNoKey)
}

// One old version that does not open keeps nobody from working with the others.
func TestOldVersionDoesNotOpen(t *testing.T) {
	w := newWorld(t)
	away := errors.New("the KMS is away")
	raw := w.rotated(request(), w.make(request()))
	old := func(b document.Binding) error {
		if b.Key == "default" && b.Version == 1 {
			return away
		}
		return nil
	}
	w.failing(old)
	k := w.open(raw)
	_, err := k.Version("default", 1)
	want(t, err, away)
	if _, err := k.Encrypt("default", []byte("x"), nil); err != nil {
		t.Error(err)
	}
	w.failing(nil)
	if err := k.Reload(t.Context(), raw); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Version("default", 1); err != nil {
		t.Errorf("after the KMS came back: %v", err)
	}
	w.failing(func(document.Binding) error { return away })
	_, err = keyset.Open(t.Context(), raw, w.options())
	want(t, err, away)
}

func TestClose(t *testing.T) {
	w := newWorld(t)
	raw := w.make(request())
	k := w.open(raw)
	record, err := k.Encrypt("default", []byte("hello"), nil)
	if err != nil {
		t.Fatal(err)
	}
	held := k.Held("default", 1)
	if bytes.Equal(held, make([]byte, 32)) {
		t.Fatal("no key is held")
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				got, err := k.Decrypt("default", record, nil)
				if errors.Is(err, keyset.ErrClosed) {
					return
				}
				if string(got) != "hello" {
					t.Errorf("%q, error %v while it was closed", got, err)
					return
				}
			}
		})
	}
	k.Close()
	k.Close()
	wg.Wait()
	if !bytes.Equal(held, make([]byte, 32)) {
		t.Error("the key was not cleared")
	}
	_, err = k.Primary("default")
	want(t, err, keyset.ErrClosed)
	want(t, k.Reload(t.Context(), w.rotated(request(), raw)), keyset.ErrClosed)
}

func TestPodNamespace(t *testing.T) {
	t.Setenv("POD_NAMESPACE", "acme-app")
	if ns := keyset.PodNamespace(); ns != "acme-app" {
		t.Errorf("%q; expected what the variable says", ns)
	}
	t.Setenv("POD_NAMESPACE", "")
	if ns := keyset.PodNamespace(); ns != "" {
		t.Errorf("%q; expected nothing outside of a pod", ns)
	}
}

func TestLocalKeysRefuse(t *testing.T) {
	kek := bytes.Repeat([]byte{1}, 32)
	for name, test := range map[string]struct {
		provider, ref string
		kek, wrapped  []byte
	}{
		"other provider": {"vault", "acme", kek, make([]byte, 68)},
		"unknown key":    {"local", "globex", kek, make([]byte, 68)},
		"short key":      {"local", "acme", kek[:31], make([]byte, 68)},
		"short wrapped":  {"local", "acme", kek, make([]byte, 7)},
		"not wrapped":    {"local", "acme", kek, make([]byte, 68)},
	} {
		_, err := localkeys.Unwrapper{"acme": test.kek}.UnwrapKey(t.Context(), test.provider, test.ref, test.wrapped, []byte("b"))
		if err == nil || strings.Contains(err.Error(), base64.StdEncoding.EncodeToString(kek)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
