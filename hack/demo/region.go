package main

import "context"

// lostRegion takes the only node of the tenant's first region out of service, and back.
func lostRegion(ctx context.Context, d *demo) {
	d.run(ctx, `kubectl drain node-us-east-1 --ignore-daemonsets`).shows("the node of us-east-1 is emptied and takes no more pods", "drained")
	d.run(ctx, waitForPlacement("RegionWithoutNodes")).shows("the status says so", "condition met")
	d.run(ctx, `kubectl get ht acme-health -o go-template='`+findings+`'`).
		shows("with a finding", "RegionWithoutNodes spec.region", "region us-east-1 has no ready node")
	d.run(ctx, `kubectl --context acme-ops scale deployment portal -n acme-health-app --replicas=8`).shows("the tenant's operator asks for two more pods", "scaled")
	d.portal(ctx, "eight pods run in us-west-2, none in eu-west-1", 8, "us-west-2")

	d.screen.note("us-east-1 comes back")
	d.run(ctx, `kubectl uncordon node-us-east-1`).shows("the node takes pods again", "uncordoned")
	d.run(ctx, waitForPlacement("Enforced")).shows("the finding is gone", "condition met")
	d.run(ctx, `kubectl --context acme-ops rollout restart deployment portal -n acme-health-app`).shows("the pods are made anew", "restarted")
	d.portal(ctx, "they run in both regions again", 8, "us-east-1", "us-west-2")
}

// portal waits for the Deployment, and judges where its pods are.
func (d *demo) portal(ctx context.Context, what string, count int, regions ...string) {
	d.run(ctx, `kubectl --context acme-ops rollout status deployment/portal -n acme-health-app --timeout=60s`).
		shows("all pods are available", "successfully rolled out")
	d.run(ctx, `kubectl --context acme-ops -n acme-health-app `+listPods).placed(what, count, regions...)
}

func waitForPlacement(reason string) string {
	return `kubectl wait ht/acme-health --for=jsonpath='{.status.conditions[?(@.type=="PlacementEnforced")].reason}'=` + reason + ` --timeout=30s`
}
