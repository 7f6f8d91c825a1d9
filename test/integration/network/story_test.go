package network

import (
	"context"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/netprobe"
)

const (
	verified  = "True/Verified: the network policies stand, and the network plug-in enforces them"
	ignored   = "False/PluginDoesNotEnforce: the network policies stand, and the network plug-in does not enforce them: a connection they forbid at "
	unknownAs = "Unknown/PolicyWritten: the network policies stand; whether the network plug-in enforces them is not known: "
)

var _ = Describe("the network probe", func() {
	It("says what the network lets through, and the next leader says the same", func(ctx SpecContext) {
		b := start(ctx)
		b.operate(ctx)
		isolated, ready := b.says(ctx, v1alpha1.ConditionNetworkIsolated), b.says(ctx, v1alpha1.ConditionReady)

		By("having no namespace, and then one with nothing that lets a connection through")
		Eventually(isolated).Should(Equal(unknownAs + "namespace hipaa-system-probe does not exist; make it, as config/network-probe does"))
		Expect(ready()).To(HavePrefix("True/Ready"))
		b.install(ctx)
		Eventually(isolated).Should(HavePrefix(unknownAs + "the connection over IPv4 that policies allow does not go through either; take namespace hipaa-system-probe out of what"))

		By("enforcing what the policies say")
		b.lets(netprobe.Allowed)
		Eventually(isolated).Should(HavePrefix(verified))
		Expect(isolated()).To(MatchRegexp(`\(seen first at 20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ, from node node-a to node node-b\)$`))
		Expect(b.events(ctx, "NetworkPoliciesEnforced")()).To(HaveLen(1))
		b.expectQuiet(ctx, "enforced")

		By("ignoring one side")
		b.lets(netprobe.Allowed, netprobe.Egress)
		Eventually(isolated).Should(HavePrefix(ignored + "egress went through"))
		Eventually(ready).Should(HavePrefix("False/PluginDoesNotEnforce: NetworkIsolated: "))
		Expect(b.says(ctx, v1alpha1.ConditionBAAInForce)()).To(HavePrefix("False/MandatorySettingMissing"))
		Expect(b.says(ctx, v1alpha1.ConditionNamespacesReady)()).To(HavePrefix("True/Enforced"), "no gate closes")
		Expect(b.events(ctx, "PluginDoesNotEnforce")()).To(ConsistOf(ContainSubstring("install, or turn on, a network plug-in that enforces NetworkPolicy, such as Calico or Cilium")))

		By("ignoring both, and killing the operator while its pods run")
		b.lets(netprobe.Kinds()...)
		Eventually(isolated).Should(HavePrefix(ignored + "ingress and at egress went through"))
		b.set(func(k *kubelet) { k.freezes = true })
		Eventually(b.pods(ctx)).Should(ContainElement(HavePrefix("hipaa-network-probe-client-")))
		Expect(b.Running.Kill()).To(Succeed())
		left, before := b.pods(ctx)(), b.Tenant(ctx, tenant).ResourceVersion
		Expect(left).To(HaveLen(2))
		b.set(func(k *kubelet) { k.freezes = false })
		b.operate(ctx)
		b.expectQuiet(ctx, "not_enforced")
		Expect(b.Tenant(ctx, tenant).ResourceVersion).To(Equal(before), "a restart and a further run write no status")
		for _, name := range left {
			Expect(b.pods(ctx)()).NotTo(ContainElement(name))
		}

		By("enforcing again, in two runs")
		b.lets(netprobe.Allowed)
		Eventually(isolated).Should(HavePrefix(verified))
		Eventually(ready).Should(HavePrefix("True/Ready"))
	})

	It("is hindered, says by what, and is not misled", func(ctx SpecContext) {
		b := start(ctx)
		b.install(ctx)
		b.set(func(k *kubelet) { k.pulls = false })
		b.operate(ctx)
		isolated := b.says(ctx, v1alpha1.ConditionNetworkIsolated)
		Eventually(isolated).Should(Equal(unknownAs + "the image of the probe's pods cannot be pulled (more in ConfigMap hipaa-system-probe/hipaa-network-probe)"))
		Expect(b.record(ctx)).To(HaveKeyWithValue("lastDetail", HavePrefix("ErrImagePull: no such image")))
		Expect(b.events(ctx, "NetworkProbeInconclusive")()).To(ConsistOf(And(ContainSubstring("ErrImagePull: no such image"), HaveSuffix("ä..."))), "the API server refuses longer notes")

		By("opening the probe's own policies, and adding one")
		b.set(func(k *kubelet) { k.pulls = true })
		b.lets(netprobe.Allowed)
		Eventually(isolated).Should(HavePrefix(verified))
		deny := &networkingv1.NetworkPolicy{}
		Expect(b.Admin.Get(ctx, client.ObjectKey{Namespace: home, Name: "hipaa-network-probe-deny"}, deny)).To(Succeed())
		deny.Spec.Ingress = []networkingv1.NetworkPolicyIngressRule{{}}
		Expect(b.Admin.Update(ctx, deny)).To(Succeed())
		Eventually(func() []networkingv1.NetworkPolicyIngressRule {
			Expect(b.Admin.Get(ctx, client.ObjectKeyFromObject(deny), deny)).To(Succeed())
			return deny.Spec.Ingress
		}).Should(BeEmpty())
		Expect(b.Admin.Create(ctx, &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: home, Name: "allow-all"}, Spec: networkingv1.NetworkPolicySpec{
			Ingress: []networkingv1.NetworkPolicyIngressRule{{}}, Egress: []networkingv1.NetworkPolicyEgressRule{{}},
			PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress},
		}})).To(Succeed())
		b.lets(netprobe.Kinds()...)
		Eventually(func() map[string]string { return b.record(ctx) }).Should(And(
			HaveKeyWithValue("lastWhy", "namespace hipaa-system-probe holds network policies of somebody else; delete them"), HaveKeyWithValue("lastDetail", "allow-all")))
		Expect(isolated()).To(HavePrefix(verified), "what could not be told changes nothing for a while")
		Expect(b.events(ctx, "PluginDoesNotEnforce")()).To(BeEmpty())
		Eventually(b.pods(ctx)).Should(BeEmpty())
	})
})

// expectQuiet waits for a further run with that result, which changes nothing of the tenant.
func (b *world) expectQuiet(ctx context.Context, result string) {
	GinkgoHelper()
	status := b.Tenant(ctx, tenant).ResourceVersion
	last := b.record(ctx)["lastRun"]
	Eventually(func() map[string]string { return b.record(ctx) }).Should(And(
		HaveKeyWithValue("lastRun", Not(Equal(last))), HaveKeyWithValue("lastOutcome", HavePrefix(result+",")), HaveKeyWithValue("result", result)))
	Expect(b.Tenant(ctx, tenant).ResourceVersion).To(Equal(status))
}

// record is what the probe remembers.
func (b *world) record(ctx context.Context) map[string]string {
	GinkgoHelper()
	record := &corev1.ConfigMap{}
	Expect(b.Admin.Get(ctx, client.ObjectKey{Namespace: home, Name: v1alpha1.ConfigMapNetworkProbe}, record)).To(Succeed())
	return record.Data
}

// events are the notes of those of a reason about the operator. There are none about the tenant: they would be as many as tenants.
func (b *world) events(ctx context.Context, reason string) func() []string {
	return func() []string {
		GinkgoHelper()
		var list eventsv1.EventList
		Expect(b.Admin.List(ctx, &list)).To(Succeed())
		var notes []string
		for _, e := range list.Items {
			if e.Reason != reason {
				continue
			}
			Expect(e.Regarding.Kind + " " + e.Regarding.Name).To(Equal("Namespace " + v1alpha1.OperatorNamespace))
			notes = append(notes, strings.TrimSpace(e.Note))
		}
		return notes
	}
}
