package admission_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/admission"
	pt "github.com/hipaatenant/hipaa-tenant-operator/test/policytest"
)

// mutate: go test ./test/integration/admission -timeout 1h -args -mutate -ginkgo.focus=notices
var mutate = flag.Bool("mutate", false, "take each part out of the policies, one at a time, and expect a row to notice")

const (
	acceptTimeout = 30 * time.Second
	// mutantTimeout is how long a mutant may live.
	mutantTimeout = 2 * time.Minute
)

// mutants counts them, for the summary.
var mutants struct{ made, noticed int }

// A guard whose removal no row notices is a guard nobody tests.
var _ = Describe("mutants", Serial, func() {
	if !*mutate {
		return
	}
	objects, err := admission.Load(admission.DefaultIdentity)
	if err != nil {
		panic(err)
	}
	for _, policy := range objects {
		if constraints(policy) == nil {
			continue
		}
		rows := rowsOf(policy.GetName())
		Describe(policy.GetName(), Ordered, ContinueOnFailure, func() {
			for _, m := range mutantsOf(policy) {
				It("notices "+m.name, func(ctx context.Context) {
					mutants.made++
					Expect(takeUp(ctx, m)).To(Succeed())
					row, err := failing(ctx, slices.SortedStableFunc(slices.Values(rows), m.likelyFirst))
					Expect(err).NotTo(HaveOccurred())
					mutants.noticed++
					fmt.Fprintf(GinkgoWriter, "noticed by row %q: %s\n", row.Name, row.fault)
				}, NodeTimeout(mutantTimeout))
			}
			AfterAll(func(ctx context.Context) {
				Expect(env.Restore(ctx, policy.GetName())).To(Succeed())
			})
		})
	}
})

// rowsOf the policy: those of all tables that try it.
func rowsOf(policy string) []pt.Row {
	var rows []pt.Row
	for _, t := range tables {
		if "hipaatenant-"+t.Policy == policy {
			rows = append(rows, t.Rows...)
		}
	}
	return rows
}

// noticing is a row that came out otherwise, and how.
type noticing struct {
	pt.Row
	fault error
}

var errSurvived = errors.New("no row notices")

// failing finds a row that comes out otherwise. A few are tried at a time.
func failing(ctx context.Context, rows []pt.Row) (noticing, error) {
	const together = 4
	for batch := range slices.Chunk(rows, together) {
		results := make(chan noticing, len(batch))
		for _, row := range batch {
			go func() { results <- noticing{row, env.Try(ctx, row)} }()
		}
		found := noticing{}
		for range batch {
			if result := <-results; result.fault != nil {
				found = result
			}
		}
		if found.fault != nil {
			return found, ctx.Err()
		}
	}
	return noticing{}, errSurvived
}

// takeUp makes the API server hold a mutant, and waits until it goes by it: until it refuses the marker, or stamps it.
func takeUp(ctx context.Context, m mutant) error {
	marker := fmt.Sprintf("mutant-%04d", mutants.made)
	if err := env.Replace(ctx, marked(m.policy, marker)); err != nil {
		return err
	}
	return awaitMarker(ctx, marker)
}

// awaitMarker creates a lease, as a dry run, until it comes back refused or stamped with the marker.
func awaitMarker(ctx context.Context, marker string) error {
	namespace, err := env.TenantNamespace(ctx, nil)
	if err != nil {
		return err
	}
	return pt.Await(ctx, "the API server to hold "+marker, func(ctx context.Context) error {
		lease := &coordinationv1.Lease{ObjectMeta: named("lease")}
		lease.Namespace = namespace
		got := ""
		if err := env.Admin.Create(ctx, lease, client.DryRunAll); err != nil {
			got = err.Error()
		}
		if got += lease.Annotations[markerKey]; !strings.Contains(got, marker) {
			return fmt.Errorf("want %q, got %q", marker, got)
		}
		return nil
	})
}

const (
	markerKey = "test.hipaatenant.dev/mutant"
	onLease   = "request.resource.resource == 'leases'"
)

// marked refuses or stamps the marker, and treats everything else as the policy does.
func marked(object admission.Object, marker string) admission.Object {
	object = object.DeepCopyObject().(admission.Object)
	scope := admissionv1.NamespacedScope
	rule := admissionv1.NamedRuleWithOperations{}
	rule.Operations = []admissionv1.OperationType{admissionv1.Create}
	rule.Rule = admissionv1.Rule{APIGroups: []string{"coordination.k8s.io"}, APIVersions: []string{"v1"}, Resources: []string{"leases"}, Scope: &scope}
	match := constraints(object)
	match.ResourceRules = append(match.ResourceRules, rule)
	var conditions []admissionv1.MatchCondition
	switch policy := object.(type) {
	case *admissionv1.ValidatingAdmissionPolicy:
		conditions = policy.Spec.MatchConditions
		policy.Spec.Validations = slices.Insert(policy.Spec.Validations, 0, admissionv1.Validation{Expression: "!(" + onLease + ")", Message: marker})
	case *admissionv1.MutatingAdmissionPolicy:
		conditions = policy.Spec.MatchConditions
		for i := range policy.Spec.Mutations {
			patch := policy.Spec.Mutations[i].JSONPatch
			patch.Expression = onLease + " ? [] : (" + patch.Expression + ")"
		}
		policy.Spec.Mutations = append(policy.Spec.Mutations, admissionv1.Mutation{PatchType: admissionv1.PatchTypeJSONPatch, JSONPatch: &admissionv1.JSONPatch{
			Expression: "!(" + onLease + ") ? [] : [JSONPatch{op: 'add', path: '/metadata/annotations', value: {'" + markerKey + "': '" + marker + "'}}]",
		}})
	}
	for i := range conditions {
		conditions[i].Expression = onLease + " || (" + conditions[i].Expression + ")"
	}
	return object
}
