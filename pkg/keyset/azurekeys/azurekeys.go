// Package azurekeys opens keysets with Azure Key Vault, under the application's own identity: the SDK's default chain, such
// as workload identity. The identity needs to unwrap with the tenant's key (role Key Vault Crypto Service Encryption User).
package azurekeys

import (
	"context"

	"k8s.io/utils/clock"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/azurekeyvault"
)

// Unwrapper implements keyset.Unwrapper.
type Unwrapper struct{ inner keyring.Unwrapper }

// New returns an Unwrapper. It does not talk to Azure.
func New() *Unwrapper {
	return &Unwrapper{keyring.Unwrapper{Provider: azurekeyvault.New(clock.RealClock{}, azurekeyvault.Options{})}}
}

// UnwrapKey makes one request, and a login before the first.
func (u *Unwrapper) UnwrapKey(ctx context.Context, provider, keyRef string, wrapped, binding []byte) ([]byte, error) {
	return u.inner.UnwrapKey(ctx, provider, keyRef, wrapped, binding)
}
