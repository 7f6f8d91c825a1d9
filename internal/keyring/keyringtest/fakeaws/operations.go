package fakeaws

import "time"

func (f *KMS) describeKey(region string, in input) (any, error) {
	k, err := f.find(region, in.KeyId)
	if err != nil {
		return nil, err
	}
	m := map[string]any{
		"Arn": k.ARN(), "KeyId": k.ID, "AWSAccountId": Account, "Enabled": k.State == Enabled, "KeyState": k.State,
		"KeySpec": k.Spec, "KeyUsage": k.Usage, "Origin": k.Origin, "KeyManager": k.Manager, "MultiRegion": k.MultiRegion,
	}
	if !k.WithoutMaterialIDs {
		m["CurrentKeyMaterialId"] = k.materials[len(k.materials)-1].id
	}
	if !k.deletion.IsZero() {
		m["DeletionDate"] = k.deletion.Unix()
	}
	if k.MultiRegion {
		replicas := []map[string]string{}
		for _, r := range k.Replicas {
			replicas = append(replicas, map[string]string{"Arn": "arn:aws:kms:" + r + ":" + Account + ":key/" + k.ID, "Region": r})
		}
		m["MultiRegionConfiguration"] = map[string]any{
			"MultiRegionKeyType": "PRIMARY", "PrimaryKey": map[string]string{"Arn": k.ARN(), "Region": k.Region}, "ReplicaKeys": replicas,
		}
	}
	if k.SlipsAway {
		k.SlipsAway, k.State, k.deletion = false, PendingDeletion, time.Now().AddDate(0, 0, 30)
	}
	return map[string]any{"KeyMetadata": m}, nil
}

func (f *KMS) encrypt(region string, in input) (any, error) {
	k, err := f.usable(region, in.KeyId)
	if err != nil {
		return nil, err
	}
	blob, _ := k.seal(in.Plaintext, in.EncryptionContext)
	return map[string]any{"CiphertextBlob": blob, "KeyId": k.ARN(), "EncryptionAlgorithm": "SYMMETRIC_DEFAULT"}, nil
}

func (f *KMS) decrypt(region string, in input) (any, error) {
	plaintext, k, m, err := f.open(region, in.KeyId, in.CiphertextBlob, in.EncryptionContext)
	if err != nil {
		return nil, err
	}
	out := map[string]any{"Plaintext": plaintext, "KeyId": k.ARN(), "EncryptionAlgorithm": "SYMMETRIC_DEFAULT"}
	if !k.WithoutMaterialIDs {
		out["KeyMaterialId"] = m.id
	}
	return out, nil
}

func (f *KMS) reEncrypt(region string, in input) (any, error) {
	plaintext, source, from, err := f.open(region, in.SourceKeyId, in.CiphertextBlob, in.SourceEncryptionContext)
	if err != nil {
		return nil, err
	}
	k, err := f.usable(region, in.DestinationKeyId)
	if err != nil {
		return nil, err
	}
	blob, to := k.seal(plaintext, in.DestinationEncryptionContext)
	out := map[string]any{"CiphertextBlob": blob, "KeyId": k.ARN(), "SourceKeyId": source.ARN()}
	if !k.WithoutMaterialIDs {
		out["SourceKeyMaterialId"], out["DestinationKeyMaterialId"] = from.id, to.id
	}
	return out, nil
}

func (f *KMS) scheduleKeyDeletion(region string, in input) (any, error) {
	if len(in.KeyId) > 5 && in.KeyId[:6] == "alias/" {
		return nil, fault{"InvalidArnException", "Invalid keyId " + in.KeyId}
	}
	k, err := f.find(region, in.KeyId)
	if err != nil {
		return nil, err
	}
	days := 30
	if in.PendingWindowInDays != nil {
		days = *in.PendingWindowInDays
	}
	switch {
	case days < 7 || days > 30:
		return nil, fault{"ValidationException", "PendingWindowInDays must be between 7 and 30"}
	case k.State == PendingDeletion:
		return nil, fault{"KMSInvalidStateException", k.ARN() + " is pending deletion."}
	}
	k.State, k.deletion = PendingDeletion, time.Now().AddDate(0, 0, days)
	return map[string]any{"KeyId": k.ARN(), "KeyState": k.State, "DeletionDate": k.deletion.Unix(), "PendingWindowInDays": days}, nil
}
