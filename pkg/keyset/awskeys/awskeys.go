// Package awskeys opens keysets with AWS KMS, under the application's own identity: the SDK's default chain, such as a
// role for its service account (IRSA or pod identity). The role needs kms:Decrypt on the tenant's key.
package awskeys

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/config"
	"k8s.io/utils/clock"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/awskms"
)

// Unwrapper implements keyset.Unwrapper.
type Unwrapper struct{ inner keyring.Unwrapper }

// New returns an Unwrapper; the options change the SDK's default chain. It does not talk to AWS.
func New(options ...func(*config.LoadOptions) error) *Unwrapper {
	return &Unwrapper{keyring.Unwrapper{Provider: awskms.New(clock.RealClock{}, options...)}}
}

// UnwrapKey makes one request, Decrypt.
func (u *Unwrapper) UnwrapKey(ctx context.Context, provider, keyRef string, wrapped, binding []byte) ([]byte, error) {
	return u.inner.UnwrapKey(ctx, provider, keyRef, wrapped, binding)
}
