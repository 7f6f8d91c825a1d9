// Package localkeys opens keysets of local:// keys, for laptops and for an application's own tests. The software key stands
// in Secret hipaa-local-kek-<name> of the operator's namespace, which no application should be able to read.
package localkeys

import (
	"context"
	"errors"
	"fmt"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/document"
)

// Unwrapper holds software keys by name, 32 bytes each. It implements keyset.Unwrapper.
type Unwrapper map[string][]byte

// idSize is the length of the software key's id in front of what it wrapped.
const idSize = 8

// UnwrapKey decrypts with the software key local://<keyRef>.
func (u Unwrapper) UnwrapKey(_ context.Context, provider, keyRef string, wrapped, binding []byte) ([]byte, error) {
	kek, ok := u[keyRef]
	switch {
	case provider != "local" || !ok:
		return nil, fmt.Errorf("no software key for %s://%s", provider, keyRef)
	case len(kek) != document.KeySize:
		return nil, fmt.Errorf("the software key of local://%s has %d bytes; expected %d", keyRef, len(kek), document.KeySize)
	case len(wrapped) < idSize:
		return nil, errors.New("too few bytes to be a wrapped key")
	}
	key, err := document.GCM(kek).Open(nil, nil, wrapped[idSize:], binding)
	if err != nil {
		return nil, fmt.Errorf("local://%s did not wrap it for this binding", keyRef)
	}
	return key, nil
}
