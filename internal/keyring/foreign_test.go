package keyring_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/keyringtest"
)

// edit changes a keyset as JSON.
func edit(change func(doc map[string]any, first map[string]any)) func(*world, []byte) []byte {
	return func(w *world, raw []byte) []byte {
		doc := map[string]any{}
		if err := json.Unmarshal(raw, &doc); err != nil {
			w.t.Fatal(err)
		}
		change(doc, doc["keys"].([]any)[0].(map[string]any))
		out, err := json.Marshal(doc)
		if err != nil {
			w.t.Fatal(err)
		}
		return out
	}
}

// set changes one field of the first entry.
func set(field string, value any) func(*world, []byte) []byte {
	return edit(func(_, first map[string]any) { first[field] = value })
}

// of is the keyset of namespace b of another tenant, changed in one respect.
func of(change func(*keyring.Request)) func(*world, []byte) []byte {
	return func(w *world, _ []byte) []byte {
		req := request()
		req.Namespaces, req.DataKeys = []string{"b"}, []string{"x", "y"}
		change(&req)
		out, err := w.ensure(req)
		if err != nil {
			w.t.Fatal(err)
		}
		return out.Keysets[req.Namespaces[0]]
	}
}

// What must never be overwritten, recognised by looking at it alone.
func TestForeignByForm(t *testing.T) {
	for _, tc := range []struct {
		name string
		make func(w *world, raw []byte) []byte
		say  string
	}{
		{"other cluster", of(func(r *keyring.Request) { r.ClusterUID = "cluster-2" }), "another cluster"},
		{"other tenant", of(func(r *keyring.Request) { r.Tenant = "globex" }), "another tenant: expected \"acme\", found \"globex\""},
		{"other UID", of(func(r *keyring.Request) { r.TenantUID = "uid-9" }), "another tenant UID"},
		{"copied from another namespace", of(func(r *keyring.Request) { r.Namespaces = []string{"a"} }), "another namespace: expected \"b\", found \"a\""},
		{"copied, header rewritten", func(w *world, raw []byte) []byte {
			other := of(func(r *keyring.Request) { r.Namespaces = []string{"a"} })(w, nil)
			return edit(func(doc, _ map[string]any) { doc["namespace"] = "b" })(w, other)
		}, "bound to another namespace"},
		{"copied from another tenant, header rewritten", func(w *world, _ []byte) []byte {
			other := of(func(r *keyring.Request) { r.Tenant, r.TenantUID = "globex", "uid-9" })(w, nil)
			return edit(func(doc, _ map[string]any) { doc["tenant"], doc["tenantUID"] = "acme", "uid-1" })(w, other)
		}, "bound to another tenant"},
		{"header alone rewritten", edit(func(doc, _ map[string]any) { doc["namespace"] = "a" }), "belongs to another namespace"},
		{"no keys, of another tenant", edit(func(doc, _ map[string]any) { doc["tenant"], doc["keys"] = "globex", []any{} }), "belongs to another tenant"},
		{"no keys, of an unknown UID", edit(func(doc, _ map[string]any) { doc["tenantUID"], doc["keys"] = "uid-9", []any{} }), "belongs to another tenant UID"},
		{"key renamed", set("name", "z"), "bound to another key name"},
		{"version changed", set("version", 2), "bound to another key version"},
		{"other secret", edit(func(_, first map[string]any) {
			first["binding"] = strings.Replace(first["binding"].(string), "hipaa-keyset", "hipaa-keyset-2", 1)
		}), "bound to another secret"},
		{"binding in another form", edit(func(_, first map[string]any) {
			first["binding"] = strings.Replace(first["binding"].(string), ",", ", ", 1)
		}), "bound to another form"},
		{"binding no JSON", set("binding", "acme"), "bound to another form"},
		{"empty", func(*world, []byte) []byte { return []byte{} }, "malformed"},
		{"cut off", func(_ *world, raw []byte) []byte { return raw[:len(raw)/2] }, "malformed"},
		{"two documents", func(_ *world, raw []byte) []byte { return append(raw, raw...) }, "malformed"},
		{"too long", func(_ *world, raw []byte) []byte { return append(raw, bytes.Repeat([]byte(" "), 1<<20)...) }, "at most 1048576"},
		{"unknown field", edit(func(doc, _ map[string]any) { doc["extra"] = true }), "malformed"},
		{"later schema", edit(func(doc, _ map[string]any) { doc["schema"] = "hipaatenant.dev/keyset/v2" }), "keyset/v2"},
		{"null", func(*world, []byte) []byte { return []byte("null") }, "schema"},
		{"key twice", edit(func(doc, first map[string]any) { doc["keys"] = append(doc["keys"].([]any), first) }), "stands twice"},
		{"no primary", set("state", "DecryptOnly"), "0 primary versions"},
		{"unknown state", set("state", "Lost"), "field state"},
		{"version 0", set("version", 0), "field version"},
		{"name no label", set("name", "X/y"), "DNS label"},
		{"other algorithm", set("alg", "AES-128-CBC"), "field alg"},
		{"no time", set("createdAt", "0001-01-01T00:00:00Z"), "field createdAt"},
		{"time no time", set("createdAt", "yesterday"), "malformed"},
		{"sealed too short", set("sealed", "AAAA"), "field sealed"},
		{"wrapped empty", set("wrapped", ""), "field wrapped"},
		{"wrapped too long", set("wrapped", strings.Repeat("A", 1<<15)), "field wrapped"},
		{"wrapped not base64", set("wrapped", "!"), "malformed"},
		{"provider no scheme", set("provider", "One Two"), "field provider"},
		{"keyRef with dots", set("keyRef", "a/../b"), "field provider"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t)
			req := request()
			req.Namespaces, req.DataKeys = []string{"a", "b"}, []string{"x", "y"}
			out := w.settle(req)
			req = with(req, out)
			req.Keysets["b"] = tc.make(w, req.Keysets["b"])
			// There is work to do as well, and none of it may be done.
			req.Namespaces = append(req.Namespaces, "c")
			refused(w, req, tc.say, "b")
		})
	}
}

// refused expects Foreign, nothing wrapped, and an outcome of what is sound: everything that stands but the foreign
// keyset, untouched.
func refused(w *world, req keyring.Request, say, foreign string) {
	w.t.Helper()
	before := len(w.one.calls)
	out, err := w.ensure(req)
	keyringtest.Expect(w.t, err, keyring.Foreign)
	if err != nil && (!strings.Contains(err.Error(), say) || !strings.Contains(err.Error(), "left as it is")) {
		w.t.Errorf("%v; expected it to say %q and that nothing was touched", err, say)
	}
	for _, call := range w.one.calls[before:] {
		if strings.HasPrefix(call, "Wrap") {
			w.t.Error("a key was wrapped; expected nothing to be made")
		}
	}
	want := clone(req.Keysets)
	delete(want, foreign)
	if diff := cmp.Diff(want, out.Keysets); diff != "" {
		w.t.Errorf("outcome (-want +got):\n%s", diff)
	}
	if len(out.Keys) == 0 {
		w.t.Error("no keys; expected those of the keysets that are sound")
	}
}

// Damage that shows only when a keyset is opened. It is found as soon as something has to be made from it.
func TestForeignByContent(t *testing.T) {
	swap := func(field string) func(w *world, b, other []byte) []byte {
		return func(w *world, b, other []byte) []byte {
			doc := decode(w.t, other)
			value := map[string][]byte{"wrapped": doc.Keys[0].Wrapped, "sealed": doc.Keys[0].Sealed}[field]
			return set(field, value)(w, b)
		}
	}
	for _, tc := range []struct {
		name   string
		damage func(w *world, b, other []byte) []byte
		say    string
	}{
		{"wrapped of another tenant", swap("wrapped"), "does not open"},
		{"sealed of another tenant", swap("sealed"), "does not open"},
		{"both of another tenant", func(w *world, b, other []byte) []byte {
			return swap("sealed")(w, swap("wrapped")(w, b, other), other)
		}, "does not open"},
		{"wrapped of another key", func(w *world, b, _ []byte) []byte {
			return set("wrapped", decode(w.t, b).Keys[1].Wrapped)(w, b)
		}, "does not open"},
		{"bit flipped in sealed", func(w *world, b, _ []byte) []byte {
			sealed := decode(w.t, b).Keys[0].Sealed
			sealed[20] ^= 1
			return set("sealed", sealed)(w, b)
		}, "does not open"},
		{"another data key under the same name and version", func(w *world, b, _ []byte) []byte {
			k := decode(w.t, b)
			e, err := w.ring.Sealed(w.t.Context(), "one://acme", bytes.Repeat([]byte{4}, 32), parseBinding(k.Keys[0].Binding))
			if err != nil {
				w.t.Fatal(err)
			}
			k.Keys[0].Sealed, k.Keys[0].Wrapped = e.Sealed, e.Wrapped
			return k.Encode()
		}, "another key than in namespace a"},
		{"wrapping key of another size", func(w *world, b, _ []byte) []byte {
			k := decode(w.t, b)
			wrapped, _, err := w.one.versioned.Wrap(w.t.Context(), keyringtest.Ref(w.t, "one://acme"), make([]byte, 16), parseBinding(k.Keys[0].Binding))
			if err != nil {
				w.t.Fatal(err)
			}
			return set("wrapped", wrapped)(w, b)
		}, "16 bytes"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t)
			req := request()
			req.Namespaces, req.DataKeys = []string{"a", "b"}, []string{"x", "y"}
			out := w.settle(req)
			other := of(func(r *keyring.Request) { r.Tenant, r.TenantUID, r.KeyURI = "globex", "uid-9", "one://globex" })(w, nil)
			req = with(req, out)
			req.Keysets["b"] = tc.damage(w, req.Keysets["b"], other)
			for _, work := range []struct {
				name   string
				change func(*keyring.Request)
			}{
				{"new namespace", func(r *keyring.Request) { r.Namespaces = append(slices.Clone(r.Namespaces), "c") }},
				{"created again", func(r *keyring.Request) { r.TenantUID, r.FormerUIDs = "uid-2", []string{"uid-1"} }},
				{"another key", func(r *keyring.Request) { r.KeyURI = "two://acme" }},
			} {
				t.Run(work.name, func(t *testing.T) {
					req := req
					work.change(&req)
					out, err := w.ensure(req)
					keyringtest.Expect(t, err, keyring.Foreign)
					if err != nil && (!strings.Contains(err.Error(), tc.say) || !strings.Contains(err.Error(), "b/hipaa-keyset")) {
						t.Errorf("%v; expected it to name b/hipaa-keyset and to say %q", err, tc.say)
					}
					if diff := cmp.Diff(req.Keysets, out.Keysets); diff != "" {
						t.Errorf("outcome differs from what stands:\n%s", diff)
					}
					w.cleared()
				})
			}
		})
	}
}

// A tenant created again takes over only what its tombstones vouch for.
func TestFormerUIDsVouch(t *testing.T) {
	w := newWorld(t)
	out := w.settle(request())
	req := with(request(), out)
	req.TenantUID = "uid-2"
	for name, former := range map[string][]string{"none": nil, "others": {"uid-0", "uid-7"}} {
		t.Run(name, func(t *testing.T) {
			req := req
			req.FormerUIDs = former
			_, err := w.ensure(req)
			keyringtest.Expect(t, err, keyring.Foreign)
		})
	}
	t.Run("another cluster's former UID", func(t *testing.T) {
		req := req
		req.FormerUIDs, req.ClusterUID = []string{"uid-1"}, "cluster-2"
		_, err := w.ensure(req)
		keyringtest.Expect(t, err, keyring.Foreign)
	})
}

// A keyset outside the wanted namespaces is a source, and checked like one.
func TestForeignSource(t *testing.T) {
	w := newWorld(t)
	req := with(request(), w.settle(request()))
	req.Keysets["given-up"] = []byte("{}")
	refused(w, req, "given-up/hipaa-keyset", "given-up")
}
