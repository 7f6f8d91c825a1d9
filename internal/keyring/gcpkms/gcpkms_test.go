package gcpkms

import (
	"bytes"
	"net"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/kms/apiv1/kmspb"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/keyringtest"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/keyringtest/fakegcpkms"
)

// These tests run against a fake (keyringtest/fakegcpkms), under an identity found by Google's default chain.

func provider(t *testing.T, f *fakegcpkms.KMS) *Provider {
	t.Helper()
	p, err := New(Config{Endpoint: f.Endpoint, CAFile: f.CAFile})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// silent accepts connections and never answers.
func silent(t *testing.T) *Provider {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	p, err := New(Config{Endpoint: l.Addr().String()})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

const folder = "gcpkms://projects/p/locations/us-east1/keyRings/r/cryptoKeys"

func TestContract(t *testing.T) {
	f := fakegcpkms.Start(t).Use(t)
	acme := f.Create("us-east1", "acme")
	keyringtest.Contract(t, keyringtest.Harness{
		Provider: provider(t, f), Usable: acme, Other: f.Create("us-east1", "globex"), Unknown: folder + "/unknown",
		Malformed: []string{
			"gcpkms://acme", "gcpkms://projects/p/locations/us-east1/keyRings/r", folder + "/a.b", folder + "/acme/cryptoKeyVersions/1",
			folder + "/acme?version=1", "gcpkms:///projects/p/locations/us-east1/keyRings/r/cryptoKeys/acme", folder + "/" + strings.Repeat("k", 64),
			"gcpkms://projects/P/locations/us-east1/keyRings/r/cryptoKeys/acme",
		},
		Dead:   silent(t),
		Rotate: func(*testing.T) { f.Rotate(acme) },
		Doomed: f.Create("us-east1", "doomed"),
	})
}

func ref(t *testing.T, uri string) keyring.KeyRef { return keyringtest.Ref(t, uri) }

func TestTraits(t *testing.T) {
	p := silent(t)
	if p.Scheme() != "gcpkms" || p.Assurance() != v1alpha1.ReasonKMSWrapped {
		t.Errorf("scheme %q, assurance %q", p.Scheme(), p.Assurance())
	}
	east, also := ref(t, "gcpkms://"+fakegcpkms.Name("us-east1", "a")), ref(t, "gcpkms://"+fakegcpkms.Name("us-east1", "b"))
	if west := ref(t, "gcpkms://"+fakegcpkms.Name("us-west1", "a")); p.Endpoint(east) != p.Endpoint(also) || p.Endpoint(east) == p.Endpoint(west) {
		t.Error("expected one endpoint for each location")
	}
}

// What Describe says of a key, and what it refuses.
func TestDescribe(t *testing.T) {
	f := fakegcpkms.Start(t).Use(t)
	p := provider(t, f)
	f.Add("us", "hsm", fakegcpkms.Key{Level: kmspb.ProtectionLevel_HSM})
	f.Add("global", "ekm", fakegcpkms.Key{Level: kmspb.ProtectionLevel_EXTERNAL})
	f.Add("us-east1", "signs", fakegcpkms.Key{Purpose: kmspb.CryptoKey_ASYMMETRIC_SIGN})
	f.SetState(f.Create("us-east1", "bare"), 0, 0)
	f.Rotate(f.Create("us-east1", "soft"))
	f.SetState(f.Create("us-east1", "off"), 1, kmspb.CryptoKeyVersion_DISABLED)
	f.SetState(f.Create("us-east1", "unmade"), 1, kmspb.CryptoKeyVersion_PENDING_GENERATION)
	for key, want := range map[string]keyring.KeyInfo{
		fakegcpkms.Name("us-east1", "soft"):   {Exists: true, Enabled: true, Derived: true, Version: "2", ProtectionLevel: "Software", Region: "us-east1"},
		fakegcpkms.Name("us", "hsm"):          {Exists: true, Enabled: true, Derived: true, Version: "1", ProtectionLevel: "HSM", Region: "us"},
		fakegcpkms.Name("global", "ekm"):      {Exists: true, Enabled: true, Derived: true, Version: "1", Region: "global"},
		fakegcpkms.Name("us-east1", "off"):    {Exists: true, Derived: true, Version: "1", ProtectionLevel: "Software", Region: "us-east1"},
		fakegcpkms.Name("us-east1", "unmade"): {Exists: true, Derived: true, Version: "1", ProtectionLevel: "Software", Region: "us-east1"},
	} {
		if info, err := p.Describe(t.Context(), ref(t, "gcpkms://"+key)); err != nil || info != want {
			t.Errorf("%s: %+v, error %v; expected %+v", key, info, err, want)
		}
	}
	for key, say := range map[string]string{"signs": "purpose is ASYMMETRIC_SIGN", "bare": "no primary version", "missing": "not found"} {
		_, err := p.Describe(t.Context(), ref(t, folder+"/"+key))
		expect(t, err, keyring.Refused, say)
	}
}

func expect(t *testing.T, err error, want keyring.Kind, say string) {
	t.Helper()
	keyringtest.Expect(t, err, want)
	if err != nil && !strings.Contains(err.Error(), say) {
		t.Errorf("%v; expected it to say %q", err, say)
	}
}

// A version that is disabled or gone opens nothing, and says so; the others still do.
func TestVersions(t *testing.T) {
	f := fakegcpkms.Start(t).Use(t)
	p, uri, key := provider(t, f), f.Create("us-east1", "acme"), bytes.Repeat([]byte{7}, 32)
	old, version, err := p.Wrap(t.Context(), ref(t, uri), key, keyringtest.Binding())
	if err != nil || version != "1" {
		t.Fatalf("version %q, error %v; expected 1", version, err)
	}
	f.Rotate(uri)
	for _, state := range []kmspb.CryptoKeyVersion_CryptoKeyVersionState{
		kmspb.CryptoKeyVersion_DISABLED, kmspb.CryptoKeyVersion_DESTROY_SCHEDULED, kmspb.CryptoKeyVersion_DESTROYED,
	} {
		f.SetState(uri, 1, state)
		_, err = p.Unwrap(t.Context(), ref(t, uri), old, keyringtest.Binding())
		expect(t, err, keyring.Refused, "current state is: "+state.String())
	}
	if _, version, err := p.Wrap(t.Context(), ref(t, uri), key, keyringtest.Binding()); err != nil || version != "2" {
		t.Errorf("version %q, error %v; expected 2", version, err)
	}
	f.SetState(uri, 2, kmspb.CryptoKeyVersion_DISABLED)
	_, _, err = p.Wrap(t.Context(), ref(t, uri), key, keyringtest.Binding())
	expect(t, err, keyring.Refused, "current state is: DISABLED")
}

// All versions go, over more than one page of them; asked again, nothing changes.
func TestDestroy(t *testing.T) {
	f := fakegcpkms.Start(t).Use(t)
	p := provider(t, f)
	uri := f.Add("us-east1", "doomed", fakegcpkms.Key{Wait: 48 * time.Hour})
	for range 5 {
		f.Rotate(uri)
	}
	f.Schedule(uri, 5, time.Now().Add(time.Hour)) // sooner than the others
	f.Schedule(uri, 6, time.Now().Add(time.Hour))
	f.SetState(uri, 2, kmspb.CryptoKeyVersion_DISABLED)
	f.SetState(uri, 3, kmspb.CryptoKeyVersion_DESTROYED)
	f.SetState(uri, 4, kmspb.CryptoKeyVersion_GENERATION_FAILED)
	began := time.Now()
	first, err := p.Destroy(t.Context(), ref(t, uri))
	if err != nil || !strings.Contains(first.Method, "all 6 versions") {
		t.Fatalf("%+v, error %v; expected 6 versions to be destroyed", first, err)
	}
	if after := first.EffectiveAt.Sub(began); after < 47*time.Hour || after > 49*time.Hour {
		t.Errorf("effective after %s; expected what the key says, 48h", after)
	}
	if again, err := p.Destroy(t.Context(), ref(t, uri)); err != nil || again != first {
		t.Errorf("again: %+v, error %v; expected %+v", again, err, first)
	}
	info, err := p.Describe(t.Context(), ref(t, uri))
	if err != nil || info.Enabled || info.DestroyedAt.Sub(began) > 2*time.Hour || info.DestroyedAt.IsZero() {
		t.Errorf("%+v, error %v; expected a key whose primary version is gone in an hour", info, err)
	}
	f.Remove(uri)
	if gone, err := p.Destroy(t.Context(), ref(t, uri)); err != nil || !gone.EffectiveAt.IsZero() || gone.Method == "" {
		t.Errorf("after its end: %+v, error %v; expected no error and no time", gone, err)
	}
}

// A key of which some versions are due to go does not stand: that the next one is refused is not the whole answer.
func TestDestroyHalfway(t *testing.T) {
	f := fakegcpkms.Start(t).Use(t)
	p := provider(t, f)
	uri := f.Create("us-east1", "half")
	f.Rotate(uri)
	f.SetState(uri, 2, kmspb.CryptoKeyVersion_PENDING_GENERATION)
	for range 2 {
		_, err := p.Destroy(t.Context(), ref(t, uri))
		expect(t, err, keyring.Unreachable, "due to be destroyed already: 1; another is not")
	}
}

func TestDestroySaysWhatItDoesNot(t *testing.T) {
	f := fakegcpkms.Start(t).Use(t)
	p := provider(t, f)
	_, err := p.Destroy(t.Context(), ref(t, f.Add("us-east1", "ekm", fakegcpkms.Key{Level: kmspb.ProtectionLevel_EXTERNAL_VPC})))
	expect(t, err, keyring.Unsupported, "external key manager")
	d, err := p.Destroy(t.Context(), ref(t, f.Add("us-east1", "byok", fakegcpkms.Key{Imported: true})))
	if err != nil || !strings.Contains(d.Method, "copies elsewhere") {
		t.Errorf("%+v, error %v; expected a word about copies of imported material", d, err)
	}
	pending := f.Create("us-east1", "pending")
	f.SetState(pending, 1, kmspb.CryptoKeyVersion_PENDING_GENERATION)
	_, err = p.Destroy(t.Context(), ref(t, pending))
	expect(t, err, keyring.Refused, "cannot be destroyed")
	f.Deny("cloudkms.cryptoKeyVersions.destroy")
	_, err = p.Destroy(t.Context(), ref(t, f.Create("us-east1", "kept")))
	expect(t, err, keyring.Refused, "cloudkms.cryptoKeyVersions.destroy")
}
