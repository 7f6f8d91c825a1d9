// Package gcpkms wraps data keys with Google Cloud KMS.
//
// The canonical binding travels as additional authenticated data, so Cloud KMS itself refuses what was wrapped for another
// place. Requests and answers carry checksums (CRC32C) that both sides verify.
//
// Of Google's client only the generated messages are used. The client around them would bring a hundred packages for
// retries and tracing, which the Ring does or nobody reads.
package gcpkms

import (
	"context"
	"strings"

	"cloud.google.com/go/kms/apiv1/kmspb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring"
)

// Scheme of the key URIs: gcpkms://projects/<project>/locations/<location>/keyRings/<ring>/cryptoKeys/<key>.
const Scheme = "gcpkms"

// Config says where Cloud KMS is. The zero value is right but for tests and for private endpoints.
type Config struct {
	// Endpoint is host:port. Empty means DefaultEndpoint. TLS is always spoken.
	Endpoint string
	// CAFile holds the PEM certificates the endpoint's certificate is checked against. Empty means the system's. Read once.
	CAFile string
}

// DefaultEndpoint serves keys of every location.
const DefaultEndpoint = "cloudkms.googleapis.com:443"

// Provider implements keyring.Provider.
type Provider struct {
	client *client
}

// New checks the configuration and reads the CA file. Credentials are looked for, and Cloud KMS is connected to, when a
// key is first used.
func New(cfg Config) (*Provider, error) {
	c, err := newClient(cfg)
	if err != nil {
		return nil, err
	}
	return &Provider{client: c}, nil
}

// Scheme is "gcpkms".
func (p *Provider) Scheme() string { return Scheme }

// Assurance is KMSWrapped.
func (p *Provider) Assurance() string { return v1alpha1.ReasonKMSWrapped }

// Endpoint is the location: its keys fail together, and those of another may still be served.
func (p *Provider) Endpoint(ref keyring.KeyRef) string {
	name, err := parse(ref)
	if err != nil {
		return p.client.endpoint
	}
	return p.client.endpoint + " " + name.location
}

// Describe reads the key. One of another purpose, or without a primary version, is Refused.
func (p *Provider) Describe(ctx context.Context, ref keyring.KeyRef) (keyring.KeyInfo, error) {
	name, err := parse(ref)
	if err != nil {
		return keyring.KeyInfo{}, err
	}
	key, err := p.read(ctx, name)
	if err != nil {
		return keyring.KeyInfo{}, err
	}
	primary := key.GetPrimary()
	version, ok := strings.CutPrefix(primary.GetName(), name.key+"/cryptoKeyVersions/")
	if !ok || version == "" {
		return keyring.KeyInfo{}, keyring.Errorf(keyring.Refused, "the key has no primary version; make one: gcloud kms keys set-primary-version")
	}
	info := keyring.KeyInfo{
		Exists: true, Enabled: primary.GetState() == kmspb.CryptoKeyVersion_ENABLED, Derived: true,
		Version: version, ProtectionLevel: protection(primary.GetProtectionLevel()), Region: name.location,
	}
	if at := goneAt(primary); at != nil {
		info.DestroyedAt = at.AsTime()
	}
	return info, nil
}

// read returns the key, fit for its purpose.
func (p *Provider) read(ctx context.Context, name keyName) (*kmspb.CryptoKey, error) {
	var key *kmspb.CryptoKey
	err := p.client.call(ctx, name.key, func(ctx context.Context, kms kmspb.KeyManagementServiceClient) (err error) {
		key, err = kms.GetCryptoKey(ctx, &kmspb.GetCryptoKeyRequest{Name: name.key})
		return err
	})
	if err != nil {
		return nil, err
	}
	if purpose := key.GetPurpose(); purpose != kmspb.CryptoKey_ENCRYPT_DECRYPT {
		return nil, keyring.Errorf(keyring.Refused, "the key's purpose is %s; expected ENCRYPT_DECRYPT, which cannot be changed later: make another key", purpose)
	}
	return key, nil
}

// protection is unknown for keys outside of Google's machines: Cloud KMS passes requests on and cannot tell.
func protection(level kmspb.ProtectionLevel) string {
	switch level {
	case kmspb.ProtectionLevel_SOFTWARE:
		return keyring.ProtectionSoftware
	case kmspb.ProtectionLevel_HSM, kmspb.ProtectionLevel_HSM_SINGLE_TENANT:
		return keyring.ProtectionHSM
	default:
		return keyring.ProtectionUnknown
	}
}

// Wrap encrypts with the primary version of the key.
func (p *Provider) Wrap(ctx context.Context, ref keyring.KeyRef, plaintext []byte, binding keyring.Binding) ([]byte, string, error) {
	name, err := parse(ref)
	if err != nil {
		return nil, "", err
	}
	aad := binding.Bytes()
	in := &kmspb.EncryptRequest{
		Name: name.key, Plaintext: plaintext, PlaintextCrc32C: checksum(plaintext),
		AdditionalAuthenticatedData: aad, AdditionalAuthenticatedDataCrc32C: checksum(aad),
	}
	var out *kmspb.EncryptResponse
	err = p.client.call(ctx, name.key, func(ctx context.Context, kms kmspb.KeyManagementServiceClient) (err error) {
		out, err = kms.Encrypt(ctx, in)
		return err
	})
	if err != nil {
		return nil, "", err
	}
	version, ok := strings.CutPrefix(out.GetName(), name.key+"/cryptoKeyVersions/")
	switch {
	case !ok || version == "":
		return nil, "", keyring.Errorf(keyring.Refused, "Cloud KMS says that it encrypted with %s; expected a version of the key it was asked for", keyring.Quote(out.GetName()))
	case !out.GetVerifiedPlaintextCrc32C() || !out.GetVerifiedAdditionalAuthenticatedDataCrc32C():
		return nil, "", damaged("request")
	case !intact(out.GetCiphertext(), out.GetCiphertextCrc32C()):
		return nil, "", damaged("answer")
	}
	return out.GetCiphertext(), version, nil
}

// Unwrap decrypts. Foreign when Cloud KMS says that key, binding and ciphertext do not belong together.
func (p *Provider) Unwrap(ctx context.Context, ref keyring.KeyRef, wrapped []byte, binding keyring.Binding) ([]byte, error) {
	name, err := parse(ref)
	if err != nil {
		return nil, err
	}
	if len(wrapped) == 0 {
		return nil, keyring.Errorf(keyring.Foreign, "it is empty")
	}
	aad := binding.Bytes()
	in := &kmspb.DecryptRequest{
		Name: name.key, Ciphertext: wrapped, CiphertextCrc32C: checksum(wrapped),
		AdditionalAuthenticatedData: aad, AdditionalAuthenticatedDataCrc32C: checksum(aad),
	}
	var out *kmspb.DecryptResponse
	err = p.client.call(ctx, name.key, func(ctx context.Context, kms kmspb.KeyManagementServiceClient) (err error) {
		out, err = kms.Decrypt(ctx, in)
		return misfit(err)
	})
	if err != nil {
		return nil, err
	}
	if !intact(out.GetPlaintext(), out.GetPlaintextCrc32C()) {
		clear(out.GetPlaintext())
		return nil, damaged("answer")
	}
	return out.GetPlaintext(), nil
}

// Rewrap unwraps and wraps here: Cloud KMS has no call for it.
func (p *Provider) Rewrap(ctx context.Context, ref keyring.KeyRef, wrapped []byte, binding keyring.Binding) ([]byte, string, error) {
	return keyring.RewrapHere(ctx, p, ref, wrapped, binding)
}

// damaged is a message that changed on its way; another attempt may arrive whole.
func damaged(what string) error {
	return keyring.Errorf(keyring.Unreachable, "the %s was damaged on its way: its checksum does not match", what)
}

func intact(data []byte, sum *wrapperspb.Int64Value) bool {
	return sum != nil && sum.GetValue() == checksum(data).GetValue()
}
