// Package leak looks for the bytes of every key the operator makes, everywhere a cluster keeps bytes: in the files of
// etcd, the logs, the audit log, all objects of all kinds, the metrics, and the arguments and environments of processes.
package leak

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/keyringtest"
	"github.com/hipaatenant/hipaa-tenant-operator/test/cluster"
	"github.com/hipaatenant/hipaa-tenant-operator/test/fixture"
	"github.com/hipaatenant/hipaa-tenant-operator/test/operator"
)

var (
	testCluster  *cluster.Cluster
	admin        client.Client
	vault        *keyringtest.Vault
	manager, dir string
	auditLog     string
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

var _ = BeforeSuite(func(ctx SpecContext) {
	var err error
	dir, err = os.MkdirTemp("", "leak-suite-")
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(os.RemoveAll, dir)
	manager, err = operator.Build(ctx, dir, "-race")
	Expect(err).NotTo(HaveOccurred())
	policy, err := filepath.Abs("audit-policy.yaml")
	Expect(err).NotTo(HaveOccurred())
	auditLog = filepath.Join(dir, "audit.log")
	testCluster, err = cluster.Start(ctx, cluster.Options{ControllerManager: true, APIServerArgs: []string{
		"--audit-policy-file=" + policy, "--audit-log-path=" + auditLog, "--v=5",
	}})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() { Expect(testCluster.Stop()).To(Succeed()) })
	Expect(operator.Install(ctx, testCluster)).To(Succeed())
	admin, err = operator.NewClient(testCluster.Config())
	Expect(err).NotTo(HaveOccurred())
	Expect(admin.Create(ctx, fixture.Profile(v1alpha1.DefaultProfile))).To(Succeed())
	vault = keyringtest.StartVault(GinkgoTB())
	known = newCollector()
	DeferCleanup(func() {
		if n := len(operators); n > 0 {
			Expect(operators[n-1].Stop(10 * time.Second)).To(Succeed())
		}
	})
}, NodeTimeout(5*time.Minute))

var _ = AfterEach(func() {
	if n := len(operators); n > 0 && CurrentSpecReport().Failed() {
		testCluster.KeepLogs()
		GinkgoWriter.Println(operators[n-1].LogTail(8192))
	}
})

// operate runs the operator, in place of the one that runs, and as talkative as it can be.
func operate(ctx context.Context, address string) {
	GinkgoHelper()
	if n := len(operators); n > 0 {
		Expect(operators[n-1].Stop(10 * time.Second)).To(Succeed())
	}
	runDir, err := os.MkdirTemp(dir, "operator-")
	Expect(err).NotTo(HaveOccurred())
	token := filepath.Join(dir, "vault-token")
	Expect(os.WriteFile(token, []byte(vault.Root), 0o600)).To(Succeed())
	running, err := operator.Start(ctx, testCluster, operator.Options{
		Binary: manager, Dir: runDir,
		Args: []string{"--leader-elect=false", "--zap-log-level=10", "--zap-devel", "--vault-address", address, "--vault-token-file", token},
	})
	Expect(err).NotTo(HaveOccurred())
	operators = append(operators, running)
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

func change(ctx context.Context, name string, edit func(*v1alpha1.HIPAATenant)) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		t := &v1alpha1.HIPAATenant{}
		g.Expect(admin.Get(ctx, client.ObjectKey{Name: name}, t)).To(Succeed())
		edit(t)
		g.Expect(admin.Update(ctx, t)).To(Succeed())
	}).Should(Succeed())
}

// state is status and reason of a condition at the present generation, as in "True/Ready".
func state(ctx context.Context, name, kind string) func() string {
	return func() string {
		t := &v1alpha1.HIPAATenant{}
		if err := admin.Get(ctx, client.ObjectKey{Name: name}, t); err != nil {
			return err.Error()
		}
		c := meta.FindStatusCondition(t.Status.Conditions, kind)
		if c == nil || t.Status.ObservedGeneration != t.Generation {
			return "not yet"
		}
		return string(c.Status) + "/" + c.Reason
	}
}

func awaitReady(ctx context.Context, names ...string) {
	GinkgoHelper()
	for _, name := range names {
		Eventually(state(ctx, name, v1alpha1.ConditionReady)).Should(Equal("True/"+v1alpha1.ReasonReady), func() string {
			t := &v1alpha1.HIPAATenant{}
			return fmt.Sprintf("%s: %v %v", name, admin.Get(ctx, client.ObjectKey{Name: name}, t), t.Status.Conditions)
		})
	}
}
