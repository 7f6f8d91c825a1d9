package awskms

import (
	"context"
	"net/http"
	"net/url"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/smithy-go/logging"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/wire"
)

// backend is KMS in one region.
type backend struct {
	client      *kms.Client
	credentials aws.CredentialsProvider
}

// call runs one operation with the client of the region. Its errors are *keyring.Error.
func (p *Provider) call(ctx context.Context, region string, do func(*kms.Client, func(*kms.Options)) error) error {
	b, err := p.backend(ctx, region)
	if err != nil {
		return err
	}
	// They are cached. Asked here, so that a failure to get them is not taken for an answer of KMS.
	if _, err := b.credentials.Retrieve(ctx); err != nil {
		return explainCredentials(ctx, err)
	}
	wipe := newProtocol()
	defer wipe.clear()
	err = do(b.client, func(o *kms.Options) { o.Protocol = wipe })
	if err == nil {
		return nil
	}
	err = explain(err)
	if cache, ok := b.credentials.(*aws.CredentialsCache); ok && hasCode(err, "ExpiredTokenException") {
		cache.Invalidate()
	}
	return err
}

// backend of a region. It is made when first asked for, from files and environment alone.
func (p *Provider) backend(ctx context.Context, region string) (*backend, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if b, ok := p.backends[region]; ok {
		return b, nil
	}
	cfg, err := config.LoadDefaultConfig(ctx, append([]func(*config.LoadOptions) error{
		config.WithDefaultRegion(region),
		config.WithRetryer(func() aws.Retryer { return aws.NopRetryer{} }), // the Ring repeats
		config.WithDefaultsMode(aws.DefaultsModeLegacy),                    // "auto" would ask the instance for its region now
		config.WithLogger(logging.Nop{}),
		config.WithWebIdentityRoleCredentialOptions(nameSession),
	}, p.options...)...)
	if err != nil {
		return nil, wire.Because(err, keyring.Refused, "the operator's AWS configuration cannot be used: %s", keyring.Quote(err.Error()))
	}
	cfg.Region = region
	if cfg.Credentials == nil {
		return nil, keyring.Errorf(keyring.Refused, "the operator has no AWS credentials; %s", whence)
	}
	if c, ok := cfg.HTTPClient.(*awshttp.BuildableClient); ok {
		cfg.HTTPClient = withoutRedirects(c.GetTransport())
	}
	b := &backend{client: kms.NewFromConfig(cfg), credentials: cfg.Credentials}
	if err := checkEndpoint(b.client.Options().BaseEndpoint); err != nil {
		return nil, err
	}
	p.backends[region] = b
	return b, nil
}

// withoutRedirects: a redirect could carry the plaintext to another host, and KMS gives none.
func withoutRedirects(transport *http.Transport) aws.HTTPClient {
	return &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// checkEndpoint refuses an endpoint set by environment or file that would send secrets in the clear.
func checkEndpoint(endpoint *string) error {
	if endpoint == nil {
		return nil
	}
	u, err := url.Parse(*endpoint)
	if err == nil && (u.Scheme == "https" || (u.Scheme == "http" && wire.Loopback(u.Hostname()))) {
		return nil
	}
	return keyring.Errorf(keyring.Refused, "the operator's endpoint for AWS KMS (AWS_ENDPOINT_URL_KMS) is %s; expected https", keyring.Quote(*endpoint))
}

// nameSession has CloudTrail show who asks, unless AWS_ROLE_SESSION_NAME does; the SDK would take the time.
func nameSession(o *stscreds.WebIdentityRoleOptions) {
	if o.RoleSessionName == "" {
		o.RoleSessionName = v1alpha1.OperatorName
	}
}
