// Package tenant runs the operator as a process of its own, under its own service account, against a real control plane.
package tenant

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/apply"
	"github.com/hipaatenant/hipaa-tenant-operator/test/cluster"
	"github.com/hipaatenant/hipaa-tenant-operator/test/fixture"
	"github.com/hipaatenant/hipaa-tenant-operator/test/operator"
)

var (
	testCluster *cluster.Cluster
	admin       client.Client
	clientset   *kubernetes.Clientset
	binary      string
	dir         string
	running     *operator.Operator
)

func TestTenant(t *testing.T) {
	RegisterFailHandler(Fail)
	SetDefaultEventuallyTimeout(20 * time.Second)
	SetDefaultEventuallyPollingInterval(20 * time.Millisecond)
	RunSpecs(t, "tenant")
}

var _ = BeforeSuite(func(ctx SpecContext) {
	var err error
	dir, err = os.MkdirTemp("", "tenant-suite-")
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(os.RemoveAll, dir)
	binary, err = operator.Build(ctx, dir, "-race")
	Expect(err).NotTo(HaveOccurred())
	testCluster, err = cluster.Start(ctx, cluster.Options{ControllerManager: true, Scheduler: true, Kwok: true})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() { Expect(testCluster.Stop()).To(Succeed()) })
	Expect(operator.Install(ctx, testCluster)).To(Succeed())
	admin, err = operator.NewClient(testCluster.Config())
	Expect(err).NotTo(HaveOccurred())
	clientset, err = kubernetes.NewForConfig(testCluster.Config())
	Expect(err).NotTo(HaveOccurred())
	for _, n := range cluster.RegionNodes() {
		Expect(testCluster.AddNode(ctx, n)).To(Succeed())
	}
	Expect(admin.Create(ctx, fixture.Profile(v1alpha1.DefaultProfile))).To(Succeed())
	startOperator(ctx)
	DeferCleanup(func() { Expect(running.Stop(5 * time.Second)).To(Succeed()) })
	// The controller manager may take its time to type-check the policies; no spec is about that.
	Eventually(func() int { return unchecked(ctx) }, "2m", "250ms").Should(BeZero())
}, NodeTimeout(5*time.Minute))

var _ = AfterEach(func() {
	if CurrentSpecReport().Failed() {
		testCluster.KeepLogs()
		GinkgoWriter.Println(running.LogTail(8192))
	}
})

// unchecked counts the admission policies that have not been type-checked; one at least before there is any.
func unchecked(ctx context.Context) int {
	GinkgoHelper()
	var list admissionv1.ValidatingAdmissionPolicyList
	Expect(admin.List(ctx, &list)).To(Succeed())
	left := 0
	for i := range list.Items {
		if list.Items[i].Status.ObservedGeneration < list.Items[i].Generation {
			left++
		}
	}
	if len(list.Items) == 0 {
		return 1
	}
	return left
}

// startOperator starts the operator anew, with further arguments.
func startOperator(ctx context.Context, args ...string) {
	GinkgoHelper()
	start(ctx, operator.Options{Args: args})
}

func start(ctx context.Context, o operator.Options) {
	GinkgoHelper()
	runDir := filepath.Join(dir, "operator")
	Expect(os.MkdirAll(runDir, 0o700)).To(Succeed())
	var err error
	o.Binary, o.Dir, o.Args = binary, runDir, append(o.Args, "--leader-elect=false")
	running, err = operator.Start(ctx, testCluster, o)
	Expect(err).NotTo(HaveOccurred())
}

// create makes a tenant. It stays until the control plane goes, so every spec has names of its own.
func create(ctx context.Context, t *v1alpha1.HIPAATenant) {
	GinkgoHelper()
	Expect(admin.Create(ctx, t)).To(Succeed())
}

func get(ctx context.Context, name string) *v1alpha1.HIPAATenant {
	GinkgoHelper()
	t := &v1alpha1.HIPAATenant{}
	Expect(admin.Get(ctx, client.ObjectKey{Name: name}, t)).To(Succeed())
	return t
}

// change edits a tenant's spec, however often the operator writes its status in between.
func change(ctx context.Context, name string, edit func(*v1alpha1.HIPAATenant)) {
	GinkgoHelper()
	Eventually(func() error {
		t := get(ctx, name)
		edit(t)
		return admin.Update(ctx, t)
	}).Should(Succeed())
}

// condition returns a condition of the tenant's present generation; empty when there is none.
func condition(t *v1alpha1.HIPAATenant, kind string) metav1.Condition {
	c := meta.FindStatusCondition(t.Status.Conditions, kind)
	if c == nil || t.Status.ObservedGeneration != t.Generation {
		return metav1.Condition{}
	}
	return *c
}

// state is status and reason of a condition, as in "True/Ready".
func state(ctx context.Context, name, kind string) func() string {
	return func() string {
		c := condition(get(ctx, name), kind)
		return string(c.Status) + "/" + c.Reason
	}
}

func awaitReady(ctx context.Context, name string) *v1alpha1.HIPAATenant {
	GinkgoHelper()
	Eventually(state(ctx, name, v1alpha1.ConditionReady)).Should(Equal("True/Ready"), func() string {
		return "conditions: " + describe(get(ctx, name))
	})
	return get(ctx, name)
}

func describe(t *v1alpha1.HIPAATenant) string {
	text := ""
	for _, c := range t.Status.Conditions {
		text += "\n" + c.Type + "=" + string(c.Status) + " " + c.Reason + ": " + c.Message
	}
	return text
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
