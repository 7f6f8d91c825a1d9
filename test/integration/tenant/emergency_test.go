package tenant

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/test/cluster"
	"github.com/hipaatenant/hipaa-tenant-operator/test/fixture"
	"github.com/hipaatenant/hipaa-tenant-operator/test/operator"
)

// Three persons: one who asks, an officer who approves, and one who may write approvals but is no officer.
const (
	asker   = "ana@acme.example"
	officer = "ben@hospital.example"
	clerk   = "cleo@hospital.example"
)

var _ = Describe("an EmergencyAccess", Ordered, func() {
	const profile, name = "with-officers", "besieged"
	var people map[string]client.Client

	BeforeAll(func(ctx SpecContext) {
		people = map[string]client.Client{}
		for person, role := range map[string]string{asker: "requester", officer: "approver", clerk: "approver"} {
			var groups []string
			if person == officer {
				groups = []string{"security-officers"}
			}
			c, err := operator.NewClient(world.Cluster.User(person, groups...))
			Expect(err).NotTo(HaveOccurred())
			people[person] = c
			Expect(admin.Create(ctx, &rbacv1.ClusterRoleBinding{
				ObjectMeta: metav1.ObjectMeta{Name: "test-" + role + "-" + person[:3]},
				RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "hipaatenant-emergency-" + role},
				Subjects:   []rbacv1.Subject{{Kind: rbacv1.UserKind, Name: person}},
			})).To(Succeed())
		}
		Expect(admin.Create(ctx, fixture.Profile(profile, func(p *v1alpha1.HIPAAProfile) {
			p.Spec.EmergencyAccess = &v1alpha1.EmergencyAccessRules{
				MaxDuration: "2h", Approvers: []v1alpha1.Subject{{Kind: "Group", Name: "security-officers"}},
			}
		}))).To(Succeed())
		create(ctx, fixture.Tenant(name, of(profile), func(t *v1alpha1.HIPAATenant) {
			t.Spec.Namespaces = []v1alpha1.TenantNamespace{{Name: name}, {Name: name + "-data"}}
		}))
		awaitReady(ctx, name)
	})

	request := func(access string, duration v1alpha1.Duration) *v1alpha1.EmergencyAccess {
		return &v1alpha1.EmergencyAccess{
			ObjectMeta: metav1.ObjectMeta{Name: access},
			Spec:       v1alpha1.EmergencyAccessSpec{Tenant: name, Role: "Operator", Reason: "INC-4711 restore the claims queue", Duration: duration},
		}
	}
	ask := func(ctx context.Context, access string, duration v1alpha1.Duration) {
		GinkgoHelper()
		Eventually(func() error { return people[asker].Create(ctx, request(access, duration)) }).Should(Succeed())
	}
	approve := func(ctx context.Context, person, access string) {
		GinkgoHelper()
		Eventually(func() error {
			return people[person].Patch(ctx, request(access, "1m"), client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"annotations":{"hipaatenant.dev/approve":"true"}}}`)))
		}).Should(Succeed())
	}

	It("lets the requester into every namespace once an officer agrees, and not before", func(ctx SpecContext) {
		ask(ctx, "first", "1h")
		Eventually(active(ctx, "first")).Should(Equal("False/AwaitingApproval"))
		Expect(reach(ctx, asker, name)).To(Equal([]bool{false, false, false}))
		err := people[asker].Patch(ctx, request("first", "1m"), client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"annotations":{"hipaatenant.dev/approve":"true"}}}`)))
		Expect(err).To(MatchError(ContainSubstring("cannot patch resource")), "a requester has no right to approve")

		approve(ctx, officer, "first")
		Eventually(active(ctx, "first")).Should(Equal("True/Granted"))
		Eventually(func() []bool { return reach(ctx, asker, name) }).Should(Equal([]bool{true, true, true}))
		Expect(reach(ctx, asker, name+"-data")).To(Equal([]bool{true, true, true}))
		Expect(reach(ctx, officer, name)).To(Equal([]bool{false, false, false}), "who approves is not let in")
		found := access(ctx, "first")
		Expect(found.Status.RequestedBy).To(Equal(asker))
		Expect(found.Status.ApprovedBy).To(Equal(officer))
		Expect(found.Status.ExpiresAt.Sub(found.Status.ApprovedAt.Time)).To(Equal(time.Hour))
	})

	It("comes back when its binding is deleted, and ends when it is deleted", func(ctx SpecContext) {
		binding := &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: name, Name: "hipaa-emergency-first"}}
		Expect(admin.Delete(ctx, binding)).To(MatchError(ContainSubstring("changed by it alone")))
		began := time.Now()
		Expect(people[officer].Delete(ctx, request("first", "1h"))).To(Succeed())
		Eventually(func() []bool { return reach(ctx, asker, name) }).Should(Equal([]bool{false, false, false}))
		AddReportEntry("revocation", time.Since(began).String())
		Eventually(func() int { return len(emergencyBindings(ctx, name)) }).Should(BeZero())
		Eventually(func() string { return world.Running.LogTail(1 << 20) }).Should(And(ContainSubstring("EmergencyAccessGranted"), ContainSubstring("EmergencyAccessRevoked")))
	})

	It("is denied for good when somebody else than an officer approved it", func(ctx SpecContext) {
		ask(ctx, "second", "1h")
		approve(ctx, clerk, "second")
		Eventually(active(ctx, "second")).Should(Equal("False/Denied"))
		Expect(access(ctx, "second").Status.EndedAt).NotTo(BeNil())
		Expect(emergencyBindings(ctx, name)).To(BeEmpty())
	})

	It("is denied above the profile's maximum, and waits for a tenant that does not exist", func(ctx SpecContext) {
		ask(ctx, "too-long", "3h")
		Eventually(active(ctx, "too-long")).Should(Equal("False/Denied"))
		stray := request("stray", "1h")
		stray.Spec.Tenant = "nobody"
		Expect(people[asker].Create(ctx, stray)).To(Succeed())
		Eventually(active(ctx, "stray")).Should(Equal("False/NotPossible"))
	})

	It("is asked for, approved, listed and ended from the command line", func(ctx SpecContext) {
		tool := commandLine(ctx)
		asked, err := tool(asker, "request", name, "--reason", "INC-4712 queue stuck", "--name", "cli", "--duration", "30m")
		Expect(err).NotTo(HaveOccurred(), asked)
		Expect(asked).To(ContainSubstring("kubectl hipaa emergency approve cli"))
		_, err = tool(asker, "request", name, "--reason", "INC-4712 queue stuck", "--duration", "30h")
		Expect(err).To(HaveOccurred())
		denied, err := tool(asker, "request", name, "--reason", "INC-4713 too long", "--duration", "3h", "--wait", "20s")
		Expect(err).To(MatchError("exit status 2"), denied)
		Expect(denied).To(ContainSubstring("above emergencyAccess.maxDuration 2h"))
		refused, err := tool(asker, "approve", "cli")
		Expect(err).To(MatchError("exit status 1"), refused)
		approved, err := tool(officer, "approve", "cli")
		Expect(err).NotTo(HaveOccurred(), approved)
		Expect(approved).To(ContainSubstring(asker + " may enter tenant " + name + " as Operator for 1800s"))
		Eventually(active(ctx, "cli")).Should(Equal("True/Granted"))
		listed, err := tool(officer, "list", name)
		Expect(err).NotTo(HaveOccurred(), listed)
		Expect(listed).To(MatchRegexp(`cli +` + name + ` +Operator +` + asker + ` +` + officer + ` +Granted +\d{4}-.*INC-4712`))
		ended, err := tool(officer, "end", "cli")
		Expect(err).NotTo(HaveOccurred(), ended)
		Eventually(func() []string { return emergencyBindings(ctx, name) }).Should(BeEmpty())
	})

	It("ends within 5 s of its time, with the operator running and after a restart, whatever the tenant's spec says", func(ctx SpecContext) {
		ask(ctx, "running", "1m")
		ask(ctx, "restarted", "1m")
		approve(ctx, officer, "running")
		approve(ctx, officer, "restarted")
		Eventually(active(ctx, "running")).Should(Equal("True/Granted"))
		Eventually(active(ctx, "restarted")).Should(Equal("True/Granted"))
		change(ctx, name, func(t *v1alpha1.HIPAATenant) { t.Spec.Region = "nowhere-1" })
		Eventually(state(ctx, name, v1alpha1.ConditionReady)).Should(HavePrefix("False/"))

		until := access(ctx, "running").Status.ExpiresAt.Time
		Eventually(func() []string { return emergencyBindings(ctx, name) }, "70s", "100ms").ShouldNot(ContainElement(HavePrefix("hipaa-emergency-running")))
		late := time.Since(until)
		Expect(late).To(And(BeNumerically(">", -time.Second), BeNumerically("<", 5*time.Second)), "an access ends at its time")
		Eventually(active(ctx, "running")).Should(Equal("False/Expired"))
		AddReportEntry("expiry", late.String())

		ask(ctx, "killed", "1m")
		approve(ctx, officer, "killed")
		Eventually(active(ctx, "killed")).Should(Equal("True/Granted"))
		Expect(world.Running.Kill()).To(Succeed())
		until = access(ctx, "killed").Status.ExpiresAt.Time
		Eventually(func() time.Duration { return time.Since(until) }, "70s", "100ms").Should(BeNumerically(">", 0))
		Expect(emergencyBindings(ctx, name)).NotTo(BeEmpty(), "nobody is there to end it")
		start(ctx, operator.Options{})
		ready := time.Now()
		Eventually(func() []string { return emergencyBindings(ctx, name) }, "5s").Should(BeEmpty())
		AddReportEntry("expiry after a restart, from the operator's readiness", time.Since(ready).String())
	})
})

// commandLine builds kubectl-hipaa, and returns what runs its command emergency as a person.
func commandLine(ctx context.Context) func(person string, args ...string) (string, error) {
	GinkgoHelper()
	root, err := cluster.RepositoryRoot()
	Expect(err).NotTo(HaveOccurred())
	tool := filepath.Join(world.Dir, "kubectl-hipaa")
	build := exec.CommandContext(ctx, "go", "build", "-o", tool, "./cmd/kubectl-hipaa")
	build.Dir = root
	text, err := build.CombinedOutput()
	Expect(err).NotTo(HaveOccurred(), "%s", text)
	return func(person string, args ...string) (string, error) {
		var groups []string
		if person == officer {
			groups = []string{"security-officers"}
		}
		kubeconfig := filepath.Join(world.Dir, person+".kubeconfig")
		Expect(world.Cluster.WriteKubeconfig(kubeconfig, world.Cluster.User(person, groups...))).To(Succeed())
		out, err := exec.CommandContext(ctx, tool, append([]string{"emergency", "--kubeconfig", kubeconfig}, args...)...).CombinedOutput()
		return string(out), err
	}
}

// access reads an EmergencyAccess.
func access(ctx context.Context, name string) *v1alpha1.EmergencyAccess {
	GinkgoHelper()
	e := &v1alpha1.EmergencyAccess{}
	Expect(admin.Get(ctx, client.ObjectKey{Name: name}, e)).To(Succeed())
	return e
}

// active is status and reason of condition Active.
func active(ctx context.Context, name string) func() string {
	return func() string {
		c := meta.FindStatusCondition(access(ctx, name).Status.Conditions, v1alpha1.ConditionActive)
		if c == nil {
			return ""
		}
		return string(c.Status) + "/" + c.Reason
	}
}

// reach tells whether a person may exec by RBAC, may exec by the admission policy, and may scale.
func reach(ctx context.Context, person, namespace string) []bool {
	GinkgoHelper()
	var out []bool
	for _, a := range []authorizationv1.ResourceAttributes{
		{Verb: "create", Resource: "pods", Subresource: "exec"},
		{Verb: "use", Group: v1alpha1.Group, Resource: "emergencyaccesses"},
		{Verb: "patch", Group: "apps", Resource: "deployments", Subresource: "scale"},
	} {
		a.Namespace = namespace
		review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{User: person, ResourceAttributes: &a}}
		if person == officer {
			review.Spec.Groups = []string{"security-officers"}
		}
		Expect(admin.Create(ctx, review)).To(Succeed())
		out = append(out, review.Status.Allowed)
	}
	return out
}

// emergencyBindings are the names of the RoleBindings of emergency accesses in a namespace.
func emergencyBindings(ctx context.Context, namespace string) []string {
	GinkgoHelper()
	var list rbacv1.RoleBindingList
	Expect(admin.List(ctx, &list, client.InNamespace(namespace), client.HasLabels{v1alpha1.LabelEmergency})).To(Succeed())
	var names []string
	for i := range list.Items {
		names = append(names, fmt.Sprint(list.Items[i].Name))
	}
	return names
}
