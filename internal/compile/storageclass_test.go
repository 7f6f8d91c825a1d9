package compile

import (
	"slices"
	"strings"
	"testing"

	storagev1 "k8s.io/api/storage/v1"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/test/fixture"
)

func TestJudgeStorageClass(t *testing.T) {
	const (
		ebs, pd, azure = "ebs.csi.aws.com", "pd.csi.storage.gke.io", "disk.csi.azure.com"
		arn            = "arn:aws:kms:us-east-1:111122223333:"
	)
	type parameters = map[string]string
	for name, c := range map[string]struct {
		provisioner string
		parameters  parameters
		want        VolumeEncryption
	}{
		"ebs":                                   {ebs, nil, NotEncrypted},
		"ebs, type only":                        {ebs, parameters{"type": "gp3"}, NotEncrypted},
		"ebs, encrypted":                        {ebs, parameters{"encrypted": "true"}, ProviderManaged},
		"ebs, encrypted with a key":             {ebs, parameters{"encrypted": "true", "kmsKeyId": arn + "key/1"}, CustomerKey},
		"ebs, names in another case":            {ebs, parameters{"Encrypted": "true", "KMSKEYID": arn + "key/1"}, CustomerKey},
		"ebs, encrypted with the key of AWS":    {ebs, parameters{"encrypted": "true", "kmsKeyId": "alias/aws/ebs"}, ProviderManaged},
		"ebs, the key of AWS by ARN":            {ebs, parameters{"encrypted": "true", "kmsKeyId": arn + "alias/aws/ebs"}, ProviderManaged},
		"ebs, an alias of one's own":            {ebs, parameters{"encrypted": "true", "kmsKeyId": arn + "alias/ebs"}, CustomerKey},
		"ebs, a key and not encrypted":          {ebs, parameters{"kmsKeyId": arn + "key/1"}, NotEncrypted},
		"ebs, encrypted in words of another":    {ebs, parameters{"encrypted": "True", "kmsKeyId": arn + "key/1"}, NotEncrypted},
		"ebs, encrypted false":                  {ebs, parameters{"encrypted": "false", "kmsKeyId": arn + "key/1"}, NotEncrypted},
		"ebs, both":                             {ebs, parameters{"encrypted": "true", "Encrypted": "false", "kmsKeyId": arn + "key/1"}, UnknownEncryption},
		"ebs, the file system's encryption":     {ebs, parameters{"ext4EncryptionSupport": "true"}, NotEncrypted},
		"pd":                                    {pd, nil, ProviderManaged},
		"pd, a key":                             {pd, parameters{"disk-encryption-kms-key": "projects/p/locations/l/keyRings/r/cryptoKeys/k"}, CustomerKey},
		"pd, an empty key":                      {pd, parameters{"disk-encryption-kms-key": ""}, ProviderManaged},
		"azure":                                 {azure, nil, ProviderManaged},
		"azure, a set":                          {azure, parameters{"diskEncryptionSetID": "/subscriptions/x"}, CustomerKey},
		"azure, a set in another case":          {azure, parameters{"diskencryptionsetid": "/subscriptions/x"}, CustomerKey},
		"azure, both keys":                      {azure, parameters{"diskEncryptionSetID": "/s", "diskEncryptionType": "EncryptionAtRestWithPlatformAndCustomerKeys"}, CustomerKey},
		"azure, a set and the customer's key":   {azure, parameters{"diskEncryptionSetID": "/s", "diskEncryptionType": "EncryptionAtRestWithCustomerKey"}, CustomerKey},
		"azure, a set and the platform's key":   {azure, parameters{"diskEncryptionSetID": "/s", "diskEncryptionType": "EncryptionAtRestWithPlatformKey"}, UnknownEncryption},
		"azure, a type and no set":              {azure, parameters{"diskEncryptionType": "EncryptionAtRestWithCustomerKey"}, ProviderManaged},
		"another provisioner":                   {"rbd.csi.ceph.com", parameters{"encrypted": "true", "kmsKeyId": "x"}, UnknownEncryption},
		"a provisioner that begins alike":       {"ebs.csi.aws.com.example", parameters{"encrypted": "true", "kmsKeyId": "x"}, UnknownEncryption},
		"the parameters of another provisioner": {pd, parameters{"encrypted": "true", "kmsKeyId": "x"}, ProviderManaged},
	} {
		got := JudgeStorageClass(&storagev1.StorageClass{Provisioner: c.provisioner, Parameters: c.parameters})
		if got.Encryption != c.want || !strings.Contains(got.Found, c.provisioner) {
			t.Errorf("%s: %s (%s), want %s", name, got.Encryption, got.Found, c.want)
		}
	}
}

// TestStorageClassesOfATenant: which classes its claims may name, and what is said of the others.
func TestStorageClassesOfATenant(t *testing.T) {
	classes := map[string]StorageClass{
		"own-key": {CustomerKey, "a key"}, "cloud-key": {ProviderManaged, "no key"}, "bare": {NotEncrypted, "nothing"}, "odd": {UnknownEncryption, "who knows"},
	}
	everything := []string{"own-key", "cloud-key", "bare", "odd", "gone"}
	for name, c := range map[string]struct {
		rules    *v1alpha1.StorageClassRules
		asked    []string
		classes  map[string]StorageClass
		want     string
		findings []string
	}{
		"no rules":     {nil, nil, classes, "", nil},
		"not required": {&v1alpha1.StorageClassRules{Allowed: everything}, nil, classes, "bare,cloud-key,gone,odd,own-key", []string{"Warning StorageClassNotEncrypted volumes of storage class bare"}},
		"required": {&v1alpha1.StorageClassRules{Allowed: everything, RequireCustomerKey: true}, nil, classes, "own-key", []string{
			"Warning StorageClassNotCustomerKey claims may not name storage class bare: storageClasses.requireCustomerKey of profile default asks for a key the customer controls (CustomerKey), found NotEncrypted (nothing)",
			"Warning StorageClassNotCustomerKey claims may not name storage class cloud-key: storageClasses.requireCustomerKey of profile default asks for a key the customer controls (CustomerKey), found ProviderManaged (no key)",
			"Warning StorageClassNotCustomerKey claims may not name storage class odd: storageClasses.requireCustomerKey of profile default asks for a key the customer controls (CustomerKey), found Unknown (who knows)",
			"Info StorageClassMissing storage class gone does not exist",
		}},
		"required, of those it asks for": {&v1alpha1.StorageClassRules{Allowed: everything, RequireCustomerKey: true}, []string{"own-key", "odd"}, classes, "own-key", []string{"Warning StorageClassNotCustomerKey claims may not name storage class odd"}},
		"required, none exists":          {&v1alpha1.StorageClassRules{Allowed: []string{"gone"}, RequireCustomerKey: true}, nil, map[string]StorageClass{}, "", []string{"Info StorageClassMissing"}},
		"required, not read":             {&v1alpha1.StorageClassRules{Allowed: everything, RequireCustomerKey: true}, nil, nil, "bare,cloud-key,gone,odd,own-key", nil},
	} {
		t.Run(name, func(t *testing.T) {
			profile := fixture.Profile("default", func(p *v1alpha1.HIPAAProfile) { p.Spec.StorageClasses = c.rules })
			tenant := fixture.Tenant("acme", func(t *v1alpha1.HIPAATenant) { t.Spec.Encryption.StorageClasses = c.asked })
			facts := factsFor(profile)
			facts.StorageClasses = c.classes
			p := Compile(tenant, facts)
			if got := factOf(t, p, "acme", v1alpha1.AnnotationStorageClasses); got != c.want {
				t.Errorf("claims may name %q, want %q", got, c.want)
			}
			if got := joined(p.Effective.StorageClasses); got != c.want {
				t.Errorf("effective classes %q, want %q", got, c.want)
			}
			var said []string
			for _, f := range p.Findings {
				said = append(said, string(f.Severity)+" "+f.Code+" "+f.Message)
			}
			if !slices.EqualFunc(said, c.findings, strings.HasPrefix) {
				t.Errorf("findings\n%s\nwant those that begin with\n%s", strings.Join(said, "\n"), strings.Join(c.findings, "\n"))
			}
		})
	}
}
