package keyring_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/document"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/keyringtest"
)

// These bytes are in keysets out in the world. They never change for format 1.
func TestBindingBytes(t *testing.T) {
	want := `{"cluster":"c1","key":"default","namespace":"acme-app","secret":"hipaa-keyset","tenant":"acme","tenantUID":"t1","v":1,"version":1}`
	if got := string(keyringtest.Binding().Bytes()); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// RFC 8785: members sorted, nothing escaped that need not be.
func TestBindingIsCanonical(t *testing.T) {
	b := keyring.Binding{ClusterUID: "<&>", Tenant: "ü", Version: 1 << 53}
	var members map[string]any
	d := json.NewDecoder(bytes.NewReader(b.Bytes()))
	d.UseNumber()
	if err := d.Decode(&members); err != nil {
		t.Fatal(err)
	}
	sorted, err := json.Marshal(members)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := unescape(b.Bytes()), unescape(sorted); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if !bytes.Contains(b.Bytes(), []byte(`"<&>"`)) {
		t.Errorf("%s: expected <, & and > as they are", b.Bytes())
	}
}

// unescape undoes what encoding/json escapes and RFC 8785 does not.
func unescape(raw []byte) string {
	for escaped, plain := range map[string]string{`\u003c`: "<", `\u003e`: ">", `\u0026`: "&"} {
		raw = bytes.ReplaceAll(raw, []byte(escaped), []byte(plain))
	}
	return string(raw)
}

// No two bindings have the same bytes.
func TestBindingsDiffer(t *testing.T) {
	seen := map[string]string{string(keyringtest.Binding().Bytes()): "original"}
	for name, b := range keyringtest.Elsewhere() {
		if other, ok := seen[string(b.Bytes())]; ok {
			t.Errorf("%s and %s have the same bytes", name, other)
		}
		seen[string(b.Bytes())] = name
	}
	// A value cannot reach into its neighbour.
	left := keyring.Binding{Tenant: `a","tenantUID":"b`}
	right := keyring.Binding{Tenant: "a", TenantUID: "b"}
	if cmp.Equal(left.Bytes(), right.Bytes()) {
		t.Error("a tenant's name can pretend to be two members")
	}
}

// The document's package spells the names again, so that applications need nothing of the api.
func TestNamesOfTheSecret(t *testing.T) {
	if document.SecretName != v1alpha1.SecretKeyset || document.Key != v1alpha1.KeysetKey {
		t.Errorf("%s and %s; expected %s and %s", document.SecretName, document.Key, v1alpha1.SecretKeyset, v1alpha1.KeysetKey)
	}
}
