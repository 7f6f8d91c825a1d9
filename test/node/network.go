package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Addresses of the sandbox's network. None of them leads out of it.
const (
	// Gateway is the sandbox's own address: the API server listens there, and whatever else nodes and pods shall reach.
	Gateway = "10.231.0.254"
	// Switch is the bridge that the nodes are plugged into.
	Switch = "nodes0"
	// prefix of nodes and pods: node 3 is 10.231.0.3, and its pods are 10.231.3.2 and up.
	prefix = "10.231"
)

// AddNetwork sets up what joins the nodes: a bridge with the sandbox's own address.
func AddNetwork(ctx context.Context) error {
	return commands(ctx, [][]string{
		{"ip", "link", "set", "lo", "up"},
		{"ip", "link", "add", Switch, "type", "bridge"},
		{"ip", "address", "add", Gateway + "/24", "dev", Switch},
		{"ip", "link", "set", Switch, "up"},
		{"sysctl", "-q", "-w", "net.ipv4.ip_forward=1"},
	})
}

// Address of the node.
func (n *Node) Address() string { return fmt.Sprintf("%s.0.%d", prefix, n.Number) }

// podNet are the addresses of its pods.
func (n *Node) podNet() string { return fmt.Sprintf("%s.%d.0/24", prefix, n.Number) }

// inside is the beginning of a command line that is run in the node's network.
func (n *Node) inside(args ...string) []string {
	return append([]string{"nsenter", "--net=" + n.Namespace()}, args...)
}

// netns is where the paths of network namespaces are.
const netns = "/run/netns"

// Namespace is the path of its network namespace.
func (n *Node) Namespace() string { return netns + "/" + n.Name }

// plug is the end of a node's cable that is in the Switch.
func (n *Node) plug() string { return plugPrefix + n.Name }

// Names of devices, besides the Switch.
const (
	plugPrefix = "to-"
	// podBridge is a node's bridge with its pods.
	podBridge = "pods0"
)

// plugged says that sandboxes have devices of this name.
func plugged(name string) bool {
	return name == Switch || name == podBridge || strings.HasPrefix(name, plugPrefix)
}

// showBridged has packets that cross a bridge shown to iptables. Each network namespace has its own, where the kernel has br_netfilter.
const showBridged = "net.bridge.bridge-nf-call-iptables=1"

// pluginDir is where Debian has CNI's plug-ins.
const pluginDir = "/usr/lib/cni"

// addNetwork plugs the node in, and routes its pods to it. Packets that cross the bridge of its pods are shown to iptables, as
// kube-proxy and everything that enforces policies want it.
func (n *Node) addNetwork(ctx context.Context) error {
	plug := n.plug()
	return commands(ctx, [][]string{
		{"ip", "netns", "add", n.Name},
		{"ip", "link", "add", plug, "type", "veth", "peer", "name", "eth0", "netns", n.Name},
		{"ip", "link", "set", plug, "master", Switch, "up"},
		n.inside("ip", "link", "set", "lo", "up"),
		n.inside("ip", "address", "add", n.Address()+"/24", "dev", "eth0"),
		n.inside("ip", "link", "set", "eth0", "up"),
		n.inside("ip", "route", "add", "default", "via", Gateway),
		n.inside("sysctl", "-q", "-w", "net.ipv4.ip_forward=1", showBridged),
		{"ip", "route", "add", n.podNet(), "via", n.Address()},
	})
}

// writeNetworkPlugin has the container runtime connect pods by CNI's plain bridge, which enforces no policy at all.
func (n *Node) writeNetworkPlugin() error {
	text := fmt.Sprintf(`{
  "cniVersion": "1.0.0",
  "name": "pods",
  "plugins": [{
    "type": "bridge",
    "bridge": %q,
    "isDefaultGateway": true,
    "hairpinMode": true,
    "ipam": {"type": "host-local", "dataDir": %q, "ranges": [[{"subnet": %q}]]}
  }]
}
`, podBridge, n.path("addresses"), n.podNet())
	return n.write("cni/10-pods.conflist", text)
}

// commands runs one after the other, and fails with the first.
func commands(ctx context.Context, all [][]string) error {
	for _, args := range all {
		out, err := exec.CommandContext(ctx, args[0], args[1:]...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
		}
	}
	return nil
}

// path of a file of the node.
func (n *Node) path(elem ...string) string {
	return filepath.Join(append([]string{n.Dir, n.Name}, elem...)...)
}

// write makes a file of the node, and the directories it lies in.
func (n *Node) write(name, text string) error {
	path := n.path(name)
	return errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o600))
}
