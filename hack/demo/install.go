package main

import (
	"context"
	"fmt"
	"strings"

	"k8s.io/client-go/rest"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/admission"
	"github.com/hipaatenant/hipaa-tenant-operator/test/cluster"
	"github.com/hipaatenant/hipaa-tenant-operator/test/operator"
)

// install shows the nodes, installs the operator and starts it under its own service account.
func install(ctx context.Context, d *demo) {
	if err := d.furnish(ctx); err != nil {
		d.check("the cluster is furnished with nodes and people", err)
		return
	}
	d.run(ctx, `kubectl get nodes -L topology.kubernetes.io/region`).
		shows("one node in each of three regions", "us-east-1", "us-west-2", "eu-west-1")

	d.screen.note("installing config/crd and config/rbac, and starting the operator as a process under its service account")
	err := operator.Install(ctx, d.cluster)
	if err == nil {
		err = d.startOperator(ctx)
	}
	d.check("the operator is installed and ready", err)
	d.run(ctx, `kubectl --context operator auth whoami`).
		shows("it has an identity of its own", "system:serviceaccount:hipaa-system:hipaa-tenant-operator")
	d.run(ctx, `kubectl --context operator auth can-i '*' '*'`).refused("it is no administrator", "no")
	d.run(ctx, `kubectl --context operator auth can-i list secrets --all-namespaces`).refused("it cannot read all Secrets", "no")
	d.run(ctx, `kubectl --context operator auth can-i delete namespaces --all-namespaces`).refused("it cannot delete namespaces", "no")
	d.await(ctx, "the operator has applied its admission policies", d.policiesStand)
	d.run(ctx, `kubectl get validatingadmissionpolicies,mutatingadmissionpolicies -o custom-columns='KIND:.kind,NAME:.metadata.name,ON FAILURE:.spec.failurePolicy'`).
		shows("they fail closed", "Fail")
}

// furnish makes the nodes, and the people commands are typed by.
func (d *demo) furnish(ctx context.Context) error {
	for _, n := range cluster.RegionNodes() {
		if err := d.cluster.AddNode(ctx, n); err != nil {
			return err
		}
	}
	account, err := d.cluster.ServiceAccount(ctx, v1alpha1.OperatorNamespace, v1alpha1.OperatorName)
	if err != nil {
		return err
	}
	return d.writeContexts(d.cluster.Config(), map[string]*rest.Config{
		// The samples bind these two: the group as Developer, the user as Operator of acme-health.
		"acme-dev": d.cluster.User("dev@acme.example", "acme-devs"),
		"acme-ops": d.cluster.User("sam@acme.example"),
		"operator": account,
	})
}

func (d *demo) startOperator(ctx context.Context) (err error) {
	d.operator, err = operator.Start(ctx, d.cluster, operator.Options{Binary: d.binary, Dir: d.cluster.Dir()})
	return err
}

// policiesStand compares names only; whether they are as shipped is what condition AdmissionEnforced says.
func (d *demo) policiesStand(ctx context.Context) error {
	const kinds = "validatingadmissionpolicies,validatingadmissionpolicybindings,mutatingadmissionpolicies,mutatingadmissionpolicybindings"
	shipped, err := admission.Load(admission.DefaultIdentity)
	if err != nil {
		return err
	}
	found := strings.Fields(d.ask(ctx, `kubectl get `+kinds+` -l app.kubernetes.io/managed-by=hipaa-tenant-operator -o name`).text)
	if len(found) != len(shipped) {
		return fmt.Errorf("expected %d policies and bindings, found %v", len(shipped), found)
	}
	return nil
}
