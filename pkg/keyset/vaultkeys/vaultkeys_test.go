package vaultkeys_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k8s.io/utils/clock"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/keyringtest"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/vault"
	"github.com/hipaatenant/hipaa-tenant-operator/pkg/keyset"
	"github.com/hipaatenant/hipaa-tenant-operator/pkg/keyset/vaultkeys"
)

// sealed is what the operator makes for a tenant on Vault's real transit engine.
func sealed(t *testing.T, v *keyringtest.Vault, key string) []byte {
	t.Helper()
	v.CreateKey(t, "transit", key)
	p, err := vault.New(vault.Config{Address: v.Address, Token: v.Root}, clock.RealClock{})
	if err != nil {
		t.Fatal(err)
	}
	out, err := keyring.New(clock.RealClock{}, p).Ensure(t.Context(), keyring.Request{
		ClusterUID: "c1", Tenant: "acme", TenantUID: "t1", KeyURI: "vault://transit/" + key, RotationPeriod: time.Hour,
		DataKeys: []string{"default"}, Namespaces: []string{"acme-app"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.Keysets["acme-app"]
}

func open(t *testing.T, raw []byte, c vaultkeys.Config) (*keyset.Keyset, error) {
	t.Helper()
	u, err := vaultkeys.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return keyset.Open(t.Context(), raw, keyset.Options{Unwrapper: u, Expect: keyset.Identity{Namespace: "acme-app"}})
}

func TestOpensWhatTheOperatorSealed(t *testing.T) {
	v := keyringtest.StartVault(t)
	raw := sealed(t, v, "acme")
	file := func(text string) string {
		name := filepath.Join(t.TempDir(), "secret")
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	var keys [][]byte
	for name, c := range map[string]vaultkeys.Config{
		"token":      {Address: v.Address, Token: v.Root},
		"token file": {Address: v.Address, TokenFile: file(v.Root + "\n")},
		"kubernetes": {Address: v.Address, KubernetesRole: v.Role, KubernetesTokenFile: file(v.JWT)},
	} {
		k, err := open(t, raw, c)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		defer k.Close()
		key, err := k.Primary("default")
		if err != nil || len(key.Bytes) != 32 {
			t.Errorf("%s: %d bytes, error %v", name, len(key.Bytes), err)
		}
		keys = append(keys, key.Bytes)
	}
	for _, key := range keys {
		if !bytes.Equal(key, keys[0]) {
			t.Error("two ways to log in gave two keys")
		}
	}
	forged := bytes.ReplaceAll(raw, []byte("acme-app"), []byte("acme-dat"))
	u, err := vaultkeys.New(vaultkeys.Config{Address: v.Address, Token: v.Root})
	if err != nil {
		t.Fatal(err)
	}
	_, err = keyset.Open(t.Context(), forged, keyset.Options{Unwrapper: u, Expect: keyset.Identity{Namespace: "acme-dat"}})
	if keyring.KindOf(err) != keyring.Foreign {
		t.Errorf("a keyset with a forged binding: %v; expected Vault to refuse its context", err)
	}
}

func TestRefusals(t *testing.T) {
	v := keyringtest.StartVault(t)
	raw := sealed(t, v, "acme")
	_, err := open(t, raw, vaultkeys.Config{Address: v.Address, Token: "token-of-a-stranger"})
	if keyring.KindOf(err) != keyring.Refused || strings.Contains(err.Error(), "stranger") {
		t.Errorf("%v; expected a refusal without the token", err)
	}
	_, err = open(t, raw, vaultkeys.Config{Address: v.Address, Token: "two\nlines"})
	if keyring.KindOf(err) != keyring.Refused {
		t.Errorf("%v; expected the token to be refused before it is sent", err)
	}
	for name, c := range map[string]vaultkeys.Config{
		"no login":   {Address: v.Address},
		"two logins": {Address: v.Address, Token: "a", TokenFile: "b"},
		"clear text": {Address: "http://vault.example", Token: "a"},
	} {
		if _, err := vaultkeys.New(c); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	u, err := vaultkeys.New(vaultkeys.Config{Address: v.Address, Token: v.Root})
	if err != nil {
		t.Fatal(err)
	}
	binding := keyringtest.Binding().Bytes()
	for name, test := range map[string]struct {
		provider, ref string
		binding       []byte
		want          keyring.Kind
	}{
		"another provider":      {"local", "acme", binding, keyring.Unsupported},
		"no key":                {"vault", "transit/../x", binding, keyring.Unsupported},
		"binding not canonical": {"vault", "transit/acme", append(binding, ' '), keyring.Foreign},
		"no binding":            {"vault", "transit/acme", []byte("{"), keyring.Foreign},
	} {
		_, err := u.UnwrapKey(t.Context(), test.provider, test.ref, []byte("vault:v1:AAAA"), test.binding)
		if keyring.KindOf(err) != test.want {
			t.Errorf("%s: %v; expected kind %s", name, err, test.want)
		}
	}
}
