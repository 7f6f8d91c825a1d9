package azurekeyvault

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/wire"
)

const whence = "it comes from workload identity (AZURE_FEDERATED_TOKEN_FILE), the environment (AZURE_CLIENT_SECRET) or managed identity"

// status of an answer that is no success; 0 when there was none.
func status(err error) int {
	if answer, ok := errors.AsType[*azcore.ResponseError](err); ok {
		return answer.StatusCode
	}
	return 0
}

// misfit tells whether unwrapKey says that the bytes are not what this version of the key wrapped.
func misfit(err error) bool {
	answer, ok := errors.AsType[*azcore.ResponseError](err)
	return ok && answer.StatusCode == http.StatusBadRequest && answer.ErrorCode == "BadParameter"
}

// explain turns an error of the SDK into one of the keyring's kinds.
func explain(err error) error {
	if e, ok := errors.AsType[*noToken](err); ok {
		return explainToken(e)
	}
	code := status(err)
	var network net.Error
	var long *http.MaxBytesError
	switch {
	case code >= 300 && code < 400:
		return because(err, keyring.Refused, "it answered %d, a redirect, which is not followed because it could carry token and wrapping key elsewhere; Key Vault gives none, so look at proxies", code)
	case code != 0:
		return because(err, kindOf(code), "%s", said(err))
	case errors.As(err, &network) || errors.As(err, new(*url.Error)):
		return wire.Unanswered("Azure Key Vault", bare(err))
	case errors.As(err, &long):
		return because(err, keyring.Unreachable, "the answer is longer than %d bytes; is something else than Azure Key Vault listening there?", long.Limit)
	default:
		return because(err, keyring.Unreachable, "the answer is not what Azure Key Vault gives: %s", keyring.Quote(err.Error()))
	}
}

func kindOf(status int) keyring.Kind {
	switch {
	case status >= 500, status == http.StatusTooManyRequests, status == http.StatusRequestTimeout:
		return keyring.Unreachable
	default:
		return keyring.Refused
	}
}

// metadata is where managed identity is asked for. It is the last resort: nothing else is set up.
const metadata = "169.254.169.254"

// explainToken words a failure to get a token.
func explainToken(err *noToken) error {
	answer := response(err) //nolint:bodyclose // the SDK has read it already and keeps its bytes
	switch {
	case err.late:
		return because(err, keyring.Unreachable, "Azure gave the operator no token in time")
	case answer != nil:
		return because(err, kindOf(answer.StatusCode), "Azure gave the operator no token: it answered %d%s", answer.StatusCode, reason(answer))
	case err.host == metadata:
		return because(err, keyring.Refused, "the operator has no Azure identity; %s", whence)
	case err.network != nil:
		return wire.Unanswered("Microsoft Entra ID", err.network)
	default:
		text, _, _ := strings.Cut(err.Error(), "To troubleshoot")
		return because(err, keyring.Refused, "the operator has no Azure identity: %s; %s", keyring.Quote(text), whence)
	}
}

func response(err error) *http.Response {
	if failed, ok := errors.AsType[*azidentity.AuthenticationFailedError](err); ok {
		return failed.RawResponse
	}
	if answer, ok := errors.AsType[*azcore.ResponseError](err); ok {
		return answer.RawResponse
	}
	return nil
}

// said is what the vault answered.
func said(err error) string {
	answer, ok := errors.AsType[*azcore.ResponseError](err)
	if !ok {
		return keyring.Quote(err.Error())
	}
	return fmt.Sprintf("Key Vault answered %d%s", answer.StatusCode, reason(answer.RawResponse))
}

// reason reads code and message of an answer, in the forms of Key Vault and of Entra ID.
func reason(answer *http.Response) string {
	body, err := runtime.Payload(answer)
	if err != nil {
		return ""
	}
	var vault struct {
		Error struct {
			Code, Message string
			InnerError    struct{ Code string }
		}
	}
	var entra struct {
		Error       string
		Description string `json:"error_description"`
	}
	switch {
	case json.Unmarshal(body, &vault) == nil && vault.Error.Code != "":
		text := " " + keyring.Quote(strings.TrimSuffix(vault.Error.Code+" "+vault.Error.InnerError.Code, " "))
		return text + ": " + keyring.Quote(vault.Error.Message)
	case json.Unmarshal(body, &entra) == nil && entra.Error != "":
		// Behind it come ids and times, which differ with each attempt.
		words, _, _ := strings.Cut(entra.Description, "Trace ID:")
		return " " + keyring.Quote(entra.Error) + ": " + keyring.Quote(words)
	default:
		return ", in words Azure does not use; is something else listening there?"
	}
}

// bare leaves out method and address of the request, which net/http puts in front.
func bare(err error) error {
	if at, ok := errors.AsType[*url.Error](err); ok {
		return at.Err
	}
	return err
}

// hollow is success without substance.
func hollow(operation, lacks string) error {
	return keyring.Errorf(keyring.Unreachable, "the answer to %s holds no %s; is something else than Azure Key Vault listening there?", operation, lacks)
}

func because(cause error, kind keyring.Kind, format string, args ...any) error {
	return wire.Because(cause, kind, format, args...)
}
