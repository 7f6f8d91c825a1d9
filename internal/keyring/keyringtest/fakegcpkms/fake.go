// Package fakegcpkms is a fake of Google Cloud KMS on a loopback port: gRPC over TLS as the real one speaks it, tokens from
// a token endpoint, keys with versions, and real AES-256-GCM with the additional data of the request. It is no Google code:
// what it answers follows the documentation of the API.
package fakegcpkms

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"cloud.google.com/go/kms/apiv1/kmspb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
)

// KMS is a running fake.
type KMS struct {
	kmspb.UnimplementedKeyManagementServiceServer
	// Endpoint is host:port.
	Endpoint string
	// CAFile certifies it.
	CAFile string
	// CredentialsFile is a service account's, for GOOGLE_APPLICATION_CREDENTIALS.
	CredentialsFile string

	mu   sync.Mutex
	keys map[string]*Key
	// denied permissions, by name.
	denied map[string]bool
	// before and after every call; see Before and After.
	before func(method string) error
	after  func(answer any)
	// tokens handed out, and how many requests arrived.
	tokens   map[string]bool
	requests int
	tokenErr int // status of the token endpoint, 0 for tokens
}

// Start runs a fake until the test ends.
func Start(t testing.TB) *KMS {
	t.Helper()
	f := &KMS{keys: map[string]*Key{}, denied: map[string]bool{}, tokens: map[string]bool{}}
	dir := t.TempDir()

	// The test server's certificate holds for 127.0.0.1.
	pki := httptest.NewTLSServer(http.NotFoundHandler())
	certificate := pki.TLS.Certificates[0]
	f.CAFile = filepath.Join(dir, "ca.pem")
	must(t, os.WriteFile(f.CAFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pki.Certificate().Raw}), 0o600))
	pki.Close()

	login := httptest.NewServer(http.HandlerFunc(f.login))
	t.Cleanup(login.Close)
	f.CredentialsFile = filepath.Join(dir, "credentials.json")
	must(t, os.WriteFile(f.CredentialsFile, serviceAccount(t, login.URL), 0o600))

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	f.Endpoint = listener.Addr().String()
	server := grpc.NewServer(grpc.Creds(credentials.NewServerTLSFromCert(&certificate)), grpc.UnaryInterceptor(f.guard))
	kmspb.RegisterKeyManagementServiceServer(server, f)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	return f
}

// Use lets this process find the fake's credentials, until the test ends.
func (f *KMS) Use(t *testing.T) *KMS {
	t.Helper()
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", f.CredentialsFile)
	return f
}

// serviceAccount is the file Google gives out for one.
func serviceAccount(t testing.TB, tokenURI string) []byte {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	must(t, err)
	raw, err := json.Marshal(map[string]string{
		"type": "service_account", "project_id": "p", "private_key_id": "1", "client_id": "1", "token_uri": tokenURI,
		"client_email": "operator@p.iam.gserviceaccount.com",
		"private_key":  string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
	})
	must(t, err)
	return raw
}

// login is the token endpoint.
func (f *KMS) login(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	if f.tokenErr != 0 {
		w.WriteHeader(f.tokenErr)
		fmt.Fprint(w, `{"error":"invalid_grant","error_description":"Invalid JWT Signature."}`)
		return
	}
	if r.FormValue("assertion") == "" {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	token := "ya29." + rand.Text()
	f.tokens[token] = true
	_ = json.NewEncoder(w).Encode(map[string]any{"access_token": token, "token_type": "Bearer", "expires_in": 3600})
}

// RefuseTokens has the token endpoint answer with a status; 0 lets it give tokens again.
func (f *KMS) RefuseTokens(status int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tokenErr = status
}

// Deny takes a permission away, such as cloudkms.cryptoKeys.get.
func (f *KMS) Deny(permission string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.denied[permission] = true
}

// Before sees every call, by the name of its method; its error is the answer.
func (f *KMS) Before(see func(method string) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.before = see
}

// After may change every answer.
func (f *KMS) After(change func(answer any)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.after = change
}

// Requests counts the calls that arrived.
func (f *KMS) Requests() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.requests
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wait is how long keys of the fake stay between the request to destroy them and their end, unless made otherwise.
const wait = 30 * 24 * time.Hour
