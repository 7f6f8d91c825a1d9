package tenant

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/test/fixture"
	"github.com/hipaatenant/hipaa-tenant-operator/test/operator"
)

// Every spec of this suite runs the operator under its shipped roles. These are the things a thief of its token tries.
var _ = Describe("the operator's service account", func() {
	It("may not do what its work does not need", func(ctx SpecContext) {
		create(ctx, fixture.Tenant("coveted"))
		awaitReady(ctx, "coveted")
		config, err := world.Cluster.ServiceAccount(ctx, v1alpha1.OperatorNamespace, v1alpha1.OperatorName)
		Expect(err).NotTo(HaveOccurred())
		thief, err := operator.NewClient(config)
		Expect(err).NotTo(HaveOccurred())
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
