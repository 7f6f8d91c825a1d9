package tamper

import (
	"context"
	"fmt"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/admission"
	"github.com/hipaatenant/hipaa-tenant-operator/test/operator"
	"github.com/hipaatenant/hipaa-tenant-operator/test/report"
)

// tampering is one thing an administrator can do to a policy or a binding; change says whether it applies to the object.
type tampering struct {
	what   string
	change func(admission.Object) bool
}

var tamperings = []tampering{
	{"failures ignored", func(o admission.Object) bool {
		return onPolicies(o,
			func(p *admissionv1.ValidatingAdmissionPolicy) {
				p.Spec.FailurePolicy = ptr.To(admissionv1.Ignore)
			},
			func(p *admissionv1.MutatingAdmissionPolicy) { p.Spec.FailurePolicy = ptr.To(admissionv1.Ignore) })
	}},
	{"a condition that never holds", func(o admission.Object) bool {
		never := admissionv1.MatchCondition{Name: "never", Expression: "false"}
		return onPolicies(o,
			func(p *admissionv1.ValidatingAdmissionPolicy) {
				p.Spec.MatchConditions = append(p.Spec.MatchConditions, never)
			},
			func(p *admissionv1.MutatingAdmissionPolicy) {
				p.Spec.MatchConditions = append(p.Spec.MatchConditions, never)
			})
	}},
	{"one namespace left out", func(o admission.Object) bool {
		but := &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{
			Key: "kubernetes.io/metadata.name", Operator: metav1.LabelSelectorOpNotIn, Values: []string{"tenant-0"},
		}}}
		return onBindings(o,
			func(b *admissionv1.ValidatingAdmissionPolicyBinding) {
				b.Spec.MatchResources = &admissionv1.MatchResources{NamespaceSelector: but}
			},
			func(b *admissionv1.MutatingAdmissionPolicyBinding) {
				b.Spec.MatchResources = &admissionv1.MatchResources{NamespaceSelector: but}
			})
	}},
	{"only warned about", func(o admission.Object) bool {
		return onBindings(o, func(b *admissionv1.ValidatingAdmissionPolicyBinding) {
			b.Spec.ValidationActions = []admissionv1.ValidationAction{admissionv1.Warn}
		}, nil)
	}},
	{"bound to another policy", func(o admission.Object) bool {
		return onBindings(o,
			func(b *admissionv1.ValidatingAdmissionPolicyBinding) { b.Spec.PolicyName = "hipaatenant-nothing" },
			func(b *admissionv1.MutatingAdmissionPolicyBinding) { b.Spec.PolicyName = "hipaatenant-nothing" })
	}},
	{"hidden from the operator, and failures ignored", func(o admission.Object) bool {
		o.SetLabels(nil)
		return onPolicies(o,
			func(p *admissionv1.ValidatingAdmissionPolicy) {
				p.Spec.FailurePolicy = ptr.To(admissionv1.Ignore)
			},
			func(p *admissionv1.MutatingAdmissionPolicy) { p.Spec.FailurePolicy = ptr.To(admissionv1.Ignore) })
	}},
}

func onPolicies(o admission.Object, validating func(*admissionv1.ValidatingAdmissionPolicy), mutating func(*admissionv1.MutatingAdmissionPolicy)) bool {
	switch policy := o.(type) {
	case *admissionv1.ValidatingAdmissionPolicy:
		validating(policy)
		return true
	case *admissionv1.MutatingAdmissionPolicy:
		mutating(policy)
		return true
	}
	return false
}

func onBindings(o admission.Object, validating func(*admissionv1.ValidatingAdmissionPolicyBinding), mutating func(*admissionv1.MutatingAdmissionPolicyBinding)) bool {
	switch binding := o.(type) {
	case *admissionv1.ValidatingAdmissionPolicyBinding:
		validating(binding)
		return true
	case *admissionv1.MutatingAdmissionPolicyBinding:
		if mutating == nil {
			return false
		}
		mutating(binding)
		return true
	}
	return false
}

// alter makes the live object what the tampering makes of it; false when it does not apply to that kind.
func (b *world) alter(ctx context.Context, object admission.Object, t tampering) bool {
	GinkgoHelper()
	applies := false
	Expect(retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		live := object.DeepCopyObject().(client.Object)
		if err := b.Admin.Get(ctx, client.ObjectKeyFromObject(live), live); err != nil {
			return err
		}
		if applies = t.change(live); !applies {
			return nil
		}
		return b.Admin.Update(ctx, live)
	})).To(Succeed())
	return applies
}

func (b *world) remove(ctx context.Context, object admission.Object) {
	GinkgoHelper()
	Expect(b.Admin.Delete(ctx, object.DeepCopyObject().(client.Object))).To(Succeed())
}

// removeAll takes every policy and binding away in four requests.
func (b *world) removeAll(ctx context.Context) {
	GinkgoHelper()
	for _, kind := range []client.Object{
		&admissionv1.ValidatingAdmissionPolicyBinding{}, &admissionv1.MutatingAdmissionPolicyBinding{},
		&admissionv1.ValidatingAdmissionPolicy{}, &admissionv1.MutatingAdmissionPolicy{},
	} {
		Expect(b.Admin.DeleteAllOf(ctx, kind, client.MatchingLabels{v1alpha1.LabelManagedBy: v1alpha1.OperatorName})).To(Succeed())
	}
}

var notInForce = HaveEach(HavePrefix("False/" + v1alpha1.ReasonPoliciesMissing))

var _ = Describe("policies the operator manages", Ordered, func() {
	var b *world

	BeforeAll(func(ctx SpecContext) {
		b = start(ctx)
		b.Operate(ctx, operator.Options{Binary: binary})
		b.populate(ctx)
	}, NodeTimeout(3*time.Minute))

	// restored waits until all is as shipped, and returns how long that took.
	restored := func(ctx context.Context) time.Duration {
		GinkgoHelper()
		began := time.Now()
		Eventually(func() []admission.Problem { return b.problems(ctx) }).WithTimeout(noticed).Should(BeEmpty())
		return time.Since(began)
	}

	It("come back when they are altered or removed, one by one", func(ctx SpecContext) {
		var slowest time.Duration
		count := 0
		for _, object := range b.shipped {
			b.remove(ctx, object)
			slowest, count = max(slowest, restored(ctx)), count+1
			for _, t := range tamperings {
				if b.alter(ctx, object, t) {
					By(fmt.Sprintf("%T %s %s", object, object.GetName(), t.what))
					slowest, count = max(slowest, restored(ctx)), count+1
				}
			}
		}
		report.Line("tamper: managed cases=%d restored=%d slowest=%s", count, count, slowest.Round(time.Millisecond))
		Expect(count).To(BeNumerically(">", 2*len(b.shipped)))
	})

	It("come back when all are removed at once, and every tenant says so", func(ctx SpecContext) {
		Eventually(b.said(ctx, v1alpha1.ConditionReady)).WithTimeout(settled).Should(HaveEach(HavePrefix("True/Ready")))
		began := time.Now()
		b.removeAll(ctx)
		Eventually(b.said(ctx, v1alpha1.ConditionAdmissionEnforced)).WithTimeout(noticed).Should(notInForce)
		report.Line("tamper: managed all=%d tenants=%d said-after=%s", len(b.shipped), tenants, time.Since(began).Round(time.Millisecond))
		Expect(restored(ctx)).To(BeNumerically("<", noticed))
		Eventually(b.said(ctx, v1alpha1.ConditionReady)).WithTimeout(settled).Should(HaveEach(HavePrefix("True/Ready")))
	})

	It("are told of in events that name what was done", func(ctx SpecContext) {
		Eventually(func() []string {
			var list eventsv1.EventList
			Expect(b.Admin.List(ctx, &list)).To(Succeed())
			var notes []string
			for _, e := range list.Items {
				if e.Reason == "AdmissionPolicyRestored" {
					notes = append(notes, e.Note)
				}
			}
			return notes
		}).WithTimeout(noticed).Should(ContainElement(And(ContainSubstring("hipaatenant-tenancy"), ContainSubstring("spec.failurePolicy"))))
	})
})

var _ = Describe("policies the operator only verifies", Ordered, func() {
	var b *world

	put := func(ctx context.Context, objects ...admission.Object) {
		GinkgoHelper()
		for _, object := range objects {
			// The type checker writes the status of policies at any time.
			Expect(retry.RetryOnConflict(retry.DefaultBackoff, func() error {
				live, wanted := object.DeepCopyObject().(client.Object), object.DeepCopyObject().(client.Object)
				err := b.Admin.Get(ctx, client.ObjectKeyFromObject(live), live)
				if apierrors.IsNotFound(err) {
					return b.Admin.Create(ctx, wanted)
				}
				if err != nil {
					return err
				}
				wanted.SetResourceVersion(live.GetResourceVersion())
				return b.Admin.Update(ctx, wanted)
			})).To(Succeed())
		}
	}

	BeforeAll(func(ctx SpecContext) {
		b = start(ctx)
		put(ctx, b.shipped...)
		b.Operate(ctx, operator.Options{Binary: binary, Args: []string{"--admission-policies=verify"}})
		b.populate(ctx)
	}, NodeTimeout(3*time.Minute))

	// told waits until every tenant names the object, and checks that nobody touched it.
	told := func(ctx context.Context, object admission.Object, what string) time.Duration {
		GinkgoHelper()
		began := time.Now()
		Eventually(b.said(ctx, v1alpha1.ConditionAdmissionEnforced)).WithTimeout(noticed).
			Should(And(notInForce, HaveEach(ContainSubstring(object.GetName()+": "))), what)
		Expect(b.problems(ctx)).To(ContainElement(HaveField("Name", object.GetName())), "it was repaired")
		return time.Since(began)
	}

	It("are reported by every tenant, by name, and left as they are", func(ctx SpecContext) {
		var slowest time.Duration
		for i, object := range b.shipped {
			t := tamperings[i%len(tamperings)]
			if i%2 == 0 || !b.alter(ctx, object, t) {
				t.what = "removed"
				b.remove(ctx, object)
			}
			slowest = max(slowest, told(ctx, object, object.GetName()+" "+t.what))
			if i < len(b.shipped)-1 {
				put(ctx, object) // or the message would get too long to name the next
			}
		}
		report.Line("tamper: verified cases=%d tenants=%d slowest=%s", len(b.shipped), tenants, slowest.Round(time.Millisecond))
		Expect(strings.Join(b.said(ctx, v1alpha1.ConditionReady)(), "\n")).NotTo(ContainSubstring("True/Ready"))
	})

	It("are in force again when their owner puts them back", func(ctx SpecContext) {
		put(ctx, b.shipped...)
		Eventually(b.said(ctx, v1alpha1.ConditionReady)).WithTimeout(settled).Should(HaveEach(HavePrefix("True/Ready")))
	})
})
