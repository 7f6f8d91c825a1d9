package api_test

import "slices"

var (
	ready     = object{"type": "Ready", "status": "True", "reason": "Ready", "message": "", "lastTransitionTime": "2026-01-15T00:00:00Z"}
	condition = object{"status": "True", "reason": "Ready", "message": "", "lastTransitionTime": "2026-01-15T00:00:00Z"}
)

// conditionRows hold for every kind with a status.
var conditionRows = slices.Concat([]row{
	good("status.conditions", list{}),
	bad("status.conditions", list{ready, ready}, "Duplicate value").at("status.conditions[1]"),
	good("status.conditions[0].status", "Unknown"),
	bad("status.conditions[0].status", "Maybe", `supported values: "True", "False", "Unknown"`),
	bad("status.conditions[0].type", "Is Ready", "should match"),
	bad("status.conditions[0].type", text(317), "may not be more than 316 bytes"),
	bad("status.conditions[0].reason", "", "should be at least 1 chars long"),
	bad("status.conditions[0].reason", "not camel", "should match"),
	bad("status.conditions[0].reason", text(1025), "may not be more than 1024 bytes"),
	good("status.conditions[0].message", text(32768)),
	bad("status.conditions[0].message", text(32769), "may not be more than 32768 bytes"),
	bad("status.conditions[0].lastTransitionTime", "yesterday", "must be of type date-time"),
	bad("status.conditions[0].observedGeneration", -1, "should be greater than or equal to 0"),
	bad("status.observedGeneration", "1", "must be of type integer"),
}, missing(
	"status.conditions[0].type", "status.conditions[0].status", "status.conditions[0].reason",
	"status.conditions[0].message", "status.conditions[0].lastTransitionTime",
))

var associateStatusRows = []row{
	good("status.usedBy", 0),
	good("status.conditions", times(8, named("type", "Type%d", condition))),
	bad("status.conditions", times(9, named("type", "Type%d", condition)), "must have at most 8 items"),
}

var tenantStatusRows = slices.Concat([]row{
	good("status.observedGeneration", 2),
	good("status.conditions", times(32, named("type", "Type%d", condition))),
	bad("status.conditions", times(33, named("type", "Type%d", condition)), "must have at most 32 items"),
	good("status.effective.deletionPolicy", "Shred"),
	bad("status.effective.deletionPolicy", "Delete", `supported values: "Retain", "Shred"`),
	bad("status.namespaces", times(2, same(object{"name": "a"})), "Duplicate value").at("status.namespaces[1]"),
	bad("status.keys", times(2, same(key)), "Duplicate value").at("status.keys[1]"),
	bad("status.keys[0].rotatedAt", "yesterday", "must be of type date-time"),
	bad("status.keys[0].nextRotation", "tomorrow", "must be of type date-time"),
	bad("status.formerKeys", list{"local://a", "local://a"}, "Duplicate value").at("status.formerKeys[1]"),
	bad("status.shred.keys", times(2, same(object{"keyURI": "local://a", "outcome": "Kept"})), "Duplicate value").at("status.shred.keys[1]"),
	good("status.shred.keys[0].outcome", "Shredded"),
	bad("status.shred.keys[0].outcome", "Gone", "Unsupported value"),
	bad("status.shred.keys[0].effectiveAt", "soon", "must be of type date-time"),
	bad("status.shred.startedAt", "yesterday", "must be of type date-time"),
	good("status.findings[0].severity", "Error"),
	good("status.findings[0].severity", "Info"),
	bad("status.findings[0].severity", "Fatal", `supported values: "Error", "Warning", "Info"`),
}, missing(
	"status.effective.profile", "status.effective.regions", "status.effective.sessionTimeout", "status.effective.ipAllowlist",
	"status.effective.rotationPeriod", "status.effective.podSecurity", "status.effective.deletionPolicy",
	"status.namespaces[0].name", "status.keys[0].name", "status.keys[0].provider", "status.keys[0].keyRef",
	"status.keys[0].primaryVersion", "status.keys[0].rotatedAt", "status.keys[0].nextRotation", "status.keys[0].assurance",
	"status.shred.startedAt", "status.shred.keys[0].keyURI", "status.shred.keys[0].outcome",
	"status.safeguards.enforced", "status.safeguards.verified", "status.safeguards.attested", "status.safeguards.notMet",
	"status.safeguards.unknown", "status.inventory[0].kind", "status.inventory[0].name", "status.audit.sequence",
	"status.audit.head", "status.findings[0].severity", "status.findings[0].code", "status.findings[0].message",
))

var key = object{
	"name": "records", "provider": "local", "keyRef": "local://acme", "primaryVersion": 1, "assurance": "SoftwareKey",
	"rotatedAt": "2026-01-15T00:00:00Z", "nextRotation": "2026-04-15T00:00:00Z",
}
