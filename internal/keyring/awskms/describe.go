package awskms

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring"
)

const howTo = "create one with: aws kms create-key --key-spec SYMMETRIC_DEFAULT --key-usage ENCRYPT_DECRYPT"

// info judges the key. What is merely switched off, or due to go, is told in the KeyInfo.
func (d description) info(k key) (keyring.KeyInfo, error) {
	if d.KeySpec != types.KeySpecSymmetricDefault || d.KeyUsage != types.KeyUsageTypeEncryptDecrypt {
		return keyring.KeyInfo{}, keyring.Errorf(keyring.Refused, "the key has spec %s and usage %s; expected %s and %s, as KMS binds nothing to what other keys encrypt; %s",
			keyring.Quote(string(d.KeySpec)), keyring.Quote(string(d.KeyUsage)), types.KeySpecSymmetricDefault, types.KeyUsageTypeEncryptDecrypt, howTo)
	}
	if d.KeyManager == types.KeyManagerTypeAws {
		return keyring.KeyInfo{}, keyring.Errorf(keyring.Refused, "AWS manages this key for one of its services; expected a customer managed key; %s", howTo)
	}
	info := keyring.KeyInfo{
		ID: aws.ToString(d.Arn), Exists: true, Derived: true,
		Version: d.version(), ProtectionLevel: d.protection(), Region: d.region(k),
	}
	switch d.KeyState {
	case types.KeyStateEnabled, types.KeyStateUpdating:
		info.Enabled = true
	case types.KeyStateDisabled, types.KeyStatePendingReplicaDeletion:
	case types.KeyStatePendingDeletion:
		info.DestroyedAt = aws.ToTime(d.DeletionDate)
	default:
		return keyring.KeyInfo{}, keyring.Errorf(keyring.Refused, "the key's state is %s; expected %s", keyring.Quote(string(d.KeyState)), types.KeyStateEnabled)
	}
	return info, nil
}

// protection: what KMS made never leaves its hardware. Imported and external material has copies KMS knows nothing of.
func (d description) protection() string {
	switch d.Origin {
	case types.OriginTypeAwsKms, types.OriginTypeAwsCloudhsm:
		return keyring.ProtectionHSM
	default:
		return keyring.ProtectionUnknown
	}
}

// region of the key. A multi-Region key is never one region's own, also while it has no replica: it can get one at any time.
func (d description) region(k key) string {
	if !aws.ToBool(d.MultiRegion) {
		return k.region
	}
	return "multi-region " + strings.Join(d.regions(k), ",")
}

// regions that hold the material of a multi-Region key, sorted.
func (d description) regions(k key) []string {
	regions := []string{k.region}
	if c := d.MultiRegionConfiguration; c != nil {
		if c.PrimaryKey != nil {
			regions = append(regions, aws.ToString(c.PrimaryKey.Region))
		}
		for _, replica := range c.ReplicaKeys {
			regions = append(regions, aws.ToString(replica.Region))
		}
	}
	slices.Sort(regions)
	return slices.Compact(regions)
}

// Destroy schedules the key's deletion. KMS stops using the key at once and deletes it after the waiting period; until
// then it can be cancelled. A multi-Region key with a copy in another region is refused: deleting one copy destroys nothing.
func (p *Provider) Destroy(ctx context.Context, ref keyring.KeyRef) (keyring.Destruction, error) {
	k, err := parse(ref)
	if err != nil {
		return keyring.Destruction{}, err
	}
	d, err := p.describe(ctx, k)
	switch {
	case hasCode(err, "NotFoundException") && !k.alias:
		return keyring.Destruction{Method: "there is no such AWS KMS key any more"}, nil
	case hasCode(err, "NotFoundException"):
		return keyring.Destruction{}, because(err, keyring.Refused, "the alias does not exist, and without it nobody knows whether its key does; name the key by its ARN")
	case err != nil:
		return keyring.Destruction{}, err
	}
	if regions := d.regions(k); len(regions) > 1 {
		return keyring.Destruction{}, keyring.Errorf(keyring.Refused,
			"this multi-Region key has copies in %s, each of which opens what it wrapped; schedule the deletion of all but one, and wait for it", strings.Join(regions, ", "))
	}
	if d.KeyState == types.KeyStatePendingDeletion {
		return d.destruction("deletion was scheduled before"), nil
	}
	return p.schedule(ctx, k, d)
}

func (p *Provider) schedule(ctx context.Context, k key, d description) (keyring.Destruction, error) {
	err := p.call(ctx, k.region, func(c *kms.Client, once func(*kms.Options)) error {
		_, err := c.ScheduleKeyDeletion(ctx, &kms.ScheduleKeyDeletionInput{KeyId: d.Arn, PendingWindowInDays: &k.window}, once)
		return err
	})
	if err != nil && !hasCode(err, "KMSInvalidStateException") {
		return keyring.Destruction{}, err
	}
	// What KMS made of it, also where somebody else was faster. The ARN is asked: an alias may have moved.
	after, describeErr := p.describe(ctx, key{id: aws.ToString(d.Arn), region: k.region})
	switch {
	case describeErr != nil:
		return keyring.Destruction{}, describeErr
	case after.KeyState == types.KeyStatePendingDeletion && err == nil:
		return after.destruction(fmt.Sprintf("deletion scheduled in %d days", k.window)), nil
	case after.KeyState == types.KeyStatePendingDeletion:
		return after.destruction("deletion was scheduled before"), nil
	case err != nil:
		return keyring.Destruction{}, err
	default:
		return keyring.Destruction{}, keyring.Errorf(keyring.Unreachable, "deletion was scheduled, and KMS says the key's state is %s; expected %s",
			keyring.Quote(string(after.KeyState)), types.KeyStatePendingDeletion)
	}
}

func (d description) destruction(method string) keyring.Destruction {
	if d.Origin == types.OriginTypeExternal || d.Origin == types.OriginTypeExternalKeyStore {
		method += "; its key material came from outside AWS, where copies may exist"
	}
	return keyring.Destruction{EffectiveAt: aws.ToTime(d.DeletionDate), Method: method}
}
