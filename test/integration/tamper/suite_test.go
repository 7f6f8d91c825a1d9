// Package tamper alters and removes the admission policies as a cluster administrator can, beside a running operator and
// tenants, and puts them where even an administrator cannot.
package tamper

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/admission"
	"github.com/hipaatenant/hipaa-tenant-operator/test/cluster"
	"github.com/hipaatenant/hipaa-tenant-operator/test/fixture"
	"github.com/hipaatenant/hipaa-tenant-operator/test/operator"
)

const (
	// noticed is how soon tampering must be undone, or said by every tenant: three times the five seconds that are promised,
	// because other suites run at the same time. The lines say how long it took.
	noticed = 15 * time.Second
	// settled is how soon all is said to be well again: the operator waits 3 s for API servers to take a policy up.
	settled = time.Minute
	tenants = 20
)

// bed is a control plane with an operator on it.
type bed struct {
	cluster *cluster.Cluster
	admin   client.Client
	dir     string
	shipped []admission.Object
	running *operator.Operator
}

var binary string

func TestTamper(t *testing.T) {
	RegisterFailHandler(Fail)
	SetDefaultEventuallyPollingInterval(10 * time.Millisecond)
	RunSpecs(t, "tamper")
}

var _ = BeforeSuite(func(ctx SpecContext) {
	dir, err := os.MkdirTemp("", "tamper-suite-")
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(os.RemoveAll, dir)
	binary, err = operator.Build(ctx, dir, "-race")
	Expect(err).NotTo(HaveOccurred())
}, NodeTimeout(3*time.Minute))

// start makes a control plane with the operator's types and rights. The type checker of policies is one of the controllers.
func start(ctx context.Context, dir string, apiServerArgs ...string) *bed {
	GinkgoHelper()
	b := &bed{dir: dir}
	var err error
	b.cluster, err = cluster.Start(ctx, cluster.Options{ControllerManager: true, APIServerArgs: apiServerArgs})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() {
		if CurrentSpecReport().Failed() {
			b.cluster.KeepLogs()
		}
		Expect(b.cluster.Stop()).To(Succeed())
	})
	b.admin, err = operator.NewClient(b.cluster.Config())
	Expect(err).NotTo(HaveOccurred())
	b.shipped, err = admission.Load(admission.DefaultIdentity)
	Expect(err).NotTo(HaveOccurred())
	Expect(operator.Install(ctx, b.cluster)).To(Succeed())
	return b
}

// operate runs the operator until the container of specs ends.
func (b *bed) operate(ctx context.Context, args ...string) {
	GinkgoHelper()
	dir := filepath.Join(b.dir, "operator")
	Expect(os.MkdirAll(dir, 0o700)).To(Succeed())
	var err error
	b.running, err = operator.Start(ctx, b.cluster, operator.Options{Binary: binary, Dir: dir, Args: append(args, "--leader-elect=false")})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() {
		if CurrentSpecReport().Failed() {
			GinkgoWriter.Println(b.running.LogTail(8192))
		}
		Expect(b.running.Stop(noticed)).To(Succeed())
	})
}

// populate makes tenants, and waits until all are Ready.
func (b *bed) populate(ctx context.Context) {
	GinkgoHelper()
	Expect(b.admin.Create(ctx, fixture.Profile(v1alpha1.DefaultProfile))).To(Succeed())
	for i := range tenants {
		Expect(b.admin.Create(ctx, fixture.Tenant(fmt.Sprintf("tenant-%d", i)))).To(Succeed())
	}
	Eventually(b.said(ctx, v1alpha1.ConditionReady)).WithTimeout(time.Minute).Should(HaveEach(HavePrefix("True/Ready")))
}

// said is what each tenant says of a condition: status, reason and message.
func (b *bed) said(ctx context.Context, kind string) func() []string {
	return func() []string {
		GinkgoHelper()
		var list v1alpha1.HIPAATenantList
		Expect(b.admin.List(ctx, &list)).To(Succeed())
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
func (b *bed) problems(ctx context.Context) []admission.Problem {
	GinkgoHelper()
	var live []admission.Object
	for _, object := range b.shipped {
		found := object.DeepCopyObject().(client.Object)
		err := b.admin.Get(ctx, client.ObjectKeyFromObject(found), found)
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
