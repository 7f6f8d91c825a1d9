package keyring_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring"
)

func TestCreate(t *testing.T) {
	w := newWorld(t)
	req := request()
	req.DataKeys = []string{"records", "default"}
	req.Namespaces = []string{"acme-data", "acme-app"}
	out := w.settle(req)

	entry := func(ns, name string) keyring.Entry {
		return keyring.Entry{
			Name: name, Version: 1, State: "Primary", Alg: "AES-256-GCM", Provider: "one", KeyRef: "acme", CreatedAt: start,
			Binding: `{"cluster":"cluster-1","key":"` + name + `","namespace":"` + ns +
				`","secret":"hipaa-keyset","tenant":"acme","tenantUID":"uid-1","v":1,"version":1}`,
		}
	}
	for _, ns := range req.Namespaces {
		want := keyring.Keyset{
			Schema: "hipaatenant.dev/keyset/v1", Tenant: "acme", TenantUID: "uid-1", Namespace: ns,
			Keys: []keyring.Entry{entry(ns, "default"), entry(ns, "records")},
		}
		got := decode(t, out.Keysets[ns])
		if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(keyring.Entry{}, "Sealed", "Wrapped", "KMSKeyVersion")); diff != "" {
			t.Errorf("keyset of %s (-want +got):\n%s", ns, diff)
		}
	}

	keys := w.open(out.Keysets["acme-app"])
	if cmp.Equal(keys["default/1"], keys["records/1"]) || len(keys["default/1"]) != 32 {
		t.Error("expected two different data keys of 32 bytes")
	}
	status := func(name string) v1alpha1.KeyStatus {
		return v1alpha1.KeyStatus{
			Name: name, Provider: "one", KeyRef: "acme", PrimaryVersion: 1, Assurance: "SoftwareKey",
			RotatedAt:     metav1.NewTime(start),
			KMSKeyVersion: decode(t, out.Keysets["acme-app"]).Keys[0].KMSKeyVersion,
		}
	}
	if diff := cmp.Diff([]v1alpha1.KeyStatus{status("default"), status("records")}, out.Keys, cmpopts.IgnoreFields(v1alpha1.KeyStatus{}, "NextRotation")); diff != "" {
		t.Errorf("keys (-want +got):\n%s", diff)
	}
	if out.Keys[0].KMSKeyVersion == "" {
		t.Error("the version of the KMS key is missing")
	}
}

// Two tenants never share a data key, and neither do two tenants of the same name, one after the other.
func TestDataKeysAreNeverShared(t *testing.T) {
	w := newWorld(t)
	seen := map[string]bool{}
	for _, uid := range []string{"uid-1", "uid-2", "uid-3"} {
		req := request()
		req.TenantUID = uid
		seen[string(w.open(w.settle(req).Keysets["acme-app"])["default/1"])] = true
	}
	if len(seen) != 3 {
		t.Errorf("%d different data keys for 3 tenants", len(seen))
	}
}

// A restart must be quiet, also with a dead KMS, whatever order names come in.
func TestUnchangedTenantAsksNobody(t *testing.T) {
	w := newWorld(t)
	req := request()
	req.DataKeys, req.Namespaces = []string{"a", "b"}, []string{"acme-app", "acme-data"}
	out := w.settle(req)

	calls := w.callCount()
	w.one.disturb, w.two.disturb = unreachable, unreachable
	w.restart()
	w.clock.SetTime(start.Add(40 * 24 * time.Hour))
	req = with(req, out)
	req.DataKeys, req.Namespaces = []string{"b", "a", "b"}, []string{"acme-data", "acme-app", "acme-data"}
	req.KeyURI += "?scope=tenant"
	again, err := w.ensure(req)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(out, again, cmpopts.IgnoreFields(keyring.Outcome{}, "Next", "Key")); diff != "" {
		t.Errorf("the outcome changed:\n%s", diff)
	}
	if n := w.callCount() - calls; n != 0 {
		t.Errorf("%d KMS calls; expected none", n)
	}
}

// A keyset somebody formatted by hand is the same keyset.
func TestFormattingIsKept(t *testing.T) {
	w := newWorld(t)
	out := w.settle(request())
	req := with(request(), out)
	req.Keysets["acme-app"] = append(append([]byte(" \n"), req.Keysets["acme-app"]...), '\n')
	again := w.settle(req)
	if diff := cmp.Diff(req.Keysets, again.Keysets); diff != "" {
		t.Errorf("the bytes changed:\n%s", diff)
	}
}

// Each row changes what a settled tenant with namespaces a, b and data keys x, y wants or has. Whatever happens, data
// keys that existed are kept. changed lists the namespaces whose bytes must differ afterwards.
func TestConverges(t *testing.T) {
	for _, tc := range []struct {
		name    string
		change  func(w *world, req *keyring.Request)
		changed []string
		calls   int
	}{
		{"nothing", func(*world, *keyring.Request) {}, nil, 0},
		// Two keys: describe once, then open both copies of each and wrap one new one.
		{"new namespace", func(_ *world, r *keyring.Request) { r.Namespaces = append(r.Namespaces, "c") }, []string{"c"}, 1 + 2*(2+1)},
		{"keyset lost in one namespace", func(_ *world, r *keyring.Request) { delete(r.Keysets, "b") }, []string{"b"}, 1 + 2*(1+1)},
		{"new data key", func(_ *world, r *keyring.Request) { r.DataKeys = append(r.DataKeys, "z") }, []string{"a", "b"}, 1 + 2},
		{"data key no longer listed", func(_ *world, r *keyring.Request) { r.DataKeys = []string{"x"} }, nil, 0},
		{"namespace given up", func(_ *world, r *keyring.Request) { r.Namespaces = []string{"a"} }, nil, 0},
		{"moved to another namespace", func(_ *world, r *keyring.Request) { r.Namespaces = []string{"c"} }, []string{"c"}, 1 + 2*(2+1)},
		{"created again", func(_ *world, r *keyring.Request) {
			r.TenantUID, r.FormerUIDs = "uid-2", []string{"uid-0", "uid-1"}
		}, []string{"a", "b"}, 1 + 2*(2+2)},
		{"created again with one of its namespaces", func(_ *world, r *keyring.Request) {
			r.TenantUID, r.FormerUIDs, r.Namespaces = "uid-2", []string{"uid-1"}, []string{"b"}
		}, []string{"b"}, 1 + 2*(2+1)},
		{"created again, taking over interrupted", func(w *world, r *keyring.Request) {
			r.TenantUID, r.FormerUIDs = "uid-2", []string{"uid-1"}
			half, err := w.ensure(*r)
			if err != nil {
				w.t.Fatal(err)
			}
			r.Keysets["a"] = half.Keysets["a"]
		}, []string{"b"}, 1 + 2*(2+1)},
		{"another key", func(_ *world, r *keyring.Request) { r.KeyURI = "one://acme-2" }, []string{"a", "b"}, 1 + 2*(2+2)},
		{"another KMS", func(_ *world, r *keyring.Request) { r.KeyURI = "two://acme" }, []string{"a", "b"}, 1 + 2*(2+2)},
		{"another KMS, interrupted", func(w *world, r *keyring.Request) {
			r.KeyURI = "two://acme"
			half, err := w.ensure(*r)
			if err != nil {
				w.t.Fatal(err)
			}
			r.Keysets["a"] = half.Keysets["a"]
		}, []string{"b"}, 1 + 2*(2+1)},
		{"another KMS, another UID, another namespace, another key at once", func(_ *world, r *keyring.Request) {
			r.KeyURI, r.TenantUID, r.FormerUIDs = "two://acme", "uid-2", []string{"uid-1"}
			r.Namespaces, r.DataKeys = []string{"b", "c"}, []string{"x", "z"}
		}, []string{"b", "c"}, 1 + 2*(2+2) + 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t)
			req := request()
			req.Namespaces, req.DataKeys = []string{"a", "b"}, []string{"x", "y"}
			settled := w.settle(req)
			keys := w.open(settled.Keysets["a"])
			req = with(req, settled)
			tc.change(w, &req)
			w.clock.SetTime(start.Add(10 * time.Minute))

			before := w.callCount()
			out, err := w.ensure(req)
			if err != nil {
				t.Fatal(err)
			}
			if n := w.callCount() - before; n != tc.calls {
				t.Errorf("%d KMS calls; expected %d", n, tc.calls)
			}
			var changed []string
			for ns, raw := range out.Keysets {
				if !cmp.Equal(raw, req.Keysets[ns]) {
					changed = append(changed, ns)
				}
			}
			slices.Sort(changed)
			if diff := cmp.Diff(tc.changed, changed); diff != "" {
				t.Errorf("changed namespaces (-want +got):\n%s", diff)
			}
			for ns, raw := range w.settle(with(req, out)).Keysets {
				got := w.open(raw)
				for name, dek := range keys {
					if !cmp.Equal(dek, got[name]) {
						t.Errorf("namespace %s lost data key %s", ns, name)
					}
				}
			}
		})
	}
}

// A data key keeps its age when its envelope is made anew: rotation counts from when the key was made.
func TestAgeOutlivesTheEnvelope(t *testing.T) {
	w := newWorld(t)
	req := with(request(), w.settle(request()))
	w.clock.SetTime(start.Add(30 * 24 * time.Hour))
	req.KeyURI = "two://acme"
	req.DataKeys = []string{"default", "later"}
	out := w.settle(req)
	got := map[string]time.Time{}
	for _, k := range out.Keys {
		got[k.Name] = k.RotatedAt.Time
		due := k.NextRotation.Sub(k.RotatedAt.Time)
		if k.Provider != "two" || due > req.RotationPeriod || due < req.RotationPeriod*9/10 {
			t.Errorf("%+v; expected provider two, due in the last tenth of the period after it was made", k)
		}
	}
	want := map[string]time.Time{"default": start, "later": start.Add(30 * 24 * time.Hour)}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("ages (-want +got):\n%s", diff)
	}
}

// A key lost in every namespace gets a new number: data encrypted with the lost one must not seem to be damaged.
func TestLostKeyIsNotImpersonated(t *testing.T) {
	w := newWorld(t)
	req := request()
	req.PrimaryVersions = map[string]int64{"default": 3}
	first, err := w.ensure(req)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]keyring.Change{{Kind: keyring.Lost, Key: "default", From: "3", To: "4"}}, first.Changes); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
	out := w.settle(with(req, first))
	if v := out.Keys[0].PrimaryVersion; v != 4 {
		t.Errorf("primary version %d; expected 4, the next after the one that was seen", v)
	}
	req.PrimaryVersions["default"] = 4
	w.settle(with(req, out))
}

func TestOneScopeMeansOneKey(t *testing.T) {
	w := newWorld(t)
	req := request()
	req.KeyURI = "one://acme?scope=tenant"
	out := w.settle(req)
	if ref := out.Keys[0].KeyRef; ref != "acme" {
		t.Errorf("keyRef %q; expected acme: scope is no part of a key's name", ref)
	}
}
