package v1alpha1

import (
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// Date is a calendar day in UTC, RFC 3339 full-date: 2026-01-15.
// +kubebuilder:validation:MaxLength=10
// +kubebuilder:validation:XValidation:rule="!format.date().validate(self).hasValue()",message="must be a calendar day such as 2026-01-15"
type Date string

// Time is the first instant of the day in UTC, the zero time when the field is empty. The rule on the type leaves
// nothing to fail.
func (d Date) Time() time.Time {
	t, _ := time.Parse(time.DateOnly, string(d))
	return t
}

// CIDR is an IPv4 or IPv6 network in canonical form: no host bits, lower case, no IPv4-mapped IPv6.
// +kubebuilder:validation:MaxLength=43
// +kubebuilder:validation:XValidation:rule="isCIDR(self) && cidr(self) == cidr(self).masked() && string(cidr(self)) == self",message="must be a canonical IPv4 or IPv6 CIDR without host bits, such as 203.0.113.0/24 or 2001:db8:12::/48"
type CIDR string

// Region is the value of the node label topology.kubernetes.io/region.
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=63
// +kubebuilder:validation:Pattern=`^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$`
type Region string

// Duration is written in hours, minutes and seconds, at most six digits each: 15m, 2160h, 1h30m. The digits are
// bounded so that no value overflows a time.Duration.
// +kubebuilder:validation:Format=duration
// +kubebuilder:validation:MinLength=2
// +kubebuilder:validation:MaxLength=16
// +kubebuilder:validation:Pattern=`^([0-9]{1,6}h)?([0-9]{1,6}m)?([0-9]{1,6}s)?$`
type Duration string

// Value is the length of time, zero when the field is empty. The pattern on the type leaves nothing to fail.
func (d Duration) Value() time.Duration {
	v, _ := time.ParseDuration(string(d))
	return v
}

// Name is a DNS label (RFC 1123), at most 63 characters.
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=63
// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
type Name string

// SHA256 is the hash of a document, 64 lower-case hexadecimal digits.
// +kubebuilder:validation:Pattern=`^[0-9a-f]{64}$`
type SHA256 string

// Citation is a section or paragraph of 45 CFR part 164, such as 164.310(a)(1).
// +kubebuilder:validation:MaxLength=63
// +kubebuilder:validation:Pattern=`^164\.[0-9]{3}(\([A-Za-z0-9]+\))*$`
type Citation string

// Contact is where a covered entity takes privacy questions.
type Contact struct {
	// Name of the organisation.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
	// Contact is an e-mail address or URL.
	// +required
	// +kubebuilder:validation:MinLength=3
	// +kubebuilder:validation:MaxLength=253
	Contact string `json:"contact"`
}

// Officer is a named person.
type Officer struct {
	// Name of the person.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
	// Email address of the person.
	// +required
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[^@\s]+@[^@\s]+$`
	Email string `json:"email"`
}

// SignatureParty is a side of an agreement.
// +kubebuilder:validation:Enum=CoveredEntity;BusinessAssociate
type SignatureParty string

const (
	// PartyCoveredEntity is the healthcare organisation.
	PartyCoveredEntity SignatureParty = "CoveredEntity"
	// PartyBusinessAssociate is who handles PHI on its behalf.
	PartyBusinessAssociate SignatureParty = "BusinessAssociate"
)

// Signature is one party's signature under an agreement.
type Signature struct {
	// Party that signed.
	// +required
	Party SignatureParty `json:"party"`
	// Name of the person who signed.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
	// On is the day of the signature. YAML reads a bare on as a boolean: write the key in quotes, "on".
	// +required
	On Date `json:"on"`
}

// Document points to a text kept elsewhere, and pins it.
type Document struct {
	// URI where the document is kept.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	URI string `json:"uri"`
	// SHA256 of the document.
	// +required
	SHA256 SHA256 `json:"sha256"`
}

// Agreement is a business associate agreement, 45 CFR 164.308(b)(3) and 164.504(e).
// +kubebuilder:validation:XValidation:rule="self.executedOn < self.expiresOn",fieldPath=".expiresOn",messageExpression="'expiresOn ' + self.expiresOn + ' must be after executedOn ' + self.executedOn"
// +kubebuilder:validation:XValidation:rule="!has(self.lastVerifiedOn) || self.lastVerifiedOn >= self.executedOn",fieldPath=".lastVerifiedOn",messageExpression="'lastVerifiedOn ' + self.lastVerifiedOn + ' must not be before executedOn ' + self.executedOn"
type Agreement struct {
	// ExecutedOn is the first day the agreement holds.
	// +required
	ExecutedOn Date `json:"executedOn"`
	// ExpiresOn is the first day it no longer holds. After executedOn.
	// +required
	ExpiresOn Date `json:"expiresOn"`
	// LastVerifiedOn is the day somebody last checked that the agreement still fits. Not before executedOn.
	// +optional
	LastVerifiedOn Date `json:"lastVerifiedOn,omitempty"`
	// Signatures of the parties. Nothing is provisioned until both parties have signed.
	// +optional
	// +listType=map
	// +listMapKey=party
	// +kubebuilder:validation:MaxItems=2
	Signatures []Signature `json:"signatures,omitempty"`
	// Document is the signed text.
	// +required
	Document Document `json:"document"`
	// Scope lists the services the agreement covers. Of a tenant: all that its profile lists in services. Of a vendor: all that
	// it renders; empty covers them all.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=63
	Scope []string `json:"scope,omitempty"`
}

// Protocol of a port.
// +kubebuilder:validation:Enum=TCP;UDP;SCTP
type Protocol string

// Port is one port of one protocol.
type Port struct {
	// Port number, 1 to 65535.
	// +required
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	Port int32 `json:"port"`
	// Protocol of the port.
	// +required
	Protocol Protocol `json:"protocol"`
}

// Number is the port as a NetworkPolicy wants it.
func (p Port) Number() intstr.IntOrString { return intstr.FromInt32(p.Port) }

// Host is a DNS name, optionally with a leading wildcard label.
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=253
// +kubebuilder:validation:Pattern=`^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`
type Host string

// PodSelector selects pods by labels.
type PodSelector struct {
	// MatchLabels that a pod must all carry.
	// +required
	// +kubebuilder:validation:MinProperties=1
	// +kubebuilder:validation:MaxProperties=16
	MatchLabels map[string]string `json:"matchLabels"`
}

// PeerPods are pods of a shared namespace outside the tenant.
type PeerPods struct {
	// Namespace the pods run in.
	// +required
	Namespace Name `json:"namespace"`
	// PodSelector picks them.
	// +required
	PodSelector PodSelector `json:"podSelector"`
}

// SubjectKind is a kind of subject RBAC knows.
// +kubebuilder:validation:Enum=User;Group;ServiceAccount
type SubjectKind string

// Subject is a person, a group or a workload. Names for everybody (system:authenticated, system:unauthenticated,
// system:anonymous, system:serviceaccounts) are refused: 164.312(a)(2)(i) wants unique users.
// +kubebuilder:validation:XValidation:rule="(self.kind == 'ServiceAccount') == has(self.__namespace__)",fieldPath=".namespace",messageExpression="has(self.__namespace__) ? 'namespace ' + self.__namespace__ + ' is not allowed for kind ' + self.kind : 'namespace is required for kind ' + self.kind"
// +kubebuilder:validation:XValidation:rule="self.kind != 'ServiceAccount' || !format.dns1123Subdomain().validate(self.name).hasValue()",fieldPath=".name",messageExpression="'name ' + self.name + ' must be a DNS subdomain for kind ServiceAccount'"
type Subject struct {
	// Kind of the subject.
	// +required
	Kind SubjectKind `json:"kind"`
	// Name of the subject.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="!self.startsWith('system:')",message="names beginning with system: are not allowed: 164.312(a)(2)(i) asks for unique users, never everybody or anonymous"
	// +kubebuilder:validation:XValidation:rule="self != '*'",message="name * is nobody in particular: 164.312(a)(2)(i) asks for unique users"
	Name string `json:"name"`
	// Namespace of a ServiceAccount.
	// +optional
	Namespace Name `json:"namespace,omitempty"`
}

// Quota is what a tenant may use in each of its namespaces. No value may be negative, and exponents have two digits:
// comparing 1e30000000 with anything holds a core for many seconds.
type Quota struct {
	// CPU is the sum of requests and, separately, of limits, in cores.
	// +required
	// +kubebuilder:validation:XValidation:rule="type(self) == int ? self >= 0 : string(self).matches('^[0-9]{1,18}([.][0-9]{1,9})?([numkMGTPE]|[KMGTPE]i|[eE][0-9]{1,2})?$')",message="must be a quantity of at least 0, such as 500m, 8 or 32Gi"
	CPU resource.Quantity `json:"cpu"`
	// Memory is the sum of requests and, separately, of limits, in bytes.
	// +required
	// +kubebuilder:validation:XValidation:rule="type(self) == int ? self >= 0 : string(self).matches('^[0-9]{1,18}([.][0-9]{1,9})?([numkMGTPE]|[KMGTPE]i|[eE][0-9]{1,2})?$')",message="must be a quantity of at least 0, such as 500m, 8 or 32Gi"
	Memory resource.Quantity `json:"memory"`
	// Pods that are not in a final phase.
	// +required
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100000
	Pods int32 `json:"pods"`
	// Storage is the sum of requests of all claims, in bytes.
	// +required
	// +kubebuilder:validation:XValidation:rule="type(self) == int ? self >= 0 : string(self).matches('^[0-9]{1,18}([.][0-9]{1,9})?([numkMGTPE]|[KMGTPE]i|[eE][0-9]{1,2})?$')",message="must be a quantity of at least 0, such as 500m, 8 or 32Gi"
	Storage resource.Quantity `json:"storage"`
}
