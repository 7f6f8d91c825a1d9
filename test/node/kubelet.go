package node

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"sigs.k8s.io/yaml"
)

func (n *Node) kubeletCommand() []string {
	return []string{
		filepath.Join(filepath.Dir(n.Cluster.Kubectl()), Kubelet),
		"--config=" + n.path("kubelet.yaml"),
		"--kubeconfig=" + n.path("kubelet.kubeconfig"),
		"--root-dir=" + n.path("kubelet"),
		"--hostname-override=" + n.Name,
		"--node-ip=" + n.Address(),
		"--node-labels=topology.kubernetes.io/region=" + n.Region + ",topology.kubernetes.io/zone=" + n.Region + "a",
	}
}

// writeKubelet gives the kubelet its identity and its settings.
func (n *Node) writeKubelet() error {
	user := n.Cluster.User("system:node:"+n.Name, "system:nodes")
	server, err := n.Cluster.Certificate("kubelet-"+n.Name, n.Address(), n.Name)
	if err != nil {
		return err
	}
	text, err := yaml.Marshal(n.kubeletSettings())
	if err != nil {
		return err
	}
	return errors.Join(
		n.write("kubelet.yaml", string(text)),
		n.write("ca.crt", string(user.CAData)),
		n.write("resolv.conf", ""),
		server.Write(n.path(), "kubelet"),
		n.Cluster.WriteKubeconfig(n.path("kubelet.kubeconfig"), user),
	)
}

// kubeletSettings are a KubeletConfiguration. Its cgroups lie below one of the node's name, and it evicts nobody for want of disk:
// the disk is the machine's.
func (n *Node) kubeletSettings() map[string]any {
	return map[string]any{
		"apiVersion": "kubelet.config.k8s.io/v1beta1",
		"kind":       "KubeletConfiguration",
		"address":    n.Address(),
		"authentication": map[string]any{
			"anonymous": map[string]any{"enabled": false},
			"webhook":   map[string]any{"enabled": true},
			"x509":      map[string]any{"clientCAFile": n.path("ca.crt")},
		},
		"authorization":               map[string]any{"mode": "Webhook"},
		"tlsCertFile":                 n.path("kubelet.crt"),
		"tlsPrivateKeyFile":           n.path("kubelet.key"),
		"containerRuntimeEndpoint":    "unix://" + n.socket(),
		"clusterDNS":                  []string{"10.96.0.10"}, // nobody answers there
		"cgroupDriver":                "cgroupfs",
		"cgroupRoot":                  "/" + n.cgroup(),
		"failCgroupV1":                false,
		"failSwapOn":                  false,
		"podLogsDir":                  n.path("pods"),
		"volumePluginDir":             n.path("volume-plugins"),
		"resolvConf":                  n.path("resolv.conf"),
		"providerID":                  fmt.Sprintf("aws:///%sa/i-%016d", n.Region, n.Number),
		"maxPods":                     200,
		"nodeStatusUpdateFrequency":   "2s",
		"nodeStatusReportFrequency":   "2s",
		"evictionHard":                map[string]any{"memory.available": "1Mi", "nodefs.available": "0%", "imagefs.available": "0%", "nodefs.inodesFree": "0%"},
		"imageGCHighThresholdPercent": 100,
		"imageGCLowThresholdPercent":  99,
	}
}

// cgroup that everything of the node's pods lies below.
func (n *Node) cgroup() string { return filepath.Base(n.Dir) + "-" + n.Name }

func (n *Node) kubeProxyCommand() []string {
	return []string{filepath.Join(n.Bin, KubeProxy), "--config=" + n.path("kube-proxy.yaml"), "--hostname-override=" + n.Name}
}

// writeKubeProxy has Services translated by iptables. The kernel's table of connections stays as it is: it is the machine's.
func (n *Node) writeKubeProxy() error {
	text, err := yaml.Marshal(map[string]any{
		"apiVersion":         "kubeproxy.config.k8s.io/v1alpha1",
		"kind":               "KubeProxyConfiguration",
		"mode":               "iptables",
		"clusterCIDR":        prefix + ".0.0/16",
		"clientConnection":   map[string]any{"kubeconfig": n.path("kube-proxy.kubeconfig")},
		"conntrack":          map[string]any{"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
		"healthzBindAddress": n.Address() + ":10256",
		"metricsBindAddress": "127.0.0.1:10249",
	})
	return errors.Join(err, n.write("kube-proxy.yaml", string(text)),
		n.Cluster.WriteKubeconfig(n.path("kube-proxy.kubeconfig"), n.Cluster.User("system:kube-proxy")))
}

// addCgroup makes the cgroup that the kubelet works below.
func (n *Node) addCgroup() error {
	var problems []error
	for _, hierarchy := range here.hierarchies() {
		problems = append(problems, os.MkdirAll(filepath.Join(hierarchy, n.cgroup()), 0o755))
	}
	return errors.Join(problems...)
}
