package vault

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"k8s.io/utils/clock"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/wire"
)

// maxAnswer bounds an answer in bytes. A transit key with a thousand versions takes about 20 KiB.
const maxAnswer = 64 << 10

// client speaks JSON with one Vault.
type client struct {
	address   string
	namespace string
	http      *http.Client
	login     tokenSource
}

func newClient(cfg Config, c clock.PassiveClock) (*client, error) {
	address, err := checkAddress(cfg.Address)
	if err != nil {
		return nil, err
	}
	roots, err := readRoots(cfg.CAFile)
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
		ForceAttemptHTTP2:   true,
		MaxIdleConnsPerHost: 16,
		IdleConnTimeout:     90 * time.Second,
	}
	v := &client{address: address, namespace: cfg.Namespace}
	// A redirect could carry token and plaintext to another host. Vault forwards requests to its active node itself.
	v.http = &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}
	if v.login, err = newTokenSource(cfg, v, c); err != nil {
		return nil, err
	}
	return v, nil
}

// checkAddress refuses what would send secrets in the clear.
func checkAddress(address string) (string, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return "", errors.New("vault address: expected https://host:port and nothing else")
	}
	switch {
	case u.Scheme == "https":
	case u.Scheme == "http" && wire.Loopback(u.Hostname()):
	default:
		return "", fmt.Errorf("vault address %s://%s: expected https; http is taken for loopback addresses only", u.Scheme, u.Host)
	}
	return u.Scheme + "://" + u.Host, nil
}

func readRoots(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("vault CA file: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("vault CA file %s: expected PEM certificates, found none", file)
	}
	return roots, nil
}

// do sends one authenticated request. A token that was issued to us and is refused is renewed once.
func (v *client) do(ctx context.Context, method, path string, in, out any) error {
	token, err := v.login.token(ctx)
	if err != nil {
		return err
	}
	err = v.send(ctx, request{method, path, token, in}, out)
	if !is(err, http.StatusForbidden) || !v.login.drop(ctx, token) {
		return err
	}
	if token, err = v.login.token(ctx); err != nil {
		return err
	}
	return v.send(ctx, request{method, path, token, in}, out)
}

// request to Vault, path without /v1/.
type request struct {
	method, path, token string
	body                any
}

// send returns nil and fills out, unless out is nil, on status 200 (without out also on 204), *answer for any other status, and another error when there was none.
func (v *client) send(ctx context.Context, r request, out any) error {
	body, err := encode(r.body)
	if err != nil {
		return err
	}
	defer clear(body)
	req, err := v.newRequest(ctx, r, body)
	if err != nil {
		return err
	}
	resp, err := v.http.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	// One buffer of the full size, so that no smaller copy of a plaintext is left behind by growing it.
	answerBody := make([]byte, maxAnswer)
	defer clear(answerBody)
	n, err := io.ReadFull(resp.Body, answerBody)
	switch {
	case err == nil:
		return &answer{status: http.StatusBadGateway, reason: "the answer is longer than any Vault gives"}
	case !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF):
		return err
	}
	if resp.StatusCode == http.StatusNoContent && out == nil {
		return nil
	}
	if resp.StatusCode != http.StatusOK {
		return refusal(resp.StatusCode, answerBody[:n], r.token)
	}
	if out == nil {
		return nil
	}
	if json.Unmarshal(answerBody[:n], out) != nil {
		return &answer{status: http.StatusBadGateway, reason: "the answer is not what Vault gives; is something else listening there?"}
	}
	return nil
}

func encode(body any) ([]byte, error) {
	if body == nil {
		return nil, nil
	}
	return json.Marshal(body)
}

func (v *client) newRequest(ctx context.Context, r request, body []byte) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, r.method, v.address+"/v1/"+r.path, nil)
	if err != nil {
		return nil, err
	}
	if len(body) > 0 {
		req.ContentLength = int64(len(body))
		req.GetBody = func() (io.ReadCloser, error) { return &secretBody{left: bytes.Clone(body)}, nil }
		req.Body, _ = req.GetBody()
	}
	req.Header.Set("X-Vault-Request", "true")
	if r.token != "" {
		req.Header.Set("X-Vault-Token", r.token)
	}
	if v.namespace != "" {
		req.Header.Set("X-Vault-Namespace", v.namespace)
	}
	return req, nil
}

// secretBody is a request body that is cleared when it is closed. The transport may close it after the request has
// returned, so each has a copy of its own.
type secretBody struct {
	mu   sync.Mutex
	left []byte
	read int
}

func (b *secretBody) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.read == len(b.left) {
		return 0, io.EOF
	}
	n := copy(p, b.left[b.read:])
	b.read += n
	return n, nil
}

func (b *secretBody) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	clear(b.left)
	b.read = len(b.left)
	return nil
}

// refusal joins Vault's error texts. Should one repeat the token, it is cut out.
func refusal(status int, body []byte, token string) *answer {
	var e struct {
		Errors []string `json:"errors"`
	}
	if json.Unmarshal(body, &e) != nil {
		return &answer{status: status}
	}
	text := strings.Join(e.Errors, "; ")
	if token != "" {
		text = strings.ReplaceAll(text, token, "[token]")
	}
	return &answer{status: status, reason: text, missing: status == http.StatusNotFound && e.Errors != nil && text == ""}
}
