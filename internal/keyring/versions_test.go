package keyring_test

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/keyringtest"
)

// shapes a rotation leaves behind in a namespace, one after the other: states of versions 1, 2, 3.
var shapes = []string{"", "P", "PD", "DP", "RP", "DPD", "RDP", "RRP"}

// shaped builds the keyset of a namespace in one of the shapes; nil for "". Version n of the data key is always the
// same 32 bytes.
func (w *world) shaped(ns, shape string) []byte {
	w.t.Helper()
	if shape == "" {
		return nil
	}
	k := keyring.Keyset{Schema: keyring.Schema, Tenant: "acme", TenantUID: "uid-1", Namespace: ns}
	for i, s := range shape {
		b := keyring.Binding{
			ClusterUID: "cluster-1", Tenant: "acme", TenantUID: "uid-1", Namespace: ns,
			Secret: "hipaa-keyset", Key: "default", Version: int64(i + 1),
		}
		e, err := w.ring.Sealed(w.t.Context(), "one://acme", bytes.Repeat([]byte{byte(i + 1)}, 32), b)
		if err != nil {
			w.t.Fatal(err)
		}
		e.State = map[rune]keyring.State{'P': keyring.Primary, 'D': keyring.DecryptOnly, 'R': keyring.Retired}[s]
		e.CreatedAt = start.Add(time.Duration(i) * time.Hour)
		k.Keys = append(k.Keys, e)
	}
	return k.Encode()
}

func shapeOf(t *testing.T, raw []byte) string {
	t.Helper()
	var b strings.Builder
	for _, e := range decode(t, raw).Keys {
		b.WriteByte(e.State[0])
	}
	return b.String()
}

// A write of several namespaces can be interrupted after any of them, and one Secret can be restored from an old backup.
// Every pair of shapes must come together: the furthest version becomes primary, nothing is lost, nothing un-retired.
func TestNamespacesCatchUp(t *testing.T) {
	for _, a := range shapes {
		for _, b := range shapes {
			t.Run(fmt.Sprintf("%q and %q", a, b), func(t *testing.T) {
				w := newWorld(t)
				req := request()
				req.Namespaces = []string{"a", "b"}
				for ns, shape := range map[string]string{"a": a, "b": b} {
					if raw := w.shaped(ns, shape); raw != nil {
						req.Keysets[ns] = raw
					}
				}
				out := w.settle(req)
				want := merged(a, b)
				for ns, raw := range out.Keysets {
					if got := shapeOf(t, raw); got != want {
						t.Errorf("namespace %s: %s; expected %s", ns, got, want)
					}
					if a+b == "" {
						continue
					}
					for name, dek := range w.open(raw) {
						if v := name[len(name)-1] - '0'; dek[0] != v {
							t.Errorf("namespace %s: %s is data key %d", ns, name, dek[0])
						}
					}
				}
				if got, want := out.Keys[0].PrimaryVersion, int64(strings.Index(want, "P")+1); got != want {
					t.Errorf("status says primary %d; expected %d", got, want)
				}
			})
		}
	}
}

// merged states the rule of catching up plainly, one version at a time.
func merged(a, b string) string {
	if a+b == "" {
		return "P"
	}
	primary := max(strings.Index(a, "P"), strings.Index(b, "P"))
	if newest := max(len(a), len(b)) - 1; newest > primary {
		primary = newest // it was staged, and stands everywhere once the namespaces have caught up
	}
	var out []byte
	for i := range max(len(a), len(b)) {
		here := func(s string) byte {
			if i < len(s) {
				return s[i]
			}
			return 0
		}
		switch {
		case i == primary:
			out = append(out, 'P')
		case here(a) == 'R' || here(b) == 'R':
			out = append(out, 'R')
		default:
			out = append(out, 'D')
		}
	}
	return string(out)
}

// Only states differ: no key has to be opened for that.
func TestStatesAreMergedWithoutTheKMS(t *testing.T) {
	w := newWorld(t)
	req := request()
	req.Namespaces = []string{"a", "b"}
	req.Keysets = map[string][]byte{"a": w.shaped("a", "DP"), "b": w.shaped("b", "PD")}
	before := w.callCount()
	out, err := w.ensure(req)
	if err != nil {
		t.Fatal(err)
	}
	if n := w.callCount() - before; n != 0 {
		t.Errorf("%d KMS calls; expected none", n)
	}
	if !bytes.Equal(out.Keysets["a"], req.Keysets["a"]) || shapeOf(t, out.Keysets["b"]) != "DP" {
		t.Errorf("a changed, or b is %s; expected a unchanged and b DP", shapeOf(t, out.Keysets["b"]))
	}
}

// While namespaces differ and the KMS is away, the status tells the furthest primary that stands.
func TestStatusWhileBehind(t *testing.T) {
	for _, shapes := range []map[string]string{{"a": "P", "b": "DP"}, {"a": "DP", "b": "P"}} {
		w := newWorld(t)
		req := request()
		req.Namespaces = []string{"a", "b"}
		for ns, shape := range shapes {
			req.Keysets[ns] = w.shaped(ns, shape)
		}
		w.one.disturb = unreachable
		out, err := w.ensure(req)
		keyringtest.Expect(t, err, keyring.Unreachable)
		if len(out.Keys) != 1 || out.Keys[0].PrimaryVersion != 2 || !out.Keys[0].RotatedAt.Time.Equal(start.Add(time.Hour)) {
			t.Errorf("%v: keys %+v; expected primary 2 and its age", shapes, out.Keys)
		}
	}
}

// An old keyset restored everywhere at once leaves no newer one to compare with; what the status remembers tells.
func TestRollback(t *testing.T) {
	for _, tc := range []struct {
		shape string
		seen  int64
		want  keyring.Kind
	}{
		{"P", 2, keyring.Foreign},
		{"PD", 2, keyring.Foreign},
		{"DP", 2, ""},
		{"RDP", 2, ""},
		{"P", 0, ""},
	} {
		t.Run(fmt.Sprintf("%s after %d", tc.shape, tc.seen), func(t *testing.T) {
			w := newWorld(t)
			req := request()
			req.Namespaces = []string{"a"}
			req.Keysets["a"] = w.shaped("a", tc.shape)
			req.PrimaryVersions = map[string]int64{"default": tc.seen, "unrelated": 9}
			out, err := w.ensure(req)
			if keyring.KindOf(err) != tc.want {
				t.Fatalf("error %v; expected kind %q", err, tc.want)
			}
			if err != nil {
				keyringtest.Expect(t, err, tc.want)
			}
			if diff := cmp.Diff(req.Keysets, out.Keysets); diff != "" {
				t.Errorf("outcome differs from what stands:\n%s", diff)
			}
		})
	}
}

// A key was lost everywhere and made anew; then a backup with the lost one turns up. Its entry can be put beside the new
// one, because each entry is bound by itself and the new one has another number.
func TestEntryFromBackup(t *testing.T) {
	w := newWorld(t)
	backup := w.settle(request())
	req := request()
	req.PrimaryVersions = map[string]int64{"default": 1}
	lost := w.settle(req)
	k := decode(t, lost.Keysets["acme-app"])
	old := decode(t, backup.Keysets["acme-app"]).Keys[0]
	old.State = keyring.DecryptOnly
	k.Keys = append(k.Keys, old)
	req.Keysets = map[string][]byte{"acme-app": k.Encode()}
	req.PrimaryVersions["default"] = 2
	req.Namespaces = append(req.Namespaces, "acme-data")
	out := w.settle(req)
	got := w.open(out.Keysets["acme-data"])
	want := map[string][]byte{
		"default/1": w.open(backup.Keysets["acme-app"])["default/1"],
		"default/2": w.open(lost.Keysets["acme-app"])["default/2"],
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("data keys (-want +got):\n%s", diff)
	}
}

// Whatever the KMS does, at whichever call: nothing is changed, and once it answers again the tenant is completed
// with the data keys it had.
func TestEveryCallMayFail(t *testing.T) {
	kinds := map[string]error{
		"unreachable": keyring.Errorf(keyring.Unreachable, "away"),
		"refused":     keyring.Errorf(keyring.Refused, "no"),
	}
	for name, failure := range kinds {
		for n := range 10 {
			t.Run(fmt.Sprintf("%s at call %d", name, n), func(t *testing.T) {
				w := newWorld(t)
				req := request()
				req.Namespaces, req.DataKeys = []string{"a", "b"}, []string{"x", "y"}
				settled := w.settle(req)
				keys := w.open(settled.Keysets["a"])
				req = with(req, settled)
				req.Namespaces, req.KeyURI, req.TenantUID, req.FormerUIDs = []string{"a", "b", "c"}, "two://acme", "uid-2", []string{"uid-1"}

				left := n
				fail := failOnce(&left, failure)
				w.one.disturb, w.two.disturb = fail, fail
				out, err := w.ensure(req)
				keyringtest.Expect(t, err, keyring.KindOf(failure))
				if diff := cmp.Diff(settled.Keysets, out.Keysets); diff != "" {
					t.Errorf("outcome differs from what stands:\n%s", diff)
				}
				if diff := cmp.Diff(settled.Keys, out.Keys, cmpopts.IgnoreFields(v1alpha1.KeyStatus{}, "NextRotation")); diff != "" {
					t.Errorf("keys differ from what stands:\n%s", diff)
				}
				w.cleared()
				w.one.disturb, w.two.disturb = nil, nil
				done := w.settle(req)
				if got := slices.Sorted(maps.Keys(done.Keysets)); !slices.Equal(got, req.Namespaces) {
					t.Errorf("keysets for %v", got)
				}
				if diff := cmp.Diff(keys, w.open(done.Keysets["c"])); diff != "" {
					t.Errorf("the new namespace has other data keys:\n%s", diff)
				}
			})
		}
	}
}
