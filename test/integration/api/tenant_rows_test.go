package api_test

import (
	"slices"

	"github.com/hipaatenant/hipaa-tenant-operator/test/fixture"
)

var (
	developers = object{"kind": "Group", "name": "acme-devs"}
	grant      = object{"role": "Auditor", "subjects": list{developers}}
	signature  = object{"party": "CoveredEntity", "name": "Dana Ruiz", "on": "2026-01-15"}
	statement  = object{"citation": "164.308(a)(5)", "statement": "done", "by": "Dana Ruiz", "on": "2026-03-01", "expiresOn": "2027-03-01"}
)

// agreementRows hold for tenants and associates.
var agreementRows = slices.Concat([]row{
	bad("spec.baa.expiresOn", "2026-01-15", "expiresOn 2026-01-15 must be after executedOn 2026-01-15"),
	bad("spec.baa.expiresOn", "2025-12-31", "expiresOn 2025-12-31 must be after executedOn 2026-01-15"),
	good("spec.baa.expiresOn", "2026-01-16"),
	bad("spec.baa.lastVerifiedOn", "2026-01-14", "lastVerifiedOn 2026-01-14 must not be before executedOn 2026-01-15"),
	good("spec.baa.lastVerifiedOn", "2026-01-15"),
	good("spec.baa.lastVerifiedOn", absent{}),
	good("spec.baa.signatures", absent{}),
	good("spec.baa.signatures", list{signature}),
	bad("spec.baa.signatures", list{signature, signature}, "Duplicate value").at("spec.baa.signatures[1]"),
	bad("spec.baa.signatures", times(3, same(signature)), "must have at most 2 items"),
	bad("spec.baa.signatures[0].party", "Notary", `supported values: "CoveredEntity", "BusinessAssociate"`),
	good("spec.baa.scope", absent{}),
	good("spec.baa.scope", times(32, numbered("service-%d"))),
	bad("spec.baa.scope", times(33, numbered("service-%d")), "must have at most 32 items"),
	bad("spec.baa.scope", list{"claims", "claims"}, `Duplicate value: "claims"`).at("spec.baa.scope[1]"),
}, missing(
	"spec.baa.executedOn", "spec.baa.expiresOn", "spec.baa.document", "spec.baa.document.uri", "spec.baa.document.sha256",
	"spec.baa.signatures[0].party", "spec.baa.signatures[0].name", "spec.baa.signatures[0].on",
))

var tenantRows = slices.Concat([]row{
	accept("every field set", all()),
	accept("the least there can be", become(fixture.Tenant("least"))),
	accept("as much as there can be", largestTenant),

	good("metadata.name", text(40)),
	bad("metadata.name", text(41), "must be a DNS label that begins with a letter, at most 40 characters").at("<nil>"),
	bad("metadata.name", "acme.health", "metadata.name acme.health must be a DNS label").at("<nil>"),
	bad("metadata.name", "3m-health", "metadata.name 3m-health must be a DNS label that begins with a letter").at("<nil>"),
	bad("metadata.name", "kube-acme", "metadata.name kube-acme must not be default and must not begin with kube-").at("<nil>"),
	bad("metadata.name", "default", "metadata.name default must not be default").at("<nil>"),
	good("metadata.name", "defaults"),

	bad("spec.region", 7, "must be of type string"),
	good("spec.profile", absent{}),
	good("spec.failoverRegions", absent{}),
	good("spec.failoverRegions", times(8, numbered("region-%d"))),
	bad("spec.failoverRegions", times(9, numbered("region-%d")), "must have at most 8 items"),
	bad("spec.failoverRegions", list{"us-west-2", "us-west-2"}, `Duplicate value: "us-west-2"`).at("spec.failoverRegions[1]"),
	bad("spec.failoverRegions", list{"us-west-2", "us-east-1"}, "failoverRegions must not contain region us-east-1"),
	bad("spec.failoverRegions", "us-west-2", "must be of type array"),

	good("spec.sessionTimeout", "1m"),
	good("spec.sessionTimeout", "24h"),
	bad("spec.sessionTimeout", "59s", "sessionTimeout must be between 1m and 24h"),
	bad("spec.sessionTimeout", "24h1s", "sessionTimeout must be between 1m and 24h"),
	bad("spec.sessionTimeout", "0m", "sessionTimeout must be between 1m and 24h"),
	bad("spec.sessionTimeout", 900, "must be of type duration"),

	bad("spec.ipAllowlist", list{}, "should have at least 1 items"),
	good("spec.ipAllowlist", times(64, numbered("10.0.%d.0/24"))),
	bad("spec.ipAllowlist", times(65, numbered("10.0.%d.0/24")), "must have at most 64 items"),
	bad("spec.ipAllowlist", list{"10.0.0.0/8", "10.0.0.0/8"}, `Duplicate value: "10.0.0.0/8"`).at("spec.ipAllowlist[1]"),
	bad("spec.ipAllowlist", "10.0.0.0/8", "must be of type array"),

	good("spec.disabledChannels", absent{}),
	good("spec.disabledChannels", times(64, numbered("channel-%d"))),
	bad("spec.disabledChannels", times(65, numbered("channel-%d")), "must have at most 64 items"),
	bad("spec.disabledChannels", list{"sms", "sms"}, `Duplicate value: "sms"`).at("spec.disabledChannels[1]"),

	good("spec.namespaces", absent{}),
	good("spec.namespaces", times(16, named("name", "acme-%d", object{}))),
	bad("spec.namespaces", times(17, named("name", "acme-%d", object{})), "must have at most 16 items"),
	bad("spec.namespaces", list{object{"name": "a"}, object{"name": "a", "adopt": true}}, "Duplicate value").at("spec.namespaces[1]"),
	bad("spec.namespaces[0].name", "default", "a tenant namespace must not be default and must not begin with kube-"),
	bad("spec.namespaces[0].name", "kube-system", "a tenant namespace must not be default and must not begin with kube-"),

	good("spec.businessAssociates", absent{}),
	good("spec.businessAssociates", times(32, numbered("vendor-%d"))),
	bad("spec.businessAssociates", times(33, numbered("vendor-%d")), "must have at most 32 items"),
	bad("spec.businessAssociates", list{"aws", "aws"}, `Duplicate value: "aws"`).at("spec.businessAssociates[1]"),

	good("spec.quota", absent{}),
	good("spec.exposure", absent{}),
	bad("spec.exposure.podSelector.matchLabels", object{}, "should have at least 1 properties"),
	bad("spec.exposure.podSelector.matchLabels", labels(17), "must have at most 16 items"),
	bad("spec.exposure.podSelector.matchLabels", object{"tier": 1}, "must be of type string").
		at("spec.exposure.podSelector.matchLabels.tier"),

	good("spec.deletionPolicy", "Shred"),
	good("spec.deletionPolicy", absent{}),
	bad("spec.deletionPolicy", "Delete", `supported values: "Retain", "Shred"`),
	bad("spec.deletionPolicy", "", `supported values: "Retain", "Shred"`),
	good("spec.suspend", absent{}),
	bad("spec", "everything", "must be of type object"),
}, contactRows, encryptionRows, accessRows, applicationRows, attestationRows, missing(
	"spec", "spec.coveredEntity", "spec.securityOfficer", "spec.baa", "spec.region", "spec.encryption", "spec.ipAllowlist",
	"spec.sessionTimeout", "spec.authentication", "spec.namespaces[0].name", "spec.quota.cpu", "spec.quota.memory",
	"spec.quota.pods", "spec.quota.storage", "spec.exposure.podSelector", "spec.exposure.podSelector.matchLabels",
))

var contactRows = slices.Concat([]row{
	good("spec.coveredEntity.contact", "https://acme.example/privacy"),
	bad("spec.coveredEntity.contact", "a@", "should be at least 3 chars long"),
	bad("spec.coveredEntity.contact", text(254), "may not be more than 253 bytes"),
	good("spec.securityOfficer.email", "d@e"),
	bad("spec.securityOfficer.email", "dana", "should match"),
	bad("spec.securityOfficer.email", "dana@acme@example", "should match"),
	bad("spec.securityOfficer.email", "dana ruiz@acme.example", "should match"),
	bad("spec.securityOfficer.email", "", "should match"),
	bad("spec.securityOfficer.email", "a@"+text(252), "may not be more than 253 bytes"),
}, missing(
	"spec.coveredEntity.name", "spec.coveredEntity.contact", "spec.securityOfficer.name", "spec.securityOfficer.email",
))

const scheme = "keyURI must begin with vault://, awskms://, gcpkms://, azurekeyvault://, kmsv2+unix:// or local:// and name a key"

var encryptionRows = slices.Concat([]row{
	good("spec.encryption.keyURI", "vault://transit/acme?scope=tenant"),
	good("spec.encryption.keyURI", "awskms://arn:aws:kms:us-east-1:111122223333:key/1234?region=us-east-1"),
	good("spec.encryption.keyURI", "gcpkms://projects/p/locations/us-east1/keyRings/r/cryptoKeys/k"),
	good("spec.encryption.keyURI", "azurekeyvault://acme/keys/records"),
	good("spec.encryption.keyURI", "kmsv2+unix:///run/kms/plugin.sock"),
	good("spec.encryption.keyURI", "local://acme"),
	bad("spec.encryption.keyURI", "file:///etc/key", scheme),
	bad("spec.encryption.keyURI", "vault:transit/acme", scheme),
	bad("spec.encryption.keyURI", "VAULT://transit/acme", scheme),
	bad("spec.encryption.keyURI", "local://", scheme),
	bad("spec.encryption.keyURI", "local://a b", scheme),
	bad("spec.encryption.keyURI", "local://a\tb", scheme),
	bad("spec.encryption.keyURI", "local://a\nvault://b", scheme),
	bad("spec.encryption.keyURI", "xlocal://a", scheme),
	bad("spec.encryption.keyURI", "", "should be at least 1 chars long"),
	bad("spec.encryption.keyURI", "local://"+text(505), "may not be more than 512 bytes"),

	good("spec.encryption.rotationPeriod", absent{}),
	good("spec.encryption.rotationPeriod", "24h"),
	good("spec.encryption.rotationPeriod", "87600h"),
	bad("spec.encryption.rotationPeriod", "23h59m", "rotationPeriod must be between 24h and 87600h"),
	bad("spec.encryption.rotationPeriod", "87600h1s", "rotationPeriod must be between 24h and 87600h"),

	good("spec.encryption.dataKeys", absent{}),
	good("spec.encryption.dataKeys", times(16, named("name", "key-%d", object{}))),
	bad("spec.encryption.dataKeys", times(17, named("name", "key-%d", object{})), "must have at most 16 items"),
	bad("spec.encryption.dataKeys", times(2, same(object{"name": "a"})), "Duplicate value").at("spec.encryption.dataKeys[1]"),

	good("spec.encryption.storageClasses", absent{}),
	good("spec.encryption.storageClasses", times(32, numbered("class-%d"))),
	bad("spec.encryption.storageClasses", times(33, numbered("class-%d")), "must have at most 32 items"),
	bad("spec.encryption.storageClasses", list{"gp3", "gp3"}, `Duplicate value: "gp3"`).at("spec.encryption.storageClasses[1]"),
}, missing("spec.encryption.keyURI", "spec.encryption.dataKeys[0].name"))
