package fields

import (
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
)

// Profile has a case for every field of a HIPAAProfile.
var Profile = []Case{
	{Path: "attestations[].citation", In: Findings, Edit: func(w *World) { w.profile().Attestations[0].Citation = "164.310(b)" }},
	{Path: "attestations[].by", In: Findings, Given: withExpiredPlatform, Edit: func(w *World) { w.profile().Attestations[0].By = "Lee Amari" }},
	{Path: "attestations[].on", In: Findings, Edit: func(w *World) { w.profile().Attestations[0].On = "2029-03-01" }},
	{Path: "attestations[].expiresOn", In: Findings, Edit: func(w *World) { w.profile().Attestations[0].ExpiresOn = "2026-04-01" }},
	{Path: "attestations[].statement", In: Nowhere, Why: forReports, Edit: func(w *World) { w.profile().Attestations[0].Statement = "it was so" }},
	{Path: "attestations[].evidence.uri", In: Nowhere, Why: forReports, Edit: func(w *World) { w.profile().Attestations[0].Evidence.URI = "https://elsewhere.example" }},
	{Path: "attestations[].evidence.sha256", In: Nowhere, Why: forReports, Edit: func(w *World) { w.profile().Attestations[0].Evidence.SHA256 = hash("1") }},
	{Path: "requiredAttestations[].citation", In: Findings, Edit: func(w *World) { w.profile().RequiredAttestations[0].Citation = "164.404" }},
	{Path: "requiredAttestations[].reason", In: Findings, Given: func(w *World) { w.tenant().Attestations = nil },
		Edit: func(w *World) { w.profile().RequiredAttestations[0].Reason = "workstations stand in wards" }},
	{Path: "requiredAttestations[].reviewedOn", In: Nowhere, Why: forReports, Edit: func(w *World) { w.profile().RequiredAttestations[0].ReviewedOn = "2026-06-01" }},

	{Path: "baa.onLapse", In: Objects, Given: withLapsedAgreement, Edit: func(w *World) { w.profile().BAA.OnLapse = v1alpha1.LapseIsolate }},
	{Path: "baa.reverifyEvery", In: Agreement, Edit: func(w *World) { w.profile().BAA.ReverifyEvery = "8760h" }},
	{Path: "baa.warnBefore", In: Findings, Edit: func(w *World) { w.profile().BAA.WarnBefore = "99999h" }},

	{Path: "channels[].name", In: Findings, Edit: func(w *World) { w.profile().Channels[1].Name = "telefax" }},
	{Path: "channels[].description", In: Nowhere, Why: forReports, Edit: func(w *World) { w.profile().Channels[1].Description = "facsimile" }},
	{Path: "channels[].ports[].port", In: Objects, Edit: func(w *World) { w.profile().Channels[1].Ports[0].Port = 1721 }},
	{Path: "channels[].ports[].protocol", In: Objects, Edit: func(w *World) { w.profile().Channels[1].Ports[0].Protocol = "UDP" }},
	{Path: "channels[].cidrs[]", In: Objects, Edit: func(w *World) { w.profile().Channels[1].CIDRs[0] = "198.51.100.16/29" }},
	{Path: "channels[].hosts[]", In: Nowhere, Why: "where no API for host names is served, a vendor's hosts stay closed anyway",
		Edit: func(w *World) { w.profile().Channels[1].Hosts[0] = "telefax.example" }},
	{Path: "requiredDisabledChannels[]", In: Objects, Edit: func(w *World) { w.profile().RequiredDisabledChannels[0] = "pager" }},
	{Path: "onDisabledChannel", In: Evictions, Edit: func(w *World) { w.profile().OnDisabledChannel = "Evict" }},

	{Path: "defaultQuota.cpu", In: Objects, Given: withoutQuota, Edit: func(w *World) { w.profile().DefaultQuota.CPU = resource.MustParse("6") }},
	{Path: "defaultQuota.memory", In: Objects, Given: withoutQuota, Edit: func(w *World) { w.profile().DefaultQuota.Memory = resource.MustParse("24Gi") }},
	{Path: "defaultQuota.pods", In: Objects, Given: withoutQuota, Edit: func(w *World) { w.profile().DefaultQuota.Pods = 90 }},
	{Path: "defaultQuota.storage", In: Objects, Given: withoutQuota, Edit: func(w *World) { w.profile().DefaultQuota.Storage = resource.MustParse("400Gi") }},
	{Path: "dns.namespace", In: Objects, Edit: func(w *World) { w.profile().DNS.Namespace = "fields-dns-new" }},
	{Path: "dns.podSelector.matchLabels", In: Objects, Edit: func(w *World) { w.profile().DNS.PodSelector = selector("resolver") }},
	{Path: "gateways[].namespace", In: Objects, Edit: func(w *World) { w.profile().Gateways[0].Namespace = "fields-edge-new" }},
	{Path: "gateways[].podSelector.matchLabels", In: Objects, Edit: func(w *World) { w.profile().Gateways[0].PodSelector = selector("proxy") }},
	{Path: "kubernetesAPI.cidrs[]", In: Objects, Edit: func(w *World) { w.profile().KubernetesAPI.CIDRs[0] = "192.0.2.11/32" }},
	{Path: "kubernetesAPI.port", In: Objects, Edit: func(w *World) { w.profile().KubernetesAPI.Port = 443 }},

	{Path: "emergencyAccess.maxDuration", In: Access, Edit: func(w *World) { w.profile().EmergencyAccess.MaxDuration = "30m" }},
	{Path: "emergencyAccess.approvers[].kind", In: Access, Edit: func(w *World) { w.profile().EmergencyAccess.Approvers[0].Kind = "Group" }},
	{Path: "emergencyAccess.approvers[].name", In: Access, Edit: func(w *World) { w.profile().EmergencyAccess.Approvers[0].Name = "clerk" }},
	{Path: "emergencyAccess.approvers[].namespace", In: Access, Edit: func(w *World) { w.profile().EmergencyAccess.Approvers[0].Namespace = "elsewhere" }},

	{Path: "ipAllowlist.minPrefixIPv4", In: Findings, Edit: func(w *World) { w.profile().IPAllowlist = &v1alpha1.AllowlistRules{MinPrefixIPv4: new(int32(25))} }},
	{Path: "ipAllowlist.minPrefixIPv6", In: Findings, Edit: func(w *World) { w.profile().IPAllowlist = &v1alpha1.AllowlistRules{MinPrefixIPv6: new(int32(64))} }},
	{Path: "keys.allowedURIs[]", In: Findings, Edit: func(w *World) { w.profile().Keys.AllowedURIs = []string{"awskms://*"} }},
	{Path: "keys.allowSoftwareKeys", In: Findings, Given: withSoftwareKey, Edit: func(w *World) { w.profile().Keys.AllowSoftwareKeys = false }},
	{Path: "keys.maxRotationPeriod", In: Keys, Edit: func(w *World) { w.profile().Keys.MaxRotationPeriod = "240h" }},
	{Path: "maxSessionTimeout", In: Findings, Edit: func(w *World) { w.profile().MaxSessionTimeout = "5m" }},
	{Path: "placement.onMisplaced", In: Evictions, Edit: func(w *World) { w.profile().Placement.OnMisplaced = "Evict" }},
	{Path: "podSecurity", In: Objects, Edit: func(w *World) { w.profile().PodSecurity = "baseline" }},
	{Path: "regions[].name", In: Findings, Edit: func(w *World) { w.profile().Regions[1].Name = "us-gov-west-1" }},
	{Path: "regions[].businessAssociate", In: Findings, Edit: func(w *World) { w.profile().Regions[0].BusinessAssociate = "fields-nobody" }},
	{Path: "regions[].provider", In: Nowhere, Why: forReports, Edit: func(w *World) { w.profile().Regions[0].Provider = "gcp" }},
	{Path: "regions[].reason", In: Nowhere, Why: forReports, Edit: func(w *World) { w.profile().Regions[0].Reason = "reviewed" }},
	{Path: "regions[].reviewedOn", In: Nowhere, Why: forReports, Edit: func(w *World) { w.profile().Regions[0].ReviewedOn = "2026-06-01" }},
	{Path: "ruleset", In: Nowhere, Why: "it says by which rules evidence is judged, for reports", Edit: func(w *World) { w.profile().Ruleset = "nprm2025" }},
	{Path: "services[]", In: Narrowed, Edit: func(w *World) { w.profile().Services[0] = "crm" }},

	{Path: "storageClasses.allowed[]", In: Findings, Edit: func(w *World) { w.profile().StorageClasses.Allowed = []string{Customer} }},
	{Path: "storageClasses.requireCustomerKey", In: Objects, Edit: func(w *World) { w.profile().StorageClasses.RequireCustomerKey = true }},
}

func withoutQuota(w *World) { w.tenant().Quota = nil }

func withLapsedAgreement(w *World) {
	w.tenant().BAA.ExpiresOn, w.tenant().BAA.LastVerifiedOn = "2026-02-01", ""
}

func withExpiredPlatform(w *World) {
	w.profile().Attestations[0].On, w.profile().Attestations[0].ExpiresOn = "2025-03-01", "2026-03-01"
}

func withSoftwareKey(w *World) { w.tenant().Encryption.KeyURI = "local://" + Name }
