package kmsv2keys_test

import (
	"testing"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/keyringtest"
	"github.com/hipaatenant/hipaa-tenant-operator/pkg/keyset"
	"github.com/hipaatenant/hipaa-tenant-operator/pkg/keyset/kmsv2keys"
)

// The provider itself keeps its contract in its own package.
func TestUnwrapKey(t *testing.T) {
	inner, err := kmsv2keys.New("/run/kms")
	if err != nil {
		t.Fatal(err)
	}
	var u keyset.Unwrapper = inner
	_, err = u.UnwrapKey(t.Context(), "vault", "transit/acme", []byte("wrapped"), keyringtest.Binding().Bytes())
	keyringtest.Expect(t, err, keyring.Unsupported)
	_, err = u.UnwrapKey(t.Context(), "kmsv2+unix", "/elsewhere/kms.sock", []byte("wrapped"), keyringtest.Binding().Bytes())
	keyringtest.Expect(t, err, keyring.Unsupported)
	if _, err := kmsv2keys.New("relative"); err == nil {
		t.Error("a relative directory was taken")
	}
}
