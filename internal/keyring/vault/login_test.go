package vault

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/keyringtest"
)

// counter is a proxy in front of the real engine that counts logins.
func counter(t *testing.T, v *keyringtest.Vault) (address string, logins *atomic.Int64) {
	t.Helper()
	logins = &atomic.Int64{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/v1/auth/kubernetes/login") {
			logins.Add(1)
		}
		forward(t, v.Address, w, r)
	}))
	t.Cleanup(s.Close)
	return s.URL, logins
}

func TestTokenFileIsReadForEveryRequest(t *testing.T) {
	v := keyringtest.StartVault(t)
	v.CreateKey(t, "transit", "acme")
	file := write(t, "token-that-ran-out")
	p, err := New(Config{Address: v.Address, TokenFile: file}, newClock())
	if err != nil {
		t.Fatal(err)
	}
	ref := keyringtest.Ref(t, "vault://transit/acme")
	_, err = p.Describe(t.Context(), ref)
	keyringtest.Expect(t, err, keyring.Refused, []byte("token-that-ran-out"))
	if err := os.WriteFile(file, []byte(v.Root+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Describe(t.Context(), ref); err != nil {
		t.Errorf("after the agent wrote a new token: %v", err)
	}
}

func TestUnusableTokenFiles(t *testing.T) {
	for name, file := range map[string]string{
		"missing":    filepath.Join(t.TempDir(), "none"),
		"empty":      write(t, "\n"),
		"two lines":  write(t, "secret-token-one\nsecret-token-two"),
		"with space": write(t, "secret-token-one secret-token-two"),
	} {
		t.Run(name, func(t *testing.T) {
			p, err := New(Config{Address: "http://127.0.0.1:1", TokenFile: file}, newClock())
			if err != nil {
				t.Fatal(err)
			}
			_, err = p.Describe(t.Context(), keyringtest.Ref(t, "vault://transit/acme"))
			keyringtest.Expect(t, err, keyring.Refused, []byte("secret-token-one"), []byte("secret-token-two"))
		})
	}
}

func TestKubernetesLoginIsKeptForTwoThirdsOfItsLife(t *testing.T) {
	v := keyringtest.StartVault(t)
	v.CreateKey(t, "transit", "acme")
	address, logins := counter(t, v)
	clock := newClock()
	p, err := New(Config{Address: address, Kubernetes: &KubernetesAuth{Role: v.Role, JWTFile: write(t, v.JWT)}}, clock)
	if err != nil {
		t.Fatal(err)
	}
	ref := keyringtest.Ref(t, "vault://transit/acme")
	describe := func(wantLogins int64) {
		t.Helper()
		if _, err := p.Describe(t.Context(), ref); err != nil {
			t.Fatal(err)
		}
		if n := logins.Load(); n != wantLogins {
			t.Errorf("%d logins; expected %d", n, wantLogins)
		}
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, err := p.Describe(t.Context(), ref); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	describe(1)
	clock.SetTime(clock.Now().Add(39 * time.Minute))
	describe(1)
	clock.SetTime(clock.Now().Add(2 * time.Minute))
	describe(2)
}

// A token revoked in Vault costs one more login, not an error.
func TestRevokedTokenIsReplaced(t *testing.T) {
	v := keyringtest.StartVault(t)
	v.CreateKey(t, "transit", "acme")
	address, logins := counter(t, v)
	p, err := New(Config{Address: address, Kubernetes: &KubernetesAuth{Role: v.Role, JWTFile: write(t, v.JWT)}}, newClock())
	if err != nil {
		t.Fatal(err)
	}
	ref := keyringtest.Ref(t, "vault://transit/acme")
	if _, err := p.Describe(t.Context(), ref); err != nil {
		t.Fatal(err)
	}
	revoke(t, v.Address, p.client.login.(*kubernetesLogin).held)
	if _, err := p.Describe(t.Context(), ref); err != nil {
		t.Errorf("after the token was revoked: %v", err)
	}
	if n := logins.Load(); n != 2 {
		t.Errorf("%d logins; expected 2", n)
	}
}

func TestRefusedLogin(t *testing.T) {
	v := keyringtest.StartVault(t)
	ref := keyringtest.Ref(t, "vault://transit/acme")
	for name, auth := range map[string]KubernetesAuth{
		"wrong JWT":    {Role: v.Role, JWTFile: write(t, "another-jwt-of-the-test")},
		"wrong role":   {Role: "nobody", JWTFile: write(t, v.JWT)},
		"no JWT":       {Role: v.Role, JWTFile: filepath.Join(t.TempDir(), "none")},
		"own token":    {Role: v.Role},
		"wrong mount":  {Role: v.Role, JWTFile: write(t, v.JWT), Mount: "team-a/kubernetes"},
		"empty JWT":    {Role: v.Role, JWTFile: write(t, "")},
		"JWT in lines": {Role: v.Role, JWTFile: write(t, "another-jwt-of-the-test\n"+v.JWT)},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := New(Config{Address: v.Address, Kubernetes: &auth}, newClock())
			if err != nil {
				t.Fatal(err)
			}
			_, err = p.Describe(t.Context(), ref)
			keyringtest.Expect(t, err, keyring.Refused, []byte("another-jwt-of-the-test"), []byte(v.JWT))
		})
	}
}
