package gcpkms

import (
	"crypto/x509"
	"regexp"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/wire"
)

// who answers, or does not.
const who = "Cloud KMS"

// misfit makes Foreign of what Decrypt answers when key, additional data and ciphertext do not belong together. A request
// that was damaged on its way gets the same code, and other words.
func misfit(err error) error {
	s := status.Convert(err)
	if s.Code() != codes.InvalidArgument {
		return err
	}
	if words := strings.ToLower(s.Message()); strings.Contains(words, "crc32c") || strings.Contains(words, "checksum") {
		return wire.Because(err, keyring.Unreachable, "%s answered: %s", who, keyring.Quote(s.Message()))
	}
	return wire.Because(err, keyring.Foreign, "%s answered: %s", who, keyring.Quote(s.Message()))
}

// explain turns a failed call to a host into one of the keyring's kinds.
func explain(err error, host string) error {
	if err == nil || keyring.KindOf(err) != "" {
		return err
	}
	s := status.Convert(err)
	switch s.Code() {
	case codes.NotFound, codes.PermissionDenied, codes.Unauthenticated, codes.FailedPrecondition,
		codes.InvalidArgument, codes.Unimplemented, codes.OutOfRange, codes.AlreadyExists:
		return wire.Because(err, keyring.Refused, "%s answered %s: %s", who, s.Code(), keyring.Quote(s.Message()))
	case codes.Unavailable, codes.DeadlineExceeded, codes.Canceled:
		return away(err, s.Message(), host)
	default:
		return wire.Because(err, keyring.Unreachable, "%s answered %s: %s", who, s.Code(), keyring.Quote(s.Message()))
	}
}

// passing is what differs from one attempt to the next: the port of this side, and the present time.
var passing = regexp.MustCompile(`\S+->|: current time \S+`)

// away words a connection that failed. gRPC gives the words of the cause and not the cause.
func away(err error, text, host string) error {
	switch {
	case strings.Contains(text, "name resolver error"):
		return wire.Because(err, keyring.Unreachable, "host %s cannot be resolved", host)
	case strings.Contains(text, "x509: certificate signed by unknown authority"):
		return wire.Unanswered(who, x509.UnknownAuthorityError{})
	case strings.Contains(text, "x509: certificate has expired"):
		return wire.Unanswered(who, x509.CertificateInvalidError{})
	}
	return wire.Because(err, keyring.Unreachable, "no answer from %s: %s", who, keyring.Quote(passing.ReplaceAllString(text, "")))
}

// code of the answer behind an error, OK when there is none.
func code(err error) codes.Code {
	if err == nil {
		return codes.OK
	}
	return status.Code(err)
}
