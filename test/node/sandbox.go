package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

// Enter runs this program once more, with these arguments, in network, mount and process namespaces of its own, and waits for its
// end. Whatever it starts, mounts or plugs in there is gone when it has ended, however it ends, this program's own end included.
// What namespaces do not hold, files, cgroups and a few settings of the kernel, is for Trace to remove.
func Enter(ctx context.Context, args ...string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	// tini takes notice of processes whose parents have ended, which is the duty of a namespace's first process.
	command := append([]string{
		"--net", "--mount", "--pid", "--fork", "--kill-child=SIGKILL", "--mount-proc", "--propagation=private",
		"--", "tini", "-g", "--", self,
	}, args...)
	cmd := exec.CommandContext(ctx, "unshare", command...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	return run(cmd)
}

// hidden are directories of the system that nodes write to. Inside, they are empty and lie in memory.
var hidden = []string{"/run", "/var/lib/cni", "/var/log/pods", "/var/log/containers"}

// Furnish makes the sandbox, from inside, a place that nodes can work in.
func Furnish(ctx context.Context) error {
	for _, dir := range hidden {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		if err := syscall.Mount("sandbox", dir, "tmpfs", 0, "mode=755"); err != nil {
			return fmt.Errorf("hiding %s: %w", dir, err)
		}
	}
	// Volumes that a pod mounts have to appear in the container runtime's view, and the other way round.
	if err := syscall.Mount("", "/", "", syscall.MS_SHARED|syscall.MS_REC, ""); err != nil {
		return fmt.Errorf("sharing mounts: %w", err)
	}
	return AddNetwork(ctx)
}

// ErrImpossible says that the machine cannot run a node.
var ErrImpossible = errors.New("this machine cannot run a node")

// Possible says why the machine cannot run a node, in one line; nil when it can.
func Possible(ctx context.Context) error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("%w: it takes root, to make namespaces, mounts and cgroups; this is user %d", ErrImpossible, os.Geteuid())
	}
	for _, name := range []string{"unshare", "nsenter", "ip", "sysctl", "tini", "containerd", "ctr", "runc", "iptables", "conntrack"} {
		if _, err := exec.LookPath(name); err != nil {
			return fmt.Errorf("%w: there is no program %s; `make e2e` installs it where apt-get is", ErrImpossible, name)
		}
	}
	if len(hierarchies()) == 0 {
		return fmt.Errorf("%w: no cgroups are mounted below %s", ErrImpossible, cgroups)
	}
	if out, err := exec.CommandContext(ctx, "unshare", "--net", "--mount", "--pid", "--fork", "--mount-proc", "ip", "link", "add", "type", "bridge").CombinedOutput(); err != nil {
		return fmt.Errorf("%w: namespaces or bridges are refused: %w: %s", ErrImpossible, err, firstLine(out))
	}
	return nil
}
