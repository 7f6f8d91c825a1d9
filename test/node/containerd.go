package node

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/emptypb"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/hipaatenant/hipaa-tenant-operator/test/cluster/process"
)

// PauseImage is what holds a pod's namespaces. It is imported like any other.
const PauseImage = "hipaa.test/pause:1"

// socket of the container runtime. It is short, as addresses of sockets have to be.
func (n *Node) socket() string { return "/run/" + n.Name + "-containerd.sock" }

func (n *Node) containerdCommand() []string {
	return []string{"containerd", "--config", n.path("containerd.toml")}
}

// writeContainerd keeps everything of the container runtime in the node's directory. A container may not be less likely to be
// killed for want of memory than this program is, which only who may lower that value could ask for.
func (n *Node) writeContainerd() error {
	return n.write("containerd.toml", fmt.Sprintf(`version = 2
root = %q
state = %q
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.tracing.processor.v1.otlp", "io.containerd.internal.v1.tracing"]
[grpc]
  address = %q
[plugins."io.containerd.internal.v1.opt"]
  path = %q
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = %q
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = %q
    conf_dir = %q
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = false
`, n.path("containerd"), n.path("containers"), n.socket(), n.path("opt"), PauseImage, pluginDir, n.path("cni")))
}

func (n *Node) ctr(ctx context.Context, args ...string) (string, error) {
	command := append([]string{"--address", n.socket(), "--namespace", "k8s.io"}, args...)
	out, err := exec.CommandContext(ctx, "ctr", command...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("ctr %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return string(out), nil
}

// Containers of the node, as its runtime knows them: a text with labels, which name pods and namespaces.
func (n *Node) Containers(ctx context.Context) (string, error) {
	names, err := n.ctr(ctx, "containers", "list", "--quiet")
	if err != nil {
		return "", err
	}
	var all strings.Builder
	for name := range strings.FieldsSeq(names) {
		info, err := n.ctr(ctx, "containers", "info", name)
		if err != nil {
			continue // it is gone already
		}
		all.WriteString(info)
	}
	return all.String(), nil
}

// asksRuntime asks for the runtime's version in the way of a kubelet. What a kubelet speaks to is a part of containerd that answers
// later than the rest, when it has found the containers there are, and a kubelet that comes before ends. The messages have
// fields, of which none is needed.
func (n *Node) asksRuntime(ctx context.Context) error {
	connection, err := grpc.NewClient("unix://"+n.socket(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer connection.Close()
	return connection.Invoke(ctx, "/runtime.v1.RuntimeService/Version", &emptypb.Empty{}, &emptypb.Empty{})
}

// awaitContainerd waits until the runtime answers.
func (n *Node) awaitContainerd(ctx context.Context, p *process.Process) error {
	err := wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
		if !p.Running() {
			return false, errors.New("it has ended")
		}
		return n.asksRuntime(ctx) == nil, nil
	})
	if err != nil {
		return fmt.Errorf("containerd does not answer: %w; the end of its log:\n%s", err, p.LogTail(4000))
	}
	return nil
}

// Import brings images from tarballs to the node: none is ever pulled.
func (n *Node) Import(ctx context.Context, tarballs ...string) error {
	for _, tarball := range tarballs {
		if _, err := n.ctr(ctx, "images", "import", tarball); err != nil {
			return err
		}
	}
	return nil
}
