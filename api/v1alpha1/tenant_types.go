package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// HIPAATenant is one healthcare customer on a shared cluster: its namespaces, where they may run, who may reach
// them, how they are encrypted, and the agreement that permits it all.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,shortName=ht
// +kubebuilder:printcolumn:name="Region",type=string,JSONPath=`.spec.region`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="BAA",type=string,JSONPath=`.spec.baa.expiresOn`
// +kubebuilder:printcolumn:name="Session",type=string,JSONPath=`.status.effective.sessionTimeout`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="self.metadata.name.size() <= 40 && self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",messageExpression="'metadata.name ' + self.metadata.name + ' must be a DNS label that begins with a letter, at most 40 characters'"
// +kubebuilder:validation:XValidation:rule="self.metadata.name != 'default' && !self.metadata.name.startsWith('kube-')",messageExpression="'metadata.name ' + self.metadata.name + ' must not be default and must not begin with kube-'"
// +genclient
// +genclient:nonNamespaced
type HIPAATenant struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is what the tenant asks for.
	// +required
	Spec HIPAATenantSpec `json:"spec"`
	// Status is what the operator found and did.
	// Until the operator has looked at the object, observedGeneration is -1, so that nobody takes it for done (kstatus).
	// +optional
	// +kubebuilder:default={"observedGeneration":-1}
	Status HIPAATenantStatus `json:"status,omitempty"`
}

// HIPAATenantList is a list of tenants.
// +kubebuilder:object:root=true
type HIPAATenantList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []HIPAATenant `json:"items"`
}

// HIPAATenantSpec is what a tenant asks for. The profile is the ceiling.
// +kubebuilder:validation:XValidation:rule="!has(self.failoverRegions) || !(self.region in self.failoverRegions)",fieldPath=".failoverRegions",messageExpression="'failoverRegions must not contain region ' + self.region"
type HIPAATenantSpec struct {
	// Profile is the HIPAAProfile that sets the ceiling. Empty means "default".
	// +optional
	Profile Name `json:"profile,omitempty"`
	// CoveredEntity is the healthcare organisation, 45 CFR 160.103.
	// +required
	CoveredEntity Contact `json:"coveredEntity"`
	// SecurityOfficer is the person 45 CFR 164.308(a)(2) asks for.
	// +required
	SecurityOfficer Officer `json:"securityOfficer"`
	// BAA is the business associate agreement that permits this tenant, 45 CFR 164.308(b).
	// +required
	BAA Agreement `json:"baa"`
	// Region is where the tenant's pods run: the value of node label topology.kubernetes.io/region.
	// +required
	Region Region `json:"region"`
	// FailoverRegions are further regions pods may run in, 45 CFR 164.308(a)(7). Without region itself.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=8
	FailoverRegions []Region `json:"failoverRegions,omitempty"`
	// Encryption of data at rest, 45 CFR 164.312(a)(2)(iv).
	// +required
	Encryption Encryption `json:"encryption"`
	// IPAllowlist are the networks that may reach the tenant, 45 CFR 164.312(e)(1). 1 to 64 canonical CIDRs.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	IPAllowlist []CIDR `json:"ipAllowlist"`
	// SessionTimeout ends an idle session, 45 CFR 164.312(a)(2)(iii). 1m to 24h, and at most the profile's maximum.
	// +required
	// +kubebuilder:validation:XValidation:rule="self >= duration('1m') && self <= duration('24h')",message="sessionTimeout must be between 1m and 24h"
	SessionTimeout Duration `json:"sessionTimeout"`
	// DisabledChannels are channels that must not carry PHI, in addition to those the profile disables. Names from the
	// profile's catalogue.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	DisabledChannels []Name `json:"disabledChannels,omitempty"`
	// Namespaces of the tenant. Empty means one, named as the tenant.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=16
	Namespaces []TenantNamespace `json:"namespaces,omitempty"`
	// BusinessAssociates are the vendors the tenant may reach, by name of BusinessAssociate, 45 CFR 164.308(b)(1).
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	BusinessAssociates []Name `json:"businessAssociates,omitempty"`
	// Authentication is how the application proves who its users are, 45 CFR 164.312(d).
	// +required
	Authentication Authentication `json:"authentication"`
	// Roles bind people to what they may do in the tenant's namespaces, 45 CFR 164.308(a)(4).
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	Roles []RoleGrant `json:"roles,omitempty"`
	// Application settings, delivered to workloads in ConfigMap hipaa-config.
	// +optional
	Application *Application `json:"application,omitempty"`
	// Exposure narrows which pods take traffic from ipAllowlist. Empty means all pods of the tenant.
	// +optional
	Exposure *Exposure `json:"exposure,omitempty"`
	// Quota of each namespace. Empty means the profile's defaultQuota. Objects are counted as well, by the number of pods.
	// +optional
	Quota *Quota `json:"quota,omitempty"`
	// Attestations are safeguards no cluster can check, stated by a named person for a limited time.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	Attestations []Attestation `json:"attestations,omitempty"`
	// DeletionPolicy says what deleting this object does to the keys. Empty means Retain.
	// +optional
	DeletionPolicy DeletionPolicy `json:"deletionPolicy,omitempty"`
	// Suspend stops reconciling. What was enforced stays enforced.
	// +optional
	Suspend bool `json:"suspend,omitempty"`
}

// Encryption says which key wraps the tenant's data keys.
type Encryption struct {
	// KeyURI names the key in a KMS: vault://<mount>/<key>, awskms://..., gcpkms://..., azurekeyvault://...,
	// kmsv2+unix://..., or local://<name> for laptops and tests.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:XValidation:rule="self.matches('^(vault|awskms|gcpkms|azurekeyvault|kmsv2[+]unix|local)://[^[:space:]]+$')",message="keyURI must begin with vault://, awskms://, gcpkms://, azurekeyvault://, kmsv2+unix:// or local:// and name a key"
	KeyURI string `json:"keyURI"`
	// RotationPeriod is the age at which a data key is replaced. 24h to 87600h; empty means the profile's maximum.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self >= duration('24h') && self <= duration('87600h')",message="rotationPeriod must be between 24h and 87600h"
	RotationPeriod Duration `json:"rotationPeriod,omitempty"`
	// DataKeys to keep. Empty means one, "default".
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=16
	DataKeys []DataKey `json:"dataKeys,omitempty"`
	// StorageClasses narrows the profile's list.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	// +kubebuilder:validation:items:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`
	StorageClasses []string `json:"storageClasses,omitempty"`
}

// DataKey is a key the application encrypts with.
type DataKey struct {
	// Name of the key.
	// +required
	Name Name `json:"name"`
}

// TenantNamespace is a namespace of the tenant.
type TenantNamespace struct {
	// Name of the namespace. Not default and not kube-*.
	// +required
	// +kubebuilder:validation:XValidation:rule="self != 'default' && !self.startsWith('kube-')",message="a tenant namespace must not be default and must not begin with kube-"
	Name Name `json:"name"`
	// Adopt takes over a namespace that exists already and belongs to no tenant.
	// +optional
	Adopt bool `json:"adopt,omitempty"`
}

// DeletionPolicy says what deleting a tenant does.
// +kubebuilder:validation:Enum=Retain;Shred
type DeletionPolicy string

const (
	// DeletionRetain quarantines the namespaces and leaves keys, volumes and namespaces where they are.
	DeletionRetain DeletionPolicy = "Retain"
	// DeletionShred quarantines the namespaces too, and after confirmation by UID destroys the keys. Namespaces and volumes stay.
	DeletionShred DeletionPolicy = "Shred"
)
