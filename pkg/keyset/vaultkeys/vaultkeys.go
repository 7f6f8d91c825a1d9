// Package vaultkeys opens keysets with the transit engine of HashiCorp Vault or OpenBao, under the application's own
// identity. The application's Vault policy needs one line:
//
//	path "transit/decrypt/<tenant's key>" { capabilities = ["update"] }
package vaultkeys

import (
	"context"

	"k8s.io/utils/clock"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/vault"
)

// Config says where Vault is and how to log in. Exactly one of TokenFile, Token and KubernetesRole is set.
type Config struct {
	// Address such as https://vault.vault:8200. Plain http is taken for loopback addresses only.
	Address string
	// Namespace is sent as X-Vault-Namespace. Empty sends none.
	Namespace string
	// CAFile holds the PEM certificates Vault's certificate is checked against. Empty means the system's.
	CAFile string
	// TokenFile holds a Vault token, as the Vault agent writes it. Read for every request.
	TokenFile string
	// Token is a Vault token, for command lines.
	Token string
	// KubernetesRole is the role to log in as with the pod's service account.
	KubernetesRole string
	// KubernetesMount is where that auth method is mounted. Empty means "kubernetes".
	KubernetesMount string
	// KubernetesTokenFile holds the service account token. Empty means the pod's own.
	KubernetesTokenFile string
}

// Unwrapper implements keyset.Unwrapper.
type Unwrapper struct{ inner keyring.Unwrapper }

// New checks the configuration and reads the CA file. It does not talk to Vault.
func New(c Config) (*Unwrapper, error) {
	config := vault.Config{Address: c.Address, Namespace: c.Namespace, CAFile: c.CAFile, TokenFile: c.TokenFile, Token: c.Token}
	if c.KubernetesRole != "" {
		config.Kubernetes = &vault.KubernetesAuth{Role: c.KubernetesRole, JWTFile: c.KubernetesTokenFile, Mount: c.KubernetesMount}
	}
	p, err := vault.New(config, clock.RealClock{})
	if err != nil {
		return nil, err
	}
	return &Unwrapper{keyring.Unwrapper{Provider: p}}, nil
}

// UnwrapKey makes one request: POST <mount>/decrypt/<key>, and a login before the first.
func (u *Unwrapper) UnwrapKey(ctx context.Context, provider, keyRef string, wrapped, binding []byte) ([]byte, error) {
	return u.inner.UnwrapKey(ctx, provider, keyRef, wrapped, binding)
}
