package gcpkeys_test

import (
	"context"
	"testing"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/keyringtest"
	"github.com/hipaatenant/hipaa-tenant-operator/pkg/keyset"
	"github.com/hipaatenant/hipaa-tenant-operator/pkg/keyset/gcpkeys"
)

// The provider itself keeps its contract in its own package.
func TestUnwrapKey(t *testing.T) {
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", t.TempDir()+"/absent.json")
	var u keyset.Unwrapper
	u, err := gcpkeys.New()
	if err != nil {
		t.Fatal(err)
	}
	_, err = u.UnwrapKey(t.Context(), "vault", "transit/acme", []byte("wrapped"), keyringtest.Binding().Bytes())
	keyringtest.Expect(t, err, keyring.Unsupported)
	_, err = u.UnwrapKey(t.Context(), "gcpkms", "projects/p/keys/k", []byte("wrapped"), keyringtest.Binding().Bytes())
	keyringtest.Expect(t, err, keyring.Unsupported)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = u.UnwrapKey(ctx, "gcpkms", "projects/p/locations/us-east1/keyRings/r/cryptoKeys/k", []byte("wrapped"), keyringtest.Binding().Bytes())
	if err == nil {
		t.Error("a request without an identity succeeded")
	}
}
