package tenant

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	authenticationv1 "k8s.io/api/authentication/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/test/bed"
	"github.com/hipaatenant/hipaa-tenant-operator/test/fixture"
)

const (
	tooWide = "False/" + v1alpha1.ReasonNetworkPolicyTooWide
	written = "Unknown/" + v1alpha1.ReasonPolicyWritten
)

// Admission judges a tenant's own network policies by the channels that are disabled when they are written; those that
// stood before are judged by the operator.
var _ = Describe("a tenant's own network policies, when a channel is disabled", Ordered, func() {
	const name, profile = "dialer", "dialing"
	ceiling := fixture.Profile(profile, func(p *v1alpha1.HIPAAProfile) {
		p.Spec.Channels[1].CIDRs = []v1alpha1.CIDR{"198.51.100.64/26"}
	})
	require := func(ctx SpecContext, channels ...v1alpha1.Name) {
		ceiling.Spec.RequiredDisabledChannels = channels
		Expect(admin.Update(ctx, ceiling)).To(Succeed())
	}

	BeforeAll(func(ctx SpecContext) {
		Expect(admin.Create(ctx, ceiling)).To(Succeed())
		Expect(admin.Create(ctx, fixture.Associate("dialed"))).To(Succeed())
		create(ctx, fixture.Tenant(name, of(profile), func(t *v1alpha1.HIPAATenant) { t.Spec.BusinessAssociates = []v1alpha1.Name{"dialed"} }))
		awaitReady(ctx, name)
	})

	DescribeTable("are reported if they open what belongs to it, by tenant and by profile, until it is enabled again",
		func(ctx SpecContext, spec, why string) {
			policy := policyOf(name, spec)
			Eventually(func() error { return admin.Create(ctx, policy.DeepCopy()) }, foundWithin).Should(Succeed())
			DeferCleanup(func(ctx SpecContext) {
				Expect(admin.Delete(ctx, policy)).To(Succeed())
				awaitReady(ctx, name)
			})
			awaitReady(ctx, name)
			said := state(ctx, name, v1alpha1.ConditionNetworkIsolated)
			for _, by := range []struct {
				whom    string
				disable func(...v1alpha1.Name)
			}{
				{"its tenant", func(c ...v1alpha1.Name) { disable(ctx, name, c...) }},
				{"the profile", func(c ...v1alpha1.Name) { require(ctx, c...) }},
			} {
				expectTold("a policy with "+why+", disabled by "+by.whom, said, tooWide, func() { by.disable("fax") })
				Expect(bed.Condition(get(ctx, name), v1alpha1.ConditionNetworkIsolated).Message).To(ContainSubstring("own (%s)", why))
				another := policyOf(name, spec)
				another.Name = "another"
				Eventually(func() error { return admin.Create(ctx, another.DeepCopy(), client.DryRunAll) }, foundWithin).
					Should(MatchError(ContainSubstring("hipaatenant-network")), "and no other like it is admitted")
				expectTold("a policy with "+why+", enabled by "+by.whom, said, written, func() { by.disable() })
			}
		},
		Entry("a port", "egress: [{to: [{ipBlock: {cidr: 198.51.100.0/28}}], ports: [{port: 1720}]}]", "egress to port TCP/1720 of a disabled channel"),
		Entry("a range of ports", "egress: [{to: [{ipBlock: {cidr: 198.51.100.0/28}}], ports: [{port: 443}, {port: 1700, endPort: 1720}]}]", "egress to port TCP/1720 of a disabled channel"),
		Entry("a port by name", "egress: [{to: [{ipBlock: {cidr: 198.51.100.0/28}}], ports: [{port: h323}]}]", "egress to port TCP/1720 of a disabled channel"),
		Entry("all ports", "egress: [{to: [{ipBlock: {cidr: 198.51.100.0/28}}]}]", "egress to port TCP/1720 of a disabled channel"),
		Entry("a port of its own pods", "egress: [{to: [{podSelector: {}}], ports: [{port: 1720}]}]", "egress to port TCP/1720 of a disabled channel"),
		Entry("a network", "egress: [{to: [{ipBlock: {cidr: 198.51.100.72/29}}], ports: [{port: 443}]}]", "egress with 198.51.100.72/29"),
		Entry("a network around it, with the closed part excepted",
			"egress: [{to: [{ipBlock: {cidr: 198.51.100.0/25, except: [198.51.100.64/26]}}], ports: [{port: 443}]}]", "egress with 198.51.100.0/25"),
	)

	It("are left alone if they do not", func(ctx SpecContext) {
		policy := policyOf(name, "egress: [{to: [{ipBlock: {cidr: 198.51.100.0/26}}], ports: [{port: 443}, {port: 1721, endPort: 1800}]}]")
		Expect(admin.Create(ctx, policy)).To(Succeed())
		disable(ctx, name, "fax")
		awaitReady(ctx, name)
		Expect(state(ctx, name, v1alpha1.ConditionNetworkIsolated)()).To(Equal(written))
	})
})

var _ = Describe("the mailbox of a tenant without channel acd-email", func() {
	It("is the only way mail leaves", func(ctx SpecContext) {
		const name, profile = "postal", "posting"
		smtp := []v1alpha1.Port{{Port: 25, Protocol: "TCP"}, {Port: 465, Protocol: "TCP"}, {Port: 587, Protocol: "TCP"}}
		ceiling := fixture.Profile(profile, func(p *v1alpha1.HIPAAProfile) {
			p.Spec.Channels = append(p.Spec.Channels, v1alpha1.Channel{Name: "acd-email", Ports: smtp})
			p.Spec.RequiredDisabledChannels = []v1alpha1.Name{"acd-email"}
		})
		Expect(admin.Create(ctx, ceiling)).To(Succeed())
		Expect(admin.Create(ctx, fixture.Associate("relay", func(a *v1alpha1.BusinessAssociate) { a.Spec.Endpoints[0].Ports = smtp[2:] }))).To(Succeed())
		create(ctx, fixture.Tenant(name, of(profile), func(t *v1alpha1.HIPAATenant) {
			t.Spec.BusinessAssociates = []v1alpha1.Name{"relay"}
			t.Spec.Application = &v1alpha1.Application{Mailbox: &v1alpha1.Mailbox{
				Host: "mail.acme.example", CIDRs: []v1alpha1.CIDR{"192.0.2.25/32"}, Port: 587, TLS: "Required",
			}}
		}))
		awaitReady(ctx, name)
		opened := func() map[string][]networkingv1.NetworkPolicyEgressRule {
			var list networkingv1.NetworkPolicyList
			Expect(admin.List(ctx, &list, client.InNamespace(name))).To(Succeed())
			out := map[string][]networkingv1.NetworkPolicyEgressRule{}
			for _, p := range list.Items {
				for _, r := range p.Spec.Egress {
					if len(r.To) > 0 && r.To[0].IPBlock != nil {
						out[p.Name] = append(out[p.Name], r)
					}
				}
			}
			return out
		}
		mailbox := policyOf(name, "egress: [{to: [{ipBlock: {cidr: 192.0.2.25/32}}], ports: [{port: 587, protocol: TCP}]}]").Spec.Egress
		Expect(opened()).To(Equal(map[string][]networkingv1.NetworkPolicyEgressRule{v1alpha1.PolicyAllowMailbox: mailbox}))
		for _, port := range []string{"25", "465", "587", "1, endPort: 1024", "smtp"} {
			Expect(admin.Create(ctx, policyOf(name, "egress: [{to: [{ipBlock: {cidr: 192.0.2.25/32}}], ports: [{port: "+port+"}]}]"))).
				To(MatchError(ContainSubstring("TCP/25,TCP/465,TCP/587")), port)
		}
		Expect(admin.Create(ctx, policyOf(name, "egress: [{to: [{ipBlock: {cidr: 198.51.100.1/32}}], ports: [{port: 443}]}]"))).
			To(MatchError(ContainSubstring("198.51.100.1/32 is not inside 192.0.2.25/32")), "what is closed for its port is closed for others, too")
		Expect(admin.Create(ctx, policyOf(name, "egress: [{to: [{ipBlock: {cidr: 192.0.2.25/32}}], ports: [{port: 993}]}]"))).To(Succeed())

		ceiling.Spec.RequiredDisabledChannels = nil
		Expect(admin.Update(ctx, ceiling)).To(Succeed())
		Eventually(opened, foundWithin).Should(HaveKey(v1alpha1.PolicyAllowAssociates))
	})
})

var _ = Describe("tokens of a tenant's service accounts", func() {
	It("live no longer than a session may, also after that changed", func(ctx SpecContext) {
		const name = "tokens"
		create(ctx, fixture.Tenant(name))
		awaitReady(ctx, name)
		ask := func(seconds int64) func() error {
			return func() error {
				request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: new(seconds)}}
				_, err := clientset.CoreV1().ServiceAccounts(name).CreateToken(ctx, "default", request, metav1.CreateOptions{})
				return err
			}
		}
		last := func(timeout v1alpha1.Duration) {
			change(ctx, name, func(t *v1alpha1.HIPAATenant) { t.Spec.SessionTimeout = timeout })
		}
		limit := func(seconds string) OmegaMatcher {
			return MatchError(ContainSubstring("tenant " + name + " allows at most " + seconds + " "))
		}
		Eventually(ask(900)).Should(Succeed(), "its service account has been made")
		Expect(ask(901)()).To(limit("900"))
		last("12m")
		Eventually(ask(721), foundWithin).Should(limit("720"))
		Expect(ask(720)()).To(Succeed())
		last("5m")
		Eventually(ask(720), foundWithin).Should(limit("600"), "the API server makes none of less than ten minutes")
		Expect(ask(600)()).To(Succeed())
		last("15m")
		Eventually(ask(900), foundWithin).Should(Succeed())
		Expect(ask(3607)()).To(limit("900"))
	})
})

// policyOf the tenant's own making.
func policyOf(namespace, spec string) *networkingv1.NetworkPolicy {
	GinkgoHelper()
	p := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "own"}}
	Expect(yaml.UnmarshalStrict([]byte(spec), &p.Spec)).To(Succeed())
	return p
}
