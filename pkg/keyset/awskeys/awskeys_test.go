package awskeys_test

import (
	"context"
	"testing"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/keyringtest"
	"github.com/hipaatenant/hipaa-tenant-operator/pkg/keyset"
	"github.com/hipaatenant/hipaa-tenant-operator/pkg/keyset/awskeys"
)

// The provider itself keeps its contract in its own package.
func TestUnwrapKey(t *testing.T) {
	var u keyset.Unwrapper = awskeys.New()
	_, err := u.UnwrapKey(t.Context(), "vault", "transit/acme", []byte("wrapped"), keyringtest.Binding().Bytes())
	keyringtest.Expect(t, err, keyring.Unsupported)
	_, err = u.UnwrapKey(t.Context(), "awskms", "not-an-arn", []byte("wrapped"), keyringtest.Binding().Bytes())
	keyringtest.Expect(t, err, keyring.Unsupported)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = u.UnwrapKey(ctx, "awskms", "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab", []byte("wrapped"), keyringtest.Binding().Bytes())
	keyringtest.Expect(t, err, keyring.Unreachable)
}
