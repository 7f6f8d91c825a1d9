package fields

import "github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"

func withoutPHI(w *World) {
	w.vendor().HandlesPHI, w.vendor().BAA, w.vendor().NoPHIReason = false, nil, "it is told nothing"
}

// Associate has a case for every field of a BusinessAssociate.
var Associate = []Case{
	{Path: "baa.executedOn", In: Objects, Edit: func(w *World) { w.vendor().BAA.ExecutedOn, w.vendor().BAA.LastVerifiedOn = "2035-01-15", "" }},
	{Path: "baa.expiresOn", In: Objects, Edit: func(w *World) { w.vendor().BAA.ExpiresOn, w.vendor().BAA.LastVerifiedOn = "2026-02-01", "" }},
	{Path: "baa.lastVerifiedOn", In: Objects, Given: func(w *World) { w.profile().BAA.ReverifyEvery = "4400h" },
		Edit: func(w *World) { w.vendor().BAA.LastVerifiedOn = "2026-01-20" }},
	{Path: "baa.signatures[].party", In: Objects, Edit: func(w *World) { w.vendor().BAA.Signatures = w.vendor().BAA.Signatures[:1] }},
	{Path: "baa.signatures[].name", In: Nowhere, Why: forLawyers, Edit: func(w *World) { w.vendor().BAA.Signatures[0].Name = "Lee Amari" }},
	{Path: "baa.signatures[].on", In: Nowhere, Why: forLawyers, Edit: func(w *World) { w.vendor().BAA.Signatures[0].On = "2026-01-10" }},
	{Path: "baa.document.uri", In: Nowhere, Why: forLawyers, Edit: func(w *World) { w.vendor().BAA.Document.URI = "https://elsewhere.example" }},
	{Path: "baa.document.sha256", In: Nowhere, Why: forLawyers, Edit: func(w *World) { w.vendor().BAA.Document.SHA256 = hash("1") }},
	{Path: "baa.scope[]", In: Objects, Edit: func(w *World) { w.vendor().BAA.Scope[0] = "crm" }},
	{Path: "services[]", In: Objects, Edit: func(w *World) { w.vendor().Services[0] = "crm" }},
	{Path: "channels[]", In: Objects, Edit: func(w *World) { w.vendor().Channels[0] = "fax" }},
	{Path: "displayName", In: Nowhere, Why: forReports, Edit: func(w *World) { w.vendor().DisplayName = "Clearing & Sons" }},
	{Path: "endpoints[].cidrs[]", In: Objects, Edit: func(w *World) { w.vendor().Endpoints[0].CIDRs[0] = "198.51.100.64/28" }},
	{Path: "endpoints[].hosts[]", In: Nowhere, Why: "where no API for host names is served, the networks alone are opened",
		Edit: func(w *World) { w.vendor().Endpoints[0].Hosts[0] = "www.fields-vendor.example" }},
	{Path: "endpoints[].ports[].port", In: Objects, Edit: func(w *World) { w.vendor().Endpoints[0].Ports[0].Port = 8443 }},
	{Path: "endpoints[].ports[].protocol", In: Objects, Edit: func(w *World) { w.vendor().Endpoints[0].Ports[0].Protocol = "UDP" }},
	{Path: "handlesPHI", In: Associates, Edit: withoutPHI},
	{Path: "noPHIReason", In: Associates, Given: withoutPHI, Edit: func(w *World) { w.vendor().NoPHIReason = "it is told next to nothing" }},
	{Path: "subcontractors[]", In: Objects, Edit: func(w *World) { w.vendor().Subcontractors = []v1alpha1.Name{"fields-nobody"} }},
}
