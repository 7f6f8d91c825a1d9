package azurekeyvault

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"k8s.io/utils/clock"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/keyringtest"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/keyringtest/fakeazure"
)

const anyKey = "azurekeyvault://acme-keys/keys/acme"

// everything tries each operation and expects the same kind of error of all, in words that are stable and reveal nothing.
func everything(t *testing.T, p *Provider, want keyring.Kind, say string) {
	t.Helper()
	key, r := bytes.Repeat([]byte{6}, 32), keyringtest.Ref(t, anyKey)
	wrapped := ciphertext{strings.Repeat("a", 32), make([]byte, 256)}.bytes()
	for name, do := range map[string]func() error{
		"Describe": func() error { _, err := p.Describe(t.Context(), r); return err },
		"Wrap":     func() error { _, _, err := p.Wrap(t.Context(), r, key, keyringtest.Binding()); return err },
		"Unwrap":   func() error { _, err := p.Unwrap(t.Context(), r, wrapped, keyringtest.Binding()); return err },
		"Rewrap":   func() error { _, _, err := p.Rewrap(t.Context(), r, wrapped, keyringtest.Binding()); return err },
		"Destroy":  func() error { _, err := p.Destroy(t.Context(), r); return err },
	} {
		err := do()
		keyringtest.Expect(t, err, want, key, []byte(fakeazure.Token), []byte(fakeazure.Assertion))
		if err == nil {
			continue
		}
		if !strings.Contains(err.Error(), say) {
			t.Errorf("%s: %v; expected it to say %q", name, err, say)
		}
		if again := do(); again == nil || again.Error() != err.Error() {
			t.Errorf("%s: first %q, then %v; expected the same words", name, err, again)
		}
	}
}

// What Key Vault may answer, and things that are no Key Vault.
func TestAnswers(t *testing.T) {
	for name, tc := range map[string]struct {
		trouble fakeazure.Trouble
		want    keyring.Kind
		say     string
	}{
		"access denied": {fakeazure.Trouble{Status: 403, Code: "Forbidden", Inner: "ForbiddenByRbac", Message: "Caller is not authorized.\r\nAction: 'wrap'"},
			keyring.Refused, "Forbidden ForbiddenByRbac\": \"Caller is not authorized. Action: 'wrap'"},
		"firewall":               {fakeazure.Trouble{Status: 403, Code: "Forbidden", Inner: "ForbiddenByFirewall", Message: "Client address is not authorized"}, keyring.Refused, "ForbiddenByFirewall"},
		"throttled":              {fakeazure.Trouble{Status: 429, Code: "Throttled", Message: "too many requests"}, keyring.Unreachable, "too many requests"},
		"internal":               {fakeazure.Trouble{Status: 500, Code: "InternalServerError", Message: "try later"}, keyring.Unreachable, "try later"},
		"being deleted":          {fakeazure.Trouble{Status: 409, Code: "Conflict", Inner: "ObjectIsBeingDeleted", Message: "being deleted"}, keyring.Refused, "ObjectIsBeingDeleted"},
		"long":                   {fakeazure.Trouble{Status: 400, Code: "BadRequest", Message: strings.Repeat("blah ", 5000)}, keyring.Refused, "blah"},
		"page of a proxy":        {fakeazure.Trouble{Status: 502, Raw: "<html>bad gateway</html>"}, keyring.Unreachable, "502"},
		"page of another server": {fakeazure.Trouble{Status: 405, Raw: "<html>no</html>"}, keyring.Refused, "is something else listening"},
		"not JSON":               {fakeazure.Trouble{Status: 200, Raw: "hello"}, keyring.Unreachable, "not what Azure Key Vault gives"},
		"endless":                {fakeazure.Trouble{Status: 200, Raw: strings.Repeat(" ", 1<<20)}, keyring.Unreachable, "something else"},
		"hollow":                 {fakeazure.Trouble{Status: 200, Raw: "{}"}, keyring.Unreachable, "something else than Azure Key Vault"},
		"redirect":               {fakeazure.Trouble{Location: "https://elsewhere.invalid/"}, keyring.Refused, "redirect"},
	} {
		t.Run(name, func(t *testing.T) {
			f := fakeazure.Start(t)
			f.Add(vault, "acme", fakeazure.Key{})
			f.Upset("", tc.trouble)
			everything(t, at(f.Network()), tc.want, tc.say)
		})
	}
}

func TestUnknownKey(t *testing.T) {
	f := fakeazure.Start(t)
	p, r := at(f.Network()), keyringtest.Ref(t, anyKey)
	_, err := p.Describe(t.Context(), r)
	keyringtest.Expect(t, err, keyring.Refused)
	if err != nil && !strings.Contains(err.Error(), "az keyvault key create") {
		t.Errorf("%v; expected it to say how to make a key", err)
	}
	_, _, err = p.Wrap(t.Context(), r, make([]byte, 32), keyringtest.Binding())
	keyringtest.Expect(t, err, keyring.Refused)
}

// A wrong token is answered with another challenge; that must end.
func TestTokenIsRefused(t *testing.T) {
	f := fakeazure.Start(t)
	everything(t, New(clock.RealClock{}, Options{Credential: token("wrong"), Transport: f.Network()}), keyring.Refused, "401")
}

// One attempt besides the challenge: who repeats, and how often, is for the Ring to say. And no redirect is followed.
func TestOneAttempt(t *testing.T) {
	var requests, arrived atomic.Int32
	elsewhere := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { arrived.Add(1) }))
	t.Cleanup(elsewhere.Close)
	f := fakeazure.Start(t)
	f.Upset("", fakeazure.Trouble{Status: 503, Code: "ServiceUnavailable"})
	network := f.Network()
	p := at(counting{network, &requests})
	_, err := p.Describe(t.Context(), keyringtest.Ref(t, anyKey))
	keyringtest.Expect(t, err, keyring.Unreachable)
	if n := requests.Load(); n != 2 {
		t.Errorf("%d requests; expected one without a token and one with it", n)
	}
	f.Upset("", fakeazure.Trouble{Location: elsewhere.URL})
	_, err = p.Describe(t.Context(), keyringtest.Ref(t, anyKey))
	keyringtest.Expect(t, err, keyring.Refused)
	if n := requests.Load(); n != 3 || arrived.Load() > 0 {
		t.Errorf("%d requests, %d where the redirect points; expected one more and none there", n, arrived.Load())
	}
}

type counting struct {
	http.RoundTripper
	n *atomic.Int32
}

func (c counting) RoundTrip(r *http.Request) (*http.Response, error) {
	c.n.Add(1)
	return c.RoundTripper.RoundTrip(r)
}

func TestSlow(t *testing.T) {
	f := fakeazure.Start(t)
	release := make(chan struct{})
	f.Upset("", fakeazure.Trouble{Until: release, Status: 503})
	t.Cleanup(func() { close(release) })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := at(f.Network()).Describe(ctx, keyringtest.Ref(t, anyKey))
	keyringtest.Expect(t, err, keyring.Unreachable)
}

func TestConnections(t *testing.T) {
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	untrusted := fakeazure.Start(t).Network()
	untrusted.TLSClientConfig = nil
	for name, tc := range map[string]struct {
		network http.RoundTripper
		say     string
	}{
		"refused":           {leadingTo(closed.Listener.Addr().String()), "refused"},
		"unknown authority": {untrusted, "CA file"},
		"no such host":      {leadingTo("nowhere.invalid:443"), "nowhere.invalid cannot be resolved"},
	} {
		t.Run(name, func(t *testing.T) { everything(t, at(tc.network), keyring.Unreachable, tc.say) })
	}
}

// inPod sets up what Azure's webhook gives a pod with workload identity.
func inPod(t *testing.T) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(fakeazure.Assertion), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AZURE_FEDERATED_TOKEN_FILE", file)
	t.Setenv("AZURE_CLIENT_ID", "operator")
	t.Setenv("AZURE_TENANT_ID", fakeazure.Tenant)
	t.Setenv("AZURE_AUTHORITY_HOST", "https://login.microsoftonline.com/")
}

// The identity of the pod's service account is enough.
func TestWorkloadIdentity(t *testing.T) {
	f := fakeazure.Start(t)
	f.Add(vault, "acme", fakeazure.Key{})
	inPod(t)
	p := New(clock.RealClock{}, Options{Transport: f.Network()})
	for range 3 {
		if _, err := p.Describe(t.Context(), keyringtest.Ref(t, anyKey)); err != nil {
			t.Fatal(err)
		}
	}
	if n := f.Logins(); n != 1 {
		t.Errorf("%d logins for three requests; expected one", n)
	}
}

func TestNoIdentity(t *testing.T) {
	run := func(name string, want keyring.Kind, say string, prepare func(*testing.T, *fakeazure.KeyVault)) {
		t.Run(name, func(t *testing.T) {
			f := fakeazure.Start(t)
			prepare(t, f)
			everything(t, New(clock.RealClock{}, Options{Transport: f.Network()}), want, say)
			if n := len(f.Calls()); n > 0 {
				t.Errorf("%d requests with a token", n)
			}
		})
	}
	run("no client", keyring.Refused, "no client ID", func(t *testing.T, _ *fakeazure.KeyVault) {
		t.Setenv("AZURE_FEDERATED_TOKEN_FILE", "/there/is/none")
	})
	run("no token file", keyring.Refused, "/there/is/none", func(t *testing.T, _ *fakeazure.KeyVault) {
		inPod(t)
		t.Setenv("AZURE_FEDERATED_TOKEN_FILE", "/there/is/none")
	})
	run("secret without a tenant", keyring.Refused, "AZURE_TENANT_ID", func(t *testing.T, _ *fakeazure.KeyVault) {
		t.Setenv("AZURE_CLIENT_SECRET", "secret-of-the-test")
	})
	run("not trusted", keyring.Refused, "AADSTS70021: No matching federated identity", func(t *testing.T, f *fakeazure.KeyVault) {
		inPod(t)
		f.Upset("token", fakeazure.Trouble{Status: 401, Raw: `{"error":"invalid_client","error_description":"AADSTS70021: No matching federated identity record found. Trace ID: ` + time.Now().String() + `"}`})
	})
	run("Entra ID is down", keyring.Unreachable, "503", func(t *testing.T, f *fakeazure.KeyVault) {
		inPod(t)
		f.Upset("token", fakeazure.Trouble{Status: 503, Raw: "down"})
	})
	t.Run("Entra ID is away", func(t *testing.T) {
		inPod(t)
		f := fakeazure.Start(t)
		everything(t, New(clock.RealClock{}, Options{Transport: without{f.Network()}}), keyring.Unreachable, "refused")
	})
	t.Run("no managed identity", func(t *testing.T) {
		f := fakeazure.Start(t)
		everything(t, New(clock.RealClock{}, Options{Transport: without{f.Network()}}), keyring.Refused, "managed identity")
	})
}

// without reaches vaults, and neither Entra ID nor the instance metadata service.
type without struct{ vaults http.RoundTripper }

func (n without) RoundTrip(r *http.Request) (*http.Response, error) {
	if strings.HasSuffix(r.URL.Host, ".vault.azure.net") {
		return n.vaults.RoundTrip(r)
	}
	return leadingTo("127.0.0.1:1").RoundTrip(r)
}

// The SDK keeps the answer's bytes, and they are the ones that are cleared.
func TestPlaintextIsCleared(t *testing.T) {
	f := fakeazure.Start(t)
	f.Add(vault, "acme", fakeazure.Key{})
	kept := &keeping{RoundTripper: f.Network()}
	p, r, key := at(kept), keyringtest.Ref(t, anyKey), bytes.Repeat([]byte("key bytes"), 4)[:32]
	wrapped, _, err := p.Wrap(t.Context(), r, key, keyringtest.Binding())
	if err != nil {
		t.Fatal(err)
	}
	got, err := p.Unwrap(t.Context(), r, wrapped, keyringtest.Binding())
	if err != nil || !bytes.Equal(got, key) {
		t.Fatalf("%d bytes, error %v", len(got), err)
	}
	body, err := runtime.Payload(kept.last)
	if err != nil || len(body) == 0 || len(bytes.Trim(body, "\x00")) > 0 {
		t.Errorf("%d bytes of the answer are kept, %d not cleared, error %v", len(body), len(bytes.Trim(body, "\x00")), err)
	}
}

// keeping remembers the last answer.
type keeping struct {
	http.RoundTripper
	last *http.Response
}

func (k *keeping) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := k.RoundTripper.RoundTrip(r)
	k.last = resp
	return resp, err
}
