package azurekeyvault

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azkeys"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring"
)

// minModulus of an RSA key, in bytes.
const minModulus = 2048 / 8

const howTo = "create one with: az keyvault key create --vault-name <vault> --name <key> --kty RSA-HSM --size 3072 --ops wrapKey unwrapKey"

// Describe reads the latest version of the key. A key that was deleted and can be recovered is told as one that is not enabled.
func (p *Provider) Describe(ctx context.Context, ref keyring.KeyRef) (keyring.KeyInfo, error) {
	k, err := parse(ref)
	if err != nil {
		return keyring.KeyInfo{}, err
	}
	c, err := p.client(k.host)
	if err != nil {
		return keyring.KeyInfo{}, err
	}
	out, err := c.GetKey(ctx, k.name, "", nil)
	if status(err) == http.StatusNotFound {
		if gone, problem := c.GetDeletedKey(ctx, k.name, nil); problem == nil {
			return keyring.KeyInfo{ID: k.id(), Exists: true, DestroyedAt: purge(gone.DeletedKey)}, nil
		}
		return keyring.KeyInfo{}, because(err, keyring.Refused, "%s; %s", said(err), howTo)
	}
	if err != nil {
		return keyring.KeyInfo{}, explain(err)
	}
	return p.judge(k, out.KeyBundle)
}

func (p *Provider) judge(k key, b azkeys.KeyBundle) (keyring.KeyInfo, error) {
	if b.Key == nil || b.Attributes == nil || b.Key.KID == nil || !versionPattern.MatchString(b.Key.KID.Version()) {
		return keyring.KeyInfo{}, hollow("get", "key of a named version")
	}
	if err := fit(b.Key); err != nil {
		return keyring.KeyInfo{}, err
	}
	if err := p.inForce(b.Attributes); err != nil {
		return keyring.KeyInfo{}, err
	}
	return keyring.KeyInfo{
		ID: k.id(), Exists: true, Enabled: value(b.Attributes.Enabled),
		Version: b.Key.KID.Version(), ProtectionLevel: protection(b),
	}, nil
}

// fit for RSA-OAEP-256, and permitted to wrap.
func fit(k *azkeys.JSONWebKey) error {
	kty := value(k.Kty)
	if kty != azkeys.KeyTypeRSA && kty != azkeys.KeyTypeRSAHSM {
		return keyring.Errorf(keyring.Refused, "the key has type %s; expected RSA or RSA-HSM; %s", keyring.Quote(string(kty)), howTo)
	}
	if len(k.N) < minModulus {
		return keyring.Errorf(keyring.Refused, "the key has %d bits; expected at least %d; %s", len(k.N)*8, minModulus*8, howTo)
	}
	for _, operation := range []azkeys.KeyOperation{azkeys.KeyOperationWrapKey, azkeys.KeyOperationUnwrapKey} {
		permitted := slices.ContainsFunc(k.KeyOps, func(o *azkeys.KeyOperation) bool { return value(o) == operation })
		if !permitted {
			return keyring.Errorf(keyring.Refused, "the key's permitted operations lack %s; expected wrapKey and unwrapKey; %s", operation, howTo)
		}
	}
	return nil
}

// inForce looks at the dates outside which Key Vault does not wrap.
func (p *Provider) inForce(a *azkeys.KeyAttributes) error {
	now := p.clock.Now()
	if a.NotBefore != nil && now.Before(*a.NotBefore) {
		return keyring.Errorf(keyring.Refused, "the key is not valid before %s; enable a version that is valid now", a.NotBefore.UTC().Format(time.RFC3339))
	}
	if a.Expires != nil && !now.Before(*a.Expires) {
		return keyring.Errorf(keyring.Refused, "the key expired at %s; rotate it, or set a later date", a.Expires.UTC().Format(time.RFC3339))
	}
	return nil
}

func protection(b azkeys.KeyBundle) string {
	switch {
	case value(b.Attributes.Exportable):
		return keyring.ProtectionExportable
	case value(b.Key.Kty) == azkeys.KeyTypeRSAHSM:
		return keyring.ProtectionHSM
	default:
		return keyring.ProtectionSoftware
	}
}

// Destroy deletes the key with all its versions. Key Vault stops using it at once, keeps it for the vault's retention
// period, in which it can be recovered, and then purges it.
func (p *Provider) Destroy(ctx context.Context, ref keyring.KeyRef) (keyring.Destruction, error) {
	k, err := parse(ref)
	if err != nil {
		return keyring.Destruction{}, err
	}
	c, err := p.client(k.host)
	if err != nil {
		return keyring.Destruction{}, err
	}
	deleted, err := c.DeleteKey(ctx, k.name, nil)
	if err == nil {
		return p.destruction(deleted.DeletedKey, "key deleted")
	}
	if status(err) != http.StatusNotFound {
		return keyring.Destruction{}, explain(err)
	}
	before, err := c.GetDeletedKey(ctx, k.name, nil)
	switch {
	case err == nil:
		return p.destruction(before.DeletedKey, "key was deleted before")
	case status(err) == http.StatusNotFound:
		return keyring.Destruction{Method: "there is no such Key Vault key any more"}, nil
	default:
		return keyring.Destruction{}, explain(err)
	}
}

func (p *Provider) destruction(d azkeys.DeletedKey, method string) (keyring.Destruction, error) {
	at := purge(d)
	level := ""
	if d.Attributes != nil {
		level = value(d.Attributes.RecoveryLevel)
	}
	switch {
	case level == "Purgeable":
		return keyring.Destruction{EffectiveAt: p.clock.Now(), Method: method + "; the vault keeps no deleted keys"}, nil
	case at.IsZero():
		return keyring.Destruction{}, hollow("delete", "date of the purge")
	case strings.Contains(level, "Purgeable"):
		method += "; somebody with permission purge can end it sooner"
	default:
		method += "; purge protection: nobody can end it sooner"
	}
	return keyring.Destruction{EffectiveAt: at, Method: fmt.Sprintf("%s, with permission recover it can be taken back until then", method)}, nil
}

// purge is when a deleted key is gone; zero when the vault does not say.
func purge(d azkeys.DeletedKey) time.Time { return value(d.ScheduledPurgeDate) }

func value[T any](p *T) T {
	var zero T
	if p == nil {
		return zero
	}
	return *p
}
