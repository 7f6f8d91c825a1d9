package compile

import (
	"slices"
	"strings"
	"testing"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/test/fixture"
)

// TestAllows: nothing in a key URI gets it around a pattern.
func TestAllows(t *testing.T) {
	for _, tc := range []struct {
		pattern, uri string
		want         bool
	}{
		{"vault://*", "vault://transit/acme", true},
		{"vault://*", "awskms://alias/acme", false},
		{"vault://*", "awskms://alias/acme?x=vault://y", false},
		{"vault://*", "VAULT://transit/acme", false},
		{"awskms://*", "awskms://alias/acme?region=us-east-1", true},
		{"vault://transit/acme", "vault://transit/acme?scope=tenant", true},
		{"*/prod", "vault://transit/dev?region=/prod", false},
		{"vault://*/prod", "vault://transit/dev?x=/prod", false},
		{"vault://transit/*-prod", "vault://transit/dev?scope=tenant&x=-prod", false},
		{"awskms://*?region=us-*", "awskms://key?region=us-east-1", true},
		{"awskms://*?region=us-*", "awskms://key?region=eu-west-1", false},
		{"awskms://*?region=us-*", "awskms://key", false},
		{"awskms://*?region=us-*", "awskms://key?x=y&region=us-east-1", false},
		{"awskms://*:alias/a?region=us-east-1", "awskms://arn:alias/b?region=:alias/a?region=us-east-1", false},
	} {
		if got := allows(tc.pattern, tc.uri); got != tc.want {
			t.Errorf("allows(%q, %q) = %t, want %t", tc.pattern, tc.uri, got, tc.want)
		}
	}
}

// keyPlan is the verdict on a key URI under a profile that permits software keys or not.
func keyPlan(uri string, software bool, told string) *Plan {
	tenant := fixture.Tenant("acme", func(t *v1alpha1.HIPAATenant) { t.Spec.Encryption.KeyURI = uri })
	f := factsFor(fixture.Profile(v1alpha1.DefaultProfile))
	f.KeyRegion = told
	f.Profile.Spec.Keys.AllowedURIs, f.Profile.Spec.Keys.AllowSoftwareKeys = []string{"*"}, software
	return Check(tenant, f)
}

func TestSoftwareKeys(t *testing.T) {
	for _, tc := range []struct {
		uri      string
		software bool
		refused  bool
	}{
		{"local://acme", true, false},
		{"local://acme", false, true},
		{"LOCAL://acme", false, true},
		{"local:acme", false, true},
		{"vault://transit/local", false, false},
	} {
		p := keyPlan(tc.uri, tc.software, "")
		if got := slices.ContainsFunc(p.Findings, func(f v1alpha1.Finding) bool { return f.Code == CodeSoftwareKeyNotAllowed }); got != tc.refused {
			t.Errorf("%s, software keys %t: refused %t, want %t", tc.uri, tc.software, got, tc.refused)
		}
	}
}

func TestKeyRegion(t *testing.T) {
	for _, tc := range []struct {
		uri, told string // by the KMS
		named     string // by the key URI
		by        string // who is held against it; empty when nobody is
	}{
		{"vault://transit/acme", "", "", ""},
		{"vault://transit/acme?region=us-east-1", "", "us-east-1", ""},
		{"vault://transit/acme?region=US-EAST-1", "", "US-EAST-1", ""},
		{"vault://transit/acme?region=eu-west-1", "", "eu-west-1", "the key URI"},
		{"vault://transit/acme?region=eu/west", "", "", ""}, // malformed: the keyring says so
		{"vault://transit/acme", "us-east-1", "", ""},
		{"vault://transit/acme", "eu-west-1", "", "the KMS"},
		{"vault://transit/acme?region=us-east-1", "eu-west-1", "us-east-1", "the KMS"},
		{"vault://transit/acme", "global", "", "the KMS"},
		{"awskms://arn:aws:kms:us-east-1:111122223333:key/1", "", "us-east-1", ""},
		{"awskms://arn:aws:kms:eu-west-1:111122223333:key/1", "", "eu-west-1", "the key URI"},
		{"awskms://alias/acme?region=eu-west-1", "", "eu-west-1", "the key URI"},
		{"awskms://alias/acme", "", "", ""},
		{"gcpkms://projects/p/locations/us-east-1/keyRings/r/cryptoKeys/k", "", "us-east-1", ""},
		{"gcpkms://projects/p/locations/global/keyRings/r/cryptoKeys/k", "", "global", "the key URI"},
		{"azurekeyvault://v/keys/k", "", "", ""},
		{"kmsv2+unix:///run/kms.sock?region=eu-west-1", "", "eu-west-1", "the key URI"},
	} {
		p := keyPlan(tc.uri, true, tc.told)
		i := slices.IndexFunc(p.Findings, func(f v1alpha1.Finding) bool { return f.Code == CodeKeyRegionForeign })
		if p.KeyRegion != tc.named || (i >= 0) != (tc.by != "") || p.Writable() == (i >= 0) {
			t.Errorf("%s, the KMS says %q: region %q, findings %v; want region %q, held against it by %q", tc.uri, tc.told, p.KeyRegion, p.Findings, tc.named, tc.by)
			continue
		}
		if i >= 0 && (!strings.HasPrefix(p.Findings[i].Message, tc.by) || p.Findings[i].Severity != v1alpha1.SeverityError) {
			t.Errorf("%s: %+v", tc.uri, p.Findings[i])
		}
	}
}
