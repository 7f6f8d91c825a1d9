package tenant

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/test/bed"
	"github.com/hipaatenant/hipaa-tenant-operator/test/fixture"
)

// Admission judges what is written. What stood before a namespace was taken over, or before its tenant's spec got
// narrower, is judged by the operator.
var _ = Describe("what others left in a namespace", Ordered, func() {
	const name = "occupied"
	in := func(object string) metav1.ObjectMeta { return metav1.ObjectMeta{Namespace: name, Name: object} }
	from := func(cidr string) networkingv1.NetworkPolicySpec {
		return networkingv1.NetworkPolicySpec{Ingress: []networkingv1.NetworkPolicyIngressRule{{
			From: []networkingv1.NetworkPolicyPeer{{IPBlock: &networkingv1.IPBlock{CIDR: cidr}}},
		}}}
	}
	open := &networkingv1.NetworkPolicy{ObjectMeta: in("open"), Spec: networkingv1.NetworkPolicySpec{Ingress: []networkingv1.NetworkPolicyIngressRule{{}}}}
	posing := &networkingv1.NetworkPolicy{ObjectMeta: in("posing"), Spec: from("0.0.0.0/0")}
	posing.Labels = map[string]string{v1alpha1.LabelManagedBy: v1alpha1.OperatorName}
	everybody := &rbacv1.RoleBinding{
		ObjectMeta: in("everybody"),
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "edit"},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.GroupKind, Name: "system:authenticated"}},
	}
	message := func(ctx SpecContext, kind string) func() string {
		return func() string { return bed.Condition(get(ctx, name), kind).Message }
	}

	It("is not taken over while something in it poses as the operator's", func(ctx SpecContext) {
		Expect(admin.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})).To(Succeed())
		for _, object := range []client.Object{open.DeepCopy(), posing.DeepCopy(), everybody.DeepCopy()} {
			Expect(admin.Create(ctx, object)).To(Succeed())
		}
		create(ctx, fixture.Tenant(name, func(t *v1alpha1.HIPAATenant) {
			t.Spec.Namespaces = []v1alpha1.TenantNamespace{{Name: name, Adopt: true}}
		}))
		Eventually(state(ctx, name, v1alpha1.ConditionReady)).Should(Equal("False/" + v1alpha1.ReasonNamespaceConflict))
		Expect(message(ctx, v1alpha1.ConditionReady)()).To(ContainSubstring("posing (labelled as the operator's"))
		Expect(namespace(ctx, name).Labels).NotTo(HaveKey(v1alpha1.LabelTenant))
		Expect(admin.Delete(ctx, posing.DeepCopy())).To(Succeed())
	})

	It("keeps the tenant from being Ready, by name", func(ctx SpecContext) {
		change(ctx, name, func(t *v1alpha1.HIPAATenant) { t.Spec.SessionTimeout = "10m" })
		Eventually(state(ctx, name, v1alpha1.ConditionNetworkIsolated)).Should(Equal("False/" + v1alpha1.ReasonNetworkPolicyTooWide))
		Expect(message(ctx, v1alpha1.ConditionNetworkIsolated)()).To(ContainSubstring("open (ingress with everybody)"))
		Expect(state(ctx, name, v1alpha1.ConditionAccessBound)()).To(Equal("False/" + v1alpha1.ReasonAccessTooWide))
		Expect(state(ctx, name, v1alpha1.ConditionReady)()).To(HavePrefix("False/"))
	})

	It("is not touched, and is no obstacle once its owner took it away", func(ctx SpecContext) {
		for _, object := range []client.Object{open.DeepCopy(), everybody.DeepCopy()} {
			Expect(admin.Get(ctx, client.ObjectKeyFromObject(object), object)).To(Succeed())
		}
		Expect(admin.Delete(ctx, open.DeepCopy())).To(Succeed())
		Expect(admin.Delete(ctx, everybody.DeepCopy())).To(Succeed())
		awaitReady(ctx, name)
	})

	It("is reported within seconds when the allowlist no longer covers it", func(ctx SpecContext) {
		const narrowed = "narrowed"
		create(ctx, fixture.Tenant(narrowed))
		awaitReady(ctx, narrowed)
		policy := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: narrowed, Name: "office"}, Spec: from(fixture.Allowlist)}
		Expect(admin.Create(ctx, policy)).To(Succeed())
		awaitReady(ctx, narrowed)
		change(ctx, narrowed, func(t *v1alpha1.HIPAATenant) { t.Spec.IPAllowlist = []v1alpha1.CIDR{"198.51.100.0/24"} })
		began := time.Now()
		Eventually(state(ctx, narrowed, v1alpha1.ConditionNetworkIsolated)).WithTimeout(foundWithin).Should(Equal("False/" + v1alpha1.ReasonNetworkPolicyTooWide))
		AddReportEntry("a policy the allowlist no longer covers, reported after", time.Since(began).Round(time.Millisecond).String())
		Expect(admin.Delete(ctx, policy)).To(Succeed())
		awaitReady(ctx, narrowed)
	})

	It("is reported within seconds in a namespace that the tenant gives up, too", func(ctx SpecContext) {
		const vacated, old = "vacated", "vacated-old"
		both := []v1alpha1.TenantNamespace{{Name: vacated}, {Name: old}}
		create(ctx, fixture.Tenant(vacated, func(t *v1alpha1.HIPAATenant) { t.Spec.Namespaces = both }))
		awaitReady(ctx, vacated)
		policy := policyOf(old, "egress: [{to: [{podSelector: {}}]}]")
		Expect(admin.Create(ctx, policy)).To(Succeed())
		awaitReady(ctx, vacated)
		said := state(ctx, vacated, v1alpha1.ConditionNetworkIsolated)
		expectTold("a policy in a namespace that was given up", said, tooWide, func() {
			change(ctx, vacated, func(t *v1alpha1.HIPAATenant) { t.Spec.Namespaces = both[:1] })
		})
		expectTold("its end", said, written, func() { Expect(admin.Delete(ctx, policy)).To(Succeed()) })
		awaitReady(ctx, vacated)
	})

	It("cannot hide an object of the operator's by taking its labels off", func(ctx SpecContext) {
		const name = "narrowed"
		Expect(world.Running.Kill()).To(Succeed())
		startOperator(ctx, "--admission-policies=verify")
		DeferCleanup(func(ctx SpecContext) {
			Expect(world.Running.Kill()).To(Succeed())
			startOperator(ctx)
			awaitReady(ctx, name)
		})
		tearDownPolicies(ctx, name)
		stood := objects(ctx, get(ctx, name))
		for _, object := range []client.Object{
			&networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: name, Name: v1alpha1.PolicyDefaultDeny}},
			&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: name, Name: v1alpha1.ConfigMapConfig}},
		} {
			Eventually(func() error { return merge(ctx, object, `{"metadata":{"labels":null}}`) }).Should(Succeed())
			Eventually(func() map[v1alpha1.ObjectRef]string { return objects(ctx, get(ctx, name)) }).Should(Equal(stood))
		}
	})
})
