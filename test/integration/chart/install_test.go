package chart

import (
	"context"
	"os"
	"path/filepath"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/test/operator"
)

// One container, because a cluster holds one operator: what comes later finds what came before.
var _ = Describe("an install", Ordered, func() {
	const (
		platform, onboarding = "hipaa-platform", "hipaa-onboarding" // namespaces of the releases
		name, namespace      = "acme-health", "acme-health-app"     // of the tenant in ci/acme.yaml
		typeChecks           = 2 * time.Minute                      // may pass until a busy controller manager has checked new policies
	)
	var (
		binary  string
		running *operator.Operator
	)
	installOperator := []string{"install", "hipaa", operatorChart, "-n", platform, "--wait", "--timeout=60s"}
	installAcme := []string{"install", "acme", tenantChart, "-n", onboarding, "--create-namespace", "-f", acmeValues}
	metadata := metav1.ObjectMeta{Name: v1alpha1.OperatorName, Namespace: platform}

	BeforeAll(func(ctx SpecContext) {
		Expect(admin.Create(ctx, restricted(platform))).To(Succeed())
		binary = imageBinary(GinkgoTB())
	})
	AfterAll(func() {
		if running != nil {
			Expect(running.Stop(5 * time.Second)).To(Succeed())
		}
	})
	AfterEach(func() {
		if CurrentSpecReport().Failed() && running != nil {
			GinkgoWriter.Println(running.LogTail(8192))
		}
	})

	It("by helm goes to a namespace of its own choice", func(ctx SpecContext) {
		Expect(helmInstalls(installOperator...)).To(And(ContainSubstring("What next"), ContainSubstring("Tenants stay protected"), ContainSubstring("There is none yet")))
		expectTwoReplicas(ctx, platform)
		running = startAsDeployed(ctx, binary, platform)
	})

	It("says of a replica that it is ready when it has read all tenants, though it only waits for the lease", func(ctx SpecContext) {
		waiting := startAsDeployed(ctx, binary, platform)
		Expect(waiting.Stop(5 * time.Second)).To(Succeed())
		blind := operator.Options{Binary: binary, Dir: GinkgoT().TempDir(), Namespace: platform, ServiceAccount: "blind"}
		role := lookAway(ctx, platform, blind.ServiceAccount)
		soon, cancel := context.WithTimeout(ctx, 3*time.Second)
		defer cancel()
		_, err := operator.Start(soon, testCluster, blind)
		Expect(err).To(MatchError(ContainSubstring("did not become ready")))
		log, err := os.ReadFile(filepath.Join(blind.Dir, "operator.log"))
		Expect(err).NotTo(HaveOccurred())
		Expect(string(log)).To(ContainSubstring("hipaatenants.hipaatenant.dev is forbidden"), "it says why")

		By("letting it see what it needs")
		sees := &rbacv1.ClusterRole{}
		Expect(admin.Get(ctx, client.ObjectKey{Name: v1alpha1.OperatorName}, sees)).To(Succeed())
		role.Rules = sees.Rules
		Expect(admin.Update(ctx, role)).To(Succeed())
		blind.Dir = GinkgoT().TempDir()
		seeing, err := operator.Start(ctx, testCluster, blind)
		Expect(err).NotTo(HaveOccurred())
		Expect(seeing.Stop(5 * time.Second)).To(Succeed())
		Expect(admin.Delete(ctx, role)).To(Succeed())
	})

	It("onboards a tenant, which becomes Ready", func(ctx SpecContext) {
		Expect(operator.ApplyDir(ctx, admin, "config/samples")).To(Succeed())
		Expect(admin.Delete(ctx, tenant(ctx, name))).To(Succeed()) // the samples' own acme-health makes room
		Eventually(func() bool { return gone(ctx, &v1alpha1.HIPAATenant{ObjectMeta: metav1.ObjectMeta{Name: name}}) }).WithTimeout(typeChecks).Should(BeTrue())
		Expect(helmInstalls(installAcme...)).To(ContainSubstring("kubectl delete hipaatenant " + name))
		Eventually(func() bool { return ready(tenant(ctx, name)) }).WithTimeout(typeChecks).Should(BeTrue())
	})

	It("had the operator exempt the release's service account, and no other", func(ctx SpecContext) {
		policy := &admissionv1.ValidatingAdmissionPolicy{}
		Expect(admin.Get(ctx, client.ObjectKey{Name: "hipaatenant-tenancy"}, policy)).To(Succeed())
		Expect(policy.Spec.Variables).To(ContainElement(HaveField("Expression",
			ContainSubstring("'system:serviceaccount:"+platform+":"+v1alpha1.OperatorName+"'"))))
		Expect(policy.Spec.Variables).NotTo(ContainElement(HaveField("Expression", ContainSubstring(v1alpha1.OperatorNamespace))))
	})

	It("leaves the rules over several fields to the API server, whose words arrive", func() {
		_, err := helm(GinkgoTB(), "install", "bad", tenantChart, "-n", onboarding, "-f", acmeValues, "--kubeconfig", testCluster.Kubeconfig(),
			"--set=tenant.name=bad,encryption.keyURI=ftp://keys,failoverRegions[0]=us-east-1")
		Expect(err).To(MatchError(And(
			ContainSubstring("keyURI must begin with vault://"), ContainSubstring("failoverRegions must not contain region us-east-1"))))
	})

	It("upgrades the tenant the operator has been working on, without a conflict", func(ctx SpecContext) {
		uid := tenant(ctx, name).UID
		for _, timeout := range []string{"10m", "5m"} {
			helmInstalls("upgrade", "acme", tenantChart, "-n", onboarding, "-f", acmeValues, "--set=sessionTimeout="+timeout, "--wait", "--timeout=60s")
			t := tenant(ctx, name)
			Expect(ready(t)).To(BeTrue())
			Expect(t.UID).To(Equal(uid))
			Expect(t.Status.Effective.SessionTimeout).To(HavePrefix(timeout))
		}
	})

	It("upgrades the operator, without a conflict", func(ctx SpecContext) {
		for _, concurrency := range []string{"8", "4"} {
			helmInstalls("upgrade", "hipaa", operatorChart, "-n", platform, "--set=concurrency="+concurrency, "--wait", "--timeout=60s")
			deployment := &appsv1.Deployment{ObjectMeta: metadata}
			Expect(admin.Get(ctx, client.ObjectKeyFromObject(deployment), deployment)).To(Succeed())
			Expect(deployment.Spec.Template.Spec.Containers[0].Args).To(ContainElement("--concurrency=" + concurrency))
		}
	})

	It("says what it found: the profile, tenants, definitions of another version", func() {
		again := func(set string) string {
			GinkgoHelper()
			return helmInstalls("upgrade", "hipaa", operatorChart, "-n", platform, "--dry-run=server", "--set="+set)
		}
		Expect(again("crds.enabled=true")).To(And(ContainSubstring("HIPAAProfile default is there, and so are 2 tenants"), Not(ContainSubstring("WARNING"))))
		const definition, label = "hipaatenants.hipaatenant.dev", "app.kubernetes.io/version="
		kubectl("label", "crd", definition, "--overwrite", label+"99.0.0")
		Expect(again("crds.enabled=true")).To(ContainSubstring("WARNING: this goes back from version 99.0.0 to " + version(GinkgoTB())))
		Expect(again("crds.enabled=false")).To(ContainSubstring("WARNING: the definitions on this cluster are of version 99.0.0"))
		kubectl("label", "crd", definition, "--overwrite", label+"0.0.1")
		Expect(again("crds.enabled=true")).NotTo(ContainSubstring("WARNING"), "they are upgraded with the release")
		kubectl("label", "crd", definition, "--overwrite", label+version(GinkgoTB()))
	})

	It("keeps the tenant when its release is uninstalled, and takes it up again", func(ctx SpecContext) {
		before := tenant(ctx, name)
		helmInstalls("uninstall", "acme", "-n", onboarding)
		Expect(tenant(ctx, name).UID).To(Equal(before.UID))
		Expect(tenant(ctx, name).DeletionTimestamp).To(BeNil())
		helmInstalls(installAcme...)
		after := tenant(ctx, name)
		Expect(after.UID).To(Equal(before.UID))
		Eventually(func() bool { return ready(tenant(ctx, name)) }).Should(BeTrue())
	})

	It("keeps definitions, tenants and what protects them when the operator is uninstalled", func(ctx SpecContext) {
		before := tenant(ctx, name)
		Expect(running.Stop(10 * time.Second)).To(Succeed())
		helmInstalls("uninstall", "hipaa", "-n", platform)
		for _, o := range []client.Object{
			&appsv1.Deployment{ObjectMeta: metadata}, &corev1.ServiceAccount{ObjectMeta: metadata}, &rbacv1.RoleBinding{ObjectMeta: metadata},
			&rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: v1alpha1.OperatorName}},
			&rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: v1alpha1.OperatorName}},
		} {
			Eventually(func() bool { return gone(ctx, o) }).Should(BeTrue(), "%T %s", o, o.GetName())
		}
		Expect(definitions(ctx)).To(HaveLen(4))
		Expect(tenant(ctx, name).ResourceVersion).To(Equal(before.ResourceVersion), "the tenant is as it was")

		By("trying as administrator what the tenant is protected from")
		err := admin.Delete(ctx, &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Name: v1alpha1.PolicyDefaultDeny, Namespace: namespace}})
		Expect(apierrors.IsForbidden(err)).To(BeTrue(), "%v", err)
		err = admin.Delete(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}})
		Expect(apierrors.IsForbidden(err)).To(BeTrue(), "%v", err)
	})

	It("installs the operator again over what was kept, and the tenant goes on", func(ctx SpecContext) {
		before := tenant(ctx, name)
		policies := &networkingv1.NetworkPolicyList{}
		Expect(admin.List(ctx, policies, client.InNamespace(namespace))).To(Succeed())
		helmInstalls(installOperator...)
		running = startAsDeployed(ctx, binary, platform)
		helmInstalls("upgrade", "acme", tenantChart, "-n", onboarding, "-f", acmeValues, "--set=sessionTimeout=12m", "--wait", "--timeout=60s")
		Expect(ready(tenant(ctx, name))).To(BeTrue())
		Expect(tenant(ctx, name).UID).To(Equal(before.UID))
		Expect(tenant(ctx, name).Status.Effective.SessionTimeout).To(HavePrefix("12m"))
		after := &networkingv1.NetworkPolicyList{}
		Expect(admin.List(ctx, after, client.InNamespace(namespace))).To(Succeed())
		Expect(after.Items).To(Equal(policies.Items), "nothing that protects the tenant was touched")
	})

	It("by kubectl goes over the definitions helm kept", func(ctx SpecContext) {
		helmInstalls("uninstall", "hipaa", "-n", platform)
		kept := definitions(ctx)
		appliesConfigDefault(ctx)
		Expect(definitions(ctx)).To(WithTransform(uids, Equal(uids(kept))))
	})

	It("loses no namespace with a definition, and hangs no longer than the operator is away", func(ctx SpecContext) {
		Expect(running.Stop(10 * time.Second)).To(Succeed())
		kubectl("delete", "crd", "hipaatenants.hipaatenant.dev", "--wait=false") // as uninstalling with crds.keep=false does
		Eventually(func() *metav1.Time { return tenant(ctx, name).DeletionTimestamp }).ShouldNot(BeNil())
		stands := func() {
			GinkgoHelper()
			ns := &corev1.Namespace{}
			Expect(admin.Get(ctx, client.ObjectKey{Name: namespace}, ns)).To(Succeed())
			Expect(ns.DeletionTimestamp).To(BeNil())
			deny := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Name: v1alpha1.PolicyDefaultDeny, Namespace: namespace}}
			Expect(apierrors.IsForbidden(admin.Delete(ctx, deny))).To(BeTrue())
		}
		stands()
		Expect(tenant(ctx, name).Finalizers).NotTo(BeEmpty(), "it waits for the operator")

		By("installing the operator again, which ends what waits")
		running = startAsDeployed(ctx, binary, v1alpha1.OperatorNamespace)
		Eventually(func() int { return len(definitions(ctx)) }).WithTimeout(typeChecks).Should(Equal(3))
		stands()
		ns := &corev1.Namespace{}
		Expect(admin.Get(ctx, client.ObjectKey{Name: namespace}, ns)).To(Succeed())
		Expect(ns.Annotations).To(HaveKeyWithValue(v1alpha1.AnnotationAdmission, string(v1alpha1.GateQuarantined)))
	})
})
