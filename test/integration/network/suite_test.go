// Package network runs the operator with the network probe on a real API server. A kubelet of the test runs the probe's pods as
// processes on loopback, and a network of the test between them lets through what a plug-in would, or should not.
package network

import (
	"context"
	"fmt"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/test/bed"
	"github.com/hipaatenant/hipaa-tenant-operator/test/cluster"
	"github.com/hipaatenant/hipaa-tenant-operator/test/failed"
	"github.com/hipaatenant/hipaa-tenant-operator/test/fixture"
	"github.com/hipaatenant/hipaa-tenant-operator/test/operator"
)

const (
	// tenant is told what the probe finds.
	tenant = "acme"
	// home is the namespace of the probe.
	home = v1alpha1.OperatorNamespace + v1alpha1.ProbeNamespaceSuffix
)

var binary string

func TestNetwork(t *testing.T) {
	RegisterFailHandler(Fail)
	SetDefaultEventuallyTimeout(2 * time.Minute) // a run follows another after ten seconds; other suites run at the same time
	SetDefaultEventuallyPollingInterval(100 * time.Millisecond)
	RunSpecs(t, "network probe")
}

var _ = ReportAfterSuite("failures", failed.Report)

var _ = BeforeSuite(func(ctx SpecContext) {
	binary = bed.Build(ctx)
}, NodeTimeout(5*time.Minute))

// world is a control plane with an operator, a tenant, and a kubelet for the probe's pods.
type world struct {
	*bed.Bed
	*kubelet
}

func start(ctx context.Context) *world {
	GinkgoHelper()
	b := &world{Bed: bed.Start(ctx, cluster.Options{ControllerManager: true})}
	b.kubelet = startKubelet(b.Cluster.Config(), b.Dir)
	Expect(b.Admin.Create(ctx, fixture.Profile(v1alpha1.DefaultProfile))).To(Succeed())
	Expect(b.Admin.Create(ctx, fixture.Tenant(tenant))).To(Succeed())
	return b
}

// operate starts the operator with the probe as busy as it may be.
func (b *world) operate(ctx context.Context) {
	GinkgoHelper()
	b.Operate(ctx, operator.Options{Binary: binary, Args: []string{"--network-probe-interval=10s", "--network-probe-image=operator:test"}})
}

// install makes the namespace of the probe, and gives the operator its rights there.
func (b *world) install(ctx context.Context) {
	GinkgoHelper()
	Expect(operator.ApplyDir(ctx, b.Admin, "config/network-probe")).To(Succeed())
}

// says is status, reason and message of a condition of the tenant.
func (b *world) says(ctx context.Context, kind string) func() string {
	return func() string {
		c := meta.FindStatusCondition(b.Tenant(ctx, tenant).Status.Conditions, kind)
		if c == nil {
			return "none"
		}
		return fmt.Sprintf("%s/%s: %s", c.Status, c.Reason, c.Message)
	}
}
