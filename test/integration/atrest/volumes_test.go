package atrest

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/compile"
	"github.com/hipaatenant/hipaa-tenant-operator/test/operator"
)

var _ = Describe("a profile that requires a customer's key of volumes", func() {
	It("lets claims name a class while its parameters ask for one, and at no other time", func(ctx SpecContext) {
		const class = "records"
		b := start(ctx, "")
		profile := &v1alpha1.HIPAAProfile{}
		Expect(b.Admin.Get(ctx, client.ObjectKey{Name: v1alpha1.DefaultProfile}, profile)).To(Succeed())
		profile.Spec.StorageClasses = &v1alpha1.StorageClassRules{Allowed: []string{class}, RequireCustomerKey: true}
		Expect(b.Admin.Update(ctx, profile)).To(Succeed())
		b.Operate(ctx, operator.Options{Binary: binary, Args: []string{"--encryption-probe-interval=0"}})
		b.populate(ctx)
		Eventually(b.condition(ctx, v1alpha1.ConditionEncryptionReady)).Should(HavePrefix("Unknown/AtRestUnknown: "))
		Expect(b.fact(ctx)()).To(BeEmpty())
		Expect(b.finding(ctx, compile.CodeStorageClassMissing)).To(HavePrefix("Info: storage class records does not exist"))
		Expect(b.claim(ctx, class)).To(MatchError(ContainSubstring("storage class records is not allowed")))

		By("making the class, and making it anew with other parameters")
		for _, step := range []struct {
			parameters    map[string]string
			fact, finding string
		}{
			{map[string]string{"encrypted": "true", "kmsKeyId": "alias/records"}, class, ""},
			{map[string]string{"encrypted": "true"}, "", "Warning: claims may not name storage class records: storageClasses.requireCustomerKey of profile default"},
			{map[string]string{"Encrypted": "true", "KMSKeyID": "alias/records"}, class, ""},
			{nil, "", "Warning: claims may not name storage class records"},
		} {
			made := &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: class}, Provisioner: "ebs.csi.aws.com", Parameters: step.parameters}
			Expect(client.IgnoreNotFound(b.Admin.Delete(ctx, made.DeepCopy()))).To(Succeed())
			Expect(b.Admin.Create(ctx, made)).To(Succeed())
			Eventually(b.fact(ctx)).Should(Equal(step.fact))
			Eventually(func() string { return b.finding(ctx, compile.CodeStorageClassNotCustomerKey) }).Should(HavePrefix(step.finding))
			if step.fact != "" {
				Expect(b.claim(ctx, class)).To(Succeed())
				continue
			}
			Expect(b.claim(ctx, class)).To(MatchError(ContainSubstring("storage class records is not allowed")))
		}
		Expect(b.condition(ctx, v1alpha1.ConditionReady)()).To(HavePrefix("True/Ready"))
	})
})

// fact is what the tenant's namespace says of the classes its claims may name.
func (b *world) fact(ctx context.Context) func() string {
	return func() string {
		GinkgoHelper()
		ns := &corev1.Namespace{}
		Expect(b.Admin.Get(ctx, client.ObjectKey{Name: tenant}, ns)).To(Succeed())
		return ns.Annotations[v1alpha1.AnnotationStorageClasses]
	}
}

// claim asks for a volume of a class, for no longer than it takes to hear whether that is admitted.
func (b *world) claim(ctx context.Context, class string) error {
	return b.Admin.Create(ctx, &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: tenant, Name: "claim"},
		Spec: corev1.PersistentVolumeClaimSpec{
			StorageClassName: &class, AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}},
		},
	}, client.DryRunAll)
}
