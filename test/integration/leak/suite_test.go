// Package leak looks for the bytes of every key the operator makes, everywhere a cluster keeps bytes: in the files of
// etcd, the logs, the audit log, all objects of all kinds, the metrics, and the arguments and environments of processes.
package leak

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/keyringtest"
	"github.com/hipaatenant/hipaa-tenant-operator/test/bed"
	"github.com/hipaatenant/hipaa-tenant-operator/test/cluster"
	"github.com/hipaatenant/hipaa-tenant-operator/test/failed"
	"github.com/hipaatenant/hipaa-tenant-operator/test/fixture"
	"github.com/hipaatenant/hipaa-tenant-operator/test/operator"
)

var (
	world    *bed.Bed
	admin    client.Client // of the world
	vault    *keyringtest.Vault
	manager  string
	auditLog string
	// operators that ran, the last one runs.
	operators []*operator.Operator
	known     *collector
)

func TestLeak(t *testing.T) {
	RegisterFailHandler(Fail)
	SetDefaultEventuallyTimeout(time.Minute)
	SetDefaultEventuallyPollingInterval(50 * time.Millisecond)
	RunSpecs(t, "leak")
}

var _ = ReportAfterSuite("failures", failed.Report)

var _ = BeforeSuite(func(ctx SpecContext) {
	manager = bed.Build(ctx)
	policy, err := filepath.Abs("audit-policy.yaml")
	Expect(err).NotTo(HaveOccurred())
	auditLog = filepath.Join(GinkgoT().TempDir(), "audit.log")
	world = bed.Start(ctx, cluster.Options{ControllerManager: true, APIServerArgs: []string{
		"--audit-policy-file=" + policy, "--audit-log-path=" + auditLog, "--v=5",
	}})
	admin = world.Admin
	Expect(admin.Create(ctx, fixture.Profile(v1alpha1.DefaultProfile))).To(Succeed())
	vault = keyringtest.StartVault(GinkgoTB())
	known = newCollector()
}, NodeTimeout(5*time.Minute))

var _ = AfterEach(func() { world.KeepOnFailure() })

// operate runs the operator, in place of the one that runs, and as talkative as it can be.
func operate(ctx context.Context, address string) {
	GinkgoHelper()
	if world.Running != nil {
		Expect(world.Running.Stop(10 * time.Second)).To(Succeed())
	}
	runDir, err := os.MkdirTemp(world.Dir, "operator-")
	Expect(err).NotTo(HaveOccurred())
	token := filepath.Join(world.Dir, "vault-token")
	Expect(os.WriteFile(token, []byte(vault.Root), 0o600)).To(Succeed())
	world.Operate(ctx, operator.Options{
		Binary: manager, Dir: runDir,
		Args: []string{"--zap-log-level=10", "--zap-devel", "--vault-address", address, "--vault-token-file", token},
	})
	operators = append(operators, world.Running)
	config, err := clientcmd.BuildConfigFromFlags("", filepath.Join(runDir, "operator.kubeconfig"))
	Expect(err).NotTo(HaveOccurred())
	Expect(config.BearerToken).NotTo(BeEmpty())
	known.add("token of the operator's service account", []byte(config.BearerToken), "")
}

func onVault(mount string) func(*v1alpha1.HIPAATenant) {
	return func(t *v1alpha1.HIPAATenant) {
		t.Spec.Encryption.KeyURI = "vault://" + mount + "/" + t.Name
		t.Spec.Encryption.DataKeys = []v1alpha1.DataKey{{Name: "default"}, {Name: "records"}}
		t.Spec.Namespaces = []v1alpha1.TenantNamespace{{Name: v1alpha1.Name(t.Name)}, {Name: v1alpha1.Name(t.Name + "-data")}}
	}
}

func awaitReady(ctx context.Context, names ...string) {
	GinkgoHelper()
	for _, name := range names {
		world.AwaitReady(ctx, name)
	}
}
