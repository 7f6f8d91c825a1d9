package vaultkeys_test

import (
	"context"
	"log"

	"github.com/hipaatenant/hipaa-tenant-operator/pkg/keyset"
	"github.com/hipaatenant/hipaa-tenant-operator/pkg/keyset/vaultkeys"
)

// example is what docs/keyset.md shows of the package.
func example(ctx context.Context, plaintext []byte) ([]byte, error) {
	vault, err := vaultkeys.New(vaultkeys.Config{Address: "https://vault.vault:8200", KubernetesRole: "acme-health-app"})
	if err != nil {
		return nil, err
	}
	keys, err := keyset.Watch(ctx, "/var/run/hipaa/keyset/keyset.json", keyset.Options{
		Unwrapper: vault,
		Expect:    keyset.Identity{Namespace: keyset.PodNamespace(), Tenant: "acme-health"},
		OnReload:  func(err error) { log.Println("keyset:", err) }, // nil: a change was taken
	})
	if err != nil {
		return nil, err
	}
	defer keys.Close()
	record, err := keys.Encrypt("records", plaintext, []byte("patients/4711"))
	if err != nil {
		return nil, err
	}
	return keys.Decrypt("records", record, []byte("patients/4711"))
}

var _ = example
