package azurekeyvault

import (
	"context"
	"net/http"
	"os"
	"sync"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azkeys"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring"
)

// maxAnswer bounds an answer in bytes. A 4096-bit key takes about 2 KiB; Entra's tokens may take a few more.
const maxAnswer = 64 << 10

// client of a vault. It is made when first asked for, from files and environment alone.
func (p *Provider) client(host string) (*azkeys.Client, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c, ok := p.clients[host]; ok {
		return c, nil
	}
	if p.credential == nil {
		c, err := p.identity()
		if err != nil {
			return nil, because(err, keyring.Refused, "the operator's Azure identity cannot be used: %s", keyring.Quote(err.Error()))
		}
		p.credential = c
	}
	c, err := azkeys.NewClient("https://"+host, told{p.credential}, &azkeys.ClientOptions{ClientOptions: p.clientOptions()})
	if err != nil {
		return nil, because(err, keyring.Refused, "the client for Azure Key Vault cannot be made: %s", keyring.Quote(err.Error()))
	}
	p.clients[host] = c
	return c, nil
}

// identity is the one that the environment names. The first that is set up is taken: a chain that went on to the next would
// hide why the intended one fails.
func (p *Provider) identity() (azcore.TokenCredential, error) {
	o := p.clientOptions()
	switch {
	case p.options.Credential != nil:
		return p.options.Credential, nil
	case os.Getenv("AZURE_FEDERATED_TOKEN_FILE") != "":
		return azidentity.NewWorkloadIdentityCredential(&azidentity.WorkloadIdentityCredentialOptions{ClientOptions: o})
	case os.Getenv("AZURE_CLIENT_SECRET") != "" || os.Getenv("AZURE_CLIENT_CERTIFICATE_PATH") != "":
		return azidentity.NewEnvironmentCredential(&azidentity.EnvironmentCredentialOptions{ClientOptions: o})
	}
	managed := &azidentity.ManagedIdentityCredentialOptions{ClientOptions: o}
	if id := os.Getenv("AZURE_CLIENT_ID"); id != "" {
		managed.ID = azidentity.ClientID(id)
	}
	return azidentity.NewManagedIdentityCredential(managed)
}

func (p *Provider) clientOptions() azcore.ClientOptions {
	transport := p.options.Transport
	if transport == nil {
		transport = http.DefaultTransport
	}
	return azcore.ClientOptions{
		Retry:     policy.RetryOptions{MaxRetries: -1}, // the Ring repeats
		Telemetry: policy.TelemetryOptions{Disabled: true},
		Transport: &http.Client{
			Transport: bounded{transport},
			// A redirect could carry token and plaintext to another host, and Key Vault gives none.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// bounded reads no more of an answer than any that is expected, and notes a failure where somebody asked for it.
type bounded struct{ http.RoundTripper }

func (b bounded) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := b.RoundTripper.RoundTrip(req)
	if err == nil {
		resp.Body = http.MaxBytesReader(nil, resp.Body, maxAnswer)
	} else if note, ok := req.Context().Value(noteKey{}).(*note); ok {
		note.put(req.URL.Hostname(), err)
	}
	return resp, err
}

// note of the last request that got no answer. The identity SDK keeps the words of such an error alone.
type note struct {
	mu   sync.Mutex
	host string
	err  error
}

type noteKey struct{}

func (n *note) put(host string, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.host, n.err = host, err
}

func (n *note) get() (string, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.host, n.err
}

// told marks a failure to get a token, so that it is not taken for an answer of the vault.
type told struct{ azcore.TokenCredential }

func (t told) GetToken(ctx context.Context, o policy.TokenRequestOptions) (azcore.AccessToken, error) {
	unanswered := &note{}
	token, err := t.TokenCredential.GetToken(context.WithValue(ctx, noteKey{}, unanswered), o)
	if err == nil {
		return token, nil
	}
	host, network := unanswered.get()
	return token, &noToken{error: err, host: host, network: network, late: ctx.Err() != nil}
}

type noToken struct {
	error
	host    string // that gave no answer
	network error
	late    bool
}

func (e *noToken) Unwrap() error { return e.error }
