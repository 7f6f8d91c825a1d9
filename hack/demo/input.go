package main

import "context"

// badInput tries a spec that is malformed, and one that is well formed and cannot be honoured.
func badInput(ctx context.Context, d *demo) {
	d.run(ctx, `kubectl apply -f hack/demo/manifests/tenant-host-bits.yaml`).
		refused("a malformed network is rejected at once, with field, value and rule",
			"spec.ipAllowlist[0]", `"203.0.113.7/24"`, "without host bits")
	d.run(ctx, `kubectl apply -f hack/demo/manifests/tenant-wrong-region.yaml`).
		shows("a region that the profile does not allow is accepted, because the profile may change", "created")
	d.run(ctx, `kubectl wait --for=condition=Stalled ht/dogwood-dental --timeout=30s`).shows("but the tenant is stalled", "condition met")
	d.run(ctx, `kubectl get ht`).shows("which is seen at a glance", "Invalid")
	d.run(ctx, `kubectl get ht dogwood-dental -o go-template='`+findings+`'`).
		shows("a finding names code, path, value and what would be allowed", "RegionNotEligible spec.region", "eu-west-1", "us-east-1, us-west-2")
	d.run(ctx, `kubectl get namespace dogwood-dental`).refused("nothing was provisioned", "NotFound")
}

// findings prints the findings of a tenant.
const findings = `{{range .status.findings}}{{.severity}} {{.code}} {{.path}}: {{.message}}{{"\n"}}{{end}}`
