package keyset_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/document"
	"github.com/hipaatenant/hipaa-tenant-operator/pkg/keyset"
)

// A rotation needs nothing of the application.
func TestRotation(t *testing.T) {
	w := newWorld(t)
	first := w.make(request())
	k := w.open(first)
	record, err := k.Encrypt("records", []byte("hello"), []byte("row"))
	if err != nil {
		t.Fatal(err)
	}
	second := w.rotated(request(), first)
	calls := w.count()
	if err := k.Reload(t.Context(), second); err != nil {
		t.Fatal(err)
	}
	if n := w.count() - calls; n != 2 {
		t.Errorf("%d KMS calls; expected one for each new version", n)
	}
	if got, err := k.Decrypt("records", record, []byte("row")); string(got) != "hello" {
		t.Errorf("%q, error %v: what the version before encrypted does not open", got, err)
	}
	record, err = k.Encrypt("records", []byte("hello"), nil)
	if version, _ := keyset.RecordVersion(record); err != nil || version != 2 {
		t.Errorf("encrypted with version %d, error %v; expected 2", version, err)
	}
	held := k.Held("records", 1)
	retired := edited(t, second, func(d *document.Keyset) { d.Keys[2].State = keyset.Retired })
	if err := k.Reload(t.Context(), retired); err != nil {
		t.Fatal(err)
	}
	_, err = k.Version("records", 1)
	want(t, err, keyset.ErrNoKey)
	if !bytes.Equal(held, make([]byte, 32)) {
		t.Error("the retired key was not cleared")
	}
}

// The last good keys stay, whatever comes.
func TestReloadRefuses(t *testing.T) {
	w := newWorld(t)
	first := w.make(request())
	second := w.rotated(request(), first)
	again := func(change func(*keyring.Request)) []byte { return w.make(replaced(request(), change)) }
	for name, raw := range map[string][]byte{
		"rolled back":         first,
		"malformed":           []byte("{}"),
		"another namespace's": again(func(r *keyring.Request) { r.Namespaces = []string{"acme-data"} }),
		"another tenant's":    again(func(r *keyring.Request) { r.Tenant = "globex" }),
		"another cluster's":   again(func(r *keyring.Request) { r.ClusterUID = "c2" }),
		"a later tenant's":    w.rotated(replaced(request(), func(r *keyring.Request) { r.TenantUID = "t2" }), again(func(r *keyring.Request) { r.TenantUID = "t2" })),
		"a stranger's": again(func(r *keyring.Request) {
			r.TenantUID = "t3"
			r.PrimaryVersions = map[string]int64{"default": 6, "records": 6}
		}),
		"a data key is gone":    edited(t, second, func(k *document.Keyset) { k.Keys = k.Keys[:2] }),
		"same number other key": w.rotated(request(), again(func(*keyring.Request) {})),
	} {
		t.Run(name, func(t *testing.T) {
			k := w.open(second)
			before, err := k.Primary("default")
			if err != nil {
				t.Fatal(err)
			}
			want(t, k.Reload(t.Context(), raw), keyset.ErrForeign)
			after, err := k.Primary("default")
			if err != nil || after.Version != 2 || !bytes.Equal(before.Bytes, after.Bytes) {
				t.Errorf("version %d, error %v; expected the key of before", after.Version, err)
			}
			if id := k.Identity(); id.TenantUID != "t1" {
				t.Errorf("identity %+v", id)
			}
		})
	}
}

// What the operator does to a keyset in the course of its life is taken.
func TestReloadTakes(t *testing.T) {
	w := newWorld(t)
	req := request()
	first := w.make(req)
	moved := replaced(req, func(r *keyring.Request) {
		r.KeyURI, r.Keysets = "local://acme-2", map[string][]byte{"acme-app": first}
	})
	recreated := replaced(req, func(r *keyring.Request) {
		r.TenantUID, r.FormerUIDs, r.Keysets = "t2", []string{"t1"}, map[string][]byte{"acme-app": first}
	})
	lost := replaced(req, func(r *keyring.Request) { r.PrimaryVersions = map[string]int64{"default": 1, "records": 1} })
	for name, raw := range map[string][]byte{
		"the same":                               first,
		"wrapped by another KMS key":             w.make(moved),
		"taken over by the tenant created again": w.make(recreated),
		"the old version lost":                   w.make(lost),
	} {
		t.Run(name, func(t *testing.T) {
			k := w.open(first)
			record, err := k.Encrypt("default", []byte("hello"), nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := k.Reload(t.Context(), raw); err != nil {
				t.Fatal(err)
			}
			if got, err := k.Decrypt("default", record, nil); string(got) != "hello" {
				t.Errorf("%q, error %v; expected what was encrypted before to open", got, err)
			}
		})
	}
	t.Run("but not past a pinned UID", func(t *testing.T) {
		o := w.options()
		o.Expect.TenantUID = "t1"
		k, err := keyset.Open(t.Context(), first, o)
		if err != nil {
			t.Fatal(err)
		}
		defer k.Close()
		want(t, k.Reload(t.Context(), w.make(recreated)), keyset.ErrForeign)
	})
}

// A KMS that is away when the keyset changes costs nothing but the change.
func TestReloadWithoutKMS(t *testing.T) {
	w := newWorld(t)
	first := w.make(request())
	k := w.open(first)
	away := errors.New("the KMS is away")
	w.failing(func(document.Binding) error { return away })
	want(t, k.Reload(t.Context(), w.rotated(request(), first)), away)
	if key, err := k.Primary("default"); err != nil || key.Version != 1 {
		t.Errorf("version %d, error %v", key.Version, err)
	}
}
