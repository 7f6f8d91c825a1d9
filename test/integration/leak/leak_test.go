package leak

import (
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/test/fixture"
	"github.com/hipaatenant/hipaa-tenant-operator/test/operator"
	"github.com/hipaatenant/hipaa-tenant-operator/test/report"
)

var _ = Describe("the bytes of keys", Ordered, func() {
	It("are made, wrapped again, moved and refused", func(ctx SpecContext) {
		for key, mount := range map[string]string{"alpha": "transit", "beta": "team-a/transit", "mover": "transit"} {
			vault.CreateKey(GinkgoTB(), mount, key)
		}
		operate(ctx, vault.Address)

		By("making keys")
		software := func(t *v1alpha1.HIPAATenant) {
			t.Spec.Namespaces = []v1alpha1.TenantNamespace{{Name: v1alpha1.Name(t.Name)}, {Name: v1alpha1.Name(t.Name + "-data")}}
		}
		for _, t := range []*v1alpha1.HIPAATenant{
			fixture.Tenant("alpha", onVault("transit")), fixture.Tenant("beta", onVault("team-a/transit")),
			fixture.Tenant("soft", software), fixture.Tenant("mover", software),
		} {
			Expect(admin.Create(ctx, t)).To(Succeed())
		}
		awaitReady(ctx, "alpha", "beta", "soft", "mover")
		known.collect(ctx)

		By("adding namespaces and data keys, and moving to another KMS")
		for _, name := range []string{"alpha", "soft"} {
			world.Change(ctx, name, func(t *v1alpha1.HIPAATenant) {
				t.Spec.Namespaces = append(t.Spec.Namespaces, v1alpha1.TenantNamespace{Name: v1alpha1.Name(name + "-more")})
				t.Spec.Encryption.DataKeys = append(t.Spec.Encryption.DataKeys, v1alpha1.DataKey{Name: "later"})
			})
		}
		vault.Write(GinkgoTB(), "transit/keys/alpha/rotate", nil)
		world.Change(ctx, "mover", func(t *v1alpha1.HIPAATenant) { t.Spec.Encryption.KeyURI = "vault://transit/mover" })
		awaitReady(ctx, "alpha", "soft", "mover")
		Expect(known.collect(ctx)).To(And(HaveKeyWithValue("mover", "vault://transit/mover"), HaveKey("alpha-more"), HaveKey("soft-more")))

		By("being refused")
		Expect(admin.Create(ctx, fixture.Tenant("keyless", onVault("transit")))).To(Succeed())
		Eventually(world.State(ctx, "keyless", v1alpha1.ConditionEncryptionReady)).Should(Equal("False/" + v1alpha1.ReasonKMSRefused))
		restore := swap(ctx, "beta", "beta-data")
		Eventually(world.State(ctx, "beta", v1alpha1.ConditionEncryptionReady)).Should(Equal("False/" + v1alpha1.ReasonForeignKeyMaterial))
		restore()
		awaitReady(ctx, "beta")

		By("losing the KMS, and getting it back")
		operate(ctx, "http://127.0.0.1:1")
		world.Change(ctx, "beta", func(t *v1alpha1.HIPAATenant) {
			t.Spec.Namespaces = append(t.Spec.Namespaces, v1alpha1.TenantNamespace{Name: "beta-more"})
		})
		Eventually(world.State(ctx, "beta", v1alpha1.ConditionEncryptionReady)).Should(Equal("Unknown/" + v1alpha1.ReasonKMSUnreachable))
		operate(ctx, vault.Address)
		awaitReady(ctx, "beta")

		By("deleting a tenant and making it again")
		soft := fixture.Tenant("soft", software)
		Expect(admin.Delete(ctx, soft)).To(Succeed())
		Eventually(func() bool {
			return apierrors.IsNotFound(admin.Get(ctx, client.ObjectKey{Name: "soft"}, &v1alpha1.HIPAATenant{}))
		}).Should(BeTrue())
		known.collect(ctx)
		Expect(admin.Create(ctx, fixture.Tenant("soft", software))).To(Succeed())
		awaitReady(ctx, "soft")
		known.collect(ctx)
	})

	It("are opened for a person who may, and not shown", func(ctx SpecContext) {
		plugin := filepath.Join(world.Dir, "kubectl-hipaa")
		build := exec.CommandContext(ctx, "go", "build", "-race", "-o", plugin, "../../../cmd/kubectl-hipaa")
		text, err := build.CombinedOutput()
		Expect(err).NotTo(HaveOccurred(), string(text))
		for tenant, entries := range map[string]int{"alpha": 9, "soft": 2} {
			unwrap := exec.CommandContext(ctx, plugin, "unwrap", tenant, "--kubeconfig", world.Cluster.Kubeconfig(), "--vault-address", vault.Address)
			unwrap.Env = append(os.Environ(), "VAULT_TOKEN="+vault.Root)
			text, err := unwrap.CombinedOutput()
			Expect(err).NotTo(HaveOccurred(), string(text))
			Expect(strings.Count(string(text), " yes ")).To(BeNumerically(">=", entries), string(text))
			Expect(newScanner(known.secrets).find(text)).To(BeEmpty())
		}
	})

	// The pod of the example is admitted where such pods run: by the policies and by Pod Security at level restricted.
	It("reach the pod of the example", func(ctx SpecContext) {
		text, err := os.ReadFile("../../../config/samples/keyset-consumer/deployment.yaml")
		Expect(err).NotTo(HaveOccurred())
		account, deployment := &corev1.ServiceAccount{}, &appsv1.Deployment{}
		parts := strings.Split(string(text), "\n---\n")
		Expect(parts).To(HaveLen(2))
		Expect(yaml.UnmarshalStrict([]byte(parts[0]), account)).To(Succeed())
		Expect(yaml.UnmarshalStrict([]byte(parts[1]), deployment)).To(Succeed())
		account.Namespace, deployment.Namespace = "alpha", "alpha"
		Expect(admin.Create(ctx, account)).To(Succeed())
		Expect(admin.Create(ctx, deployment)).To(Succeed())
		Eventually(func(g Gomega) {
			g.Expect(admin.Get(ctx, client.ObjectKeyFromObject(deployment), deployment)).To(Succeed())
			g.Expect(deployment.Status.Replicas).To(BeEquivalentTo(1), "%+v", deployment.Status.Conditions)
		}).Should(Succeed())
		var pods corev1.PodList
		Expect(admin.List(ctx, &pods, client.InNamespace("alpha"), client.MatchingLabels{"app": "keyset-consumer"})).To(Succeed())
		Expect(pods.Items).To(HaveLen(1))
		Expect(pods.Items[0].Spec.Containers[0].EnvFrom).NotTo(BeEmpty()) // HIPAA_TENANT comes from there
	})

	It("are nowhere they do not belong", func(ctx SpecContext) {
		s := look(ctx)
		report.Line("keys: leak places=%d keys=%d found=%d", s.total(), len(s.secrets), len(s.found))
		GinkgoWriter.Println(s.places)
		Expect(s.found).To(BeEmpty())
		// 2 software keys, 7 data keys, a wrapping key for each of them in each namespace and for each way it was wrapped.
		Expect(len(s.secrets)).To(BeNumerically(">=", 35))
		for _, kind := range []string{"etcd file", "etcd value", "log", "audit log", "object", "secret value", "metrics", "process"} {
			Expect(s.places).To(HaveKey(kind))
		}
		// Software keys are found where they belong: the search sees what is there.
		for _, kind := range []string{"etcd file", "etcd value /registry/secrets/hipaa-system/hipaa-local-kek-soft", "object secrets hipaa-system/hipaa-local-kek-mover"} {
			Expect(s.homes).To(ContainElement(HavePrefix(kind)))
		}
	})

	It("would be found", func(ctx SpecContext) {
		var name string
		for n := range known.secrets {
			if strings.HasPrefix(n, "data key") {
				name = n
			}
		}
		key := known.secrets[name].bytes
		planted := &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, Name: "planted"},
			Data:       map[string]string{"hex": hex.EncodeToString(key)},
			BinaryData: map[string][]byte{"raw": append([]byte("x"), key...)},
		}
		Expect(admin.Create(ctx, planted)).To(Succeed())
		Eventually(func() []string { return look(ctx).found }).Should(ConsistOf(
			And(HavePrefix("etcd file"), HaveSuffix(name)), // the log of changes
			And(HavePrefix("etcd file"), HaveSuffix(name)), // the database
			"etcd value /registry/configmaps/default/planted: "+name,
			"object configmaps default/planted: "+name,
			"audit log audit.log: "+name,
		))
	})
})

// swap puts the keyset of another namespace in place of a namespace's own, as the operator's service account: policies
// keep others from it. The returned function puts the own one back.
func swap(ctx SpecContext, namespace, other string) (restore func()) {
	GinkgoHelper()
	config, err := world.Cluster.ServiceAccount(ctx, v1alpha1.OperatorNamespace, v1alpha1.OperatorName)
	Expect(err).NotTo(HaveOccurred())
	known.add("token of the operator's service account", []byte(config.BearerToken), "")
	thief, err := operator.NewClient(config)
	Expect(err).NotTo(HaveOccurred())
	read := func(namespace string) *corev1.Secret {
		s := &corev1.Secret{}
		Expect(admin.Get(ctx, client.ObjectKey{Namespace: namespace, Name: v1alpha1.SecretKeyset}, s)).To(Succeed())
		return s
	}
	put := func(data map[string][]byte) {
		s := read(namespace)
		s.Data = data
		Expect(thief.Update(ctx, s)).To(Succeed())
	}
	own := read(namespace).Data
	put(read(other).Data)
	return func() { put(own) }
}
