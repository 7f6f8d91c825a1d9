package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// BusinessAssociate is a vendor that tenants may reach, 45 CFR 160.103. No agreement in force, no packets.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,shortName=bas
// +kubebuilder:printcolumn:name="InForce",type=string,JSONPath=`.status.conditions[?(@.type=="inForce")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="inForce")].reason`
// +kubebuilder:printcolumn:name="Expires",type=string,JSONPath=`.status.expiresOn`
// +kubebuilder:printcolumn:name="PHI",type=boolean,JSONPath=`.spec.handlesPHI`
// +kubebuilder:printcolumn:name="Used",type=integer,JSONPath=`.status.usedBy`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="!has(self.spec.subcontractors) || !(self.metadata.name in self.spec.subcontractors)",fieldPath=".spec.subcontractors",messageExpression="'subcontractors must not contain the associate itself, ' + self.metadata.name"
// +genclient
// +genclient:nonNamespaced
type BusinessAssociate struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec describes the vendor.
	// +required
	Spec BusinessAssociateSpec `json:"spec"`
	// Status says whether its agreement holds.
	// Until the operator has looked at the object, observedGeneration is -1, so that nobody takes it for done (kstatus).
	// +optional
	// +kubebuilder:default={"observedGeneration":-1}
	Status BusinessAssociateStatus `json:"status,omitempty"`
}

// BusinessAssociateList is a list of vendors.
// +kubebuilder:object:root=true
type BusinessAssociateList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []BusinessAssociate `json:"items"`
}

// BusinessAssociateSpec describes a vendor.
// +kubebuilder:validation:XValidation:rule="!self.handlesPHI || has(self.baa)",fieldPath=".baa",reason="FieldValueRequired",message="baa is required when handlesPHI is true"
// +kubebuilder:validation:XValidation:rule="self.handlesPHI || has(self.noPHIReason)",fieldPath=".noPHIReason",reason="FieldValueRequired",message="noPHIReason is required when handlesPHI is false"
type BusinessAssociateSpec struct {
	// DisplayName of the vendor.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	DisplayName string `json:"displayName"`
	// Services the vendor renders.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=63
	Services []string `json:"services,omitempty"`
	// HandlesPHI says whether protected health information reaches the vendor.
	// +required
	HandlesPHI bool `json:"handlesPHI"`
	// NoPHIReason says why none does. Required when handlesPHI is false.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	NoPHIReason string `json:"noPHIReason,omitempty"`
	// BAA with the vendor, 45 CFR 164.308(b)(1). Required when handlesPHI is true.
	// +optional
	BAA *Agreement `json:"baa,omitempty"`
	// Subcontractors of the vendor, by name of BusinessAssociate, 45 CFR 164.308(b)(2). Each must be in force too.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	Subcontractors []Name `json:"subcontractors,omitempty"`
	// Channels the vendor carries. Egress to it closes where a tenant disables one of them.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	Channels []Name `json:"channels,omitempty"`
	// Endpoints the vendor answers on.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	Endpoints []Endpoint `json:"endpoints,omitempty"`
}

// Endpoint is where a vendor answers.
// +kubebuilder:validation:XValidation:rule="has(self.cidrs) || has(self.hosts)",message="an endpoint needs cidrs or hosts, found neither"
type Endpoint struct {
	// CIDRs of the vendor.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	CIDRs []CIDR `json:"cidrs,omitempty"`
	// Hosts of the vendor; opened only where the cluster has an API that can express host names.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	Hosts []Host `json:"hosts,omitempty"`
	// Ports opened, 1 to 16.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Ports []Port `json:"ports"`
}

// BusinessAssociateStatus says whether the agreement holds.
type BusinessAssociateStatus struct {
	// ObservedGeneration is the generation of the spec the rest of the status speaks of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// Conditions: inForce. Whether its agreement was verified lately enough is judged by the strictest baa.reverifyEvery of the
	// profiles whose tenants depend on it; a tenant goes by that of its own profile.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=8
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// ExpiresOn is the earliest end of its own agreement and its subcontractors'.
	// +optional
	ExpiresOn Date `json:"expiresOn,omitempty"`
	// UsedBy counts the tenants that name it.
	// +optional
	UsedBy int32 `json:"usedBy"`
}
