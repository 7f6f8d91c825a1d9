package policytest

import (
	"context"
	"fmt"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/gomega"
)

// Table is what is tried on one policy.
type Table struct {
	// Policy is its name, without prefix hipaatenant-.
	Policy string
	// Rows to try.
	Rows []Row
}

// Canary is the first row the policy refuses, or, of a policy that only changes requests, the first row. While it comes
// out otherwise, the API server has not taken up the policy.
func (t Table) Canary() Row {
	for _, row := range t.Rows {
		if row.Want.policy == t.Policy {
			return row
		}
	}
	return t.Rows[0]
}

// Specs adds one spec per row. The environment is asked for when they run.
func (t Table) Specs(env func() *Env) bool {
	return ginkgo.Describe(t.Policy, func() {
		for _, row := range t.Rows {
			ginkgo.It(row.label(), func(ctx context.Context) {
				gomega.Expect(env().Try(ctx, row)).To(gomega.Succeed())
			})
		}
	})
}

// OutsideSpecs adds one spec for each row that is refused in a tenant's namespace, and expects that no policy hinders it
// in a namespace of no tenant.
func (t Table) OutsideSpecs(env func() *Env) bool {
	return ginkgo.Describe("outside of tenants: "+t.Policy, func() {
		for _, row := range t.Rows {
			if !row.Want.IsRefusal() || row.Inside {
				continue
			}
			row.Want = Unhindered()
			// The operator is bound to tenants' namespaces by the very policies.
			row.Given = []Request{As(Admin, InOrder(row.Given...))}
			ginkgo.It(row.label(), func(ctx context.Context) {
				namespace, err := env().PlainNamespace(ctx)
				gomega.Expect(err).NotTo(gomega.HaveOccurred())
				gomega.Expect(env().TryIn(ctx, row, namespace)).To(gomega.Succeed())
			})
		}
	})
}

// Count tells how many rows are allowed and how many refused.
func Count(tables ...Table) (allowed, refused int) {
	for _, t := range tables {
		for _, row := range t.Rows {
			if row.Want.IsRefusal() {
				refused++
			} else {
				allowed++
			}
		}
	}
	return allowed, refused
}

func (r Row) label() string {
	verb := "allows"
	if r.Want.IsRefusal() {
		verb = "refuses"
	}
	user := r.As
	if user == "" {
		user = Developer
	}
	return fmt.Sprintf("%s %s: %s", verb, user, r.Name)
}
