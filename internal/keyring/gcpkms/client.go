package gcpkms

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"sync"
	"time"

	"cloud.google.com/go/kms/apiv1/kmspb"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/google"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/wire"
)

const (
	// scope of the tokens asked for: Cloud KMS alone.
	scope = "https://www.googleapis.com/auth/cloudkms"
	// maxAnswer bounds an answer in bytes; a page of a thousand versions takes about 300 KiB.
	maxAnswer = 2 << 20
	// maxHeaders bounds the headers of an answer in bytes.
	maxHeaders = 16 << 10
	// tokenTimeout bounds one request for a token. It ends on its own, also when whoever asked has gone: the next call
	// then finds the token.
	tokenTimeout = 10 * time.Second
	// reconnect bounds the pause between attempts to connect.
	reconnect = 2 * time.Second
)

// client talks to Cloud KMS over one connection, made when it is first used.
type client struct {
	endpoint string
	host     string
	kms      kmspb.KeyManagementServiceClient
	identity *identity
}

func newClient(cfg Config) (*client, error) {
	endpoint := cfg.Endpoint
	if endpoint == "" {
		endpoint = DefaultEndpoint
	}
	host, port, err := net.SplitHostPort(endpoint)
	if _, odd := strconv.ParseUint(port, 10, 16); err != nil || odd != nil || host == "" {
		return nil, fmt.Errorf("gcpkms endpoint %q: expected host:port, such as %s", endpoint, DefaultEndpoint)
	}
	roots, err := readRoots(cfg.CAFile)
	if err != nil {
		return nil, err
	}
	conn, err := grpc.NewClient(endpoint,
		grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots})),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 2, Jitter: 0.2, MaxDelay: reconnect},
			MinConnectTimeout: 5 * time.Second,
		}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxAnswer)),
		grpc.WithMaxHeaderListSize(maxHeaders),
		grpc.WithDisableRetry(), // the Ring repeats
		grpc.WithDisableServiceConfig(),
	)
	if err != nil {
		return nil, fmt.Errorf("gcpkms endpoint %q: %w", endpoint, err)
	}
	return &client{endpoint: endpoint, host: host, kms: kmspb.NewKeyManagementServiceClient(conn), identity: &identity{}}, nil
}

func readRoots(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("gcpkms CA file: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("gcpkms CA file %s: expected PEM certificates, found none", file)
	}
	return roots, nil
}

// call does one call about a resource under the operator's identity. Errors are *keyring.Error.
func (c *client) call(ctx context.Context, resource string, do func(context.Context, kmspb.KeyManagementServiceClient) error) error {
	token, err := c.identity.token(ctx)
	if err != nil {
		return err
	}
	ctx = metadata.AppendToOutgoingContext(ctx,
		"authorization", "Bearer "+token,
		// How the endpoint finds the location that holds the key.
		"x-goog-request-params", "name="+url.QueryEscape(resource))
	return explain(do(ctx, c.kms), c.host)
}

// identity is the operator's, from Google's default chain: a file named by GOOGLE_APPLICATION_CREDENTIALS (a service
// account's, or a workload identity federation's configuration), gcloud's, or the metadata server of the machine.
type identity struct {
	mu     sync.Mutex
	source oauth2.TokenSource
}

// token returns an access token, and returns when ctx ends. Google's packages do not, hence the detour.
func (i *identity) token(ctx context.Context) (string, error) {
	type answer struct {
		token string
		err   error
	}
	got := make(chan answer, 1)
	go func() {
		t, err := i.fetch()
		got <- answer{t, err}
	}()
	select {
	case a := <-got:
		return a.token, a.err
	case <-ctx.Done():
		return "", wire.Because(ctx.Err(), keyring.Unreachable, "no access token from Google in time")
	}
}

// fetch returns a token that is still good, or a new one. One at a time: those who wait find it.
func (i *identity) fetch() (string, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.source == nil {
		// Not the context of a call: the source outlives it.
		ctx := context.WithValue(context.Background(), oauth2.HTTPClient, &http.Client{Timeout: tokenTimeout})
		found, err := google.FindDefaultCredentials(ctx, scope)
		if err != nil {
			return "", wire.Because(err, keyring.Refused, "the operator has no Google identity: %s", keyring.Quote(err.Error()))
		}
		i.source = found.TokenSource
	}
	t, err := i.source.Token()
	if err == nil {
		return t.AccessToken, nil
	}
	return "", noToken(err)
}

// noToken tells a refusal from a token endpoint that is away.
func noToken(err error) error {
	var refused *oauth2.RetrieveError
	if !errors.As(err, &refused) || refused.Response == nil {
		return wire.Unanswered("Google", err)
	}
	kind := keyring.Refused
	if s := refused.Response.StatusCode; s >= http.StatusInternalServerError || s == http.StatusTooManyRequests {
		kind = keyring.Unreachable
	}
	var body struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	_ = json.Unmarshal(refused.Body, &body) // no words when it is something else
	return wire.Because(err, kind, "no access token from Google: %s, %s", refused.Response.Status, keyring.Quote(body.Error+": "+body.Description))
}
