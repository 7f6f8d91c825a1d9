package keyring

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
)

// Schema is the field "schema" of every keyset document; docs/keyset.md describes it.
const Schema = "hipaatenant.dev/keyset/v1"

// Algorithm is the field "alg" of every entry.
const Algorithm = "AES-256-GCM"

// maxKeyset bounds what is parsed, in bytes: the size limit of a Secret.
const maxKeyset = 1 << 20

// State of one version of a data key.
type State string

const (
	// Primary encrypts and decrypts. Each data key has exactly one.
	Primary State = "Primary"
	// DecryptOnly decrypts what an earlier primary encrypted, or waits to become primary.
	DecryptOnly State = "DecryptOnly"
	// Retired is kept, and must not be used any more.
	Retired State = "Retired"
)

// Keyset is the document in key "keyset.json" of Secret hipaa-keyset: every version of every data key of one tenant,
// sealed for one namespace.
type Keyset struct {
	Schema    string `json:"schema"`
	Tenant    string `json:"tenant"`
	TenantUID string `json:"tenantUID"`
	Namespace string `json:"namespace"`
	// Keys sorted by name, then version.
	Keys []Entry `json:"keys"`
}

// Entry is one version of one data key.
type Entry struct {
	Name          string    `json:"name"`
	Version       int64     `json:"version"`
	State         State     `json:"state"`
	Alg           string    `json:"alg"`
	Provider      string    `json:"provider"`
	KeyRef        string    `json:"keyRef"`
	KMSKeyVersion string    `json:"kmsKeyVersion"`
	CreatedAt     time.Time `json:"createdAt"`
	// Binding in canonical form; its bytes are the additional data of Sealed.
	Binding string `json:"binding"`
	// Sealed is nonce, data key and tag under the wrapping key.
	Sealed []byte `json:"sealed"`
	// Wrapped is the wrapping key as the KMS returned it.
	Wrapped []byte `json:"wrapped"`
}

// id names a version of a data key within a tenant.
type id struct {
	name    string
	version int64
}

func compareIDs(a, b id) int {
	return cmp.Or(cmp.Compare(a.name, b.name), cmp.Compare(a.version, b.version))
}

func (e Entry) id() id { return id{e.Name, e.Version} }

// ref is the key that wrapped this entry.
func (e Entry) ref() (KeyRef, error) { return ParseKeyURI(e.Provider + "://" + e.KeyRef) }

func (k Keyset) find(want id) (Entry, bool) {
	i := slices.IndexFunc(k.Keys, func(e Entry) bool { return e.id() == want })
	if i < 0 {
		return Entry{}, false
	}
	return k.Keys[i], true
}

// encode is deterministic: the same keyset gives the same bytes.
func (k Keyset) encode() []byte {
	slices.SortFunc(k.Keys, func(a, b Entry) int { return compareIDs(a.id(), b.id()) })
	return marshal(k)
}

// parseKeyset reads a document strictly and checks all that can be checked without its owner: the form of each
// field, that a version stands only once, that each data key has exactly one primary. Errors are of kind Foreign.
func parseKeyset(raw []byte) (Keyset, error) {
	var k Keyset
	if len(raw) > maxKeyset {
		return k, malformed("%d bytes long; expected at most %d", len(raw), maxKeyset)
	}
	if err := strictJSON(raw, &k); err != nil {
		// The decoder's text may quote what stands in the document; the place is enough.
		return Keyset{}, malformed("not a JSON document of schema %s", Schema)
	}
	if k.Schema != Schema {
		return Keyset{}, malformed("schema is %s; expected %q", Quote(k.Schema), Schema)
	}
	seen, primaries := map[id]bool{}, map[string]int{}
	for _, e := range k.Keys {
		if err := e.check(); err != nil {
			return Keyset{}, err
		}
		if seen[e.id()] {
			return Keyset{}, malformed("key %s version %d stands twice", e.Name, e.Version)
		}
		seen[e.id()] = true
		if e.State == Primary {
			primaries[e.Name]++
		}
	}
	for _, e := range k.Keys {
		if n := primaries[e.Name]; n != 1 {
			return Keyset{}, malformed("key %s has %d primary versions; expected 1", e.Name, n)
		}
	}
	return k, nil
}

var dnsLabel = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// check looks at the form of one entry.
func (e Entry) check() error {
	if !dnsLabel.MatchString(e.Name) {
		return malformed("a key is named %s; expected a DNS label", Quote(e.Name))
	}
	fail := func(field, want string) error {
		return malformed("key %s version %d: field %s: expected %s", e.Name, e.Version, field, want)
	}
	_, refErr := e.ref()
	switch {
	case e.Version < 1:
		return fail("version", "1 or more")
	case e.State != Primary && e.State != DecryptOnly && e.State != Retired:
		return fail("state", "Primary, DecryptOnly or Retired")
	case e.Alg != Algorithm:
		return fail("alg", Algorithm)
	case refErr != nil:
		return fail("provider and keyRef", "the parts of a key URI")
	case e.CreatedAt.IsZero():
		return fail("createdAt", "a time")
	case len(e.Sealed) != sealedSize:
		return fail("sealed", strconv.Itoa(sealedSize)+" bytes")
	case len(e.Wrapped) == 0 || len(e.Wrapped) > maxWrapped:
		return fail("wrapped", "1 to "+strconv.Itoa(maxWrapped)+" bytes")
	}
	return nil
}

// owner is what the bindings of a namespace's keyset must agree with.
type owner struct {
	clusterUID, tenant, tenantUID, namespace string
}

func (o owner) binding(of id) Binding {
	return Binding{
		ClusterUID: o.clusterUID, Tenant: o.tenant, TenantUID: o.tenantUID, Namespace: o.namespace,
		Secret: v1alpha1.SecretKeyset, Key: of.name, Version: of.version,
	}
}

// belongs checks that the keyset and each of its entries are bound to this owner, under its present UID or one of the
// former ones. Errors are of kind Foreign.
func (k Keyset) belongs(o owner, formerUIDs []string) error {
	if k.TenantUID != o.tenantUID && slices.Contains(formerUIDs, k.TenantUID) {
		o.tenantUID = k.TenantUID
	}
	for _, f := range []struct{ name, want, got string }{
		{"tenant", o.tenant, k.Tenant},
		{"tenant UID", o.tenantUID, k.TenantUID},
		{"namespace", o.namespace, k.Namespace},
	} {
		if f.want != f.got {
			return Errorf(Foreign, "it belongs to another %s: expected %s, found %s; %s", f.name, Quote(f.want), Quote(f.got), leftAlone)
		}
	}
	for _, e := range k.Keys {
		b := o.binding(e.id())
		if e.Binding == string(b.Bytes()) {
			continue
		}
		member, want, got := b.differs(e.Binding)
		return Errorf(Foreign, "key %s version %d is bound to another %s: expected %s, found %s; %s",
			e.Name, e.Version, member, Quote(want), Quote(got), leftAlone)
	}
	return nil
}

// leftAlone ends every message about a foreign keyset.
const leftAlone = "it was left as it is. Restore this namespace's own keyset, or, when nothing is encrypted with this one, delete the Secret"

func malformed(format string, args ...any) error {
	err := Errorf(Foreign, format, args...)
	err.Reason = "malformed keyset: " + err.Reason + "; " + leftAlone
	return err
}

// strictJSON refuses unknown members and anything after the document.
func strictJSON(raw []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more than one JSON value")
	}
	return nil
}

func decimal(n int64) string { return strconv.FormatInt(n, 10) }
