package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/sets"
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
	d.run(ctx, `kubectl wait --for=condition=Ready ht/acme-health --timeout=5s`).shows("the tenant lives on", "condition met")
	successor(ctx, d)
}

// successor starts the operator again. It takes over when the lease of the dead one has run out, which takes 15 s.
func successor(ctx context.Context, d *demo) {
	d.run(ctx, `kubectl get ht -o custom-columns='TENANT:.metadata.name,VERSION:.metadata.resourceVersion'`).shows("so it was before", "acme-health")
	before, tenants := d.versions(ctx), len(strings.Fields(d.ask(ctx, `kubectl get ht -o name`).text))
	d.screen.note("the operator is started again; it takes over when the lease of the dead one has run out, 15 s after it looked first")
	if err := d.startOperator(ctx); err != nil {
		d.check("the operator is ready", err)
		return
	}
	last := -1
	d.await(ctx, fmt.Sprintf("it has looked at all %d tenants, and has nothing left to do", tenants), func(ctx context.Context) error {
		return d.settled(ctx, tenants, &last)
	})
	d.run(ctx, `kubectl get ht -o custom-columns='TENANT:.metadata.name,VERSION:.metadata.resourceVersion'`).shows("so it is now", "acme-health")
	d.check(fmt.Sprintf("none of %d objects was written", before.Len()), unchanged(before, d.versions(ctx)))
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
		all.Insert(strings.Split(strings.TrimSpace(a.text), "\n")...)
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

// settled reads the operator's metrics. The operator is at rest once it has looked at the policies, the nodes and every
// tenant, and did nothing since this was asked last.
func (d *demo) settled(ctx context.Context, tenants int, last *int) error {
	counts, err := reconciles(ctx, d.operator.Metrics)
	if err != nil {
		return err
	}
	total := 0
	for _, n := range counts {
		total += n
	}
	same := total == *last
	*last = total
	if counts["admission"] == 0 || counts["nodes"] == 0 || counts["tenants"] < tenants || !same {
		return fmt.Errorf("expected the operator to look at policies, nodes and %d tenants and come to rest, found so many rounds: %v", tenants, counts)
	}
	return nil
}

// sum is for counters with several results per controller.
func sum(of map[string]int, lines []string) map[string]int {
	for _, line := range lines {
		var n int
		name := line[strings.Index(line, `controller="`)+len(`controller="`):]
		name = name[:strings.IndexByte(name, '"')]
		if _, err := fmt.Sscan(line[strings.LastIndexByte(line, ' ')+1:], &n); err == nil {
			of[name] += n
		}
	}
	_ = slices.Sorted[string]
	return of
}
