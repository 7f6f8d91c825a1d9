package tenantconfig

// Schema names the format of the document. A change that breaks readers gets a new name; fields may be added under this one.
const Schema = "hipaatenant.dev/config/v1"

// ActivityUserInput says that only what a person does keeps a session alive: a key, a click, a touch. Requests that the
// application makes by itself (polling, renewing a token, a heartbeat) do not count.
const ActivityUserInput = "user-input"

// ChannelCallRecording is the channel of recordings. While it is disabled nothing is recorded, whatever CallRecording says.
const ChannelCallRecording = "call-recording"

// Values of Authentication.Method.
const (
	MethodSAML     = "SAML"
	MethodOIDC     = "OIDC"
	MethodPassword = "Password"
)

// Values of Authentication.MFA.
const (
	// MFAIdentityProvider: the identity provider asks for the second factor.
	MFAIdentityProvider = "IdentityProvider"
	// MFARequired: the application itself asks for a second factor.
	MFARequired = "Required"
)

// Values of Application.CallRecording, and of the mode MayRecord is asked about.
const (
	// RecordingDisabled: nothing is recorded.
	RecordingDisabled = "Disabled"
	// RecordingManual: a recording begins by a person's hand alone.
	RecordingManual = "Manual"
	// RecordingAutomatic: the application may begin recordings by itself.
	RecordingAutomatic = "Automatic"
)

// TLSRequired is the value of Mailbox.TLS.
const TLSRequired = "Required"

// Config is what the operator tells the workloads of a tenant. It is delivered as hipaa.json in ConfigMap hipaa-config of
// every namespace of the tenant, and in part as environment variables, see Env.
type Config struct {
	// Schema is the constant of that name.
	Schema string `json:"schema"`
	// Tenant is the name of the HIPAATenant.
	Tenant string `json:"tenant"`
	// Region is where the tenant's pods run.
	Region string `json:"region"`
	// FailoverRegions are further regions pods may run in, 45 CFR 164.308(a)(7).
	FailoverRegions []string `json:"failoverRegions"`
	// Session says when a session ends by itself, 45 CFR 164.312(a)(2)(iii).
	Session Session `json:"session"`
	// DisabledChannels are the ways of communication that must not carry PHI, sorted.
	DisabledChannels []string `json:"disabledChannels"`
	// Authentication says how users prove who they are, 45 CFR 164.312(d).
	Authentication Authentication `json:"authentication"`
	// Application settings.
	Application Application `json:"application"`
}

// Session is automatic logoff, 45 CFR 164.312(a)(2)(iii).
type Session struct {
	// IdleTimeoutSeconds without user input end a session: 60 to 86400.
	IdleTimeoutSeconds int `json:"idleTimeoutSeconds"`
	// Activity that counts: always ActivityUserInput.
	Activity string `json:"activity"`
}

// Authentication of the application's users, 45 CFR 164.312(d).
type Authentication struct {
	// Method is SAML, OIDC or Password.
	Method string `json:"method"`
	// MFA says who asks for the second factor: IdentityProvider or, with passwords, Required of the application.
	MFA string `json:"mfa"`
	// SSO is there with SAML and OIDC.
	SSO *SSO `json:"sso,omitempty"`
	// Password is there with Password.
	Password *Password `json:"password,omitempty"`
}

// SSO names an identity provider.
type SSO struct {
	// MetadataURL of a SAML provider, https.
	MetadataURL string `json:"metadataURL,omitempty"`
	// IssuerURL of an OpenID Connect provider, https.
	IssuerURL string `json:"issuerURL,omitempty"`
}

// Password is what the application demands of passwords, 45 CFR 164.308(a)(5)(ii)(D).
type Password struct {
	// MinLength of a password, 8 to 128 characters.
	MinLength int `json:"minLength"`
	// MaxAgeSeconds after which a password has to be changed, at least 86400; 0 means never.
	MaxAgeSeconds int `json:"maxAgeSeconds"`
	// History is how many former passwords may not come back, 0 to 64.
	History int `json:"history"`
}

// Application settings.
type Application struct {
	// CallRecording is Disabled, Manual or Automatic. Ask MayRecord.
	CallRecording string `json:"callRecording"`
	// RecordingRetentionSeconds after which a recording is deleted, at least 3600; 0 means that the tenant does not say.
	RecordingRetentionSeconds int `json:"recordingRetentionSeconds"`
	// SearchableFields are the only fields a global search may look in and show; empty means none. Ask FieldSearchable.
	SearchableFields []string `json:"searchableFields"`
	// HiddenFields by the application's role. Ask FieldHidden.
	HiddenFields []HiddenFields `json:"hiddenFields"`
	// Mailbox is the tenant's own mail server, the only one that may be used; nil means that no mail is sent.
	Mailbox *Mailbox `json:"mailbox,omitempty"`
}

// HiddenFields are fields one role of the application does not see.
type HiddenFields struct {
	// Role of the application, not of Kubernetes.
	Role string `json:"role"`
	// Fields hidden from it.
	Fields []string `json:"fields"`
}

// Mailbox is a mail server. The network lets nothing else out to mail servers.
type Mailbox struct {
	// Host name of the server.
	Host string `json:"host"`
	// CIDRs the server answers on.
	CIDRs []string `json:"cidrs"`
	// Port of the server.
	Port int `json:"port"`
	// TLS is always TLSRequired: refuse to go on without, 45 CFR 164.312(e)(2)(ii).
	TLS string `json:"tls"`
}
