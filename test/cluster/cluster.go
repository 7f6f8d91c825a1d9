// Package cluster starts a real Kubernetes control plane on loopback ports for tests, benchmarks and
// `make up`, and stops it without leaving a process behind.
//
//	c, err := cluster.Start(ctx, cluster.Options{ControllerManager: true, Scheduler: true, Kwok: true})
//	defer c.Stop()
//	client := kubernetes.NewForConfigOrDie(c.Config())
//
// Pods need all three options: the controller manager makes the service account a pod runs as, the
// scheduler binds the pod, and kwok plays the kubelet of nodes made by AddNode. Policies, types and
// permissions need none.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"k8s.io/client-go/rest"

	"github.com/hipaatenant/hipaa-tenant-operator/test/cluster/pki"
	"github.com/hipaatenant/hipaa-tenant-operator/test/cluster/process"
)

// Options says what to start, and how.
type Options struct {
	// Dir keeps certificates, data and logs. It must be empty or missing, and stays after Stop. When it
	// is not given, a temporary directory is used, which Stop removes unless something failed.
	Dir string `json:"dir"`
	// Fsync makes etcd write to the disk before it answers. Off, writes are faster and a power cut loses
	// them: quoted benchmarks turn it on, or say that it is off.
	Fsync bool `json:"fsync"`
	// ControllerManager runs the built-in controllers, each under its own service account.
	ControllerManager bool `json:"controllerManager"`
	// Scheduler binds pods to nodes.
	Scheduler bool `json:"scheduler"`
	// Kwok keeps nodes made by AddNode alive, and runs their pods in name only.
	Kwok bool `json:"kwok"`
	// AuditLog makes the API server record every request at level Metadata, without bodies.
	AuditLog bool `json:"auditLog"`
	// EncryptionConfig is the text of the EncryptionConfiguration that the API server writes to etcd by, such as
	// KMSFirst or IdentityFirst. Empty: no --encryption-provider-config at all, everything is written in clear text.
	// The plugin it names must run, and be ended after the cluster.
	EncryptionConfig string `json:"encryptionConfig,omitempty"`
	// Address the API server listens on and is reached at by real nodes and their pods, instead of loopback: one of this machine's.
	Address string `json:"address,omitempty"`
	// APIServerArgs are added last to the API server's command line.
	APIServerArgs []string `json:"apiServerArgs,omitempty"`
	// KubeAPIQPS is the request rate, in requests per second, allowed to each client of the controller
	// manager and the scheduler. Default 500: the usual 20 would make service accounts and root CAs the
	// bottleneck of every larger test.
	KubeAPIQPS float32 `json:"kubeAPIQPS"`
	// Detached processes outlive this program. Open finds such a cluster again by its Dir.
	Detached bool `json:"detached"`
	// Log is told about progress, one line per step. Default: nothing.
	Log io.Writer `json:"-"`
}

// Cluster is a running control plane. Its methods may be called from several goroutines.
type Cluster struct {
	opts      Options
	dir       string
	temporary bool
	bin       binaries
	ports     ports
	ca        *pki.CA
	admin     *rest.Config

	mu        sync.Mutex
	processes map[string]*process.Process
	keepLogs  bool
}

// startAttempts is how often Start tries again when another program took one of its ports.
const startAttempts = 3

// Start starts the cluster and waits until it serves requests. On failure everything is stopped, the logs
// stay, and the error names them.
func Start(ctx context.Context, opts Options) (*Cluster, error) {
	if opts.KubeAPIQPS == 0 {
		opts.KubeAPIQPS = 500
	}
	if opts.Log == nil {
		opts.Log = io.Discard
	}
	bin, err := findBinaries(opts)
	if err != nil {
		return nil, err
	}
	for attempt := 1; ; attempt++ {
		c, err := start(ctx, opts, bin)
		if err == nil {
			return c, nil
		}
		if !errors.Is(err, errPortTaken) || attempt == startAttempts {
			return nil, err
		}
		fmt.Fprintf(opts.Log, "%v; trying other ports\n", err)
	}
}

func start(ctx context.Context, opts Options, bin binaries) (*Cluster, error) {
	c := &Cluster{opts: opts, bin: bin, processes: map[string]*process.Process{}}
	if err := c.prepare(); err != nil {
		return nil, err
	}
	began := time.Now()
	err := c.startAll(ctx)
	if err == nil {
		fmt.Fprintf(opts.Log, "control plane ready after %s at %s\n", time.Since(began).Round(100*time.Millisecond), c.admin.Host)
		return c, nil
	}
	c.KeepLogs()
	if errors.Is(err, errPortTaken) {
		c.keepLogs = false // nothing to learn from them, and another attempt follows
	}
	return nil, errors.Join(err, c.Stop(), c.clearForRetry(err))
}

// prepare makes the directory, the ports and all files the components read.
func (c *Cluster) prepare() (err error) {
	if c.dir, c.temporary, err = makeDir(c.opts.Dir); err != nil {
		return err
	}
	if c.ports, err = freePorts(); err != nil {
		return err
	}
	if c.ca, err = pki.NewCA("hipaa-test-cluster"); err != nil {
		return err
	}
	c.admin = c.User("admin", "system:masters")
	if err := c.writeFiles(); err != nil {
		return fmt.Errorf("write the files of the cluster to %s: %w", c.dir, err)
	}
	return nil
}

// clearForRetry empties a given directory after a start that another one follows.
func (c *Cluster) clearForRetry(cause error) error {
	if c.temporary || !errors.Is(cause, errPortTaken) {
		return nil
	}
	return os.RemoveAll(c.dir)
}

// Stop ends all processes, newest first, and removes a temporary directory. Its error names components
// that had ended by themselves before, with their logs kept. It may be called more than once.
func (c *Cluster) Stop() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var problems []error
	for _, name := range stopOrder {
		p, ok := c.processes[name]
		if !ok {
			continue
		}
		if !p.Running() && !c.opts.Detached {
			problems = append(problems, fmt.Errorf("%s ended by itself: %w", name, c.exitError(name, p)))
		}
		if err := p.Stop(stopGrace(name)); err != nil {
			problems = append(problems, err)
			continue
		}
		delete(c.processes, name)
	}
	if len(problems) > 0 {
		c.keepLogs = true
	}
	return errors.Join(append(problems, c.removeFiles())...)
}

// removeFiles removes what a temporary cluster leaves, but for the logs when they are wanted.
func (c *Cluster) removeFiles() error {
	switch {
	case !c.temporary:
		return os.RemoveAll(filepath.Join(c.dir, stateFile))
	case c.keepLogs:
		return errors.Join(os.RemoveAll(c.path("etcd")), os.RemoveAll(c.path("pki")))
	default:
		return os.RemoveAll(c.dir)
	}
}

// KeepLogs makes Stop leave the logs of a temporary cluster. Tests call it when they have failed.
func (c *Cluster) KeepLogs() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.keepLogs = true
}

// Dir returns the directory with certificates, data and logs.
func (c *Cluster) Dir() string { return c.dir }

// LogPath returns the file with a component's output.
func (c *Cluster) LogPath(component string) string { return c.path("logs", component+".log") }

// AuditLogPath returns the API server's audit log, one JSON event per line. Nothing is there unless
// Options.AuditLog was set.
func (c *Cluster) AuditLogPath() string { return c.path("logs", "audit.log") }

// Kubectl returns the path of a kubectl of the cluster's version.
func (c *Cluster) Kubectl() string { return c.bin["kubectl"] }

// EtcdEndpoint returns etcd's client address. It speaks plain HTTP on loopback, without a client
// certificate: every user of this machine can read the test cluster's data.
func (c *Cluster) EtcdEndpoint() string {
	return fmt.Sprintf("http://127.0.0.1:%d", c.ports.EtcdClient)
}

// path returns a path in the cluster's directory.
func (c *Cluster) path(elem ...string) string {
	return filepath.Join(append([]string{c.dir}, elem...)...)
}
