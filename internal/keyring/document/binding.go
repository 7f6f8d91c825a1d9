package document

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// bindingFormat is the field "v" of every binding. A later format gets a new number; old keysets keep theirs.
const bindingFormat = 1

// Binding says where one sealed data key belongs. A KMS that takes context with a request gets it natively; the
// seal around the data key always carries it as additional data. A keyset moved to another cluster, tenant,
// namespace or name, or to another version number, therefore cannot be opened.
type Binding struct {
	// ClusterUID is the UID of namespace kube-system.
	ClusterUID string
	Tenant     string
	// TenantUID ties the key to this tenant object, not to a later one of the same name.
	TenantUID string
	Namespace string
	// Secret is the name of the Secret the keyset stands in.
	Secret string
	// Key is the name of the data key.
	Key string
	// Version of the data key, from 1.
	Version int64
}

// canonical lists the members in the order RFC 8785 (JSON Canonicalization Scheme) asks for.
type canonical struct {
	ClusterUID string `json:"cluster"`
	Key        string `json:"key"`
	Namespace  string `json:"namespace"`
	Secret     string `json:"secret"`
	Tenant     string `json:"tenant"`
	TenantUID  string `json:"tenantUID"`
	Format     int    `json:"v"`
	Version    int64  `json:"version"`
}

// Bytes returns the canonical form: JSON after RFC 8785, members sorted, no white space. These bytes are the
// additional data of the seal and what a KMS is given as context.
func (b Binding) Bytes() []byte {
	return marshal(canonical{
		ClusterUID: b.ClusterUID, Key: b.Key, Namespace: b.Namespace, Secret: b.Secret,
		Tenant: b.Tenant, TenantUID: b.TenantUID, Format: bindingFormat, Version: b.Version,
	})
}

// ParseBinding reads the canonical form, and no other: what it returns has the same bytes.
func ParseBinding(text string) (Binding, error) {
	var f canonical
	if err := strictJSON([]byte(text), &f); err != nil {
		return Binding{}, fmt.Errorf("expected a binding in canonical form, found %s", Quote(text))
	}
	b := Binding{
		ClusterUID: f.ClusterUID, Tenant: f.Tenant, TenantUID: f.TenantUID, Namespace: f.Namespace,
		Secret: f.Secret, Key: f.Key, Version: f.Version,
	}
	if string(b.Bytes()) != text {
		return Binding{}, fmt.Errorf("expected a binding in canonical form of format %d, found %s", bindingFormat, Quote(text))
	}
	return b, nil
}

// differs says how the found binding, canonical bytes from a keyset, departs from b: the name of the first member
// that differs and both values. It is only called when the two are known to differ.
func (b Binding) differs(found string) (member, want, got string) {
	var f canonical
	if err := strictJSON([]byte(found), &f); err != nil {
		return "form", string(b.Bytes()), found
	}
	for _, m := range []struct{ name, want, got string }{
		{"cluster", b.ClusterUID, f.ClusterUID},
		{"tenant", b.Tenant, f.Tenant},
		{"tenant UID", b.TenantUID, f.TenantUID},
		{"namespace", b.Namespace, f.Namespace},
		{"secret", b.Secret, f.Secret},
		{"key name", b.Key, f.Key},
		{"key version", decimal(b.Version), decimal(f.Version)},
	} {
		if m.want != m.got {
			return m.name, m.want, m.got
		}
	}
	return "form", string(b.Bytes()), found
}

// marshal encodes without escaping <, > and &, which RFC 8785 forbids, and without a trailing newline.
func marshal(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		// Only structs of strings, numbers, times and bytes come here; none of them can fail.
		panic(err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
