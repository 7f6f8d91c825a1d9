package node

import (
	"slices"
	"strings"
	"testing"
)

func TestNodesDoNotShareAddresses(t *testing.T) {
	a, b := &Node{Name: "a", Number: 1, Dir: "/x/" + dirPrefix + "1"}, &Node{Name: "b", Number: 2, Dir: "/x/" + dirPrefix + "1"}
	for what, get := range map[string]func(*Node) string{
		"address": (*Node).Address, "pods": (*Node).podNet, "socket": (*Node).socket, "cgroup": (*Node).cgroup,
		"files": func(n *Node) string { return n.path("containerd") },
	} {
		if get(a) == get(b) {
			t.Errorf("%s: both nodes have %s", what, get(a))
		}
	}
	if !strings.HasPrefix(a.cgroup(), dirPrefix+"1-") {
		t.Errorf("expected a cgroup that Trace finds, found %s", a.cgroup())
	}
	if !plugged(a.plug()) || !strings.HasPrefix(a.Namespace(), netns+"/") {
		t.Errorf("expected a device and a mount that Trace finds, found %s and %s", a.plug(), a.Namespace())
	}
}

// Everything a kubelet writes is in the node's directory, or in one that the sandbox hides.
func TestKubeletWritesInside(t *testing.T) {
	n := &Node{Name: "a", Number: 1, Dir: "/x/" + dirPrefix + "1"}
	settings := n.kubeletSettings()
	for _, name := range []string{"podLogsDir", "volumePluginDir", "resolvConf", "tlsCertFile", "tlsPrivateKeyFile"} {
		if dir, _ := settings[name].(string); !strings.HasPrefix(dir, n.path()+"/") {
			t.Errorf("%s: expected a path below %s, found %q", name, n.path(), dir)
		}
	}
	for what, dir := range map[string]string{"sockets of device plug-ins": "/var/lib/kubelet", "links to logs": "/var/log/containers"} {
		if !slices.Contains(hidden, dir) {
			t.Errorf("%s: expected the sandbox to hide %s, which a kubelet has as a constant; it hides %q", what, dir, hidden)
		}
	}
}

func TestFirstLine(t *testing.T) {
	if got := firstLine([]byte("\n refused \nand more")); got != "refused " {
		t.Errorf("found %q", got)
	}
}
