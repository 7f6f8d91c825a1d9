package gcpkms

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/kms/apiv1/kmspb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/keyringtest"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/keyringtest/fakegcpkms"
)

// What the codes of Cloud KMS mean, for every method.
func TestCodes(t *testing.T) {
	f := fakegcpkms.Start(t).Use(t)
	p, uri, key := provider(t, f), f.Create("us-east1", "acme"), bytes.Repeat([]byte{6}, 32)
	wrapped, _, err := p.Wrap(t.Context(), ref(t, uri), key, keyringtest.Binding())
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		code codes.Code
		text string
		want keyring.Kind
		open keyring.Kind // of Unwrap where it differs
	}{
		"permission":     {codes.PermissionDenied, "Permission denied", keyring.Refused, ""},
		"no identity":    {codes.Unauthenticated, "invalid authentication credentials", keyring.Refused, ""},
		"unknown":        {codes.NotFound, "not found", keyring.Refused, ""},
		"disabled":       {codes.FailedPrecondition, "API has not been used in project", keyring.Refused, ""},
		"malformed":      {codes.InvalidArgument, "bad", keyring.Refused, keyring.Foreign},
		"damaged":        {codes.InvalidArgument, "checksum in field ciphertext_crc32c", keyring.Refused, keyring.Unreachable},
		"quota":          {codes.ResourceExhausted, "Quota exceeded", keyring.Unreachable, ""},
		"away":           {codes.Unavailable, "The service is currently unavailable", keyring.Unreachable, ""},
		"slow":           {codes.DeadlineExceeded, "deadline", keyring.Unreachable, ""},
		"internal":       {codes.Internal, "Internal error", keyring.Unreachable, ""},
		"aborted":        {codes.Aborted, "try again", keyring.Unreachable, ""},
		"endless reason": {codes.NotFound, strings.Repeat("blah\n", 400), keyring.Refused, ""},
	} {
		t.Run(name, func(t *testing.T) {
			f.Before(func(string) error { return status.Error(tc.code, tc.text) })
			defer f.Before(nil)
			_, err := p.Describe(t.Context(), ref(t, uri))
			keyringtest.Expect(t, err, tc.want)
			_, _, err = p.Wrap(t.Context(), ref(t, uri), key, keyringtest.Binding())
			keyringtest.Expect(t, err, tc.want, key)
			if tc.open == "" {
				tc.open = tc.want
			}
			_, err = p.Unwrap(t.Context(), ref(t, uri), wrapped, keyringtest.Binding())
			keyringtest.Expect(t, err, tc.open)
			if tc.code != codes.NotFound { // Destroy: gone already
				_, err = p.Destroy(t.Context(), ref(t, uri))
				keyringtest.Expect(t, err, tc.want)
			}
		})
	}
}

// Each permission that the documentation asks for is needed, and its name is in the message.
func TestPermissions(t *testing.T) {
	f := fakegcpkms.Start(t).Use(t)
	p, uri := provider(t, f), f.Create("us-east1", "acme")
	wrapped, _, err := p.Wrap(t.Context(), ref(t, uri), make([]byte, 32), keyringtest.Binding())
	if err != nil {
		t.Fatal(err)
	}
	for permission, call := range map[string]func() error{
		"cloudkms.cryptoKeys.get": func() error { _, err := p.Describe(t.Context(), ref(t, uri)); return err },
		"cloudkms.cryptoKeyVersions.useToEncrypt": func() error {
			_, _, err := p.Wrap(t.Context(), ref(t, uri), make([]byte, 32), keyringtest.Binding())
			return err
		},
		"cloudkms.cryptoKeyVersions.useToDecrypt": func() error { _, err := p.Unwrap(t.Context(), ref(t, uri), wrapped, keyringtest.Binding()); return err },
		"cloudkms.cryptoKeyVersions.list":         func() error { _, err := p.Destroy(t.Context(), ref(t, uri)); return err },
	} {
		f.Deny(permission)
		expect(t, call(), keyring.Refused, permission)
	}
}

// Answers that do not add up are not believed.
func TestDamagedAnswers(t *testing.T) {
	f := fakegcpkms.Start(t).Use(t)
	p, uri, key := provider(t, f), f.Create("us-east1", "acme"), bytes.Repeat([]byte{6}, 32)
	wrapped, _, err := p.Wrap(t.Context(), ref(t, uri), key, keyringtest.Binding())
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		change func(any)
		want   keyring.Kind
		say    string
	}{
		"changed":              {func(a any) { flip(a) }, keyring.Unreachable, "answer was damaged"},
		"no checksum":          {func(a any) { unsum(a) }, keyring.Unreachable, "answer was damaged"},
		"plaintext unverified": {func(a any) { encrypted(a).VerifiedPlaintextCrc32C = false }, keyring.Unreachable, "request was damaged"},
		"binding unverified":   {func(a any) { encrypted(a).VerifiedAdditionalAuthenticatedDataCrc32C = false }, keyring.Unreachable, "request was damaged"},
		"another key":          {func(a any) { encrypted(a).Name = fakegcpkms.Name("us-east1", "globex") + "/cryptoKeyVersions/1" }, keyring.Refused, "globex"},
		"no version":           {func(a any) { encrypted(a).Name = "" }, keyring.Refused, "expected a version"},
		"huge":                 {func(a any) { encrypted(a).Ciphertext = make([]byte, 4<<20) }, keyring.Unreachable, "larger than max"},
	} {
		t.Run(name, func(t *testing.T) {
			f.After(tc.change)
			defer f.After(nil)
			_, _, err := p.Wrap(t.Context(), ref(t, uri), key, keyringtest.Binding())
			expect(t, err, tc.want, tc.say)
			if got, err := p.Unwrap(t.Context(), ref(t, uri), wrapped, keyringtest.Binding()); strings.HasPrefix(tc.say, "answer") {
				expect(t, err, tc.want, tc.say)
			} else if err != nil || !bytes.Equal(got, key) {
				t.Errorf("Unwrap: %d bytes, error %v", len(got), err)
			}
		})
	}
}

// encrypted is the answer to Encrypt; changing another one's copy changes nothing.
func encrypted(a any) *kmspb.EncryptResponse {
	if r, ok := a.(*kmspb.EncryptResponse); ok {
		return r
	}
	return &kmspb.EncryptResponse{}
}

func flip(a any) {
	switch r := a.(type) {
	case *kmspb.EncryptResponse:
		r.Ciphertext[9] ^= 1
	case *kmspb.DecryptResponse:
		r.Plaintext[9] ^= 1
	}
}

func unsum(a any) {
	switch r := a.(type) {
	case *kmspb.EncryptResponse:
		r.CiphertextCrc32C = nil
	case *kmspb.DecryptResponse:
		r.PlaintextCrc32C = nil
	}
}

// Nothing is asked of anybody before a key is used; then the identity comes from the default chain.
func TestIdentity(t *testing.T) {
	f := fakegcpkms.Start(t)
	uri := f.Create("us-east1", "acme")
	for name, tc := range map[string]struct {
		file   string
		status int
		want   keyring.Kind
		say    string
	}{
		"no file":      {filepath.Join(t.TempDir(), "none"), 0, keyring.Refused, "no Google identity"},
		"not JSON":     {f.CAFile, 0, keyring.Refused, "no Google identity"},
		"wrong key":    {f.CredentialsFile, http.StatusBadRequest, keyring.Refused, "Invalid JWT Signature"},
		"login is off": {f.CredentialsFile, http.StatusServiceUnavailable, keyring.Unreachable, "503"},
		"good":         {f.CredentialsFile, 0, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", tc.file)
			f.RefuseTokens(tc.status)
			before := f.Requests()
			p := provider(t, f)
			_, err := p.Describe(t.Context(), ref(t, uri))
			if tc.want == "" {
				if err != nil || f.Requests() != before+1 {
					t.Errorf("%d requests, error %v; expected one", f.Requests()-before, err)
				}
				return
			}
			expect(t, err, tc.want, tc.say)
			if f.Requests() != before {
				t.Error("Cloud KMS was asked without a token")
			}
			_, again := p.Describe(t.Context(), ref(t, uri))
			if again == nil || again.Error() != err.Error() {
				t.Errorf("first %v, then %v; expected the same words", err, again)
			}
		})
	}
}

// A token endpoint that hangs costs the caller no more than the deadline.
func TestTokenHangs(t *testing.T) {
	f := fakegcpkms.Start(t)
	release := make(chan struct{})
	hung := &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }), ReadHeaderTimeout: time.Minute}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = hung.Serve(l) }()
	t.Cleanup(func() { close(release); _ = hung.Close() })
	raw, err := os.ReadFile(f.CredentialsFile)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(raw), `"token_uri":"`)
	was, _, _ := strings.Cut(rest, `"`)
	file := filepath.Join(t.TempDir(), "credentials.json")
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(string(raw), was, "http://"+l.Addr().String())), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", file)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, err = provider(t, f).Describe(ctx, ref(t, f.Create("us-east1", "acme")))
	expect(t, err, keyring.Unreachable, "no access token")
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("giving up took %s", took)
	}
}

// The words about a broken connection end in a status: they must be the same at the next attempt.
func TestConnections(t *testing.T) {
	f := fakegcpkms.Start(t).Use(t)
	uri := f.Create("us-east1", "acme")
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = gone.Close()
	closes, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = closes.Close() })
	go func() {
		for {
			conn, err := closes.Accept()
			if err != nil {
				return
			}
			_ = conn.Close()
		}
	}()
	for name, tc := range map[string]struct {
		config Config
		say    string
	}{
		"wrong CA":     {Config{Endpoint: f.Endpoint}, "unknown authority"},
		"refused":      {Config{Endpoint: gone.Addr().String()}, "connection refused"},
		"no such host": {Config{Endpoint: "kms.invalid:443"}, "host kms.invalid cannot be resolved"},
		"closes":       {Config{Endpoint: closes.Addr().String()}, "no answer from Cloud KMS"},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := New(tc.config)
			if err != nil {
				t.Fatal(err)
			}
			_, first := p.Describe(t.Context(), ref(t, uri))
			expect(t, first, keyring.Unreachable, tc.say)
			for range 5 {
				if _, again := p.Describe(t.Context(), ref(t, uri)); first != nil && (again == nil || again.Error() != first.Error()) {
					t.Errorf("first %v, then %v; expected the same words", first, again)
				}
			}
		})
	}
}

func TestConfig(t *testing.T) {
	f := fakegcpkms.Start(t)
	for _, cfg := range []Config{
		{Endpoint: "cloudkms.googleapis.com"}, {Endpoint: "https://cloudkms.googleapis.com"}, {Endpoint: ":443"}, {Endpoint: "host:"},
		{CAFile: "/there/is/none"}, {CAFile: f.CredentialsFile},
	} {
		if _, err := New(cfg); err == nil {
			t.Errorf("%+v was taken", cfg)
		}
	}
	if p, err := New(Config{}); err != nil || p.client.endpoint != DefaultEndpoint {
		t.Errorf("the zero value: error %v; expected %s", err, DefaultEndpoint)
	}
}
