package main

import "context"

// deletion takes the tenant away. Nothing of its data goes.
func deletion(ctx context.Context, d *demo) {
	d.run(ctx, `kubectl delete ht acme-health`).shows("the tenant goes at once", "deleted")
	d.run(ctx, `kubectl get ns acme-health-app acme-health-data -o custom-columns='NAMESPACE:.metadata.name,STATUS:.status.phase,GATE:.metadata.annotations.hipaatenant\.dev/admission'`).
		shows("its namespaces are kept, quarantined", "acme-health-app    Active   quarantined", "acme-health-data   Active   quarantined")
	policies := d.run(ctx, `kubectl get networkpolicies,secrets -n acme-health-app`)
	policies.shows("its keys are kept, and all traffic is denied", "hipaa-default-deny", "hipaa-keyset")
	d.check("nothing opens it any more", policies.without("hipaa-allow-"))
	d.run(ctx, `kubectl get configmaps -n hipaa-system -l hipaatenant.dev/tombstone=acme-health -o jsonpath='{.items[0].data.tombstone\.json}{"\n"}'`).
		shows("a tombstone remembers it", `"tenant": "acme-health"`, `"outcome": "Retained"`, `"name": "records"`)
	d.run(ctx, `kubectl --context acme-dev create -n acme-health-app -f hack/demo/manifests/stray-pod.yaml`).
		refused("its developers have lost their access", `User "dev@acme.example" cannot create resource "pods"`)
	d.run(ctx, `kubectl create -n acme-health-app -f hack/demo/manifests/stray-pod.yaml`).
		refused("even an administrator's pod is refused", "hipaatenant-workload", "acme-health-app of tenant acme-health is quarantined")
	d.run(ctx, `kubectl get ht`).shows("the other tenant is untouched", "birch-clinic", "True")
}
