package tenant

import (
	"context"
	"errors"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/test/fixture"
	"github.com/hipaatenant/hipaa-tenant-operator/test/operator"
)

// thiefNear makes a tenant, and returns a client of somebody who has stolen the operator's token.
func thiefNear(ctx context.Context, tenant string) client.Client {
	GinkgoHelper()
	create(ctx, fixture.Tenant(tenant))
	awaitReady(ctx, tenant)
	config, err := world.Cluster.ServiceAccount(ctx, v1alpha1.OperatorNamespace, v1alpha1.OperatorName)
	Expect(err).NotTo(HaveOccurred())
	thief, err := operator.NewClient(config)
	Expect(err).NotTo(HaveOccurred())
	return thief
}

// Every spec of this suite runs the operator under its shipped roles. These are the things a thief of its token tries.
var _ = Describe("the operator's service account", func() {
	It("may not do what its work does not need", func(ctx SpecContext) {
		thief := thiefNear(ctx, "coveted")
		meta := func(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Namespace: "coveted", Name: name} }
		for what, attempt := range map[string]func() error{
			"read any Secret": func() error {
				return thief.Get(ctx, client.ObjectKey{Namespace: "coveted", Name: "app"}, &corev1.Secret{})
			},
			"list Secrets":            func() error { return thief.List(ctx, &corev1.SecretList{}) },
			"list a tenant's Secrets": func() error { return thief.List(ctx, &corev1.SecretList{}, client.InNamespace("coveted")) },
			"delete a keyset":         func() error { return thief.Delete(ctx, &corev1.Secret{ObjectMeta: meta(v1alpha1.SecretKeyset)}) },
			"delete a namespace": func() error {
				return thief.Delete(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "coveted"}})
			},
			"list ConfigMaps": func() error { return thief.List(ctx, &corev1.ConfigMapList{}) },
			"make a pod":      func() error { return thief.Create(ctx, &corev1.Pod{ObjectMeta: meta("p")}) },
			"delete a pod":    func() error { return thief.Delete(ctx, &corev1.Pod{ObjectMeta: meta("p")}) },
			"delete all pods": func() error { return thief.DeleteAllOf(ctx, &corev1.Pod{}, client.InNamespace("coveted")) },
			"delete a volume": func() error {
				return thief.Delete(ctx, &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "v"}})
			},
			"relabel a node": func() error {
				return thief.Update(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node-us-east-1"}})
			},
			"write another policy":     func() error { return thief.Create(ctx, &networkingv1.NetworkPolicy{ObjectMeta: meta("open")}) },
			"bind itself cluster-wide": func() error { return thief.Create(ctx, binding("x", "cluster-admin")) },
			"hand out another role": func() error {
				return serverSideApply(ctx, thief, roleBinding("coveted", "hipaa-developer", "cluster-admin"))
			},
			"hand out under other name": func() error {
				return serverSideApply(ctx, thief, roleBinding("coveted", "mine", "hipaatenant-developer"))
			},
		} {
			Expect(apierrors.IsForbidden(attempt())).To(BeTrue(), what)
		}
	})

	// Whoever may label namespaces and hand out a role with pods gets at pods. docs/threat-model.md says so: it is changed with this.
	It("gets a thief at the data all the same", func(ctx SpecContext) {
		thief := thiefNear(ctx, "raided")
		namespace := func(name string) *corev1.Namespace {
			return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
		}
		label := func(name, patch string) {
			GinkgoHelper()
			Expect(thief.Patch(ctx, namespace(name), client.RawPatch(types.MergePatchType, []byte(patch)))).To(Succeed())
		}
		makesPod := func(name string, change func(*corev1.PodSpec)) func() error {
			template := podTemplate("thief", change)
			pod := &corev1.Pod{ObjectMeta: template.ObjectMeta, Spec: template.Spec}
			pod.Namespace, pod.Name = name, "thief"
			return func() error { return thief.Create(ctx, pod.DeepCopy(), client.DryRunAll) }
		}
		ownsNode := func(s *corev1.PodSpec) {
			s.SecurityContext, s.Containers[0].SecurityContext = nil, &corev1.SecurityContext{Privileged: new(true)}
			s.Volumes = []corev1.Volume{{Name: "node", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/"}}}}
		}
		readsKeyset := func(s *corev1.PodSpec) {
			s.Volumes = []corev1.Volume{{Name: "keys", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: v1alpha1.SecretKeyset}}}}
		}
		developer := func(name string) *rbacv1.RoleBinding {
			b := roleBinding(name, "hipaa-developer-thief", "hipaatenant-developer")
			b.Subjects = []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: v1alpha1.OperatorNamespace, Name: v1alpha1.OperatorName}}
			return b
		}

		By("owning a node, from the namespace of the network probe, where that was installed")
		Expect(operator.ApplyDir(ctx, admin, "config/network-probe")).To(Succeed())
		home := v1alpha1.OperatorNamespace + v1alpha1.ProbeNamespaceSuffix
		DeferCleanup(func(ctx SpecContext) { Expect(admin.Delete(ctx, namespace(home))).To(Succeed()) })
		Eventually(makesPod(home, ownsNode)).Should(MatchError(ContainSubstring("violates PodSecurity")))
		label(home, `{"metadata": {"labels": {"pod-security.kubernetes.io/enforce": null}}}`)
		Eventually(makesPod(home, ownsNode)).Should(Succeed())

		By("mounting a tenant's Secrets, as a developer of it")
		Expect(makesPod("raided", readsKeyset)()).To(MatchError(ContainSubstring("cannot create resource")))
		Eventually(func() error {
			return errors.Join(serverSideApply(ctx, thief, developer("raided")), makesPod("raided", readsKeyset)())
		}).Should(Succeed(), "whatever the operator takes back meanwhile")

		By("altering an admission policy")
		Expect(thief.Patch(ctx, &admissionregistrationv1.ValidatingAdmissionPolicy{ObjectMeta: metav1.ObjectMeta{Name: "hipaatenant-workload"}},
			client.RawPatch(types.MergePatchType, []byte(`{"spec": {"failurePolicy": "Ignore"}}`)), client.DryRunAll)).To(Succeed())

		By("owning a node, from a namespace that was a tenant's for a moment")
		Expect(thief.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "loot", Labels: map[string]string{v1alpha1.LabelTenant: "raided"}}})).To(Succeed())
		DeferCleanup(func(ctx SpecContext) { Expect(admin.Delete(ctx, namespace("loot"))).To(Succeed()) })
		Eventually(func() error { return serverSideApply(ctx, thief, developer("loot")) }).Should(Succeed())
		label("loot", `{"metadata": {"labels": {"hipaatenant.dev/tenant": null}}}`)
		Eventually(makesPod("loot", ownsNode)).Should(Succeed())
	})
})

func serverSideApply(ctx SpecContext, c client.Client, o client.Object) error {
	return c.Patch(ctx, o, client.Apply, client.FieldOwner("thief"), client.ForceOwnership) //nolint:staticcheck // a typed object is at hand
}

func binding(name, role string) *rbacv1.ClusterRoleBinding {
	return &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
	}
}

func roleBinding(namespace, name, role string) *rbacv1.RoleBinding {
	return &rbacv1.RoleBinding{
		TypeMeta:   metav1.TypeMeta{APIVersion: "rbac.authorization.k8s.io/v1", Kind: "RoleBinding"},
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: "thief"}},
	}
}
