package compile

import (
	"strings"

	storagev1 "k8s.io/api/storage/v1"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
)

// VolumeEncryption says with whose key the volumes of a storage class are encrypted.
type VolumeEncryption string

// Encryption of volumes.
const (
	// CustomerKey: with a key the customer controls.
	CustomerKey VolumeEncryption = "CustomerKey"
	// ProviderManaged: with a key of the cloud's own.
	ProviderManaged VolumeEncryption = "ProviderManaged"
	// NotEncrypted: the class does not ask for it.
	NotEncrypted VolumeEncryption = "NotEncrypted"
	// UnknownEncryption: the provisioner is none of those whose parameters are known.
	UnknownEncryption VolumeEncryption = "Unknown"
)

// StorageClass is a storage class that exists.
type StorageClass struct {
	// Encryption of the volumes made of it from now on.
	Encryption VolumeEncryption `json:"encryption"`
	// Found says why, for people.
	Found string `json:"found"`
}

// JudgeStorageClass reads from its parameters how the volumes of a class are encrypted. The drivers compare the names of
// parameters without regard to case; one that is given twice may mean either.
func JudgeStorageClass(class *storagev1.StorageClass) StorageClass {
	judge, known := map[string]func(map[string]string) StorageClass{
		"ebs.csi.aws.com":       judgeEBS,
		"pd.csi.storage.gke.io": judgePD,
		"disk.csi.azure.com":    judgeAzureDisk,
	}[class.Provisioner]
	if !known {
		return StorageClass{UnknownEncryption, "provisioner " + class.Provisioner + " is not one whose parameters are known"}
	}
	parameters := make(map[string]string, len(class.Parameters))
	for name, value := range class.Parameters {
		name = strings.ToLower(name)
		if _, twice := parameters[name]; twice {
			return StorageClass{UnknownEncryption, class.Provisioner + " with parameter " + name + " given twice, in different case"}
		}
		parameters[name] = value
	}
	c := judge(parameters)
	c.Found = class.Provisioner + " with " + c.Found
	return c
}

// judgeEBS goes by https://github.com/kubernetes-sigs/aws-ebs-csi-driver/blob/master/docs/parameters.md. An account that
// encrypts by default does so unseen.
func judgeEBS(p map[string]string) StorageClass {
	key := p["kmskeyid"]
	switch {
	case p["encrypted"] != "true":
		return StorageClass{NotEncrypted, `encrypted not "true"`}
	case key == "":
		return StorageClass{ProviderManaged, "encrypted, without kmsKeyId: the account's default key"}
	case key == "alias/aws/ebs" || strings.HasSuffix(key, ":alias/aws/ebs"):
		return StorageClass{ProviderManaged, "encrypted, kmsKeyId alias/aws/ebs: the key of AWS"}
	}
	return StorageClass{CustomerKey, "encrypted, with kmsKeyId"}
}

// judgePD goes by https://github.com/kubernetes-sigs/gcp-compute-persistent-disk-csi-driver: Google encrypts every disk.
func judgePD(p map[string]string) StorageClass {
	if p["disk-encryption-kms-key"] == "" {
		return StorageClass{ProviderManaged, "no disk-encryption-kms-key: a key of Google"}
	}
	return StorageClass{CustomerKey, "disk-encryption-kms-key"}
}

// judgeAzureDisk goes by https://github.com/kubernetes-sigs/azuredisk-csi-driver/blob/master/docs/driver-parameters.md:
// Azure encrypts every disk.
func judgeAzureDisk(p map[string]string) StorageClass {
	if p["diskencryptionsetid"] == "" {
		return StorageClass{ProviderManaged, "no diskEncryptionSetID: a key of Azure"}
	}
	switch kind := p["diskencryptiontype"]; kind {
	case "", "EncryptionAtRestWithCustomerKey", "EncryptionAtRestWithPlatformAndCustomerKeys":
		return StorageClass{CustomerKey, "diskEncryptionSetID"}
	default:
		return StorageClass{UnknownEncryption, "diskEncryptionSetID, and diskEncryptionType " + kind + ", which is not known"}
	}
}

// judgeClasses takes from the classes that claims may name those that are not known to encrypt as the profile requires
// (45 CFR 164.312(a)(2)(iv)). None of it is an error: the tenant keeps what it has, and makes no further volumes of them.
func (r *resolved) judgeClasses(f Facts, p *Plan) {
	const path = "spec.encryption.storageClasses"
	if f.StorageClasses == nil || r.profile.Spec.StorageClasses == nil {
		return
	}
	required := r.profile.Spec.StorageClasses.RequireCustomerKey
	var usable []string
	for _, name := range r.classes {
		class, exists := f.StorageClasses[name]
		switch {
		case required && !exists:
			p.find(v1alpha1.SeverityInfo, CodeStorageClassMissing, path, "storage class %s does not exist: claims may name it once it does, "+
				"and encrypts with a key the customer controls", name)
			continue
		case required && class.Encryption != CustomerKey:
			p.find(v1alpha1.SeverityWarning, CodeStorageClassNotCustomerKey, path, "claims may not name storage class %s: storageClasses.requireCustomerKey of profile %s "+
				"asks for a key the customer controls (CustomerKey), found %s (%s)", name, r.profile.Name, class.Encryption, class.Found)
			continue
		case exists && class.Encryption == NotEncrypted:
			p.find(v1alpha1.SeverityWarning, CodeStorageClassNotEncrypted, path,
				"volumes of storage class %s are not known to be encrypted (%s): ask for it in the class's parameters, or take the class off the list", name, class.Found)
		}
		usable = append(usable, name)
	}
	r.classes = usable
}
