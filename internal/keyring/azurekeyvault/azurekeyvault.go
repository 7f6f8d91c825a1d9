// Package azurekeyvault wraps data keys with RSA keys of Azure Key Vault or Managed HSM (RSA-OAEP-256).
//
// The vault binds nothing to what it wraps: whoever may use the key opens any tenant's wrapped key. Only the seal around
// the data key, which the Ring makes, ties it to its place. KeyInfo.Derived is false, so that nobody takes it for more.
//
// The identity is, in this order, workload identity (AZURE_FEDERATED_TOKEN_FILE), a client secret or certificate in the
// environment (AZURE_CLIENT_SECRET, AZURE_CLIENT_CERTIFICATE_PATH), managed identity. It needs the permissions get, wrapKey and
// unwrapKey on keys, which role "Key Vault Crypto Service Encryption User" has, and, only where tenants' keys are to be destroyed when
// they are shredded, delete. An application needs unwrapKey.
//
// Nothing is looked up, read or connected before the first key is asked for.
//
// Answers that hold a wrapping key are cleared. Out of reach are the SDK's copies of it while it writes requests and reads
// JSON, and the buffers of net/http and TLS; Go's garbage collector reuses them in time.
package azurekeyvault

import (
	"context"
	"encoding/base64"
	"net/http"
	"regexp"
	"strings"
	"sync"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azkeys"
	"k8s.io/utils/clock"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring"
)

// Scheme of the key URIs: azurekeyvault://<vault>/keys/<name>. The vault is a name, or its host where that is not under
// vault.azure.net.
const Scheme = "azurekeyvault"

// Options replace parts for tests. The operator gives none.
type Options struct {
	// Credential instead of the one that the environment names.
	Credential azcore.TokenCredential
	// Transport instead of the system's network and certificates.
	Transport http.RoundTripper
}

// Provider wraps with Azure Key Vault.
type Provider struct {
	clock   clock.PassiveClock
	options Options

	mu         sync.Mutex
	credential azcore.TokenCredential
	clients    map[string]*azkeys.Client // by host
}

var _ keyring.Provider = (*Provider)(nil)

// New returns a provider that has done nothing yet.
func New(c clock.PassiveClock, o Options) *Provider {
	return &Provider{clock: c, options: o, clients: map[string]*azkeys.Client{}}
}

// Scheme is "azurekeyvault".
func (p *Provider) Scheme() string { return Scheme }

// Assurance is KMSWrapped.
func (p *Provider) Assurance() string { return v1alpha1.ReasonKMSWrapped }

// Endpoint is the vault's host: its keys fail together.
func (p *Provider) Endpoint(ref keyring.KeyRef) string {
	k, err := parse(ref)
	if err != nil {
		return ref.Path
	}
	return k.host
}

var algorithm = azkeys.EncryptionAlgorithmRSAOAEP256

// Wrap encrypts with the latest version of the key, asked for by name so that the version told is the one that was used. The
// binding is not sent: there is nothing that would take it.
func (p *Provider) Wrap(ctx context.Context, ref keyring.KeyRef, plaintext []byte, _ keyring.Binding) ([]byte, string, error) {
	info, err := p.Describe(ctx, ref)
	if err == nil && !info.Enabled {
		err = keyring.Errorf(keyring.Refused, "the key is disabled or deleted; enable or recover it, or name another")
	}
	if err != nil {
		return nil, "", err
	}
	k, err := parse(ref)
	if err != nil {
		return nil, "", err
	}
	c, err := p.client(k.host)
	if err != nil {
		return nil, "", err
	}
	out, err := c.WrapKey(ctx, k.name, info.Version, azkeys.KeyOperationParameters{Algorithm: &algorithm, Value: plaintext}, nil)
	if err != nil {
		return nil, "", explain(err)
	}
	if len(out.Result) == 0 || out.KID == nil || out.KID.Version() != info.Version {
		return nil, "", hollow("wrapKey", "key wrapped by version "+info.Version)
	}
	return ciphertext{info.Version, out.Result}.bytes(), info.Version, nil
}

// Unwrap decrypts with the version of the key that wrapped. Whether it was for this binding, the seal has to show.
func (p *Provider) Unwrap(ctx context.Context, ref keyring.KeyRef, wrapped []byte, _ keyring.Binding) ([]byte, error) {
	k, err := parse(ref)
	if err != nil {
		return nil, err
	}
	of, err := readCiphertext(wrapped)
	if err != nil {
		return nil, err
	}
	c, err := p.client(k.host)
	if err != nil {
		return nil, err
	}
	var answer *http.Response
	defer func() { wipe(answer) }()
	out, err := c.UnwrapKey(policy.WithCaptureResponse(ctx, &answer), k.name, of.version,
		azkeys.KeyOperationParameters{Algorithm: &algorithm, Value: of.sealed}, nil)
	if misfit(err) {
		return nil, because(err, keyring.Foreign, "%s", said(err))
	}
	if err != nil {
		return nil, explain(err)
	}
	if len(out.Result) == 0 {
		return nil, hollow("unwrapKey", "key")
	}
	return out.Result, nil
}

// wipe clears the answer the SDK keeps.
func wipe(answer *http.Response) {
	if answer == nil {
		return
	}
	if body, err := runtime.Payload(answer); err == nil {
		clear(body)
	}
}

// Rewrap unwraps and wraps: Key Vault cannot do both at once.
func (p *Provider) Rewrap(ctx context.Context, ref keyring.KeyRef, wrapped []byte, binding keyring.Binding) ([]byte, string, error) {
	return keyring.RewrapHere(ctx, p, ref, wrapped, binding)
}

// prefix of every wrapped key: azurekeyvault:<version of the key>:<base64url>. Key Vault must be told the version, and the last
// part is what its API takes as "value".
const prefix = Scheme + ":"

var versionPattern = regexp.MustCompile(`^[0-9a-f]{32}$`)

type ciphertext struct {
	version string
	sealed  []byte
}

func (c ciphertext) bytes() []byte {
	return []byte(prefix + c.version + ":" + base64.RawURLEncoding.EncodeToString(c.sealed))
}

// readCiphertext checks the version, because it becomes part of a request's path.
func readCiphertext(wrapped []byte) (ciphertext, error) {
	rest, ok := strings.CutPrefix(string(wrapped), prefix)
	version, text, found := strings.Cut(rest, ":")
	sealed, err := base64.RawURLEncoding.DecodeString(text)
	if !ok || !found || err != nil || len(sealed) == 0 || !versionPattern.MatchString(version) {
		return ciphertext{}, keyring.Errorf(keyring.Foreign, "it is no key that Azure Key Vault wrapped; expected %s<version>:<base64url>", prefix)
	}
	return ciphertext{version, sealed}, nil
}
