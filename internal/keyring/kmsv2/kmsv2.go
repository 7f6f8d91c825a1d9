// Package kmsv2 wraps data keys with any Kubernetes KMS v2 plugin: the kind of process a cluster runs for the API
// server's encryption at rest, such as those of cloud providers, of Vault and of hardware security modules.
//
// The API of plugins is small. It takes no context with a request, so nothing is bound at the KMS and the seal around
// the data key binds alone. It tells neither region nor protection level, and has no call to destroy a key.
//
// A key URI names a socket on the operator's machine. Tenants write key URIs, so the operator dials nothing but sockets
// below one directory, chosen by whoever runs it: other sockets of a machine (of a container runtime, for instance) give
// power over it to whoever can talk to them.
package kmsv2

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"strings"
	"unicode"

	kmsapi "k8s.io/kms/apis/v2"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring"
)

// Scheme of the key URIs: kmsv2+unix:///<absolute path of a socket>.
const Scheme = "kmsv2+unix"

// healthy is what Status says when all is well; every other word is a failure.
const healthy = "ok"

// Provider implements keyring.Provider.
type Provider struct {
	dir     string
	plugins *plugins
}

// New returns a provider for the sockets below a directory. It touches neither.
func New(dir string) (*Provider, error) {
	if !filepath.IsAbs(dir) || filepath.Clean(dir) != dir || dir == "/" {
		return nil, fmt.Errorf("directory %q of KMS plugin sockets: expected an absolute path below / without . or .., such as /run/kms", dir)
	}
	return &Provider{dir: dir, plugins: newPlugins(dir)}, nil
}

// Scheme is "kmsv2+unix".
func (p *Provider) Scheme() string { return Scheme }

// Assurance is KMSWrapped.
func (p *Provider) Assurance() string { return v1alpha1.ReasonKMSWrapped }

// Endpoint is the socket.
func (p *Provider) Endpoint(ref keyring.KeyRef) string { return ref.Path }

// Describe asks the plugin for its status. A plugin that is not healthy is Unreachable: it cannot serve now.
func (p *Provider) Describe(ctx context.Context, ref keyring.KeyRef) (keyring.KeyInfo, error) {
	plugin, err := p.plugin(ref)
	if err != nil {
		return keyring.KeyInfo{}, err
	}
	version, err := status(ctx, plugin)
	if err != nil {
		return keyring.KeyInfo{}, err
	}
	return keyring.KeyInfo{Exists: true, Enabled: true, Version: version}, nil
}

// status returns the id of the key a healthy plugin encrypts with.
func status(ctx context.Context, plugin kmsapi.KeyManagementServiceClient) (string, error) {
	s, err := plugin.Status(ctx, &kmsapi.StatusRequest{})
	switch {
	case err != nil:
		return "", explain(err)
	case s.GetVersion() != "v2" && s.GetVersion() != "v2beta1":
		return "", keyring.Errorf(keyring.Refused, "the plugin speaks version %s of the KMS API; expected v2", keyring.Quote(s.GetVersion()))
	case s.GetHealthz() != healthy:
		return "", keyring.Errorf(keyring.Unreachable, "the plugin says it is not healthy: %s", keyring.Quote(s.GetHealthz()))
	}
	return s.GetKeyId(), checkKeyID(s.GetKeyId())
}

// Wrap encrypts with the plugin. The result is an envelope: the ciphertext, and what the plugin wants to see again with
// it. The version is the plugin's key id.
func (p *Provider) Wrap(ctx context.Context, ref keyring.KeyRef, plaintext []byte, _ keyring.Binding) ([]byte, string, error) {
	plugin, err := p.plugin(ref)
	if err != nil {
		return nil, "", err
	}
	out, err := plugin.Encrypt(ctx, &kmsapi.EncryptRequest{Plaintext: plaintext, Uid: uid()})
	if err != nil {
		return nil, "", judge(ctx, plugin, err)
	}
	e := envelope{KeyID: out.GetKeyId(), Ciphertext: out.GetCiphertext(), Annotations: out.GetAnnotations()}
	if err := e.check(); err != nil {
		return nil, "", keyring.Errorf(keyring.Refused, "the plugin's answer to Encrypt breaks the KMS v2 API: %s", err)
	}
	return e.encode(), e.KeyID, nil
}

// Unwrap decrypts. The plugin binds nothing: what was wrapped for another binding opens, and the seal finds out.
func (p *Provider) Unwrap(ctx context.Context, ref keyring.KeyRef, wrapped []byte, _ keyring.Binding) ([]byte, error) {
	plugin, err := p.plugin(ref)
	if err != nil {
		return nil, err
	}
	e, err := decode(wrapped)
	if err != nil {
		return nil, keyring.Errorf(keyring.Foreign, "it was not wrapped by a KMS v2 plugin: %s", err)
	}
	out, err := plugin.Decrypt(ctx, &kmsapi.DecryptRequest{Ciphertext: e.Ciphertext, Uid: uid(), KeyId: e.KeyID, Annotations: e.Annotations})
	switch {
	case misfit(err):
		return nil, because(keyring.Foreign, err)
	case err != nil:
		return nil, judge(ctx, plugin, err)
	}
	return out.GetPlaintext(), nil
}

// Rewrap unwraps and wraps here: the API of plugins has no call for it.
func (p *Provider) Rewrap(ctx context.Context, ref keyring.KeyRef, wrapped []byte, binding keyring.Binding) ([]byte, string, error) {
	return keyring.RewrapHere(ctx, p, ref, wrapped, binding)
}

// Destroy is Unsupported: the API of plugins has no call for it.
func (p *Provider) Destroy(context.Context, keyring.KeyRef) (keyring.Destruction, error) {
	return keyring.Destruction{}, keyring.Errorf(keyring.Unsupported,
		"a KMS v2 plugin cannot be asked to destroy a key; destroy it in the KMS behind the plugin, or let only the wrapped copies be deleted by taking scope=tenant off the key URI")
}

// plugin checks the reference and returns a client. Nothing is sent yet.
func (p *Provider) plugin(ref keyring.KeyRef) (kmsapi.KeyManagementServiceClient, error) {
	if len(ref.Query) > 0 || !strings.HasPrefix(ref.Path, p.dir+"/") || filepath.Clean(ref.Path) != ref.Path {
		return nil, keyring.Errorf(keyring.Unsupported,
			"expected %s://%s/<name of a socket> without parameters but scope; the operator talks to plugins in this directory only", Scheme, p.dir)
	}
	return p.plugins.get(ref.Path)
}

// judge tells a plugin that cannot serve from one that says no. Many plugins give every failure the same code; those
// that say they are healthy mean the request.
func judge(ctx context.Context, plugin kmsapi.KeyManagementServiceClient, err error) error {
	if !ambiguous(err) {
		return explain(err)
	}
	if _, unwell := status(ctx, plugin); unwell != nil {
		return because(keyring.Unreachable, err)
	}
	return because(keyring.Refused, err)
}

// maxKeyID in bytes is the API's own limit.
const maxKeyID = 1 << 10

func checkKeyID(id string) error {
	odd := func(r rune) bool { return !unicode.IsPrint(r) }
	if n := len(id); n == 0 || n > maxKeyID || strings.ContainsFunc(id, odd) {
		return keyring.Errorf(keyring.Refused, "the plugin names a key by %d characters, %s; expected 1 to %d printable ones", n, keyring.Quote(id), maxKeyID)
	}
	return nil
}

// uid marks one request in the plugin's log.
func uid() string {
	raw := make([]byte, 16)
	_, _ = rand.Read(raw)
	return hex.EncodeToString(raw)
}
