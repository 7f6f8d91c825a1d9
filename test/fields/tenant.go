package fields

import (
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
)

const (
	forReports = "reports and people read it; nothing in the cluster depends on it"
	forLawyers = "it says which text was signed, for reports and people; the API server demands it, and the cluster cannot read it"
)

func withPassword(w *World) {
	w.tenant().Authentication = v1alpha1.Authentication{Password: &v1alpha1.PasswordPolicy{MinLength: 14, MaxAge: "2160h", History: 12, MFA: "Required"}}
}

func withOIDC(w *World) {
	w.tenant().Authentication = v1alpha1.Authentication{SSO: &v1alpha1.SSO{Protocol: "OIDC", IssuerURL: "https://login.fields.example"}}
}

func withExpiredAttestation(w *World) {
	w.tenant().Attestations[0].On, w.tenant().Attestations[0].ExpiresOn = "2025-03-01", "2026-03-01"
}

// Tenant has a case for every field of a HIPAATenant.
var Tenant = []Case{
	{Path: "application.callRecording", In: Objects, Edit: func(w *World) { w.tenant().Application.CallRecording = "Automatic" }},
	{Path: "application.recordingRetention", In: Objects, Edit: func(w *World) { w.tenant().Application.RecordingRetention = "24h" }},
	{Path: "application.searchableFields[]", In: Objects, Edit: func(w *World) { w.tenant().Application.SearchableFields[0] = "status" }},
	{Path: "application.hiddenFields[].role", In: Objects, Edit: func(w *World) { w.tenant().Application.HiddenFields[0].Role = "billing" }},
	{Path: "application.hiddenFields[].fields[]", In: Objects, Edit: func(w *World) { w.tenant().Application.HiddenFields[0].Fields[0] = "dob" }},
	{Path: "application.mailbox.host", In: Objects, Edit: func(w *World) { w.tenant().Application.Mailbox.Host = "post.fields.example" }},
	{Path: "application.mailbox.cidrs[]", In: Objects, Edit: func(w *World) { w.tenant().Application.Mailbox.CIDRs[0] = "192.0.2.26/32" }},
	{Path: "application.mailbox.port", In: Objects, Edit: func(w *World) { w.tenant().Application.Mailbox.Port = 465 }},
	{Path: "application.mailbox.tls", In: Fixed, Why: "TLS is required"},

	{Path: "attestations[].citation", In: Findings, Edit: func(w *World) { w.tenant().Attestations[0].Citation = "164.310(b)" }},
	{Path: "attestations[].by", In: Findings, Given: withExpiredAttestation, Edit: func(w *World) { w.tenant().Attestations[0].By = "Lee Amari" }},
	{Path: "attestations[].on", In: Findings, Edit: func(w *World) { w.tenant().Attestations[0].On = "2029-03-01" }},
	{Path: "attestations[].expiresOn", In: Findings, Edit: func(w *World) { w.tenant().Attestations[0].ExpiresOn = "2026-04-01" }},
	{Path: "attestations[].statement", In: Nowhere, Why: forReports, Edit: func(w *World) { w.tenant().Attestations[0].Statement = "it was so" }},
	{Path: "attestations[].evidence.uri", In: Nowhere, Why: forReports, Edit: func(w *World) { w.tenant().Attestations[0].Evidence.URI = "https://elsewhere.example" }},
	{Path: "attestations[].evidence.sha256", In: Nowhere, Why: forReports, Edit: func(w *World) { w.tenant().Attestations[0].Evidence.SHA256 = hash("1") }},

	{Path: "authentication.sso.protocol", In: Objects, Edit: withOIDC},
	{Path: "authentication.sso.metadataURL", In: Objects, Edit: func(w *World) { w.tenant().Authentication.SSO.MetadataURL = "https://idp.fields.example/other" }},
	{Path: "authentication.sso.issuerURL", In: Objects, Given: withOIDC, Edit: func(w *World) { w.tenant().Authentication.SSO.IssuerURL = "https://login.fields.example/other" }},
	{Path: "authentication.password.minLength", In: Objects, Given: withPassword, Edit: func(w *World) { w.tenant().Authentication.Password.MinLength = 16 }},
	{Path: "authentication.password.maxAge", In: Objects, Given: withPassword, Edit: func(w *World) { w.tenant().Authentication.Password.MaxAge = "720h" }},
	{Path: "authentication.password.history", In: Objects, Given: withPassword, Edit: func(w *World) { w.tenant().Authentication.Password.History = 24 }},
	{Path: "authentication.password.mfa", In: Fixed, Why: "with passwords a second factor is required"},

	{Path: "baa.executedOn", In: Objects, Edit: func(w *World) { w.tenant().BAA.ExecutedOn, w.tenant().BAA.LastVerifiedOn = "2035-01-15", "" }},
	{Path: "baa.expiresOn", In: Agreement, Edit: func(w *World) { w.tenant().BAA.ExpiresOn = "2034-06-15" }},
	{Path: "baa.lastVerifiedOn", In: Agreement, Edit: func(w *World) { w.tenant().BAA.LastVerifiedOn = "2026-07-01" }},
	{Path: "baa.signatures[].party", In: Narrowed, Edit: func(w *World) { w.tenant().BAA.Signatures = w.tenant().BAA.Signatures[:1] }},
	{Path: "baa.signatures[].name", In: Nowhere, Why: forLawyers, Edit: func(w *World) { w.tenant().BAA.Signatures[0].Name = "Lee Amari" }},
	{Path: "baa.signatures[].on", In: Nowhere, Why: forLawyers, Edit: func(w *World) { w.tenant().BAA.Signatures[0].On = "2026-01-10" }},
	{Path: "baa.document.uri", In: Nowhere, Why: forLawyers, Edit: func(w *World) { w.tenant().BAA.Document.URI = "https://elsewhere.example" }},
	{Path: "baa.document.sha256", In: Nowhere, Why: forLawyers, Edit: func(w *World) { w.tenant().BAA.Document.SHA256 = hash("1") }},
	{Path: "baa.scope[]", In: Narrowed, Edit: func(w *World) { w.tenant().BAA.Scope[0] = "crm" }},

	{Path: "businessAssociates[]", In: Objects, Edit: func(w *World) { w.tenant().BusinessAssociates[0] = "fields-second" }},
	{Path: "coveredEntity.name", In: Nowhere, Why: forReports, Edit: func(w *World) { w.tenant().CoveredEntity.Name = "Birch Clinic" }},
	{Path: "coveredEntity.contact", In: Nowhere, Why: forReports, Edit: func(w *World) { w.tenant().CoveredEntity.Contact = "privacy@birch.example" }},
	{Path: "securityOfficer.name", In: Nowhere, Why: forReports, Edit: func(w *World) { w.tenant().SecurityOfficer.Name = "Lee Amari" }},
	{Path: "securityOfficer.email", In: Nowhere, Why: forReports, Edit: func(w *World) { w.tenant().SecurityOfficer.Email = "lee@birch.example" }},
	{Path: "deletionPolicy", In: Effective, Edit: func(w *World) { w.tenant().DeletionPolicy = v1alpha1.DeletionShred }},
	{Path: "disabledChannels[]", In: Objects, Edit: func(w *World) { w.tenant().DisabledChannels[0] = "pager" }},
	{Path: "encryption.keyURI", In: Keys, Edit: func(w *World) { w.tenant().Encryption.KeyURI = "vault://transit/fields-other" }},
	{Path: "encryption.rotationPeriod", In: Keys, Edit: func(w *World) { w.tenant().Encryption.RotationPeriod = "1440h" }},
	{Path: "encryption.dataKeys[].name", In: Keys, Edit: func(w *World) { w.tenant().Encryption.DataKeys[0].Name = "transcripts" }},
	{Path: "encryption.storageClasses[]", In: Objects, Edit: func(w *World) { w.tenant().Encryption.StorageClasses = []string{Plain} }},
	{Path: "exposure.podSelector.matchLabels", In: Objects, Edit: func(w *World) { w.tenant().Exposure.PodSelector = selector("web") }},
	{Path: "region", In: Objects, Edit: func(w *World) {
		w.tenant().Region, w.tenant().FailoverRegions = "us-west-2", []v1alpha1.Region{"us-east-1"}
	}},
	{Path: "failoverRegions[]", In: Objects, Edit: func(w *World) { w.tenant().FailoverRegions = nil }},
	{Path: "ipAllowlist[]", In: Objects, Edit: func(w *World) { w.tenant().IPAllowlist[0] = "203.0.113.0/25" }},
	{Path: "namespaces[].name", In: Objects, Edit: func(w *World) { w.tenant().Namespaces[1].Name = "fields-third" }},
	{Path: "namespaces[].adopt", In: Nowhere, Why: "it is asked while a namespace is nobody's; those of the tenant are its own already",
		Edit: func(w *World) { w.tenant().Namespaces[1].Adopt = true }},
	{Path: "profile", In: Objects, Edit: func(w *World) { w.tenant().Profile = Name + "-other" }},
	{Path: "quota.cpu", In: Objects, Edit: func(w *World) { w.tenant().Quota.CPU = resource.MustParse("6") }},
	{Path: "quota.memory", In: Objects, Edit: func(w *World) { w.tenant().Quota.Memory = resource.MustParse("24Gi") }},
	{Path: "quota.pods", In: Objects, Edit: func(w *World) { w.tenant().Quota.Pods = 90 }},
	{Path: "quota.storage", In: Objects, Edit: func(w *World) { w.tenant().Quota.Storage = resource.MustParse("400Gi") }},
	{Path: "roles[].role", In: Objects, Edit: func(w *World) { w.tenant().Roles[0].Role = "Operator" }},
	{Path: "roles[].expiresOn", In: Objects, Edit: func(w *World) { w.tenant().Roles[0].ExpiresOn = "2026-01-01" }},
	{Path: "roles[].subjects[].kind", In: Objects, Edit: func(w *World) { w.tenant().Roles[0].Subjects[0].Kind = "User" }},
	{Path: "roles[].subjects[].name", In: Objects, Edit: func(w *World) { w.tenant().Roles[0].Subjects[0].Name = "fields-interns" }},
	{Path: "roles[].subjects[].namespace", In: Objects, Edit: func(w *World) { w.tenant().Roles[1].Subjects[0].Namespace = Data }},
	{Path: "sessionTimeout", In: Objects, Edit: func(w *World) { w.tenant().SessionTimeout = "5m" }},
	{Path: "suspend", In: Nowhere, Why: "the operator stops before it plans: Ready is Unknown, reason Suspended, and everything stays",
		Edit: func(w *World) { w.tenant().Suspend = true }},
}
