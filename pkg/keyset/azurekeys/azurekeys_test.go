package azurekeys_test

import (
	"testing"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/keyringtest"
	"github.com/hipaatenant/hipaa-tenant-operator/pkg/keyset"
	"github.com/hipaatenant/hipaa-tenant-operator/pkg/keyset/azurekeys"
)

// The provider itself keeps its contract in its own package.
func TestUnwrapKey(t *testing.T) {
	var u keyset.Unwrapper = azurekeys.New()
	_, err := u.UnwrapKey(t.Context(), "vault", "transit/acme", []byte("wrapped"), keyringtest.Binding().Bytes())
	keyringtest.Expect(t, err, keyring.Unsupported)
	_, err = u.UnwrapKey(t.Context(), "azurekeyvault", "no-key", []byte("wrapped"), keyringtest.Binding().Bytes())
	keyringtest.Expect(t, err, keyring.Unsupported)
}
