package policytest

import (
	"context"
	"fmt"
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

// A marker stamps the Lease of its own name, and refuses it once it is stamped.
const (
	markerScope = `
matchConstraints: {resourceRules: [{apiGroups: [coordination.k8s.io], apiVersions: [v1], operations: [CREATE], resources: [leases]}]}
matchConditions: [{name: marker, expression: "object.metadata.name == 'MARKER'"}]
`
	markerRefuses = markerScope + `
validations: [{expression: "object.metadata.?annotations['marker'].orValue('') != 'MARKER'", message: MARKER}]
`
	markerStamps = markerScope + `
reinvocationPolicy: Never
mutations: [{patchType: ApplyConfiguration, applyConfiguration: {expression: "Object{metadata: Object.metadata{annotations: {'marker': 'MARKER'}}}"}}]
`
)

// takeUp waits until the API server goes by all policies and bindings as they stand: it takes them up in the order they were
// written, and so a marker that is written now after all others.
func (e *Env) takeUp(ctx context.Context) error {
	name := fmt.Sprintf("marker-%d", e.markers.Add(1))
	refusing := &admissionv1.ValidatingAdmissionPolicy{ObjectMeta: objectMeta(name)}
	stamping := &admissionv1.MutatingAdmissionPolicy{ObjectMeta: objectMeta(name)}
	for text, spec := range map[string]any{markerRefuses: &refusing.Spec, markerStamps: &stamping.Spec} {
		if err := yaml.UnmarshalStrict([]byte(strings.ReplaceAll(text, "MARKER", name)), spec); err != nil {
			return err
		}
	}
	markers := []client.Object{
		refusing, &admissionv1.ValidatingAdmissionPolicyBinding{ObjectMeta: objectMeta(name), Spec: admissionv1.ValidatingAdmissionPolicyBindingSpec{
			PolicyName: name, ValidationActions: []admissionv1.ValidationAction{admissionv1.Deny},
		}},
		stamping, &admissionv1.MutatingAdmissionPolicyBinding{ObjectMeta: objectMeta(name), Spec: admissionv1.MutatingAdmissionPolicyBindingSpec{PolicyName: name}},
	}
	for _, o := range markers {
		if err := e.Admin.Create(ctx, o); err != nil {
			return err
		}
	}
	err := Await(ctx, "the API server to take up "+name, func(ctx context.Context) error { return e.marked(ctx, name) })
	for _, o := range markers {
		if gone := e.Admin.Delete(ctx, o); err == nil {
			err = gone
		}
	}
	return err
}

// marked says that the marker stamps and refuses.
func (e *Env) marked(ctx context.Context, name string) error {
	lease := &coordinationv1.Lease{ObjectMeta: objectMeta(name)}
	lease.Namespace = metav1.NamespaceDefault
	got := "no refusal"
	if err := e.Admin.Create(ctx, lease, client.DryRunAll); err != nil {
		got = err.Error()
	}
	if !strings.Contains(got, "denied request: "+name) {
		return fmt.Errorf("want a refusal by %s, got %s", name, got)
	}
	return nil
}
