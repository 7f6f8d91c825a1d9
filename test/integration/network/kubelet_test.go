package network

import (
	"context"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/netprobe"
	"github.com/hipaatenant/hipaa-tenant-operator/test/loopback"
)

// Addresses: where the target's process listens, and where the network shows it to others.
var (
	listens = loopback.Address(1)
	shown   = loopback.Address(2)
)

// Nodes the pods run on.
const (
	targetNode = "node-b"
	clientNode = "node-a"
)

// noImage is what a registry says, at length.
var noImage = "no such image: " + strings.Repeat("ä", 600)

// kubelet schedules and runs the probe's pods: processes of the operator's own program.
type kubelet struct {
	api *kubernetes.Clientset
	dir string

	mu      sync.Mutex
	through []netprobe.Kind // what the network lets through
	pulls   bool            // the image is there
	freezes bool            // the client never ends
	known   map[string]*exec.Cmd
	started int
}

// startKubelet starts one, and the network, until the spec ends. It sees no other way to the target than through the network.
func startKubelet(config *rest.Config, dir string) *kubelet {
	GinkgoHelper()
	api, err := kubernetes.NewForConfig(config)
	Expect(err).NotTo(HaveOccurred())
	k := &kubelet{api: api, dir: dir, pulls: true, known: map[string]*exec.Cmd{}}
	ctx, stop := context.WithCancel(context.Background())
	for _, name := range []string{targetNode, clientNode} { // or their pods would be taken for orphans
		_, err := api.CoreV1().Nodes().Create(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
		Expect(err).NotTo(HaveOccurred())
	}
	var all sync.WaitGroup
	for _, kind := range netprobe.Kinds() {
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", at(shown, kind))
		Expect(err).NotTo(HaveOccurred())
		context.AfterFunc(ctx, func() { _ = l.Close() })
		all.Go(func() { k.route(l, kind) })
	}
	all.Go(func() { k.run(ctx) })
	DeferCleanup(func() {
		stop()
		all.Wait()
		for _, cmd := range k.known {
			kill(cmd)
		}
	})
	return k
}

func at(address string, kind netprobe.Kind) string {
	return net.JoinHostPort(address, strconv.Itoa(int(kind.Port())))
}

// set changes what the node and its network do.
func (k *kubelet) set(change func(*kubelet)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	change(k)
}

// lets the network let through connections of these kinds alone.
func (k *kubelet) lets(kinds ...netprobe.Kind) { k.set(func(k *kubelet) { k.through = kinds }) }

func (k *kubelet) passes(kind netprobe.Kind) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Contains(k.through, kind)
}

// route is the network for one kind of connection.
func (k *kubelet) route(l net.Listener, kind netprobe.Kind) {
	for {
		from, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer from.Close()
			if !k.passes(kind) {
				return
			}
			to, err := net.DialTimeout("tcp", at(listens, kind), time.Second)
			if err != nil {
				return
			}
			defer to.Close()
			_, _ = io.Copy(from, to) // the target says something and hangs up
		}()
	}
}

// run looks at the pods again and again, as they are now.
func (k *kubelet) run(ctx context.Context) {
	for ctx.Err() == nil {
		list, err := k.api.CoreV1().Pods(home).List(ctx, metav1.ListOptions{})
		if err == nil {
			for i := range list.Items {
				k.sync(ctx, &list.Items[i])
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (k *kubelet) sync(ctx context.Context, pod *corev1.Pod) {
	k.mu.Lock()
	defer k.mu.Unlock()
	target := pod.Labels[v1alpha1.LabelNetworkProbe] == "target"
	cmd, known := k.known[string(pod.UID)]
	switch {
	case !pod.DeletionTimestamp.IsZero():
		kill(cmd)
		delete(k.known, string(pod.UID))
		_ = k.api.CoreV1().Pods(home).Delete(ctx, pod.Name, metav1.DeleteOptions{GracePeriodSeconds: new(int64(0))})
	case pod.Spec.NodeName == "":
		node := map[bool]string{true: targetNode, false: clientNode}[target]
		_ = k.api.CoreV1().Pods(home).Bind(ctx, &corev1.Binding{
			ObjectMeta: metav1.ObjectMeta{Name: pod.Name}, Target: corev1.ObjectReference{Kind: "Node", Name: node},
		}, metav1.CreateOptions{})
	case !k.pulls:
		k.report(ctx, pod, corev1.PodPending, corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ErrImagePull", Message: noImage}})
	case !known:
		k.known[string(pod.UID)] = k.start(pod, target)
		k.started++
	case target:
		if conn, err := net.DialTimeout("tcp", at(listens, netprobe.Allowed), time.Second); err == nil {
			_ = conn.Close()
			pod.Status.PodIP, pod.Status.PodIPs = shown, []corev1.PodIP{{IP: shown}}
			pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
			k.report(ctx, pod, corev1.PodRunning, corev1.ContainerState{Running: &corev1.ContainerStateRunning{}})
		}
	case cmd != nil && cmd.ProcessState != nil:
		phase := map[bool]corev1.PodPhase{true: corev1.PodSucceeded, false: corev1.PodFailed}[cmd.ProcessState.Success()]
		said, _ := os.ReadFile(k.answer(pod)) // nothing, where it said nothing
		k.report(ctx, pod, phase, corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
			ExitCode: int32(cmd.ProcessState.ExitCode()), Reason: "Completed", Message: string(said),
		}})
	}
}

func (k *kubelet) answer(pod *corev1.Pod) string { return filepath.Join(k.dir, string(pod.UID)) }

// start runs a pod's container: its own arguments, and the addresses and files that a sandbox would give it.
func (k *kubelet) start(pod *corev1.Pod, target bool) *exec.Cmd {
	args := pod.Spec.Containers[0].Args
	more := []string{"--settle=1s", "--answer=" + k.answer(pod)}
	if target {
		more = []string{"--address=" + listens}
	}
	if !target && k.freezes {
		return nil
	}
	cmd := exec.Command(binary, slices.Concat(args[:2], more, args[2:])...) //nolint:noctx // ends with its pod
	if err := cmd.Start(); err != nil {
		return nil
	}
	go func() {
		state, _ := cmd.Process.Wait()
		k.set(func(*kubelet) { cmd.ProcessState = state })
	}()
	return cmd
}

func kill(cmd *exec.Cmd) {
	if cmd != nil {
		_ = cmd.Process.Kill()
	}
}

// report writes what a kubelet writes of a pod, once.
func (k *kubelet) report(ctx context.Context, pod *corev1.Pod, phase corev1.PodPhase, state corev1.ContainerState) {
	if pod.Status.Phase == phase && len(pod.Status.ContainerStatuses) > 0 {
		return
	}
	pod.Status.Phase = phase
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: pod.Spec.Containers[0].Name, State: state}}
	_, _ = k.api.CoreV1().Pods(home).UpdateStatus(ctx, pod, metav1.UpdateOptions{}) // again, where it did not work
}

// pods of the probe that are there.
func (k *kubelet) pods(ctx context.Context) func() []string {
	return func() []string {
		GinkgoHelper()
		list, err := k.api.CoreV1().Pods(home).List(ctx, metav1.ListOptions{})
		Expect(err).NotTo(HaveOccurred())
		var names []string
		for i := range list.Items {
			names = append(names, list.Items[i].Name)
		}
		return names
	}
}
