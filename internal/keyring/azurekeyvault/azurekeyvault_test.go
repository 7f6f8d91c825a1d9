package azurekeyvault

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"k8s.io/utils/clock"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/keyringtest"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/keyringtest/fakeazure"
)

// These tests run against a fake of Azure Key Vault (keyringtest/fakeazure), which asks for tokens and really encrypts.

const vault = "acme-keys.vault.azure.net"

// token is a credential that has one already.
type token string

func (t token) GetToken(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error) {
	return azcore.AccessToken{Token: string(t), ExpiresOn: time.Now().Add(time.Hour)}, nil
}

func at(network http.RoundTripper) *Provider {
	return New(clock.RealClock{}, Options{Credential: token(fakeazure.Token), Transport: network})
}

// silent accepts connections and never answers.
func silent(t *testing.T) *Provider {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return at(leadingTo(l.Addr().String()))
}

// leadingTo connects to one address, whatever the host.
func leadingTo(address string) *http.Transport {
	return &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}}
}

var malformed = []string{
	"azurekeyvault://acme-keys",
	"azurekeyvault://acme-keys/keys",
	"azurekeyvault://acme-keys/secrets/acme",
	"azurekeyvault://acme-keys/keys/acme/0123456789abcdef0123456789abcdef", // the latest version wraps
	"azurekeyvault://acme-keys/keys/a_b",
	"azurekeyvault://a/keys/acme",
	"azurekeyvault://acme--keys/keys/acme",
	"azurekeyvault://-acme/keys/acme",
	// Hosts a token must not be sent to.
	"azurekeyvault://acme.evil.example/keys/acme",
	"azurekeyvault://vault.azure.net/keys/acme",
	"azurekeyvault://acme.vault.azure.net.evil.example/keys/acme",
	"azurekeyvault://evil.example:443/keys/acme",
	"azurekeyvault://a.b.vault.azure.net/keys/acme",
	"azurekeyvault://acme-keys/keys/acme?version=1",
	"azurekeyvault://acme-keys/keys/acme?region=East+US",
}

func TestContract(t *testing.T) {
	f := fakeazure.Start(t)
	var variants []keyringtest.Harness
	for variant, host := range map[string]string{"name": vault, "sovereign": "acme.vault.usgovcloudapi.net", "managed HSM": "acme.managedhsm.azure.net"} {
		for _, name := range []string{"acme", "globex", "doomed"} {
			f.Add(host, name, fakeazure.Key{})
		}
		named := host
		if variant == "name" {
			named = strings.TrimSuffix(host, ".vault.azure.net")
		}
		variants = append(variants, keyringtest.Harness{
			Variant: variant, Provider: at(f.Network()), KMSIgnoresContext: true,
			Usable: "azurekeyvault://" + named + "/keys/acme?region=eastus", Other: "azurekeyvault://" + named + "/keys/globex",
			Unknown: "azurekeyvault://" + named + "/keys/unknown", Malformed: malformed, Dead: silent(t),
			Rotate: func(*testing.T) { f.Rotate(host, "acme") },
			Doomed: "azurekeyvault://" + named + "/keys/doomed?scope=tenant",
		})
	}
	keyringtest.Contract(t, variants...)
}

func TestTraits(t *testing.T) {
	p := New(clock.RealClock{}, Options{})
	if p.Scheme() != "azurekeyvault" || p.Assurance() != v1alpha1.ReasonKMSWrapped {
		t.Errorf("scheme %q, assurance %q; expected azurekeyvault, KMSWrapped", p.Scheme(), p.Assurance())
	}
	short, long := keyringtest.Ref(t, "azurekeyvault://acme-keys/keys/a"), keyringtest.Ref(t, "azurekeyvault://ACME-keys.vault.azure.net/keys/b")
	if p.Endpoint(short) != p.Endpoint(long) || p.Endpoint(short) == p.Endpoint(keyringtest.Ref(t, "azurekeyvault://globex/keys/a")) {
		t.Error("expected one endpoint for each vault, whatever the key and however the vault is written")
	}
	if p.credential != nil || len(p.clients) != 0 {
		t.Error("a provider that was asked for no key has made a client")
	}
}

// What Describe tells, and what it refuses.
func TestDescribe(t *testing.T) {
	f := fakeazure.Start(t)
	yesterday, tomorrow := time.Now().Add(-24*time.Hour), time.Now().Add(24*time.Hour)
	for name, tc := range map[string]struct {
		key     fakeazure.Key
		want    keyring.KeyInfo
		refusal string
	}{
		"in hardware":        {fakeazure.Key{}, keyring.KeyInfo{Enabled: true, ProtectionLevel: keyring.ProtectionHSM}, ""},
		"in software":        {fakeazure.Key{Type: "RSA", Bits: 4096}, keyring.KeyInfo{Enabled: true, ProtectionLevel: keyring.ProtectionSoftware}, ""},
		"exportable":         {fakeazure.Key{Exportable: true}, keyring.KeyInfo{Enabled: true, ProtectionLevel: keyring.ProtectionExportable}, ""},
		"disabled":           {fakeazure.Key{Disabled: true}, keyring.KeyInfo{ProtectionLevel: keyring.ProtectionHSM}, ""},
		"valid for a while":  {fakeazure.Key{NotBefore: yesterday, Expires: tomorrow}, keyring.KeyInfo{Enabled: true, ProtectionLevel: keyring.ProtectionHSM}, ""},
		"too small":          {fakeazure.Key{Bits: 1024}, keyring.KeyInfo{}, "1024 bits"},
		"elliptic":           {fakeazure.Key{Type: "EC-HSM"}, keyring.KeyInfo{}, "az keyvault key create"},
		"symmetric":          {fakeazure.Key{Type: "oct-HSM"}, keyring.KeyInfo{}, "oct-HSM"},
		"for signatures":     {fakeazure.Key{Operations: []string{"sign", "verify"}}, keyring.KeyInfo{}, "lack wrapKey"},
		"without unwrapping": {fakeazure.Key{Operations: []string{"wrapKey"}}, keyring.KeyInfo{}, "lack unwrapKey"},
		"without operations": {fakeazure.Key{Operations: []string{}}, keyring.KeyInfo{}, "lack wrapKey"},
		"expired":            {fakeazure.Key{Expires: yesterday}, keyring.KeyInfo{}, "expired at"},
		"not yet":            {fakeazure.Key{NotBefore: tomorrow}, keyring.KeyInfo{}, "not valid before"},
	} {
		t.Run(name, func(t *testing.T) {
			f.Add(vault, "acme", tc.key)
			info, err := at(f.Network()).Describe(t.Context(), keyringtest.Ref(t, "azurekeyvault://acme-keys/keys/acme"))
			if tc.refusal != "" {
				keyringtest.Expect(t, err, keyring.Refused)
				if err != nil && !strings.Contains(err.Error(), tc.refusal) {
					t.Errorf("%v; expected it to say %q", err, tc.refusal)
				}
				return
			}
			tc.want.ID, tc.want.Exists, tc.want.Version = "https://"+vault+"/keys/acme", true, info.Version
			if err != nil || info != tc.want || len(info.Version) != 32 {
				t.Errorf("%+v, error %v; expected %+v", info, err, tc.want)
			}
		})
	}
}

// What a key does not do, Wrap does not ask of it.
func TestWrapRefuses(t *testing.T) {
	f := fakeazure.Start(t)
	for name, k := range map[string]fakeazure.Key{"disabled": {Disabled: true}, "deleted": {Deleted: time.Now()}, "too small": {Bits: 1024}} {
		f.Add(vault, "acme", k)
		_, _, err := at(f.Network()).Wrap(t.Context(), keyringtest.Ref(t, "azurekeyvault://acme-keys/keys/acme"), make([]byte, 32), keyringtest.Binding())
		keyringtest.Expect(t, err, keyring.Refused)
		for _, call := range f.Calls() {
			if strings.HasPrefix(call, "wrapkey") {
				t.Errorf("%s: the vault was asked to wrap", name)
			}
		}
	}
}

// A wrapped key names the version that opens it, in a form that other languages can read; nothing else is accepted.
func TestWrappedForm(t *testing.T) {
	f := fakeazure.Start(t)
	f.Add(vault, "acme", fakeazure.Key{})
	p, r := at(f.Network()), keyringtest.Ref(t, "azurekeyvault://acme-keys/keys/acme")
	key := bytes.Repeat([]byte{5}, 32)
	wrapped, version, err := p.Wrap(t.Context(), r, key, keyringtest.Binding())
	if err != nil || !strings.HasPrefix(string(wrapped), "azurekeyvault:"+version+":") {
		t.Fatalf("%.60q, error %v; expected azurekeyvault:%s:...", wrapped, err, version)
	}
	f.Rotate(vault, "acme")
	if got, err := p.Unwrap(t.Context(), r, wrapped, keyringtest.Binding()); err != nil || !bytes.Equal(got, key) {
		t.Errorf("after a rotation: %d bytes, error %v; expected the key", len(got), err)
	}
	before := len(f.Calls())
	for _, text := range []string{
		"", "azurekeyvault:", "azurekeyvault:" + version, "azurekeyvault:" + version + ":", "azurekeyvault:" + version + ":??",
		"azurekeyvault::AAAA", "azurekeyvault:../../secrets/x:AAAA", "azurekeyvault:" + strings.ToUpper(version) + "g:AAAA", "vault:v1:AAAA",
	} {
		_, err := p.Unwrap(t.Context(), r, []byte(text), keyringtest.Binding())
		keyringtest.Expect(t, err, keyring.Foreign)
	}
	if len(f.Calls()) != before {
		t.Error("the vault was asked about what is no wrapped key")
	}
}

func TestDestroy(t *testing.T) {
	f := fakeazure.Start(t)
	r := keyringtest.Ref(t, "azurekeyvault://acme-keys/keys/doomed?scope=tenant")
	purge := time.Now().AddDate(0, 0, fakeazure.Retention)
	for name, tc := range map[string]struct {
		key    fakeazure.Key
		at     time.Time
		method string
	}{
		"soft delete":      {fakeazure.Key{}, purge, "permission purge can end it sooner"},
		"purge protection": {fakeazure.Key{PurgeProtected: true}, purge, "nobody can end it sooner"},
		"disabled":         {fakeazure.Key{Disabled: true}, purge, "key deleted"},
		"no soft delete":   {fakeazure.Key{Unrecoverable: true}, time.Now(), "keeps no deleted keys"},
	} {
		t.Run(name, func(t *testing.T) {
			f.Add(vault, "doomed", tc.key)
			p := at(f.Network())
			done, err := p.Destroy(t.Context(), r)
			if err != nil || done.EffectiveAt.Sub(tc.at).Abs() > time.Minute || !strings.Contains(done.Method, tc.method) {
				t.Errorf("%+v, error %v; expected %q at %s", done, err, tc.method, tc.at)
			}
			if tc.key.Unrecoverable {
				return
			}
			info, err := p.Describe(t.Context(), r)
			if err != nil || info.Enabled || !info.DestroyedAt.Equal(done.EffectiveAt) {
				t.Errorf("%+v, error %v; expected a key that is not enabled and destroyed at %s", info, err, done.EffectiveAt)
			}
			again, err := p.Destroy(t.Context(), r)
			if err != nil || !again.EffectiveAt.Equal(done.EffectiveAt) || !strings.Contains(again.Method, "before") {
				t.Errorf("again: %+v, error %v; expected the same date", again, err)
			}
			f.Purge(vault, "doomed")
			gone, err := p.Destroy(t.Context(), r)
			if err != nil || !gone.EffectiveAt.IsZero() || gone.Method == "" {
				t.Errorf("purged: %+v, error %v; expected no date", gone, err)
			}
		})
	}
}

// Nobody may take a refusal for a destruction.
func TestDestroyRefused(t *testing.T) {
	f := fakeazure.Start(t)
	f.Add(vault, "acme", fakeazure.Key{})
	r := keyringtest.Ref(t, "azurekeyvault://acme-keys/keys/acme")
	f.Upset("delete", fakeazure.Trouble{Status: 403, Code: "Forbidden", Inner: "ForbiddenByRbac", Message: "Caller is not authorized"})
	done, err := at(f.Network()).Destroy(t.Context(), r)
	keyringtest.Expect(t, err, keyring.Refused)
	f.Upset("delete", fakeazure.Trouble{Status: 404, Code: "KeyNotFound"})
	f.Upset("deleted", fakeazure.Trouble{Status: 403, Code: "Forbidden"})
	done2, err := at(f.Network()).Destroy(t.Context(), r)
	keyringtest.Expect(t, err, keyring.Refused)
	if done.Method+done2.Method != "" {
		t.Errorf("%+v, %+v beside errors", done, done2)
	}
}

func TestMain(m *testing.M) {
	// Nothing of the machine may come between the tests and their loopback servers.
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); strings.HasPrefix(name, "AZURE_") || strings.HasSuffix(strings.ToUpper(name), "_PROXY") {
			_ = os.Unsetenv(name)
		}
	}
	os.Exit(m.Run())
}
