package tenant

import (
	"context"
	"strconv"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/test/bed"
	"github.com/hipaatenant/hipaa-tenant-operator/test/fixture"
)

var _ = Describe("what somebody else does", Ordered, func() {
	const name = "drift"

	BeforeAll(func(ctx SpecContext) {
		create(ctx, fixture.Tenant(name, func(t *v1alpha1.HIPAATenant) {
			t.Spec.Roles = []v1alpha1.RoleGrant{{Role: v1alpha1.RoleAuditor, Subjects: []v1alpha1.Subject{{Kind: "User", Name: "pat@acme.example"}}}}
		}))
		awaitReady(ctx, name)
	})

	It("is refused while the policies stand, even to an administrator", func(ctx SpecContext) {
		Eventually(func() string {
			return errorText(admin.Delete(ctx, policy(v1alpha1.PolicyDefaultDeny), client.DryRunAll))
		}).Should(ContainSubstring("hipaatenant-tenancy"))
		Expect(errorText(admin.Delete(ctx, policy(v1alpha1.PolicyDefaultDeny)))).To(ContainSubstring("hipaa-tenant-operator"))
	})

	It("is undone when the guarding policies are gone", func(ctx SpecContext) {
		Expect(world.Running.Kill()).To(Succeed())
		startOperator(ctx, "--admission-policies=verify")
		tearDownPolicies(ctx, name)
		Eventually(state(ctx, name, v1alpha1.ConditionAdmissionEnforced)).Should(Equal("False/" + v1alpha1.ReasonPoliciesMissing))
		stood := objects(ctx, get(ctx, name))
		for _, damage := range damages {
			By(damage.what)
			Eventually(func() error { return damage.do(ctx) }).Should(Succeed())
			began := time.Now()
			Eventually(func() map[v1alpha1.ObjectRef]string { return objects(ctx, get(ctx, name)) }).Should(Equal(stood), damage.what)
			AddReportEntry(damage.what+", repaired after", time.Since(began).Round(time.Millisecond).String())
		}
		Eventually(world.Metrics).WithArguments(ctx).Should(And(ContainSubstring("\nhipaatenant_drift_repairs_total{kind="),
			Not(ContainSubstring("\nhipaatenant_admission_policies_altered 0\n"))))
	})

	It("locks a namespace that lost its label until the policies stand: nothing guarded it meanwhile", func(ctx SpecContext) {
		Expect(merge(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, `{"metadata":{"labels":{"hipaatenant.dev/tenant":null}}}`)).To(Succeed())
		Eventually(func() map[string]string { return namespace(ctx, name).Labels }).Should(HaveKeyWithValue(v1alpha1.LabelTenant, name))
		Expect(namespace(ctx, name).Annotations).To(HaveKeyWithValue(v1alpha1.AnnotationAdmission, string(v1alpha1.GateLocked)))
	})

	It("is refused again once the operator may restore the policies", func(ctx SpecContext) {
		Expect(world.Running.Kill()).To(Succeed())
		startOperator(ctx)
		awaitReady(ctx, name)
		Eventually(func() string {
			return errorText(admin.Delete(ctx, policy(v1alpha1.PolicyDefaultDeny), client.DryRunAll))
		}).
			Should(ContainSubstring("hipaatenant-tenancy"))
		before := restored(ctx)
		Expect(admin.Delete(ctx, &admissionv1.ValidatingAdmissionPolicyBinding{ObjectMeta: metav1.ObjectMeta{Name: "hipaatenant-tenancy"}})).To(Succeed())
		Eventually(func() error {
			return admin.Get(ctx, client.ObjectKey{Name: "hipaatenant-tenancy"}, &admissionv1.ValidatingAdmissionPolicyBinding{})
		}).Should(Succeed())
		Eventually(restored).WithArguments(ctx).Should(Equal(before + 1))
		awaitReady(ctx, name)
	})

	It("is told in events", func(ctx SpecContext) {
		Eventually(func() []string {
			var list eventsv1.EventList
			Expect(admin.List(ctx, &list)).To(Succeed())
			var reasons []string
			for _, e := range list.Items {
				if e.Regarding.Name == name {
					reasons = append(reasons, e.Reason)
				}
			}
			return reasons
		}).Should(ContainElement("DriftRepaired"))
	})

	It("makes every tenant say so while a policy is altered", func(ctx SpecContext) {
		Expect(world.Running.Kill()).To(Succeed())
		Expect(admin.Delete(ctx, &admissionv1.MutatingAdmissionPolicyBinding{ObjectMeta: metav1.ObjectMeta{Name: "hipaatenant-placement"}})).To(Succeed())
		startOperator(ctx, "--admission-policies=verify")
		DeferCleanup(func(ctx SpecContext) {
			Expect(world.Running.Kill()).To(Succeed())
			startOperator(ctx)
		})
		Eventually(func() string { return bed.Condition(get(ctx, name), v1alpha1.ConditionAdmissionEnforced).Message }).
			Should(ContainSubstring("hipaatenant-placement"))
		Expect(state(ctx, name, v1alpha1.ConditionAdmissionEnforced)()).To(Equal("False/" + v1alpha1.ReasonPoliciesMissing))
		Expect(state(ctx, name, v1alpha1.ConditionReady)()).To(Equal("False/" + v1alpha1.ReasonPoliciesMissing))
		By("making no new namespace meanwhile")
		create(ctx, fixture.Tenant("drift-early"))
		Eventually(state(ctx, "drift-early", v1alpha1.ConditionReady)).Should(Equal("False/" + v1alpha1.ReasonWaiting))
		Expect(apierrors.IsNotFound(admin.Get(ctx, client.ObjectKey{Name: "drift-early"}, &corev1.Namespace{}))).To(BeTrue())
		Expect(world.Running.Kill()).To(Succeed())
		startOperator(ctx)
		awaitReady(ctx, name)
		awaitReady(ctx, "drift-early")
	})
})

// tearDownPolicies removes the bindings of all validating policies, as an administrator could, and waits until none
// is in force in the namespace.
func tearDownPolicies(ctx SpecContext, namespace string) {
	GinkgoHelper()
	Expect(admin.DeleteAllOf(ctx, &admissionv1.ValidatingAdmissionPolicyBinding{},
		client.MatchingLabels{v1alpha1.LabelManagedBy: v1alpha1.OperatorName})).To(Succeed())
	deny := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: v1alpha1.PolicyDefaultDeny}}
	Eventually(func() error { return admin.Delete(ctx, deny, client.DryRunAll) }).Should(Succeed())
}

// restored is how many policies the operator says it put back.
func restored(ctx context.Context) float64 {
	GinkgoHelper()
	text, err := world.Metrics(ctx)
	Expect(err).NotTo(HaveOccurred())
	_, rest, found := strings.Cut(text, "\nhipaatenant_admission_policies_restored_total ")
	Expect(found).To(BeTrue())
	value, _, _ := strings.Cut(rest, "\n")
	n, err := strconv.ParseFloat(value, 64)
	Expect(err).NotTo(HaveOccurred())
	return n
}

func policy(name string) *networkingv1.NetworkPolicy {
	return &networkingv1.NetworkPolicy{ObjectMeta: at(name)}
}

func auditors() *rbacv1.RoleBinding { return &rbacv1.RoleBinding{ObjectMeta: at("hipaa-auditor")} }

func at(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Namespace: "drift", Name: name} }

func merge(ctx SpecContext, obj client.Object, patch string) error {
	return admin.Patch(ctx, obj, client.RawPatch("application/merge-patch+json", []byte(patch)))
}

// damages are what somebody with an administrator's rights may do once no policy guards the tenant.
var damages = []struct {
	what string
	do   func(SpecContext) error
}{
	{"deleting the deny-all policy", func(ctx SpecContext) error { return admin.Delete(ctx, policy(v1alpha1.PolicyDefaultDeny)) }},
	{"adding a rule to the deny-all policy", func(ctx SpecContext) error {
		return merge(ctx, policy(v1alpha1.PolicyDefaultDeny), `{"spec":{"ingress":[{}]}}`)
	}},
	{"widening the allowlist policy", func(ctx SpecContext) error {
		return merge(ctx, policy(v1alpha1.PolicyAllowIngress), `{"spec":{"ingress":[{"from":[{"ipBlock":{"cidr":"0.0.0.0/0"}}]}]}}`)
	}},
	{"raising the quota", func(ctx SpecContext) error {
		return merge(ctx, &corev1.ResourceQuota{ObjectMeta: at(v1alpha1.QuotaName)}, `{"spec":{"hard":{"pods":"1000"}}}`)
	}},
	{"adding a key to the config", func(ctx SpecContext) error {
		return merge(ctx, &corev1.ConfigMap{ObjectMeta: at(v1alpha1.ConfigMapConfig)}, `{"data":{"HIPAA_EXTRA":"x"}}`)
	}},
	{"removing the labels of the limits", func(ctx SpecContext) error {
		return merge(ctx, &corev1.LimitRange{ObjectMeta: at(v1alpha1.LimitsName)}, `{"metadata":{"labels":null}}`)
	}},
	{"letting in one more", func(ctx SpecContext) error {
		return merge(ctx, auditors(), `{"subjects":[{"apiGroup":"rbac.authorization.k8s.io","kind":"User","name":"mallory"}]}`)
	}},
	{"letting nobody in", func(ctx SpecContext) error { return admin.Delete(ctx, auditors()) }},
	{"binding another role under its name", func(ctx SpecContext) error {
		if err := client.IgnoreNotFound(admin.Delete(ctx, auditors())); err != nil {
			return err
		}
		other := auditors()
		other.Labels = map[string]string{v1alpha1.LabelTenant: "drift", v1alpha1.LabelManagedBy: v1alpha1.OperatorName}
		other.RoleRef = rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "admin"}
		other.Subjects = []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: "mallory"}}
		return admin.Create(ctx, other)
	}},
	{"opening another region", func(ctx SpecContext) error {
		return merge(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "drift"}}, `{"metadata":{"annotations":{"hipaatenant.dev/regions":"eu-west-1"}}}`)
	}},
	{"inventing a fact", func(ctx SpecContext) error {
		return merge(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "drift"}}, `{"metadata":{"annotations":{"hipaatenant.dev/invented":"x"}}}`)
	}},
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
