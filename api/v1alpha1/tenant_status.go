package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// HIPAATenantStatus is what the operator found and did. Nothing in it ticks with the clock, so a quiet cluster sees
// no status writes.
type HIPAATenantStatus struct {
	// ObservedGeneration is the generation of the spec the rest of the status speaks of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// Conditions, kstatus style.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=32
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// Effective is the spec after profile and defaults.
	// +optional
	Effective *Effective `json:"effective,omitempty"`
	// Namespaces of the tenant, and their gates.
	// +optional
	// +listType=map
	// +listMapKey=name
	Namespaces []NamespaceStatus `json:"namespaces,omitempty"`
	// Keys are the tenant's data keys. Never key material.
	// +optional
	// +listType=map
	// +listMapKey=name
	Keys []KeyStatus `json:"keys,omitempty"`
	// FormerKeys are URIs of KMS keys that wrapped the data keys before the present one: copies from that time, as in
	// backups, open with them.
	// +optional
	// +listType=set
	FormerKeys []string `json:"formerKeys,omitempty"`
	// Shred is present while the keys of a deleted tenant are destroyed.
	// +optional
	Shred *ShredStatus `json:"shred,omitempty"`
	// Safeguards counts the rows of 45 CFR 164 by state.
	// +optional
	Safeguards *SafeguardCounts `json:"safeguards,omitempty"`
	// Inventory is every object the operator wrote or is about to write for this tenant.
	// +optional
	// +listType=atomic
	Inventory []ObjectRef `json:"inventory,omitempty"`
	// Audit is the head of the tenant's audit trail.
	// +optional
	Audit *AuditHead `json:"audit,omitempty"`
	// Findings are what keeps the spec from being honoured, or what a reader should know.
	// +optional
	// +listType=atomic
	Findings []Finding `json:"findings,omitempty"`
}

// Effective is the resolved spec.
type Effective struct {
	// Profile used.
	Profile string `json:"profile"`
	// Regions pods may run in, the tenant's own first.
	// +listType=atomic
	Regions []string `json:"regions"`
	// SessionTimeout in force.
	SessionTimeout string `json:"sessionTimeout"`
	// DisabledChannels: the profile's and the tenant's, sorted.
	// +optional
	// +listType=atomic
	DisabledChannels []string `json:"disabledChannels,omitempty"`
	// IPAllowlist in force, sorted.
	// +listType=atomic
	IPAllowlist []string `json:"ipAllowlist"`
	// StorageClasses claims may name, sorted.
	// +optional
	// +listType=atomic
	StorageClasses []string `json:"storageClasses,omitempty"`
	// BusinessAssociates whose agreement is in force and that egress is open to, sorted.
	// +optional
	// +listType=atomic
	BusinessAssociates []string `json:"businessAssociates,omitempty"`
	// RotationPeriod of data keys.
	RotationPeriod string `json:"rotationPeriod"`
	// PodSecurity level of the namespaces.
	PodSecurity string `json:"podSecurity"`
	// DeletionPolicy in force.
	DeletionPolicy DeletionPolicy `json:"deletionPolicy"`
}

// NamespaceStatus is one namespace of the tenant.
type NamespaceStatus struct {
	// Name of the namespace.
	Name string `json:"name"`
	// UID of the namespace the operator wrote to.
	// +optional
	UID types.UID `json:"uid,omitempty"`
	// Gate as last written.
	// +optional
	Gate Gate `json:"gate,omitempty"`
	// StalePods run with another config than the one that stands in the namespace: they take it when they are made anew.
	// +optional
	StalePods int32 `json:"stalePods,omitempty"`
	// UninjectedPods asked not to be given the config. Whether they read it by themselves is not known.
	// +optional
	UninjectedPods int32 `json:"uninjectedPods,omitempty"`
}

// KeyStatus is one data key.
type KeyStatus struct {
	// Name of the data key.
	Name string `json:"name"`
	// Provider is the scheme of the key URI.
	Provider string `json:"provider"`
	// KeyRef is the key that wraps it.
	KeyRef string `json:"keyRef"`
	// KMSKeyVersion that wrapped the primary version.
	// +optional
	KMSKeyVersion string `json:"kmsKeyVersion,omitempty"`
	// PrimaryVersion encrypts; it only ever grows.
	PrimaryVersion int64 `json:"primaryVersion"`
	// RotatedAt is when the primary version was made.
	RotatedAt metav1.Time `json:"rotatedAt"`
	// NextRotation is when it is due for replacement: in the last tenth of the rotation period, at a time of its own.
	NextRotation metav1.Time `json:"nextRotation"`
	// Assurance is SoftwareKey or KMSWrapped.
	Assurance string `json:"assurance"`
}

// SafeguardCounts counts safeguards by state.
type SafeguardCounts struct {
	Enforced int32 `json:"enforced"`
	Verified int32 `json:"verified"`
	Attested int32 `json:"attested"`
	NotMet   int32 `json:"notMet"`
	Unknown  int32 `json:"unknown"`
}

// ObjectRef names an object. The version is not part of an object's identity.
type ObjectRef struct {
	// Kind as Kind.group, without the dot for the core group.
	Kind string `json:"kind"`
	// Namespace, empty for cluster-scoped objects.
	// +optional
	Namespace string `json:"namespace,omitempty"`
	// Name of the object.
	Name string `json:"name"`
}

// AuditHead is the newest record of the audit trail.
type AuditHead struct {
	// Sequence of the newest record.
	Sequence int64 `json:"sequence"`
	// Head is its hash.
	Head string `json:"head"`
}

// Severity of a finding.
// +kubebuilder:validation:Enum=Error;Warning;Info
type Severity string

const (
	// SeverityError: the spec cannot be honoured until it changes.
	SeverityError Severity = "Error"
	// SeverityWarning: honoured, with less than was asked for.
	SeverityWarning Severity = "Warning"
	// SeverityInfo: good to know.
	SeverityInfo Severity = "Info"
)

// Finding is something a reader should know or mend.
type Finding struct {
	// Severity of the finding.
	Severity Severity `json:"severity"`
	// Code is a stable word to search the documentation for.
	Code string `json:"code"`
	// Path of the field, such as spec.region.
	// +optional
	Path string `json:"path,omitempty"`
	// Message says what was found, what is allowed, and what to do.
	Message string `json:"message"`
}
