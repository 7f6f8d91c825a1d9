// Package node runs real nodes for the end-to-end tests: a kubelet, containerd with runc, CNI's bridge and kube-proxy each, on the
// control plane of test/cluster. It needs root, and is used inside a sandbox (Enter), which takes all of it away in the end.
package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"

	"github.com/hipaatenant/hipaa-tenant-operator/test/cluster"
	"github.com/hipaatenant/hipaa-tenant-operator/test/cluster/process"
)

// Components of a node.
const (
	Containerd = "containerd"
	Kubelet    = "kubelet"
	KubeProxy  = "kube-proxy"
)

// Node is a machine, as far as Kubernetes can tell. Its exported fields are set before Start.
type Node struct {
	// Name of the node, and of its network namespace.
	Name string
	// Number tells its addresses: 1 to 63.
	Number int
	// Region is its label topology.kubernetes.io/region; its provider says the same.
	Region string
	// Dir is where it keeps everything, in a directory of its name.
	Dir string
	// Bin has kube-proxy; the kubelet is beside the programs of the control plane.
	Bin string
	// Cluster it joins.
	Cluster *cluster.Cluster

	mu        sync.Mutex
	processes map[string]*process.Process
}

// Start starts the node with the images in these tarballs, and waits until it is Ready.
func (n *Node) Start(ctx context.Context, images ...string) error {
	n.processes = map[string]*process.Process{}
	for _, step := range []func() error{
		func() error { return n.addNetwork(ctx) },
		n.addCgroup, n.writeNetworkPlugin, n.writeContainerd, n.writeKubelet, n.writeKubeProxy,
		func() error { return os.MkdirAll(n.path("logs"), 0o755) },
		func() error { return n.StartComponent(ctx, Containerd) },
		func() error { return n.Import(ctx, images...) },
		func() error { return n.StartComponent(ctx, Kubelet) },
		func() error { return n.StartComponent(ctx, KubeProxy) },
	} {
		if err := step(); err != nil {
			return fmt.Errorf("node %s: %w", n.Name, err)
		}
	}
	return n.AwaitReady(ctx, time.Time{})
}

// Stop kills what runs, as a power cut does. Pods go on until the sandbox ends.
func (n *Node) Stop() error {
	var problems []error
	for _, name := range []string{KubeProxy, Kubelet, Containerd} {
		problems = append(problems, n.StopComponent(name))
	}
	return errors.Join(problems...)
}

// StopComponent kills a component.
func (n *Node) StopComponent(name string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	p := n.processes[name]
	if p == nil {
		return nil
	}
	delete(n.processes, name)
	return p.Stop(0)
}

// StartComponent starts a component, for the first time or again.
func (n *Node) StartComponent(ctx context.Context, name string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	command := map[string][]string{Containerd: n.containerdCommand(), Kubelet: n.kubeletCommand(), KubeProxy: n.kubeProxyCommand()}[name]
	p, err := process.Start(process.Spec{
		Name: name, Command: n.inside(command...), Dir: n.path(), Log: n.LogPath(name),
		// Nothing of the user's own settings, and the programs of the system.
		Env: []string{"PATH=/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin", "HOME=" + n.path()},
	})
	if err != nil {
		return err
	}
	n.processes[name] = p
	if name != Containerd {
		return nil
	}
	return n.awaitContainerd(ctx, p)
}

// Signal sends a signal to a component.
func (n *Node) Signal(name string, signal syscall.Signal) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if p := n.processes[name]; p != nil {
		return p.Signal(signal)
	}
	return fmt.Errorf("%s of node %s does not run", name, n.Name)
}

// LogPath is the file with a component's output.
func (n *Node) LogPath(component string) string { return n.path("logs", component+".log") }

// AwaitReady waits until the kubelet says that the node is Ready, and has said so after a time.
func (n *Node) AwaitReady(ctx context.Context, after time.Time) error {
	api, err := kubernetes.NewForConfig(n.Cluster.Config())
	if err != nil {
		return err
	}
	last := errors.New("it was not asked yet")
	err = wait.PollUntilContextTimeout(ctx, 250*time.Millisecond, 2*time.Minute, true, func(ctx context.Context) (bool, error) {
		object, err := api.CoreV1().Nodes().Get(ctx, n.Name, metav1.GetOptions{})
		if err != nil {
			last = err
			return false, nil //nolint:nilerr // it has not registered yet, or the API server is away
		}
		for _, c := range object.Status.Conditions {
			if c.Type != corev1.NodeReady {
				continue
			}
			last = fmt.Errorf("%s: %s", c.Reason, c.Message)
			return c.Status == corev1.ConditionTrue && c.LastHeartbeatTime.After(after), nil
		}
		return false, nil
	})
	if err != nil {
		return fmt.Errorf("node %s is not Ready: %w; last seen: %w; the end of its kubelet's log:\n%s", n.Name, err, last, process.Tail(n.LogPath(Kubelet), 4000))
	}
	return nil
}

// Kill kills the processes of a pod's containers, as a crash or the kernel's want of memory does.
func (n *Node) Kill(pod *corev1.Pod) error {
	pids, err := n.pids(pod)
	if err != nil {
		return err
	}
	for _, pid := range pids {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("kill process %d of pod %s: %w", pid, pod.Name, err)
		}
	}
	return nil
}

// pids of a pod's containers, by the cgroups that carry their names; at least one.
func (n *Node) pids(pod *corev1.Pod) ([]int, error) {
	var pids []int
	for _, c := range pod.Status.ContainerStatuses {
		_, id, _ := strings.Cut(c.ContainerID, "://")
		for _, hierarchy := range here.hierarchies() {
			found, err := filepath.Glob(filepath.Join(hierarchy, n.cgroup(), "kubepods", "*", "*", id, "cgroup.procs"))
			if err != nil {
				return nil, err
			}
			if id == "" || len(found) == 0 {
				continue
			}
			text, err := os.ReadFile(found[0])
			if err != nil {
				return nil, err
			}
			for word := range strings.FieldsSeq(string(text)) {
				pid, err := strconv.Atoi(word)
				if err != nil {
					return nil, err
				}
				pids = append(pids, pid)
			}
			break
		}
	}
	if len(pids) == 0 {
		return nil, fmt.Errorf("no process of pod %s runs on node %s", pod.Name, n.Name)
	}
	return pids, nil
}
