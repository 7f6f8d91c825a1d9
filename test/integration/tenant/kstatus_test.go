package tenant

import (
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/test/fixture"
)

// What Helm and Flux wait for. That no revision of any object of the suite breaks the convention is asserted when the suite
// ends; here it is that the right words come at all, and in the right order.
var _ = Describe("what kstatus says", func() {
	seen := func(kind, name string) func() string {
		return func() string { return strings.Join(life.Seen(kind, name), " ") }
	}

	It("of a tenant: in progress until it is ready, failed only while its spec must change, terminating while it is deleted", func(ctx SpecContext) {
		const name, kind = "observed", "HIPAATenant"
		create(ctx, fixture.Tenant(name))
		Eventually(seen(kind, name)).Should(Equal("InProgress Current"))
		change(ctx, name, func(t *v1alpha1.HIPAATenant) { t.Spec.SessionTimeout = "10m" })
		Eventually(seen(kind, name)).Should(HaveSuffix("Current InProgress Current"), "a spec that can be honoured")
		change(ctx, name, func(t *v1alpha1.HIPAATenant) { t.Spec.Region = "eu-west-1" })
		Eventually(seen(kind, name)).Should(HaveSuffix("Current InProgress Failed"), "a spec that cannot")
		change(ctx, name, func(t *v1alpha1.HIPAATenant) { t.Spec.Region = fixture.Region })
		Eventually(seen(kind, name)).Should(HaveSuffix("Failed InProgress Current"), "the spec mended")
		change(ctx, name, func(t *v1alpha1.HIPAATenant) { t.Spec.Suspend = true })
		Eventually(state(ctx, name, v1alpha1.ConditionReady)).Should(Equal("Unknown/" + v1alpha1.ReasonSuspended))
		Eventually(seen(kind, name)).Should(HaveSuffix("Failed InProgress Current InProgress"), "nobody vouches for a suspended tenant")
		change(ctx, name, func(t *v1alpha1.HIPAATenant) { t.Spec.Suspend = false })
		Eventually(seen(kind, name)).Should(HaveSuffix("InProgress Current"))
		Expect(admin.Delete(ctx, get(ctx, name))).To(Succeed())
		Eventually(seen(kind, name)).Should(HaveSuffix("Current Terminating"))
	})

	It("of a tenant that waits: in progress", func(ctx SpecContext) {
		create(ctx, fixture.Tenant("expectant", of("observed-later")))
		Eventually(state(ctx, "expectant", v1alpha1.ConditionReady)).Should(Equal("False/" + v1alpha1.ReasonWaiting))
		Expect(admin.Create(ctx, fixture.Profile("observed-later"))).To(Succeed())
		Eventually(seen("HIPAATenant", "expectant")).Should(Equal("InProgress Current"))
		Eventually(seen("HIPAAProfile", "observed-later")).Should(Equal("Current"), "a profile is data: it is there when it is written")
	})

	It("of an associate and of an emergency access: current once they were judged, whatever the verdict", func(ctx SpecContext) {
		lapsed := fixture.Associate("observed-vendor", func(a *v1alpha1.BusinessAssociate) { a.Spec.BAA.ExpiresOn = "2026-02-01" })
		Expect(admin.Create(ctx, lapsed)).To(Succeed())
		Eventually(seen("BusinessAssociate", lapsed.Name)).Should(Equal("InProgress Current"))
		Expect(admin.Create(ctx, &v1alpha1.EmergencyAccess{
			ObjectMeta: metav1.ObjectMeta{Name: "observed-access"},
			Spec:       v1alpha1.EmergencyAccessSpec{Tenant: "nobody", Role: "Operator", Reason: "INC-4711 restore the claims queue", Duration: "1h"},
		})).To(Succeed())
		Eventually(seen("EmergencyAccess", "observed-access")).Should(Equal("InProgress Current"))
	})
})
