// Package stories applies the samples of config/samples/vendors, each modelled on the HIPAA page of a vendor, to a real
// control plane with the operator at work, and asserts every row of every page by what the cluster then does.
package stories

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/keyringtest"
	"github.com/hipaatenant/hipaa-tenant-operator/test/bed"
	"github.com/hipaatenant/hipaa-tenant-operator/test/cluster"
	"github.com/hipaatenant/hipaa-tenant-operator/test/failed"
	"github.com/hipaatenant/hipaa-tenant-operator/test/operator"
)

var (
	suite *bed.Bed
	admin client.Client
	vault *keyringtest.Vault
	root  string
)

// tenants of the stories, by vendor.
var tenants = map[string][]string{
	"genesys-like":    {"genesys-like"},
	"salesmate-like":  {"salesmate-like-sso", "salesmate-like-password"},
	"liveperson-like": {"liveperson-like"},
	"aptible-like":    {"aptible-like"},
	"rezolve-like":    {"rezolve-like"},
}

func TestStories(t *testing.T) {
	RegisterFailHandler(Fail)
	SetDefaultEventuallyTimeout(30 * time.Second)
	SetDefaultEventuallyPollingInterval(20 * time.Millisecond)
	RunSpecs(t, "stories")
}

var _ = ReportAfterSuite("failures", failed.Report)

var _ = BeforeSuite(func(ctx SpecContext) {
	var err error
	root, err = cluster.RepositoryRoot()
	Expect(err).NotTo(HaveOccurred())
	binary := bed.Build(ctx)
	suite = bed.Start(ctx, cluster.Options{ControllerManager: true, Scheduler: true, Kwok: true})
	admin = suite.Admin
	for _, n := range cluster.RegionNodes() {
		Expect(suite.Cluster.AddNode(ctx, n)).To(Succeed())
	}
	makeStorageClasses(ctx)
	vault = keyringtest.StartVault(GinkgoTB())
	token := filepath.Join(suite.Dir, "vault-token")
	Expect(os.WriteFile(token, []byte(vault.Root), 0o600)).To(Succeed())
	suite.Operate(ctx, operator.Options{Binary: binary, Args: []string{"--vault-address", vault.Address, "--vault-token-file", token}})
	suite.AwaitTypeChecks(ctx)
	for _, names := range tenants {
		for _, name := range names {
			vault.CreateKey(GinkgoTB(), "transit", name)
		}
	}
	out := kubectl(ctx, "apply", "--server-side", "--recursive", "-f", filepath.Join(root, "config/samples/vendors"))
	Expect(out).To(ContainSubstring("hipaatenant.hipaatenant.dev/genesys-like serverside-applied"))
}, NodeTimeout(6*time.Minute))

var _ = AfterEach(func() { suite.KeepOnFailure() })

// makeStorageClasses makes the classes the stories name: with a key the customer controls, and one without any.
func makeStorageClasses(ctx context.Context) {
	GinkgoHelper()
	own := map[string]string{"encrypted": "true", "kmsKeyId": "arn:aws:kms:us-east-1:111122223333:key/0f1e2d3c"}
	for name, parameters := range map[string]map[string]string{
		"rezolve-like-encrypted": own, "liveperson-like-encrypted": own, "liveperson-like-plain": nil,
	} {
		Expect(admin.Create(ctx, &storagev1.StorageClass{
			ObjectMeta: metav1.ObjectMeta{Name: name}, Provisioner: "ebs.csi.aws.com", Parameters: parameters,
		})).To(Succeed())
	}
}

// kubectl runs a command as the cluster's administrator, and returns what it prints.
func kubectl(ctx context.Context, args ...string) string {
	GinkgoHelper()
	command := exec.CommandContext(ctx, suite.Cluster.Kubectl(), append([]string{"--kubeconfig", suite.Cluster.Kubeconfig()}, args...)...)
	out, err := command.CombinedOutput()
	Expect(err).NotTo(HaveOccurred(), "%s", out)
	return string(out)
}

var _ = Describe("the stories", func() {
	for vendor, names := range tenants {
		for _, name := range names {
			It("make "+name+" Ready", func(ctx SpecContext) {
				t := suite.AwaitReady(ctx, name)
				Expect(t.Spec.Encryption.KeyURI).To(HavePrefix("vault://transit/"+name), "a key of its own, in a KMS")
				Expect(string(t.Spec.Profile)).To(Equal(vendor))
				Expect(bed.Condition(t, v1alpha1.ConditionNetworkIsolated)).To(And(
					HaveField("Status", metav1.ConditionUnknown), HaveField("Reason", v1alpha1.ReasonPolicyWritten)),
					"no network plug-in runs here that could be probed")
				Eventually(suite.State(ctx, name, v1alpha1.ConditionEncryptionReady)).Should(Equal("False/"+v1alpha1.ReasonNotEncryptedAtRest),
					"the API server of the tests writes Secrets in clear text; the keys in them are wrapped all the same")
			})
		}
	}

	It("are taken a second time without a change", func(ctx SpecContext) {
		before := map[string]int64{}
		for _, names := range tenants {
			for _, name := range names {
				before[name] = suite.AwaitReady(ctx, name).Generation
			}
		}
		kubectl(ctx, "apply", "--server-side", "--recursive", "-f", filepath.Join(root, "config/samples/vendors"))
		for name, generation := range before {
			Expect(suite.Tenant(ctx, name).Generation).To(Equal(generation), name)
		}
	})
})
