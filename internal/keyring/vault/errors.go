package vault

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring"
)

// answer is any reply of Vault but success.
type answer struct {
	status int
	reason string
}

func (a *answer) Error() string {
	if a.reason == "" {
		return fmt.Sprintf("Vault answered %d", a.status)
	}
	return fmt.Sprintf("Vault answered %d: %s", a.status, keyring.Quote(a.reason))
}

// is tells whether Vault answered with this status.
func is(err error, status int) bool {
	a, ok := errors.AsType[*answer](err)
	return ok && a.status == status
}

// misfits are the engine's words for a ciphertext that was not made by this key for this context.
var misfits = []string{"message authentication failed", "invalid ciphertext"}

func misfit(err error) bool {
	a, ok := errors.AsType[*answer](err)
	return ok && a.status == http.StatusBadRequest &&
		slices.ContainsFunc(misfits, func(words string) bool { return strings.Contains(a.reason, words) })
}

// again lists the statuses below 500 that mean "not now": consistency not reached, throttled, standby nodes.
var again = []int{http.StatusRequestTimeout, http.StatusPreconditionFailed, http.StatusTooManyRequests, 472, 473}

// explain turns what went wrong into one of the keyring's kinds.
func explain(err error) error {
	if e, ok := errors.AsType[*keyring.Error](err); ok {
		return e
	}
	a, ok := errors.AsType[*answer](err)
	switch {
	case !ok:
		return explainTransport(err)
	case a.status >= 300 && a.status < 400:
		return refuse(a, "%s, a redirect, which is not followed because it could carry the token elsewhere; give the operator the address of the active node", a)
	case a.status >= 500 || slices.Contains(again, a.status):
		out := keyring.Errorf(keyring.Unreachable, "%s", a)
		out.Err = a
		return out
	default:
		return refuse(a, "%s", a)
	}
}

func refuse(cause error, format string, args ...any) error {
	out := keyring.Errorf(keyring.Refused, format, args...)
	out.Err = cause
	return out
}

func foreign(cause error) error {
	out := keyring.Errorf(keyring.Foreign, "%s", cause)
	out.Err = cause
	return out
}

// explainTransport words a failed connection. The words leave out what differs each time, such as the local port and
// the present time, because they end in a status.
func explainTransport(err error) error {
	var op *net.OpError
	var dns *net.DNSError
	var invalid x509.CertificateInvalidError
	var unknown x509.UnknownAuthorityError
	text := err.Error()
	switch {
	case errors.As(err, &unknown):
		text = "Vault's certificate is signed by an unknown authority; give the operator the right CA file"
	case errors.As(err, &invalid):
		text = "Vault's certificate is not valid: expired, not valid yet, or not meant for a server"
	case errors.As(err, &dns):
		text = fmt.Sprintf("host %s cannot be resolved", dns.Name)
	case errors.As(err, &op) && op.Addr != nil:
		text = fmt.Sprintf("%s %s: %v", op.Op, op.Addr, op.Err)
	}
	out := keyring.Errorf(keyring.Unreachable, "%s", keyring.Quote(text))
	out.Err = err
	return out
}
