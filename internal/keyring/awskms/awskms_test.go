package awskms

import (
	"bytes"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"k8s.io/utils/clock"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/keyringtest"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/keyringtest/fakeaws"
)

// These tests run against a fake of AWS KMS (keyringtest/fakeaws), which verifies signatures and really encrypts.

const region = "us-east-1"

// at is a provider with the test's credentials whose KMS is at this address.
func at(url string) *Provider {
	return New(clock.RealClock{}, config.WithBaseEndpoint(url), with(fakeaws.AccessKey, fakeaws.SecretKey, ""))
}

func with(access, secret, session string) func(*config.LoadOptions) error {
	return config.WithCredentialsProvider(credentials.NewStaticCredentialsProvider(access, secret, session))
}

// silent accepts connections and never answers.
func silent(t *testing.T) *Provider {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return at("http://" + l.Addr().String())
}

func uri(arn string) string { return "awskms://" + arn }

func ref(t *testing.T, arn string) keyring.KeyRef {
	t.Helper()
	return keyringtest.Ref(t, uri(arn))
}

var malformed = []string{
	"awskms://acme",
	"awskms://alias/acme", // which region?
	"awskms://alias/acme?region=us-east-1.evil.example", // not where credentials are sent
	"awskms://alias/acme?region=nowhere",
	"awskms://alias/acme?region=us-east-1&profile=admin",
	"awskms://00000000-0000-4000-8000-000000000001?region=us-east-1", // of which account?
	"awskms://arn:aws:kms:us-east-1:111122223333:key/1?region=us-west-2",
	"awskms://arn:aws:s3:us-east-1:111122223333:key/1",
	"awskms://arn:aws:kms::111122223333:key/1",
	"awskms://arn:aws:kms:us-east-1:1:key/1",
	"awskms://arn:aws:kms:us-east-1:111122223333:key/1?deletionDays=6",
	"awskms://arn:aws:kms:us-east-1:111122223333:key/1?deletionDays=31",
	"awskms://arn:aws:kms:us-east-1:111122223333:key/1?deletionDays=soon",
}

func TestContract(t *testing.T) {
	f := fakeaws.Start(t)
	var variants []keyringtest.Harness
	for _, name := range []string{"arn", "alias", "alias-arn", "custom-key-store"} {
		arn := f.Add(fakeaws.Key{Region: region, WithoutMaterialIDs: name == "custom-key-store"}, name)
		h := keyringtest.Harness{
			Variant: name, Provider: at(f.URL), Usable: uri(arn),
			Other:     uri(f.Create(region, "")),
			Unknown:   "awskms://alias/unknown?region=us-east-1",
			Malformed: malformed, Dead: silent(t),
			Rotate: func(*testing.T) { f.Rotate(arn) },
			Doomed: uri(f.Create(region, "doomed-"+name)),
		}
		switch name {
		case "alias":
			h.Usable, h.Doomed = "awskms://alias/alias?region=us-east-1", "awskms://alias/doomed-alias?region=us-east-1&deletionDays=7&scope=tenant"
		case "alias-arn":
			h.Usable = "awskms://arn:aws:kms:us-east-1:" + fakeaws.Account + ":alias/alias-arn"
		case "custom-key-store":
			h.Rotate = nil // KMS rotates no key whose material is elsewhere
		}
		variants = append(variants, h)
	}
	keyringtest.Contract(t, variants...)
}

func TestTraits(t *testing.T) {
	p := New(clock.RealClock{})
	if p.Scheme() != "awskms" || p.Assurance() != v1alpha1.ReasonKMSWrapped {
		t.Errorf("scheme %q, assurance %q; expected awskms, KMSWrapped", p.Scheme(), p.Assurance())
	}
	here, there := keyringtest.Ref(t, "awskms://alias/a?region=us-east-1"), keyringtest.Ref(t, "awskms://alias/a?region=eu-west-1")
	if p.Endpoint(here) != p.Endpoint(ref(t, "arn:aws:kms:us-east-1:111122223333:key/b")) || p.Endpoint(here) == p.Endpoint(there) {
		t.Error("expected one endpoint for each region, whatever the key")
	}
	if len(p.backends) != 0 {
		t.Error("a provider that was asked for no key has made a client")
	}
}

// What Describe tells, and what it refuses.
func TestDescribe(t *testing.T) {
	f := fakeaws.Start(t)
	gone := time.Now().AddDate(0, 0, 30)
	for _, tc := range []struct {
		name    string
		key     fakeaws.Key
		want    keyring.KeyInfo
		refusal string
	}{
		{"enabled", fakeaws.Key{}, keyring.KeyInfo{Enabled: true, ProtectionLevel: keyring.ProtectionHSM, Region: region}, ""},
		{"CloudHSM", fakeaws.Key{Origin: "AWS_CLOUDHSM"}, keyring.KeyInfo{Enabled: true, ProtectionLevel: keyring.ProtectionHSM, Region: region}, ""},
		{"imported", fakeaws.Key{Origin: "EXTERNAL"}, keyring.KeyInfo{Enabled: true, Region: region}, ""},
		{"external store", fakeaws.Key{Origin: "EXTERNAL_KEY_STORE"}, keyring.KeyInfo{Enabled: true, Region: region}, ""},
		{"disabled", fakeaws.Key{State: fakeaws.Disabled}, keyring.KeyInfo{ProtectionLevel: keyring.ProtectionHSM, Region: region}, ""},
		{"updating", fakeaws.Key{State: "Updating"}, keyring.KeyInfo{Enabled: true, ProtectionLevel: keyring.ProtectionHSM, Region: region}, ""},
		{"replicas are going", fakeaws.Key{State: "PendingReplicaDeletion"}, keyring.KeyInfo{ProtectionLevel: keyring.ProtectionHSM, Region: region}, ""},
		{"multi-region", fakeaws.Key{MultiRegion: true, Replicas: []string{"us-west-2", "eu-west-1"}},
			keyring.KeyInfo{Enabled: true, ProtectionLevel: keyring.ProtectionHSM, Region: "multi-region eu-west-1,us-east-1,us-west-2"}, ""},
		{"multi-region alone", fakeaws.Key{MultiRegion: true}, keyring.KeyInfo{Enabled: true, ProtectionLevel: keyring.ProtectionHSM, Region: "multi-region us-east-1"}, ""},
		{"asymmetric", fakeaws.Key{Spec: "RSA_4096"}, keyring.KeyInfo{}, "RSA_4096"},
		{"for MACs", fakeaws.Key{Spec: "HMAC_256", Usage: "GENERATE_VERIFY_MAC"}, keyring.KeyInfo{}, "aws kms create-key"},
		{"managed by AWS", fakeaws.Key{Manager: "AWS"}, keyring.KeyInfo{}, "customer managed"},
		{"without material", fakeaws.Key{State: "PendingImport"}, keyring.KeyInfo{}, "PendingImport"},
		{"store disconnected", fakeaws.Key{State: "Unavailable"}, keyring.KeyInfo{}, "Unavailable"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.key.Region = region
			arn := f.Add(tc.key, "")
			info, err := at(f.URL).Describe(t.Context(), ref(t, arn))
			if tc.refusal != "" {
				keyringtest.Expect(t, err, keyring.Refused)
				if err != nil && !strings.Contains(err.Error(), tc.refusal) {
					t.Errorf("%v; expected it to say %q", err, tc.refusal)
				}
				return
			}
			tc.want.ID, tc.want.Exists, tc.want.Derived, tc.want.Version = arn, true, true, info.Version
			if err != nil || info != tc.want || info.Version == "" {
				t.Errorf("%+v, error %v; expected %+v", info, err, tc.want)
			}
		})
	}
	t.Run("pending deletion", func(t *testing.T) {
		p, arn := at(f.URL), f.Create(region, "")
		if _, err := p.Destroy(t.Context(), ref(t, arn)); err != nil {
			t.Fatal(err)
		}
		info, err := p.Describe(t.Context(), ref(t, arn))
		if err != nil || info.Enabled || info.DestroyedAt.Sub(gone).Abs() > time.Minute {
			t.Errorf("%+v, error %v; expected a key that is not enabled and destroyed at about %s", info, err, gone)
		}
	})
}

// An alias is another name of the same key.
func TestAliasIsResolved(t *testing.T) {
	f := fakeaws.Start(t)
	arn := f.Create(region, "team/acme")
	info, err := at(f.URL).Describe(t.Context(), keyringtest.Ref(t, "awskms://alias/team/acme?region=us-east-1"))
	if err != nil || info.ID != arn {
		t.Errorf("ID %q, error %v; expected %s", info.ID, err, arn)
	}
}

// An alias that names another key now opens nothing of the old one, and the error says why.
func TestAliasThatMoved(t *testing.T) {
	f := fakeaws.Start(t)
	f.Create(region, "acme")
	p, alias := at(f.URL), keyringtest.Ref(t, "awskms://alias/acme?region=us-east-1")
	wrapped, _, err := p.Wrap(t.Context(), alias, make([]byte, 32), keyringtest.Binding())
	if err != nil {
		t.Fatal(err)
	}
	f.Point(region, "acme", f.Create(region, ""))
	_, err = p.Unwrap(t.Context(), alias, wrapped, keyringtest.Binding())
	keyringtest.Expect(t, err, keyring.Foreign)
	if err != nil && !strings.Contains(err.Error(), "alias") {
		t.Errorf("%v; expected a word about the alias", err)
	}
}

// KMS sees the binding in readable names, and the signature is for the key's region.
func TestWhatKMSIsTold(t *testing.T) {
	f := fakeaws.Start(t)
	p, r := at(f.URL), ref(t, f.Create("eu-central-1", ""))
	wrapped, _, err := p.Wrap(t.Context(), r, make([]byte, 32), keyringtest.Binding())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Unwrap(t.Context(), r, wrapped, keyringtest.Binding()); err != nil {
		t.Fatal(err)
	}
	if _, _, err := p.Rewrap(t.Context(), r, wrapped, keyringtest.Binding()); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"hipaa.cluster": "c1", "hipaa.tenant": "acme", "hipaa.tenant-uid": "t1", "hipaa.namespace": "acme-app",
		"hipaa.secret": "hipaa-keyset", "hipaa.key": "default", "hipaa.version": "1",
	}
	asked := map[string]bool{}
	for _, call := range f.Calls() {
		asked[call.Operation] = true
		if call.Region != "eu-central-1" {
			t.Errorf("%s was signed for region %s; expected eu-central-1", call.Operation, call.Region)
		}
		if call.Operation == "DescribeKey" {
			continue
		}
		for name, value := range want {
			if call.Context[name] != value || len(call.Context) != len(want) {
				t.Errorf("%s with context %v; expected %v", call.Operation, call.Context, want)
				break
			}
		}
	}
	if !asked["Encrypt"] || !asked["Decrypt"] || !asked["ReEncrypt"] {
		t.Errorf("operations %v; expected Encrypt, Decrypt and ReEncrypt among them", asked)
	}
}

// A rotation between looking at the key and using it must not hide that what was wrapped is of an older version.
func TestVersions(t *testing.T) {
	f := fakeaws.Start(t)
	arn := f.Create(region, "")
	p, r, key := at(f.URL), ref(t, arn), bytes.Repeat([]byte{7}, 32)
	first, before, err := p.Wrap(t.Context(), r, key, keyringtest.Binding())
	if err != nil {
		t.Fatal(err)
	}
	f.Rotate(arn)
	f.Rotate(arn)
	info, err := p.Describe(t.Context(), r)
	if err != nil || info.Version == before {
		t.Errorf("version %q after two rotations, error %v; expected another than %q", info.Version, err, before)
	}
	if got, err := p.Unwrap(t.Context(), r, first, keyringtest.Binding()); err != nil || !bytes.Equal(got, key) {
		t.Errorf("what the first version wrapped: %d bytes, error %v", len(got), err)
	}
	if _, version, err := p.Rewrap(t.Context(), r, first, keyringtest.Binding()); err != nil || version != info.Version {
		t.Errorf("rewrapped with version %q, error %v; expected %q", version, err, info.Version)
	}
}

func TestMain(m *testing.M) {
	// Nothing of the machine may come between the tests and their loopback servers.
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); strings.HasPrefix(name, "AWS_") || strings.HasSuffix(strings.ToUpper(name), "_PROXY") {
			_ = os.Unsetenv(name)
		}
	}
	_ = os.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	_ = os.Setenv("AWS_CONFIG_FILE", os.DevNull)
	_ = os.Setenv("AWS_SHARED_CREDENTIALS_FILE", os.DevNull)
	os.Exit(m.Run())
}
