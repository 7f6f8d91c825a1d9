package stories

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/compile"
)

var _ = Describe("genesys-like", func() {
	const name = "genesys-like"
	BeforeEach(func(ctx SpecContext) { suite.AwaitReady(ctx, name) })

	It("closes ACD e-mail and SMS: to workloads, at egress, in the config", func(ctx SpecContext) {
		allowed(ctx, name, pod("hipaatenant.dev/channel: voice", ""))
		for _, channel := range []string{"sms", "acd-email"} {
			refused(ctx, name, pod("hipaatenant.dev/channel: "+channel, ""), "channel "+channel)
		}
		// The records vendor keeps its network without the carrier's part, and without the port of the mail relay.
		Eventually(opened(ctx, name, v1alpha1.PolicyAllowAssociates)).Should(Equal([]string{"198.51.100.64/27 TCP/443"}))
		t := suite.Tenant(ctx, name)
		Expect(t.Status.Effective.BusinessAssociates).To(Equal([]string{"genesys-like-crm"}))
		Eventually(codes(ctx, name)).Should(ContainElement(compile.CodeAssociateChannelDisabled + " spec.businessAssociates[2]"))
		allowed(ctx, name, networkPolicy("policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 198.51.100.64/28}}], ports: [{port: 443, protocol: TCP}]}]"))
		refused(ctx, name, networkPolicy("policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 198.51.100.96/28}}], ports: [{port: 443, protocol: TCP}]}]"), "198.51.100.96/28")
		refused(ctx, name, networkPolicy("policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 198.51.100.64/28}}], ports: [{port: 2775, protocol: TCP}]}]"), "TCP/2775")
		Expect(config(ctx, name)).To(HaveKeyWithValue("HIPAA_DISABLED_CHANNELS", "acd-email,sms,voicemail-email"))
		Expect(t.Spec.DisabledChannels).To(BeEmpty(), "the tenant has no say in it")
	})

	It("closes voicemail e-mail", func(ctx SpecContext) {
		refused(ctx, name, pod("hipaatenant.dev/channel: voicemail-email", ""), "channel voicemail-email")
		refused(ctx, name, networkPolicy("policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 198.51.100.64/28}}], ports: [{port: 587, protocol: TCP}]}]"), "TCP/587")
		Expect(config(ctx, name)["HIPAA_DISABLED_CHANNELS"]).To(ContainSubstring("voicemail-email"))
		Expect(config(ctx, name)[v1alpha1.ConfigKey]).To(ContainSubstring(`"voicemail-email"`))
	})

	It("runs in the one region, and nowhere else", func(ctx SpecContext) {
		Eventually(facts(ctx, name)).Should(HaveKeyWithValue(v1alpha1.AnnotationRegions, "us-east-1"))
		another(ctx, name, "genesys-elsewhere", func(s *v1alpha1.HIPAATenantSpec) { s.Region = "us-west-2" })
		stalled(ctx, "genesys-elsewhere", compile.CodeRegionNotEligible, "spec.region")
		another(ctx, name, "genesys-failover", func(s *v1alpha1.HIPAATenantSpec) { s.FailoverRegions = []v1alpha1.Region{"us-west-2"} })
		stalled(ctx, "genesys-failover", compile.CodeRegionNotEligible, "spec.failoverRegions[0]")
		expectBoundTo(ctx, name, "node-us-east-1", "node-us-west-2", "node-eu-west-1")
	})

	It("is provisioned once both parties have signed, and not before", func(ctx SpecContext) {
		t := another(ctx, name, "genesys-unsigned", func(s *v1alpha1.HIPAATenantSpec) { s.BAA.Signatures = s.BAA.Signatures[:1] })
		stalled(ctx, t.Name, compile.CodeBAAIncomplete, "spec.baa.signatures")
		Eventually(suite.State(ctx, t.Name, v1alpha1.ConditionBAAInForce)).Should(Equal("False/" + v1alpha1.ReasonIncomplete))
		signed := suite.Tenant(ctx, name).Spec.BAA
		change(ctx, t, func(t *v1alpha1.HIPAATenant) { t.Spec.BAA = signed })
		suite.AwaitReady(ctx, t.Name)
		Eventually(suite.State(ctx, t.Name, v1alpha1.ConditionBAAInForce)).Should(Equal("True/" + v1alpha1.ReasonInForce))
	})

	It("shows an administrator whether it is on", func(ctx SpecContext) {
		Expect(kubectl(ctx, "get", "hipaatenant", name)).To(MatchRegexp(`(?m)^` + name + ` +us-east-1 +True +Ready +2034-01-15 +15m `))
		another(ctx, name, "genesys-off", func(s *v1alpha1.HIPAATenantSpec) { s.BAA.Signatures = s.BAA.Signatures[1:] })
		stalled(ctx, "genesys-off", compile.CodeBAAIncomplete, "spec.baa.signatures")
		Expect(kubectl(ctx, "get", "hipaatenant", "genesys-off")).To(MatchRegexp(`(?m)^genesys-off +us-east-1 +False +Invalid +2034-01-15 `))
	})

	It("ends idle sessions after 15 minutes at most", func(ctx SpecContext) {
		another(ctx, name, "genesys-idle", func(s *v1alpha1.HIPAATenantSpec) { s.SessionTimeout = "16m" })
		stalled(ctx, "genesys-idle", compile.CodeSessionTimeoutAboveMaximum, "spec.sessionTimeout")
		Expect(config(ctx, name)).To(HaveKeyWithValue("HIPAA_SESSION_IDLE_TIMEOUT_SECONDS", "900"))
		Eventually(facts(ctx, name)).Should(HaveKeyWithValue(v1alpha1.AnnotationSessionTimeout, "900"))
	})

	It("tells every container that only what a person does counts as activity", func(ctx SpecContext) {
		Expect(config(ctx, name)).To(HaveKeyWithValue("HIPAA_SESSION_ACTIVITY", "user-input"))
		Expect(config(ctx, name)[v1alpha1.ConfigKey]).To(ContainSubstring(`"activity": "user-input"`))
		p := object(name, pod("", "initContainers: [{name: first, image: example/web, securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}}]"))
		Expect(admin.Create(ctx, p, client.DryRunAll)).To(Succeed())
		expectInjected(ctx, p)
	})

	It("takes no new pods in a region whose provider has no agreement in force", func(ctx SpecContext) {
		allowed(ctx, name, pod("", ""))
		DeferCleanup(func(ctx SpecContext) { allowed(ctx, name, pod("", "")) })
		change(ctx, associate("genesys-like-aws"), func(a *v1alpha1.BusinessAssociate) { a.Spec.BAA.Signatures = a.Spec.BAA.Signatures[:1] })
		Eventually(codes(ctx, name)).Should(ContainElement(compile.CodeRegionProviderLapsed + " spec.region"))
		refused(ctx, name, pod("", ""), "hipaatenant-workload")
		Eventually(facts(ctx, name)).Should(HaveKeyWithValue(v1alpha1.AnnotationRegions, ""))
	})

	It("has a named person vouch for the disks of workstations", func(ctx SpecContext) { expectAttested(ctx, name, "164.310(c)") })
})
