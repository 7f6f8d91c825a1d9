package tenant

import (
	"context"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/compile"
	"github.com/hipaatenant/hipaa-tenant-operator/test/fixture"
)

// ended is a day that is past.
const ended v1alpha1.Date = "2026-02-01"

// egress are the networks the operator opened to a tenant's associates.
func egress(ctx context.Context, namespace string) func() []string {
	return func() []string {
		policy := &networkingv1.NetworkPolicy{}
		err := admin.Get(ctx, client.ObjectKey{Namespace: namespace, Name: v1alpha1.PolicyAllowAssociates}, policy)
		if apierrors.IsNotFound(err) {
			return nil
		}
		Expect(err).NotTo(HaveOccurred())
		var cidrs []string
		for _, rule := range policy.Spec.Egress {
			for _, to := range rule.To {
				cidrs = append(cidrs, to.IPBlock.CIDR)
			}
		}
		return cidrs
	}
}

// until changes the last day of a vendor's agreement.
func until(ctx context.Context, vendor string, day v1alpha1.Date) {
	GinkgoHelper()
	Eventually(func() error {
		a := &v1alpha1.BusinessAssociate{}
		Expect(admin.Get(ctx, client.ObjectKey{Name: vendor}, a)).To(Succeed())
		a.Spec.BAA.ExpiresOn = day
		return admin.Update(ctx, a)
	}).Should(Succeed())
}

var _ = Describe("a tenant whose spec cannot be honoured", func() {
	const name = "mistaken"
	var stood map[v1alpha1.ObjectRef]string

	BeforeEach(func(ctx SpecContext) {
		Expect(admin.Create(ctx, fixture.Profile(name, func(p *v1alpha1.HIPAAProfile) {
			p.Spec.BAA = &v1alpha1.BAARules{OnLapse: v1alpha1.LapseIsolate}
			p.Spec.Regions[0].BusinessAssociate = name + "-cloud"
		}))).To(Succeed())
		for vendor, cidr := range map[string]v1alpha1.CIDR{name + "-labs": "198.51.100.128/25", name + "-claims": "198.51.100.0/25", name + "-cloud": "192.0.2.0/24"} {
			Expect(admin.Create(ctx, fixture.Associate(vendor, func(a *v1alpha1.BusinessAssociate) {
				a.Spec.Endpoints[0].CIDRs = []v1alpha1.CIDR{cidr}
			}))).To(Succeed())
		}
		create(ctx, fixture.Tenant(name, func(t *v1alpha1.HIPAATenant) {
			t.Spec.Profile, t.Spec.FailoverRegions = name, []v1alpha1.Region{fixture.FailoverRegion}
			t.Spec.BusinessAssociates = []v1alpha1.Name{name + "-labs", name + "-claims"}
		}))
		stood = objects(ctx, awaitReady(ctx, name))
		change(ctx, name, func(t *v1alpha1.HIPAATenant) { t.Spec.SessionTimeout = "30m" })
		Eventually(state(ctx, name, v1alpha1.ConditionStalled)).Should(Equal("True/" + v1alpha1.ReasonInvalid))
		Expect(objects(ctx, get(ctx, name))).To(Equal(stood), "a mistake alone changes nothing")
	})

	It("loses what is no longer permitted, and gets it back", func(ctx SpecContext) {
		By("the agreement of one vendor ends")
		until(ctx, name+"-labs", ended)
		Eventually(egress(ctx, name)).Should(Equal([]string{"198.51.100.0/25"}))
		Eventually(func() []string { return get(ctx, name).Status.Effective.BusinessAssociates }).Should(Equal([]string{name + "-claims"}))
		Expect(findingOf(ctx, name, compile.CodeAssociateNotInForce).Message).To(ContainSubstring("ended on " + string(ended)))
		Expect(state(ctx, name, v1alpha1.ConditionStalled)()).To(Equal("True/" + v1alpha1.ReasonInvalid))

		By("the other vendor is deleted")
		Expect(admin.Delete(ctx, fixture.Associate(name+"-claims"))).To(Succeed())
		Eventually(egress(ctx, name)).Should(BeEmpty())
		Eventually(fact(ctx, name, v1alpha1.AnnotationEgress)).Should(BeEmpty())

		By("a region leaves the profile")
		Eventually(func() error {
			p := &v1alpha1.HIPAAProfile{}
			Expect(admin.Get(ctx, client.ObjectKey{Name: name}, p)).To(Succeed())
			p.Spec.Regions = p.Spec.Regions[:1]
			return admin.Update(ctx, p)
		}).Should(Succeed())
		Eventually(fact(ctx, name, v1alpha1.AnnotationRegions)).Should(Equal(fixture.Region))

		By("the agreement of the other region's provider ends, and the profile isolates")
		until(ctx, name+"-cloud", ended)
		Eventually(fact(ctx, name, v1alpha1.AnnotationAdmission)).Should(BeEquivalentTo(v1alpha1.GateQuarantined))
		Eventually(func() []string { return standing(ctx, name) }).Should(ConsistOf(v1alpha1.PolicyDefaultDeny, v1alpha1.PolicyAllowDNS))
		Expect(fact(ctx, name, v1alpha1.AnnotationRegions)()).To(BeEmpty())
		Expect(fact(ctx, name, v1alpha1.AnnotationIPAllowlist)()).To(BeEmpty())
		Eventually(state(ctx, name, v1alpha1.ConditionNamespacesReady)).Should(Equal("False/" + v1alpha1.ReasonQuarantined))
		quiet := versions(ctx, get(ctx, name))
		Consistently(func() map[v1alpha1.ObjectRef]string { return versions(ctx, get(ctx, name)) }, "2s", "200ms").Should(Equal(quiet))

		By("everything is put right again")
		until(ctx, name+"-cloud", fixture.Expires)
		until(ctx, name+"-labs", fixture.Expires)
		Expect(admin.Create(ctx, fixture.Associate(name+"-claims"))).To(Succeed())
		Eventually(func() error {
			p := &v1alpha1.HIPAAProfile{}
			Expect(admin.Get(ctx, client.ObjectKey{Name: name}, p)).To(Succeed())
			p.Spec.Regions = fixture.Profile(name).Spec.Regions
			p.Spec.Regions[0].BusinessAssociate = name + "-cloud"
			return admin.Update(ctx, p)
		}).Should(Succeed())
		change(ctx, name, func(t *v1alpha1.HIPAATenant) { t.Spec.SessionTimeout = fixture.SessionTimeout })
		Expect(objects(ctx, awaitReady(ctx, name))).To(Equal(stood))
	}, SpecTimeout(2*time.Minute))
})

// fact is an annotation of a namespace.
func fact(ctx context.Context, namespace, key string) func() string {
	return func() string {
		ns := &corev1.Namespace{}
		Expect(admin.Get(ctx, client.ObjectKey{Name: namespace}, ns)).To(Succeed())
		return ns.Annotations[key]
	}
}

// standing are the names of a namespace's network policies.
func standing(ctx context.Context, namespace string) []string {
	GinkgoHelper()
	var list networkingv1.NetworkPolicyList
	Expect(admin.List(ctx, &list, client.InNamespace(namespace))).To(Succeed())
	var names []string
	for i := range list.Items {
		names = append(names, list.Items[i].Name)
	}
	return names
}
