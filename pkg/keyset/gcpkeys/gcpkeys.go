// Package gcpkeys opens keysets with Google Cloud KMS, under the application's own identity: application default
// credentials, such as workload identity. It needs role Cloud KMS CryptoKey Decrypter on the tenant's key.
package gcpkeys

import (
	"context"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/gcpkms"
)

// Unwrapper implements keyset.Unwrapper.
type Unwrapper struct{ inner keyring.Unwrapper }

// New returns an Unwrapper. It does not talk to Google.
func New() (*Unwrapper, error) {
	p, err := gcpkms.New(gcpkms.Config{})
	if err != nil {
		return nil, err
	}
	return &Unwrapper{keyring.Unwrapper{Provider: p}}, nil
}

// UnwrapKey makes one request, and a login before the first.
func (u *Unwrapper) UnwrapKey(ctx context.Context, provider, keyRef string, wrapped, binding []byte) ([]byte, error) {
	return u.inner.UnwrapKey(ctx, provider, keyRef, wrapped, binding)
}
