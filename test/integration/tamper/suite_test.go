// Package tamper alters and removes the admission policies as a cluster administrator can, beside a running operator and
// tenants, and puts them where even an administrator cannot.
package tamper

import (
	"context"
	"fmt"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/admission"
	"github.com/hipaatenant/hipaa-tenant-operator/test/bed"
	"github.com/hipaatenant/hipaa-tenant-operator/test/cluster"
	"github.com/hipaatenant/hipaa-tenant-operator/test/failed"
	"github.com/hipaatenant/hipaa-tenant-operator/test/fixture"
)

const (
	// noticed is how soon tampering must be undone, or said by every tenant: three times the five seconds that are promised,
	// because other suites run at the same time. The lines say how long it took.
	noticed = 15 * time.Second
	// settled is how soon all is said to be well again: the operator waits 3 s for API servers to take a policy up.
	settled = time.Minute
	tenants = 20
)

// world is a control plane with an operator, and the policies as they are shipped.
type world struct {
	*bed.Bed
	shipped []admission.Object
}

var binary string

func TestTamper(t *testing.T) {
	RegisterFailHandler(Fail)
	SetDefaultEventuallyPollingInterval(10 * time.Millisecond)
	RunSpecs(t, "tamper")
}

var _ = ReportAfterSuite("failures", failed.Report)

var _ = BeforeSuite(func(ctx SpecContext) { binary = bed.Build(ctx) }, NodeTimeout(3*time.Minute))

// start makes the control plane. The type checker of policies is one of the controllers.
func start(ctx context.Context, apiServerArgs ...string) *world {
	GinkgoHelper()
	b := &world{Bed: bed.Start(ctx, cluster.Options{ControllerManager: true, APIServerArgs: apiServerArgs})}
	var err error
	b.shipped, err = admission.Load(admission.DefaultIdentity)
	Expect(err).NotTo(HaveOccurred())
	return b
}

// populate makes tenants, and waits until all are Ready.
func (b *world) populate(ctx context.Context) {
	GinkgoHelper()
	Expect(b.Admin.Create(ctx, fixture.Profile(v1alpha1.DefaultProfile))).To(Succeed())
	for i := range tenants {
		Expect(b.Admin.Create(ctx, fixture.Tenant(fmt.Sprintf("tenant-%d", i)))).To(Succeed())
	}
	Eventually(b.said(ctx, v1alpha1.ConditionReady)).WithTimeout(time.Minute).Should(HaveEach(HavePrefix("True/Ready")))
}

// said is what each tenant says of a condition: status, reason and message.
func (b *world) said(ctx context.Context, kind string) func() []string {
	return func() []string {
		GinkgoHelper()
		var list v1alpha1.HIPAATenantList
		Expect(b.Admin.List(ctx, &list)).To(Succeed())
		Expect(list.Items).To(HaveLen(tenants))
		out := make([]string, 0, tenants)
		for _, t := range list.Items {
			text := "nothing"
			for _, c := range t.Status.Conditions {
				if c.Type == kind {
					text = fmt.Sprintf("%s/%s: %s", c.Status, c.Reason, c.Message)
				}
			}
			out = append(out, text)
		}
		return out
	}
}

// problems are how the policies in the API differ from the shipped ones. What the type checker has not said yet is none.
func (b *world) problems(ctx context.Context) []admission.Problem {
	GinkgoHelper()
	var live []admission.Object
	for _, object := range b.shipped {
		found := object.DeepCopyObject().(client.Object)
		err := b.Admin.Get(ctx, client.ObjectKeyFromObject(found), found)
		Expect(client.IgnoreNotFound(err)).To(Succeed())
		if err == nil {
			live = append(live, found)
		}
	}
	var out []admission.Problem
	for _, p := range admission.Compare(b.shipped, live) {
		if p.Reason != admission.NotAccepted {
			out = append(out, p)
		}
	}
	return out
}
