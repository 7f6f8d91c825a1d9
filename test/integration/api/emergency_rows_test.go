package api_test

import "slices"

var emergencyRows = slices.Concat([]row{
	accept("every field set", all()),
	bad("metadata.name", text(64), "must be a DNS label, at most 63 characters").at("<nil>"),
	bad("metadata.name", "a.b", "must be a DNS label, at most 63 characters").at("<nil>"),
	good("spec.role", "Developer"),
	good("spec.role", "Auditor"),
	bad("spec.role", "Admin", `supported values: "Developer", "Operator", "Auditor"`),
	bad("spec.reason", "because", "should be at least 8 chars long"),
	good("spec.reason", text(1024)),
	bad("spec.reason", text(1025), "may not be more than 1024 bytes"),
	good("spec.duration", "1m"),
	good("spec.duration", "24h"),
	bad("spec.duration", "59s", "duration must be between 1m and 24h"),
	bad("spec.duration", "24h1s", "duration must be between 1m and 24h"),
}, missing("spec", "spec.tenant", "spec.role", "spec.reason", "spec.duration"))

var emergencyStatusRows = []row{
	good("status.conditions", times(8, named("type", "Type%d", condition))),
	bad("status.conditions", times(9, named("type", "Type%d", condition)), "must have at most 8 items"),
	bad("status.approvedAt", "yesterday", "must be of type date-time"),
	bad("status.expiresAt", "tomorrow", "must be of type date-time"),
	bad("status.endedAt", "today", "must be of type date-time"),
	bad("status.namespaces", list{"a", "a"}, `Duplicate value: "a"`).at("status.namespaces[1]"),
	good("status.namespaces", times(64, numbered("ns-%d"))),
	bad("status.namespaces", times(65, numbered("ns-%d")), "must have at most 64 items"),
}
