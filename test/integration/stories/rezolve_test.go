package stories

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/compile"
)

var _ = Describe("rezolve-like", func() {
	const name = "rezolve-like"
	BeforeEach(func(ctx SpecContext) { suite.AwaitReady(ctx, name) })

	It("keeps pods in its regions", func(ctx SpecContext) {
		Eventually(facts(ctx, name)).Should(HaveKeyWithValue(v1alpha1.AnnotationRegions, "us-east-1,us-west-2"))
		expectBoundTo(ctx, name, "node-us-east-1", "node-eu-west-1")
	})

	It("finds a pod that is no longer in its regions", func(ctx SpecContext) {
		misplace(ctx, name, "rezolve-wanderer")
		Eventually(suite.State(ctx, name, v1alpha1.ConditionPlacementEnforced)).Should(Equal("False/" + v1alpha1.ReasonPodsMisplaced))
		Eventually(suite.State(ctx, name, v1alpha1.ConditionReady)).Should(Equal("False/" + v1alpha1.ReasonPodsMisplaced))
	})

	It("sends a vendor nothing while one of its subcontractors has not signed", func(ctx SpecContext) {
		reached := []string{"198.51.100.0/28 TCP/443"}
		Eventually(opened(ctx, name, v1alpha1.PolicyAllowAssociates)).Should(Equal(reached))
		labelling := associate("rezolve-like-labelling")
		change(ctx, labelling, func(a *v1alpha1.BusinessAssociate) { a.Spec.BAA.Signatures = a.Spec.BAA.Signatures[:1] })
		Eventually(opened(ctx, name, v1alpha1.PolicyAllowAssociates)).Should(BeEmpty())
		Eventually(facts(ctx, name)).Should(HaveKeyWithValue(v1alpha1.AnnotationEgress, Not(ContainSubstring("198.51.100"))), "not by a policy of the tenant's own either")
		Eventually(inForce(ctx, "rezolve-like-model")).Should(Equal("False/" + v1alpha1.ReasonSubcontractorLapsed))
		Eventually(codes(ctx, name)).Should(ContainElement(compile.CodeAssociateNotInForce + " spec.businessAssociates[1]"))

		By("signing")
		change(ctx, labelling, func(a *v1alpha1.BusinessAssociate) {
			a.Spec.BAA.Signatures = append(a.Spec.BAA.Signatures, v1alpha1.Signature{Party: v1alpha1.PartyBusinessAssociate, Name: "Noa Brandt", On: "2026-06-01"})
		})
		Eventually(opened(ctx, name, v1alpha1.PolicyAllowAssociates)).Should(Equal(reached))
	})

	It("uses and discloses only as its agreement permits", func(ctx SpecContext) {
		another(ctx, name, "rezolve-elsewhere", func(s *v1alpha1.HIPAATenantSpec) { s.BAA.Scope = []string{"hosting"} })
		stalled(ctx, "rezolve-elsewhere", compile.CodeBAAOutOfScope, "spec.baa.scope")
		another(ctx, name, "rezolve-nothing", func(s *v1alpha1.HIPAATenantSpec) { s.BAA.Scope = nil })
		stalled(ctx, "rezolve-nothing", compile.CodeBAAOutOfScope, "spec.baa.scope")

		By("letting a vendor render what its own agreement does not cover")
		Eventually(opened(ctx, name, v1alpha1.PolicyAllowAssociates)).ShouldNot(BeEmpty())
		change(ctx, associate("rezolve-like-model"), func(a *v1alpha1.BusinessAssociate) { a.Spec.Services = append(a.Spec.Services, "advertising") })
		Eventually(inForce(ctx, "rezolve-like-model")).Should(Equal("False/" + v1alpha1.ReasonOutOfScope))
		Eventually(opened(ctx, name, v1alpha1.PolicyAllowAssociates)).Should(BeEmpty())
	})

	It("serves nothing in clear text", func(ctx SpecContext) {
		expectTLS(ctx, name)
		Expect(config(ctx, name)[v1alpha1.ConfigKey]).To(ContainSubstring(`"tls": "Required"`))
		refusedEdit(ctx, name, func(spec map[string]any) { inside(spec, "application", "mailbox")["tls"] = "None" },
			`spec.application.mailbox.tls: Unsupported value: "None"`)
	})

	It("puts back the policy that refuses clear text, and tells", func(ctx SpecContext) {
		binding := &admissionv1.ValidatingAdmissionPolicyBinding{ObjectMeta: metav1.ObjectMeta{Name: "hipaatenant-exposure"}}
		Expect(admin.Get(ctx, client.ObjectKeyFromObject(binding), binding)).To(Succeed())
		was := binding.UID
		Expect(admin.Delete(ctx, binding)).To(Succeed())
		Eventually(func() error { return admin.Get(ctx, client.ObjectKeyFromObject(binding), binding) }).Should(Succeed())
		Expect(binding.UID).NotTo(Equal(was))
		Eventually(events(ctx)).Should(ContainElement(And(
			HaveField("Reason", "AdmissionPolicyRestored"), HaveField("Note", ContainSubstring("hipaatenant-exposure")))))
		Eventually(suite.State(ctx, name, v1alpha1.ConditionAdmissionEnforced)).Should(Equal("True/" + v1alpha1.ReasonEnforced))
		expectTLS(ctx, name)
	})

	It("stores on encrypted classes only, and keeps data when the tenant is deleted", func(ctx SpecContext) {
		allowed(ctx, name, claim("rezolve-like-encrypted"))
		refused(ctx, name, claim("liveperson-like-plain"), "storage class")
		leaving := another(ctx, name, "rezolve-leaving")
		suite.AwaitReady(ctx, leaving.Name)
		Expect(admin.Delete(ctx, leaving)).To(Succeed())
		Eventually(func() bool { return apierrors.IsNotFound(admin.Get(ctx, client.ObjectKeyFromObject(leaving), leaving)) }).Should(BeTrue())
		Eventually(facts(ctx, "rezolve-leaving")).Should(HaveKeyWithValue(v1alpha1.AnnotationAdmission, string(v1alpha1.GateQuarantined)))
		Expect(admin.Get(ctx, client.ObjectKey{Namespace: "rezolve-leaving", Name: v1alpha1.SecretKeyset}, &corev1.Secret{})).To(Succeed())
		refused(ctx, "rezolve-leaving", pod("", ""), "quarantined")
	})

	It("looks at how its storage classes encrypt", func(ctx SpecContext) {
		class := &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: "rezolve-like-encrypted"}}
		Expect(admin.Get(ctx, client.ObjectKeyFromObject(class), class)).To(Succeed())
		with := func(parameters map[string]string) {
			GinkgoHelper()
			Expect(admin.Delete(ctx, class.DeepCopy())).To(Succeed())
			Expect(admin.Create(ctx, &storagev1.StorageClass{
				ObjectMeta: metav1.ObjectMeta{Name: class.Name}, Provisioner: class.Provisioner, Parameters: parameters,
			})).To(Succeed())
		}
		with(map[string]string{"encrypted": "true"})
		Eventually(codes(ctx, name)).Should(ContainElement(compile.CodeStorageClassNotCustomerKey + " spec.encryption.storageClasses"))
		refused(ctx, name, claim("rezolve-like-encrypted"), "storage class")
		with(class.Parameters)
		Eventually(codes(ctx, name)).ShouldNot(ContainElement(HavePrefix(compile.CodeStorageClassNotCustomerKey)))
		allowed(ctx, name, claim("rezolve-like-encrypted"))
	})

	It("lets in whom the tenant names, and nobody else", func(ctx SpecContext) {
		Expect(may(ctx, "ana@imai.example", []string{"imai-devs"}, name, "create deployments.apps")).To(BeTrue())
		Expect(may(ctx, "ana@imai.example", []string{"other-devs"}, name, "create deployments.apps")).To(BeFalse())
		Expect(may(ctx, "ana@imai.example", []string{"imai-devs"}, name, "create pods/exec")).To(BeFalse())
		Expect(may(ctx, "ana@imai.example", []string{"imai-devs"}, "aptible-like", "list pods")).To(BeFalse())
		refused(ctx, name, roleBinding("{kind: Group, name: 'system:authenticated', apiGroup: rbac.authorization.k8s.io}"), "164.312(a)(2)(i)")
		refused(ctx, name, roleBinding("{kind: ServiceAccount, name: default, namespace: aptible-like}"), "service account")
		Expect(config(ctx, name)).To(And(HaveKeyWithValue("HIPAA_AUTH_METHOD", "SAML"), HaveKeyWithValue("HIPAA_MFA", "IdentityProvider")))
	})

	It("tells of an incident where people and machines look", func(ctx SpecContext) {
		misplace(ctx, name, "rezolve-incident")
		Eventually(codes(ctx, name)).Should(ContainElement(HavePrefix(compile.CodePodsMisplaced)))
		Eventually(events(ctx)).Should(ContainElement(And(HaveField("Reason", compile.CodePodsMisplaced), HaveField("Regarding.Name", name))))
		Eventually(suite.Metrics).WithContext(ctx).Should(ContainSubstring(`hipaatenant_misplaced_pods{tenant="rezolve-like"} 1`))
		refusedEdit(ctx, name, func(spec map[string]any) { // somebody is there to be told
			delete(spec, "securityOfficer")
			delete(inside(spec, "coveredEntity"), "contact")
		}, "spec.securityOfficer: Required value", "spec.coveredEntity.contact: Required value")
	})

	It("runs on when its region is lost, and lets people in when two agree", func(ctx SpecContext) {
		expectBoundTo(ctx, name, "node-us-west-2", "node-eu-west-1")
		expectEmergency(ctx, emergency{tenant: name, namespaces: []string{name}, asker: "ana@imai.example", officers: "rezolve-like-officers", most: "4h"})
	})

	It("has a named person vouch for backup, disposal and re-use of media", func(ctx SpecContext) {
		expectAttested(ctx, name, "164.308(a)(7)(ii)(A)", "164.310(d)(2)(i)")
	})
	It("has a named person vouch for how users sign in", func(ctx SpecContext) { expectAttested(ctx, name, "164.312(d)") })
	It("has a named person vouch for clearance, supervision and training", func(ctx SpecContext) {
		expectAttested(ctx, name, "164.308(a)(3)(ii)(B)", "164.308(a)(5)")
	})
	It("has a named person vouch for incident procedures", func(ctx SpecContext) { expectAttested(ctx, name, "164.308(a)(6)(ii)") })
	It("has a named person vouch for the contingency plan", func(ctx SpecContext) { expectAttested(ctx, name, "164.308(a)(7)(ii)(B)") })
})

// claim asks for a volume of a storage class.
func claim(class string) string {
	return "{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: records}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}, storageClassName: " + class + "}}"
}

// roleBinding is one of a tenant's own, with this subject.
func roleBinding(subject string) string {
	return "{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: own}, roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}, subjects: [" + subject + "]}"
}

// ingress serves a host, with TLS or without.
func ingress(tls string) string {
	return "{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {name: web}, spec: {" + tls + "rules: [{host: app.example, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 443}}}}]}}]}}"
}
