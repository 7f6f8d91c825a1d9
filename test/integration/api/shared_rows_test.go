package api_test

import "strings"

// shape is what several fields have in common: the values they take, the values they refuse, and where they are.
type shape struct {
	good []any
	bad  []flaw
	// places are fields of the shape, by variant name. One that starts with ! depends on other fields as well, so only
	// bad values are tried on it.
	places map[string][]string
}

// flaw is a bad value, and what the refusal says about it.
type flaw struct {
	value any
	want  string
}

// sharedRows tries every value of every shape in every place the variant has.
func sharedRows(v variant) []row {
	var rows []row
	for _, s := range shapes {
		for _, place := range s.places[v.name] {
			path, bound := strings.CutPrefix(place, "!")
			for _, f := range s.bad {
				rows = append(rows, bad(path, f.value, f.want))
			}
			if bound {
				continue
			}
			for _, value := range s.good {
				rows = append(rows, good(path, value))
			}
		}
	}
	return rows
}

const (
	empty     = "should be at least 1 chars long"
	unmatched = "should match"
	canonical = "must be a canonical IPv4 or IPv6 CIDR without host bits"
	day       = "must be a calendar day such as 2026-01-15"
	amount    = "must be a quantity of at least 0, such as 500m, 8 or 32Gi"
)

var shapes = []shape{
	{ // network
		good: list{"10.0.0.0/8", "0.0.0.0/0", "192.0.2.1/32", "2001:db8::/32", "::/0", "2001:db8::1/128"},
		bad: []flaw{
			{"203.0.113.7/24", canonical}, {"2001:db8::1/64", canonical}, // host bits
			{"203.0.113.0", canonical}, {"banana", canonical}, {"", canonical},
			{"203.0.113.0/33", canonical}, {"010.0.0.0/8", canonical}, {"10.0.0/8", canonical},
			{"2001:DB8::/32", canonical}, {"2001:0db8::/32", canonical}, {"2001:db8:0::/48", canonical}, // not canonical
			{"::ffff:203.0.113.0/120", canonical}, {"fe80::%eth0/64", canonical}, {" 10.0.0.0/8", canonical},
			{"10.0.0.0/8,0.0.0.0/0", canonical}, // facts are joined by commas
			{text(44), "may not be more than 43 bytes"},
		},
		places: map[string][]string{
			"tenant":    {"spec.ipAllowlist[0]", "!spec.application.mailbox.cidrs[0]"},
			"profile":   {"spec.channels[0].cidrs[0]", "spec.kubernetesAPI.cidrs[0]"},
			"associate": {"spec.endpoints[0].cidrs[0]"},
		},
	},
	{ // day
		good: list{"2028-02-29", "2031-12-31"},
		bad: []flaw{
			{"2027-02-29", day}, {"2026-13-01", day}, {"2026-1-15", day}, {"15.01.2026", day}, {"", day}, {"tomorrow", day},
			{"2026-01-15T00:00:00Z", "may not be more than 10 bytes"},
		},
		places: map[string][]string{
			"tenant": {
				"!spec.baa.executedOn", "spec.baa.expiresOn", "spec.baa.lastVerifiedOn", "spec.baa.signatures[0].on",
				"spec.roles[0].expiresOn", "!spec.attestations[0].on", "spec.attestations[0].expiresOn",
			},
			"profile": {
				"spec.regions[0].reviewedOn", "spec.requiredAttestations[0].reviewedOn", "!spec.attestations[0].on",
				"spec.attestations[0].expiresOn",
			},
			"associate": {
				"!spec.baa.executedOn", "spec.baa.expiresOn", "spec.baa.lastVerifiedOn", "spec.baa.signatures[0].on", "status.expiresOn",
			},
		},
	},
	{ // length of time
		good: list{"15m", "1h", "60s", "1h30m", "900s", "1m1s"},
		bad: []flaw{
			{"15m30", unmatched}, {"-15m", unmatched}, {"1.5h", unmatched}, {"1m1h", unmatched}, {"15 minutes", unmatched},
			{"1d", unmatched}, {"soon", "must be of type duration"},
			{"9999999h", unmatched}, // would overflow nanoseconds in 64 bits if more digits were let through
			{"m", "should be at least 2 chars long"}, {"100000h100000m10s", "may not be more than 16 bytes"},
		},
		places: map[string][]string{
			"tenant":               {"spec.sessionTimeout", "!spec.encryption.rotationPeriod", "!spec.application.recordingRetention"},
			"tenant with password": {"!spec.authentication.password.maxAge"},
			"profile": {
				"spec.maxSessionTimeout", "!spec.keys.maxRotationPeriod", "spec.baa.warnBefore", "!spec.baa.reverifyEvery",
				"spec.emergencyAccess.maxDuration",
			},
			"emergency": {"spec.duration"},
		},
	},
	{ // name
		good: list{"a", "7", "a-b", text(63)},
		bad: []flaw{
			{"", empty}, {"Acme", unmatched}, {"-a", unmatched}, {"a-", unmatched}, {"a.b", unmatched}, {"a,b", unmatched},
			{"a b", unmatched}, {text(64), "may not be more than 63 bytes"},
		},
		places: map[string][]string{
			"tenant": {
				"spec.profile", "spec.encryption.dataKeys[0].name", "spec.disabledChannels[0]", "spec.namespaces[0].name",
				"spec.businessAssociates[0]", "spec.roles[0].subjects[1].namespace", "spec.application.hiddenFields[0].role",
			},
			"profile": {
				"spec.regions[0].provider", "spec.regions[0].businessAssociate", "!spec.requiredDisabledChannels[0]",
				"!spec.channels[0].name", "spec.gateways[0].namespace", "spec.dns.namespace",
				"spec.emergencyAccess.approvers[1].namespace",
			},
			"associate": {"spec.subcontractors[0]", "spec.channels[0]"},
			"emergency": {"spec.tenant", "status.namespaces[0]"},
		},
	},
	{ // region
		good: list{"eu-central-1", "europe-west4", "Norway_East.1", text(63)},
		bad: []flaw{
			{"", empty}, {"us east", unmatched}, {"-us", unmatched}, {"us-", unmatched}, {"eu,us", unmatched},
			{text(64), "may not be more than 63 bytes"},
		},
		places: map[string][]string{
			"tenant":  {"spec.region", "spec.failoverRegions[0]"},
			"profile": {"spec.regions[0].name"},
		},
	},
	{ // hash
		good: list{strings.Repeat("0a", 32)},
		bad:  []flaw{{"", unmatched}, {text(63), unmatched}, {text(65), unmatched}, {strings.Repeat("0A", 32), unmatched}},
		places: map[string][]string{
			"tenant":    {"spec.baa.document.sha256", "spec.attestations[0].evidence.sha256"},
			"profile":   {"spec.attestations[0].evidence.sha256"},
			"associate": {"spec.baa.document.sha256"},
		},
	},
	{ // host
		good: list{"a", "api.clearing.example", "3com.example"},
		bad: []flaw{
			{"", empty}, {"API.example", unmatched}, {"-a.example", unmatched}, {"a..example", unmatched}, {"*", unmatched},
			{"a.*.example", unmatched}, {"https://a.example", unmatched}, {text(254), "may not be more than 253 bytes"},
		},
		places: map[string][]string{
			"tenant":    {"spec.application.mailbox.host"},
			"profile":   {"spec.channels[0].hosts[0]"},
			"associate": {"spec.endpoints[0].hosts[0]"},
		},
	},
	{ // port
		good: list{1, 443, 65535},
		bad: []flaw{
			{0, "should be greater than or equal to 1"}, {-1, "should be greater than or equal to 1"},
			{65536, "should be less than or equal to 65535"}, {"443", "must be of type integer"},
		},
		places: map[string][]string{
			"tenant":    {"spec.application.mailbox.port"},
			"profile":   {"spec.channels[0].ports[0].port", "spec.kubernetesAPI.port"},
			"associate": {"spec.endpoints[0].ports[0].port"},
		},
	},
	{ // protocol
		good: list{"TCP", "UDP", "SCTP"},
		bad:  []flaw{{"tcp", `supported values: "TCP", "UDP", "SCTP"`}, {"", "Unsupported value"}},
		places: map[string][]string{
			"profile": {"spec.channels[0].ports[0].protocol"}, "associate": {"spec.endpoints[0].ports[0].protocol"},
		},
	},
	{ // quantity
		good: list{"0", 8, "8", "500m", "1.5", "32Gi", "1e3", "100M"},
		bad: []flaw{
			{"-8", amount}, {-8, amount}, {"1e1.5", amount}, {"1e999999999", amount}, {".5", amount},
			{"eight", unmatched}, {"", unmatched}, {1.5, "must be of type integer,string"},
		},
		places: map[string][]string{
			"tenant":  {"spec.quota.cpu", "spec.quota.memory", "spec.quota.storage"},
			"profile": {"spec.defaultQuota.cpu", "spec.defaultQuota.memory", "spec.defaultQuota.storage"},
		},
	},
	{ // number of pods
		good: list{0, 100000},
		bad: []flaw{
			{-1, "should be greater than or equal to 0"}, {100001, "should be less than or equal to 100000"},
			{"10", "must be of type integer"},
		},
		places: map[string][]string{"tenant": {"spec.quota.pods"}, "profile": {"spec.defaultQuota.pods"}},
	},
	{ // short text
		good: list{"a", "Ü", text(63)},
		bad:  []flaw{{"", empty}, {text(64), "may not be more than 63 bytes"}},
		places: map[string][]string{
			"tenant":    {"spec.baa.scope[0]", "spec.application.searchableFields[0]", "spec.application.hiddenFields[0].fields[0]"},
			"associate": {"spec.baa.scope[0]", "spec.services[0]"},
			"profile":   {"spec.services[0]"},
		},
	},
	{ // field of the application: they are joined by commas
		good:   list{"date of birth", "a.b/c"},
		bad:    []flaw{{"ssn,dob", unmatched}, {"ssn\nHIPAA_TENANT=other", unmatched}},
		places: map[string][]string{"tenant": {"spec.application.searchableFields[0]", "spec.application.hiddenFields[0].fields[0]"}},
	},
	{ // text
		good: list{"a", text(253)},
		bad:  []flaw{{"", empty}, {text(254), "may not be more than 253 bytes"}},
		places: map[string][]string{
			"tenant": {
				"spec.coveredEntity.name", "spec.securityOfficer.name", "spec.baa.signatures[0].name", "spec.attestations[0].by",
				"spec.roles[0].subjects[0].name",
			},
			"profile":   {"spec.emergencyAccess.approvers[0].name", "spec.attestations[0].by"},
			"associate": {"spec.displayName", "spec.baa.signatures[0].name"},
		},
	},
	{ // long text
		good: list{"a", text(1024)},
		bad:  []flaw{{"", empty}, {text(1025), "may not be more than 1024 bytes"}},
		places: map[string][]string{
			"tenant":    {"spec.attestations[0].statement"},
			"profile":   {"spec.regions[0].reason", "spec.requiredAttestations[0].reason", "spec.attestations[0].statement"},
			"associate": {"spec.noPHIReason"},
		},
	},
	{ // place of a document
		good: list{"a", text(2048)},
		bad:  []flaw{{"", empty}, {text(2049), "may not be more than 2048 bytes"}},
		places: map[string][]string{
			"tenant":    {"spec.baa.document.uri", "spec.attestations[0].evidence.uri"},
			"profile":   {"spec.attestations[0].evidence.uri"},
			"associate": {"spec.baa.document.uri"},
		},
	},
	{ // address of an identity provider
		good: list{"https://idp.example", "https://idp.example:8443/realms/a?b=c"},
		bad: []flaw{
			{"http://idp.example", unmatched}, {"https://", unmatched}, {"https://a b", unmatched}, {"https://a\nb", unmatched},
			{"", unmatched}, {"https://" + text(2041), "may not be more than 2048 bytes"},
		},
		places: map[string][]string{
			"tenant": {"spec.authentication.sso.metadataURL"}, "tenant with OIDC": {"spec.authentication.sso.issuerURL"},
		},
	},
	{ // storage class
		good: list{"encrypted-gp3", "csi.example", text(253)},
		bad: []flaw{
			{"", empty}, {"a,b", unmatched}, {"GP3", unmatched}, {"a..b", unmatched}, {text(254), "may not be more than 253 bytes"},
		},
		places: map[string][]string{
			"tenant": {"spec.encryption.storageClasses[0]"}, "profile": {"spec.storageClasses.allowed[0]"},
		},
	},
	{ // kind of a subject that has no namespace
		good: list{"User", "Group"},
		bad:  []flaw{{"Everybody", `supported values: "User", "Group", "ServiceAccount"`}, {"", "Unsupported value"}},
		places: map[string][]string{
			"tenant": {"spec.roles[0].subjects[0].kind"}, "profile": {"spec.emergencyAccess.approvers[0].kind"},
		},
	},
	{ // name of a subject: never everybody, 45 CFR 164.312(a)(2)(i)
		good: list{"dana@acme.example", "oidc:acme-devs", "acme.system:admins"},
		bad: []flaw{
			{"system:authenticated", "names beginning with system: are not allowed"},
			{"system:unauthenticated", "names beginning with system: are not allowed"},
			{"system:anonymous", "names beginning with system: are not allowed"},
			{"system:serviceaccounts", "names beginning with system: are not allowed"},
			{"system:serviceaccounts:kube-system", "names beginning with system: are not allowed"},
			{"system:masters", "names beginning with system: are not allowed"},
			{"system:serviceaccount:ci:deployer", "names beginning with system: are not allowed"},
			{"*", "name * is nobody in particular"},
		},
		places: map[string][]string{
			"tenant": {"spec.roles[0].subjects[0].name"}, "profile": {"spec.emergencyAccess.approvers[0].name"},
		},
	},
	{ // name of a service account
		good: list{"deployer", "ci.deployer"},
		bad:  []flaw{{"Deployer", "name Deployer must be a DNS subdomain for kind ServiceAccount"}},
		places: map[string][]string{
			"tenant": {"spec.roles[0].subjects[1].name"}, "profile": {"spec.emergencyAccess.approvers[1].name"},
		},
	},
	{ // switch
		good: list{true, false},
		bad:  []flaw{{"yes", "must be of type boolean"}, {1, "must be of type boolean"}},
		places: map[string][]string{
			"tenant":    {"spec.suspend", "spec.namespaces[0].adopt"},
			"profile":   {"spec.keys.allowSoftwareKeys", "spec.storageClasses.requireCustomerKey"},
			"associate": {"spec.handlesPHI"},
		},
	},
}
