// Package awskms wraps data keys with symmetric keys of AWS KMS. KMS binds what it encrypts to the encryption context, which
// has readable names: they appear in CloudTrail, and policies can ask for them.
//
// Credentials come from the SDK's default chain: environment, web identity of the service account (IRSA), EKS Pod Identity,
// instance role. The operator's role needs, for the tenants' keys:
//
//	kms:DescribeKey, kms:Encrypt, kms:Decrypt, kms:ReEncryptFrom, kms:ReEncryptTo
//
// and, only where tenants' keys are to be destroyed when they are shredded, kms:ScheduleKeyDeletion. An application needs
// kms:Decrypt on its tenant's key, under the condition that kms:EncryptionContext:hipaa.tenant equals its tenant.
//
// Nothing is looked up, read or connected before the first key is asked for.
//
// The copies of a wrapping key in requests and answers are cleared. Out of reach are the SDK's scratch space while it
// encodes and decodes base64 and JSON, and the buffers of net/http and TLS; Go's garbage collector reuses them in time.
package awskms

import (
	"context"
	"strconv"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"k8s.io/utils/clock"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring"
)

// Scheme of the key URIs: awskms://<ARN of a key or alias>, or awskms://alias/<name>?region=<region>.
const Scheme = "awskms"

// Provider wraps with AWS KMS.
type Provider struct {
	clock   clock.PassiveClock
	options []func(*config.LoadOptions) error

	mu       sync.Mutex
	backends map[string]*backend // by region
}

var _ keyring.Provider = (*Provider)(nil)

// New returns a provider that has done nothing yet. Options replace parts of the SDK's default configuration; the operator
// gives none, and is configured by the SDK's environment variables.
func New(c clock.PassiveClock, options ...func(*config.LoadOptions) error) *Provider {
	return &Provider{clock: c, options: options, backends: map[string]*backend{}}
}

// Scheme is "awskms".
func (p *Provider) Scheme() string { return Scheme }

// Assurance is KMSWrapped.
func (p *Provider) Assurance() string { return v1alpha1.ReasonKMSWrapped }

// Endpoint is the region: its keys fail together.
func (p *Provider) Endpoint(ref keyring.KeyRef) string {
	k, err := parse(ref)
	if err != nil {
		return ref.Path
	}
	return k.region
}

// Describe looks at the key. Only a symmetric key for encryption that the customer manages will do.
func (p *Provider) Describe(ctx context.Context, ref keyring.KeyRef) (keyring.KeyInfo, error) {
	k, err := parse(ref)
	if err != nil {
		return keyring.KeyInfo{}, err
	}
	d, err := p.describe(ctx, k)
	if err != nil {
		return keyring.KeyInfo{}, err
	}
	return d.info(k)
}

// Wrap encrypts with the binding as encryption context.
//
// KMS does not tell which key material it encrypted with, so the key is described just before. Should it be rotated in
// between, the version told is older than the true one, which costs a needless Rewrap; the other way round it
// would miss a needed one.
func (p *Provider) Wrap(ctx context.Context, ref keyring.KeyRef, plaintext []byte, binding keyring.Binding) ([]byte, string, error) {
	k, err := parse(ref)
	if err != nil {
		return nil, "", err
	}
	d, err := p.describe(ctx, k)
	if err != nil {
		return nil, "", err
	}
	var out *kms.EncryptOutput
	err = p.call(ctx, k.region, func(c *kms.Client, once func(*kms.Options)) (err error) {
		out, err = c.Encrypt(ctx, &kms.EncryptInput{
			KeyId: &k.id, Plaintext: plaintext, EncryptionContext: encryptionContext(binding),
		}, once)
		return err
	})
	if err != nil {
		return nil, "", err
	}
	if len(out.CiphertextBlob) == 0 {
		return nil, "", hollow("Encrypt", "ciphertext")
	}
	return out.CiphertextBlob, d.version(), nil
}

// maxCiphertext is the longest that KMS takes.
const maxCiphertext = 6144

// Unwrap decrypts, with this key and no other: KMS would find the key by the ciphertext alone, whosoever's it is.
func (p *Provider) Unwrap(ctx context.Context, ref keyring.KeyRef, wrapped []byte, binding keyring.Binding) ([]byte, error) {
	k, err := parse(ref)
	if err != nil {
		return nil, err
	}
	if err := ciphertext(wrapped); err != nil {
		return nil, err
	}
	var out *kms.DecryptOutput
	err = p.call(ctx, k.region, func(c *kms.Client, once func(*kms.Options)) (err error) {
		out, err = c.Decrypt(ctx, &kms.DecryptInput{
			KeyId: &k.id, CiphertextBlob: wrapped, EncryptionContext: encryptionContext(binding),
		}, once)
		return err
	})
	if err != nil {
		return nil, err
	}
	if len(out.Plaintext) == 0 {
		return nil, hollow("Decrypt", "plaintext")
	}
	return out.Plaintext, nil
}

// Rewrap has KMS decrypt and encrypt; the wrapping key does not leave it.
func (p *Provider) Rewrap(ctx context.Context, ref keyring.KeyRef, wrapped []byte, binding keyring.Binding) ([]byte, string, error) {
	k, err := parse(ref)
	if err != nil {
		return nil, "", err
	}
	if err := ciphertext(wrapped); err != nil {
		return nil, "", err
	}
	bound := encryptionContext(binding)
	var out *kms.ReEncryptOutput
	err = p.call(ctx, k.region, func(c *kms.Client, once func(*kms.Options)) (err error) {
		out, err = c.ReEncrypt(ctx, &kms.ReEncryptInput{
			CiphertextBlob: wrapped,
			SourceKeyId:    &k.id, SourceEncryptionContext: bound,
			DestinationKeyId: &k.id, DestinationEncryptionContext: bound,
		}, once)
		return err
	})
	if err != nil {
		return nil, "", err
	}
	if len(out.CiphertextBlob) == 0 {
		return nil, "", hollow("ReEncrypt", "ciphertext")
	}
	return out.CiphertextBlob, version(out.DestinationKeyMaterialId, out.KeyId), nil
}

// hollow is success without substance.
func hollow(operation, lacks string) error {
	return keyring.Errorf(keyring.Unreachable, "the answer to %s holds no %s; is something else than AWS KMS listening there?", operation, lacks)
}

func ciphertext(wrapped []byte) error {
	if n := len(wrapped); n == 0 || n > maxCiphertext {
		return keyring.Errorf(keyring.Foreign, "it is no ciphertext of AWS KMS: it has %d bytes; expected 1 to %d", n, maxCiphertext)
	}
	return nil
}

// encryptionContext is the binding in KMS's own terms. Readers in other languages build the same, see docs/keys.md.
func encryptionContext(b keyring.Binding) map[string]string {
	return map[string]string{
		"hipaa.cluster":    b.ClusterUID,
		"hipaa.tenant":     b.Tenant,
		"hipaa.tenant-uid": b.TenantUID,
		"hipaa.namespace":  b.Namespace,
		"hipaa.secret":     b.Secret,
		"hipaa.key":        b.Key,
		"hipaa.version":    strconv.FormatInt(b.Version, 10),
	}
}

// describe asks KMS about a key.
func (p *Provider) describe(ctx context.Context, k key) (description, error) {
	var out *kms.DescribeKeyOutput
	err := p.call(ctx, k.region, func(c *kms.Client, once func(*kms.Options)) (err error) {
		out, err = c.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: &k.id}, once)
		return err
	})
	if err != nil {
		return description{}, err
	}
	if out.KeyMetadata == nil || aws.ToString(out.KeyMetadata.Arn) == "" {
		return description{}, hollow("DescribeKey", "key")
	}
	return description{out.KeyMetadata}, nil
}

// description is what DescribeKey says.
type description struct{ *types.KeyMetadata }

// version is the id of the key material that Encrypt would use. Automatic and on-demand rotation give a key new material;
// keys that cannot be rotated (in custom key stores) have none to name, and their own id stays for life.
func (d description) version() string { return version(d.CurrentKeyMaterialId, d.Arn) }

func version(material, arn *string) string {
	if id := aws.ToString(material); id != "" {
		return id
	}
	return lastSegment(aws.ToString(arn))
}
