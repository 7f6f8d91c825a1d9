package keyring

import (
	"context"
	"time"
)

// Provider is one kind of KMS. Implementations live in packages below this one and are given to New; the scheme of
// a key URI chooses among them. All methods may be called concurrently.
//
// Every method that takes a ctx ends soon after it does. It makes one attempt: the Ring adds the deadline, the
// repetitions and the circuit. Errors are *Error:
//
//	Unreachable  no answer, too late, or "cannot serve now" (throttled, sealed, 5xx)
//	Refused      a definite no: unknown key, no permission, key disabled, key unfit for its purpose
//	Foreign      Unwrap and Rewrap only: the bytes were not made by this key for this binding
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
	// Rewrap wraps anew, with the version of the key that Wrap would use now, what an earlier version wrapped for this
	// binding. The KMS does it itself where it can; RewrapHere is for one that cannot.
	Rewrap(ctx context.Context, ref KeyRef, wrapped []byte, binding Binding) (rewrapped []byte, version string, err error)
	// Destroy has the KMS destroy the key with all its versions, as soon as the KMS allows. It may be called again: a
	// key that is gone, or already due to go, is no error. Nothing that any version wrapped can be opened afterwards,
	// and nobody is asked: the caller has made sure that the key serves one tenant, whose data is to be shredded.
	Destroy(ctx context.Context, ref KeyRef) (Destruction, error)
}

// Destruction is what a KMS did with a key it was to destroy.
type Destruction struct {
	// EffectiveAt is when the key is gone for good. Until then somebody with rights in the KMS can cancel. Zero when the
	// KMS knows no such key any more and cannot say since when.
	EffectiveAt time.Time
	// Method says in a few words what was done, such as "transit key deleted" or "deletion scheduled in 7 days".
	Method string
}

// RewrapHere rewraps by unwrapping and wrapping; the plaintext is in memory in between.
func RewrapHere(ctx context.Context, p Provider, ref KeyRef, wrapped []byte, binding Binding) (rewrapped []byte, version string, err error) {
	plaintext, err := p.Unwrap(ctx, ref, wrapped, binding)
	defer clear(plaintext)
	if err != nil {
		return nil, "", err
	}
	return p.Wrap(ctx, ref, plaintext, binding)
}

// KeyInfo is what a KMS says about a key.
type KeyInfo struct {
	// ID is the key's own name in the KMS, the same for every key URI that leads to it: an alias is resolved. Empty
	// means that the URI's scheme and path are the only name.
	ID string
	// Exists is false only where Wrap would make the key.
	Exists bool
	// Enabled is false for a key that is disabled or about to be destroyed.
	Enabled bool
	// DestroyedAt is when a key that is about to be destroyed will be gone; zero for every other.
	DestroyedAt time.Time
	// Version that Wrap would use; the provider's own notation.
	Version string
	// ProtectionLevel is one of the Protection constants.
	ProtectionLevel string
	// Region where the key lives, in the words of the KMS; empty when the provider cannot tell. A key that lives in
	// several, or everywhere, says so in those words too ("global", "us").
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
