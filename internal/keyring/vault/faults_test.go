package vault

import (
	"bytes"
	"context"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/keyringtest"
)

// forward passes a request on to the engine behind a test's proxy.
func forward(t *testing.T, address string, w http.ResponseWriter, r *http.Request) {
	req, err := http.NewRequestWithContext(r.Context(), r.Method, address+r.URL.Path, r.Body)
	if err != nil {
		t.Error(err)
		return
	}
	req.Header, req.ContentLength = r.Header, r.ContentLength
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Error(err)
		return
	}
	defer func() { _ = resp.Body.Close() }()
	w.WriteHeader(resp.StatusCode)
	_, _ = io.Copy(w, resp.Body)
}

func revoke(t *testing.T, address, token string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address+"/v1/auth/token/revoke-self", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Vault-Token", token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil || resp.StatusCode != http.StatusNoContent {
		t.Fatalf("revoke: %v %v", resp, err)
	}
	_ = resp.Body.Close()
}

const faultToken = "hvs.token-of-the-fault-tests"

// answering is a provider whose Vault gives the same answer to everything.
func answering(t *testing.T, status int, body string) *Provider {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(s.Close)
	p, err := New(Config{Address: s.URL, TokenFile: write(t, faultToken)}, newClock())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Answers the engine alone cannot give: they come from the server around it, or from something that is no Vault.
func TestAnswers(t *testing.T) {
	const empty = `{"errors":[]}`
	for _, tc := range []struct {
		name   string
		status int
		body   string
		want   keyring.Kind
		say    string
	}{
		{"sealed", 503, `{"errors":["Vault is sealed"]}`, keyring.Unreachable, "Vault is sealed"},
		{"internal error", 500, `{"errors":["internal error"]}`, keyring.Unreachable, "internal error"},
		{"bad gateway of a proxy", 502, "<html>bad gateway</html>", keyring.Unreachable, "502"},
		{"throttled", 429, empty, keyring.Unreachable, "429"},
		{"not caught up", 412, empty, keyring.Unreachable, "412"},
		{"standby", 472, empty, keyring.Unreachable, "472"},
		{"redirect", 307, "", keyring.Refused, "redirect"},
		{"permission denied", 403, `{"errors":["permission denied"]}`, keyring.Refused, "permission denied"},
		{"no content", 204, "", keyring.Refused, "204"},
		{"long reason", 400, `{"errors":["` + strings.Repeat("blah ", 5000) + `"]}`, keyring.Refused, "blah"},
		{"several lines", 400, `{"errors":["1 error occurred:\n\t* no\n\n"]}`, keyring.Refused, "1 error occurred: * no"},
		{"repeats the token", 400, `{"errors":["bad token ` + faultToken + `"]}`, keyring.Refused, "bad token [token]"},
		{"not JSON", 200, "hello", keyring.Unreachable, "is something else listening"},
		{"cut off", 200, `{"data":{"ciph`, keyring.Unreachable, "is something else listening"},
		{"endless", 200, strings.Repeat(" ", 1<<20), keyring.Unreachable, "longer than"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p, ref := answering(t, tc.status, tc.body), keyringtest.Ref(t, "vault://transit/acme")
			key := bytes.Repeat([]byte{6}, 32)
			_, _, err := p.Wrap(t.Context(), ref, key, keyringtest.Binding())
			keyringtest.Expect(t, err, tc.want, key, []byte(faultToken))
			if err != nil && !strings.Contains(err.Error(), tc.say) {
				t.Errorf("%v; expected it to say %q", err, tc.say)
			}
			_, err = p.Unwrap(t.Context(), ref, []byte("vault:v1:AAAA"), keyringtest.Binding())
			keyringtest.Expect(t, err, tc.want, []byte(faultToken))
			_, err = p.Describe(t.Context(), ref)
			keyringtest.Expect(t, err, tc.want, []byte(faultToken))
		})
	}
}

// Only Vault's own word for a missing key says that a key is gone. A mount that is not there, or a proxy that knows no such
// path, says nothing about the key.
func TestGoneIsNotMerelyNotFound(t *testing.T) {
	ref := keyringtest.Ref(t, "vault://transit/acme")
	for body, gone := range map[string]bool{
		`{"errors":[]}`: true,
		`{"errors":["no handler for route \"transit/keys/acme\". route entry not found."]}`: false,
		`{}`: false, `null`: false, "": false, "<html>not found</html>": false,
	} {
		done, err := answering(t, 404, body).Destroy(t.Context(), ref)
		if gone && (err != nil || done.Method == "") || !gone && keyring.KindOf(err) != keyring.Refused {
			t.Errorf("404 %s: %+v, error %v; expected that the key is gone: %t", body, done, err, gone)
		}
	}
}

// Success without substance is not success.
func TestEmptyAnswers(t *testing.T) {
	p, ref := answering(t, 200, `{"data":{}}`), keyringtest.Ref(t, "vault://transit/acme")
	_, err := p.Describe(t.Context(), ref)
	keyringtest.Expect(t, err, keyring.Refused)
	_, _, err = p.Wrap(t.Context(), ref, make([]byte, 32), keyringtest.Binding())
	keyringtest.Expect(t, err, keyring.Refused)
	for _, ciphertext := range []string{"vault:v:AAAA", "vault:v1:", "vault:vx:AAAA", "v1:AAAA", "vault:v-1:AAAA"} {
		p := answering(t, 200, `{"data":{"ciphertext":"`+ciphertext+`"}}`)
		_, _, err = p.Wrap(t.Context(), ref, make([]byte, 32), keyringtest.Binding())
		keyringtest.Expect(t, err, keyring.Refused)
	}
}

// A redirect must not carry the token and the plaintext to wherever it points.
func TestRedirectsAreNotFollowed(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("a request with token %q arrived where the redirect points", r.Header.Get("X-Vault-Token"))
	}))
	t.Cleanup(elsewhere.Close)
	s := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect))
	t.Cleanup(s.Close)
	p, err := New(Config{Address: s.URL, TokenFile: write(t, faultToken)}, newClock())
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = p.Wrap(t.Context(), keyringtest.Ref(t, "vault://transit/acme"), make([]byte, 32), keyringtest.Binding())
	keyringtest.Expect(t, err, keyring.Refused)
}

// The words about a broken connection end in a status: they must be the same at the next attempt.
func TestConnectionErrorsAreStable(t *testing.T) {
	hangUp := func(abruptly bool) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			if abruptly {
				// Closing without lingering resets the connection; the system's words for that name the local port.
				_ = conn.(*net.TCPConn).SetLinger(0)
			}
			_ = conn.Close()
		}))
		t.Cleanup(s.Close)
		return s.URL
	}
	tls := httptest.NewUnstartedServer(http.NotFoundHandler())
	tls.Config.ErrorLog = log.New(io.Discard, "", 0)
	tls.StartTLS()
	t.Cleanup(tls.Close)
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	for name, address := range map[string]string{
		"refused": gone.URL, "closed": hangUp(false), "reset": hangUp(true), "unknown authority": tls.URL, "no such host": "https://vault.invalid:8200",
	} {
		t.Run(name, func(t *testing.T) {
			p, err := New(Config{Address: address, TokenFile: write(t, faultToken)}, newClock())
			if err != nil {
				t.Fatal(err)
			}
			ref := keyringtest.Ref(t, "vault://transit/acme")
			_, first := p.Describe(t.Context(), ref)
			_, second := p.Describe(t.Context(), ref)
			keyringtest.Expect(t, first, keyring.Unreachable, []byte(faultToken))
			if first.Error() != second.Error() {
				t.Errorf("first %q, then %q; expected the same words", first, second)
			}
		})
	}
}

func TestCAFile(t *testing.T) {
	var namespace string
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		namespace = r.Header.Get("X-Vault-Namespace")
		_, _ = io.WriteString(w, `{"data":{"type":"aes256-gcm96","derived":true,"latest_version":3}}`)
	}))
	t.Cleanup(s.Close)
	ca := write(t, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})))
	p, err := New(Config{Address: s.URL + "/", Namespace: "team-a", CAFile: ca, TokenFile: write(t, faultToken)}, newClock())
	if err != nil {
		t.Fatal(err)
	}
	info, err := p.Describe(t.Context(), keyringtest.Ref(t, "vault://transit/acme"))
	if err != nil || info.Version != "3" || namespace != "team-a" {
		t.Errorf("%+v, namespace %q, error %v; expected version 3 from namespace team-a", info, namespace, err)
	}
}

func TestUnusableConfigurations(t *testing.T) {
	token := write(t, faultToken)
	for name, cfg := range map[string]Config{
		"no address":           {TokenFile: token},
		"no scheme":            {Address: "vault:8200", TokenFile: token},
		"http to another host": {Address: "http://vault.example:8200", TokenFile: token},
		"http to another IP":   {Address: "http://192.0.2.1:8200", TokenFile: token},
		"credentials in it":    {Address: "https://u:p@vault:8200", TokenFile: token},
		"path":                 {Address: "https://vault:8200/v1", TokenFile: token},
		"query":                {Address: "https://vault:8200?x=y", TokenFile: token},
		"no login":             {Address: "https://vault:8200"},
		"two logins":           {Address: "https://vault:8200", TokenFile: token, Kubernetes: &KubernetesAuth{Role: "r"}},
		"no role":              {Address: "https://vault:8200", Kubernetes: &KubernetesAuth{}},
		"mount out of bounds":  {Address: "https://vault:8200", Kubernetes: &KubernetesAuth{Role: "r", Mount: "../sys"}},
		"CA file missing":      {Address: "https://vault:8200", TokenFile: token, CAFile: filepath.Join(t.TempDir(), "none")},
		"CA file empty":        {Address: "https://vault:8200", TokenFile: token, CAFile: write(t, "")},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := New(cfg, newClock()); err == nil {
				t.Error("accepted; expected an error")
			} else if strings.Contains(err.Error(), faultToken) {
				t.Errorf("the error holds the token: %v", err)
			}
		})
	}
	for _, address := range []string{"https://vault:8200", "http://localhost:8200", "http://[::1]:8200", "http://127.0.0.1:8200"} {
		if _, err := New(Config{Address: address, TokenFile: token}, newClock()); err != nil {
			t.Errorf("%s: %v; expected it to be accepted", address, err)
		}
	}
}

// A login that hangs holds up others only as long as they are willing to wait.
func TestHangingLogin(t *testing.T) {
	release := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	t.Cleanup(s.Close)
	t.Cleanup(func() { close(release) })
	p, err := New(Config{Address: s.URL, Kubernetes: &KubernetesAuth{Role: "r", JWTFile: write(t, "j")}}, newClock())
	if err != nil {
		t.Fatal(err)
	}
	first, cancelFirst := context.WithTimeout(t.Context(), time.Minute)
	defer cancelFirst()
	done := make(chan error)
	go func() {
		_, err := p.Describe(first, keyringtest.Ref(t, "vault://transit/acme"))
		done <- err
	}()
	second, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = p.Describe(second, keyringtest.Ref(t, "vault://transit/acme"))
	keyringtest.Expect(t, err, keyring.Unreachable)
	if first.Err() != nil {
		t.Error("the second caller waited for the first")
	}
	cancelFirst()
	keyringtest.Expect(t, <-done, keyring.Unreachable)
}

// The body of a request is a copy that does not outlive the request.
func TestSecretBody(t *testing.T) {
	b := &secretBody{left: []byte("plaintext")}
	got, err := io.ReadAll(b)
	if err != nil || string(got) != "plaintext" {
		t.Fatalf("%q, error %v", got, err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(b.left, make([]byte, 9)) {
		t.Error("closed and not cleared")
	}
	if n, err := b.Read(make([]byte, 9)); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("read %d bytes after Close, error %v; expected EOF", n, err)
	}
}

func TestMain(m *testing.M) {
	// No proxy setting of the machine may come between the tests and their loopback servers.
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"} {
		_ = os.Unsetenv(name)
	}
	os.Exit(m.Run())
}
