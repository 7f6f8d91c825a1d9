package vault

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/wire"
)

// answer is any reply of Vault but success.
type answer struct {
	status int
	reason string
	// missing says that there is no such thing at a path that Vault knows. Of an unknown path it says so in words, and
	// others say it in a form of their own.
	missing bool
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

// gone tells whether Vault says that a key does not exist.
func gone(err error) bool {
	a, ok := errors.AsType[*answer](err)
	return ok && a.missing
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
		return wire.Unanswered("Vault", err)
	case a.status >= 300 && a.status < 400:
		return refuse(a, "%s, a redirect, which is not followed because it could carry the token elsewhere; give the operator the address of the active node", a)
	case a.status >= 500 || slices.Contains(again, a.status):
		return wire.Because(a, keyring.Unreachable, "%s", a)
	default:
		return refuse(a, "%s", a)
	}
}

func refuse(cause error, format string, args ...any) error {
	return wire.Because(cause, keyring.Refused, format, args...)
}

func foreign(cause error) error {
	return wire.Because(cause, keyring.Foreign, "%s", cause)
}
