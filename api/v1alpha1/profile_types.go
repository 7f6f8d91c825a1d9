package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// HIPAAProfile is the ceiling no tenant may exceed, owned by the platform engineer. Which regions count as eligible,
// and why, is data in here: HIPAA itself names none.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster
// +kubebuilder:printcolumn:name="MaxSession",type=string,JSONPath=`.spec.maxSessionTimeout`
// +kubebuilder:printcolumn:name="OnLapse",type=string,JSONPath=`.spec.baa.onLapse`
// +kubebuilder:printcolumn:name="Disabled",type=string,JSONPath=`.spec.requiredDisabledChannels`
// +kubebuilder:printcolumn:name="Keys",type=string,JSONPath=`.spec.keys.allowedURIs`
// +kubebuilder:printcolumn:name="PodSecurity",type=string,priority=1,JSONPath=`.spec.podSecurity`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +genclient
// +genclient:nonNamespaced
type HIPAAProfile struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is the ceiling.
	// +required
	Spec HIPAAProfileSpec `json:"spec"`
}

// HIPAAProfileList is a list of profiles.
// +kubebuilder:object:root=true
type HIPAAProfileList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []HIPAAProfile `json:"items"`
}

// HIPAAProfileSpec is the ceiling.
// +kubebuilder:validation:XValidation:rule="!has(self.requiredDisabledChannels) || self.requiredDisabledChannels.all(c, has(self.channels) && self.channels.exists(k, k.name == c))",fieldPath=".requiredDisabledChannels",messageExpression="'requiredDisabledChannels names a channel that is not in the catalogue: ' + self.requiredDisabledChannels.filter(c, !has(self.channels) || !self.channels.exists(k, k.name == c))[0]"
type HIPAAProfileSpec struct {
	// Regions tenants may name, and why.
	// +required
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	Regions []EligibleRegion `json:"regions"`
	// MaxSessionTimeout caps spec.sessionTimeout of tenants. 1m to 24h.
	// +required
	// +kubebuilder:validation:XValidation:rule="self >= duration('1m') && self <= duration('24h')",message="maxSessionTimeout must be between 1m and 24h"
	MaxSessionTimeout Duration `json:"maxSessionTimeout"`
	// RequiredDisabledChannels are disabled for every tenant. Names from channels.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	RequiredDisabledChannels []Name `json:"requiredDisabledChannels,omitempty"`
	// Channels is the catalogue of communication channels.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=64
	Channels []Channel `json:"channels,omitempty"`
	// Keys limits which keys tenants may use.
	// +required
	Keys KeyRules `json:"keys"`
	// StorageClasses limits which storage classes claims may name.
	// +optional
	StorageClasses *StorageClassRules `json:"storageClasses,omitempty"`
	// IPAllowlist limits how wide an allowlist entry may be.
	// +optional
	IPAllowlist *AllowlistRules `json:"ipAllowlist,omitempty"`
	// Gateways are shared ingress proxies whose pods may reach tenants.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	Gateways []PeerPods `json:"gateways,omitempty"`
	// DNS are the resolver's pods. Empty means k8s-app=kube-dns in kube-system.
	// +optional
	DNS *PeerPods `json:"dns,omitempty"`
	// KubernetesAPI lets tenant pods talk to the API server. Empty means they may not.
	// +optional
	KubernetesAPI *KubernetesAPI `json:"kubernetesAPI,omitempty"`
	// Services that tenants of this profile use: the product it stands for. The baa.scope of each tenant has to name every
	// one of them, or its agreement does not count. Empty means scopes are not compared.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=63
	Services []string `json:"services,omitempty"`
	// BAA says how agreements are watched and what a lapse does.
	// +optional
	BAA *BAARules `json:"baa,omitempty"`
	// Placement says what happens to pods found outside their regions.
	// +optional
	Placement *PlacementRules `json:"placement,omitempty"`
	// OnDisabledChannel says what happens to running pods of a channel that is disabled: Report them, or Evict them
	// through the eviction API, which obeys PodDisruptionBudgets. No others take their place: new pods of the channel are
	// refused, and a pod without a controller is gone for good. Empty means Report.
	// +optional
	// +kubebuilder:validation:Enum=Report;Evict
	OnDisabledChannel string `json:"onDisabledChannel,omitempty"`
	// PodSecurity level of tenant namespaces. Empty means restricted.
	// +optional
	// +kubebuilder:validation:Enum=restricted;baseline
	PodSecurity string `json:"podSecurity,omitempty"`
	// EmergencyAccess limits break-glass access, 45 CFR 164.312(a)(2)(ii).
	// +optional
	EmergencyAccess *EmergencyAccessRules `json:"emergencyAccess,omitempty"`
	// DefaultQuota of a namespace whose tenant names none.
	// +required
	DefaultQuota Quota `json:"defaultQuota"`
	// Ruleset the evidence is judged by. Empty means hipaa.
	// +optional
	// +kubebuilder:validation:Enum=hipaa;nprm2025
	Ruleset string `json:"ruleset,omitempty"`
	// RequiredAttestations are the safeguards somebody has to vouch for, for every tenant, because no cluster can check
	// them: facility access, workforce training, evaluation.
	// +optional
	// +listType=map
	// +listMapKey=citation
	// +kubebuilder:validation:MaxItems=64
	RequiredAttestations []RequiredAttestation `json:"requiredAttestations,omitempty"`
	// Attestations that hold for the whole platform. They count for every tenant that has none of its own for the same
	// citation.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	Attestations []Attestation `json:"attestations,omitempty"`
}

// EligibleRegion is a region and the reason it may be used.
type EligibleRegion struct {
	// Name of the region, as on the nodes.
	// +required
	Name Region `json:"name"`
	// Provider of the region: aws, gcp, azure, or a name of your own.
	// +required
	Provider Name `json:"provider"`
	// BusinessAssociate is the provider's agreement; while it is not in force the region is not eligible.
	// +optional
	BusinessAssociate Name `json:"businessAssociate,omitempty"`
	// Reason the region is eligible.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Reason string `json:"reason"`
	// ReviewedOn is the day the reason was last reviewed.
	// +required
	ReviewedOn Date `json:"reviewedOn"`
}

// Channel is a way PHI could leave.
type Channel struct {
	// Name of the channel.
	// +required
	Name Name `json:"name"`
	// Description for people.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Description string `json:"description,omitempty"`
	// Ports never opened at egress while the channel is disabled.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	Ports []Port `json:"ports,omitempty"`
	// CIDRs subtracted from every egress rule while the channel is disabled.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	CIDRs []CIDR `json:"cidrs,omitempty"`
	// Hosts of providers of the channel.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	Hosts []Host `json:"hosts,omitempty"`
}

// KeyRules limits keys.
type KeyRules struct {
	// AllowedURIs are patterns of key URIs; * stands for any run of characters.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=512
	AllowedURIs []string `json:"allowedURIs"`
	// MaxRotationPeriod caps the age of data keys. 24h to 87600h.
	// +required
	// +kubebuilder:validation:XValidation:rule="self >= duration('24h') && self <= duration('87600h')",message="maxRotationPeriod must be between 24h and 87600h"
	MaxRotationPeriod Duration `json:"maxRotationPeriod"`
	// AllowSoftwareKeys permits local:// keys, which anyone who can read the operator's Secrets can use.
	// +optional
	AllowSoftwareKeys bool `json:"allowSoftwareKeys,omitempty"`
}

// StorageClassRules limits storage classes.
type StorageClassRules struct {
	// Allowed storage classes.
	// +required
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	// +kubebuilder:validation:items:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`
	Allowed []string `json:"allowed"`
	// RequireCustomerKey asks for classes that encrypt with a key the customer controls.
	// +optional
	RequireCustomerKey bool `json:"requireCustomerKey,omitempty"`
}

// AllowlistRules limits the width of allowlist entries.
type AllowlistRules struct {
	// MinPrefixIPv4 is the shortest IPv4 prefix allowed, 0 to 32. Empty means 8.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=32
	MinPrefixIPv4 *int32 `json:"minPrefixIPv4,omitempty"`
	// MinPrefixIPv6 is the shortest IPv6 prefix allowed, 0 to 128. Empty means 32.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=128
	MinPrefixIPv6 *int32 `json:"minPrefixIPv6,omitempty"`
}

// KubernetesAPI is where the API server answers.
type KubernetesAPI struct {
	// CIDRs of the API server.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	CIDRs []CIDR `json:"cidrs"`
	// Port of the API server, 1 to 65535.
	// +required
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	Port int32 `json:"port"`
}

// LapseAction is what a lapsed agreement does.
// +kubebuilder:validation:Enum=Alert;Freeze;Isolate
type LapseAction string

const (
	// LapseAlert reports and changes nothing else.
	LapseAlert LapseAction = "Alert"
	// LapseFreeze admits no new workloads.
	LapseFreeze LapseAction = "Freeze"
	// LapseIsolate admits no new workloads and closes all traffic but DNS.
	LapseIsolate LapseAction = "Isolate"
)

// BAARules says how agreements are watched.
type BAARules struct {
	// WarnBefore the end of an agreement. Empty means 720h.
	// +optional
	WarnBefore Duration `json:"warnBefore,omitempty"`
	// ReverifyEvery is how often somebody has to look at an agreement again. At least 24h; empty means never.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self >= duration('24h')",message="reverifyEvery must be at least 24h"
	ReverifyEvery Duration `json:"reverifyEvery,omitempty"`
	// OnLapse is what a lapsed agreement does. Empty means Alert.
	// +optional
	OnLapse LapseAction `json:"onLapse,omitempty"`
}

// PlacementRules says what happens to misplaced pods.
type PlacementRules struct {
	// OnMisplaced: Report them, or Evict them through the eviction API. Empty means Report.
	// +optional
	// +kubebuilder:validation:Enum=Report;Evict
	OnMisplaced string `json:"onMisplaced,omitempty"`
}

// EmergencyAccessRules limits break-glass access.
type EmergencyAccessRules struct {
	// MaxDuration of one access. 1m to 24h.
	// +required
	// +kubebuilder:validation:XValidation:rule="self >= duration('1m') && self <= duration('24h')",message="maxDuration must be between 1m and 24h"
	MaxDuration Duration `json:"maxDuration"`
	// Approvers who may let somebody in, never the requester.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	Approvers []Subject `json:"approvers"`
}
