// Package wire words what goes wrong between a provider and its KMS, in the same words for every KMS. They end in a status,
// so they leave out what differs each time, such as local ports and the present time.
package wire

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring"
)

// Unanswered is the error for a request that got no answer, from the KMS that who names.
func Unanswered(who string, err error) *keyring.Error {
	var op *net.OpError
	var dns *net.DNSError
	var invalid x509.CertificateInvalidError
	var unknown x509.UnknownAuthorityError
	text := err.Error()
	switch {
	case errors.As(err, &unknown):
		text = who + "'s certificate is signed by an unknown authority; give the operator the right CA file"
	case errors.As(err, &invalid):
		text = who + "'s certificate is not valid: expired, not valid yet, or not meant for a server"
	case errors.As(err, &dns):
		text = fmt.Sprintf("host %s cannot be resolved", dns.Name)
	case errors.As(err, &op) && op.Op == "dial" && op.Addr != nil:
		text = fmt.Sprintf("%s %s: %v", op.Op, op.Addr, op.Err)
	case broke(err):
		text = who + " closed the connection before it answered"
	}
	return Because(err, keyring.Unreachable, "%s", keyring.Quote(text))
}

// broke tells whether the connection stood and then ended. The system has several words for that, and which of them come is a
// matter of timing.
func broke(err error) bool {
	var op *net.OpError
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || (errors.As(err, &op) && !op.Timeout())
}

// Because makes an error with a cause. Text of others goes through keyring.Quote first.
func Because(cause error, kind keyring.Kind, format string, args ...any) *keyring.Error {
	out := keyring.Errorf(kind, format, args...)
	out.Err = cause
	return out
}

// Loopback tells whether host is this machine: only then may secrets travel without TLS.
func Loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}
