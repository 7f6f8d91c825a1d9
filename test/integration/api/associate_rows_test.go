package api_test

import (
	"slices"

	"github.com/hipaatenant/hipaa-tenant-operator/test/fixture"
)

var endpoint = object{"hosts": list{"api.clearing.example"}, "ports": list{port}}

var associateRows = slices.Concat([]row{
	accept("every field set", all()),
	accept("the least there can be", become(fixture.Associate("least"))),
	accept("as much as there can be", largestAssociate),
	accept("a vendor without PHI and without an agreement", all(
		set("spec.handlesPHI", false), set("spec.noPHIReason", "only sends public holidays"), set("spec.baa", absent{}))),

	bad("spec.baa", absent{}, "baa is required when handlesPHI is true"),
	good("spec.noPHIReason", absent{}),
	accept("no reason for no PHI", set("spec.handlesPHI", false)).
		refused("spec.noPHIReason", absent{}, "noPHIReason is required when handlesPHI is false"),
	bad("spec.handlesPHI", "true", "must be of type boolean"),

	good("spec.services", absent{}),
	good("spec.services", times(32, numbered("service-%d"))),
	bad("spec.services", times(33, numbered("service-%d")), "must have at most 32 items"),
	bad("spec.services", list{"claims", "claims"}, `Duplicate value: "claims"`).at("spec.services[1]"),
	good("spec.subcontractors", absent{}),
	good("spec.subcontractors", times(32, numbered("vendor-%d"))),
	bad("spec.subcontractors", times(33, numbered("vendor-%d")), "must have at most 32 items"),
	bad("spec.subcontractors", list{"aws", "aws"}, `Duplicate value: "aws"`).at("spec.subcontractors[1]"),
	bad("spec.subcontractors", list{"aws", "full"}, "subcontractors must not contain the associate itself, full"),
	good("spec.channels", absent{}),
	good("spec.channels", list{}),
	good("spec.channels", times(32, numbered("channel-%d"))),
	bad("spec.channels", times(33, numbered("channel-%d")), "must have at most 32 items"),
	bad("spec.channels", list{"sms", "sms"}, `Duplicate value: "sms"`).at("spec.channels[1]"),

	good("spec.endpoints", absent{}),
	good("spec.endpoints", times(16, same(endpoint))),
	bad("spec.endpoints", times(17, same(endpoint)), "must have at most 16 items"),
	good("spec.endpoints[0].cidrs", absent{}),
	bad("spec.endpoints[0].cidrs", list{}, "should have at least 1 items"),
	bad("spec.endpoints[0].cidrs", times(65, numbered("192.0.2.%d/32")), "must have at most 64 items"),
	bad("spec.endpoints[0].cidrs", list{"192.0.2.1/32", "192.0.2.1/32"}, "Duplicate value").at("spec.endpoints[0].cidrs[1]"),
	good("spec.endpoints[0].hosts", absent{}),
	good("spec.endpoints[0].hosts", list{"*.clearing.example"}),
	bad("spec.endpoints[0].hosts", list{}, "should have at least 1 items"),
	bad("spec.endpoints[0].hosts", times(65, numbered("h%d.example")), "must have at most 64 items"),
	bad("spec.endpoints[0].hosts", list{"a.example", "a.example"}, "Duplicate value").at("spec.endpoints[0].hosts[1]"),
	bad("spec.endpoints[0]", object{"ports": list{port}}, "an endpoint needs cidrs or hosts, found neither"),
	bad("spec.endpoints[0].ports", list{}, "should have at least 1 items"),
	good("spec.endpoints[0].ports", times(16, same(port))),
	bad("spec.endpoints[0].ports", times(17, same(port)), "must have at most 16 items"),
}, missing(
	"spec", "spec.displayName", "spec.handlesPHI", "spec.endpoints[0].ports", "spec.endpoints[0].ports[0].port",
	"spec.endpoints[0].ports[0].protocol",
))
