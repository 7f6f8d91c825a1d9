package main

import "context"

// openNetwork lets people of different power try the same policy.
func openNetwork(ctx context.Context, d *demo) {
	d.run(ctx, `kubectl --context acme-dev create -n acme-health-app -f hack/demo/manifests/allow-all.yaml`).
		refused("a developer's role writes no network policies", `cannot create resource "networkpolicies"`)
	allowAll(ctx, d)
	d.run(ctx, `kubectl create -n acme-health-app -f hack/demo/manifests/allow-all.yaml`).
		refused("an administrator's is refused too", "hipaatenant-network", "an ingress rule without from lets everybody in")
	d.run(ctx, `kubectl --context acme-ops create -n acme-health-app -f hack/demo/manifests/allow-office.yaml`).
		shows("a policy inside the tenant's allowlist is accepted", "created")
	d.run(ctx, `kubectl --context acme-ops delete networkpolicy allow-office -n acme-health-app`).shows("and may be taken away", "deleted")
}

func allowAll(ctx context.Context, d *demo) {
	d.run(ctx, `kubectl --context acme-ops create -n acme-health-app -f hack/demo/manifests/allow-all.yaml`).
		refused("the tenant's operator may write them, but none that opens everything", "hipaatenant-network", "an ingress rule without from lets everybody in")
}

func deleteManaged(ctx context.Context, d *demo) {
	d.run(ctx, `kubectl delete networkpolicy hipaa-default-deny -n acme-health-app`).
		refused("an administrator's deletion of a managed policy is refused", guard, "is managed by hipaa-tenant-operator for tenant acme-health")
}
