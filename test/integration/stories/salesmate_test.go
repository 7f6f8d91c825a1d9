package stories

import (
	"encoding/json"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/compile"
	"github.com/hipaatenant/hipaa-tenant-operator/test/bed"
)

var _ = Describe("salesmate-like", func() {
	const sso, password = "salesmate-like-sso", "salesmate-like-password"
	BeforeEach(func(ctx SpecContext) {
		suite.AwaitReady(ctx, sso)
		suite.AwaitReady(ctx, password)
	})
	// application is a part of hipaa.json.
	application := func(ctx SpecContext, namespace string) map[string]any {
		GinkgoHelper()
		var document struct {
			Application map[string]any `json:"application"`
		}
		Expect(json.Unmarshal([]byte(config(ctx, namespace)[v1alpha1.ConfigKey]), &document)).To(Succeed())
		return document.Application
	}

	It("lets in authorised sources alone", func(ctx SpecContext) {
		Eventually(opened(ctx, sso, v1alpha1.PolicyAllowIngress)).Should(Equal([]string{"2001:db8:5a1e::/48", "203.0.113.64/26"}))
		const balancer = "{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {type: LoadBalancer, selector: {app: web}, ports: [{port: 443}]"
		o := object(sso, balancer+"}}")
		Expect(admin.Create(ctx, o, client.DryRunAll)).To(Succeed())
		ranges, _, err := unstructured.NestedStringSlice(o.Object, "spec", "loadBalancerSourceRanges")
		Expect(err).NotTo(HaveOccurred())
		Expect(ranges).To(ConsistOf("2001:db8:5a1e::/48", "203.0.113.64/26"))
		refused(ctx, sso, balancer+", loadBalancerSourceRanges: [0.0.0.0/0]}}", "0.0.0.0/0")
		allowed(ctx, sso, networkPolicy("policyTypes: [Ingress], ingress: [{from: [{ipBlock: {cidr: 203.0.113.80/28}}]}]"))
		refused(ctx, sso, networkPolicy("policyTypes: [Ingress], ingress: [{from: [{ipBlock: {cidr: 203.0.113.0/24}}]}]"), "203.0.113.0/24")
		refused(ctx, sso, networkPolicy("policyTypes: [Ingress], ingress: [{}]"), "lets everybody in")

		another(ctx, sso, "salesmate-wide", func(s *v1alpha1.HIPAATenantSpec) { s.IPAllowlist = []v1alpha1.CIDR{"203.0.0.0/16"} })
		stalled(ctx, "salesmate-wide", compile.CodeAllowlistTooWide, "spec.ipAllowlist[0]")
		refusedEdit(ctx, sso, func(spec map[string]any) { spec["ipAllowlist"] = []any{} }, "spec.ipAllowlist")
	})

	It("declares single sign-on, or passwords with a second factor", func(ctx SpecContext) {
		Expect(config(ctx, sso)).To(And(HaveKeyWithValue("HIPAA_AUTH_METHOD", "SAML"), HaveKeyWithValue("HIPAA_MFA", "IdentityProvider")))
		Expect(config(ctx, password)).To(And(HaveKeyWithValue("HIPAA_AUTH_METHOD", "Password"), HaveKeyWithValue("HIPAA_MFA", "Required")))
		Expect(config(ctx, password)[v1alpha1.ConfigKey]).To(And(ContainSubstring(`"minLength": 14`), ContainSubstring(`"history": 12`)))
		for edit, words := range map[string]string{
			`{"sso": {"protocol": "SAML", "metadataURL": "https://idp.field.example/metadata"}, "password": {"minLength": 14, "mfa": "Required"}}`: "exactly one of sso and password must be set, found both",
			`{}`: "exactly one of sso and password must be set, found neither",
			`{"password": {"minLength": 14, "mfa": "Optional"}}`: `spec.authentication.password.mfa: Unsupported value: "Optional"`,
			`{"password": {"minLength": 14}}`:                    "spec.authentication.password.mfa: Required value",
		} {
			var authentication map[string]any
			Expect(json.Unmarshal([]byte(edit), &authentication)).To(Succeed())
			refusedEdit(ctx, password, func(spec map[string]any) { spec["authentication"] = authentication }, words)
		}
	})

	It("runs the one product its agreement covers", func(ctx SpecContext) {
		another(ctx, sso, "salesmate-product", func(s *v1alpha1.HIPAATenantSpec) { s.BAA.Scope = []string{"helpdesk"} })
		stalled(ctx, "salesmate-product", compile.CodeBAAOutOfScope, "spec.baa.scope")
		Eventually(suite.State(ctx, "salesmate-product", v1alpha1.ConditionBAAInForce)).Should(Equal("False/" + v1alpha1.ReasonOutOfScope))
	})

	It("sends mail to its own server alone", func(ctx SpecContext) {
		Eventually(opened(ctx, sso, v1alpha1.PolicyAllowMailbox)).Should(Equal([]string{"192.0.2.25/32 TCP/465"}))
		Eventually(opened(ctx, password, v1alpha1.PolicyAllowMailbox)).Should(BeEmpty(), "no mailbox, no mail")
		// The telephony vendor keeps its networks without the mail relays among them, and without their ports.
		Eventually(opened(ctx, sso, v1alpha1.PolicyAllowAssociates)).Should(Equal([]string{
			"198.51.100.128/26 TCP/443 TCP/5060", "198.51.100.224/27 TCP/443 TCP/5060",
		}))
		for _, port := range []string{"25", "465"} {
			refused(ctx, sso, networkPolicy("policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 198.51.100.128/26}}], ports: [{port: "+port+", protocol: TCP}]}]"), "TCP/"+port)
		}
		refused(ctx, sso, networkPolicy("policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 198.51.100.192/27}}], ports: [{port: 443, protocol: TCP}]}]"), "198.51.100.192/27")
		refused(ctx, sso, pod("hipaatenant.dev/channel: vendor-mail", ""), "channel vendor-mail")
	})

	It("gives each role what its job needs", func(ctx SpecContext) {
		developer, auditor := []string{"field-devs"}, []string(nil)
		for _, job := range []struct {
			user    string
			groups  []string
			what    string
			allowed bool
		}{
			{"ana@field.example", developer, "create deployments.apps", true},
			{"ana@field.example", developer, "get pods/log", true},
			{"ana@field.example", developer, "get secrets", false},
			{"ana@field.example", developer, "create pods/exec", false},
			{"ana@field.example", developer, "create serviceaccounts/token", false},
			{"ana@field.example", developer, "create networkpolicies.networking.k8s.io", false},
			{"ana@field.example", developer, "create rolebindings.rbac.authorization.k8s.io", false},
			{"auditor@field.example", auditor, "list pods", true},
			{"auditor@field.example", auditor, "list networkpolicies.networking.k8s.io", true},
			{"auditor@field.example", auditor, "get pods/log", false},
			{"auditor@field.example", auditor, "create pods", false},
		} {
			Expect(may(ctx, job.user, job.groups, sso, job.what)).To(Equal(job.allowed), "%s: %s", job.user, job.what)
			Expect(may(ctx, job.user, job.groups, password, job.what)).To(BeFalse(), "%s in another tenant: %s", job.user, job.what)
		}
	})

	It("delivers which fields each role does not see", func(ctx SpecContext) {
		Expect(application(ctx, sso)).To(HaveKeyWithValue("hiddenFields", ConsistOf(
			map[string]any{"role": "agent", "fields": []any{"ssn", "dob"}}, map[string]any{"role": "billing", "fields": []any{"diagnosis"}})))
		expectDelivered(ctx, sso)
	})

	It("counts pods that have not taken which fields each role does not see", func(ctx SpecContext) {
		expectConsumed(ctx, sso, sso, func(s *v1alpha1.HIPAATenantSpec) { s.Application.HiddenFields[0].Fields[0] = "diagnosis" })
	})

	It("delivers which fields a search may show", func(ctx SpecContext) {
		Expect(application(ctx, sso)).To(HaveKeyWithValue("searchableFields", []any{"ticketId", "status"}))
		expectDelivered(ctx, sso)
	})

	It("delivers how calls are recorded, and closes the channel where they are not", func(ctx SpecContext) {
		Expect(application(ctx, sso)).To(And(HaveKeyWithValue("callRecording", "Manual"), HaveKeyWithValue("recordingRetentionSeconds", 720*3600.0)))
		Expect(config(ctx, sso)).To(HaveKeyWithValue("HIPAA_CALL_RECORDING", "Manual"))
		Expect(config(ctx, password)).To(HaveKeyWithValue("HIPAA_CALL_RECORDING", "Disabled"))
		allowed(ctx, sso, pod("hipaatenant.dev/channel: call-recording", ""))
		refused(ctx, password, pod("hipaatenant.dev/channel: call-recording", ""), "channel call-recording")
		expectDelivered(ctx, sso)
	})

	It("has no agreement in force while a mandatory setting is out of place", func(ctx SpecContext) {
		Eventually(suite.State(ctx, sso, v1alpha1.ConditionBAAInForce)).Should(Equal("True/" + v1alpha1.ReasonInForce))
		allowlist := suite.Tenant(ctx, sso).Spec.IPAllowlist
		change(ctx, tenant(sso), func(t *v1alpha1.HIPAATenant) { t.Spec.IPAllowlist = []v1alpha1.CIDR{"203.0.0.0/16"} })
		Eventually(suite.State(ctx, sso, v1alpha1.ConditionBAAInForce)).Should(Equal("False/" + v1alpha1.ReasonMandatorySettingMissing))
		Expect(bed.Condition(suite.Tenant(ctx, sso), v1alpha1.ConditionBAAInForce).Message).To(ContainSubstring("spec.ipAllowlist[0]: 203.0.0.0/16"))
		Eventually(opened(ctx, sso, v1alpha1.PolicyAllowIngress)).Should(Equal([]string{"2001:db8:5a1e::/48", "203.0.113.64/26"}), "what stood stands")
		change(ctx, tenant(sso), func(t *v1alpha1.HIPAATenant) { t.Spec.IPAllowlist = allowlist })
		Eventually(suite.State(ctx, sso, v1alpha1.ConditionBAAInForce)).Should(Equal("True/" + v1alpha1.ReasonInForce))
	})

	It("has a named person vouch for how users sign in", func(ctx SpecContext) { expectAttested(ctx, sso, "164.312(d)") })
	It("has a named person vouch for agents' machines", func(ctx SpecContext) { expectAttested(ctx, password, "164.310(c)") })
})
