package tenant

import (
	"os"
	"path/filepath"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/compile"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/keyringtest"
	"github.com/hipaatenant/hipaa-tenant-operator/test/bed"
	"github.com/hipaatenant/hipaa-tenant-operator/test/fixture"
)

// The table "Bad input" of the API page. Its first row, malformed fields, is the suite of test/integration/api.
var _ = Describe("a spec that cannot be honoured", func() {
	mistakes := []struct {
		what, code, path string
		edit             func(*v1alpha1.HIPAATenant)
	}{
		{"a region that is not in the profile", compile.CodeRegionNotEligible, "spec.region",
			func(t *v1alpha1.HIPAATenant) { t.Spec.Region = "eu-west-1" }},
		{"a timeout above the ceiling", compile.CodeSessionTimeoutAboveMaximum, "spec.sessionTimeout",
			func(t *v1alpha1.HIPAATenant) { t.Spec.SessionTimeout = "1h" }},
		{"an unknown channel", compile.CodeUnknownChannel, "spec.disabledChannels[0]",
			func(t *v1alpha1.HIPAATenant) { t.Spec.DisabledChannels = []v1alpha1.Name{"pager"} }},
		{"a key that is not allowed", compile.CodeKeyURINotAllowed, "spec.encryption.keyURI",
			func(t *v1alpha1.HIPAATenant) { t.Spec.Encryption.KeyURI = "awskms://alias/acme" }},
		{"an agreement one party has not signed", compile.CodeBAAIncomplete, "spec.baa.signatures",
			func(t *v1alpha1.HIPAATenant) { t.Spec.BAA.Signatures = t.Spec.BAA.Signatures[:1] }},
		{"an agreement that ended", compile.CodeBAALapsed, "spec.baa",
			func(t *v1alpha1.HIPAATenant) { t.Spec.BAA.ExpiresOn = "2026-02-01" }},
		{"an allowlist entry that is too wide", compile.CodeAllowlistTooWide, "spec.ipAllowlist[0]",
			func(t *v1alpha1.HIPAATenant) { t.Spec.IPAllowlist = []v1alpha1.CIDR{"0.0.0.0/0"} }},
		{"the operator's own namespace", compile.CodeNamespaceReserved, "spec.namespaces[0].name",
			func(t *v1alpha1.HIPAATenant) {
				t.Spec.Namespaces = []v1alpha1.TenantNamespace{{Name: v1alpha1.OperatorNamespace, Adopt: true}}
			}},
	}

	It("is accepted, stalled, and provisions nothing", func(ctx SpecContext) {
		for i, m := range mistakes {
			By(m.what)
			name := "mistake-" + string(rune('a'+i))
			create(ctx, fixture.Tenant(name, m.edit))
			Eventually(state(ctx, name, v1alpha1.ConditionStalled)).Should(HavePrefix("True/"), m.what)
			t := get(ctx, name)
			Expect(bed.Condition(t, v1alpha1.ConditionReady).Status).To(Equal(metav1.ConditionFalse))
			Expect(bed.Condition(t, v1alpha1.ConditionReconciling)).To(BeZero())
			Expect(t.Status.Findings).To(ContainElement(And(HaveField("Code", m.code), HaveField("Path", m.path), HaveField("Severity", v1alpha1.SeverityError))))
			Expect(apierrors.IsNotFound(admin.Get(ctx, client.ObjectKey{Name: name}, &corev1.Namespace{}))).To(BeTrue(), "no namespace")
			Expect(t.Status.Inventory).To(BeEmpty())
		}
	})

	It("leaves what was enforced before", func(ctx SpecContext) {
		create(ctx, fixture.Tenant("sound"))
		stood := objects(ctx, awaitReady(ctx, "sound"))
		for _, m := range mistakes {
			if m.code == compile.CodeBAALapsed || m.code == compile.CodeNamespaceReserved {
				continue // a provisioned tenant whose agreement lapses is another story; so is one that moves
			}
			By(m.what)
			change(ctx, "sound", m.edit)
			Eventually(state(ctx, "sound", v1alpha1.ConditionStalled)).Should(HavePrefix("True/"), m.what)
			Expect(objects(ctx, get(ctx, "sound"))).To(Equal(stood))
			change(ctx, "sound", func(t *v1alpha1.HIPAATenant) { t.Spec = fixture.Tenant("sound").Spec })
			awaitReady(ctx, "sound")
		}
	})
})

var _ = Describe("a namespace somebody else has", func() {
	It("is not taken over, whoever has it", func(ctx SpecContext) {
		create(ctx, fixture.Tenant("first", func(t *v1alpha1.HIPAATenant) { t.Spec.Namespaces = []v1alpha1.TenantNamespace{{Name: "contested"}} }))
		stood := versions(ctx, awaitReady(ctx, "first"))
		create(ctx, fixture.Tenant("second", func(t *v1alpha1.HIPAATenant) {
			t.Spec.Namespaces = []v1alpha1.TenantNamespace{{Name: "contested", Adopt: true}}
		}))
		Eventually(state(ctx, "second", v1alpha1.ConditionReady)).Should(Equal("False/" + v1alpha1.ReasonNamespaceConflict))
		Expect(versions(ctx, get(ctx, "first"))).To(Equal(stood), "the first tenant is untouched")

		Expect(admin.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "bystander", Labels: map[string]string{"team": "x"}}})).To(Succeed())
		create(ctx, fixture.Tenant("bystander"))
		Eventually(state(ctx, "bystander", v1alpha1.ConditionStalled)).Should(Equal("True/" + v1alpha1.ReasonNamespaceConflict))
		Expect(namespace(ctx, "bystander").Labels).NotTo(HaveKey(v1alpha1.LabelTenant))
	})

	It("is taken over when the spec says adopt and it is nobody's", func(ctx SpecContext) {
		Expect(admin.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "orphan", Labels: map[string]string{"team": "x"}}})).To(Succeed())
		create(ctx, fixture.Tenant("adopter", func(t *v1alpha1.HIPAATenant) {
			t.Spec.Namespaces = []v1alpha1.TenantNamespace{{Name: "orphan", Adopt: true}}
		}))
		awaitReady(ctx, "adopter")
		Expect(namespace(ctx, "orphan").Labels).To(And(HaveKeyWithValue("team", "x"), HaveKeyWithValue(v1alpha1.LabelTenant, "adopter")))
	})
})

var _ = Describe("something a tenant needs and that is missing", func() {
	It("is waited for: a profile", func(ctx SpecContext) {
		create(ctx, fixture.Tenant("patient", func(t *v1alpha1.HIPAATenant) { t.Spec.Profile = "late" }))
		Eventually(state(ctx, "patient", v1alpha1.ConditionReady)).Should(Equal("False/" + v1alpha1.ReasonWaiting))
		Expect(bed.Condition(get(ctx, "patient"), v1alpha1.ConditionReady).Message).To(ContainSubstring("HIPAAProfile late"))
		Expect(admin.Create(ctx, fixture.Profile("late"))).To(Succeed())
		awaitReady(ctx, "patient")
	})

	It("is waited for: a business associate", func(ctx SpecContext) {
		create(ctx, fixture.Tenant("sociable", func(t *v1alpha1.HIPAATenant) { t.Spec.BusinessAssociates = []v1alpha1.Name{"late-vendor"} }))
		Eventually(state(ctx, "sociable", v1alpha1.ConditionReady)).Should(Equal("False/" + v1alpha1.ReasonWaiting))
		Expect(admin.Create(ctx, fixture.Associate("late-vendor"))).To(Succeed())
		Expect(awaitReady(ctx, "sociable").Status.Effective.BusinessAssociates).To(Equal([]string{"late-vendor"}))
		Eventually(func() int32 {
			a := &v1alpha1.BusinessAssociate{}
			Expect(admin.Get(ctx, client.ObjectKey{Name: "late-vendor"}, a)).To(Succeed())
			return a.Status.UsedBy
		}).Should(BeEquivalentTo(1))
	})
})

var _ = Describe("a KMS", Ordered, func() {
	var vault *keyringtest.Vault
	onVault := func(t *v1alpha1.HIPAATenant) { t.Spec.Encryption.KeyURI = "vault://transit/" + t.Name }

	// withVault starts the operator with a Vault address and a token.
	withVault := func(ctx SpecContext, address string) {
		GinkgoHelper()
		token := filepath.Join(world.Dir, "vault-token")
		Expect(os.WriteFile(token, []byte(vault.Root), 0o600)).To(Succeed())
		Expect(world.Running.Kill()).To(Succeed())
		startOperator(ctx, "--vault-address", address, "--vault-token-file", token)
	}

	BeforeAll(func(ctx SpecContext) {
		vault = keyringtest.StartVault(GinkgoTB())
		DeferCleanup(func(ctx SpecContext) {
			Expect(world.Running.Kill()).To(Succeed())
			startOperator(ctx)
		})
	})

	It("that is Vault's transit engine wraps the keys of a tenant", func(ctx SpecContext) {
		withVault(ctx, vault.Address)
		vault.CreateKey(GinkgoTB(), "transit", "vaulted")
		create(ctx, fixture.Tenant("vaulted", onVault))
		t := awaitReady(ctx, "vaulted")
		Expect(bed.Condition(t, v1alpha1.ConditionEncryptionReady).Message).To(HavePrefix("1 data keys wrapped by vault://transit/vaulted"))
		Expect(t.Status.Keys).To(ConsistOf(And(HaveField("Provider", "vault"), HaveField("Assurance", v1alpha1.ReasonKMSWrapped))))
	})

	It("that says no is quoted, and nothing is opened", func(ctx SpecContext) {
		create(ctx, fixture.Tenant("keyless", onVault))
		Eventually(state(ctx, "keyless", v1alpha1.ConditionEncryptionReady)).Should(Equal("False/" + v1alpha1.ReasonKMSRefused))
		Expect(namespace(ctx, "keyless").Annotations).To(HaveKeyWithValue(v1alpha1.AnnotationAdmission, string(v1alpha1.GateLocked)))
	})

	It("that does not answer leaves what stands, and new namespaces locked", func(ctx SpecContext) {
		withVault(ctx, "http://127.0.0.1:1")
		stood := objects(ctx, get(ctx, "vaulted"))
		create(ctx, fixture.Tenant("stranded", onVault))
		Eventually(state(ctx, "stranded", v1alpha1.ConditionEncryptionReady), "60s").Should(Equal("Unknown/" + v1alpha1.ReasonKMSUnreachable))
		Expect(namespace(ctx, "stranded").Annotations).To(HaveKeyWithValue(v1alpha1.AnnotationAdmission, string(v1alpha1.GateLocked)))
		touch(ctx, "vaulted")
		Expect(awaitReady(ctx, "vaulted").Status.Keys).To(HaveLen(1))
		Expect(objects(ctx, get(ctx, "vaulted"))).To(Equal(stood))

		By("coming back")
		vault.CreateKey(GinkgoTB(), "transit", "stranded")
		withVault(ctx, vault.Address)
		awaitReady(ctx, "stranded")
	})
})
