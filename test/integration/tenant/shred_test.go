package tenant

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/compile"
	"github.com/hipaatenant/hipaa-tenant-operator/test/operator"
)

const own = "?scope=tenant"

// Deleted tenants with deletionPolicy Shred, against Vault's real transit engine.
var _ = Describe("a tenant that is to be shredded", Ordered, func() {
	var k *kms

	BeforeAll(func(ctx SpecContext) {
		k = startKMS()
		k.run(ctx, operator.Options{})
		DeferCleanup(func(ctx SpecContext) {
			Expect(world.Running.Kill()).To(Succeed())
			startOperator(ctx)
		})
	})

	It("keeps its keys until that is confirmed with its own UID, and permitted", func(ctx SpecContext) {
		copied := k.own(ctx, "shred-own", own)
		t := get(ctx, "shred-own")
		Expect(t.Status.Effective.DeletionPolicy).To(Equal(v1alpha1.DeletionShred))
		remove(ctx, t.Name)
		Eventually(waits(ctx, t.Name)).Should(And(HavePrefix(v1alpha1.ReasonShredNotConfirmed), ContainSubstring("confirm-shred="+string(t.UID))))
		shredCase("unconfirmed", "ShredNotConfirmed")
		annotate(ctx, t.Name, v1alpha1.AnnotationConfirmShred, "11111111-2222-3333-4444-555555555555")
		Eventually(waits(ctx, t.Name)).Should(And(HavePrefix(v1alpha1.ReasonShredNotConfirmed), ContainSubstring("which is not the UID of this tenant")))
		shredCase("wrong-uid", "ShredNotConfirmed")
		annotate(ctx, t.Name, v1alpha1.AnnotationConfirmShred, "UID")
		Eventually(waits(ctx, t.Name)).Should(And(HavePrefix(v1alpha1.ReasonShredNotPermitted), ContainSubstring("shred.enabled=true")))
		Expect(k.opens(ctx, keysetIn(ctx, t.Name))).To(Succeed(), "nothing was touched")
		shredCase("not-permitted", "ShredNotPermitted")

		permit(ctx)
		wake(ctx, t.Name)
		s := ends(ctx, t)
		Expect(s.Outcome).To(Equal("Shredded"))
		Expect(s.Shred.Keys).To(ConsistOf(And(HaveField("KeyURI", "vault://transit/shred-own"), HaveField("Method", "transit key deleted"),
			HaveField("EffectiveAt", Not(BeEmpty())), HaveField("Promise", ContainSubstring("backups of the KMS itself")))))
		noKeyset(ctx, t.Name)
		Expect(k.opens(ctx, copied)).To(MatchError(ContainSubstring("encryption key not found")), "a backup of the keyset")
		shredCase("own-key", s.Outcome)
	})

	It("does not take a key that serves another, who hears of it long before", func(ctx SpecContext) {
		permit(ctx)
		k.own(ctx, "shred-claims", own)
		shreddable(ctx, "shred-uses", "vault://transit/shred-claims")
		for _, name := range []string{"shred-claims", "shred-uses"} {
			Eventually(func() []v1alpha1.Finding { return get(ctx, name).Status.Findings }).Should(ContainElement(HaveField("Code", compile.CodeKeyShared)), name)
		}
		t := get(ctx, "shred-claims")
		annotate(ctx, t.Name, v1alpha1.AnnotationConfirmShred, "UID")
		remove(ctx, t.Name)
		Eventually(waits(ctx, t.Name)).Should(And(HavePrefix(v1alpha1.ReasonKeyShared), ContainSubstring("tenant shred-uses names it")))
		Expect(k.opens(ctx, keysetIn(ctx, "shred-uses"))).To(Succeed())
		shredCase("key-shared", "KeyShared")

		change(ctx, t.Name, func(t *v1alpha1.HIPAATenant) { t.Spec.Encryption.KeyURI = "vault://transit/shred-claims" })
		s := ends(ctx, t)
		Expect(s.Outcome).To(Equal("WrappedCopiesDeleted"))
		noKeyset(ctx, t.Name)
		Expect(k.opens(ctx, keysetIn(ctx, "shred-uses"))).To(Succeed(), "the other tenant still opens its keys")
		shredCase("scope-taken-out", s.Outcome)

		By("retaining the other, whose data then keeps the key alive")
		change(ctx, "shred-uses", func(t *v1alpha1.HIPAATenant) { t.Spec.DeletionPolicy = v1alpha1.DeletionRetain })
		dead := get(ctx, "shred-uses")
		remove(ctx, dead.Name)
		Expect(ends(ctx, dead).Outcome).To(Equal("Retained"))
		shreddable(ctx, "shred-third", "vault://transit/shred-claims"+own)
		third := get(ctx, "shred-third")
		annotate(ctx, third.Name, v1alpha1.AnnotationConfirmShred, "UID")
		remove(ctx, third.Name)
		Eventually(waits(ctx, third.Name)).Should(And(HavePrefix(v1alpha1.ReasonKeyShared), ContainSubstring("shred-uses")))
		Expect(k.opens(ctx, keysetIn(ctx, dead.Name))).To(Succeed())
		shredCase("retained-tenant", "KeyShared")

		By("abandoning the one that waits")
		annotate(ctx, third.Name, v1alpha1.AnnotationAbandon, "UID")
		Eventually(func() bool {
			return apierrors.IsNotFound(admin.Get(ctx, client.ObjectKeyFromObject(third), &v1alpha1.HIPAATenant{}))
		}).Should(BeTrue())
		Expect(k.opens(ctx, keysetIn(ctx, third.Name))).To(Succeed())
		shredCase("abandon", "Retained")
	})

	It("is not fooled by parameters", func(ctx SpecContext) {
		permit(ctx)
		k.own(ctx, "shred-param", own)
		create(ctx, shredOther("shred-param-other", "vault://transit/shred-param?region=elsewhere"))
		t := get(ctx, "shred-param")
		annotate(ctx, t.Name, v1alpha1.AnnotationConfirmShred, "UID")
		remove(ctx, t.Name)
		Eventually(waits(ctx, t.Name)).Should(And(HavePrefix(v1alpha1.ReasonKeyShared), ContainSubstring("shred-param-other")))
		Expect(k.opens(ctx, keysetIn(ctx, t.Name))).To(Succeed())
		shredCase("parameter", "KeyShared")
		change(ctx, t.Name, func(t *v1alpha1.HIPAATenant) { t.Spec.DeletionPolicy = v1alpha1.DeletionRetain })
		s := ends(ctx, t)
		Expect(s.Outcome).To(Equal("Retained"))
		Expect(k.opens(ctx, keysetIn(ctx, t.Name))).To(Succeed())
		shredCase("back-to-retain", s.Outcome)
	})

	It("waits for a KMS that is away", func(ctx SpecContext) {
		permit(ctx)
		copied := k.own(ctx, "shred-away", own)
		t := get(ctx, "shred-away")
		k.cut.Store(true)
		DeferCleanup(func() { k.cut.Store(false) })
		annotate(ctx, t.Name, v1alpha1.AnnotationConfirmShred, "UID")
		remove(ctx, t.Name)
		Eventually(waits(ctx, t.Name)).Should(HavePrefix(v1alpha1.ReasonKMSUnreachable))
		Expect(keysetIn(ctx, t.Name)).To(Equal(copied), "nothing was touched")
		k.cut.Store(false)
		s := ends(ctx, t)
		Expect(s.Outcome).To(Equal("Shredded"))
		Expect(k.opens(ctx, copied)).NotTo(Succeed())
		shredCase("kms-away-and-back", s.Outcome)
	})

	It("loses a software key of its own, and is told that backups still open it", func(ctx SpecContext) {
		permit(ctx)
		shreddable(ctx, "shred-soft", "local://shred-soft"+own)
		t := get(ctx, "shred-soft")
		annotate(ctx, t.Name, v1alpha1.AnnotationConfirmShred, "UID")
		remove(ctx, t.Name)
		s := ends(ctx, t)
		Expect(s.Outcome).To(Equal("SoftwareKeyDeleted"))
		Expect(s.Shred.Keys).To(ConsistOf(HaveField("Promise", ContainSubstring("a backup of etcd"))))
		err := admin.Get(ctx, client.ObjectKey{Namespace: v1alpha1.OperatorNamespace, Name: "hipaa-local-kek-shred-soft"}, &corev1.Secret{})
		Expect(apierrors.IsNotFound(err)).To(BeTrue())
		noKeyset(ctx, t.Name)
		shredCase("software-key", s.Outcome)
	})

	It("does not come back when its keyset does", func(ctx SpecContext) {
		permit(ctx)
		copied := k.own(ctx, "shred-again", "")
		t := get(ctx, "shred-again")
		annotate(ctx, t.Name, v1alpha1.AnnotationConfirmShred, "UID")
		remove(ctx, t.Name)
		Expect(ends(ctx, t).Outcome).To(Equal("WrappedCopiesDeleted"))
		Expect(k.opens(ctx, copied)).To(Succeed(), "a backup opens, as the outcome says")

		By("restoring the keyset, with the operator's own rights, before a tenant of the same name comes")
		config, err := world.Cluster.ServiceAccount(ctx, v1alpha1.OperatorNamespace, v1alpha1.OperatorName)
		Expect(err).NotTo(HaveOccurred())
		restorer, err := operator.NewClient(config)
		Expect(err).NotTo(HaveOccurred())
		Expect(serverSideApply(ctx, restorer, &corev1.Secret{
			TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"}, Data: map[string][]byte{v1alpha1.KeysetKey: copied},
			ObjectMeta: metav1.ObjectMeta{Namespace: t.Name, Name: v1alpha1.SecretKeyset, Labels: map[string]string{
				v1alpha1.LabelTenant: t.Name, v1alpha1.LabelManagedBy: v1alpha1.OperatorName,
			}},
		})).To(Succeed())
		create(ctx, shredOther(t.Name, "vault://transit/shred-again"))
		Eventually(state(ctx, t.Name, v1alpha1.ConditionEncryptionReady)).Should(Equal("False/" + v1alpha1.ReasonForeignKeyMaterial))
		Expect(keysetIn(ctx, t.Name)).To(Equal(copied), "it is left as it is")
		shredCase("restored-keyset", "ForeignKeyMaterial")

		By("taking it away again")
		Expect(restorer.Delete(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: t.Name, Name: v1alpha1.SecretKeyset}})).To(Succeed())
		awaitReady(ctx, t.Name)
		Expect(dataKeys(ctx, t.Name)).To(HaveLen(1))
		Expect(keysetIn(ctx, t.Name)).NotTo(Equal(copied))
		shredCase("tenant-anew", "NewKeys")
	})
})
