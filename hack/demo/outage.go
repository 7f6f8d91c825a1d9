package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
)

// killed ends the operator as a power cut would. What refuses are policies inside the API server.
func killed(ctx context.Context, d *demo) {
	d.screen.note("kill -9 %d (the operator)", d.operator.PID())
	d.check("the operator is dead", d.operator.Kill())
	strayPod(ctx, d)
	bindAbroad(ctx, d)
	d.run(ctx, `kubectl delete pod stray -n acme-health-app`).shows("the pod is taken away again")
	pinAbroad(ctx, d)
	allowAll(ctx, d)
	deleteManaged(ctx, d)
	d.run(ctx, `kubectl label namespace acme-health-app hipaatenant.dev/tenant-`).
		refused("an administrator cannot take the namespace from its tenant", guard, "written by hipaa-tenant-operator alone")
	d.run(ctx, `kubectl --context acme-ops scale deployment portal -n acme-health-app --replicas=9`).shows("the tenant works on: it asks for one more pod", "scaled")
	d.portal(ctx, "nine pods run, all in the tenant's regions", 9, "us-east-1", "us-west-2")
	d.await(ctx, "the quota counts nine", d.quotaCounts(9))
	successor(ctx, d)
}

// successor starts the operator again. It takes over when the lease of the dead one has run out, which takes 15 s.
func successor(ctx context.Context, d *demo) {
	d.run(ctx, `kubectl get ht -o custom-columns='TENANT:.metadata.name,VERSION:.metadata.resourceVersion'`).
		shows("this is how the dead operator left them", "acme-health")
	before, tenants := d.versions(ctx), len(strings.Fields(d.ask(ctx, `kubectl get ht -o name`).text))
	d.screen.note("the operator is started again; it takes over when the lease of the dead one has run out, 15 s after it looked first")
	if err := d.startOperator(ctx); err != nil {
		d.check("the operator is ready", err)
		return
	}
	s := &settling{operator: d.operator, tenants: tenants}
	d.await(ctx, fmt.Sprintf("it has looked at all %d tenants, and has nothing left to do", tenants), s.reached)
	d.run(ctx, `kubectl get ht -o custom-columns='TENANT:.metadata.name,VERSION:.metadata.resourceVersion'`).
		shows("this is how its successor found and left them", "acme-health")
	d.check(fmt.Sprintf("none of %d objects was written", before.Len()), unchanged(before, d.versions(ctx)))
}

// quotaCounts says whether the controller manager has written down how many pods there are. It does so a moment after
// they come and go, and must not be taken for the operator.
func (d *demo) quotaCounts(pods int) func(context.Context) error {
	return func(ctx context.Context) error {
		used := d.ask(ctx, `kubectl get resourcequota hipaa-quota -n acme-health-app -o jsonpath='{.status.used.pods}'`).text
		if used != strconv.Itoa(pods) {
			return fmt.Errorf("expected %d pods to be counted, found %s", pods, used)
		}
		return nil
	}
}

// versions lists every tenant, every object of theirs and every admission policy with its resource version, which
// changes with each write.
func (d *demo) versions(ctx context.Context) sets.Set[string] {
	const columns = ` -o jsonpath='{range .items[*]}{.kind} {.metadata.namespace}/{.metadata.name} at version {.metadata.resourceVersion}{"\n"}{end}'`
	const managed = ` -A -l app.kubernetes.io/managed-by=hipaa-tenant-operator`
	const kinds = "namespaces,networkpolicies,resourcequotas,limitranges,configmaps,secrets,rolebindings," +
		"validatingadmissionpolicies,validatingadmissionpolicybindings,mutatingadmissionpolicies,mutatingadmissionpolicybindings"
	all := sets.New[string]()
	for _, line := range []string{`kubectl get ` + kinds + managed + columns, `kubectl get ht,bas,hipaaprofiles` + columns} {
		a := d.ask(ctx, line)
		if a.err != nil {
			d.check("objects can be listed", fmt.Errorf("%w: %s", a.err, a.text))
		}
		for object := range strings.SplitSeq(strings.TrimSpace(a.text), "\n") {
			// The canary is written to see how API servers store Secrets; it says nothing of any tenant.
			if !strings.Contains(object, "/"+v1alpha1.SecretCanary+" ") {
				all.Insert(object)
			}
		}
	}
	return all
}

func unchanged(before, after sets.Set[string]) error {
	if before.Equal(after) {
		return nil
	}
	return fmt.Errorf("expected everything as it was, found %v in place of %v",
		sets.List(after.Difference(before)), sets.List(before.Difference(after)))
}
