package keyring_test

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/keyringtest"
	"github.com/hipaatenant/hipaa-tenant-operator/test/report"
)

// scene of the crimes: two tenants of one KMS key, acme with namespaces a and b and data keys x and y, each rotated once; what
// stood before the rotation, and in its middle, is in backups.
type scene struct {
	w            *world
	acme, globex *kept
	before       map[string][]byte
	middle       map[string][]byte
}

func newScene(t *testing.T) *scene {
	s := &scene{w: newWorld(t)}
	req := request()
	req.Namespaces, req.DataKeys = []string{"a", "b"}, []string{"x", "y"}
	s.acme = keep(s.w, req)
	req.Tenant, req.TenantUID, req.Namespaces = "globex", "uid-9", []string{"g"}
	s.globex = keep(s.w, req)
	s.globex.settle()
	s.acme.settle()
	s.before = clone(s.acme.req.Keysets)
	for s.acme.shapes(t) != "DPDP DPDP" {
		s.w.clock.SetTime(s.acme.told)
		if err := s.acme.reconcile(); err != nil {
			t.Fatal(err)
		}
		s.middle = clone(s.acme.req.Keysets)
		s.acme.settle()
	}
	return s
}

// entries changes one namespace's keyset, entry by entry.
func (s *scene) entries(ns string, change func(*keyring.Entry)) {
	k := decode(s.w.t, s.acme.req.Keysets[ns])
	for i := range k.Keys {
		change(&k.Keys[i])
	}
	s.acme.req.Keysets[ns] = k.Encode()
}

// states sets the states of the four entries, in each of the namespaces.
func states(letters string, namespaces ...string) func(*scene) {
	return func(s *scene) {
		for _, ns := range namespaces {
			i := 0
			s.entries(ns, func(e *keyring.Entry) {
				e.State = map[byte]keyring.State{'P': keyring.Primary, 'D': keyring.DecryptOnly, 'R': keyring.Retired}[letters[i]]
				i++
			})
		}
	}
}

// pretend rewrites every name in the keyset of a thief's victim.
func pretend(raw []byte, pairs ...string) []byte {
	return []byte(strings.NewReplacer(pairs...).Replace(string(raw)))
}

// TestTampering tries to move, swap, roll back and copy keysets. Each attempt is found: it is refused and left as it is,
// or, where another namespace still holds the newer keyset, put right and told. Some show only when a key is opened: the
// process that made it does so at once, and one that was started since at the tenant's next look.
func TestTampering(t *testing.T) {
	attempts := []struct {
		name    string
		do      func(*scene)
		healed  bool // instead of refused
		opening bool // found when keys are opened
	}{
		{"copy to another namespace", func(s *scene) { s.acme.req.Keysets["b"] = s.acme.req.Keysets["a"] }, false, false},
		{"copy to another namespace, its name rewritten", func(s *scene) {
			s.acme.req.Keysets["b"] = pretend(s.acme.req.Keysets["a"], `"a"`, `"b"`)
		}, false, false},
		{"copy to another namespace, bindings rewritten", func(s *scene) {
			s.acme.req.Keysets["b"] = pretend(s.acme.req.Keysets["a"], `"a"`, `"b"`, `\"a\"`, `\"b\"`)
		}, false, true},
		{"copy from another tenant", func(s *scene) { s.acme.req.Keysets["a"] = s.globex.req.Keysets["g"] }, false, false},
		{"copy from another tenant, bindings rewritten", func(s *scene) {
			forged := pretend(s.globex.req.Keysets["g"], "globex", "acme", "uid-9", "uid-1", `"g"`, `"a"`, `\"g\"`, `\"a\"`)
			s.acme.req.Keysets = map[string][]byte{"a": forged}
			s.acme.req.PrimaryVersions = nil
		}, false, false}, // namespace b lacks a keyset, so that this one is opened
		{"move to another cluster", func(s *scene) { s.acme.req.ClusterUID = "cluster-2" }, false, false},
		{"move to a later tenant of the same name", func(s *scene) { s.acme.req.TenantUID = "uid-2" }, false, false},
		{"swap two data keys", func(s *scene) {
			s.entries("a", func(e *keyring.Entry) { e.Name = map[string]string{"x": "y", "y": "x"}[e.Name] })
		}, false, false},
		{"swap two versions", func(s *scene) {
			s.entries("a", func(e *keyring.Entry) { e.Version = 3 - e.Version })
		}, false, false},
		{"swap what the KMS wrapped between two data keys", func(s *scene) {
			wrapped := decode(s.w.t, s.acme.req.Keysets["a"]).Keys[2].Wrapped
			s.entries("a", func(e *keyring.Entry) { e.Wrapped = wrapped })
		}, false, true},
		{"swap what the KMS wrapped between two tenants", func(s *scene) {
			wrapped := decode(s.w.t, s.globex.req.Keysets["g"]).Keys[0].Wrapped
			s.entries("a", func(e *keyring.Entry) { e.Wrapped = wrapped })
		}, false, true},
		{"swap sealed keys between two namespaces", func(s *scene) {
			other := decode(s.w.t, s.acme.req.Keysets["b"])
			s.entries("a", func(e *keyring.Entry) { f, _ := other.Find(e.ID()); e.Sealed = f.Sealed })
		}, false, true},
		{"swap a data key for one of the thief's, wrapped by the KMS", func(s *scene) {
			s.entries("a", func(e *keyring.Entry) {
				forged, err := s.w.ring.Sealed(s.w.t.Context(), "one://acme", bytes.Repeat([]byte{7}, 32), parseBinding(e.Binding))
				if err != nil {
					s.w.t.Fatal(err)
				}
				e.Sealed, e.Wrapped = forged.Sealed, forged.Wrapped
			})
		}, false, true},
		{"roll back everywhere", func(s *scene) { s.acme.req.Keysets = s.before }, false, false},
		{"roll back everywhere to the middle of the rotation", func(s *scene) { s.acme.req.Keysets = s.middle }, false, false},
		{"roll back one namespace, the other lost", func(s *scene) { s.acme.req.Keysets = map[string][]byte{"a": s.before["a"]} }, false, false},
		{"roll back one namespace", func(s *scene) { s.acme.req.Keysets["a"] = s.before["a"] }, true, false},
		{"roll back the states", states("PDPD", "a", "b"), false, false},
		{"make a retired version primary", states("PRPR", "a", "b"), false, false},
		{"make a retired version primary in one namespace", states("PRDP", "a"), false, false},
		{"two primary versions", states("PPDP", "a"), false, false},
		{"no primary version", states("DDDP", "a"), false, false},
	}
	detected := 0
	for _, tc := range attempts {
		t.Run(tc.name, func(t *testing.T) {
			s := newScene(t)
			tc.do(s)
			req := s.acme.req
			req.Keysets = clone(req.Keysets)
			if tc.opening {
				_, err := s.w.ensure(req)
				keyringtest.Expect(t, err, keyring.Foreign)
				s.w.restart()
				started, err := s.w.ensure(req)
				if err != nil {
					t.Errorf("found by looking alone: %v; the list says it is not", err)
				}
				s.w.clock.SetTime(started.Next)
			}
			out, err := s.w.ensure(req)
			told := slices.ContainsFunc(out.Changes, func(c keyring.Change) bool { return c.Kind == keyring.CaughtUp && c.Namespace == "a" })
			switch {
			case tc.healed && (err != nil || !told || shapeOf(t, out.Keysets["a"]) != "DPDP"):
				t.Errorf("error %v, changes %v; expected the namespace to catch up, and that to be told", err, out.Changes)
			case !tc.healed && keyring.KindOf(err) != keyring.Foreign:
				t.Errorf("error %v; expected Foreign", err)
			case !tc.healed && !asItStands(req.Keysets, out.Keysets):
				t.Errorf("something that stands was changed:\n%s", cmp.Diff(req.Keysets, out.Keysets))
			default:
				detected++
			}
		})
	}
	report.Line("keys: tamper attempted=%d detected=%d", len(attempts), detected)
	if detected != len(attempts) {
		t.Errorf("%d of %d attempts were detected", detected, len(attempts))
	}
}

// asItStands says that the outcome holds nothing but what stands.
func asItStands(standing, out map[string][]byte) bool {
	for ns := range maps.Keys(out) {
		if !bytes.Equal(standing[ns], out[ns]) {
			return false
		}
	}
	return true
}
