package atrest

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/test/cluster"
	"github.com/hipaatenant/hipaa-tenant-operator/test/operator"
	"github.com/hipaatenant/hipaa-tenant-operator/test/report"
)

var _ = Describe("encryption that is turned on later", func() {
	It("leaves plaintext behind, until every Secret was written anew", func(ctx SpecContext) {
		ok := "miss"
		DeferCleanup(func() {
			report.Line("keys: at-rest variant=plaintext-remains condition=False/PlaintextAtRest etcd=plaintext %s", ok)
		})
		b := start(ctx, cluster.IdentityFirst(socket))
		b.Operate(ctx, operator.Options{Binary: binary, Args: []string{"--encryption-probe-interval=1s"}})
		b.populate(ctx)
		Eventually(b.condition(ctx, v1alpha1.ConditionEncryptionReady)).Should(HavePrefix("False/NotEncryptedAtRest: "))
		status := b.Tenant(ctx, tenant).ResourceVersion

		b.restart(ctx, cluster.KMSFirst(socket))
		Eventually(b.condition(ctx, v1alpha1.ConditionEncryptionReady)).WithTimeout(wake).Should(And(
			HavePrefix("False/PlaintextAtRest: "), ContainSubstring("1 of 1 API servers used KMS v2 provider test; 1 of them read Secrets in plaintext since they started")))
		Expect(b.states(ctx)).To(ConsistOf("plaintext_remains"))
		Expect(b.lies(ctx, tenant, "database")).To(Equal("plaintext"))
		Expect(b.lies(ctx, v1alpha1.OperatorNamespace, v1alpha1.SecretCanary)).To(Equal("encrypted"))
		Expect(b.Tenant(ctx, tenant).ResourceVersion).NotTo(Equal(status))

		b.rewrite(ctx)
		b.restart(ctx, cluster.KMSFirst(socket))
		Eventually(b.condition(ctx, v1alpha1.ConditionEncryptionReady)).WithTimeout(wake).Should(And(
			HavePrefix("True/SoftwareKey: "), ContainSubstring("no plaintext was read")))
		Expect(b.lies(ctx, tenant, "database")).To(Equal("encrypted"))
		Expect(b.lies(ctx, tenant, v1alpha1.SecretKeyset)).To(Equal("encrypted"))
		Expect(b.states(ctx)).To(ConsistOf("kms"))

		By("looking again and again, which changes nothing")
		quiet := b.Tenant(ctx, tenant).ResourceVersion
		canary := b.canary(ctx)
		for range 3 {
			Eventually(func() string { return b.canary(ctx) }).ShouldNot(Equal(canary))
			canary = b.canary(ctx)
		}
		Expect(b.Tenant(ctx, tenant).ResourceVersion).To(Equal(quiet))
		ok = "ok"
	})
})

// rewrite writes every Secret anew, as an administrator has to after turning encryption on: the keysets, which belong to
// the operator, in its name.
func (b *world) rewrite(ctx SpecContext) {
	GinkgoHelper()
	config, err := b.Cluster.ServiceAccount(ctx, v1alpha1.OperatorNamespace, v1alpha1.OperatorName)
	Expect(err).NotTo(HaveOccurred())
	owner, err := operator.NewClient(config)
	Expect(err).NotTo(HaveOccurred())
	var all corev1.SecretList
	Expect(b.Admin.List(ctx, &all)).To(Succeed())
	for i := range all.Items {
		switch secret := &all.Items[i]; secret.Name {
		case v1alpha1.SecretCanary: // the operator writes it all the time
		case v1alpha1.SecretKeyset:
			Expect(owner.Update(ctx, secret)).To(Succeed())
		default:
			Expect(b.Admin.Update(ctx, secret)).To(Succeed())
		}
	}
}
