package tenant

import (
	"encoding/json"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/test/bed"
	"github.com/hipaatenant/hipaa-tenant-operator/test/fixture"
)

var _ = Describe("a tenant", Ordered, func() {
	const name = "acme-health"

	It("becomes Ready with everything the API page lists", func(ctx SpecContext) {
		create(ctx, fixture.Tenant(name, func(t *v1alpha1.HIPAATenant) {
			t.Spec.Namespaces = []v1alpha1.TenantNamespace{{Name: "acme-app"}, {Name: "acme-data"}}
			t.Spec.Roles = []v1alpha1.RoleGrant{{Role: "Developer", Subjects: []v1alpha1.Subject{{Kind: "Group", Name: "acme-devs"}}}}
		}))
		t := awaitReady(ctx, name)
		Expect(bed.Condition(t, v1alpha1.ConditionNetworkIsolated).Reason).To(Equal(v1alpha1.ReasonPolicyWritten))
		Expect(bed.Condition(t, v1alpha1.ConditionEncryptionReady).Message).To(HavePrefix("data keys are wrapped by a software key"))
		Eventually(state(ctx, name, v1alpha1.ConditionEncryptionReady)).Should(Equal("False/" + v1alpha1.ReasonNotEncryptedAtRest))
		Expect(bed.Condition(t, v1alpha1.ConditionReconciling)).To(BeZero())
		Expect(t.Status.Effective.Regions).To(Equal([]string{fixture.Region}))
		for _, ns := range []string{"acme-app", "acme-data"} {
			expectObjects(ctx, ns)
		}
	})

	It("is not written to again when nothing changed", func(ctx SpecContext) {
		t := get(ctx, name)
		stood := versions(ctx, t)
		touch(ctx, name)
		Consistently(func() map[v1alpha1.ObjectRef]string { return withoutTenant(versions(ctx, t)) }, "2s", "200ms").Should(Equal(withoutTenant(stood)))
	})

	It("is not written to when the operator restarts", func(ctx SpecContext) {
		t := get(ctx, name)
		Expect(world.Running.Kill()).To(Succeed())
		stood := versions(ctx, t)
		startOperator(ctx)
		Consistently(func() map[v1alpha1.ObjectRef]string { return versions(ctx, t) }, "3s", "200ms").Should(Equal(stood))
	})

	It("takes on a change and takes it back", func(ctx SpecContext) {
		stood := objects(ctx, get(ctx, name))
		change(ctx, name, func(t *v1alpha1.HIPAATenant) {
			t.Spec.FailoverRegions = []v1alpha1.Region{fixture.FailoverRegion}
			t.Spec.SessionTimeout = "5m"
			t.Spec.Roles = nil
		})
		changed := objects(ctx, awaitReady(ctx, name))
		Expect(changed).NotTo(HaveKey(HaveField("Name", "hipaa-developer")))
		err := admin.Get(ctx, client.ObjectKey{Namespace: "acme-app", Name: "hipaa-developer"}, &rbacv1.RoleBinding{})
		Expect(apierrors.IsNotFound(err)).To(BeTrue(), "the role binding is pruned")
		change(ctx, name, func(t *v1alpha1.HIPAATenant) {
			t.Spec.FailoverRegions = nil
			t.Spec.SessionTimeout = fixture.SessionTimeout
			t.Spec.Roles = []v1alpha1.RoleGrant{{Role: "Developer", Subjects: []v1alpha1.Subject{{Kind: "Group", Name: "acme-devs"}}}}
		})
		Expect(objects(ctx, awaitReady(ctx, name))).To(Equal(stood))
	})

	It("keeps a namespace that leaves the spec, quarantined", func(ctx SpecContext) {
		change(ctx, name, func(t *v1alpha1.HIPAATenant) { t.Spec.Namespaces = []v1alpha1.TenantNamespace{{Name: "acme-app"}} })
		awaitReady(ctx, name)
		expectRetained(ctx, "acme-data")
		change(ctx, name, func(t *v1alpha1.HIPAATenant) {
			t.Spec.Namespaces = []v1alpha1.TenantNamespace{{Name: "acme-app"}, {Name: "acme-data"}}
		})
		awaitReady(ctx, name)
		expectObjects(ctx, "acme-data")
	})

	It("is suspended without losing anything", func(ctx SpecContext) {
		stood := withoutTenant(versions(ctx, get(ctx, name)))
		change(ctx, name, func(t *v1alpha1.HIPAATenant) {
			t.Spec.Suspend = true
			t.Spec.SessionTimeout = "2m"
		})
		Eventually(state(ctx, name, v1alpha1.ConditionReady)).Should(Equal("Unknown/" + v1alpha1.ReasonSuspended))
		Expect(withoutTenant(versions(ctx, get(ctx, name)))).To(Equal(stood))
		change(ctx, name, func(t *v1alpha1.HIPAATenant) {
			t.Spec.Suspend = false
			t.Spec.SessionTimeout = fixture.SessionTimeout
		})
		awaitReady(ctx, name)
	})

	It("is retained when it is deleted, and taken back with the same keys when it is made anew", func(ctx SpecContext) {
		t := get(ctx, name)
		keys := dataKeys(ctx, "acme-app")
		Expect(admin.Delete(ctx, t)).To(Succeed())
		Eventually(func() bool {
			return apierrors.IsNotFound(admin.Get(ctx, client.ObjectKeyFromObject(t), &v1alpha1.HIPAATenant{}))
		}).Should(BeTrue())
		expectRetained(ctx, "acme-app")
		tombstone := &corev1.ConfigMap{}
		Expect(admin.Get(ctx, client.ObjectKey{Namespace: v1alpha1.OperatorNamespace, Name: "hipaa-tombstone-" + string(t.UID)}, tombstone)).To(Succeed())
		Expect(tombstone.Data["tombstone.json"]).To(ContainSubstring(`"outcome": "Retained"`))

		create(ctx, fixture.Tenant(name, func(t *v1alpha1.HIPAATenant) {
			t.Spec.Namespaces = []v1alpha1.TenantNamespace{{Name: "acme-app"}, {Name: "acme-data"}}
		}))
		again := awaitReady(ctx, name)
		Expect(again.UID).NotTo(Equal(t.UID))
		Expect(dataKeys(ctx, "acme-app")).To(Equal(keys), "name and version of the data keys")
		expectObjects(ctx, "acme-app")
	})
})

// touch makes the operator look at a tenant again without changing its spec.
func touch(ctx SpecContext, name string) {
	GinkgoHelper()
	patch := client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"annotations":{"example.com/touched":"yes"}}}`))
	Expect(admin.Patch(ctx, get(ctx, name), patch)).To(Succeed())
}

func withoutTenant(m map[v1alpha1.ObjectRef]string) map[v1alpha1.ObjectRef]string {
	for ref := range m {
		if ref.Kind == "HIPAATenant" {
			delete(m, ref)
		}
	}
	return m
}

func expectObjects(ctx SpecContext, ns string) {
	GinkgoHelper()
	names := func(list client.ObjectList, each func() []string) []string {
		Expect(admin.List(ctx, list, client.InNamespace(ns), client.MatchingLabels{v1alpha1.LabelManagedBy: v1alpha1.OperatorName})).To(Succeed())
		return each()
	}
	var policies networkingv1.NetworkPolicyList
	Expect(names(&policies, func() (out []string) {
		for _, p := range policies.Items {
			out = append(out, p.Name)
			Expect(p.Spec.PolicyTypes).To(HaveLen(2), "every policy states both types")
		}
		return out
	})).To(ConsistOf(v1alpha1.PolicyDefaultDeny, v1alpha1.PolicyAllowTenant, v1alpha1.PolicyAllowDNS, v1alpha1.PolicyAllowIngress))
	for _, o := range []client.Object{
		&corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: v1alpha1.QuotaName}},
		&corev1.LimitRange{ObjectMeta: metav1.ObjectMeta{Name: v1alpha1.LimitsName}},
		&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: v1alpha1.ConfigMapConfig}},
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: v1alpha1.SecretKeyset}},
	} {
		Expect(admin.Get(ctx, client.ObjectKey{Namespace: ns, Name: o.GetName()}, o)).To(Succeed())
		Expect(o.GetOwnerReferences()).To(BeEmpty(), "garbage collection must never remove what closes a namespace")
	}
	Expect(namespace(ctx, ns).Annotations).To(HaveKeyWithValue(v1alpha1.AnnotationAdmission, string(v1alpha1.GateOpen)))
}

// expectRetained: quarantined, denied, its keyset there, nothing that opens it left.
func expectRetained(ctx SpecContext, ns string) {
	GinkgoHelper()
	Expect(namespace(ctx, ns).Annotations).To(HaveKeyWithValue(v1alpha1.AnnotationAdmission, string(v1alpha1.GateQuarantined)))
	var policies networkingv1.NetworkPolicyList
	Expect(admin.List(ctx, &policies, client.InNamespace(ns))).To(Succeed())
	Expect(policies.Items).To(ConsistOf(HaveField("Name", v1alpha1.PolicyDefaultDeny)))
	var bindings rbacv1.RoleBindingList
	Expect(admin.List(ctx, &bindings, client.InNamespace(ns))).To(Succeed())
	Expect(bindings.Items).To(BeEmpty())
	Expect(admin.Get(ctx, client.ObjectKey{Namespace: ns, Name: v1alpha1.SecretKeyset}, &corev1.Secret{})).To(Succeed())
}

func namespace(ctx SpecContext, name string) *corev1.Namespace {
	GinkgoHelper()
	ns := &corev1.Namespace{}
	Expect(admin.Get(ctx, client.ObjectKey{Name: name}, ns)).To(Succeed())
	return ns
}

// dataKeys returns what identifies the data keys of a namespace: name, version and time of creation.
func dataKeys(ctx SpecContext, ns string) []dataKey {
	GinkgoHelper()
	secret := &corev1.Secret{}
	Expect(admin.Get(ctx, client.ObjectKey{Namespace: ns, Name: v1alpha1.SecretKeyset}, secret)).To(Succeed())
	var keyset struct{ Keys []dataKey }
	Expect(json.Unmarshal(secret.Data[v1alpha1.KeysetKey], &keyset)).To(Succeed())
	Expect(keyset.Keys).NotTo(BeEmpty())
	return keyset.Keys
}

type dataKey struct {
	Name, CreatedAt string
	Version         int
}
