package stories

import (
	"context"
	"encoding/json"
	"maps"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/apply"
	"github.com/hipaatenant/hipaa-tenant-operator/test/fields"
)

var _ = Describe("every field of a tenant", Ordered, func() {
	BeforeAll(func(ctx SpecContext) {
		w := fields.New()
		for _, key := range []string{fields.Name, fields.Name + "-other"} {
			vault.CreateKey(GinkgoTB(), "transit", key)
		}
		for name, parameters := range map[string]map[string]string{
			fields.Customer: {"encrypted": "true", "kmsKeyId": "arn:aws:kms:us-east-1:111122223333:key/0f1e2d3c"}, fields.Plain: {"encrypted": "true"},
		} {
			Expect(admin.Create(ctx, &storagev1.StorageClass{
				ObjectMeta: metav1.ObjectMeta{Name: name}, Provisioner: "ebs.csi.aws.com", Parameters: parameters,
			})).To(Succeed())
		}
		for _, a := range w.Associates {
			Expect(admin.Create(ctx, a)).To(Succeed())
		}
		for _, o := range []client.Object{w.Profile, w.Other, w.Tenant} {
			Expect(admin.Create(ctx, o)).To(Succeed())
		}
		suite.AwaitReady(ctx, fields.Name)
	})

	It("changes what it should in the cluster, and back again restores it byte for byte", func(ctx SpecContext) {
		for _, c := range fields.Tenant {
			if c.In == fields.Fixed {
				continue
			}
			By(c.Path)
			set(ctx, c.Prepared())
			stood := dump(ctx)
			set(ctx, c.Changed())
			switch {
			case c.In == fields.Objects, keysetChanges[c.Path]:
				Expect(dump(ctx)).NotTo(Equal(stood), c.Path)
			case c.In == fields.Narrowed:
				Expect(facts(ctx, fields.App)()).To(HaveKeyWithValue(v1alpha1.AnnotationAdmission, string(v1alpha1.GateFrozen)), c.Path)
			default:
				Expect(dump(ctx)).To(Equal(stood), "%s is to show in %s alone", c.Path, c.In)
			}
			if c.Path == "suspend" {
				Expect(suite.State(ctx, fields.Name, v1alpha1.ConditionReady)()).To(Equal("Unknown/" + v1alpha1.ReasonSuspended))
			}
			set(ctx, c.Prepared())
			restored := dump(ctx)
			if c.Path == "encryption.dataKeys[].name" { // data keys are never thrown away: those of the time in between stay
				for ref := range restored {
					if ref.Kind == "Secret" {
						Expect(restored[ref]).To(ContainSubstring("transcripts"))
						restored[ref] = stood[ref]
					}
				}
			}
			Expect(restored).To(Equal(stood), c.Path)
		}
		suite.AwaitReady(ctx, fields.Name)
	})
})

// keysetChanges are the fields of part Keys that show in Secret hipaa-keyset at once; rotationPeriod shows when a key gets old.
var keysetChanges = map[string]bool{"encryption.keyURI": true, "encryption.dataKeys[].name": true}

// set gives the tenant the spec it has in a world, and waits until the operator is done with it.
func set(ctx context.Context, w *fields.World) {
	GinkgoHelper()
	suite.Change(ctx, fields.Name, func(t *v1alpha1.HIPAATenant) { t.Spec = w.Tenant.Spec })
	Eventually(func(g Gomega) {
		t := suite.Tenant(ctx, fields.Name)
		g.Expect(t.Status.ObservedGeneration).To(Equal(t.Generation))
		g.Expect(meta.FindStatusCondition(t.Status.Conditions, v1alpha1.ConditionReconciling)).To(BeNil())
	}).Should(Succeed())
}

// dump is everything the operator owns in the tenant's namespaces, without metadata that changes by itself or with every
// write. Of a keyset it has what names the keys: no two wrappings of one key are alike.
func dump(ctx context.Context) map[v1alpha1.ObjectRef]string {
	GinkgoHelper()
	out := map[v1alpha1.ObjectRef]string{}
	for _, ref := range suite.Tenant(ctx, fields.Name).Status.Inventory {
		for _, o := range apply.Kinds() {
			o.SetName(ref.Name)
			o.SetNamespace(ref.Namespace)
			if home := ref.Namespace + ref.Name; apply.RefOf(o) != ref || ref.Namespace == "" && home != fields.App && home != fields.Data || ref.Namespace == "fields-third" {
				continue
			}
			Expect(admin.Get(ctx, client.ObjectKeyFromObject(o), o)).To(Succeed(), "%v is remembered and is not there", ref)
			out[ref] = content(o)
		}
	}
	Expect(out).NotTo(BeEmpty())
	return out
}

func content(o client.Object) string {
	GinkgoHelper()
	o.SetManagedFields(nil)
	o.SetResourceVersion("")
	o.SetGeneration(0)
	o.SetUID("")
	o.SetCreationTimestamp(metav1.Time{})
	if quota, is := o.(*corev1.ResourceQuota); is {
		quota.Status = corev1.ResourceQuotaStatus{} // counted by the controller manager
	}
	if secret, is := o.(*corev1.Secret); is {
		var keyset struct {
			Keys []struct {
				Name     string `json:"name"`
				Version  int64  `json:"version"`
				Provider string `json:"provider"`
				KeyRef   string `json:"keyRef"`
			} `json:"keys"`
		}
		Expect(json.Unmarshal(secret.Data[v1alpha1.KeysetKey], &keyset)).To(Succeed())
		keys, err := json.Marshal(keyset)
		Expect(err).NotTo(HaveOccurred())
		secret.Data = maps.Clone(secret.Data)
		secret.Data[v1alpha1.KeysetKey] = nil
		secret.StringData = map[string]string{v1alpha1.KeysetKey: string(keys)}
	}
	text, err := json.Marshal(o)
	Expect(err).NotTo(HaveOccurred())
	return string(text)
}
