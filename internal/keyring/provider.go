package keyring

import "context"

// Provider is one kind of KMS. Implementations live in packages below this one and are given to New; the scheme of
// a key URI chooses among them. All methods may be called concurrently.
//
// Describe, Wrap and Unwrap end soon after ctx does. They make one attempt: the Ring adds the deadline, the
// repetitions and the circuit. Their errors are *Error:
//
//	Unreachable  no answer, too late, or "cannot serve now" (throttled, sealed, 5xx)
//	Refused      a definite no: unknown key, no permission, key disabled, key unfit for its purpose
//	Foreign      Unwrap only: the bytes were not made by this key for this binding
//	Unsupported  the reference cannot name a key of this provider
//
// The plaintext is a wrapping key of 32 bytes. A provider keeps no copy, and clears the buffers it made.
type Provider interface {
	// Scheme of the key URIs this provider answers for.
	Scheme() string
	// Assurance is v1alpha1.ReasonKMSWrapped, or v1alpha1.ReasonSoftwareKey for a key kept in this cluster.
	Assurance() string
	// Endpoint names what fails together. Keys with the same endpoint share a circuit.
	Endpoint(ref KeyRef) string
	// Describe looks at the key without using it. It returns Refused when Wrap must not be called as things are.
	Describe(ctx context.Context, ref KeyRef) (KeyInfo, error)
	// Wrap encrypts the plaintext for exactly this binding and returns the version of the key it used.
	Wrap(ctx context.Context, ref KeyRef, plaintext []byte, binding Binding) (wrapped []byte, version string, err error)
	// Unwrap gives the plaintext back, for the binding it was wrapped with and no other. The caller clears it.
	Unwrap(ctx context.Context, ref KeyRef, wrapped []byte, binding Binding) (plaintext []byte, err error)
}

// KeyInfo is what a KMS says about a key.
type KeyInfo struct {
	// Exists is false only where Wrap would make the key.
	Exists bool
	// Enabled is false for a key that is disabled or about to be destroyed.
	Enabled bool
	// Version that Wrap would use; the provider's own notation.
	Version string
	// ProtectionLevel is one of the Protection constants.
	ProtectionLevel string
	// Region where the key lives; empty when the provider has none.
	Region string
	// Derived is true when the KMS itself binds what it wraps to the context it is given.
	Derived bool
}

// Values of KeyInfo.ProtectionLevel.
const (
	// ProtectionUnknown: the provider cannot tell.
	ProtectionUnknown = ""
	// ProtectionCluster: the key is a Secret of this cluster.
	ProtectionCluster = "Cluster"
	// ProtectionSoftware: the key never leaves the KMS, which keeps it in software.
	ProtectionSoftware = "Software"
	// ProtectionExportable: the key lives in the KMS, which would hand it out to whoever has the permission.
	ProtectionExportable = "Exportable"
	// ProtectionHSM: the key never leaves a hardware security module.
	ProtectionHSM = "HSM"
)
