package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

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
	if len(here.hierarchies()) == 0 {
		return fmt.Errorf("%w: no cgroups are mounted below %s", ErrImpossible, cgroups)
	}
	if out, err := exec.CommandContext(ctx, "unshare", "--net", "--mount", "--pid", "--fork", "--mount-proc", "ip", "link", "add", "type", "bridge").CombinedOutput(); err != nil {
		return fmt.Errorf("%w: namespaces or bridges are refused: %w: %s", ErrImpossible, err, firstLine(out))
	}
	return nil
}

func firstLine(text []byte) string {
	line, _, _ := strings.Cut(strings.TrimSpace(string(text)), "\n")
	return line
}
