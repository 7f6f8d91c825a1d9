package stories

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = Describe("kubectl get", func() {
	It("shows what a person wants to know first", func(ctx SpecContext) {
		for _, names := range tenants {
			for _, name := range names {
				suite.AwaitReady(ctx, name)
			}
		}
		e := emergency{tenant: "liveperson-like"}
		asker, officer := person(ctx, "ari@lindqvist.example"), person(ctx, "kim@lindqvist.example", "liveperson-like-officers")
		for _, name := range []string{"shown", "waiting"} {
			a := e.access(name, "1h")
			Eventually(func() error { return asker.Create(ctx, a) }).Should(Succeed())
			DeferCleanup(func(ctx SpecContext) { Expect(admin.Delete(ctx, a)).To(Succeed()) })
		}
		Expect(officer.Patch(ctx, e.access("shown", "1h"), agree)).To(Succeed())
		Eventually(active(ctx, "liveperson-like-shown")).Should(Equal("True/Granted"))
		Eventually(active(ctx, "liveperson-like-waiting")).Should(Equal("False/AwaitingApproval"))

		shown := kubectl(ctx, "get", "ht,bas,ea,hipaaprofiles")
		GinkgoWriter.Println(shown)
		for _, line := range []string{
			`NAME +REGION +READY +REASON +BAA +SESSION +AGE`,
			`hipaatenant\.hipaatenant\.dev/liveperson-like +us-east-1 +True +Ready +2034-01-15 +5m +\d+m?\d*s`,
			`NAME +INFORCE +REASON +EXPIRES +PHI +USED +AGE`,
			`businessassociate\.hipaatenant\.dev/aptible-like-analytics +False +Incomplete +2034-01-15 +true +\d+ +\d+m?\d*s`,
			`businessassociate\.hipaatenant\.dev/aptible-like-status-page +True +NoPHI +false +\d+ +\d+m?\d*s`,
			`NAME +TENANT +ROLE +REQUESTER +APPROVER +ACTIVE +REASON +EXPIRES +AGE`,
			`emergencyaccess\.hipaatenant\.dev/liveperson-like-shown +liveperson-like +Operator +ari@lindqvist\.example +kim@lindqvist\.example +True +Granted +\d{4}-\d\d-\d\dT[0-9:]+Z +\d+s`,
			`emergencyaccess\.hipaatenant\.dev/liveperson-like-waiting +liveperson-like +Operator +ari@lindqvist\.example +False +AwaitingApproval +\d+s`,
			`NAME +MAXSESSION +ONLAPSE +DISABLED +KEYS +AGE`,
			`hipaaprofile\.hipaatenant\.dev/genesys-like +15m +Freeze +\["acd-email","sms","voicemail-email"\] +\["vault://transit/\*"\] +\d+m?\d*s`,
		} {
			Expect(shown).To(MatchRegexp("(?m)^" + line + "$"))
		}
		Expect(shown).NotTo(ContainSubstring("<"), "a date to come is shown as it is, not as an age")
	})
})
