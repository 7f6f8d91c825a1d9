package keyring_test

import (
	"strings"
	"testing"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/keyringtest"
)

func TestParseKeyURI(t *testing.T) {
	for _, tc := range []struct{ uri, scheme, path, id, scope string }{
		{"vault://transit/acme", "vault", "transit/acme", "transit/acme", ""},
		{"vault://team-a/transit/acme?scope=tenant", "vault", "team-a/transit/acme", "team-a/transit/acme", "tenant"},
		{"local://dev", "local", "dev", "dev", ""},
		{
			"awskms://arn:aws:kms:us-east-1:123456789012:key/0b1c?region=us-east-1", "awskms",
			"arn:aws:kms:us-east-1:123456789012:key/0b1c", "arn:aws:kms:us-east-1:123456789012:key/0b1c?region=us-east-1", "",
		},
		{"awskms://alias/acme?scope=tenant&region=eu-west-1&endpoint=x", "awskms", "alias/acme", "alias/acme?endpoint=x&region=eu-west-1", "tenant"},
		{"gcpkms://projects/p/locations/l/keyRings/r/cryptoKeys/k", "gcpkms", "projects/p/locations/l/keyRings/r/cryptoKeys/k", "projects/p/locations/l/keyRings/r/cryptoKeys/k", ""},
		{"azurekeyvault://acme/keys/k", "azurekeyvault", "acme/keys/k", "acme/keys/k", ""},
		{"kmsv2+unix:///run/kms.sock", "kmsv2+unix", "/run/kms.sock", "/run/kms.sock", ""},
	} {
		t.Run(tc.uri, func(t *testing.T) {
			ref, err := keyring.ParseKeyURI(tc.uri)
			if err != nil {
				t.Fatal(err)
			}
			if ref.Scheme != tc.scheme || ref.Path != tc.path || ref.ID() != tc.id || ref.Scope != tc.scope {
				t.Errorf("%+v with ID %q; expected %+v", ref, ref.ID(), tc)
			}
			again, err := keyring.ParseKeyURI(ref.URI())
			if err != nil || again.ID() != ref.ID() || again.Scheme != ref.Scheme {
				t.Errorf("%q read again: %+v, error %v; expected the same key", ref.URI(), again, err)
			}
		})
	}
}

func TestParseKeyURIRefuses(t *testing.T) {
	for _, uri := range []string{
		"", "acme", "://acme", "vault:transit/acme", "Vault://transit/acme", "va ult://x", "vault://", "vault://?x=y",
		"vault://transit/../sys/raw", "vault://./acme", "vault://transit//acme", "vault://transit/acme/", "vault:////x", "vault:///",
		"vault://transit/ac%6de", "vault://transit/a b", "vault://transit/acme#x", "vault://transit/acme?x=y#z", "vault://transit/\u0430cme",
		"vault://user:password@vault/transit/acme", "vault://transit/acme?scope=cluster", "vault://transit/acme?scope=",
		"vault://transit/acme?a=1&a=2", "vault://transit/acme?scope=tenant&scope=tenant", "vault://transit/acme?a=%zz", "vault://transit/acme?a;b",
		"vault://transit/a\nb", "vault://transit/a\x00b", "vault://transit/" + strings.Repeat("a", 512),
	} {
		t.Run(uri, func(t *testing.T) {
			ref, err := keyring.ParseKeyURI(uri)
			if err == nil {
				t.Fatalf("read as %+v; expected a refusal", ref)
			}
			keyringtest.Expect(t, err, keyring.Unsupported, []byte("user:password"))
		})
	}
}

// What was read once is read the same again, and never names a path outside itself.
func FuzzParseKeyURI(f *testing.F) {
	for _, seed := range []string{"vault://transit/acme?scope=tenant", "awskms://arn:aws:kms:r:1:key/x?region=r", "kmsv2+unix:///a/b", "x://a/../b", "x://%2e"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, uri string) {
		ref, err := keyring.ParseKeyURI(uri)
		if err != nil {
			keyringtest.Expect(t, err, keyring.Unsupported)
			return
		}
		for segment := range strings.SplitSeq(strings.TrimPrefix(ref.Path, "/"), "/") {
			if segment == "" || segment == "." || segment == ".." {
				t.Errorf("%q has segment %q", uri, segment)
			}
		}
		again, err := keyring.ParseKeyURI(ref.URI())
		if len(ref.URI()) <= 512 && (err != nil || again.URI() != ref.URI()) {
			t.Errorf("%q gives %q, and that gives %q, error %v", uri, ref.URI(), again.URI(), err)
		}
	})
}
