package fakeazure

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// entra answers what the SDK asks of login.microsoftonline.com before it trades a workload's assertion for a token.
func (f *KeyVault) entra(w http.ResponseWriter, r *http.Request, body []byte) {
	const issuer = "https://login.microsoftonline.com/" + Tenant
	switch {
	case strings.HasSuffix(r.URL.Path, "/discovery/instance"):
		answer(w, map[string]any{
			"tenant_discovery_endpoint": issuer + "/v2.0/.well-known/openid-configuration", "api-version": "1.1",
			"metadata": []any{map[string]any{
				"preferred_network": r.Host, "preferred_cache": r.Host, "aliases": []string{r.Host},
			}},
		}, nil)
	case strings.HasSuffix(r.URL.Path, "/openid-configuration"):
		answer(w, map[string]any{"issuer": issuer + "/v2.0", "token_endpoint": issuer + "/oauth2/v2.0/token", "authorization_endpoint": issuer + "/oauth2/v2.0/authorize"}, nil)
	case strings.HasSuffix(r.URL.Path, "/token"):
		if f.troubled(w, r, "token") {
			return
		}
		form, err := url.ParseQuery(string(body))
		if err != nil || form.Get("client_assertion") != Assertion || !strings.Contains(form.Get("scope"), "https://vault.azure.net/.default") {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		f.mu.Lock()
		f.logins++
		f.mu.Unlock()
		answer(w, map[string]any{"token_type": "Bearer", "expires_in": 3600, "access_token": Token}, nil)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

// certify makes a certificate for the hosts, and a configuration that trusts it and no other.
func certify(t testing.TB, hosts ...string) (tls.Certificate, *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: hosts, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(raw)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{raw}, PrivateKey: key}, &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
}
