package api_test

import "slices"

var (
	password = object{"minLength": 14, "mfa": "Required"}
	saml     = object{"protocol": "SAML", "metadataURL": "https://idp.acme.example/metadata"}
)

// accessRows are about who uses the application and who works in the namespaces.
var accessRows = slices.Concat([]row{
	bad("spec.authentication.password", password, "exactly one of sso and password must be set, found both").at("spec.authentication"),
	bad("spec.authentication", object{}, "exactly one of sso and password must be set, found neither"),
	good("spec.authentication", object{"password": password}),
	bad("spec.authentication.sso.protocol", "LDAP", `supported values: "SAML", "OIDC"`),
	bad("spec.authentication.sso.protocol", "OIDC", "metadataURL https://idp.acme.example/metadata is not allowed for protocol OIDC").
		at("spec.authentication.sso.metadataURL"),
	bad("spec.authentication.sso.protocol", "OIDC", "issuerURL is required for protocol OIDC").at("spec.authentication.sso.issuerURL"),
	bad("spec.authentication.sso.issuerURL", "https://idp.acme.example", "is not allowed for protocol SAML"),
	bad("spec.authentication.sso.metadataURL", absent{}, "metadataURL is required for protocol SAML"),

	good("spec.roles", absent{}),
	good("spec.roles", times(16, same(grant))),
	bad("spec.roles", times(17, same(grant)), "must have at most 16 items"),
	good("spec.roles[0].role", "Operator"),
	good("spec.roles[0].role", "Auditor"),
	bad("spec.roles[0].role", "Admin", `supported values: "Developer", "Operator", "Auditor"`),
	bad("spec.roles[0].role", "developer", `supported values: "Developer", "Operator", "Auditor"`),
	good("spec.roles[0].expiresOn", absent{}),
	bad("spec.roles[0].subjects", list{}, "should have at least 1 items"),
	good("spec.roles[0].subjects", times(64, same(developers))),
	bad("spec.roles[0].subjects", times(65, same(developers)), "must have at most 64 items"),
	bad("spec.roles[0].subjects[0].namespace", "ci", "namespace ci is not allowed for kind Group"),
	bad("spec.roles[0].subjects[1].namespace", absent{}, "namespace is required for kind ServiceAccount"),
}, missing(
	"spec.authentication.sso.protocol", "spec.roles[0].role", "spec.roles[0].subjects", "spec.roles[0].subjects[0].kind",
	"spec.roles[0].subjects[0].name",
))

var oidcRows = []row{
	good("spec.authentication.sso.protocol", "OIDC"),
	bad("spec.authentication.sso.protocol", "SAML", "issuerURL https://idp.acme.example is not allowed for protocol SAML").
		at("spec.authentication.sso.issuerURL"),
	bad("spec.authentication.sso.metadataURL", "https://idp.acme.example", "is not allowed for protocol OIDC"),
	bad("spec.authentication.sso.issuerURL", absent{}, "issuerURL is required for protocol OIDC"),
}

var passwordRows = slices.Concat([]row{
	accept("a complete password policy", all()),
	bad("spec.authentication.sso", saml, "exactly one of sso and password must be set, found both").at("spec.authentication"),
	good("spec.authentication.password.minLength", 8),
	good("spec.authentication.password.minLength", 128),
	bad("spec.authentication.password.minLength", 7, "should be greater than or equal to 8"),
	bad("spec.authentication.password.minLength", 129, "should be less than or equal to 128"),
	good("spec.authentication.password.maxAge", absent{}),
	good("spec.authentication.password.maxAge", "24h"),
	bad("spec.authentication.password.maxAge", "23h", "maxAge must be at least 24h"),
	good("spec.authentication.password.history", absent{}),
	good("spec.authentication.password.history", 0),
	good("spec.authentication.password.history", 64),
	bad("spec.authentication.password.history", -1, "should be greater than or equal to 0"),
	bad("spec.authentication.password.history", 65, "should be less than or equal to 64"),
	bad("spec.authentication.password.mfa", "Optional", `supported values: "Required"`),
}, missing("spec.authentication.password.minLength", "spec.authentication.password.mfa"))

var applicationRows = slices.Concat([]row{
	good("spec.application", absent{}),
	good("spec.application", object{}),
	good("spec.application.callRecording", "Disabled"),
	good("spec.application.callRecording", "Automatic"),
	bad("spec.application.callRecording", "Sometimes", `supported values: "Disabled", "Manual", "Automatic"`),
	good("spec.application.recordingRetention", "1h"),
	good("spec.application.recordingRetention", "52560h"), // six years, 45 CFR 164.316(b)(2)(i)
	bad("spec.application.recordingRetention", "59m", "recordingRetention must be at least 1h"),
	good("spec.application.searchableFields", times(128, numbered("field-%d"))),
	bad("spec.application.searchableFields", times(129, numbered("field-%d")), "must have at most 128 items"),
	bad("spec.application.searchableFields", list{"id", "id"}, `Duplicate value: "id"`).at("spec.application.searchableFields[1]"),
	good("spec.application.hiddenFields", times(32, named("role", "role-%d", object{"fields": list{"ssn"}}))),
	bad("spec.application.hiddenFields", times(33, named("role", "role-%d", object{"fields": list{"ssn"}})), "must have at most 32 items"),
	bad("spec.application.hiddenFields", times(2, same(object{"role": "agent", "fields": list{"ssn"}})), "Duplicate value").
		at("spec.application.hiddenFields[1]"),
	bad("spec.application.hiddenFields[0].fields", list{}, "should have at least 1 items"),
	good("spec.application.hiddenFields[0].fields", times(128, numbered("field-%d"))),
	bad("spec.application.hiddenFields[0].fields", times(129, numbered("field-%d")), "must have at most 128 items"),
	bad("spec.application.hiddenFields[0].fields", list{"ssn", "ssn"}, `Duplicate value: "ssn"`).
		at("spec.application.hiddenFields[0].fields[1]"),
	good("spec.application.mailbox", absent{}),
	bad("spec.application.mailbox.host", "*.acme.example", "host must be one name, without a wildcard"),
	bad("spec.application.mailbox.cidrs", list{}, "should have at least 1 items"),
	good("spec.application.mailbox.cidrs", times(16, numbered("192.0.2.%d/32"))),
	bad("spec.application.mailbox.cidrs", times(17, numbered("192.0.2.%d/32")), "must have at most 16 items"),
	bad("spec.application.mailbox.cidrs", list{"192.0.2.1/32", "192.0.2.1/32"}, "Duplicate value").
		at("spec.application.mailbox.cidrs[1]"),
	good("spec.application.mailbox.cidrs", list{"192.0.2.0/24", "2001:db8:25::/48", "2001:db8::25/128"}),
	bad("spec.application.mailbox.cidrs", list{"192.0.2.1/32", "192.0.2.0/23"}, "no wider than /24 (IPv4) or /48 (IPv6): narrow 192.0.2.0/23"),
	bad("spec.application.mailbox.cidrs", list{"0.0.0.0/0"}, "narrow 0.0.0.0/0"),
	bad("spec.application.mailbox.cidrs", list{"2001:db8:24::/47"}, "narrow 2001:db8:24::/47"),
	bad("spec.application.mailbox.cidrs", list{"::/0"}, "narrow ::/0"),
	bad("spec.application.mailbox.tls", "Optional", `supported values: "Required"`),
}, missing(
	"spec.application.hiddenFields[0].role", "spec.application.hiddenFields[0].fields", "spec.application.mailbox.host",
	"spec.application.mailbox.cidrs", "spec.application.mailbox.port", "spec.application.mailbox.tls",
))

var attestationRows = slices.Concat([]row{
	good("spec.attestations", absent{}),
	good("spec.attestations", times(64, same(statement))),
	bad("spec.attestations", times(65, same(statement)), "must have at most 64 items"),
	good("spec.attestations[0].citation", "164.310"),
	good("spec.attestations[0].citation", "164.308(a)(5)(ii)(B)"),
	bad("spec.attestations[0].citation", "164.308a", "should match"),
	bad("spec.attestations[0].citation", "45 CFR 164.308", "should match"),
	bad("spec.attestations[0].citation", "160.103", "should match"),
	bad("spec.attestations[0].citation", "", "should match"),
	bad("spec.attestations[0].citation", "164.308("+text(55)+")", "may not be more than 63 bytes"),
	bad("spec.attestations[0].expiresOn", "2026-03-01", "expiresOn 2026-03-01 must be after on 2026-03-01"),
	good("spec.attestations[0].expiresOn", "2026-03-02"),
	good("spec.attestations[0].evidence", absent{}),
}, missing(
	"spec.attestations[0].citation", "spec.attestations[0].statement", "spec.attestations[0].by", "spec.attestations[0].on",
	"spec.attestations[0].expiresOn", "spec.attestations[0].evidence.uri", "spec.attestations[0].evidence.sha256",
))
