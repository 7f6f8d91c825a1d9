package api_test

import (
	"encoding/json"
	"fmt"
	"maps"
)

// The largest objects a schema lets through. The server gives all rules of one object a budget, and an object that
// exceeds it is refused although every rule holds.

// proof is an attestation with evidence.
var proof = func() object {
	o := maps.Clone(statement)
	o["evidence"] = object{"uri": text(2048), "sha256": fmt.Sprintf("%064d", 0)}
	return o
}()

// largestTenant has as many entries as every list takes, each as long as it may be where a rule reads it.
func largestTenant(o object) {
	account := object{"kind": "ServiceAccount", "name": text(253), "namespace": text(63)}
	all(
		set("spec.baa.scope", times(32, numbered(text(60)+"-%d"))),
		set("spec.failoverRegions", times(8, numbered(text(60)+"-%d"))),
		set("spec.encryption.keyURI", "local://"+text(504)),
		set("spec.encryption.dataKeys", times(16, named("name", text(60)+"-%d", object{}))),
		set("spec.encryption.storageClasses", times(32, numbered(text(250)+"%d"))),
		set("spec.ipAllowlist", times(64, numbered("2001:db8:1111:1111:1111:1111:1111:11%d/128"))),
		set("spec.disabledChannels", times(64, numbered(text(60)+"-%d"))),
		set("spec.namespaces", times(16, named("name", text(60)+"-%d", object{"adopt": true}))),
		set("spec.businessAssociates", times(32, numbered(text(60)+"-%d"))),
		set("spec.roles", times(16, same(object{"role": "Auditor", "subjects": times(64, same(account)), "expiresOn": "2031-01-01"}))),
		set("spec.application.searchableFields", times(128, numbered(text(60)+"%d"))),
		set("spec.application.hiddenFields", times(32, named("role", "role-%d", object{"fields": times(128, numbered(text(60)+"%d"))}))),
		set("spec.application.mailbox.cidrs", times(16, numbered("2001:db8:1111:1111:1111:1111:1111:11%d/128"))),
		set("spec.exposure.podSelector.matchLabels", labels(16)),
		set("spec.attestations", times(64, same(proof))),
	)(o)
}

// largestProfile has as many entries as every list takes.
func largestProfile(o object) {
	account := object{"kind": "ServiceAccount", "name": text(253), "namespace": text(63)}
	peer := object{"namespace": text(63), "podSelector": object{"matchLabels": labels(16)}}
	catalogued := object{
		"description": text(1024),
		"ports":       times(16, same(port)),
		"cidrs":       times(64, numbered("2001:db8:1111:1111:1111:1111:1111:11%d/128")),
		"hosts":       times(64, numbered(text(248)+"%d.b")),
	}
	all(
		set("spec.regions", times(64, named("name", text(60)+"-%d", region))),
		set("spec.channels", times(64, named("name", text(60)+"-%d", catalogued))),
		set("spec.requiredDisabledChannels", times(64, numbered(text(60)+"-%d"))),
		set("spec.keys.allowedURIs", times(32, numbered(text(510)+"%d"))),
		set("spec.storageClasses.allowed", times(32, numbered(text(250)+"%d"))),
		set("spec.gateways", times(16, same(peer))),
		set("spec.kubernetesAPI.cidrs", times(16, numbered("2001:db8:1111:1111:1111:1111:1111:11%d/128"))),
		set("spec.emergencyAccess.approvers", times(32, same(account))),
		set("spec.requiredAttestations", times(64, named("citation", "164.3%02d("+text(50)+")", required))),
		set("spec.attestations", times(64, same(proof))),
	)(o)
}

// largestAssociate has as many entries as every list takes.
func largestAssociate(o object) {
	reached := object{
		"cidrs": times(64, numbered("2001:db8:1111:1111:1111:1111:1111:11%d/128")),
		"hosts": times(64, numbered(text(248)+"%d.b")),
		"ports": times(16, same(port)),
	}
	all(
		set("spec.services", times(32, numbered(text(60)+"-%d"))),
		set("spec.baa.scope", times(32, numbered(text(60)+"-%d"))),
		set("spec.subcontractors", times(32, numbered(text(60)+"-%d"))),
		set("spec.channels", times(32, numbered(text(60)+"-%d"))),
		set("spec.endpoints", times(16, same(reached))),
	)(o)
}

// labels are n labels.
func labels(n int) object {
	made := object{}
	for i := range n {
		made[fmt.Sprintf("example.com/label-%d", i)] = text(63)
	}
	return made
}

// become replaces the object by a typed one. Fields the type leaves out stay out.
func become(typed any) change {
	return func(o object) {
		text, err := json.Marshal(typed)
		if err != nil {
			panic(err)
		}
		clear(o)
		if err := json.Unmarshal(text, &o); err != nil {
			panic(err)
		}
	}
}
