package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/test/cluster"
	"github.com/hipaatenant/hipaa-tenant-operator/test/node"
	"github.com/hipaatenant/hipaa-tenant-operator/test/operator"
	"github.com/hipaatenant/hipaa-tenant-operator/test/transit"
)

// world is a cluster with two real nodes.
type world struct {
	options
	cluster *cluster.Cluster
	admin   client.Client
	api     *kubernetes.Clientset
	nodes   []*node.Node
	vault   *transit.Vault
	lines   []string
	// probing is when the nodes' kubelets probe containers as soon as they run.
	probing time.Time
}

// hesitation of a kubelet after its start: for as long as the period of a probe, which is 10 s in the operator's chart, it lets
// a random part of that period go by before it probes a new container for the first time.
const hesitation = 10 * time.Second

// home is the region of the nodes.
const home = "us-east-1"

// runInside is what happens in the sandbox.
func runInside(ctx context.Context, file string) (err error) {
	w := &world{}
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, &w.options); err != nil {
		return err
	}
	if err := node.Furnish(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.end()) }()
	if err := w.begin(ctx); err != nil {
		return err
	}
	return w.tell(ctx)
}

func (w *world) begin(ctx context.Context) (err error) {
	w.cluster, err = cluster.Start(ctx, cluster.Options{
		Dir: filepath.Join(w.Dir, "cluster"), ControllerManager: true, Scheduler: true, Address: node.Gateway, Log: os.Stdout,
	})
	if err != nil {
		return err
	}
	if w.admin, w.api, err = operator.NewAdmin(w.cluster); err != nil {
		return err
	}
	if err := w.startVault(ctx); err != nil {
		return err
	}
	for i, name := range []string{"node-a", "node-b"} {
		began := time.Now()
		n := &node.Node{Name: name, Number: i + 1, Region: home, Dir: w.Dir, Bin: filepath.Join(w.Root, "bin"), Cluster: w.cluster}
		w.nodes = append(w.nodes, n)
		if err := n.Start(ctx, w.Built.Tarballs...); err != nil {
			return err
		}
		fmt.Printf("node %s Ready after %s\n", name, short(time.Since(began)))
	}
	w.probing = time.Now().Add(hesitation)
	return nil
}

// end stops what was started. Pods and what else remains ends with the sandbox.
func (w *world) end() error {
	var problems []error
	for _, n := range w.nodes {
		problems = append(problems, n.Stop())
	}
	if w.vault != nil {
		w.vault.Stop()
	}
	if w.cluster != nil {
		problems = append(problems, w.cluster.Stop())
	}
	return errors.Join(problems...)
}

// explain shows what tells why a story does not hold.
func (w *world) explain(ctx context.Context, err error) {
	fmt.Printf("miss: %v\n", err)
	for _, line := range []string{
		"kubectl get pods -A -o wide", "kubectl get hipaatenants", "kubectl get events -A --field-selector type=Warning --sort-by=.lastTimestamp | tail -20",
		"kubectl -n hipaa-system logs -l app.kubernetes.io/name=hipaa-tenant-operator --tail=15",
	} {
		_, _ = w.shell(ctx, line) // as far as it can be told
	}
}

// shell shows a command line and what it answers. kubectl is the cluster's own, helm the one of the repository, and nothing of the
// user's own configuration reaches them.
func (w *world) shell(ctx context.Context, line string) (string, error) {
	fmt.Printf("$ %s\n", strings.NewReplacer(w.Dir+"/", "", w.Root+"/", "").Replace(line))
	text, err := w.ask(ctx, line)
	for row := range strings.Lines(text) {
		fmt.Println("  " + strings.TrimRight(row, "\n"))
	}
	return text, err
}

// ask runs a command line without showing it.
func (w *world) ask(ctx context.Context, line string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-o", "pipefail", "-c", line)
	cmd.Dir = w.Root
	cmd.Env = append(os.Environ(), "KUBECONFIG="+w.cluster.Kubeconfig(), "HOME="+w.Dir,
		"PATH="+filepath.Join(w.Root, "bin")+":"+filepath.Dir(w.cluster.Kubectl())+":"+os.Getenv("PATH"))
	text, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%s: %w: %s", line, err, strings.TrimSpace(string(text)))
	}
	return string(text), err
}

// await tries until there is no error, and fails with the last one.
func await(ctx context.Context, limit time.Duration, try func(context.Context) error) error {
	var last error
	err := wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, limit, true, func(ctx context.Context) (bool, error) {
		err := try(ctx)
		if err == nil || ctx.Err() == nil || last == nil { // a try that the time limit cuts short tells less than the one before
			last = err
		}
		return err == nil, nil
	})
	if err != nil {
		return fmt.Errorf("after %s: %w", limit, errors.Join(last, ctx.Err()))
	}
	return nil
}
