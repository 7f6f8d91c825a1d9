package v1alpha1

// Authentication of the application's users, 45 CFR 164.312(d). Exactly one of sso and password.
// +kubebuilder:validation:XValidation:rule="has(self.sso) != has(self.password)",messageExpression="'exactly one of sso and password must be set, found ' + (has(self.sso) ? 'both' : 'neither')"
type Authentication struct {
	// SSO: an identity provider vouches for users.
	// +optional
	SSO *SSO `json:"sso,omitempty"`
	// Password: the application keeps passwords; then a second factor is mandatory.
	// +optional
	Password *PasswordPolicy `json:"password,omitempty"`
}

// SSO names an identity provider.
// +kubebuilder:validation:XValidation:rule="(self.protocol == 'SAML') == has(self.metadataURL)",fieldPath=".metadataURL",messageExpression="has(self.metadataURL) ? 'metadataURL ' + self.metadataURL + ' is not allowed for protocol ' + self.protocol : 'metadataURL is required for protocol ' + self.protocol"
// +kubebuilder:validation:XValidation:rule="(self.protocol == 'OIDC') == has(self.issuerURL)",fieldPath=".issuerURL",messageExpression="has(self.issuerURL) ? 'issuerURL ' + self.issuerURL + ' is not allowed for protocol ' + self.protocol : 'issuerURL is required for protocol ' + self.protocol"
type SSO struct {
	// Protocol spoken with the provider.
	// +required
	// +kubebuilder:validation:Enum=SAML;OIDC
	Protocol string `json:"protocol"`
	// MetadataURL of a SAML provider, https.
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:Pattern=`^https://\S+$`
	MetadataURL string `json:"metadataURL,omitempty"`
	// IssuerURL of an OpenID Connect provider, https.
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:Pattern=`^https://\S+$`
	IssuerURL string `json:"issuerURL,omitempty"`
}

// PasswordPolicy is what the application demands of passwords, 45 CFR 164.308(a)(5)(ii)(D).
type PasswordPolicy struct {
	// MinLength of a password, 8 to 128 characters.
	// +required
	// +kubebuilder:validation:Minimum=8
	// +kubebuilder:validation:Maximum=128
	MinLength int32 `json:"minLength"`
	// MaxAge of a password. At least 24h.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self >= duration('24h')",message="maxAge must be at least 24h"
	MaxAge Duration `json:"maxAge,omitempty"`
	// History is how many former passwords may not come back, 0 to 64.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=64
	History int32 `json:"history,omitempty"`
	// MFA must be Required.
	// +required
	// +kubebuilder:validation:Enum=Required
	MFA string `json:"mfa"`
}

// Role is one of the three roles the install ships a ClusterRole for.
// +kubebuilder:validation:Enum=Developer;Operator;Auditor
type Role string

const (
	// RoleDeveloper deploys workloads.
	RoleDeveloper Role = "Developer"
	// RoleOperator runs them.
	RoleOperator Role = "Operator"
	// RoleAuditor looks on.
	RoleAuditor Role = "Auditor"
)

// RoleGrant binds subjects to a role in every namespace of the tenant.
type RoleGrant struct {
	// Role granted.
	// +required
	Role Role `json:"role"`
	// Subjects that hold it, 1 to 64.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	Subjects []Subject `json:"subjects"`
	// ExpiresOn is the first day the grant no longer holds, 45 CFR 164.308(a)(3)(ii)(C).
	// +optional
	ExpiresOn Date `json:"expiresOn,omitempty"`
}

// Application settings delivered to workloads.
type Application struct {
	// CallRecording mode. Empty means Disabled, and so does a disabled channel call-recording.
	// +optional
	// +kubebuilder:validation:Enum=Disabled;Manual;Automatic
	CallRecording string `json:"callRecording,omitempty"`
	// RecordingRetention is how long recordings are kept. At least 1h. Empty means that the tenant does not say.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self >= duration('1h')",message="recordingRetention must be at least 1h"
	RecordingRetention Duration `json:"recordingRetention,omitempty"`
	// SearchableFields are the only fields a global search may look in and show; empty means none. Without commas: they
	// are delivered as a list in one variable.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=128
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=63
	// +kubebuilder:validation:items:Pattern=`^[^,\x00-\x1f]*$`
	SearchableFields []string `json:"searchableFields,omitempty"`
	// HiddenFields by the application's role.
	// +optional
	// +listType=map
	// +listMapKey=role
	// +kubebuilder:validation:MaxItems=32
	HiddenFields []HiddenFields `json:"hiddenFields,omitempty"`
	// Mailbox is the tenant's own mail server and the only SMTP destination opened.
	// +optional
	Mailbox *Mailbox `json:"mailbox,omitempty"`
}

// HiddenFields are fields one role of the application does not see.
type HiddenFields struct {
	// Role of the application (not a Kubernetes role).
	// +required
	Role Name `json:"role"`
	// Fields hidden from it. Without commas.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=128
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=63
	// +kubebuilder:validation:items:Pattern=`^[^,\x00-\x1f]*$`
	Fields []string `json:"fields"`
}

// Mailbox is a mail server of the tenant.
type Mailbox struct {
	// Host name of the server, without a wildcard.
	// +required
	// +kubebuilder:validation:XValidation:rule="!self.startsWith('*.')",message="host must be one name, without a wildcard"
	Host Host `json:"host"`
	// CIDRs the server answers on; egress opens to these alone. None wider than /24 (IPv4) or /48 (IPv6): what is opened
	// to a mail server has no agreement of its own.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:XValidation:rule="self.all(c, !isCIDR(c) || cidr(c).prefixLength() >= (cidr(c).ip().family() == 4 ? 24 : 48))",messageExpression="'a mailbox answers on networks no wider than /24 (IPv4) or /48 (IPv6): narrow ' + self.filter(c, !isCIDR(c) || cidr(c).prefixLength() < (cidr(c).ip().family() == 4 ? 24 : 48))[0]"
	CIDRs []CIDR `json:"cidrs"`
	// Port of the server, 1 to 65535.
	// +required
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	Port int32 `json:"port"`
	// TLS must be Required, 45 CFR 164.312(e)(2)(ii).
	// +required
	// +kubebuilder:validation:Enum=Required
	TLS string `json:"tls"`
}

// Exposure narrows what the IP allowlist reaches.
type Exposure struct {
	// PodSelector picks the pods that take traffic from ipAllowlist.
	// +required
	PodSelector PodSelector `json:"podSelector"`
}

// Attestation is a named person's statement about a safeguard.
// +kubebuilder:validation:XValidation:rule="self.on < self.expiresOn",fieldPath=".expiresOn",messageExpression="'expiresOn ' + self.expiresOn + ' must be after on ' + self.on"
type Attestation struct {
	// Citation of the safeguard in 45 CFR.
	// +required
	Citation Citation `json:"citation"`
	// Statement made.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Statement string `json:"statement"`
	// By whom.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	By string `json:"by"`
	// On which day. YAML reads a bare on as a boolean: write the key in quotes, "on".
	// +required
	On Date `json:"on"`
	// ExpiresOn is the first day it no longer counts. After on.
	// +required
	ExpiresOn Date `json:"expiresOn"`
	// Evidence kept elsewhere.
	// +optional
	Evidence *Document `json:"evidence,omitempty"`
}

// RequiredAttestation is a safeguard that counts as met only while a named person vouches for it.
type RequiredAttestation struct {
	// Citation of the safeguard in 45 CFR. An attestation counts that names exactly this one.
	// +required
	Citation Citation `json:"citation"`
	// Reason it is required.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Reason string `json:"reason"`
	// ReviewedOn is the day the reason was last reviewed.
	// +required
	ReviewedOn Date `json:"reviewedOn"`
}
