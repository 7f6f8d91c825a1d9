package tenant

import (
	"context"
	"os"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/pkg/tenantconfig"
	"github.com/hipaatenant/hipaa-tenant-operator/test/fixture"
)

// The example application of the documentation is admitted by every policy and by Pod Security at level restricted, gets the
// tenant's settings in both forms, and the settings follow the tenant.
var _ = Describe("the example application", func() {
	It("runs in a tenant's namespace, and is told what the tenant says", func(ctx SpecContext) {
		const name = "exemplary"
		create(ctx, fixture.Tenant(name, func(t *v1alpha1.HIPAATenant) {
			t.Spec.DisabledChannels = []v1alpha1.Name{"fax"}
			t.Spec.Application = &v1alpha1.Application{
				CallRecording: "Manual", RecordingRetention: "720h", SearchableFields: []string{"ticketId"},
				HiddenFields: []v1alpha1.HiddenFields{{Role: "agent", Fields: []string{"ssn"}}},
			}
		}))
		awaitReady(ctx, name)
		applyExample(ctx, name)
		deployment := &appsv1.Deployment{}
		Eventually(func(g Gomega) {
			g.Expect(admin.Get(ctx, client.ObjectKey{Namespace: name, Name: "tenant-app"}, deployment)).To(Succeed())
			g.Expect(deployment.Status.AvailableReplicas).To(BeEquivalentTo(1), "%+v", deployment.Status.Conditions)
		}).Should(Succeed())
		var pods corev1.PodList
		Expect(admin.List(ctx, &pods, client.InNamespace(name), client.MatchingLabels{"app": "tenant-app"})).To(Succeed())
		Expect(pods.Items).To(HaveLen(1))
		from := pods.Items[0].Spec.Containers[0].EnvFrom
		Expect(from).To(HaveLen(1))
		Expect(from[0].ConfigMapRef.Name).To(Equal(v1alpha1.ConfigMapConfig))

		c := toldTo(ctx, name)
		Expect(c.IdleTimeout()).To(Equal(15 * time.Minute))
		Expect(c.ChannelDisabled("fax")).To(BeTrue())
		Expect(c.MayRecord(tenantconfig.RecordingManual)).To(BeTrue())
		Expect(c.FieldHidden("agent", "ssn")).To(BeTrue())
		change(ctx, name, func(t *v1alpha1.HIPAATenant) {
			t.Spec.SessionTimeout = "10m"
			t.Spec.DisabledChannels = nil
			t.Spec.Application = nil
		})
		Eventually(func() time.Duration { return toldTo(ctx, name).IdleTimeout() }).Should(Equal(10 * time.Minute))
		c = toldTo(ctx, name)
		Expect(c.ChannelDisabled("fax")).To(BeFalse())
		Expect(c.MayRecord(tenantconfig.RecordingManual)).To(BeFalse())
	})
})

// applyExample creates what config/samples/tenant-app has for a cluster.
func applyExample(ctx context.Context, namespace string) {
	GinkgoHelper()
	text, err := os.ReadFile("../../../config/samples/tenant-app/deployment.yaml")
	Expect(err).NotTo(HaveOccurred())
	for part := range strings.SplitSeq(string(text), "\n---\n") {
		object := &unstructured.Unstructured{}
		Expect(yaml.UnmarshalStrict([]byte(part), &object.Object)).To(Succeed())
		object.SetNamespace(namespace)
		Expect(admin.Create(ctx, object)).To(Succeed())
	}
}

// toldTo is what workloads of a namespace read. The variables say the same as the document.
func toldTo(ctx context.Context, namespace string) tenantconfig.Config {
	GinkgoHelper()
	config := &corev1.ConfigMap{}
	Expect(admin.Get(ctx, client.ObjectKey{Namespace: namespace, Name: v1alpha1.ConfigMapConfig}, config)).To(Succeed())
	c, err := tenantconfig.Parse([]byte(config.Data[v1alpha1.ConfigKey]))
	Expect(err).NotTo(HaveOccurred())
	delete(config.Data, v1alpha1.ConfigKey)
	Expect(config.Data).To(Equal(c.Env()))
	return c
}
