package cluster

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// stopOrder is the order of stopping: clients before servers, so that no log fills with refused connections.
var stopOrder = []string{Kwok, Scheduler, ControllerManager, APIServer, Etcd}

// stopGrace is how long a component may take to stop by itself. Only etcd has something to bring to the
// disk; the others would wait for open watches, and lose nothing when they are killed.
func stopGrace(name string) time.Duration {
	if name == Etcd {
		return 10 * time.Second
	}
	return 0
}

// command returns a component's whole command line.
func (c *Cluster) command(name string) []string {
	var args []string
	switch name {
	case Etcd:
		args = c.etcdArgs()
	case APIServer:
		args = c.apiServerArgs()
	case ControllerManager:
		args = c.controllerManagerArgs()
	case Scheduler:
		args = c.schedulerArgs()
	case Kwok:
		args = c.kwokArgs()
	}
	return append([]string{c.bin[name]}, args...)
}

func (c *Cluster) etcdArgs() []string {
	peer := fmt.Sprintf("http://127.0.0.1:%d", c.ports.EtcdPeer)
	return []string{
		"--data-dir=" + c.path("etcd"),
		"--listen-client-urls=" + c.EtcdEndpoint(),
		"--advertise-client-urls=" + c.EtcdEndpoint(),
		"--listen-peer-urls=" + peer,
		"--initial-advertise-peer-urls=" + peer,
		"--initial-cluster=default=" + peer,
		"--quota-backend-bytes=8589934592",
		"--log-level=warn",
		"--unsafe-no-fsync=" + strconv.FormatBool(!c.opts.Fsync),
	}
}

func (c *Cluster) apiServerArgs() []string {
	tokenKey := c.path("pki", "service-account.key")
	args := []string{
		"--bind-address=" + c.address(),
		"--advertise-address=" + c.address(),
		"--secure-port=" + strconv.Itoa(c.ports.APIServer),
		"--etcd-servers=" + c.EtcdEndpoint(),
		"--client-ca-file=" + c.path("pki", "ca.crt"),
		"--tls-cert-file=" + c.path("pki", APIServer+".crt"),
		"--tls-private-key-file=" + c.path("pki", APIServer+".key"),
		"--anonymous-auth=false",
		"--authorization-mode=Node,RBAC",
		"--allow-privileged=true",
		"--service-cluster-ip-range=10.96.0.0/16",
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-key-file=" + tokenKey,
		"--service-account-signing-key-file=" + tokenKey,
	}
	args = append(args, c.nodeArgs()...)
	if c.opts.AuditLog {
		args = append(args, "--audit-policy-file="+c.path("audit-policy.yaml"), "--audit-log-path="+c.AuditLogPath())
	}
	if c.opts.EncryptionConfig != "" {
		args = append(args, "--encryption-provider-config="+c.path(encryptionFile))
	}
	return append(args, c.opts.APIServerArgs...)
}

// nodeArgs are what real nodes ask for: to be let into kubelets, whose certificates are of the cluster's authority, and an endpoint
// for the service "kubernetes". That cannot be a loopback address, so there is none without nodes.
func (c *Cluster) nodeArgs() []string {
	if c.opts.Address == "" {
		return []string{"--endpoint-reconciler-type=none"}
	}
	return []string{
		"--kubelet-client-certificate=" + c.path("pki", kubeletClient+".crt"),
		"--kubelet-client-key=" + c.path("pki", kubeletClient+".key"),
		"--kubelet-certificate-authority=" + c.path("pki", "ca.crt"),
		"--kubelet-preferred-address-types=InternalIP",
		"--enable-admission-plugins=NodeRestriction",
	}
}

// controllerManagerArgs keep it off the system's directories as well: it makes the one of its volume plug-ins.
func (c *Cluster) controllerManagerArgs() []string {
	return append(c.clientArgs(ControllerManager),
		"--use-service-account-credentials=true",
		"--service-account-private-key-file="+c.path("pki", "service-account.key"),
		"--root-ca-file="+c.path("pki", "ca.crt"),
		"--flex-volume-plugin-dir="+c.path("volume-plugins"),
	)
}

func (c *Cluster) schedulerArgs() []string { return c.clientArgs(Scheduler) }

// clientArgs are common to the controller manager and the scheduler. Neither serves a port: nothing reads it.
func (c *Cluster) clientArgs(name string) []string {
	return []string{
		"--kubeconfig=" + c.kubeconfig(name),
		"--leader-elect=false",
		"--secure-port=0",
		fmt.Sprintf("--kube-api-qps=%g", c.opts.KubeAPIQPS),
		fmt.Sprintf("--kube-api-burst=%d", int(2*c.opts.KubeAPIQPS)),
	}
}

func (c *Cluster) kwokArgs() []string {
	return []string{
		"--kubeconfig=" + c.kubeconfig(Kwok),
		"--config=" + c.path("kwok-stages.yaml"),
		"--manage-nodes-with-annotation-selector=" + nodeAnnotation + "=" + nodeAnnotationValue,
		"--node-lease-duration-seconds=40",
		// Room for eight million pods: the addresses are made up, and never routed.
		"--cidr=10.128.0.0/9",
	}
}

// environment is this program's own, but for what would let a user's own settings in.
func (c *Cluster) environment() []string {
	var env []string
	for _, kv := range os.Environ() {
		name, _, _ := strings.Cut(kv, "=")
		if name != "HOME" && name != "KUBECONFIG" {
			env = append(env, kv)
		}
	}
	return append(env, "HOME="+c.dir)
}

// kubeconfig returns the path of a component's kubeconfig.
func (c *Cluster) kubeconfig(name string) string { return filepath.Join(c.dir, name+".kubeconfig") }
