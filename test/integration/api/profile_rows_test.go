package api_test

import (
	"slices"

	"github.com/hipaatenant/hipaa-tenant-operator/test/fixture"
)

var (
	region   = object{"provider": "aws", "reason": "covered", "reviewedOn": "2026-05-01"}
	eligible = object{"name": "us-east-1", "provider": "aws", "reason": "covered", "reviewedOn": "2026-05-01"}
	gateway  = object{"namespace": "edge", "podSelector": object{"matchLabels": object{"app": "gateway"}}}
	required = object{"reason": "no cluster sees a door", "reviewedOn": "2026-05-01"}
	facility = object{"citation": "164.310(a)(1)", "reason": "no cluster sees a door", "reviewedOn": "2026-05-01"}
	port     = object{"port": 443, "protocol": "TCP"}
)

var profileRows = slices.Concat([]row{
	accept("every field set", all()),
	accept("the least there can be", become(fixture.Profile("least"))),
	accept("as much as there can be", largestProfile),

	bad("spec.regions", list{}, "should have at least 1 items"),
	good("spec.regions", times(64, named("name", "region-%d", region))),
	bad("spec.regions", times(65, named("name", "region-%d", region)), "must have at most 64 items"),
	bad("spec.regions", times(2, same(eligible)), "Duplicate value").at("spec.regions[1]"),
	good("spec.regions[0].businessAssociate", absent{}),

	good("spec.maxSessionTimeout", "1m"),
	good("spec.maxSessionTimeout", "24h"),
	bad("spec.maxSessionTimeout", "59s", "maxSessionTimeout must be between 1m and 24h"),
	bad("spec.maxSessionTimeout", "25h", "maxSessionTimeout must be between 1m and 24h"),

	good("spec.requiredDisabledChannels", absent{}),
	good("spec.requiredDisabledChannels", list{}),
	bad("spec.requiredDisabledChannels", list{"sms", "fax"}, "names a channel that is not in the catalogue: fax"),
	bad("spec.channels", absent{}, "names a channel that is not in the catalogue: sms").at("spec.requiredDisabledChannels"),
	bad("spec.requiredDisabledChannels", times(65, numbered("channel-%d")), "must have at most 64 items"),
	bad("spec.requiredDisabledChannels", list{"sms", "sms"}, `Duplicate value: "sms"`).at("spec.requiredDisabledChannels[1]"),
	bad("spec.channels", times(65, named("name", "channel-%d", object{})), "must have at most 64 items"),
	bad("spec.channels", times(2, same(object{"name": "sms"})), "Duplicate value").at("spec.channels[1]"),
	good("spec.channels[0].description", ""),
	bad("spec.channels[0].description", text(1025), "may not be more than 1024 bytes"),
	good("spec.channels[0].ports", list{}),
	good("spec.channels[0].ports", times(16, same(port))),
	bad("spec.channels[0].ports", times(17, same(port)), "must have at most 16 items"),
	good("spec.channels[0].cidrs", list{}),
	bad("spec.channels[0].cidrs", times(65, numbered("192.0.2.%d/32")), "must have at most 64 items"),
	bad("spec.channels[0].cidrs", list{"192.0.2.1/32", "192.0.2.1/32"}, "Duplicate value").at("spec.channels[0].cidrs[1]"),
	good("spec.channels[0].hosts", list{"*.carrier.example"}),
	bad("spec.channels[0].hosts", times(65, numbered("h%d.example")), "must have at most 64 items"),
	bad("spec.channels[0].hosts", list{"a.example", "a.example"}, "Duplicate value").at("spec.channels[0].hosts[1]"),

	bad("spec.keys.allowedURIs", list{}, "should have at least 1 items"),
	bad("spec.keys.allowedURIs", times(33, numbered("vault://%d")), "must have at most 32 items"),
	bad("spec.keys.allowedURIs", list{"vault://*", "vault://*"}, "Duplicate value").at("spec.keys.allowedURIs[1]"),
	bad("spec.keys.allowedURIs[0]", "", "should be at least 1 chars long"),
	bad("spec.keys.allowedURIs[0]", text(513), "may not be more than 512 bytes"),
	good("spec.keys.maxRotationPeriod", "24h"),
	good("spec.keys.maxRotationPeriod", "87600h"),
	bad("spec.keys.maxRotationPeriod", "23h", "maxRotationPeriod must be between 24h and 87600h"),
	bad("spec.keys.maxRotationPeriod", "87601h", "maxRotationPeriod must be between 24h and 87600h"),
	good("spec.keys.allowSoftwareKeys", absent{}),

	good("spec.storageClasses", absent{}),
	good("spec.storageClasses.allowed", list{}),
	bad("spec.storageClasses.allowed", times(33, numbered("class-%d")), "must have at most 32 items"),
	bad("spec.storageClasses.allowed", list{"gp3", "gp3"}, `Duplicate value: "gp3"`).at("spec.storageClasses.allowed[1]"),

	good("spec.ipAllowlist", absent{}),
	good("spec.ipAllowlist", object{}),
	good("spec.ipAllowlist.minPrefixIPv4", 0),
	good("spec.ipAllowlist.minPrefixIPv4", 32),
	bad("spec.ipAllowlist.minPrefixIPv4", -1, "should be greater than or equal to 0"),
	bad("spec.ipAllowlist.minPrefixIPv4", 33, "should be less than or equal to 32"),
	good("spec.ipAllowlist.minPrefixIPv6", 0),
	good("spec.ipAllowlist.minPrefixIPv6", 128),
	bad("spec.ipAllowlist.minPrefixIPv6", -1, "should be greater than or equal to 0"),
	bad("spec.ipAllowlist.minPrefixIPv6", 129, "should be less than or equal to 128"),
}, surroundingRows, ruleRows, attestationRows, requiredAttestationRows, missing(
	"spec", "spec.regions", "spec.maxSessionTimeout", "spec.keys", "spec.defaultQuota",
	"spec.regions[0].name", "spec.regions[0].provider", "spec.regions[0].reason", "spec.regions[0].reviewedOn",
	"spec.channels[0].name", "spec.channels[0].ports[0].port", "spec.channels[0].ports[0].protocol",
	"spec.keys.allowedURIs", "spec.keys.maxRotationPeriod", "spec.storageClasses.allowed",
	"spec.defaultQuota.cpu", "spec.defaultQuota.memory", "spec.defaultQuota.pods", "spec.defaultQuota.storage",
))

var requiredAttestationRows = slices.Concat([]row{
	good("spec.services", absent{}),
	good("spec.services", times(32, numbered("service-%d"))),
	bad("spec.services", times(33, numbered("service-%d")), "must have at most 32 items"),
	bad("spec.services", list{"crm", "crm"}, `Duplicate value: "crm"`).at("spec.services[1]"),
	good("spec.requiredAttestations", absent{}),
	good("spec.requiredAttestations", times(64, named("citation", "164.3%02d", required))),
	bad("spec.requiredAttestations", times(65, named("citation", "164.3%02d", required)), "must have at most 64 items"),
	bad("spec.requiredAttestations", times(2, same(facility)), "Duplicate value").at("spec.requiredAttestations[1]"),
	good("spec.requiredAttestations[0].citation", "164.308(a)(5)(ii)(B)"),
	bad("spec.requiredAttestations[0].citation", "45 CFR 164.308", "should match"),
	bad("spec.requiredAttestations[0].citation", "", "should match"),
	bad("spec.requiredAttestations[0].citation", "164.308("+text(55)+")", "may not be more than 63 bytes"),
}, missing(
	"spec.requiredAttestations[0].citation", "spec.requiredAttestations[0].reason", "spec.requiredAttestations[0].reviewedOn",
))

// surroundingRows are about what tenants meet in the cluster.
var surroundingRows = slices.Concat([]row{
	good("spec.gateways", absent{}),
	good("spec.gateways", times(16, same(gateway))),
	bad("spec.gateways", times(17, same(gateway)), "must have at most 16 items"),
	bad("spec.gateways[0].podSelector.matchLabels", object{}, "should have at least 1 properties"),
	bad("spec.gateways[0].podSelector.matchLabels", labels(17), "must have at most 16 items"),
	good("spec.dns", absent{}),
	bad("spec.dns.podSelector.matchLabels", object{}, "should have at least 1 properties"),
	bad("spec.dns.podSelector.matchLabels", labels(17), "must have at most 16 items"),
	good("spec.kubernetesAPI", absent{}),
	bad("spec.kubernetesAPI.cidrs", list{}, "should have at least 1 items"),
	bad("spec.kubernetesAPI.cidrs", times(17, numbered("192.0.2.%d/32")), "must have at most 16 items"),
	bad("spec.kubernetesAPI.cidrs", list{"192.0.2.1/32", "192.0.2.1/32"}, "Duplicate value").at("spec.kubernetesAPI.cidrs[1]"),
}, missing(
	"spec.gateways[0].namespace", "spec.gateways[0].podSelector", "spec.gateways[0].podSelector.matchLabels",
	"spec.dns.namespace", "spec.dns.podSelector", "spec.dns.podSelector.matchLabels",
	"spec.kubernetesAPI.cidrs", "spec.kubernetesAPI.port",
))

// ruleRows are about what the operator does when something is not as it should be.
var ruleRows = slices.Concat([]row{
	good("spec.baa", absent{}),
	good("spec.baa", object{}),
	good("spec.baa.warnBefore", "0s"),
	good("spec.baa.reverifyEvery", "24h"),
	bad("spec.baa.reverifyEvery", "0s", "reverifyEvery must be at least 24h"),
	bad("spec.baa.reverifyEvery", "23h", "reverifyEvery must be at least 24h"),
	good("spec.baa.onLapse", "Freeze"),
	good("spec.baa.onLapse", "Isolate"),
	bad("spec.baa.onLapse", "Ignore", `supported values: "Alert", "Freeze", "Isolate"`),
	good("spec.placement", absent{}),
	good("spec.placement", object{}),
	good("spec.placement.onMisplaced", "Evict"),
	bad("spec.placement.onMisplaced", "Delete", `supported values: "Report", "Evict"`),
	good("spec.onDisabledChannel", absent{}),
	good("spec.onDisabledChannel", "Evict"),
	bad("spec.onDisabledChannel", "Delete", `supported values: "Report", "Evict"`),
	good("spec.podSecurity", absent{}),
	good("spec.podSecurity", "baseline"),
	bad("spec.podSecurity", "privileged", `supported values: "restricted", "baseline"`),
	good("spec.ruleset", absent{}),
	good("spec.ruleset", "nprm2025"),
	bad("spec.ruleset", "gdpr", `supported values: "hipaa", "nprm2025"`),
	good("spec.emergencyAccess", absent{}),
	good("spec.emergencyAccess.maxDuration", "1m"),
	good("spec.emergencyAccess.maxDuration", "24h"),
	bad("spec.emergencyAccess.maxDuration", "59s", "maxDuration must be between 1m and 24h"),
	bad("spec.emergencyAccess.maxDuration", "24h1s", "maxDuration must be between 1m and 24h"),
	bad("spec.emergencyAccess.approvers", list{}, "should have at least 1 items"),
	good("spec.emergencyAccess.approvers", times(32, same(developers))),
	bad("spec.emergencyAccess.approvers", times(33, same(developers)), "must have at most 32 items"),
	bad("spec.emergencyAccess.approvers[0].namespace", "ci", "namespace ci is not allowed for kind Group"),
	bad("spec.emergencyAccess.approvers[1].namespace", absent{}, "namespace is required for kind ServiceAccount"),
}, missing(
	"spec.emergencyAccess.maxDuration", "spec.emergencyAccess.approvers",
	"spec.emergencyAccess.approvers[0].kind", "spec.emergencyAccess.approvers[0].name",
))
