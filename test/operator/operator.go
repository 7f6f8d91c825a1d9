// Package operator installs the operator on a test cluster as its manifests do, and runs it there as a process of its
// own under its own service account: what it may do is what the shipped ClusterRole allows, and it can be killed.
package operator

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/test/cluster"
	"github.com/hipaatenant/hipaa-tenant-operator/test/cluster/process"
)

// Name of the operator's process, in its record and in errors.
const Name = "operator"

// Options of one run of the operator.
type Options struct {
	// Binary to run, as Build returns it.
	Binary string
	// Dir for the kubeconfig and the log.
	Dir string
	// Proxy is the https address of a proxy to send all requests through, in place of the API server's.
	Proxy string
	// ProxyCA is the PEM certificate the proxy is checked against.
	ProxyCA []byte
	// Args are added to the command line. The addresses and the namespace are not theirs to set.
	Args []string
	// Namespace and ServiceAccount are whom the operator runs as. Default: those of config/rbac.
	Namespace, ServiceAccount string
	// Launch starts the process. By default it dies with the program that started it.
	Launch func(process.Spec) (*process.Process, error)
}

// Operator is a running operator.
type Operator struct {
	*process.Process
	// Metrics is the address of its metrics, Probes that of its health probes.
	Metrics, Probes string
	// Log is the file with its output.
	Log string
}

// Build compiles the operator into dir, static as it is shipped, and returns the path. Extra arguments go to go build,
// such as -race: then it is compiled like the tests, which need the same packages.
func Build(ctx context.Context, dir string, args ...string) (string, error) {
	root, err := cluster.RepositoryRoot()
	if err != nil {
		return "", err
	}
	out := filepath.Join(dir, "manager")
	line, env := append([]string{"build", "-o", out}, args...), os.Environ()
	if !slices.Contains(args, "-race") {
		line, env = append(line, "-trimpath", "-tags=grpcnotrace"), append(env, "CGO_ENABLED=0")
	}
	cmd := exec.CommandContext(ctx, "go", append(line, "./cmd/manager")...)
	cmd.Dir, cmd.Env = root, env
	if text, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the operator: %w\n%s", err, text)
	}
	return out, nil
}

// Start starts the operator under its service account and waits until it is ready. On failure no process is left.
func Start(ctx context.Context, c *cluster.Cluster, o Options) (*Operator, error) {
	namespace := cmp.Or(o.Namespace, v1alpha1.OperatorNamespace)
	config, err := c.ServiceAccount(ctx, namespace, cmp.Or(o.ServiceAccount, v1alpha1.OperatorName))
	if err != nil {
		return nil, err
	}
	kubeconfig := filepath.Join(o.Dir, "operator.kubeconfig")
	if err := c.WriteKubeconfig(kubeconfig, through(config, o)); err != nil {
		return nil, err
	}
	addresses, err := freeAddresses(2)
	if err != nil {
		return nil, err
	}
	op := &Operator{Metrics: addresses[0], Probes: addresses[1], Log: filepath.Join(o.Dir, "operator.log")}
	launch := o.Launch
	if launch == nil {
		launch = process.Start
	}
	op.Process, err = launch(process.Spec{
		Name: Name,
		Command: slices.Concat([]string{o.Binary}, o.Args, []string{ // the last of two equal flags counts
			"--namespace", namespace, "--metrics-bind-address", op.Metrics, "--health-probe-bind-address", op.Probes,
		}),
		Env: append(os.Environ(), "KUBECONFIG="+kubeconfig),
		Log: op.Log,
	})
	if err != nil {
		return nil, err
	}
	if err := op.awaitReady(ctx); err != nil {
		return nil, errors.Join(err, op.Kill())
	}
	return op, nil
}

// through sends requests to the proxy, when there is one.
func through(config *rest.Config, o Options) *rest.Config {
	if o.Proxy == "" {
		return config
	}
	config = rest.CopyConfig(config)
	config.Host = o.Proxy
	config.TLSClientConfig = rest.TLSClientConfig{CAData: o.ProxyCA}
	return config
}

func (o *Operator) awaitReady(ctx context.Context) error {
	client := http.Client{Timeout: time.Second}
	err := wait.PollUntilContextTimeout(ctx, 20*time.Millisecond, 30*time.Second, true, func(ctx context.Context) (bool, error) {
		if !o.Running() {
			return false, errors.New("it ended")
		}
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+o.Probes+"/readyz", nil)
		if err != nil {
			return false, err
		}
		response, err := client.Do(request)
		if err != nil {
			return false, nil //nolint:nilerr // not serving yet
		}
		return response.StatusCode == http.StatusOK, response.Body.Close()
	})
	if err != nil {
		return fmt.Errorf("the operator did not become ready: %w; the end of its log:\n%s", err, o.LogTail(4096))
	}
	return nil
}

// Kill ends the operator as a power cut would.
func (o *Operator) Kill() error { return o.Stop(0) }

// freeAddresses finds loopback addresses nobody listens on.
func freeAddresses(n int) ([]string, error) {
	var out []string
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // closed at once
		if err != nil {
			return nil, err
		}
		defer l.Close()
		out = append(out, l.Addr().String())
	}
	return out, nil
}
