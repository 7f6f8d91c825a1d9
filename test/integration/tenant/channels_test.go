package tenant

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/compile"
	"github.com/hipaatenant/hipaa-tenant-operator/test/bed"
	"github.com/hipaatenant/hipaa-tenant-operator/test/fixture"
)

const (
	serving   = "False/" + v1alpha1.ReasonChannelPodsRunning
	delivered = "True/" + v1alpha1.ReasonEnforced
	stale     = "True/" + v1alpha1.ReasonConfigStale
)

var _ = Describe("pods of a channel that is disabled", Ordered, func() {
	const name, profile = "texter", "texting"
	ceiling := fixture.Profile(profile)
	require := func(ctx SpecContext, channels ...v1alpha1.Name) {
		ceiling.Spec.RequiredDisabledChannels = channels
		Expect(admin.Update(ctx, ceiling)).To(Succeed())
	}

	BeforeAll(func(ctx SpecContext) {
		Expect(admin.Create(ctx, ceiling)).To(Succeed())
		create(ctx, fixture.Tenant(name, of(profile)))
		awaitReady(ctx, name)
		deploy(ctx, forChannel("sms", deployment(name, "texts", 2)))
		deploy(ctx, deployment(name, "web", 1))
		Expect(state(ctx, name, v1alpha1.ConditionConfigDelivered)()).To(Equal(delivered))
	})

	It("are found when its tenant disables it, and forgotten when it enables it again", func(ctx SpecContext) {
		said := state(ctx, name, v1alpha1.ConditionConfigDelivered)
		expectTold("a channel the tenant disabled", said, serving, func() { disable(ctx, name, "sms") })
		Expect(findingOf(ctx, name, compile.CodeChannelPodsRunning).Message).To(And(ContainSubstring("2 in all: "+name+"/texts-"), Not(ContainSubstring("web"))))
		Expect(bed.Condition(get(ctx, name), v1alpha1.ConditionReady).Reason).To(Equal(v1alpha1.ReasonChannelPodsRunning))
		Eventually(events(ctx, name)).Should(ContainElement(compile.CodeChannelPodsRunning))
		Expect(world.Metrics(ctx)).To(ContainSubstring(`hipaatenant_disabled_channel_pods{tenant="%s"} 2`, name))
		expectTold("a channel the tenant enabled again", said, delivered, func() { disable(ctx, name) })
		awaitReady(ctx, name)
		Expect(world.Metrics(ctx)).NotTo(ContainSubstring(`hipaatenant_disabled_channel_pods{tenant="%s"}`, name))
	})

	It("are found when the profile disables it, and Report evicts nobody", func(ctx SpecContext) {
		expectTold("a channel the profile disabled", state(ctx, name, v1alpha1.ConditionConfigDelivered), serving, func() { require(ctx, "sms") })
		stood := get(ctx, name).ResourceVersion
		Consistently(func() string { return get(ctx, name).ResourceVersion }, "3s", "200ms").Should(Equal(stood))
		Expect(podsOf(ctx, name)).To(HaveLen(3))
	})

	It("are forgotten when they no longer say that they serve it, or are gone", func(ctx SpecContext) {
		said := state(ctx, name, v1alpha1.ConditionConfigDelivered)
		expectTold("pods deleted", said, stale, func() {
			Expect(admin.Delete(ctx, &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: name, Name: "texts"}})).To(Succeed())
		})
		require(ctx)
		awaitReady(ctx, name)
		template := podTemplate("lone")
		lone := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: name, Name: "lone", Labels: map[string]string{v1alpha1.LabelChannel: "sms"}}, Spec: template.Spec}
		Eventually(func() error { return admin.Create(ctx, lone.DeepCopy()) }).Should(Succeed())
		Eventually(func() corev1.PodPhase {
			Expect(admin.Get(ctx, client.ObjectKeyFromObject(lone), lone)).To(Succeed())
			return lone.Status.Phase
		}).Should(Equal(corev1.PodRunning))
		expectTold("a channel the profile disabled once more", said, serving, func() { require(ctx, "sms") })
		expectTold("a label taken off", said, stale, func() {
			Expect(merge(ctx, lone, `{"metadata":{"labels":{"hipaatenant.dev/channel":null}}}`)).To(Succeed())
		})
		awaitReady(ctx, name)
	})
})

var _ = Describe("pods of a disabled channel, where the profile says Evict", func() {
	const profile = "silencing"

	It("go, also those nobody would make anew; none takes their place until the channel is enabled again", func(ctx SpecContext) {
		const name = "silenced"
		Expect(admin.Create(ctx, fixture.Profile(profile, func(p *v1alpha1.HIPAAProfile) { p.Spec.OnDisabledChannel = "Evict" }))).To(Succeed())
		create(ctx, fixture.Tenant(name, of(profile)))
		awaitReady(ctx, name)
		deploy(ctx, forChannel("sms", deployment(name, "texts", 4)))
		deploy(ctx, forChannel("fax", deployment(name, "faxes", 1)))
		guarded := forChannel("sms", deployment(name, "guarded", 1))
		deploy(ctx, guarded)
		budget := &policyv1.PodDisruptionBudget{
			ObjectMeta: metav1.ObjectMeta{Namespace: name, Name: "guarded"},
			Spec:       policyv1.PodDisruptionBudgetSpec{MinAvailable: new(intstr.FromInt32(1)), Selector: guarded.Spec.Selector},
		}
		Expect(admin.Create(ctx, budget)).To(Succeed())
		Eventually(func() int32 {
			Expect(admin.Get(ctx, client.ObjectKeyFromObject(budget), budget)).To(Succeed())
			return budget.Status.ExpectedPods
		}).Should(Equal(int32(1)))
		template := podTemplate("lone")
		lone := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: name, Name: "lone", Labels: map[string]string{v1alpha1.LabelChannel: "sms"}}, Spec: template.Spec}
		Expect(admin.Create(ctx, lone)).To(Succeed())
		disable(ctx, name, "sms")
		Eventually(func() map[string]int { return runningByApp(ctx, name) }, "40s").Should(Equal(map[string]int{"faxes": 1, "guarded": 1}))
		Consistently(func() map[string]int { return runningByApp(ctx, name) }, "3s", "200ms").Should(Equal(map[string]int{"faxes": 1, "guarded": 1}))
		Expect(findingOf(ctx, name, compile.CodeEvictionHeld).Message).To(ContainSubstring("runs on, because a PodDisruptionBudget does not allow it now"))
		Eventually(events(ctx, name)).Should(ContainElement("ChannelPodEvicted"))
		Expect(admin.Delete(ctx, budget)).To(Succeed())
		Eventually(state(ctx, name, v1alpha1.ConditionReady), "40s").Should(Equal("True/Ready"))
		Expect(runningByApp(ctx, name)).To(Equal(map[string]int{"faxes": 1}))
		disable(ctx, name)
		awaitReady(ctx, name)
		texts := deployment(name, "texts", 0)
		Eventually(func() error {
			return merge(ctx, texts, `{"spec":{"template":{"metadata":{"annotations":{"again":"1"}}}}}`)
		}).Should(Succeed())
		Eventually(func() map[string]int { return runningByApp(ctx, name) }, "40s").Should(HaveKeyWithValue("texts", 4))
	})
})

// disable makes these the channels a tenant disables.
func disable(ctx context.Context, tenant string, channels ...v1alpha1.Name) {
	GinkgoHelper()
	change(ctx, tenant, func(t *v1alpha1.HIPAATenant) { t.Spec.DisabledChannels = channels })
}

func forChannel(channel string, d *appsv1.Deployment) *appsv1.Deployment {
	d.Spec.Template.Labels[v1alpha1.LabelChannel] = channel
	return d
}

// runningByApp counts the running pods of a namespace by what they belong to.
func runningByApp(ctx context.Context, namespace string) map[string]int {
	GinkgoHelper()
	out := map[string]int{}
	for _, p := range podsOf(ctx, namespace) {
		if p.Status.Phase == corev1.PodRunning {
			out[p.Labels["app"]]++
		}
	}
	return out
}
