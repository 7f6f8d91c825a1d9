package stories

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/compile"
)

var _ = Describe("aptible-like", func() {
	const name = "aptible-like"
	const (
		sms        = "198.51.100.8/29 TCP/443"
		email      = "198.51.100.16/29 TCP/443"
		database   = "198.51.100.40/29 TCP/443"
		statusPage = "198.51.100.64/29 TCP/443"
	)
	BeforeEach(func(ctx SpecContext) {
		suite.AwaitReady(ctx, name)
		Eventually(opened(ctx, name, v1alpha1.PolicyAllowAssociates)).Should(ConsistOf(sms, email, database, statusPage))
	})
	toVendor := func(cidr string) string {
		return networkPolicy("policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: " + cidr + "}}], ports: [{port: 443, protocol: TCP}]}]")
	}
	signedBy := func(parties int) func(*v1alpha1.BusinessAssociate) {
		return func(a *v1alpha1.BusinessAssociate) { a.Spec.BAA.Signatures = a.Spec.BAA.Signatures[:parties] }
	}

	It("opens egress to the vendors whose agreement is in force, and to nobody else", func(ctx SpecContext) {
		for _, cidr := range []string{"198.51.100.8/29", "198.51.100.16/29", "198.51.100.40/29", "198.51.100.64/29"} {
			allowed(ctx, name, toVendor(cidr))
		}
		for _, cidr := range []string{"198.51.100.0/29", "198.51.100.24/29", "198.51.100.32/29", "198.51.100.48/29", "198.51.100.56/29", "198.51.100.72/29"} {
			refused(ctx, name, toVendor(cidr), cidr)
		}
		By("letting one agreement end")
		change(ctx, associate("aptible-like-sms"), func(a *v1alpha1.BusinessAssociate) {
			a.Spec.BAA.LastVerifiedOn, a.Spec.BAA.ExpiresOn = "", "2026-02-01"
		})
		Eventually(opened(ctx, name, v1alpha1.PolicyAllowAssociates)).Should(ConsistOf(email, database, statusPage))
		Eventually(inForce(ctx, "aptible-like-sms")).Should(Equal("False/" + v1alpha1.ReasonExpired))
		refused(ctx, name, toVendor("198.51.100.8/29"), "198.51.100.8/29")
	})

	It("never reaches a vendor that has not signed, unless no PHI goes there and somebody says why", func(ctx SpecContext) {
		Eventually(inForce(ctx, "aptible-like-analytics")).Should(Equal("False/" + v1alpha1.ReasonIncomplete))
		Eventually(inForce(ctx, "aptible-like-status-page")).Should(Equal("True/" + v1alpha1.ReasonNoPHI))
		Eventually(codes(ctx, name)).Should(ContainElement(compile.CodeAssociateNotInForce + " spec.businessAssociates[2]"))
		const vendor = "{apiVersion: hipaatenant.dev/v1alpha1, kind: BusinessAssociate, metadata: {name: newcomer}, spec: {displayName: Newcomer, endpoints: [{cidrs: [198.51.100.72/29], ports: [{port: 443, protocol: TCP}]}], "
		refused(ctx, "", vendor+"handlesPHI: true}}", "baa is required when handlesPHI is true")
		refused(ctx, "", vendor+"handlesPHI: false}}", "noPHIReason is required when handlesPHI is false")
		allowed(ctx, "", vendor+"handlesPHI: false, noPHIReason: it is told nothing}}")
	})

	It("follows the chain of subcontractors to its end", func(ctx SpecContext) {
		for _, one := range []string{"aptible-like-logging", "aptible-like-chat"} {
			Eventually(inForce(ctx, one)).Should(Equal("False/" + v1alpha1.ReasonSubcontractorLapsed))
		}
		refused(ctx, "", "{apiVersion: hipaatenant.dev/v1alpha1, kind: BusinessAssociate, metadata: {name: own}, spec: {displayName: Own, handlesPHI: false, noPHIReason: none, subcontractors: [own]}}",
			"subcontractors must not contain the associate itself")

		By("losing the link in between")
		change(ctx, associate("aptible-like-relay"), signedBy(1))
		Eventually(opened(ctx, name, v1alpha1.PolicyAllowAssociates)).Should(ConsistOf(sms, database, statusPage))
		Eventually(inForce(ctx, "aptible-like-email")).Should(Equal("False/" + v1alpha1.ReasonSubcontractorLapsed))

		By("losing the last link")
		change(ctx, associate("aptible-like-cloud"), signedBy(1))
		Eventually(opened(ctx, name, v1alpha1.PolicyAllowAssociates)).Should(ConsistOf(sms, statusPage))
	})

	It("provisions nothing without an agreement, and freezes what has lost it", func(ctx SpecContext) {
		another(ctx, name, "aptible-unsigned", func(s *v1alpha1.HIPAATenantSpec) { s.BAA.Signatures = nil })
		stalled(ctx, "aptible-unsigned", compile.CodeBAAIncomplete, "spec.baa.signatures")
		another(ctx, name, "aptible-ended", func(s *v1alpha1.HIPAATenantSpec) { s.BAA.LastVerifiedOn, s.BAA.ExpiresOn = "", "2026-02-01" })
		stalled(ctx, "aptible-ended", compile.CodeBAALapsed, "spec.baa")

		By("ending the agreement of a tenant that stands")
		another(ctx, name, "aptible-lapsing")
		suite.AwaitReady(ctx, "aptible-lapsing")
		allowed(ctx, "aptible-lapsing", pod("", ""))
		lapsing := tenant("aptible-lapsing")
		ending := func(date v1alpha1.Date) func(*v1alpha1.HIPAATenant) {
			return func(t *v1alpha1.HIPAATenant) { t.Spec.BAA.LastVerifiedOn, t.Spec.BAA.ExpiresOn = "", date }
		}
		change(ctx, lapsing, ending("2026-02-01"))
		Eventually(facts(ctx, "aptible-lapsing")).Should(HaveKeyWithValue(v1alpha1.AnnotationAdmission, string(v1alpha1.GateFrozen)))
		Eventually(suite.State(ctx, "aptible-lapsing", v1alpha1.ConditionBAAInForce)).Should(Equal("False/" + v1alpha1.ReasonExpired))
		refused(ctx, "aptible-lapsing", pod("", ""), "frozen")
		change(ctx, lapsing, ending("2034-02-01"))
		suite.AwaitReady(ctx, "aptible-lapsing")
		allowed(ctx, "aptible-lapsing", pod("", ""))
	})

	It("takes no agreement without the text that was signed, and its hash", func(ctx SpecContext) {
		for _, mistake := range []struct {
			edit  func(baa map[string]any)
			words string
		}{
			{func(baa map[string]any) { delete(baa, "document") }, "spec.baa.document: Required value"},
			{func(baa map[string]any) { delete(inside(baa, "document"), "sha256") }, "spec.baa.document.sha256: Required value"},
			{func(baa map[string]any) { inside(baa, "document")["sha256"] = "adapted" }, "spec.baa.document.sha256"},
			{func(baa map[string]any) { delete(baa, "expiresOn") }, "spec.baa.expiresOn: Required value"},
		} {
			refusedEdit(ctx, name, func(spec map[string]any) { mistake.edit(inside(spec, "baa")) }, mistake.words)
		}
	})
})
