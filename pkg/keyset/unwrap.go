package keyset

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/document"
)

// Unwrapper asks a KMS, under the application's own identity. The packages below this one have one for each KMS; a
// program with needs of its own writes the method itself.
type Unwrapper interface {
	// UnwrapKey has the KMS key <provider>://<keyRef> decrypt a wrapping key, with the binding as context, and returns
	// its 32 bytes, which the caller clears.
	UnwrapKey(ctx context.Context, provider, keyRef string, wrapped, binding []byte) ([]byte, error)
}

// ByProvider has an Unwrapper for each provider, for tenants that move from one KMS to another.
type ByProvider map[string]Unwrapper

// UnwrapKey asks the provider's Unwrapper.
func (m ByProvider) UnwrapKey(ctx context.Context, provider, keyRef string, wrapped, binding []byte) ([]byte, error) {
	u, ok := m[provider]
	if !ok {
		return nil, fmt.Errorf("no Unwrapper for %s://; there is one for %s", document.Quote(provider), strings.Join(slices.Sorted(maps.Keys(m)), ", "))
	}
	return u.UnwrapKey(ctx, provider, keyRef, wrapped, binding)
}

// unwrapTimeout bounds one KMS call.
const unwrapTimeout = 10 * time.Second

// open opens one entry. Errors are ErrForeign when the KMS answered and the seal does not open, else the KMS's own.
func open(ctx context.Context, u Unwrapper, e document.Entry) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, unwrapTimeout)
	defer cancel()
	wrapping, err := u.UnwrapKey(ctx, e.Provider, e.KeyRef, e.Wrapped, []byte(e.Binding))
	defer clear(wrapping)
	if err != nil {
		return nil, fmt.Errorf("key %s version %d: %w", e.Name, e.Version, err)
	}
	if len(wrapping) != document.KeySize {
		return nil, foreign(fmt.Errorf("key %s version %d: the wrapping key has %d bytes; expected %d", e.Name, e.Version, len(wrapping), document.KeySize))
	}
	opened, err := document.GCM(wrapping).Open(nil, nil, e.Sealed, []byte(e.Binding))
	if err != nil {
		return nil, foreign(fmt.Errorf("key %s version %d: field sealed does not open under its wrapping key and binding", e.Name, e.Version))
	}
	return opened, nil
}
