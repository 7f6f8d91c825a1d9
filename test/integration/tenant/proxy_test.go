package tenant

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"

	"k8s.io/client-go/rest"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
)

// moment is a point in the life of a write.
type moment string

const (
	before    moment = "before the write reaches the API server"
	committed moment = "after the commit, before the response"
)

// proxy stands between the operator and the API server, counts the operator's writes, and kills the operator at one of
// them. Leases, events, the question who it is, and what shows how API servers store Secrets are not counted.
type proxy struct {
	*httptest.Server
	mu     sync.Mutex
	writes []string
	at     int
	when   moment
	kill   func()
}

func newProxy(config *rest.Config) (*proxy, error) {
	target, err := url.Parse(config.Host)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(config.CAData)
	p := &proxy{}
	reverse := httputil.NewSingleHostReverseProxy(target)
	reverse.FlushInterval = -1
	reverse.Transport = &http.Transport{
		TLSClientConfig:     &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12},
		MaxIdleConnsPerHost: 64,
	}
	p.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { p.serve(reverse, w, r) }))
	return p, nil
}

// ca is the certificate the proxy presents.
func (p *proxy) ca() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.Certificate().Raw})
}

// killAt arms the proxy for the n-th write from now on, counted from 1; 0 lets all pass.
func (p *proxy) killAt(n int, when moment, kill func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.writes, p.at, p.when, p.kill = nil, n, when, kill
}

func (p *proxy) count() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.writes...)
}

func (p *proxy) serve(next http.Handler, w http.ResponseWriter, r *http.Request) {
	if !isWrite(r) {
		next.ServeHTTP(w, r)
		return
	}
	p.mu.Lock()
	p.writes = append(p.writes, r.Method+" "+r.URL.Path)
	hit := len(p.writes) == p.at
	when, kill := p.when, p.kill
	p.mu.Unlock()
	switch {
	case !hit:
		next.ServeHTTP(w, r)
	case when == before:
		kill()
		panic(http.ErrAbortHandler)
	default:
		next.ServeHTTP(httptest.NewRecorder(), r)
		kill()
		panic(http.ErrAbortHandler)
	}
}

func isWrite(r *http.Request) bool {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return false
	}
	for _, part := range []string{"/leases", "/events", "/selfsubjectreviews", "/secrets/" + v1alpha1.SecretCanary} {
		if strings.Contains(r.URL.Path, part) {
			return false
		}
	}
	return true
}
