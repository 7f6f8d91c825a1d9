package tenant

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/compile"
	"github.com/hipaatenant/hipaa-tenant-operator/test/cluster"
	"github.com/hipaatenant/hipaa-tenant-operator/test/fixture"
)

var _ = Describe("misplaced pods of a profile that says Evict", Ordered, func() {
	const profile = "evicting"

	BeforeAll(func(ctx SpecContext) {
		Expect(admin.Create(ctx, fixture.Profile(profile, func(p *v1alpha1.HIPAAProfile) {
			p.Spec.Placement = &v1alpha1.PlacementRules{OnMisplaced: "Evict"}
		}))).To(Succeed())
	})

	It("move to an allowed region; those nobody would make anew stay, and a DaemonSet's do not come back", func(ctx SpecContext) {
		const name, node = "mover", "moving"
		addNode(ctx, cluster.Node{Name: node, Region: fixture.FailoverRegion})
		create(ctx, fixture.Tenant(name, failover, of(profile)))
		awaitReady(ctx, name)
		deploy(ctx, deployment(name, "web", 5, preferring(node)))
		Expect(podNames(ctx, name, node)).To(HaveLen(5))
		daemons := &appsv1.DaemonSet{
			ObjectMeta: metav1.ObjectMeta{Namespace: name, Name: "agent"},
			Spec: appsv1.DaemonSetSpec{
				Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "agent"}}, Template: podTemplate("agent", onNode(node)),
			},
		}
		Expect(admin.Create(ctx, daemons)).To(Succeed())
		bare := podTemplate("bare", onNode(node))
		Expect(admin.Create(ctx, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: name, Name: "bare"}, Spec: bare.Spec})).To(Succeed())
		Eventually(func() []string { return podNames(ctx, name, node) }).Should(HaveLen(7))

		expectSoon(ctx, "a relabelled node", name, misplaced, func() { label(ctx, node, "eu-west-1") })
		Eventually(func() []string { return podNames(ctx, name, node) }, "30s").Should(ConsistOf("bare"))
		Expect(findingOf(ctx, name, compile.CodeEvictionHeld).Message).To(ContainSubstring(name + "/bare is left where it is, because it has no controller"))
		Eventually(func() map[string]string { return regionsByPod(ctx, name, "web") }).Should(And(HaveLen(5), HaveEach(BeElementOf(fixture.Region, fixture.FailoverRegion))))
		Eventually(events(ctx, name)).Should(ContainElement("MisplacedPodEvicted"))
		waiting := unbound(ctx, name)
		Expect(waiting).To(HaveLen(1), "the DaemonSet's pod waits for a node it may run on")
		Consistently(func() map[string]types.UID { return unbound(ctx, name) }, "3s", "200ms").Should(Equal(waiting))

		Expect(admin.Delete(ctx, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: name, Name: "bare"}})).To(Succeed())
		awaitReady(ctx, name)
	})

	It("stay while a PodDisruptionBudget says so, and no longer", func(ctx SpecContext) {
		const name, node = "guarded", "leaving"
		addNode(ctx, cluster.Node{Name: node, Region: fixture.Region})
		create(ctx, fixture.Tenant(name, of(profile)))
		awaitReady(ctx, name)
		deploy(ctx, deployment(name, "web", 2, preferring(node)))
		budget := &policyv1.PodDisruptionBudget{
			ObjectMeta: metav1.ObjectMeta{Namespace: name, Name: "web"},
			Spec: policyv1.PodDisruptionBudgetSpec{
				MinAvailable: new(intstr.FromInt32(2)), Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}},
			},
		}
		Expect(admin.Create(ctx, budget)).To(Succeed())
		Eventually(func() int32 {
			Expect(admin.Get(ctx, types.NamespacedName{Namespace: name, Name: "web"}, budget)).To(Succeed())
			return budget.Status.ExpectedPods
		}).Should(Equal(int32(2)))
		pods := podNames(ctx, name, node)
		label(ctx, node, "eu-west-1")
		Eventually(func() bool { return hasFinding(ctx, name, compile.CodeEvictionHeld) }).Should(BeTrue())
		Expect(findingOf(ctx, name, compile.CodeEvictionHeld).Message).To(ContainSubstring("a PodDisruptionBudget does not allow it now"))
		Consistently(func() []string { return podNames(ctx, name, node) }, "3s", "200ms").Should(Equal(pods))
		stood := get(ctx, name).ResourceVersion
		Consistently(func() string { return get(ctx, name).ResourceVersion }, "12s", "500ms").Should(Equal(stood), "another attempt changes nothing, so nothing is written")
		Expect(admin.Delete(ctx, budget)).To(Succeed())
		Eventually(state(ctx, name, v1alpha1.ConditionReady), "40s").Should(Equal("True/Ready"))
		Eventually(func() map[string]string { return regionsByPod(ctx, name, "web") }).Should(And(HaveLen(2), HaveEach(fixture.Region)))
	})

	It("stay when the region left the profile: new ones would be admitted where they are", func(ctx SpecContext) {
		const name = "marooned"
		own := fixture.Profile("evicting-shrinking", func(p *v1alpha1.HIPAAProfile) {
			p.Spec.Placement = &v1alpha1.PlacementRules{OnMisplaced: "Evict"}
		})
		Expect(admin.Create(ctx, own)).To(Succeed())
		create(ctx, fixture.Tenant(name, failover, of("evicting-shrinking")))
		awaitReady(ctx, name)
		deploy(ctx, deployment(name, "web", 2, onNode("node-us-west-2")))
		pods := podNames(ctx, name, "node-us-west-2")
		expectSoon(ctx, "a region that left the profile", name, misplaced, func() {
			own.Spec.Regions = own.Spec.Regions[:1]
			Expect(admin.Update(ctx, own)).To(Succeed())
		})
		Expect(findingOf(ctx, name, compile.CodeEvictionHeld).Message).To(ContainSubstring("the spec cannot be honoured"))
		Consistently(func() []string { return podNames(ctx, name, "node-us-west-2") }, "3s", "200ms").Should(Equal(pods))
		change(ctx, name, func(t *v1alpha1.HIPAATenant) { t.Spec.FailoverRegions = nil })
		Eventually(func() []string { return podNames(ctx, name, "node-us-west-2") }, "30s").Should(BeEmpty())
	})
})

// preferring wants a pod on a node if it can be had.
func preferring(node string) func(*corev1.PodSpec) {
	return func(s *corev1.PodSpec) {
		s.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{
			PreferredDuringSchedulingIgnoredDuringExecution: []corev1.PreferredSchedulingTerm{{Weight: 100, Preference: corev1.NodeSelectorTerm{
				MatchExpressions: []corev1.NodeSelectorRequirement{{Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: []string{node}}},
			}}},
		}}
	}
}

// regionsByPod are the regions that the nodes of an app's running pods have now.
func regionsByPod(ctx context.Context, namespace, app string) map[string]string {
	GinkgoHelper()
	out := map[string]string{}
	for _, p := range podsOf(ctx, namespace) {
		if p.Labels["app"] != app || p.Status.Phase != corev1.PodRunning {
			continue
		}
		node := &corev1.Node{}
		Expect(admin.Get(ctx, types.NamespacedName{Name: p.Spec.NodeName}, node)).To(Succeed())
		out[p.Name] = node.Labels[corev1.LabelTopologyRegion]
	}
	return out
}

// unbound are the pods of a namespace that no node has.
func unbound(ctx context.Context, namespace string) map[string]types.UID {
	GinkgoHelper()
	out := map[string]types.UID{}
	for _, p := range podsOf(ctx, namespace) {
		if p.Spec.NodeName == "" {
			out[p.Name] = p.UID
		}
	}
	return out
}

// events are the reasons of events about a tenant.
func events(ctx context.Context, tenant string) func() []string {
	return func() []string {
		var list eventsv1.EventList
		Expect(admin.List(ctx, &list)).To(Succeed())
		var reasons []string
		for _, e := range list.Items {
			if e.Regarding.Kind == "HIPAATenant" && e.Regarding.Name == tenant {
				reasons = append(reasons, e.Reason)
			}
		}
		return reasons
	}
}
