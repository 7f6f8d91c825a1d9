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
	"github.com/hipaatenant/hipaa-tenant-operator/test/policytest"
)

// mutate: go test ./test/integration/admission -args -mutate
var mutate = flag.Bool("mutate", false, "drop each validation and each resource of every policy, one at a time, and expect a row to fail")

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

// mutants lacks one validation, or one resource, each.
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
			rules := m.Spec.MatchConstraints.ResourceRules
			if rules[i].Resources = slices.Delete(rules[i].Resources, j, j+1); len(rules[i].Resources) == 0 {
				m.Spec.MatchConstraints.ResourceRules = slices.Delete(rules, i, i+1)
			}
			if len(m.Spec.MatchConstraints.ResourceRules) > 0 {
				list = append(list, mutant{fmt.Sprintf("%s without resource %s of rule %d", policy.Name, resource, i), m})
			}
		}
	}
	return list
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
				var noticed policytest.Row
				DeferCleanup(func(ctx context.Context) {
					Expect(env.Restore(ctx, policy.Name)).To(Succeed())
					back := func(ctx context.Context) error { return env.Try(ctx, noticed) }
					Expect(policytest.Await(ctx, "the policy to be back", back)).To(Succeed())
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

func tableOf(policy string) policytest.Table {
	i := slices.IndexFunc(tables, func(t policytest.Table) bool { return "hipaatenant-"+t.Policy == policy })
	return tables[i]
}

// failing is the first refused row that comes out otherwise.
func failing(ctx context.Context, table policytest.Table) (policytest.Row, bool) {
	for _, row := range table.Rows {
		if row.Want.IsRefusal() && env.Try(ctx, row) != nil {
			return row, true
		}
	}
	return table.Canary(), false
}
