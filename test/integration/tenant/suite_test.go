// Package tenant runs the operator as a process of its own, under its own service account, against a real control plane.
package tenant

import (
	"context"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/apply"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/atrest"
	"github.com/hipaatenant/hipaa-tenant-operator/test/bed"
	"github.com/hipaatenant/hipaa-tenant-operator/test/cluster"
	"github.com/hipaatenant/hipaa-tenant-operator/test/failed"
	"github.com/hipaatenant/hipaa-tenant-operator/test/fixture"
	"github.com/hipaatenant/hipaa-tenant-operator/test/kstatus"
	"github.com/hipaatenant/hipaa-tenant-operator/test/operator"
	"github.com/hipaatenant/hipaa-tenant-operator/test/report"
)

var (
	world     *bed.Bed
	admin     client.Client    // of the world
	life      *kstatus.History // of every tenant, profile, associate and emergency access of the suite
	clientset *kubernetes.Clientset
	binary    string
)

func TestTenant(t *testing.T) {
	RegisterFailHandler(Fail)
	SetDefaultEventuallyTimeout(20 * time.Second)
	SetDefaultEventuallyPollingInterval(20 * time.Millisecond)
	RunSpecs(t, "tenant")
}

var _ = ReportAfterSuite("failures", failed.Report)

var _ = BeforeSuite(func(ctx SpecContext) {
	binary = bed.Build(ctx)
	world = bed.Start(ctx, cluster.Options{ControllerManager: true, Scheduler: true, Kwok: true})
	admin = world.Admin
	var err error
	clientset, err = kubernetes.NewForConfig(world.Cluster.Config())
	Expect(err).NotTo(HaveOccurred())
	life, err = kstatus.Follow(context.Background(), world.Cluster.Config())
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() {
		life.End()
		report.Line("%s", life.Line())
		Expect(life.Err()).To(Succeed())
	})
	for _, n := range cluster.RegionNodes() {
		Expect(world.Cluster.AddNode(ctx, n)).To(Succeed())
	}
	Expect(admin.Create(ctx, fixture.Profile(v1alpha1.DefaultProfile))).To(Succeed())
	startOperator(ctx)
	world.AwaitTypeChecks(ctx)
}, NodeTimeout(5*time.Minute))

var _ = AfterEach(func() { world.KeepOnFailure() })

// startOperator starts the operator anew, with further arguments, and waits until it has looked at all it looks at by itself.
func startOperator(ctx context.Context, args ...string) {
	GinkgoHelper()
	start(ctx, operator.Options{Args: args})
	awaitLook(ctx)
}

// awaitLook waits until the operator has seen how the API server stores Secrets. That is said of every tenant, so one that is
// made before it is written to once more.
func awaitLook(ctx context.Context) {
	GinkgoHelper()
	Eventually(world.Metrics).WithContext(ctx).Should(ContainSubstring("\n"+`hipaatenant_encryption_at_rest{state="%s"} 1`+"\n", atrest.StateNotEncrypted))
}

func start(ctx context.Context, o operator.Options) {
	GinkgoHelper()
	o.Binary = binary
	world.Operate(ctx, o)
}

// create makes a tenant. It stays until the control plane goes, so every spec has names of its own.
func create(ctx context.Context, t *v1alpha1.HIPAATenant) {
	GinkgoHelper()
	Expect(admin.Create(ctx, t)).To(Succeed())
}

func get(ctx context.Context, name string) *v1alpha1.HIPAATenant {
	GinkgoHelper()
	return world.Tenant(ctx, name)
}

func change(ctx context.Context, name string, edit func(*v1alpha1.HIPAATenant)) {
	GinkgoHelper()
	world.Change(ctx, name, edit)
}

func state(ctx context.Context, name, kind string) func() string {
	return world.State(ctx, name, kind)
}

func awaitReady(ctx context.Context, name string) *v1alpha1.HIPAATenant {
	GinkgoHelper()
	return world.AwaitReady(ctx, name)
}

// objects returns what stands of a tenant's inventory, as digests; Secrets by their presence, because no two keysets are
// alike. What is missing is missing in the result.
func objects(ctx context.Context, t *v1alpha1.HIPAATenant) map[v1alpha1.ObjectRef]string {
	GinkgoHelper()
	out := map[v1alpha1.ObjectRef]string{}
	inventory(ctx, t, func(ref v1alpha1.ObjectRef, o client.Object) {
		out[ref] = apply.Digest(o)
		if _, secret := o.(*corev1.Secret); secret {
			out[ref] = "present"
		}
	})
	return out
}

// versions returns the resource versions of everything in the inventory and of the tenant itself.
func versions(ctx context.Context, t *v1alpha1.HIPAATenant) map[v1alpha1.ObjectRef]string {
	GinkgoHelper()
	out := map[v1alpha1.ObjectRef]string{{Kind: "HIPAATenant", Name: t.Name}: get(ctx, t.Name).ResourceVersion}
	inventory(ctx, t, func(ref v1alpha1.ObjectRef, o client.Object) { out[ref] = o.GetResourceVersion() })
	return out
}

// inventory visits every object of the inventory that stands.
func inventory(ctx context.Context, t *v1alpha1.HIPAATenant, visit func(v1alpha1.ObjectRef, client.Object)) {
	GinkgoHelper()
	for _, ref := range t.Status.Inventory {
		for _, o := range apply.Kinds() {
			o.SetName(ref.Name)
			o.SetNamespace(ref.Namespace)
			if apply.RefOf(o) != ref {
				continue
			}
			err := admin.Get(ctx, client.ObjectKeyFromObject(o), o)
			Expect(client.IgnoreNotFound(err)).To(Succeed())
			if err == nil {
				visit(ref, o)
			}
		}
	}
}
