package atrest

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/client-go/rest"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/test/cluster"
	"github.com/hipaatenant/hipaa-tenant-operator/test/cluster/process"
	"github.com/hipaatenant/hipaa-tenant-operator/test/operator"
	"github.com/hipaatenant/hipaa-tenant-operator/test/report"
)

var _ = Describe("two API servers behind a load balancer", func() {
	It("are both looked at, or it is not known", func(ctx SpecContext) {
		ok := "miss"
		DeferCleanup(func() {
			report.Line("keys: at-rest variant=two-servers condition=False/NotEncryptedAtRest etcd=mixed %s", ok)
		})
		b := start(ctx, cluster.KMSFirst(socket))
		first := b.Cluster.Config().Host
		second := b.second(ctx, cluster.KMSFirst(socket))
		balancer := balance(first, second.address)
		b.Operate(ctx, operator.Options{
			Binary: binary,
			Proxy:  balancer.address, ProxyCA: b.Cluster.Config().CAData, Args: []string{"--encryption-probe-interval=1s"},
		})
		b.populate(ctx)
		said := b.condition(ctx, v1alpha1.ConditionEncryptionReady)
		Eventually(said).WithTimeout(wake).Should(And(HavePrefix("True/SoftwareKey: "), ContainSubstring("by 2 of 2 API servers used KMS v2 provider test; no plaintext")))

		By("hiding one of them")
		balancer.to(first)
		Eventually(said).WithTimeout(wake).Should(And(HavePrefix("Unknown/AtRestUnknown: "), ContainSubstring("not all of the API servers that hold a Lease kube-system/apiserver-* (2) could be reached")))
		Expect(b.condition(ctx, v1alpha1.ConditionReady)()).To(HavePrefix("True/Ready"))

		By("giving one of them a configuration that encrypts nothing")
		second.restart(ctx, cluster.IdentityFirst(socket))
		balancer.to(first, second.address)
		Eventually(said).WithTimeout(wake).Should(And(HavePrefix("False/NotEncryptedAtRest: "), ContainSubstring("1 of 2 API servers writes Secrets to etcd in plaintext (identity is the first provider)")))
		Expect(b.states(ctx)).To(ConsistOf("not_encrypted"))
		ok = "ok"
	})
})

// server is an API server beside the one of the cluster, on the same etcd.
type server struct {
	*world
	address string
	command []string
	running *process.Process
	config  string
}

// second starts another API server. API servers know each other apart by the names of their hosts, so it gets one of its own.
func (b *world) second(ctx context.Context, configuration string) *server {
	GinkgoHelper()
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // closed at once
	Expect(err).NotTo(HaveOccurred())
	port := listener.Addr().(*net.TCPAddr).Port
	Expect(listener.Close()).To(Succeed())
	s := &server{world: b, address: fmt.Sprintf("https://127.0.0.1:%d", port), config: filepath.Join(b.Dir, "second.yaml")}
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", b.Cluster.PIDs()[cluster.APIServer]))
	Expect(err).NotTo(HaveOccurred())
	s.command = []string{"unshare", "--uts"}
	if os.Geteuid() != 0 {
		s.command = append(s.command, "--user", "--map-root-user")
	}
	s.command = append(s.command, "sh", "-c", `hostname second && exec "$@"`, "sh")
	s.command = append(s.command, strings.Split(strings.TrimRight(string(line), "\x00"), "\x00")...)
	s.command = append(s.command, fmt.Sprintf("--secure-port=%d", port), "--encryption-provider-config="+s.config) // the last of two flags counts
	s.start(ctx, configuration)
	DeferCleanup(func() { Expect(s.running.Stop(0)).To(Succeed()) })
	return s
}

func (s *server) start(ctx context.Context, configuration string) {
	GinkgoHelper()
	Expect(os.WriteFile(s.config, []byte(configuration), 0o600)).To(Succeed())
	var err error
	s.running, err = process.Start(process.Spec{
		Name: "second API server", Command: s.command, Dir: s.Dir, Env: os.Environ(), Log: filepath.Join(s.Dir, "second.log"),
	})
	Expect(err).NotTo(HaveOccurred())
	client, err := rest.HTTPClientFor(s.Cluster.Config())
	Expect(err).NotTo(HaveOccurred())
	Eventually(func() int {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.address+"/readyz", http.NoBody)
		Expect(err).NotTo(HaveOccurred())
		response, err := client.Do(request)
		if err != nil {
			return 0
		}
		Expect(response.Body.Close()).To(Succeed())
		return response.StatusCode
	}).WithTimeout(wake).Should(Equal(http.StatusOK), func() string { return s.running.LogTail(4096) })
}

func (s *server) restart(ctx context.Context, configuration string) {
	GinkgoHelper()
	Expect(s.running.Stop(0)).To(Succeed())
	s.start(ctx, configuration)
}

// balancer forwards connections to its servers in turn, as a load balancer of a cloud does.
type balancer struct {
	address string
	next    atomic.Int64
	mu      sync.Mutex
	servers []string
}

func balance(servers ...string) *balancer {
	GinkgoHelper()
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // ends with the spec
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(listener.Close)
	b := &balancer{address: "https://" + listener.Addr().String(), servers: servers}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go b.forward(conn)
		}
	}()
	return b
}

// to sends new connections to these servers alone.
func (b *balancer) to(servers ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.servers = servers
}

func (b *balancer) forward(from net.Conn) {
	defer from.Close()
	b.mu.Lock()
	target := b.servers[int(b.next.Add(1))%len(b.servers)]
	b.mu.Unlock()
	parsed, err := url.Parse(target)
	if err != nil {
		return
	}
	to, err := net.DialTimeout("tcp", parsed.Host, time.Second)
	if err != nil {
		return
	}
	defer to.Close()
	done := make(chan struct{}, 2)
	for _, pair := range [][2]net.Conn{{from, to}, {to, from}} {
		go func() {
			_, _ = io.Copy(pair[0], pair[1]) // ends when either side does
			done <- struct{}{}
		}()
	}
	<-done
}
