// Package document is the keyset document, its bindings and its key references: what the operator writes and what
// applications read. It asks no KMS, and needs the standard library alone, so that an application gets nothing with it.
package document

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"time"
)

// Schema is the field "schema" of every keyset document; docs/keyset.md describes it.
const Schema = "hipaatenant.dev/keyset/v1"

// Algorithm is the field "alg" of every entry.
const Algorithm = "AES-256-GCM"

// SecretName is the Secret a keyset stands in, and part of every binding; Key is the document's name in it.
const (
	SecretName = "hipaa-keyset"
	Key        = "keyset.json"
)

const (
	// KeySize of data keys and wrapping keys, in bytes: AES-256.
	KeySize = 32
	// sealedSize is nonce (12) + data key + tag (16).
	sealedSize = 12 + KeySize + 16
	// MaxWrapped bounds what a KMS may return for 32 bytes; the largest known is an RSA-4096 block of 512.
	MaxWrapped = 16 << 10
)

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

// ID names a version of a data key within a tenant.
type ID struct {
	Name    string
	Version int64
}

// Compare orders by name, then version.
func (a ID) Compare(b ID) int {
	return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Version, b.Version))
}

// ID of the entry.
func (e Entry) ID() ID { return ID{e.Name, e.Version} }

// Ref is the key that wrapped this entry.
func (e Entry) Ref() (KeyRef, error) { return ParseKeyURI(e.Provider + "://" + e.KeyRef) }

// Find returns the entry of a version.
func (k Keyset) Find(want ID) (Entry, bool) {
	i := slices.IndexFunc(k.Keys, func(e Entry) bool { return e.ID() == want })
	if i < 0 {
		return Entry{}, false
	}
	return k.Keys[i], true
}

// Encode is deterministic: the same keyset gives the same bytes.
func (k Keyset) Encode() []byte {
	slices.SortFunc(k.Keys, func(a, b Entry) int { return a.ID().Compare(b.ID()) })
	return marshal(k)
}

// Parse reads a document strictly and checks all that can be checked without its owner: the form of each
// field, that a version stands only once, that each data key has exactly one primary.
func Parse(raw []byte) (Keyset, error) {
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
	seen, primaries := map[ID]bool{}, map[string]int{}
	for _, e := range k.Keys {
		if err := e.check(); err != nil {
			return Keyset{}, err
		}
		if seen[e.ID()] {
			return Keyset{}, malformed("key %s version %d stands twice", e.Name, e.Version)
		}
		seen[e.ID()] = true
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

// DNSLabel matches names of data keys and namespaces.
var DNSLabel = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// check looks at the form of one entry.
func (e Entry) check() error {
	if !DNSLabel.MatchString(e.Name) {
		return malformed("a key is named %s; expected a DNS label", Quote(e.Name))
	}
	fail := func(field, want string) error {
		return malformed("key %s version %d: field %s: expected %s", e.Name, e.Version, field, want)
	}
	_, refErr := e.Ref()
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
	case len(e.Wrapped) == 0 || len(e.Wrapped) > MaxWrapped:
		return fail("wrapped", "1 to "+strconv.Itoa(MaxWrapped)+" bytes")
	}
	return nil
}

// Owner is what the bindings of a namespace's keyset must agree with.
type Owner struct {
	ClusterUID, Tenant, TenantUID, Namespace string
}

// Binding of one version of a data key in the owner's keyset.
func (o Owner) Binding(of ID) Binding {
	return Binding{
		ClusterUID: o.ClusterUID, Tenant: o.Tenant, TenantUID: o.TenantUID, Namespace: o.Namespace,
		Secret: SecretName, Key: of.Name, Version: of.Version,
	}
}

// Owner is whom the keyset says it belongs to; the cluster, which only bindings name, is the first entry's. Belongs
// tells whether all entries agree.
func (k Keyset) Owner() (Owner, error) {
	if len(k.Keys) == 0 {
		return Owner{}, malformed("it holds no keys")
	}
	b, err := ParseBinding(k.Keys[0].Binding)
	if err != nil {
		return Owner{}, malformed("key %s version %d: %s", k.Keys[0].Name, k.Keys[0].Version, err)
	}
	return Owner{ClusterUID: b.ClusterUID, Tenant: k.Tenant, TenantUID: k.TenantUID, Namespace: k.Namespace}, nil
}

// Belongs checks that the keyset and each of its entries are bound to this owner, under its present UID or one of the
// former ones.
func (k Keyset) Belongs(o Owner, formerUIDs []string) error {
	if k.TenantUID != o.TenantUID && slices.Contains(formerUIDs, k.TenantUID) {
		o.TenantUID = k.TenantUID
	}
	for _, f := range []struct{ name, want, got string }{
		{"tenant", o.Tenant, k.Tenant},
		{"tenant UID", o.TenantUID, k.TenantUID},
		{"namespace", o.Namespace, k.Namespace},
	} {
		if f.want != f.got {
			return fmt.Errorf("it belongs to another %s: expected %s, found %s", f.name, Quote(f.want), Quote(f.got))
		}
	}
	for _, e := range k.Keys {
		b := o.Binding(e.ID())
		if e.Binding == string(b.Bytes()) {
			continue
		}
		member, want, got := b.differs(e.Binding)
		return fmt.Errorf("key %s version %d is bound to another %s: expected %s, found %s",
			e.Name, e.Version, member, Quote(want), Quote(got))
	}
	return nil
}

func malformed(format string, args ...any) error {
	return fmt.Errorf("malformed keyset: "+format, args...)
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
