package admission_test

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/admission"
)

// The files state every default, so what the API server holds is what was shipped, and nothing else is.
var _ = Describe("the shipped policies", Serial, func() {
	shipped := func() []admission.Object {
		GinkgoHelper()
		objects, err := admission.Load(admission.DefaultIdentity)
		Expect(err).NotTo(HaveOccurred())
		return objects
	}
	problems := func(ctx context.Context) []admission.Problem {
		GinkgoHelper()
		live, err := env.Live(ctx, shipped())
		Expect(err).NotTo(HaveOccurred())
		return admission.Compare(shipped(), live)
	}
	restore := func(ctx context.Context, name string) {
		GinkgoHelper()
		Expect(env.Restore(ctx, name)).To(Succeed())
		Eventually(problems).WithContext(ctx).Should(BeEmpty())
	}

	It("stand as shipped, type-checked without a warning", func(ctx context.Context) {
		Expect(problems(ctx)).To(BeEmpty())
	})

	It("name what was altered", func(ctx context.Context) {
		live := &admissionv1.ValidatingAdmissionPolicy{ObjectMeta: named("hipaatenant-network")}
		Expect(env.Admin.Get(ctx, client.ObjectKeyFromObject(live), live)).To(Succeed())
		DeferCleanup(restore, live.Name)
		live.Spec.MatchConstraints.ResourceRules[0].Operations = []admissionv1.OperationType{admissionv1.Create}
		Expect(env.Replace(ctx, live)).To(Succeed())
		Expect(problems(ctx)).To(ConsistOf(admission.Problem{
			Kind: "ValidatingAdmissionPolicy", Name: live.Name, Reason: admission.Altered,
			Detail: "spec.matchConstraints.resourceRules[0].operations: expected 2 items, found 1",
		}))
	})

	It("name what is missing", func(ctx context.Context) {
		binding := &admissionv1.MutatingAdmissionPolicyBinding{ObjectMeta: named("hipaatenant-placement")}
		Expect(env.Admin.Delete(ctx, binding)).To(Succeed())
		DeferCleanup(restore, binding.Name)
		Expect(problems(ctx)).To(ConsistOf(admission.Problem{
			Kind: "MutatingAdmissionPolicyBinding", Name: binding.Name, Reason: admission.Missing, Detail: "it does not exist",
		}))
	})

	It("are not accepted with an expression the type checker warns about", func(ctx context.Context) {
		live := &admissionv1.ValidatingAdmissionPolicy{ObjectMeta: named("hipaatenant-network")}
		Expect(env.Admin.Get(ctx, client.ObjectKeyFromObject(live), live)).To(Succeed())
		DeferCleanup(restore, live.Name)
		faulty := shipped()
		for _, object := range append([]admission.Object{live}, faulty...) {
			if p, ok := object.(*admissionv1.ValidatingAdmissionPolicy); ok && p.Name == live.Name {
				p.Spec.Validations[0].Expression = "object.spec.noSuchField == 1"
			}
		}
		Expect(env.Replace(ctx, live)).To(Succeed())
		Eventually(func(g Gomega, ctx context.Context) {
			found, err := env.Live(ctx, faulty)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(admission.Compare(faulty, found)).To(ConsistOf(And(
				HaveField("Reason", admission.NotAccepted), HaveField("Detail", ContainSubstring("spec.validations[0].expression: networking.k8s.io/v1")),
			)))
		}).WithContext(ctx).WithTimeout(acceptTimeout).Should(Succeed())
	})
})
