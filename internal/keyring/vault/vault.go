// Package vault wraps data keys with the transit engine of HashiCorp Vault or OpenBao, over plain HTTP calls.
//
// Transit keys must be derived: only then does the engine bind what it encrypts to the context of the request. On
// other keys it ignores the context without a word, so Describe looks and refuses them. The engine's associated_data is
// not used: its datakey and rewrap endpoints ignore or refuse it.
//
// The operator's Vault policy needs, for each mount:
//
//	path "transit/keys/+"    { capabilities = ["read"] }
//	path "transit/encrypt/+" { capabilities = ["update"] }
//	path "transit/decrypt/+" { capabilities = ["update"] }
//	path "transit/rewrap/+"  { capabilities = ["update"] }
//
// and, only where tenants' keys are to be destroyed when they are shredded,
//
//	path "transit/keys/+"        { capabilities = ["read", "delete"] }
//	path "transit/keys/+/config" { capabilities = ["update"] }
//
// Do not add "create" to encrypt: with it Vault makes a missing key instead of refusing.
package vault

import (
	"context"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"k8s.io/utils/clock"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring"
)

// Scheme of the key URIs: vault://<mount>/<key>. The mount may hold slashes; the key is the last segment.
const Scheme = "vault"

// keyType is the only type of transit key taken: authenticated, 256 bits, approved by FIPS 140-3.
const keyType = "aes256-gcm96"

// Config says where Vault is and how to log in. Exactly one of TokenFile, Token and Kubernetes is set.
type Config struct {
	// Address such as https://vault.vault:8200. Plain http is taken for loopback addresses only: wrapping keys and
	// tokens travel over this connection.
	Address string
	// Namespace is sent as X-Vault-Namespace (Vault Enterprise, OpenBao). Empty sends none.
	Namespace string
	// CAFile holds the PEM certificates Vault's certificate is checked against. Empty means the system's. Read once.
	CAFile string
	// TokenFile holds a Vault token, as the Vault agent writes it. Read for every request, so a renewed token counts at once.
	TokenFile string
	// Token is a Vault token, for short-lived programs that were given one.
	Token string
	// Kubernetes logs in with the operator's service account.
	Kubernetes *KubernetesAuth
}

// KubernetesAuth is Vault's Kubernetes auth method.
type KubernetesAuth struct {
	// Role to log in as.
	Role string
	// JWTFile holds a service account token. Read for every login. Empty means the pod's own.
	JWTFile string
	// Mount of the auth method. Empty means "kubernetes".
	Mount string
}

// Provider implements keyring.Provider.
type Provider struct {
	client *client
	clock  clock.PassiveClock
}

// New checks the configuration and reads the CA file. It does not talk to Vault.
func New(cfg Config, c clock.PassiveClock) (*Provider, error) {
	client, err := newClient(cfg, c)
	if err != nil {
		return nil, err
	}
	return &Provider{client: client, clock: c}, nil
}

// Scheme is "vault".
func (p *Provider) Scheme() string { return Scheme }

// Assurance is KMSWrapped.
func (p *Provider) Assurance() string { return v1alpha1.ReasonKMSWrapped }

// Endpoint is Vault's address: its keys fail together.
func (p *Provider) Endpoint(keyring.KeyRef) string { return p.client.address }

// Describe reads the transit key. A key that is missing, not derived, or of another type than aes256-gcm96 is Refused.
func (p *Provider) Describe(ctx context.Context, ref keyring.KeyRef) (keyring.KeyInfo, error) {
	mount, key, err := split(ref)
	if err != nil {
		return keyring.KeyInfo{}, err
	}
	var out struct {
		Data struct {
			Type       string `json:"type"`
			Derived    bool   `json:"derived"`
			Latest     int64  `json:"latest_version"`
			Exportable bool   `json:"exportable"`
			Backup     bool   `json:"allow_plaintext_backup"`
		} `json:"data"`
	}
	err = p.client.do(ctx, http.MethodGet, mount+"/keys/"+key, nil, &out)
	if is(err, http.StatusNotFound) {
		return keyring.KeyInfo{}, refuse(err, "no transit key at %s/keys/%s; %s", mount, key, howTo(mount, key))
	}
	if err != nil {
		return keyring.KeyInfo{}, explain(err)
	}
	if d := out.Data; d.Type != keyType || !d.Derived {
		return keyring.KeyInfo{}, keyring.Errorf(keyring.Refused,
			"transit key has type %s and derived=%t; expected type %s and derived=true, or Vault ignores what the key is bound to. These cannot be changed later; %s",
			keyring.Quote(d.Type), d.Derived, keyType, howTo(mount, "<another-key>"))
	}
	protection := keyring.ProtectionSoftware
	if out.Data.Exportable || out.Data.Backup {
		protection = keyring.ProtectionExportable
	}
	return keyring.KeyInfo{
		Exists: true, Enabled: true, Derived: true,
		Version: strconv.FormatInt(out.Data.Latest, 10), ProtectionLevel: protection,
	}, nil
}

// Wrap encrypts with the canonical binding as context. The result is Vault's ciphertext, text such as vault:v1:....
func (p *Provider) Wrap(ctx context.Context, ref keyring.KeyRef, plaintext []byte, binding keyring.Binding) ([]byte, string, error) {
	mount, key, err := split(ref)
	if err != nil {
		return nil, "", err
	}
	in := struct {
		Plaintext []byte `json:"plaintext"`
		Context   []byte `json:"context"`
	}{plaintext, binding.Bytes()}
	var out encrypted
	if err := p.client.do(ctx, http.MethodPost, mount+"/encrypt/"+key, in, &out); err != nil {
		return nil, "", explain(err)
	}
	return out.read("encrypt", mount)
}

// encrypted is the engine's answer to encrypt and rewrap.
type encrypted struct {
	Data struct {
		Ciphertext string `json:"ciphertext"`
	} `json:"data"`
}

func (e encrypted) read(what, mount string) ([]byte, string, error) {
	version, ok := versionOf(e.Data.Ciphertext)
	if !ok {
		return nil, "", keyring.Errorf(keyring.Refused, "the answer to %s holds no ciphertext; expected vault:v<version>:...; is %s a transit engine?", what, mount)
	}
	return []byte(e.Data.Ciphertext), version, nil
}

// Unwrap decrypts. Foreign when Vault says that key, context and ciphertext do not belong together.
func (p *Provider) Unwrap(ctx context.Context, ref keyring.KeyRef, wrapped []byte, binding keyring.Binding) ([]byte, error) {
	mount, key, err := split(ref)
	if err != nil {
		return nil, err
	}
	var out struct {
		Data struct {
			Plaintext []byte `json:"plaintext"`
		} `json:"data"`
	}
	if err := p.present(ctx, mount+"/decrypt/"+key, wrapped, binding, &out); err != nil {
		return nil, err
	}
	return out.Data.Plaintext, nil
}

// Rewrap has the engine decrypt and encrypt; the wrapping key does not leave Vault.
func (p *Provider) Rewrap(ctx context.Context, ref keyring.KeyRef, wrapped []byte, binding keyring.Binding) ([]byte, string, error) {
	mount, key, err := split(ref)
	if err != nil {
		return nil, "", err
	}
	var out encrypted
	if err := p.present(ctx, mount+"/rewrap/"+key, wrapped, binding, &out); err != nil {
		return nil, "", err
	}
	return out.read("rewrap", mount)
}

// present sends a ciphertext with the context it was made for.
func (p *Provider) present(ctx context.Context, path string, wrapped []byte, binding keyring.Binding, out any) error {
	if _, ok := versionOf(string(wrapped)); !ok {
		return keyring.Errorf(keyring.Foreign, "it is no ciphertext of Vault's transit engine")
	}
	in := struct {
		Ciphertext string `json:"ciphertext"`
		Context    []byte `json:"context"`
	}{string(wrapped), binding.Bytes()}
	err := p.client.do(ctx, http.MethodPost, path, in, out)
	if misfit(err) {
		return foreign(err)
	}
	if err != nil {
		return explain(err)
	}
	return nil
}

// Destroy deletes the transit key. Vault forgets it at once; backups of Vault's storage may still hold it.
func (p *Provider) Destroy(ctx context.Context, ref keyring.KeyRef) (keyring.Destruction, error) {
	mount, key, err := split(ref)
	if err != nil {
		return keyring.Destruction{}, err
	}
	path := mount + "/keys/" + key
	err = p.client.do(ctx, http.MethodGet, path, nil, nil)
	if gone(err) {
		return keyring.Destruction{Method: "there is no such transit key any more"}, nil
	}
	if err == nil {
		err = p.client.do(ctx, http.MethodPost, path+"/config", map[string]bool{"deletion_allowed": true}, nil)
	}
	if err == nil {
		err = p.client.do(ctx, http.MethodDelete, path, nil, nil)
	}
	if err != nil {
		return keyring.Destruction{}, explain(err)
	}
	return keyring.Destruction{EffectiveAt: p.clock.Now(), Method: "transit key deleted"}, nil
}

// namePattern is what Vault takes in names of keys and, without slashes, of mounts.
var namePattern = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]*$`)

// split finds mount and key. Each segment is checked, because it becomes part of a request's path.
func split(ref keyring.KeyRef) (mount, key string, err error) {
	i := strings.LastIndex(ref.Path, "/")
	if i < 1 || len(ref.Query) > 0 {
		return "", "", keyring.Errorf(keyring.Unsupported, "expected vault://<mount>/<key> without parameters but scope and region")
	}
	for segment := range strings.SplitSeq(ref.Path, "/") {
		if !namePattern.MatchString(segment) {
			return "", "", keyring.Errorf(keyring.Unsupported, "%s is no name of a mount or key: expected letters, digits, _, . and -", keyring.Quote(segment))
		}
	}
	return ref.Path[:i], ref.Path[i+1:], nil
}

// versionOf reads the key version from vault:v<version>:<base64>.
func versionOf(ciphertext string) (string, bool) {
	rest, ok := strings.CutPrefix(ciphertext, "vault:v")
	version, sealed, found := strings.Cut(rest, ":")
	_, err := strconv.ParseUint(version, 10, 63)
	return version, ok && found && sealed != "" && err == nil
}

func howTo(mount, key string) string {
	return "create one with: vault write " + mount + "/keys/" + key + " type=" + keyType + " derived=true"
}
