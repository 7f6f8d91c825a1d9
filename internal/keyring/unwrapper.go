package keyring

import (
	"context"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/document"
)

// Unwrapper lets an application use a provider under its own identity: it is what package pkg/keyset asks for.
type Unwrapper struct{ Provider Provider }

// UnwrapKey has the KMS decrypt a wrapping key. Errors are *Error.
func (u Unwrapper) UnwrapKey(ctx context.Context, provider, keyRef string, wrapped, binding []byte) ([]byte, error) {
	ref, err := ParseKeyURI(provider + "://" + keyRef)
	if err != nil {
		return nil, err
	}
	if ref.Scheme != u.Provider.Scheme() {
		return nil, about(ref.URI(), Errorf(Unsupported, "expected a key of %s://", u.Provider.Scheme()))
	}
	b, err := document.ParseBinding(string(binding))
	if err != nil {
		return nil, about(ref.URI(), Errorf(Foreign, "%s", err))
	}
	plaintext, err := u.Provider.Unwrap(ctx, ref, wrapped, b)
	if err != nil {
		return nil, about(ref.URI(), err)
	}
	return plaintext, nil
}
