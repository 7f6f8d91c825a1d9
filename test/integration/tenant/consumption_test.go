package tenant

import (
	"context"
	"fmt"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/compile"
	"github.com/hipaatenant/hipaa-tenant-operator/test/fixture"
)

var _ = Describe("pods that run with another config", Ordered, func() {
	const name, replicas = "settled", 32
	said := func(ctx SpecContext) func() string { return state(ctx, name, v1alpha1.ConditionConfigDelivered) }

	BeforeAll(func(ctx SpecContext) {
		create(ctx, fixture.Tenant(name))
		awaitReady(ctx, name)
		deploy(ctx, deployment(name, "web", replicas))
		Expect(said(ctx)()).To(Equal(delivered))
	})

	It("are counted when the config changes, and hold Ready back no longer than any change does", func(ctx SpecContext) {
		expectTold("a config no pod has", said(ctx), stale, func() {
			change(ctx, name, func(t *v1alpha1.HIPAATenant) { t.Spec.SessionTimeout = "10m" })
		})
		awaitReady(ctx, name)
		Expect(byConfig(ctx, name)).To(Equal([2]int32{replicas, 0}))
		Expect(findingOf(ctx, name, compile.CodeConfigStale).Message).To(ContainSubstring("%d in all: namespace %s (%d); make them anew", replicas, name, replicas))
		Expect(world.Metrics(ctx)).To(ContainSubstring(`hipaatenant_stale_config_pods{tenant="%s"} %d`, name, replicas))
	})

	It("are few status writes while they are rolled out, and forgotten after", func(ctx SpecContext) {
		seen := map[string]bool{get(ctx, name).ResourceVersion: true}
		web := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: name, Name: "web"}}
		Expect(merge(ctx, web, `{"spec":{"template":{"metadata":{"annotations":{"restarted":"1"}}}}}`)).To(Succeed())
		Eventually(func() string {
			seen[get(ctx, name).ResourceVersion] = true
			return said(ctx)()
		}, "60s").Should(Equal(delivered))
		Expect(byConfig(ctx, name)).To(Equal([2]int32{}))
		Expect(len(seen)-1).To(BeNumerically("<=", 4), "status writes while %d pods were replaced", replicas)
		AddReportEntry(fmt.Sprintf("status writes while %d pods were replaced", replicas), len(seen)-1, ReportEntryVisibilityAlways)
		Expect(world.Metrics(ctx)).NotTo(ContainSubstring(`hipaatenant_stale_config_pods{tenant="%s"}`, name))
		stood := get(ctx, name).ResourceVersion
		Consistently(func() string { return get(ctx, name).ResourceVersion }, "12s", "500ms").Should(Equal(stood), "a quiet tenant is not written to")
	})

	It("are counted apart when they asked for none", func(ctx SpecContext) {
		apart := deployment(name, "apart", 1)
		apart.Spec.Template.Annotations = map[string]string{v1alpha1.AnnotationInjectConfig: "false"}
		deploy(ctx, apart)
		Eventually(said(ctx), "30s").Should(Equal("True/" + v1alpha1.ReasonConfigUnknown))
		Expect(byConfig(ctx, name)).To(Equal([2]int32{0, 1}))
		Expect(world.Metrics(ctx)).To(ContainSubstring(`hipaatenant_uninjected_pods{tenant="%s"} 1`, name))
		Expect(admin.Delete(ctx, apart)).To(Succeed())
		Eventually(said(ctx), "30s").Should(Equal(delivered))
	})
})

// byConfig counts the pods of a tenant's only namespace that are stale, and those that were not injected.
func byConfig(ctx context.Context, tenant string) [2]int32 {
	GinkgoHelper()
	list := get(ctx, tenant).Status.Namespaces
	Expect(list).To(HaveLen(1))
	return [2]int32{list[0].StalePods, list[0].UninjectedPods}
}
