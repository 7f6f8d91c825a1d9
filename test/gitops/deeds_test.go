package gitops

import (
	"context"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
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

// deleteDefinitions deletes all four, as `kubectl delete crd` does.
func (w *world) deleteDefinitions(ctx context.Context) {
	GinkgoHelper()
	for _, plural := range []string{"hipaatenants", "hipaaprofiles", "businessassociates", "emergencyaccesses"} {
		Expect(w.Admin.Delete(ctx, &apiextensionsv1.CustomResourceDefinition{ObjectMeta: meta(plural + "." + v1alpha1.Group)})).To(Succeed())
	}
}

// deleteKustomizations deletes all three at once, and waits until Flux has let go of them.
func (w *world) deleteKustomizations(ctx context.Context) {
	GinkgoHelper()
	names := []string{"hipaa-operator", "hipaa-platform", "hipaa-tenants"}
	for _, name := range names {
		k, err := w.kustomization(ctx, name)
		Expect(err).NotTo(HaveOccurred())
		Expect(w.Admin.Delete(ctx, k)).To(Succeed())
	}
	for _, name := range names {
		Eventually(func() bool {
			_, err := w.kustomization(ctx, name)
			return apierrors.IsNotFound(err)
		}).WithTimeout(2*time.Minute).Should(BeTrue(), "%s hangs", name)
	}
}

// deletionPolicy changes that of the examples.
func deletionPolicy(policy string) func(*unstructured.Unstructured) {
	return func(o *unstructured.Unstructured) {
		GinkgoHelper()
		if o.GetKind() == kustomizationKind.Kind {
			Expect(unstructured.SetNestedField(o.Object, policy, "spec", "deletionPolicy")).To(Succeed())
		}
	}
}

// deleting says whether a tenant is not there, or on its way out.
func (w *world) deleting(ctx context.Context, tenant string) func() bool {
	return func() bool {
		t := &v1alpha1.HIPAATenant{}
		return !w.have(ctx, client.ObjectKey{Name: tenant}, t) || t.DeletionTimestamp != nil
	}
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
