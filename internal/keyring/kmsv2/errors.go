package kmsv2

import (
	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/wire"
)

// misfit tells whether a plugin says, in answer to Decrypt, that the ciphertext is none of its own.
func misfit(err error) bool {
	code := grpcstatus.Code(err)
	return code == codes.InvalidArgument || code == codes.DataLoss
}

// ambiguous codes are what plugins answer that give none, or the same for everything.
func ambiguous(err error) bool {
	code := grpcstatus.Code(err)
	return code == codes.Unknown || code == codes.Internal
}

// explain turns a failed call into one of the keyring's kinds by its code. What only trying again can tell is
// Unreachable.
func explain(err error) error {
	switch grpcstatus.Code(err) {
	case codes.NotFound, codes.PermissionDenied, codes.Unauthenticated, codes.FailedPrecondition, codes.Unimplemented,
		codes.InvalidArgument, codes.OutOfRange, codes.AlreadyExists, codes.DataLoss:
		return because(keyring.Refused, err)
	default:
		return because(keyring.Unreachable, err)
	}
}

// because words a failed call: the code, and what the plugin, or gRPC in its place, says.
func because(kind keyring.Kind, err error) error {
	s := grpcstatus.Convert(err)
	switch s.Code() {
	case codes.Unavailable, codes.DeadlineExceeded, codes.Canceled:
		return wire.Because(err, kind, "no answer from the plugin: %s", keyring.Quote(s.Message()))
	default:
		return wire.Because(err, kind, "the plugin answered %s: %s", s.Code(), keyring.Quote(s.Message()))
	}
}
