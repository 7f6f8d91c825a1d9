package admission_test

import (
	"context"
	"flag"
	"fmt"
	"slices"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	admissionv1 "k8s.io/api/admissionregistration/v1"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/admission"
	pt "github.com/hipaatenant/hipaa-tenant-operator/test/policytest"
)

// mutate: go test ./test/integration/admission -args -mutate
var mutate = flag.Bool("mutate", false, "take each validation, resource and operation out of the policies, one at a time, and expect a row to notice")

const (
	acceptTimeout = 30 * time.Second
	// mutantTimeout is how long a mutant may live. The API server takes a change up in about a second.
	mutantTimeout = 30 * time.Second
)

// mutant is a policy without one of its parts.
type mutant struct {
	name   string
	policy *admissionv1.ValidatingAdmissionPolicy
}

// mutants lack one validation, one resource, or one operation each.
func mutants(policy *admissionv1.ValidatingAdmissionPolicy) []mutant {
	var list []mutant
	for i, v := range policy.Spec.Validations {
		m := policy.DeepCopy()
		m.Spec.Validations = slices.Delete(m.Spec.Validations, i, i+1)
		list = append(list, mutant{fmt.Sprintf("%s without validation %d (%s)", policy.Name, i, v.Message), m})
	}
	for i, rule := range policy.Spec.MatchConstraints.ResourceRules {
		for j, resource := range rule.Resources {
			m := policy.DeepCopy()
			change := &m.Spec.MatchConstraints.ResourceRules[i]
			change.Resources = slices.Delete(change.Resources, j, j+1)
			list = append(list, mutant{fmt.Sprintf("%s without resource %s of rule %d", policy.Name, resource, i), m})
		}
		for j, operation := range rule.Operations {
			m := policy.DeepCopy()
			change := &m.Spec.MatchConstraints.ResourceRules[i]
			change.Operations = slices.Delete(change.Operations, j, j+1)
			list = append(list, mutant{fmt.Sprintf("%s without operation %s of rule %d", policy.Name, operation, i), m})
		}
	}
	return slices.DeleteFunc(list, matchesNothing)
}

// matchesNothing is true of a policy the API server would not take: a rule without resources or operations.
func matchesNothing(m mutant) bool {
	return slices.ContainsFunc(m.policy.Spec.MatchConstraints.ResourceRules, func(r admissionv1.NamedRuleWithOperations) bool {
		return len(r.Resources) == 0 || len(r.Operations) == 0
	})
}

// A guard whose removal no row notices is a guard nobody tests.
var _ = Describe("mutants", Serial, func() {
	if !*mutate {
		return
	}
	objects, err := admission.Load(admission.DefaultIdentity)
	if err != nil {
		panic(err)
	}
	for _, object := range objects {
		policy, ok := object.(*admissionv1.ValidatingAdmissionPolicy)
		if !ok {
			continue
		}
		for _, m := range mutants(policy) {
			It("notices "+m.name, func(ctx context.Context) {
				var noticed pt.Row
				DeferCleanup(func(ctx context.Context) {
					Expect(env.Restore(ctx, policy.Name)).To(Succeed())
					back := func(ctx context.Context) error { return env.Try(ctx, noticed) }
					Expect(pt.Await(ctx, "the policy to be back", back)).To(Succeed())
				})
				Expect(env.Replace(ctx, m.policy)).To(Succeed())
				Eventually(func(ctx context.Context) (found bool) {
					noticed, found = failing(ctx, tableOf(policy.Name))
					return found
				}).WithContext(ctx).WithTimeout(mutantTimeout).Should(BeTrue())
				fmt.Fprintf(GinkgoWriter, "%s: noticed by row %q\n", m.name, noticed.Name)
			})
		}
	}
})

func tableOf(policy string) pt.Table {
	i := slices.IndexFunc(tables, func(t pt.Table) bool { return "hipaatenant-"+t.Policy == policy })
	return tables[i]
}

// failing is the first refused row that comes out otherwise.
func failing(ctx context.Context, table pt.Table) (pt.Row, bool) {
	for _, row := range table.Rows {
		if row.Want.IsRefusal() && env.Try(ctx, row) != nil {
			return row, true
		}
	}
	return table.Canary(), false
}
