package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// ErrImpossible says that the machine cannot run a node.
var ErrImpossible = errors.New("this machine cannot run a node")

// programs of the system that a node is made of, or made with.
var programs = []string{"nsenter", "ip", "sysctl", "tini", "containerd", "ctr", "runc", "iptables", "iptables-restore", "conntrack"}

// plugins are what the container runtime connects pods with.
var plugins = []string{pluginDir + "/bridge", pluginDir + "/host-local", pluginDir + "/loopback"}

// trials are lines of shell that have to succeed in namespaces like the sandbox's, and what it means where they do not.
var trials = []struct{ line, means string }{
	{"ip link add type bridge", "namespaces or bridges are refused"},
	{
		"ip link add type bridge && sysctl -q -w " + showBridged,
		"the kernel does not show iptables the packets that cross a bridge; run `modprobe br_netfilter` and try again",
	},
}

// Possible says why the machine cannot run a node, in one line; nil when it can.
func Possible(ctx context.Context) error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("%w: it takes root, to make namespaces, mounts and cgroups; this is user %d", ErrImpossible, os.Geteuid())
	}
	return here.possible(func(line string) ([]byte, error) {
		cmd := sandboxed(ctx, "sh", "-c", line)
		var said bytes.Buffer
		cmd.Stdout, cmd.Stderr = &said, &said
		err := run(cmd)
		return said.Bytes(), err
	})
}

// possible says what root misses on a machine that lines are tried on.
func (m machine) possible(try func(line string) ([]byte, error)) error {
	for _, name := range programs {
		if _, err := exec.LookPath(name); err != nil {
			return fmt.Errorf("%w: there is no program %s; `make e2e` installs it where apt-get is", ErrImpossible, name)
		}
	}
	for _, plugin := range plugins {
		if _, err := os.Stat(m.path(plugin)); err != nil {
			return fmt.Errorf("%w: there is no CNI plug-in %s; `make e2e` installs it where apt-get is", ErrImpossible, plugin)
		}
	}
	if len(m.hierarchies()) == 0 {
		return fmt.Errorf("%w: no cgroups are mounted below %s", ErrImpossible, cgroups)
	}
	if err := m.controllable(); err != nil {
		return fmt.Errorf("%w: %w", ErrImpossible, err)
	}
	for _, t := range trials {
		if out, err := try(t.line); err != nil {
			return fmt.Errorf("%w: %s: %w: %s", ErrImpossible, t.means, err, firstLine(out))
		}
	}
	return nil
}

// SystemPath is where programs are looked for: where the user does, and where the system's own are, which Debian leaves out of the
// path of everybody but root.
func SystemPath(path string) string {
	dirs := filepath.SplitList(path)
	for _, dir := range []string{"/usr/sbin", "/sbin"} {
		if !slices.Contains(dirs, dir) {
			dirs = append(dirs, dir)
		}
	}
	return strings.Join(dirs, string(filepath.ListSeparator))
}

func firstLine(text []byte) string {
	line, _, _ := strings.Cut(strings.TrimSpace(string(text)), "\n")
	return line
}
