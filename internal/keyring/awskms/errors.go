package awskms

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/wire"
)

const whence = "they come from the environment, the service account's role (IRSA, EKS Pod Identity) or the instance's role"

// misfits are KMS's words for a ciphertext that was not made by this key for this context.
var misfits = []string{"InvalidCiphertextException", "IncorrectKeyException"}

// again lists what means "not now".
var again = []string{
	"ThrottlingException", "Throttling", "RequestLimitExceeded", "TooManyRequestsException", "KMSInternalException", "DependencyTimeoutException",
	"KeyUnavailableException", "InternalFailure", "InternalServerError", "InternalServiceException", "ServiceUnavailable", "ServiceUnavailableException",
}

// wordless is what the SDK calls an error that names none.
const wordless = "UnknownError"

// hints say what to do about a refusal, where KMS's own words do not.
var hints = map[string]string{
	"AccessDeniedException":       "allow it in the policies of the operator's role and of the key",
	"DisabledException":           "enable the key, or name another",
	"ExpiredTokenException":       "the operator's AWS credentials have expired and were not renewed",
	"IncorrectKeyException":       "it was wrapped with another key than this; if the key is named by an alias, point that back",
	"InvalidSignatureException":   "check the operator's AWS credentials, and its clock",
	"UnrecognizedClientException": "check the operator's AWS credentials",
}

// explain turns an error of the SDK into one of the keyring's kinds.
func explain(err error) error {
	status := 0
	var answer interface{ HTTPStatusCode() int }
	if errors.As(err, &answer) {
		status = answer.HTTPStatusCode()
	}
	if api, ok := errors.AsType[smithy.APIError](err); ok && api.ErrorCode() != wordless {
		return because(err, kindOf(api.ErrorCode(), status), "%s", said("AWS KMS", api))
	}
	kind := keyring.Unreachable
	_, broke := errors.AsType[*net.OpError](err)
	switch {
	case status >= 300 && status < 400:
		return because(err, keyring.Refused, "it answered %d, a redirect, which is not followed because it could carry the wrapping key elsewhere; AWS KMS gives none, so look at AWS_ENDPOINT_URL_KMS and proxies", status)
	case status == 0 || broke: // while the answer was read
		return wire.Unanswered("AWS KMS", innermost(err))
	case status >= 400 && status < 500 && status != http.StatusTooManyRequests:
		kind = keyring.Refused
	}
	return because(err, kind, "it answered %d, in words AWS KMS does not use; is something else listening there?", status)
}

func kindOf(code string, status int) keyring.Kind {
	switch {
	case slices.Contains(misfits, code):
		return keyring.Foreign
	case status >= 500 || status == http.StatusTooManyRequests || slices.Contains(again, code):
		return keyring.Unreachable
	default:
		return keyring.Refused
	}
}

// explainCredentials words a failure to get credentials.
func explainCredentials(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return because(err, keyring.Unreachable, "AWS gave the operator no credentials in time")
	}
	var network net.Error
	var answer interface{ HTTPStatusCode() int }
	api, isAPI := errors.AsType[smithy.APIError](err)
	switch {
	case asksInstance(err):
		// The last in the chain: nothing else is set up. The words of a missing metadata service help nobody.
		return because(err, keyring.Refused, "the operator has no AWS credentials; %s", whence)
	case isAPI:
		status := 0
		if errors.As(err, &answer) {
			status = answer.HTTPStatusCode()
		}
		return because(err, kindOf(api.ErrorCode(), status), "AWS gave the operator no credentials: %s", said("it", api))
	case errors.As(err, &network):
		return wire.Unanswered("AWS", innermost(err))
	default:
		return because(err, keyring.Refused, "the operator has no AWS credentials: %s; %s", keyring.Quote(requestID.ReplaceAllString(err.Error(), "")), whence)
	}
}

// asksInstance tells whether the instance metadata service was to give the credentials.
func asksInstance(err error) bool {
	for err != nil {
		if op, ok := errors.AsType[*smithy.OperationError](err); ok {
			if op.ServiceID == "ec2imds" {
				return true
			}
			err = op.Err
			continue
		}
		return false
	}
	return false
}

var (
	// Session names may hold the time, and differ between replicas.
	session   = regexp.MustCompile(`(assumed-role/[\w+=,.@-]+)/[\w+=,.@-]+`)
	requestID = regexp.MustCompile(`,? *RequestID: [\w-]*`)
)

func said(who string, err smithy.APIError) string {
	text := fmt.Sprintf("%s answered %s", who, keyring.Quote(err.ErrorCode()))
	if words := session.ReplaceAllString(err.ErrorMessage(), "$1"); words != "" && words != err.ErrorCode() {
		text += ": " + keyring.Quote(words)
	}
	if hint := hints[err.ErrorCode()]; hint != "" {
		text += "; " + hint
	}
	return text
}

// innermost skips the SDK's wrapping, whose words hold ids of requests.
func innermost(err error) error {
	if sent, ok := errors.AsType[*smithyhttp.RequestSendError](err); ok {
		err = sent.Err
	}
	for {
		op, ok := errors.AsType[*smithy.OperationError](err)
		if !ok {
			break
		}
		err = op.Err
	}
	if at, ok := errors.AsType[*url.Error](err); ok {
		err = at.Err
	}
	return err
}

func because(cause error, kind keyring.Kind, format string, args ...any) error {
	return wire.Because(cause, kind, format, args...)
}

func hasCode(err error, code string) bool {
	api, ok := errors.AsType[smithy.APIError](err)
	return ok && api.ErrorCode() == code
}
