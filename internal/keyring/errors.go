package keyring

import (
	"errors"
	"fmt"
)

// Kind says what an error means for the tenant.
type Kind string

const (
	// Unreachable: the KMS gave no answer, answered too late, or said it cannot serve now. Trying again helps.
	Unreachable Kind = "Unreachable"
	// Refused: the KMS answered no: unknown key, no permission, key disabled. Somebody has to change something there.
	Refused Kind = "Refused"
	// Foreign: a keyset does not belong where it stands, or is malformed. It is never overwritten.
	Foreign Kind = "Foreign"
	// Unsupported: the key URI, or another part of the request, cannot be honoured as it is written.
	Unsupported Kind = "Unsupported"
	// Misplaced: the key is not in a region the request permits.
	Misplaced Kind = "Misplaced"
)

// Error is every error of this package and of the providers. Its text is stable from one attempt to the next,
// so that it can stand in a status, and holds neither key bytes nor tokens.
type Error struct {
	Kind Kind
	// Subject is the key URI, or the namespace and Secret, the error is about. May be empty.
	Subject string
	// Reason says what was expected, what was found and what to do.
	Reason string
	// Err is the cause, if there is one worth matching with errors.Is. Its text is not shown.
	Err error
}

// Error returns "<subject>: <reason>".
func (e *Error) Error() string {
	if e.Subject == "" {
		return e.Reason
	}
	return e.Subject + ": " + e.Reason
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Errorf makes an Error without a subject. Text of others (answers of a KMS, content of a keyset) goes
// through Quote first.
func Errorf(kind Kind, format string, args ...any) *Error {
	return &Error{Kind: kind, Reason: fmt.Sprintf(format, args...)}
}

// KindOf returns the kind of an error from this package, and "" for nil and for any other error.
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return ""
}

// about adds the subject to an error that has none. An error of unknown type came from a provider that broke its
// contract; it counts as Unreachable, because only trying again can tell.
func about(subject string, err error) *Error {
	e, ok := errors.AsType[*Error](err)
	if !ok {
		return &Error{Kind: Unreachable, Subject: subject, Reason: Quote(err.Error()), Err: err}
	}
	if e.Subject != "" {
		return e
	}
	with := *e
	with.Subject = subject
	return &with
}
