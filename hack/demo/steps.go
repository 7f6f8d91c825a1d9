package main

// steps is the whole story, in order. Each step says what is shown, and checks what comes of it.
func steps() []step {
	return []step{
		{title: "Three regions, and an operator that is no administrator", show: install, basis: true},
		{title: "The samples become Ready tenants", show: samples, basis: true},
		{title: "What was created for tenant acme-health", show: created},
		{title: "Pods land in the tenant's regions only, whatever they prefer", show: placement},
		{title: "Ways around the scheduler are refused", show: bypass},
		{title: "A tenant cannot open its own network", show: openNetwork},
		{title: "A managed policy cannot be deleted; with its guard torn down first, both come back", show: tearDown},
		{title: "Bad input is answered in clear words, and provisions nothing", show: badInput},
		{title: "A region is lost, and comes back", show: lostRegion},
		{title: "The operator is killed: what it enforces stands, and its successor writes nothing", show: killed},
		{title: "The tenant is deleted: its data is kept, and closed", show: deletion},
	}
}
