package vault

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/keyringtest"
)

// tenant as Ensure wants it, before its first Ensure.
func tenant(uri string, namespaces ...string) keyring.Request {
	return keyring.Request{
		ClusterUID: "cluster-1", Tenant: "acme", TenantUID: "uid-1", KeyURI: uri, RotationPeriod: 90 * 24 * time.Hour,
		DataKeys: []string{"default"}, Namespaces: namespaces,
	}
}

func open(t *testing.T, v *keyringtest.Vault, out keyring.Outcome, namespace string) []byte {
	t.Helper()
	key, err := openDataKey(out.Keysets[namespace], namespace, "default", vaultDecrypt(t.Context(), v.Address, v.Root))
	if err != nil {
		t.Fatalf("namespace %s: %v", namespace, err)
	}
	return key
}

// The life of a tenant on the real engine: created, one namespace more, another key, created again.
func TestTenantOnVault(t *testing.T) {
	v := keyringtest.StartVault(t)
	v.CreateKey(t, "transit", "acme")
	v.CreateKey(t, "team-a/transit", "acme")
	ring := keyring.New(newClock(), asOperator(t, v))

	req := tenant("vault://transit/acme", "acme-app")
	created, err := ring.Ensure(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	key := open(t, v, created, "acme-app")
	if s := created.Keys[0]; s.Provider != "vault" || s.KeyRef != "transit/acme" || s.KMSKeyVersion != "1" || s.Assurance != "KMSWrapped" {
		t.Errorf("%+v; expected vault, transit/acme, version 1, KMSWrapped", s)
	}

	for _, step := range []struct {
		name   string
		change func(*keyring.Request)
	}{
		{"one namespace more", func(r *keyring.Request) { r.Namespaces = []string{"acme-app", "acme-data"} }},
		{"another key", func(r *keyring.Request) { r.KeyURI = "vault://team-a/transit/acme" }},
		{"created again", func(r *keyring.Request) { r.TenantUID, r.FormerUIDs = "uid-2", []string{"uid-1"} }},
	} {
		req.Keysets = created.Keysets
		step.change(&req)
		if created, err = ring.Ensure(t.Context(), req); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		for _, ns := range req.Namespaces {
			if diff := cmp.Diff(key, open(t, v, created, ns)); diff != "" {
				t.Errorf("%s: namespace %s has another data key", step.name, ns)
			}
		}
	}
}

// Keys the provider must not use, though Vault would let it.
func TestTenantOnUnfitKeys(t *testing.T) {
	v := keyringtest.StartVault(t)
	v.Write(t, "transit/keys/underived", map[string]any{"type": "aes256-gcm96"})
	ring := keyring.New(newClock(), asRoot(t, v))
	for key, say := range map[string]string{"underived": "derived=false", "missing": "vault write transit/keys/missing"} {
		out, err := ring.Ensure(t.Context(), tenant("vault://transit/"+key, "acme-app"))
		keyringtest.Expect(t, err, keyring.Refused)
		if len(out.Keysets) != 0 || err != nil && !strings.Contains(err.Error(), say) {
			t.Errorf("%s: %d keysets, error %v; expected none, and to read %q", key, len(out.Keysets), err, say)
		}
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, v.Address+"/v1/transit/keys/missing", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Vault-Token", v.Root)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusNotFound {
		t.Errorf("the missing key exists now (%s); expected the operator to make no keys in Vault", resp.Status)
	}
}

// Vault away while a tenant grows: what stands is untouched, nothing is asked for an unchanged tenant, and the
// tenant is completed when Vault is back.
func TestVaultAway(t *testing.T) {
	v := keyringtest.StartVault(t)
	v.CreateKey(t, "transit", "acme")
	var sealed atomic.Bool
	var requests atomic.Int64
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		if sealed.Load() {
			http.Error(w, `{"errors":["Vault is sealed"]}`, http.StatusServiceUnavailable)
			return
		}
		forward(t, v.Address, w, r)
	}))
	t.Cleanup(front.Close)
	p, err := New(Config{Address: front.URL, TokenFile: write(t, v.Root)}, newClock())
	if err != nil {
		t.Fatal(err)
	}
	ring := keyring.New(newClock(), p)
	req := tenant("vault://transit/acme", "acme-app")
	created, err := ring.Ensure(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}

	sealed.Store(true)
	req.Keysets = created.Keysets
	before := requests.Load()
	if quiet, err := ring.Ensure(t.Context(), req); err != nil || !cmp.Equal(quiet.Keysets, created.Keysets) || requests.Load() != before {
		t.Errorf("unchanged tenant: %d requests, error %v; expected none and the same outcome", requests.Load()-before, err)
	}
	req.Namespaces = []string{"acme-app", "acme-data"}
	out, err := ring.Ensure(t.Context(), req)
	keyringtest.Expect(t, err, keyring.Unreachable)
	if err == nil || !strings.Contains(err.Error(), "Vault is sealed") || !cmp.Equal(out.Keysets, created.Keysets) || !cmp.Equal(out.Keys, created.Keys) {
		t.Errorf("error %v; expected Vault's reason, and what stands untouched", err)
	}
	sealed.Store(false)
	out, err = ring.Ensure(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	if !cmp.Equal(open(t, v, created, "acme-app"), open(t, v, out, "acme-data")) {
		t.Error("the new namespace has another data key")
	}
}

// Whoever swaps what Vault wrapped between two tenants is found out by Vault itself.
func TestSwappedBetweenTenants(t *testing.T) {
	v := keyringtest.StartVault(t)
	v.CreateKey(t, "transit", "shared")
	ring := keyring.New(newClock(), asOperator(t, v))
	req, other := tenant("vault://transit/shared", "acme-app"), tenant("vault://transit/shared", "globex-app")
	other.Tenant, other.TenantUID = "globex", "uid-9"
	mine, err := ring.Ensure(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := ring.Ensure(t.Context(), other)
	if err != nil {
		t.Fatal(err)
	}
	from, to := field(t, theirs.Keysets["globex-app"], "wrapped"), field(t, mine.Keysets["acme-app"], "wrapped")
	req.Keysets = map[string][]byte{"acme-app": []byte(strings.Replace(string(mine.Keysets["acme-app"]), to, from, 1))}
	req.Namespaces = []string{"acme-app", "acme-data"}
	out, err := ring.Ensure(t.Context(), req)
	keyringtest.Expect(t, err, keyring.Foreign)
	if diff := cmp.Diff(req.Keysets, out.Keysets); diff != "" {
		t.Errorf("the swapped keyset was touched:\n%s", diff)
	}
}

// field returns the first value of a field of a keyset, as it is written there.
func field(t *testing.T, keyset []byte, name string) string {
	t.Helper()
	_, rest, ok := strings.Cut(string(keyset), `"`+name+`":"`)
	value, _, ended := strings.Cut(rest, `"`)
	if !ok || !ended || value == "" {
		t.Fatalf("no field %s in %s", name, keyset)
	}
	return value
}
