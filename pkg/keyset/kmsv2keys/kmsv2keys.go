// Package kmsv2keys opens keysets with a Kubernetes KMS v2 plugin, for applications that run beside one: the plugin's
// socket must be mounted into the pod. Such a plugin asks nobody who they are: whoever reaches the socket can use its key.
package kmsv2keys

import (
	"context"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/kmsv2"
)

// Unwrapper implements keyset.Unwrapper.
type Unwrapper struct{ inner keyring.Unwrapper }

// New returns an Unwrapper for the sockets below a directory, such as /run/kms. It touches neither.
func New(dir string) (*Unwrapper, error) {
	p, err := kmsv2.New(dir)
	if err != nil {
		return nil, err
	}
	return &Unwrapper{keyring.Unwrapper{Provider: p}}, nil
}

// UnwrapKey makes one call of the plugin.
func (u *Unwrapper) UnwrapKey(ctx context.Context, provider, keyRef string, wrapped, binding []byte) ([]byte, error) {
	return u.inner.UnwrapKey(ctx, provider, keyRef, wrapped, binding)
}
