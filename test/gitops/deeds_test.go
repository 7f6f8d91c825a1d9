package gitops

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
)

// What people do to a cluster that Flux keeps.

func meta(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Name: name} }

// unguard takes away the policy that guards the tenants' objects. The operator puts it back.
func (w *world) unguard(ctx context.Context) {
	GinkgoHelper()
	Expect(w.Admin.Delete(ctx, &admissionv1.ValidatingAdmissionPolicyBinding{ObjectMeta: meta("hipaatenant-tenancy")})).To(Succeed())
}

// edit changes a tenant's spec as the program of that name.
func (w *world) edit(ctx context.Context, tenant, program string, change func(*v1alpha1.HIPAATenant)) {
	GinkgoHelper()
	Eventually(func() error {
		t := w.Tenant(ctx, tenant)
		change(t)
		return w.Admin.Update(ctx, t, client.FieldOwner(program))
	}).Should(Succeed())
}

// allowlist that is in force; nil until the operator has looked at the spec.
func (w *world) allowlist(ctx context.Context, tenant string) func() []string {
	return func() []string {
		t := w.Tenant(ctx, tenant)
		if t.Status.ObservedGeneration != t.Generation || t.Status.Effective == nil {
			return nil
		}
		return t.Status.Effective.IPAllowlist
	}
}
