package docs

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/test/cluster"
)

// world is the cluster a reader of the pages has, with nodes in three regions that run pods in name only, but for the
// operator's, and the programs the reader types.
type world struct {
	cluster *cluster.Cluster
	kubelet *kubelet
	stock   *stock
	dir     string
	env     []string
	// empty, installed and prepared are what the cluster holds in each state.
	empty, installed, prepared inventory
}

func newWorld(ctx context.Context) *world {
	GinkgoHelper()
	w := &world{dir: GinkgoT().TempDir()}
	var err error
	w.cluster, err = cluster.Start(ctx, cluster.Options{ControllerManager: true, Scheduler: true, Kwok: true})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() { Expect(w.cluster.Stop()).To(Succeed()) })
	for _, n := range cluster.RegionNodes() {
		Expect(w.cluster.AddNode(ctx, n)).To(Succeed())
	}
	programs := filepath.Join(w.dir, "bin")
	Expect(os.Mkdir(programs, 0o700)).To(Succeed())
	compile(ctx, "make", "bin/helm") // the version that is pinned
	compile(ctx, "go", "build", "-race", "-o", filepath.Join(w.dir, "manager"), "./cmd/manager")
	compile(ctx, "go", "build", "-race", "-o", filepath.Join(programs, "kubectl-hipaa"), "./cmd/kubectl-hipaa")
	Expect(os.Symlink(w.cluster.Kubectl(), filepath.Join(programs, "kubectl"))).To(Succeed())
	Expect(os.Symlink(filepath.Join(root(), "bin/helm"), filepath.Join(programs, "helm"))).To(Succeed())
	w.env = append(os.Environ(), "PATH="+programs+":/usr/local/bin:/usr/bin:/bin", "KUBECONFIG="+w.cluster.Kubeconfig(),
		"HOME="+w.dir, "HELM_CACHE_HOME="+w.dir, "HELM_CONFIG_HOME="+w.dir, "HELM_DATA_HOME="+w.dir)
	w.kubelet = startKubelet(w.cluster, w.dir)
	DeferCleanup(w.kubelet.stop)
	w.stock, err = newStock(w.cluster)
	Expect(err).NotTo(HaveOccurred())
	w.empty = w.stock.take(ctx)
	return w
}

// begin brings the cluster into the state the page's commands find, and makes a directory to run them in.
func (w *world) begin(ctx context.Context, p *page) *shell {
	GinkgoHelper()
	dir := filepath.Join(w.dir, strings.ReplaceAll(p.path, "/", "-"))
	Expect(os.Mkdir(dir, 0o700)).To(Succeed())
	s, err := newShell(dir, w.env)
	Expect(err).NotTo(HaveOccurred())
	switch now := w.stock.take(ctx); {
	case p.begins == emptyCluster:
		w.clear(ctx, now)
	case w.prepared == nil || !now.keeps(w.installed) || now.beyond(w.installed).release():
		w.clear(ctx, now)
		w.install(ctx, s)
		w.samples(ctx, s)
	case now.keeps(w.prepared):
		w.sweep(ctx, now, w.prepared)
	default:
		w.sweep(ctx, now, w.installed)
		w.samples(ctx, s)
	}
	return s
}

// clear empties the cluster, and the operator ends first: nobody puts anything back.
func (w *world) clear(ctx context.Context, now inventory) {
	GinkgoHelper()
	w.kubelet.pause()
	w.sweep(ctx, now, w.empty)
	w.kubelet.resume()
}

// sweep removes what was not there before.
func (w *world) sweep(ctx context.Context, now, before inventory) {
	GinkgoHelper()
	Eventually(func() []string {
		w.stock.remove(ctx, now.beyond(before))
		now = w.stock.take(ctx)
		return now.beyond(before).names()
	}).WithTimeout(time.Minute).Should(BeEmpty())
}

// install installs the operator as getting-started.md does.
func (w *world) install(ctx context.Context, s *shell) {
	GinkgoHelper()
	_, err := s.run(ctx, "helm install hipaa-tenant-operator charts/hipaa-tenant-operator -n hipaa-system --create-namespace --wait --timeout 60s")
	Expect(err).NotTo(HaveOccurred())
	Eventually(w.kubelet.running).Should(BeTrue())
	Eventually(func() error {
		_, err := s.run(ctx, "kubectl wait --for=create --timeout=20s validatingadmissionpolicybinding/hipaatenant-tenancy secret/hipaa-encryption-canary -n "+v1alpha1.OperatorNamespace)
		return err
	}).Should(Succeed())
	w.installed = w.stock.take(ctx)
}

// samples applies config/samples, but for the request for emergency access.
func (w *world) samples(ctx context.Context, s *shell) {
	GinkgoHelper()
	_, err := s.run(ctx, `kubectl apply $(ls config/samples/[012]*.yaml | sed 's/^/-f /') && kubectl wait --for=condition=Ready hipaatenants --all --timeout=60s`)
	Expect(err).NotTo(HaveOccurred())
	w.prepared = w.stock.take(ctx)
}

// identity is the environment of who runs a block.
func (w *world) identity(b *block) []string {
	GinkgoHelper()
	who := strings.Fields(b.directives[as])
	if len(who) == 0 {
		return nil
	}
	path := filepath.Join(w.dir, "kubeconfig-"+strings.Join(who, "-"))
	if _, err := os.Stat(path); err != nil {
		Expect(w.cluster.WriteKubeconfig(path, w.cluster.User(who[0], who[1:]...))).To(Succeed())
	}
	return []string{"KUBECONFIG=" + path}
}

func (w *world) keepOnFailure() {
	w.cluster.KeepLogs()
	GinkgoWriter.Println(w.kubelet.logTail())
}
