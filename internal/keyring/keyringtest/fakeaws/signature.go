package fakeaws

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"log"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// maxSkew between the clocks of the two sides, as AWS has it.
const maxSkew = 5 * time.Minute

var authorization = regexp.MustCompile(`^AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([a-z0-9-]+)/kms/aws4_request, SignedHeaders=([a-z0-9;-]+), Signature=[0-9a-f]{64}$`)

// verify signs the request again, with the secret that belongs to the access key, and compares. It returns the region the
// request was signed for.
func verify(r *http.Request, body []byte) (region string, err error) {
	given := authorization.FindStringSubmatch(r.Header.Get("Authorization"))
	if given == nil {
		return "", fault{"MissingAuthenticationTokenException", "Missing Authentication Token"}
	}
	if given[1] != AccessKey {
		return "", fault{"UnrecognizedClientException", "The security token included in the request is invalid."}
	}
	if token := r.Header.Get("X-Amz-Security-Token"); token == "expired" {
		return "", fault{"ExpiredTokenException", "The security token included in the request is expired"}
	}
	at, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
	if skew := time.Since(at).Abs(); err != nil || skew > maxSkew || at.Format("20060102") != given[2] {
		return "", fault{"InvalidSignatureException", "Signature expired: " + r.Header.Get("X-Amz-Date") + " is now earlier than " + time.Now().UTC().Format("20060102T150405Z")}
	}
	again, err := sign(r, body, given[3], strings.Split(given[4], ";"), at)
	if err != nil || again != r.Header.Get("Authorization") {
		return "", fault{"InvalidSignatureException", "The request signature we calculated does not match the signature you provided."}
	}
	return given[3], nil
}

// sign returns the Authorization that the request should have.
func sign(r *http.Request, body []byte, region string, signed []string, at time.Time) (string, error) {
	req, err := http.NewRequestWithContext(context.Background(), r.Method, "http://"+r.Host+r.URL.RequestURI(), nil)
	if err != nil {
		return "", err
	}
	req.ContentLength = r.ContentLength
	for _, name := range signed {
		if values := r.Header.Values(name); len(values) > 0 && name != "content-length" {
			req.Header[http.CanonicalHeaderKey(name)] = values
		}
	}
	hash := sha256.Sum256(body)
	credentials := aws.Credentials{AccessKeyID: AccessKey, SecretAccessKey: SecretKey, SessionToken: r.Header.Get("X-Amz-Security-Token")}
	err = v4.NewSigner().SignHTTP(context.Background(), credentials, req, hex.EncodeToString(hash[:]), "kms", region, at)
	return req.Header.Get("Authorization"), err
}

// quiet keeps complaints about TLS handshakes, which tests provoke, out of their output.
func quiet() *log.Logger { return log.New(io.Discard, "", 0) }
