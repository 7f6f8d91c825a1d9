package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// listPods names, for every pod of the portal, its node, and the region the API server stamped on it when it was bound.
const listPods = `get pods -l app=portal -o custom-columns='POD:.metadata.name,NODE:.spec.nodeName,REGION:.metadata.labels.topology\.kubernetes\.io/region'`

// placement deploys the same manifest outside and inside a tenant.
func placement(ctx context.Context, d *demo) {
	d.screen.note("a namespace of no tenant: the Deployment prefers eu-west-1, and the scheduler obeys")
	d.run(ctx, `kubectl create namespace elsewhere`).shows("the namespace is made")
	d.run(ctx, `kubectl apply -n elsewhere -f hack/demo/manifests/portal.yaml`).shows("the Deployment is made")
	d.run(ctx, `kubectl rollout status deployment/portal -n elsewhere --timeout=60s`).shows("its pods run", "successfully rolled out")
	d.run(ctx, `kubectl -n elsewhere `+listPods).shows("pods run in eu-west-1", "eu-west-1")

	d.screen.note("the same manifest, applied by a developer of acme-health (dev@acme.example, group acme-devs)")
	d.run(ctx, `kubectl --context acme-dev apply -n acme-health-app -f hack/demo/manifests/portal.yaml`).shows("the Deployment is made", "created")
	d.run(ctx, `kubectl --context acme-dev rollout status deployment/portal -n acme-health-app --timeout=60s`).
		shows("its pods run", "successfully rolled out")
	d.run(ctx, `kubectl --context acme-dev -n acme-health-app `+listPods).
		placed("all of them run in the tenant's regions, none in eu-west-1", 6, "us-east-1", "us-west-2")
	d.run(ctx, `kubectl --context acme-dev get pods -n acme-health-app -l app=portal -o jsonpath='`+
		`{.items[0].spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution}{"\n"}{.items[0].spec.containers[0].envFrom}{"\n"}'`).
		shows("a pod was given its regions and its settings when it was made", `"us-east-1","us-west-2"`, `"configMapRef":{"name":"hipaa-config"`)
}

// placed judges the answer to listPods: so many pods, all of them in these regions, on the nodes of these regions.
func (a answer) placed(what string, count int, regions ...string) {
	perRegion := map[string]int{}
	lines := strings.Split(strings.TrimSpace(a.text), "\n")[1:]
	err := a.err
	if err == nil && len(lines) != count {
		err = fmt.Errorf("expected %d pods, found %d", count, len(lines))
	}
	for _, line := range lines {
		f := strings.Fields(line)
		if len(f) != 3 || f[1] != "node-"+f[2] {
			err = fmt.Errorf("expected pod, node and the region of that node, found %q", line)
			continue
		}
		perRegion[f[2]]++
	}
	if found := slices.Sorted(maps.Keys(perRegion)); err == nil && !slices.Equal(found, slices.Sorted(slices.Values(regions))) {
		err = fmt.Errorf("expected pods in %v, found %v", regions, perRegion)
	}
	a.demo.check(what, err)
}

// bypass tries to reach a node in eu-west-1 without the scheduler.
func bypass(ctx context.Context, d *demo) {
	strayPod(ctx, d)
	bindAbroad(ctx, d)
	d.run(ctx, `kubectl create --raw /api/v1/namespaces/acme-health-app/pods/stray/binding -f hack/demo/manifests/bind-to-us-west-2.json`).
		shows("the same binding to a node in us-west-2 is accepted", "Success")
	d.run(ctx, `kubectl delete pod stray -n acme-health-app`).shows("the pod is taken away again")
	pinAbroad(ctx, d)
}

func strayPod(ctx context.Context, d *demo) {
	d.run(ctx, `kubectl --context acme-dev create -n acme-health-app -f hack/demo/manifests/stray-pod.yaml`).
		shows("a pod that no scheduler takes is made", "created")
}

// bindAbroad acts as an administrator: RBAC refuses nothing, so the policy is what answers.
func bindAbroad(ctx context.Context, d *demo) {
	d.run(ctx, `kubectl create --raw /api/v1/namespaces/acme-health-app/pods/stray/binding -f hack/demo/manifests/bind-to-eu-west-1.json`).
		refused("an administrator's binding to the node in eu-west-1 is refused", "hipaatenant-placement-bind",
			"region eu-west-1 of node node-eu-west-1 is not one of us-east-1,us-west-2 allowed to tenant acme-health")
}

func pinAbroad(ctx context.Context, d *demo) {
	d.run(ctx, `kubectl --context acme-dev create -n acme-health-app -f hack/demo/manifests/pinned-pod.yaml`).
		refused("a pod that names the node in eu-west-1 is refused", "hipaatenant-placement-bind", "spec.nodeName is node-eu-west-1")
}
