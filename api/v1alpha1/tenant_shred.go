package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// ShredOutcome is what became of one KMS key when its tenant was shredded. docs/shred.md says what each promises.
// +kubebuilder:validation:Enum=Pending;Destroying;Kept;Shredded;SoftwareKeyDeleted;WrappedCopiesDeleted;Retained;Unknown
type ShredOutcome string

const (
	// ShredPending: the key is this tenant's alone and is to be destroyed; the KMS was not asked yet.
	ShredPending ShredOutcome = "Pending"
	// ShredDestroying: the KMS was asked, or is about to be.
	ShredDestroying ShredOutcome = "Destroying"
	// ShredKept: the key is not to be destroyed; copies it wrapped are deleted last.
	ShredKept ShredOutcome = "Kept"
	// Shredded: the KMS destroyed the key, or will at effectiveAt.
	Shredded ShredOutcome = "Shredded"
	// SoftwareKeyDeleted: the key was a Secret of this cluster and was deleted.
	SoftwareKeyDeleted ShredOutcome = "SoftwareKeyDeleted"
	// WrappedCopiesDeleted: the key stands; what it wrapped for this tenant was deleted from this cluster.
	WrappedCopiesDeleted ShredOutcome = "WrappedCopiesDeleted"
	// ShredRetained: nothing was done to the key, and what it wrapped stands.
	ShredRetained ShredOutcome = "Retained"
	// ShredUnknown: the KMS was asked, and whether it destroyed the key is not known.
	ShredUnknown ShredOutcome = "Unknown"
)

// ShredStatus says how far the destruction of a deleted tenant's keys has come.
type ShredStatus struct {
	// StartedAt is when it was decided; nothing was destroyed before.
	StartedAt metav1.Time `json:"startedAt"`
	// Keys of the KMS that open, or once opened, the tenant's data keys.
	// +optional
	// +listType=map
	// +listMapKey=keyURI
	Keys []ShreddedKey `json:"keys,omitempty"`
}

// ShreddedKey is one KMS key of a tenant that is shredded. Never key material.
type ShreddedKey struct {
	// KeyURI of the key, without its scope.
	KeyURI string `json:"keyURI"`
	// ID is the key's own name in the KMS, where it has one besides its URI.
	// +optional
	ID string `json:"id,omitempty"`
	// Outcome so far.
	Outcome ShredOutcome `json:"outcome"`
	// Method says in the provider's words what was done.
	// +optional
	Method string `json:"method,omitempty"`
	// EffectiveAt is when the key is gone for good. Until then somebody with rights in the KMS can cancel.
	// +optional
	EffectiveAt *metav1.Time `json:"effectiveAt,omitempty"`
}
