// Package fakeazure is a fake of Azure Key Vault for tests: an HTTPS server on loopback that speaks Key Vault's REST API, with
// the authentication challenge, and the little of Entra ID that workload identity needs. It is not Key Vault. What it does, it
// does in earnest: keys are RSA keys, wrap with OAEP and SHA-256, and have versions, attributes and soft delete.
package fakeazure

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/keyringtest/trouble"
)

// Token that the fake takes, and that its Entra ID gives.
const Token = "access-token-of-the-test"

// Assertion that the fake's Entra ID takes from a workload.
const Assertion = "jwt-of-the-test"

// Tenant of Entra ID the vaults belong to.
const Tenant = "00000000-0000-4000-8000-00000000000a"

// KeyVault is a running fake with any number of vaults, and an Entra ID.
type KeyVault struct {
	server *httptest.Server
	trust  *tls.Config

	trouble.Plan

	mu     sync.Mutex
	keys   map[string]*Key // by host and name
	calls  []string
	logins int
}

// Trouble is what an operation (get, wrapkey, unwrapkey, delete, deleted, token) does instead of its work.
type Trouble = trouble.Trouble

// Start runs a fake until the test ends.
func Start(t testing.TB) *KeyVault {
	t.Helper()
	certificate, trust := certify(t, "*.vault.azure.net", "*.vault.usgovcloudapi.net", "*.managedhsm.azure.net", "login.microsoftonline.com")
	f := &KeyVault{keys: map[string]*Key{}, trust: trust}
	f.server = httptest.NewUnstartedServer(f)
	f.server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
	f.server.Config.ErrorLog = log.New(io.Discard, "", 0)
	f.server.StartTLS()
	t.Cleanup(f.server.Close)
	return f
}

// Network leads every host to the fake, and trusts its certificate.
func (f *KeyVault) Network() *http.Transport {
	return &http.Transport{TLSClientConfig: f.trust, DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, f.server.Listener.Addr().String())
	}}
}

// Calls returns the operations so far that came with the right token, each with the host and name of its key.
func (f *KeyVault) Calls() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string(nil), f.calls...)
}

// Logins returns how many tokens the fake's Entra ID gave.
func (f *KeyVault) Logins() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.logins
}

// fault is an error in Key Vault's terms.
type fault struct {
	status               int
	code, inner, message string
}

func (e *fault) Error() string { return e.code + ": " + e.message }

// ServeHTTP answers one request.
func (f *KeyVault) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		return
	}
	if r.Host == "login.microsoftonline.com" {
		f.entra(w, r, body)
		return
	}
	_, suffix, _ := strings.Cut(r.Host, ".")
	if r.Header.Get("Authorization") != "Bearer "+Token {
		w.Header().Set("WWW-Authenticate", `Bearer authorization="https://login.microsoftonline.com/`+Tenant+`", resource="https://`+suffix+`"`)
		answer(w, nil, &fault{http.StatusUnauthorized, "Unauthorized", "", "AKV10000: Request is missing a Bearer or PoP token."})
		return
	}
	operation, name, version := route(r)
	if f.troubled(w, r, operation) {
		return
	}
	var in struct{ Alg, Value string }
	if len(body) > 0 && json.Unmarshal(body, &in) != nil {
		answer(w, nil, &fault{http.StatusBadRequest, "BadParameter", "", "Bad JSON content found in the request."})
		return
	}
	out, err := f.serve(operation, r.Host, name, request{version, in.Alg, in.Value})
	answer(w, out, err)
}

// request is what an operation is given besides the name of the key.
type request struct{ version, algorithm, value string }

// route reads the operation out of method and path.
func route(r *http.Request) (operation, name, version string) {
	parts := append(strings.Split(strings.Trim(r.URL.Path, "/"), "/"), "", "", "")
	switch {
	case r.URL.Query().Get("api-version") == "" || parts[1] == "":
	case r.Method == http.MethodGet && parts[0] == "keys":
		return "get", parts[1], parts[2]
	case r.Method == http.MethodGet && parts[0] == "deletedkeys":
		return "deleted", parts[1], ""
	case r.Method == http.MethodDelete && parts[0] == "keys":
		return "delete", parts[1], ""
	case r.Method == http.MethodPost && parts[0] == "keys":
		return parts[3], parts[1], parts[2]
	}
	return "", "", ""
}

// troubled makes the trouble that is due.
func (f *KeyVault) troubled(w http.ResponseWriter, r *http.Request, operation string) bool {
	return f.Serve(w, r, operation, func(t Trouble) { answer(w, nil, &fault{t.Status, t.Code, t.Inner, t.Message}) })
}

func answer(w http.ResponseWriter, out any, err error) {
	status := http.StatusOK
	if e, ok := err.(*fault); ok { //nolint:errorlint // the fake's functions return faults as they are
		body := map[string]any{"code": e.code, "message": e.message}
		if e.inner != "" {
			body["innererror"] = map[string]string{"code": e.inner}
		}
		status, out = e.status, map[string]any{"error": body}
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(out)
}
