package tamper

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/admission"
	"github.com/hipaatenant/hipaa-tenant-operator/test/cluster"
	"github.com/hipaatenant/hipaa-tenant-operator/test/operator"
	pt "github.com/hipaatenant/hipaa-tenant-operator/test/policytest"
)

const admissionConfiguration = `apiVersion: apiserver.config.k8s.io/v1
kind: AdmissionConfiguration
plugins:
  - name: ValidatingAdmissionPolicy
    configuration: {apiVersion: apiserver.config.k8s.io/v1, kind: ValidatingAdmissionPolicyConfiguration, staticManifestsDir: %[1]s/validating}
  - name: MutatingAdmissionPolicy
    configuration: {apiVersion: apiserver.config.k8s.io/v1, kind: MutatingAdmissionPolicyConfiguration, staticManifestsDir: %[1]s/mutating}
`

// manifests writes what the command line prints where an API server reads it, and returns the API server's flag.
func manifests(ctx context.Context, dir string, forms ...string) string {
	GinkgoHelper()
	root, err := cluster.RepositoryRoot()
	Expect(err).NotTo(HaveOccurred())
	for _, sub := range []string{"validating", "mutating"} {
		Expect(os.MkdirAll(filepath.Join(dir, sub), 0o700)).To(Succeed())
	}
	for _, form := range forms {
		command := exec.CommandContext(ctx, "go", "run", "./cmd/kubectl-hipaa", "policies", "--static", form)
		command.Dir, command.Stderr = root, GinkgoWriter
		text, err := command.Output()
		Expect(err).NotTo(HaveOccurred())
		sub := "validating"
		if form == "mutating" {
			sub = form
		}
		Expect(os.WriteFile(filepath.Join(dir, sub, form+".yaml"), text, 0o600)).To(Succeed())
	}
	config := filepath.Join(dir, "admission.yaml")
	Expect(os.WriteFile(config, fmt.Appendf(nil, admissionConfiguration, dir), 0o600)).To(Succeed())
	return "--admission-control-config-file=" + config
}

var _ = Describe("policies guarded from the disk", Ordered, func() {
	var b *world

	BeforeAll(func(ctx SpecContext) {
		dir := GinkgoT().TempDir()
		b = start(ctx, manifests(ctx, dir, "guard"))
		b.Operate(ctx, operator.Options{Binary: binary})
	}, NodeTimeout(3*time.Minute))

	refused := func(err error, name string) {
		GinkgoHelper()
		Expect(err).To(MatchError(And(
			ContainSubstring("'hipaatenant-guard.static.k8s.io'"), ContainSubstring(name), ContainSubstring("refuses what would break the isolation"),
			ContainSubstring("not by admin"),
		)))
	}

	It("are installed by the operator and accepted by the type checker", func(ctx SpecContext) {
		Eventually(func() []admission.Problem { return b.problems(ctx) }).WithTimeout(settled).Should(BeEmpty())
		Eventually(func() []string {
			var list admissionv1.ValidatingAdmissionPolicyList
			Expect(b.Admin.List(ctx, &list)).To(Succeed())
			var unseen []string
			for _, p := range list.Items {
				if p.Status.ObservedGeneration != p.Generation {
					unseen = append(unseen, p.Name)
				}
			}
			return unseen
		}).WithTimeout(settled).Should(BeEmpty())
	})

	It("are neither removed nor altered by a cluster administrator", func(ctx SpecContext) {
		for _, object := range b.shipped {
			target := object.DeepCopyObject().(client.Object)
			refused(b.Admin.Delete(ctx, target), object.GetName())
			for _, patch := range []string{`{"metadata":{"labels":null}}`, `{"metadata":{"finalizers":["example.com/x"]}}`, `{"spec":{"failurePolicy":"Ignore","policyName":"x"}}`} {
				refused(b.Admin.Patch(ctx, target, client.RawPatch(types.MergePatchType, []byte(patch))), object.GetName())
			}
		}
		for _, kind := range []client.Object{
			&admissionv1.ValidatingAdmissionPolicy{}, &admissionv1.ValidatingAdmissionPolicyBinding{},
			&admissionv1.MutatingAdmissionPolicy{}, &admissionv1.MutatingAdmissionPolicyBinding{},
		} {
			refused(b.Admin.DeleteAllOf(ctx, kind), "hipaatenant-")
		}
		Expect(b.problems(ctx)).To(BeEmpty())
	})

	It("are not marked as faulty by a cluster administrator", func(ctx SpecContext) {
		policy := &admissionv1.ValidatingAdmissionPolicy{}
		Expect(b.Admin.Get(ctx, client.ObjectKey{Name: "hipaatenant-tenancy"}, policy)).To(Succeed())
		policy.Status.ObservedGeneration = 0
		refused(b.Admin.Status().Update(ctx, policy), policy.Name)
	})

	It("leave no room for a binding of somebody else under their name", func(ctx SpecContext) {
		binding := &admissionv1.ValidatingAdmissionPolicyBinding{}
		binding.Name, binding.Spec.PolicyName = "hipaatenant-mine", "hipaatenant-tenancy"
		binding.Spec.ValidationActions = []admissionv1.ValidationAction{admissionv1.Audit}
		refused(b.Admin.Create(ctx, binding), binding.Name)
		binding.Name = "mine"
		Expect(b.Admin.Create(ctx, binding)).To(Succeed(), "what others call theirs is theirs")
		Expect(b.Admin.Delete(ctx, binding)).To(Succeed())
	})
})

var _ = Describe("policies on the disk alone", Ordered, func() {
	var env *pt.Env

	BeforeAll(func(ctx SpecContext) {
		dir := GinkgoT().TempDir()
		c, err := cluster.Start(ctx, cluster.Options{ControllerManager: true, APIServerArgs: []string{manifests(ctx, dir, "validating", "mutating")}})
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(func() { Expect(c.Stop()).To(Succeed()) })
		env, err = pt.New(ctx, c)
		Expect(err).NotTo(HaveOccurred())
	}, NodeTimeout(3*time.Minute))

	It("refuse and change requests although the API holds none", func(ctx SpecContext) {
		namespace, err := env.TenantNamespace(ctx, nil)
		Expect(err).NotTo(HaveOccurred())
		pod := &corev1.Pod{}
		pod.Namespace, pod.Name = namespace, "web"
		pod.Spec.Containers = []corev1.Container{{Name: "web", Image: "example/web"}}
		Expect(env.Admin.Create(ctx, pod.DeepCopy())).To(Succeed())
		Expect(env.Admin.Get(ctx, client.ObjectKeyFromObject(pod), pod)).To(Succeed())
		Expect(pod.Spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms[0].MatchExpressions[0]).
			To(HaveField("Key", corev1.LabelTopologyRegion))

		smuggled := &corev1.Pod{}
		smuggled.Namespace, smuggled.Name = namespace, "smuggled"
		smuggled.Spec = *pod.Spec.DeepCopy()
		smuggled.Spec.NodeName = "anywhere"
		Expect(env.Admin.Create(ctx, smuggled)).To(MatchError(ContainSubstring("'hipaatenant-placement-bind.static.k8s.io'")))

		stripped := &corev1.Namespace{}
		stripped.Name = namespace
		Expect(env.Admin.Patch(ctx, stripped, client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"labels":{"`+v1alpha1.LabelTenant+`":null}}}`)))).
			To(MatchError(ContainSubstring("'hipaatenant-tenancy.static.k8s.io'")))
	})

	It("cannot be named in a request, nor by another object", func(ctx SpecContext) {
		binding := &admissionv1.ValidatingAdmissionPolicyBinding{}
		binding.Name = "hipaatenant-tenancy" + admission.StaticSuffix
		Expect(client.IgnoreNotFound(env.Admin.Delete(ctx, binding.DeepCopy()))).To(Succeed())
		Expect(env.Admin.Delete(ctx, binding.DeepCopy())).To(MatchError(ContainSubstring("not found")), "the API knows no such object")
		binding.Spec.PolicyName = binding.Name
		binding.Spec.ValidationActions = []admissionv1.ValidationAction{admissionv1.Audit}
		Expect(env.Admin.Create(ctx, binding)).To(MatchError(ContainSubstring(admission.StaticSuffix)))
	})
})
