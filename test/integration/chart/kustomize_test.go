package chart

import (
	"encoding/base64"
	"encoding/json"
	"strings"

	"github.com/google/go-cmp/cmp"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
)

var _ = Describe("config/default", func() {
	It("is what the chart installs with its default values, and the namespace", func() {
		want := bare(render(GinkgoTB(), operatorChart, "--namespace", v1alpha1.OperatorNamespace))
		got := bare(decode(GinkgoTB(), kubectl("kustomize", "config/default")))
		Expect(got).To(HaveKey("Namespace " + v1alpha1.OperatorNamespace))
		delete(got, "Namespace "+v1alpha1.OperatorNamespace)
		Expect(cmp.Diff(want, got)).To(BeEmpty(), "-chart +config/default")
	})

	It("guards what a pipeline must not prune: the definitions and the namespace with the software keys", func() {
		guarded := 0
		for _, o := range decode(GinkgoTB(), kubectl("kustomize", "config/default")) {
			if o.GetKind() == "CustomResourceDefinition" || o.GetKind() == "Namespace" {
				Expect(o.GetAnnotations()).To(HaveKeyWithValue("argocd.argoproj.io/sync-options", "Prune=confirm,Delete=confirm"))
				Expect(o.GetAnnotations()).To(HaveKeyWithValue("kustomize.toolkit.fluxcd.io/prune", "disabled"))
				guarded++
			}
		}
		Expect(guarded).To(Equal(5))
	})
})

// appliesConfigDefault installs with kubectl what the chart installs with helm, in a namespace of the restricted level.
func appliesConfigDefault(ctx SpecContext) {
	Expect(kubectl("apply", "--server-side", "-k", "config/default")).NotTo(ContainSubstring("Warning"), "no pod security warning")
	pods := expectTwoReplicas(ctx, v1alpha1.OperatorNamespace)

	By("asking for the token the pod mounts: it ends within the hour, which one of 3607 seconds would not")
	Expect(tokenLife(ctx, pods[0], *tokenOf(GinkgoTB(), pods[0].Spec).ExpirationSeconds)).To(BeEquivalentTo(3600))
	Expect(tokenLife(ctx, pods[0], 3607)).To(BeNumerically(">", 100*24*3600))

	By("comparing: nothing is left to change, nothing conflicts")
	Expect(kubectl("diff", "--server-side", "-k", "config/default")).To(BeEmpty())
}

// tokenLife returns how many seconds a token holds that is bound to a pod, by what the API server signed.
func tokenLife(ctx SpecContext, pod corev1.Pod, seconds int64) int64 {
	GinkgoHelper()
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
		ExpirationSeconds: &seconds,
		BoundObjectRef:    &authenticationv1.BoundObjectReference{Kind: "Pod", APIVersion: "v1", Name: pod.Name, UID: pod.UID},
	}}
	answer, err := clientset.CoreV1().ServiceAccounts(v1alpha1.OperatorNamespace).CreateToken(ctx, v1alpha1.OperatorName, request, metav1.CreateOptions{})
	Expect(err).NotTo(HaveOccurred())
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(answer.Status.Token, ".")[1])
	Expect(err).NotTo(HaveOccurred())
	var claims struct{ Iat, Exp int64 }
	Expect(json.Unmarshal(payload, &claims)).To(Succeed())
	return claims.Exp - claims.Iat
}
