package keyringtest

import (
	"testing"

	"github.com/hipaatenant/hipaa-tenant-operator/test/transit" //nolint:depguard // nothing that ships imports keyringtest
)

// Vault is a running bin/vault-transit: Vault's real transit engine, mounted at "transit" and "team-a/transit".
type Vault struct {
	*transit.Vault
	// Role and JWT make the Kubernetes login succeed; its tokens have the policy the documentation asks for.
	Role, JWT string
}

// StartVault builds the server if need be and runs it until the test ends. It also ends when the test process does.
func StartVault(t testing.TB) *Vault {
	t.Helper()
	v := &Vault{Role: "hipaa-tenant-operator", JWT: "jwt-of-the-test"}
	var err error
	v.Vault, err = transit.Start(transit.Options{Role: v.Role, JWT: v.JWT})
	must(t, err)
	t.Cleanup(v.Stop)
	must(t, v.AllowOperator(t.Context(), v.Role))
	return v
}

// Write sends a request as root, as "vault write" would, and returns the data of the answer.
func (v *Vault) Write(t testing.TB, path string, body map[string]any) map[string]any {
	t.Helper()
	data, err := v.Vault.Write(t.Context(), path, body)
	must(t, err)
	return data
}

// Delete sends a request as root, as "vault delete" would.
func (v *Vault) Delete(t testing.TB, path string) {
	t.Helper()
	must(t, v.Vault.Delete(t.Context(), path))
}

// CreateKey makes a transit key fit for the operator.
func (v *Vault) CreateKey(t testing.TB, mount, key string) {
	t.Helper()
	must(t, v.Vault.CreateKey(t.Context(), mount, key))
}
