package node

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
)

// Enter runs this program once more, with these arguments, in network, mount and process namespaces of its own, and waits for the
// end of the last process there. Whatever it starts, mounts or plugs in is gone then, however it ends, this program's own end
// included. What namespaces do not hold, files, cgroups and a few settings of the kernel, is for Trace to remove.
func Enter(ctx context.Context, args ...string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	// tini takes notice of processes whose parents have ended, which is the duty of a namespace's first process.
	cmd := sandboxed(ctx, append([]string{"tini", "-g", "--", self}, args...)...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return run(cmd)
}

// sandboxed is a command that is the first process in namespaces of its own. The kernel ends all others there before it reports
// the end of the first.
func sandboxed(ctx context.Context, command ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:   syscall.CLONE_NEWNET | syscall.CLONE_NEWPID,
		Unshareflags: syscall.CLONE_NEWNS, // which makes the mounts private as well, as clone would not
		Setpgid:      true, Pdeathsig: syscall.SIGKILL,
	}
	return cmd
}

// run starts a command from a thread that lives as long as it, because the kernel takes the end of the thread for that of the
// parent, and waits for its end.
func run(cmd *exec.Cmd) error {
	ended := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		ended <- cmd.Run()
	}()
	return <-ended
}

// hidden are directories of the system that nodes write to, whatever they are told: a kubelet removes every socket of device
// plug-ins when it starts, also those of a kubelet that the machine itself may have. Inside, they are empty and lie in memory.
var hidden = []string{"/run", "/var/lib/cni", "/var/lib/kubelet", "/var/log/pods", "/var/log/containers"}

// Furnish makes the sandbox, from inside, a place that nodes can work in.
func Furnish(ctx context.Context) error {
	if err := syscall.Mount("proc", "/proc", "proc", syscall.MS_NOSUID|syscall.MS_NODEV|syscall.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mounting /proc: %w", err)
	}
	for _, dir := range hidden {
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
