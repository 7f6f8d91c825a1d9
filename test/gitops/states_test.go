package gitops

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/test/bed"
	"github.com/hipaatenant/hipaa-tenant-operator/test/cluster"
	"github.com/hipaatenant/hipaa-tenant-operator/test/fixture"
	"github.com/hipaatenant/hipaa-tenant-operator/test/operator"
)

// updateVariable has the testdata of Argo CD's health scripts written anew.
const updateVariable = "HIPAA_UPDATE_TESTDATA"

// The testdata that the scripts are tried on must be what the operator writes. Each object is brought into its state here and
// compared with the file of that name.
var _ = Describe("the objects that Argo CD's health scripts are tried on", Ordered, func() {
	var w *bed.Bed
	const settled = 3 * time.Second // unchanged for so long

	BeforeAll(func(ctx SpecContext) {
		w = bed.Start(ctx, cluster.Options{ControllerManager: true})
		Expect(w.Admin.Create(ctx, fixture.Profile(v1alpha1.DefaultProfile, func(p *v1alpha1.HIPAAProfile) {
			p.Spec.EmergencyAccess = &v1alpha1.EmergencyAccessRules{MaxDuration: "2h", Approvers: []v1alpha1.Subject{{Kind: "User", Name: "ben@hospital.example"}}}
		}))).To(Succeed())
	}, NodeTimeout(2*time.Minute))
	AfterEach(func() { w.KeepOnFailure() })

	operate := func(ctx context.Context, args ...string) {
		GinkgoHelper()
		if w.Running != nil && w.Running.Running() {
			Expect(w.Running.Kill()).To(Succeed())
		}
		w.Operate(ctx, operator.Options{Binary: binary, Args: args})
	}
	create := func(ctx context.Context, o client.Object) {
		GinkgoHelper()
		Expect(w.Admin.Create(ctx, o)).To(Succeed())
	}
	// is compares an object with a file, for as long as it may take the operator to bring it there.
	is := func(ctx context.Context, kind, name, state string) {
		GinkgoHelper()
		file := repository("config", "gitops", "argocd", v1alpha1.Group, kind, "testdata", state+".yaml")
		now := func() string { return snapshot(ctx, w.Admin, kind, name) }
		if os.Getenv(updateVariable) != "" {
			last := ""
			Eventually(func() bool { was := last; last = now(); return was == last }).WithPolling(settled).Should(BeTrue())
			Expect(os.MkdirAll(filepath.Dir(file), 0o755)).To(Succeed())
			Expect(os.WriteFile(file, []byte(now()), 0o644)).To(Succeed())
		}
		want, err := os.ReadFile(file)
		Expect(err).NotTo(HaveOccurred(), "%s=1 writes it", updateVariable)
		Eventually(now).Should(Equal(string(want)))
	}
	tenant, associate := "HIPAATenant", "BusinessAssociate"

	It("are so before the operator has looked at them", func(ctx SpecContext) {
		create(ctx, fixture.Tenant("acme"))
		create(ctx, fixture.Associate("aws", func(a *v1alpha1.BusinessAssociate) { a.Spec.DisplayName = "Amazon Web Services" }))
		create(ctx, &v1alpha1.EmergencyAccess{ObjectMeta: meta("inc-4712"), Spec: access("nobody")})
		is(ctx, tenant, "acme", "progressing_new")
		is(ctx, associate, "aws", "progressing_new")
		is(ctx, "EmergencyAccess", "inc-4712", "progressing_new")
		is(ctx, "HIPAAProfile", v1alpha1.DefaultProfile, "healthy_inEffect")
	})

	It("are so when all is well", func(ctx SpecContext) {
		operate(ctx)
		w.AwaitTypeChecks(ctx)
		w.AwaitReady(ctx, "acme")
		Eventually(w.State(ctx, "acme", v1alpha1.ConditionEncryptionReady)).Should(Equal("False/" + v1alpha1.ReasonNotEncryptedAtRest))
		is(ctx, tenant, "acme", "healthy_ready")
		is(ctx, associate, "aws", "healthy_inForce")
		create(ctx, fixture.Associate("printer", func(a *v1alpha1.BusinessAssociate) {
			a.Spec.HandlesPHI, a.Spec.BAA, a.Spec.NoPHIReason = false, nil, "it sees page counts alone"
		}))
		is(ctx, associate, "printer", "healthy_noPHI")
	})

	It("are so when they wait, or cannot be", func(ctx SpecContext) {
		create(ctx, fixture.Tenant("birch", func(t *v1alpha1.HIPAATenant) { t.Spec.Profile = "strict" }))
		is(ctx, tenant, "birch", "progressing_waiting")
		create(ctx, fixture.Tenant("cedar", func(t *v1alpha1.HIPAATenant) { t.Spec.Region = "eu-west-1" }))
		is(ctx, tenant, "cedar", "degraded_invalid")
		create(ctx, fixture.Tenant("dogwood", func(t *v1alpha1.HIPAATenant) { t.Spec.Namespaces = []v1alpha1.TenantNamespace{{Name: "acme"}} }))
		is(ctx, tenant, "dogwood", "degraded_namespaceConflict")
		create(ctx, fixture.Tenant("elder", func(t *v1alpha1.HIPAATenant) { t.Spec.Encryption.KeyURI = "vault://transit/elder" }))
		Eventually(w.State(ctx, "elder", v1alpha1.ConditionReady)).Should(Equal("False/" + v1alpha1.ReasonKeyUnsupported))
		is(ctx, tenant, "elder", "degraded_keyUnsupported")
		create(ctx, fixture.Associate("pager", func(a *v1alpha1.BusinessAssociate) { a.Spec.BAA.ExpiresOn = "2026-02-01" }))
		is(ctx, associate, "pager", "degraded_expired")
		create(ctx, fixture.Associate("dispatch", func(a *v1alpha1.BusinessAssociate) { a.Spec.Subcontractors = []v1alpha1.Name{"pager"} }))
		is(ctx, associate, "dispatch", "degraded_subcontractorLapsed")
	})

	It("are so when a person asks to be let in", func(ctx SpecContext) {
		as := people(ctx, w)
		Eventually(func() error {
			return as["ana@acme.example"].Create(ctx, &v1alpha1.EmergencyAccess{ObjectMeta: meta("inc-4711"), Spec: access("acme")})
		}).Should(Succeed())
		is(ctx, "EmergencyAccess", "inc-4711", "suspended_awaitingApproval")
		approve(ctx, as["ben@hospital.example"], "inc-4711")
		is(ctx, "EmergencyAccess", "inc-4711", "healthy_granted")
		Expect(as["ana@acme.example"].Create(ctx, &v1alpha1.EmergencyAccess{ObjectMeta: meta("inc-4713"), Spec: access("acme")})).To(Succeed())
		approve(ctx, as["cleo@hospital.example"], "inc-4713")
		is(ctx, "EmergencyAccess", "inc-4713", "degraded_denied")
		Expect(as["ana@acme.example"].Create(ctx, &v1alpha1.EmergencyAccess{ObjectMeta: meta("inc-4714"), Spec: access("nobody")})).To(Succeed())
		is(ctx, "EmergencyAccess", "inc-4714", "degraded_notPossible")
	})

	It("are so when the key service does not answer, when suspended, and while being deleted", func(ctx SpecContext) {
		token := filepath.Join(w.Dir, "token")
		Expect(os.WriteFile(token, []byte("t"), 0o600)).To(Succeed())
		operate(ctx, "--vault-address=http://127.0.0.1:1", "--vault-token-file="+token)
		Eventually(w.State(ctx, "elder", v1alpha1.ConditionReady)).Should(Equal("False/" + v1alpha1.ReasonKMSUnreachable))
		is(ctx, tenant, "elder", "progressing_kmsUnreachable")
		create(ctx, fixture.Tenant("fir", func(t *v1alpha1.HIPAATenant) { t.Spec.DeletionPolicy = v1alpha1.DeletionShred }))
		w.AwaitReady(ctx, "fir")
		Expect(w.Admin.Delete(ctx, w.Tenant(ctx, "fir"))).To(Succeed())
		is(ctx, tenant, "fir", "progressing_shredNotConfirmed")
		w.Change(ctx, "acme", func(t *v1alpha1.HIPAATenant) { t.Spec.Suspend = true })
		is(ctx, tenant, "acme", "suspended_suspended")
	})

	It("are so when they were edited and the operator has not looked yet", func(ctx SpecContext) {
		w.Change(ctx, "acme", func(t *v1alpha1.HIPAATenant) { t.Spec.Suspend = false })
		w.AwaitReady(ctx, "acme")
		Eventually(w.State(ctx, "acme", v1alpha1.ConditionEncryptionReady)).Should(Equal("False/" + v1alpha1.ReasonNotEncryptedAtRest))
		Expect(w.Running.Kill()).To(Succeed())
		w.Change(ctx, "acme", func(t *v1alpha1.HIPAATenant) { t.Spec.SessionTimeout = "10m" })
		is(ctx, tenant, "acme", "progressing_edited")
		a := &v1alpha1.BusinessAssociate{}
		Expect(w.Admin.Get(ctx, client.ObjectKey{Name: "aws"}, a)).To(Succeed())
		a.Spec.BAA.ExpiresOn = "2037-01-15"
		Expect(w.Admin.Update(ctx, a)).To(Succeed())
		is(ctx, associate, "aws", "progressing_edited")
	})
})

func access(tenant v1alpha1.Name) v1alpha1.EmergencyAccessSpec {
	return v1alpha1.EmergencyAccessSpec{Tenant: tenant, Role: "Operator", Reason: "INC-4711 restore the claims queue", Duration: "1h"}
}

// people who may ask, and who may say yes although the profile only counts one of them.
func people(ctx context.Context, w *bed.Bed) map[string]client.Client {
	GinkgoHelper()
	as := map[string]client.Client{}
	for name, role := range map[string]string{"ana@acme.example": "requester", "ben@hospital.example": "approver", "cleo@hospital.example": "approver"} {
		c, err := operator.NewClient(w.Cluster.User(name))
		Expect(err).NotTo(HaveOccurred())
		as[name] = c
		Expect(w.Admin.Create(ctx, &rbacv1.ClusterRoleBinding{
			ObjectMeta: meta("test-" + name),
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "hipaatenant-emergency-" + role},
			Subjects:   []rbacv1.Subject{{Kind: rbacv1.UserKind, Name: name}},
		})).To(Succeed())
	}
	return as
}

func approve(ctx context.Context, as client.Client, name string) {
	GinkgoHelper()
	yes := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"annotations":{"hipaatenant.dev/approve":"true"}}}`))
	Eventually(func() error { return as.Patch(ctx, &v1alpha1.EmergencyAccess{ObjectMeta: meta(name)}, yes) }).Should(Succeed())
}

// What differs from run to run, and what stands for it.
var unstable = []struct {
	pattern *regexp.Regexp
	instead string
}{
	{regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`), "00000000-0000-4000-8000-000000000000"},
	{regexp.MustCompile(`"?20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ"?`), `"2026-11-02T03:04:05Z"`},
	{regexp.MustCompile(`(kmsKeyVersion: )\S+`), "${1}v1"},
	{regexp.MustCompile(`\n +resourceVersion: \S+`), ""},
}

// snapshot is an object as YAML, without what no health script may look at.
func snapshot(ctx context.Context, c client.Client, kind, name string) string {
	GinkgoHelper()
	o := &unstructured.Unstructured{}
	o.SetGroupVersionKind(v1alpha1.SchemeGroupVersion.WithKind(kind))
	Expect(c.Get(ctx, client.ObjectKey{Name: name}, o)).To(Succeed())
	o.SetManagedFields(nil)
	text, err := yaml.Marshal(o.Object)
	Expect(err).NotTo(HaveOccurred())
	out := string(text)
	for _, u := range unstable {
		out = u.pattern.ReplaceAllString(out, u.instead)
	}
	return strings.TrimSpace(out) + "\n"
}
