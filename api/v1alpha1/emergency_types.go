package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// EmergencyAccess lets one person into the running pods of a tenant for a while, after somebody else agreed: the emergency
// access procedure of 45 CFR 164.312(a)(2)(ii). Who asked and who agreed is stamped by an admission policy and cannot be
// forged. Deleting the object takes the access back.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,shortName=ea,path=emergencyaccesses,singular=emergencyaccess
// +kubebuilder:printcolumn:name="Tenant",type=string,JSONPath=`.spec.tenant`
// +kubebuilder:printcolumn:name="Role",type=string,JSONPath=`.spec.role`
// +kubebuilder:printcolumn:name="Requester",type=string,JSONPath=`.status.requestedBy`
// +kubebuilder:printcolumn:name="Approver",type=string,JSONPath=`.status.approvedBy`
// +kubebuilder:printcolumn:name="Active",type=string,JSONPath=`.status.conditions[?(@.type=="Active")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Active")].reason`
// +kubebuilder:printcolumn:name="Expires",type=string,JSONPath=`.status.expiresAt`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="self.metadata.name.size() <= 63 && self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",messageExpression="'metadata.name ' + self.metadata.name + ' must be a DNS label, at most 63 characters'"
// +genclient
// +genclient:nonNamespaced
type EmergencyAccess struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is what is asked for. It cannot be changed: what was agreed to must be what is granted.
	// +required
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="spec of an EmergencyAccess cannot be changed; delete it and ask anew"
	Spec EmergencyAccessSpec `json:"spec"`
	// Status is what became of it.
	// Until the operator has looked at the object, observedGeneration is -1, so that nobody takes it for done (kstatus).
	// +optional
	// +kubebuilder:default={"observedGeneration":-1}
	Status EmergencyAccessStatus `json:"status,omitempty"`
}

// EmergencyAccessList is a list of emergency accesses.
// +kubebuilder:object:root=true
type EmergencyAccessList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []EmergencyAccess `json:"items"`
}

// EmergencyAccessSpec is what is asked for.
type EmergencyAccessSpec struct {
	// Tenant is the name of the HIPAATenant.
	// +required
	Tenant Name `json:"tenant"`
	// Role in the tenant's namespaces for that time. Developer and Operator may also exec, attach, forward ports and debug.
	// +required
	Role Role `json:"role"`
	// Reason for the record, such as the number of an incident.
	// +required
	// +kubebuilder:validation:MinLength=8
	// +kubebuilder:validation:MaxLength=1024
	Reason string `json:"reason"`
	// Duration of the access, from its approval. 1m to 24h, and at most emergencyAccess.maxDuration of the profile.
	// +required
	// +kubebuilder:validation:XValidation:rule="self >= duration('1m') && self <= duration('24h')",message="duration must be between 1m and 24h"
	Duration Duration `json:"duration"`
}

// EmergencyAccessStatus is what became of a request.
type EmergencyAccessStatus struct {
	// ObservedGeneration is the generation of the spec the rest of the status speaks of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// Conditions: Active.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=8
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// RequestedBy is the user who created the object.
	// +optional
	RequestedBy string `json:"requestedBy,omitempty"`
	// ApprovedBy is the user who approved it.
	// +optional
	ApprovedBy string `json:"approvedBy,omitempty"`
	// TenantUID is the tenant it was approved for. A later tenant of the same name is another.
	// +optional
	TenantUID types.UID `json:"tenantUID,omitempty"`
	// ApprovedAt is when the operator saw the approval; the access counts from here.
	// +optional
	ApprovedAt *metav1.Time `json:"approvedAt,omitempty"`
	// ExpiresAt is when the access ends.
	// +optional
	ExpiresAt *metav1.Time `json:"expiresAt,omitempty"`
	// EndedAt is when the access ended, or was found to be refused for good. It does not begin again.
	// +optional
	EndedAt *metav1.Time `json:"endedAt,omitempty"`
	// Namespaces the access reaches.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	Namespaces []Name `json:"namespaces,omitempty"`
}
