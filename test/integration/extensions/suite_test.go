// Package extensions runs the operator on a control plane to which the real CustomResourceDefinitions of gateways, meshes
// and network plug-ins come and go.
package extensions

import (
	"context"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/extension"
	"github.com/hipaatenant/hipaa-tenant-operator/test/bed"
	"github.com/hipaatenant/hipaa-tenant-operator/test/cluster"
	"github.com/hipaatenant/hipaa-tenant-operator/test/failed"
	"github.com/hipaatenant/hipaa-tenant-operator/test/fixture"
	"github.com/hipaatenant/hipaa-tenant-operator/test/operator"
)

var (
	world       *bed.Bed
	admin       client.Client // of the world
	objects     dynamic.Interface
	binary      string
	published   map[string]string // directories of the modules with definitions
	listOptions metav1.ListOptions
)

func TestExtensions(t *testing.T) {
	RegisterFailHandler(Fail)
	SetDefaultEventuallyTimeout(20 * time.Second)
	SetDefaultEventuallyPollingInterval(20 * time.Millisecond)
	RunSpecs(t, "extensions")
}

var _ = ReportAfterSuite("failures", failed.Report)

var _ = BeforeSuite(func(ctx SpecContext) {
	var err error
	published, err = modules(ctx)
	Expect(err).NotTo(HaveOccurred())
	binary = bed.Build(ctx)
	world = bed.Start(ctx, cluster.Options{ControllerManager: true})
	admin = world.Admin
	objects, err = dynamic.NewForConfig(world.Cluster.Config())
	Expect(err).NotTo(HaveOccurred())
	Expect(admin.Create(ctx, fixture.Profile(v1alpha1.DefaultProfile, func(p *v1alpha1.HIPAAProfile) {
		p.Spec.Gateways = []v1alpha1.PeerPods{{Namespace: "edge", PodSelector: v1alpha1.PodSelector{MatchLabels: map[string]string{"app": "gateway"}}}}
	}))).To(Succeed())
	startOperator(ctx)
}, NodeTimeout(10*time.Minute))

var _ = AfterEach(func() { world.KeepOnFailure() })

func startOperator(ctx context.Context, args ...string) {
	GinkgoHelper()
	world.Operate(ctx, operator.Options{Binary: binary, Args: args})
}

func resource(k extension.Kind) schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: k.Group, Version: k.Version, Resource: k.Resource}
}

// object reads an object of an optional kind; nil when it does not exist.
func object(ctx context.Context, k extension.Kind, namespace, name string) *unstructured.Unstructured {
	GinkgoHelper()
	u, err := objects.Resource(resource(k)).Namespace(namespace).Get(ctx, name, metav1.GetOptions{})
	Expect(client.IgnoreNotFound(err)).To(Succeed())
	if err != nil {
		return nil
	}
	return u
}

// spec reads the spec of an object of an optional kind; nil when it does not exist.
func spec(ctx context.Context, k extension.Kind, namespace, name string) func() any {
	return func() any {
		u := object(ctx, k, namespace, name)
		if u == nil {
			return nil
		}
		return u.Object["spec"]
	}
}

func get(ctx context.Context, name string) *v1alpha1.HIPAATenant {
	GinkgoHelper()
	t := &v1alpha1.HIPAATenant{}
	Expect(admin.Get(ctx, client.ObjectKey{Name: name}, t)).To(Succeed())
	return t
}

func change(ctx context.Context, name string, edit func(*v1alpha1.HIPAATenant)) {
	GinkgoHelper()
	Eventually(func() error {
		t := get(ctx, name)
		edit(t)
		return admin.Update(ctx, t)
	}).Should(Succeed())
}

// state is status and reason of a condition of the tenant's present generation, as in "True/Ready".
func state(ctx context.Context, name, kind string) func() string {
	return func() string {
		t := get(ctx, name)
		c := meta.FindStatusCondition(t.Status.Conditions, kind)
		if c == nil || t.Status.ObservedGeneration != t.Generation {
			return ""
		}
		return string(c.Status) + "/" + c.Reason
	}
}

func awaitReady(ctx context.Context, name string) *v1alpha1.HIPAATenant {
	GinkgoHelper()
	Eventually(state(ctx, name, v1alpha1.ConditionReady)).WithTimeout(time.Minute).Should(Equal("True/Ready"), func() string {
		text := ""
		for _, c := range get(ctx, name).Status.Conditions {
			text += "\n" + c.Type + "=" + string(c.Status) + " " + c.Reason + ": " + c.Message
		}
		return text
	})
	return get(ctx, name)
}

// finding is the severity of the tenant's finding with a code; empty when there is none.
func finding(ctx context.Context, name, code string) func() string {
	return func() string {
		for _, f := range get(ctx, name).Status.Findings {
			if f.Code == code {
				return string(f.Severity)
			}
		}
		return ""
	}
}

// remembered are the kinds of optional objects in the tenant's inventory.
func remembered(ctx context.Context, name string) func() []string {
	return func() []string {
		var kinds []string
		for _, ref := range get(ctx, name).Status.Inventory {
			if _, optional := extension.ByName(ref.Kind); optional {
				kinds = append(kinds, ref.Kind+"/"+ref.Name)
			}
		}
		return kinds
	}
}
