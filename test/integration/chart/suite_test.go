// Package chart tests what people install the operator and its tenants with: the charts, config/default and the
// Dockerfile, by the real helm and kubectl on a real control plane.
package chart

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/test/cluster"
	"github.com/hipaatenant/hipaa-tenant-operator/test/failed"
	"github.com/hipaatenant/hipaa-tenant-operator/test/operator"
)

var (
	testCluster *cluster.Cluster
	admin       client.Client
	clientset   *kubernetes.Clientset
)

func TestChart(t *testing.T) {
	RegisterFailHandler(Fail)
	SetDefaultEventuallyTimeout(30 * time.Second)
	SetDefaultEventuallyPollingInterval(50 * time.Millisecond)
	RunSpecs(t, "chart")
}

var _ = ReportAfterSuite("failures", failed.Report)

// The nodes run pods in name only, so that what is installed is admitted, scheduled and counted as it would be, without
// the image.
var _ = BeforeSuite(func(ctx SpecContext) {
	var err error
	testCluster, err = cluster.Start(ctx, cluster.Options{ControllerManager: true, Scheduler: true, Kwok: true})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() { Expect(testCluster.Stop()).To(Succeed()) })
	admin, err = operator.NewClient(testCluster.Config())
	Expect(err).NotTo(HaveOccurred())
	clientset, err = kubernetes.NewForConfig(testCluster.Config())
	Expect(err).NotTo(HaveOccurred())
	for _, n := range cluster.RegionNodes() {
		Expect(testCluster.AddNode(ctx, n)).To(Succeed())
	}
}, NodeTimeout(2*time.Minute))

var _ = AfterEach(func() {
	if CurrentSpecReport().Failed() {
		testCluster.KeepLogs()
	}
})

// kubectl runs the real kubectl as administrator, in the root of the repository.
func kubectl(args ...string) string {
	GinkgoHelper()
	cmd := exec.Command(testCluster.Kubectl(), append([]string{"--kubeconfig", testCluster.Kubeconfig()}, args...)...)
	cmd.Dir = repository(GinkgoTB(), "")
	out, err := cmd.CombinedOutput()
	Expect(err).NotTo(HaveOccurred(), "kubectl %v: %s", args, out)
	return string(out)
}

// helmInstalls runs helm as administrator against the cluster, and expects it to work.
func helmInstalls(args ...string) string {
	GinkgoHelper()
	out, err := helm(GinkgoTB(), append(args, "--kubeconfig", testCluster.Kubeconfig())...)
	Expect(err).NotTo(HaveOccurred())
	return out
}

// startAsDeployed starts a program as the Deployment would: with its command line, under its service account, which must
// be there.
func startAsDeployed(ctx SpecContext, binary, namespace string) *operator.Operator {
	GinkgoHelper()
	deployment := &appsv1.Deployment{}
	Expect(admin.Get(ctx, client.ObjectKey{Namespace: namespace, Name: v1alpha1.OperatorName}, deployment)).To(Succeed())
	pod := deployment.Spec.Template.Spec
	Expect(admin.Get(ctx, client.ObjectKey{Namespace: namespace, Name: pod.ServiceAccountName}, &corev1.ServiceAccount{})).To(Succeed())
	dir, err := os.MkdirTemp(filepath.Dir(binary), "operator-")
	Expect(err).NotTo(HaveOccurred())
	op, err := operator.Start(ctx, testCluster, operator.Options{
		Binary: binary, Dir: dir, Args: pod.Containers[0].Args, Namespace: namespace, ServiceAccount: pod.ServiceAccountName,
	})
	Expect(err).NotTo(HaveOccurred())
	return op
}

// lookAway gives a service account the roles of the operator, but for reading tenants, and returns the one that lacks it.
func lookAway(ctx SpecContext, namespace, account string) *rbacv1.ClusterRole {
	GinkgoHelper()
	role := &rbacv1.ClusterRole{}
	Expect(admin.Get(ctx, client.ObjectKey{Name: v1alpha1.OperatorName}, role)).To(Succeed())
	blind := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: account}}
	for _, rule := range role.Rules {
		if !slices.Contains(rule.Resources, "hipaatenants") {
			blind.Rules = append(blind.Rules, rule)
		}
	}
	subjects := []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: namespace, Name: account}}
	within := metav1.ObjectMeta{Namespace: namespace, Name: account}
	for _, o := range []client.Object{
		blind,
		&rbacv1.ClusterRoleBinding{ObjectMeta: blind.ObjectMeta, Subjects: subjects, RoleRef: rbacv1.RoleRef{Kind: "ClusterRole", Name: account}},
		&rbacv1.RoleBinding{ObjectMeta: within, Subjects: subjects, RoleRef: rbacv1.RoleRef{Kind: "Role", Name: v1alpha1.OperatorName}},
	} {
		Expect(admin.Create(ctx, o)).To(Succeed())
	}
	return blind
}

// expectTwoReplicas: pods admitted under the restricted level, bound to two nodes, ready.
func expectTwoReplicas(ctx SpecContext, namespace string) []corev1.Pod {
	GinkgoHelper()
	var pods corev1.PodList
	Eventually(func() []corev1.Pod {
		Expect(admin.List(ctx, &pods, client.InNamespace(namespace), client.MatchingFields{"status.phase": "Running"})).To(Succeed())
		return pods.Items
	}).Should(HaveLen(2), func() string { return kubectl("-n", namespace, "get", "events,pods,replicasets", "-o", "wide") })
	Expect(pods.Items[0].Spec.NodeName).NotTo(Equal(pods.Items[1].Spec.NodeName), "replicas spread over nodes")
	return pods.Items
}

// restricted is a namespace that admits only pods of the restricted security level.
func restricted(name string) *corev1.Namespace {
	ns := &corev1.Namespace{}
	ns.Name = name
	ns.Labels = map[string]string{"pod-security.kubernetes.io/enforce": "restricted"}
	return ns
}

func tenant(ctx SpecContext, name string) *v1alpha1.HIPAATenant {
	GinkgoHelper()
	t := &v1alpha1.HIPAATenant{}
	Expect(admin.Get(ctx, client.ObjectKey{Name: name}, t)).To(Succeed())
	return t
}

func ready(t *v1alpha1.HIPAATenant) bool {
	return t.Status.ObservedGeneration == t.Generation && meta.IsStatusConditionTrue(t.Status.Conditions, v1alpha1.ConditionReady)
}

func gone(ctx SpecContext, o client.Object) bool {
	return apierrors.IsNotFound(admin.Get(ctx, client.ObjectKeyFromObject(o), o))
}

// definitions are the custom resource definitions of the cluster. It has no others than the operator's.
func definitions(ctx SpecContext) []apiextensionsv1.CustomResourceDefinition {
	GinkgoHelper()
	var list apiextensionsv1.CustomResourceDefinitionList
	Expect(admin.List(ctx, &list)).To(Succeed())
	return list.Items
}

func uids(definitions []apiextensionsv1.CustomResourceDefinition) []types.UID {
	var out []types.UID
	for _, d := range definitions {
		out = append(out, d.UID)
	}
	return out
}
