package gcpkms

import (
	"context"
	"fmt"
	"slices"

	"cloud.google.com/go/kms/apiv1/kmspb"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/wire"
)

// pageSize of a list of versions; the API's limit.
const pageSize = 1000

// Destroy schedules the destruction of every version: Cloud KMS waits as long as the key says (30 days unless it was made
// otherwise), and a version can be restored until then. The key itself stays, as an empty name. Keys held by an external
// manager are Unsupported: Cloud KMS would drop its reference, and the key would live on.
func (p *Provider) Destroy(ctx context.Context, ref keyring.KeyRef) (keyring.Destruction, error) {
	name, err := parse(ref)
	if err != nil {
		return keyring.Destruction{}, err
	}
	versions, err := p.versions(ctx, name)
	if code(err) == codes.NotFound {
		return keyring.Destruction{Method: "there is no such key any more"}, nil
	}
	if err != nil {
		return keyring.Destruction{}, err
	}
	if slices.ContainsFunc(versions, external) {
		return keyring.Destruction{}, keyring.Errorf(keyring.Unsupported,
			"the key is held by an external key manager, which Cloud KMS cannot have destroy it; destroy it there")
	}
	var out keyring.Destruction
	imported, going := false, 0
	for _, v := range versions {
		if v, err = p.destroyVersion(ctx, v); err != nil {
			return keyring.Destruction{}, halfway(err, going)
		}
		if v.GetState() == kmspb.CryptoKeyVersion_DESTROY_SCHEDULED {
			going++
		}
		if at := goneAt(v); at != nil && at.AsTime().After(out.EffectiveAt) {
			out.EffectiveAt = at.AsTime()
		}
		imported = imported || v.GetImportJob() != ""
	}
	out.Method = fmt.Sprintf("destruction of all %d versions scheduled; they can be restored until then", len(versions))
	if imported {
		out.Method += "; imported key material may have copies elsewhere"
	}
	return out, nil
}

// halfway makes sure that a refusal is not taken for a key that stands as it was, when versions are due to go already.
func halfway(err error, going int) error {
	if going == 0 || keyring.KindOf(err) == keyring.Unreachable {
		return err
	}
	return wire.Because(err, keyring.Unreachable, "versions due to be destroyed already: %d; another is not: %s", going, err)
}

func external(v *kmspb.CryptoKeyVersion) bool {
	level := v.GetProtectionLevel()
	return level == kmspb.ProtectionLevel_EXTERNAL || level == kmspb.ProtectionLevel_EXTERNAL_VPC
}

// destroyVersion returns the version as it is afterwards. One that is due to go, gone, or never had key material, is left.
func (p *Provider) destroyVersion(ctx context.Context, v *kmspb.CryptoKeyVersion) (*kmspb.CryptoKeyVersion, error) {
	switch v.GetState() {
	case kmspb.CryptoKeyVersion_DESTROY_SCHEDULED, kmspb.CryptoKeyVersion_DESTROYED,
		kmspb.CryptoKeyVersion_IMPORT_FAILED, kmspb.CryptoKeyVersion_GENERATION_FAILED:
		return v, nil
	}
	after := v
	err := p.client.call(ctx, v.GetName(), func(ctx context.Context, kms kmspb.KeyManagementServiceClient) (err error) {
		after, err = kms.DestroyCryptoKeyVersion(ctx, &kmspb.DestroyCryptoKeyVersionRequest{Name: v.GetName()})
		return err
	})
	if err == nil && goneAt(after) == nil {
		err = keyring.Errorf(keyring.Unreachable, "Cloud KMS took the request to destroy version %s and left it %s",
			keyring.Quote(v.GetName()), after.GetState())
	}
	return after, err
}

// versions lists all versions of a key.
func (p *Provider) versions(ctx context.Context, name keyName) ([]*kmspb.CryptoKeyVersion, error) {
	var all []*kmspb.CryptoKeyVersion
	for page := ""; ; {
		var out *kmspb.ListCryptoKeyVersionsResponse
		err := p.client.call(ctx, name.key, func(ctx context.Context, kms kmspb.KeyManagementServiceClient) (err error) {
			out, err = kms.ListCryptoKeyVersions(ctx, &kmspb.ListCryptoKeyVersionsRequest{Parent: name.key, PageSize: pageSize, PageToken: page})
			return err
		})
		if err != nil {
			return nil, err
		}
		all = append(all, out.GetCryptoKeyVersions()...)
		if page = out.GetNextPageToken(); page == "" {
			return all, nil
		}
	}
}

// goneAt is when a version is, or was, destroyed; nil for one that is not to be.
func goneAt(v *kmspb.CryptoKeyVersion) *timestamppb.Timestamp {
	switch v.GetState() {
	case kmspb.CryptoKeyVersion_DESTROY_SCHEDULED:
		return v.GetDestroyTime()
	case kmspb.CryptoKeyVersion_DESTROYED:
		return v.GetDestroyEventTime()
	default:
		return nil
	}
}
