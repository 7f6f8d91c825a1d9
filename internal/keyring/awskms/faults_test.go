package awskms

import (
	"bytes"
	"context"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/config"
	"k8s.io/utils/clock"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/keyringtest"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/keyringtest/fakeaws"
)

// everything tries each operation and expects the same kind of error of all, in words that are stable and reveal nothing.
func everything(t *testing.T, p *Provider, r keyring.KeyRef, want keyring.Kind, say string) {
	t.Helper()
	key := bytes.Repeat([]byte{6}, 32)
	for name, do := range map[string]func() error{
		"Describe": func() error { _, err := p.Describe(t.Context(), r); return err },
		"Wrap":     func() error { _, _, err := p.Wrap(t.Context(), r, key, keyringtest.Binding()); return err },
		"Unwrap":   func() error { _, err := p.Unwrap(t.Context(), r, key, keyringtest.Binding()); return err },
		"Rewrap":   func() error { _, _, err := p.Rewrap(t.Context(), r, key, keyringtest.Binding()); return err },
		"Destroy":  func() error { _, err := p.Destroy(t.Context(), r); return err },
	} {
		err := do()
		keyringtest.Expect(t, err, want, key, []byte(fakeaws.SecretKey))
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

// What KMS may answer, and things that are no KMS.
func TestAnswers(t *testing.T) {
	for _, tc := range []struct {
		name    string
		trouble fakeaws.Trouble
		want    keyring.Kind
		say     string
	}{
		{"access denied", fakeaws.Trouble{Code: "AccessDeniedException",
			Message: "User: arn:aws:sts::111122223333:assumed-role/operator/1700000000000000000 is not authorized to perform: kms:X"}, keyring.Refused, "assumed-role/operator is not authorized"},
		{"disabled", fakeaws.Trouble{Code: "DisabledException", Message: "arn is disabled."}, keyring.Refused, "enable the key"},
		{"state", fakeaws.Trouble{Code: "KMSInvalidStateException", Message: "arn is pending import."}, keyring.Refused, "pending import"},
		{"throttled", fakeaws.Trouble{Code: "ThrottlingException", Message: "Rate exceeded"}, keyring.Unreachable, "Rate exceeded"},
		{"internal", fakeaws.Trouble{Status: 500, Code: "KMSInternalException"}, keyring.Unreachable, "KMSInternalException"},
		{"dependency", fakeaws.Trouble{Status: 503, Code: "DependencyTimeoutException"}, keyring.Unreachable, "DependencyTimeoutException"},
		{"expired", fakeaws.Trouble{Code: "ExpiredTokenException", Message: "The security token included in the request is expired"}, keyring.Refused, "not renewed"},
		{"unknown code", fakeaws.Trouble{Code: "SomethingNewException", Message: "no\n\tand no"}, keyring.Refused, "no and no"},
		{"long", fakeaws.Trouble{Code: "ValidationException", Message: strings.Repeat("blah ", 5000)}, keyring.Refused, "blah"},
		{"page of a proxy", fakeaws.Trouble{Status: 502, Raw: "<html>bad gateway</html>"}, keyring.Unreachable, "502"},
		{"page of another server", fakeaws.Trouble{Status: 404, Raw: "<html>not found</html>"}, keyring.Refused, "404"},
		{"not JSON", fakeaws.Trouble{Status: 200, Raw: "hello"}, keyring.Unreachable, "is something else listening"},
		{"endless", fakeaws.Trouble{Status: 200, Raw: strings.Repeat(" ", 1<<20)}, keyring.Unreachable, "is something else listening"},
		{"hollow", fakeaws.Trouble{Status: 200, Raw: "{}"}, keyring.Unreachable, "is something else than AWS KMS listening"},
		{"redirect", fakeaws.Trouble{Location: "https://elsewhere.invalid/"}, keyring.Refused, "redirect"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := fakeaws.Start(t)
			arn := f.Create(region, "")
			f.Upset("", tc.trouble)
			everything(t, at(f.URL), ref(t, arn), tc.want, tc.say)
		})
	}
}

// A key that KMS does not know, or knows elsewhere, is refused by all but Destroy, which has nothing left to do.
func TestUnknownKeys(t *testing.T) {
	f := fakeaws.Start(t)
	f.Create("us-west-2", "elsewhere")
	for name, uri := range map[string]string{
		"unknown":        "awskms://arn:aws:kms:us-east-1:111122223333:key/none",
		"unknown alias":  "awskms://alias/none?region=us-east-1",
		"foreign region": "awskms://alias/elsewhere?region=us-east-1",
	} {
		t.Run(name, func(t *testing.T) {
			p, r := at(f.URL), keyringtest.Ref(t, uri)
			_, err := p.Describe(t.Context(), r)
			keyringtest.Expect(t, err, keyring.Refused)
			_, _, err = p.Wrap(t.Context(), r, make([]byte, 32), keyringtest.Binding())
			keyringtest.Expect(t, err, keyring.Refused)
			_, _, err = p.Rewrap(t.Context(), r, []byte("x"), keyringtest.Binding())
			keyringtest.Expect(t, err, keyring.Refused)
		})
	}
}

// A redirect must not carry the plaintext and the signature to wherever it points.
func TestRedirectsAreNotFollowed(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a request arrived where the redirect points") }))
	t.Cleanup(elsewhere.Close)
	f := fakeaws.Start(t)
	arn := f.Create(region, "")
	f.Upset("Encrypt", fakeaws.Trouble{Location: elsewhere.URL})
	_, _, err := at(f.URL).Wrap(t.Context(), ref(t, arn), make([]byte, 32), keyringtest.Binding())
	keyringtest.Expect(t, err, keyring.Refused)
}

// Go follows no redirect of a body it cannot send twice, and the SDK's it cannot, today. The client does not rely on that.
func TestClientFollowsNoRedirects(t *testing.T) {
	s := httptest.NewServer(http.RedirectHandler("https://elsewhere.invalid/", http.StatusTemporaryRedirect))
	t.Cleanup(s.Close)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := withoutRedirects(&http.Transport{}).Do(req)
	if err != nil || resp.StatusCode != http.StatusTemporaryRedirect {
		t.Fatalf("%v, error %v; expected the redirect itself", resp, err)
	}
	_ = resp.Body.Close()
}

// One attempt: who repeats, and how often, is for the Ring to say.
func TestOneAttempt(t *testing.T) {
	requests := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		requests++
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	t.Cleanup(s.Close)
	_, err := at(s.URL).Describe(t.Context(), ref(t, "arn:aws:kms:us-east-1:111122223333:key/x"))
	keyringtest.Expect(t, err, keyring.Unreachable)
	if requests != 1 {
		t.Errorf("%d requests; expected one", requests)
	}
}

// A slow KMS holds nobody longer than they are willing to wait.
func TestSlow(t *testing.T) {
	f := fakeaws.Start(t)
	arn, release := f.Create(region, ""), make(chan struct{})
	f.Upset("", fakeaws.Trouble{Until: release})
	t.Cleanup(func() { close(release) })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := at(f.URL).Describe(ctx, ref(t, arn))
	keyringtest.Expect(t, err, keyring.Unreachable)
}

func TestConnections(t *testing.T) {
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	_, tls := fakeaws.StartTLS(t)
	hangUp := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if conn, _, err := w.(http.Hijacker).Hijack(); err == nil {
			_ = conn.Close()
		}
	}))
	t.Cleanup(hangUp.Close)
	breakOff := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"__type":`)
		if conn, _, err := w.(http.Hijacker).Hijack(); err == nil {
			_ = conn.(*net.TCPConn).SetLinger(0)
			_ = conn.Close()
		}
	}))
	t.Cleanup(breakOff.Close)
	for name, tc := range map[string]struct{ url, say string }{
		"refused":           {closed.URL, "refused"},
		"unknown authority": {tls.URL, "CA file"},
		"no such host":      {"https://kms.invalid", "kms.invalid cannot be resolved"},
		"hung up":           {hangUp.URL, "AWS KMS closed the connection"},
		"broken off":        {breakOff.URL, "AWS KMS closed the connection"},
	} {
		t.Run(name, func(t *testing.T) {
			everything(t, at(tc.url), ref(t, "arn:aws:kms:us-east-1:111122223333:key/x"), keyring.Unreachable, tc.say)
		})
	}
}

// The operator is configured by the SDK's own environment variables.
func TestEnvironment(t *testing.T) {
	f, tls := fakeaws.StartTLS(t)
	arn := f.Create(region, "")
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: tls.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_ACCESS_KEY_ID", fakeaws.AccessKey)
	t.Setenv("AWS_SECRET_ACCESS_KEY", fakeaws.SecretKey)
	t.Setenv("AWS_ENDPOINT_URL_KMS", f.URL)
	t.Setenv("AWS_CA_BUNDLE", ca)
	t.Setenv("AWS_REGION", "eu-west-1") // the key's region counts
	p := New(clock.RealClock{})
	wrapped, _, err := p.Wrap(t.Context(), ref(t, arn), make([]byte, 32), keyringtest.Binding())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Unwrap(t.Context(), ref(t, arn), wrapped, keyringtest.Binding()); err != nil {
		t.Error(err)
	}
	f.Upset("Encrypt", fakeaws.Trouble{Location: "https://elsewhere.invalid/"})
	_, _, err = p.Wrap(t.Context(), ref(t, arn), make([]byte, 32), keyringtest.Binding())
	keyringtest.Expect(t, err, keyring.Refused)
}

// Configurations that cannot work, or would send secrets in the clear, say so at the first use, and not for ever.
func TestUnusableEnvironment(t *testing.T) {
	for name, tc := range map[string]struct{ variable, value, say string }{
		"CA file missing": {"AWS_CA_BUNDLE", "/there/is/none", "/there/is/none"},
		"profile missing": {"AWS_PROFILE", "none", "none"},
		"plain http":      {"AWS_ENDPOINT_URL_KMS", "http://kms.example", "expected https"},
		"no URL":          {"AWS_ENDPOINT_URL_KMS", "kms.example", "expected https"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(tc.variable, tc.value)
			p := New(clock.RealClock{}, with(fakeaws.AccessKey, fakeaws.SecretKey, ""))
			everything(t, p, ref(t, "arn:aws:kms:us-east-1:111122223333:key/x"), keyring.Refused, tc.say)
			f := fakeaws.Start(t)
			arn := f.Create(region, "")
			t.Setenv(tc.variable, "")
			t.Setenv("AWS_ENDPOINT_URL_KMS", f.URL)
			if _, err := p.Describe(t.Context(), ref(t, arn)); err != nil {
				t.Errorf("after the repair: %v", err)
			}
		})
	}
}

// signed with what the fake does not know is refused, which also shows that the fake looks.
func TestCredentials(t *testing.T) {
	f := fakeaws.Start(t)
	arn := f.Create(region, "")
	for name, tc := range map[string]struct {
		access, secret, session string
		say                     string
	}{
		"unknown access key": {"AKIAOTHER", fakeaws.SecretKey, "", "check the operator's AWS credentials"},
		"wrong secret":       {fakeaws.AccessKey, "wrong", "", "signature"},
		"expired session":    {fakeaws.AccessKey, fakeaws.SecretKey, "expired", "expired"},
	} {
		t.Run(name, func(t *testing.T) {
			p := New(clock.RealClock{}, config.WithBaseEndpoint(f.URL), with(tc.access, tc.secret, tc.session))
			everything(t, p, ref(t, arn), keyring.Refused, tc.say)
		})
	}
	p := New(clock.RealClock{}, config.WithBaseEndpoint(f.URL), with(fakeaws.AccessKey, fakeaws.SecretKey, "session"))
	if _, err := p.Describe(t.Context(), ref(t, arn)); err != nil {
		t.Errorf("with a session token: %v", err)
	}
}
