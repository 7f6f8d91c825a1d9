package walls

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/test/cluster"
	"github.com/hipaatenant/hipaa-tenant-operator/test/operator"
)

// kernelTest asks for the test that needs root. It sends a few dozen packets, none of which leaves the network namespaces that it
// makes.
const kernelTest = "WALLS_KERNEL"

// role of this very program when it runs in a network namespace of its own: the node, or one of its pods.
const role = "WALLS_ROLE"

func TestMain(m *testing.M) {
	if os.Getenv(role) == "pod" {
		bePod()
		return
	}
	os.Exit(m.Run())
}

// TestKernel has a kernel judge packets by the rules, between pods on a bridge, a routed network and the node itself.
func TestKernel(t *testing.T) {
	switch {
	case os.Getenv(role) == "node":
		n := newNode(t)
		n.story()
		n.follow()
	case os.Getenv(kernelTest) == "":
		t.Skip("needs root and a kernel that lets bridges ask iptables: set " + kernelTest + "=1") //nolint:forbidigo // make test needs no root
	default:
		cmd := exec.Command(os.Args[0], "-test.run=^TestKernel$", "-test.v", "-test.timeout=2m")
		cmd.Env = append(os.Environ(), role+"=node")
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
}

// node is a network namespace with a bridge, and pods in theirs.
type node struct {
	t    *testing.T
	pods map[string]*process
}

// process is in a network namespace of its own. It listens on some ports and connects when it is told to.
type process struct {
	t       *testing.T
	address string
	cmd     *exec.Cmd
	in      io.Writer
	out     *bufio.Reader
}

func newNode(t *testing.T) *node {
	n := &node{t: t, pods: map[string]*process{}}
	for _, line := range []string{
		"ip link set lo up", "ip link add cni0 type bridge", "ip addr add 10.1.0.1/24 dev cni0", "ip link set cni0 up",
		"sysctl -qw net.ipv4.ip_forward=1 net.bridge.bridge-nf-call-iptables=1",
		"iptables -t nat -A PREROUTING -d 10.96.0.1 -p tcp --dport 80 -j DNAT --to-destination 10.1.0.3:9090",
	} {
		n.sh(line)
	}
	for name, address := range map[string]string{"app": "10.1.0.2", "db": "10.1.0.3", "stranger": "10.1.0.4"} {
		n.start(name, address, "10.1.0.1")
		n.sh("ip link set " + name + " master cni0 up")
	}
	for name, network := range map[string]string{"vendor": "192.0.2.%d", "spammer": "198.51.100.%d"} {
		gateway := fmt.Sprintf(network, 1)
		n.start(name, fmt.Sprintf(network, 10), gateway)
		n.sh("ip addr add " + gateway + "/24 dev " + name + " && ip link set " + name + " up")
	}
	return n
}

func (n *node) sh(line string) {
	n.t.Helper()
	if out, err := exec.Command("sh", "-c", line).CombinedOutput(); err != nil {
		n.t.Fatalf("%s: %v: %s", line, err, out)
	}
}

// start has a process listen behind a pair of devices, of which the node's has its name.
func (n *node) start(name, address, gateway string) {
	n.t.Helper()
	p := &process{t: n.t, address: address, cmd: exec.Command(os.Args[0])}
	p.cmd.Env = append(os.Environ(), role+"=pod")
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	in, err := p.cmd.StdinPipe()
	if err != nil {
		n.t.Fatal(err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		n.t.Fatal(err)
	}
	p.in, p.out = in, bufio.NewReader(out)
	if err := p.cmd.Start(); err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() {
		_ = in.Close()
		_ = p.cmd.Wait()
	})
	n.sh(fmt.Sprintf("ip link add %s type veth peer name eth0 netns %d", name, p.cmd.Process.Pid))
	n.sh(fmt.Sprintf("nsenter -t %d -n sh -c 'ip link set lo up && ip addr add %s/24 dev eth0 && ip link set eth0 up && ip route add default via %s'", p.cmd.Process.Pid, address, gateway))
	n.pods[name] = p
}

// say tells a process something and returns its answer.
func (p *process) say(words string) string {
	p.t.Helper()
	if _, err := fmt.Fprintln(p.in, words); err != nil {
		p.t.Fatal(err)
	}
	line, err := p.out.ReadString('\n')
	if err != nil {
		p.t.Fatal(err)
	}
	return strings.TrimSpace(line)
}

// bePod serves ports in its namespace, and does what is asked on standard input: connect to an address, hold a connection to one,
// or use the one it holds.
func bePod() {
	for _, port := range []string{":8080", ":9090", ":9091"} {
		go listen(port)
	}
	var held net.Conn
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		verb, address, _ := strings.Cut(lines.Text(), " ")
		var err error
		switch verb {
		case "connect":
			err = connect(address)
		case "hold":
			held, err = net.DialTimeout("tcp", address, patienceOfPods)
		case "use":
			err = echo(held)
		}
		fmt.Println(err == nil)
	}
}

// patienceOfPods with an answer, which comes within a millisecond or not at all.
const patienceOfPods = 500 * time.Millisecond

func listen(address string) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		panic(err)
	}
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() { _, _ = io.Copy(c, c) }()
	}
}

func connect(address string) error {
	c, err := net.DialTimeout("tcp", address, patienceOfPods)
	if err != nil {
		return err
	}
	defer c.Close()
	return echo(c)
}

func echo(c net.Conn) error {
	if err := c.SetDeadline(time.Now().Add(patienceOfPods)); err != nil {
		return err
	}
	if _, err := c.Write([]byte("x")); err != nil {
		return err
	}
	_, err := io.ReadFull(c, make([]byte, 1))
	return err
}

// expect tries connections: a line each of who, to what, and whether it must succeed.
func (n *node) expect(when, attempts string) {
	n.t.Helper()
	for line := range strings.Lines(strings.TrimSpace(attempts)) {
		words := strings.Fields(line)
		host, port, _ := strings.Cut(words[1], ":")
		if p, is := n.pods[host]; is {
			host = p.address
		}
		var got string
		if words[0] == "node" {
			got = fmt.Sprint(connect(host+":"+port) == nil)
		} else {
			got = n.pods[words[0]].say("connect " + host + ":" + port)
		}
		if want := fmt.Sprint(words[2] == "yes"); got != want {
			n.t.Errorf("%s: %s: connected: %s", when, strings.TrimSpace(line), got)
		}
	}
}

func (n *node) apply(specs ...string) {
	n.t.Helper()
	namespaces, pods := home()
	for _, p := range pods[2:3] {
		p.Name, p.Labels = "stranger", map[string]string{"app": "stranger"}
	}
	var policies []*networkingv1.NetworkPolicy
	for i, spec := range specs {
		p := policy(n.t, spec)
		p.Name = fmt.Sprint(i)
		policies = append(policies, p)
	}
	if err := place("").write(n.t.Context(), Rules(policies, namespaces, pods)); err != nil {
		n.t.Fatal(err)
	}
	if err := place("").hang(n.t.Context()); err != nil {
		n.t.Fatal(err)
	}
}

const (
	denyAll = "{podSelector: {}, policyTypes: [Ingress, Egress]}"
	appToDB = "{podSelector: {matchLabels: {app: app}}, policyTypes: [Egress], egress: [{to: [{podSelector: {matchLabels: {app: db}}}], ports: [{port: web}]}]}"
	dbByApp = "{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{podSelector: {matchLabels: {app: app}}}], ports: [{port: 9000, endPort: 9090}]}]}"
	outside = "{podSelector: {matchLabels: {app: app}}, ingress: [{from: [{ipBlock: {cidr: 192.0.0.0/8, except: [192.0.2.128/25]}}]}], egress: [{to: [{ipBlock: {cidr: 192.0.2.10/32}}], ports: [{port: 8080}]}]}"
)

func (n *node) story() {
	go listen(":7000")
	n.expect("without walls", "app db:9090 yes\nstranger db:9090 yes\nvendor app:8080 yes\napp vendor:8080 yes\napp 10.96.0.1:80 yes\napp 10.1.0.1:7000 yes")
	if n.t.Failed() {
		return
	}
	if n.pods["stranger"].say("hold "+n.pods["db"].address+":9090") != "true" {
		n.t.Fatal("no connection to hold")
	}

	n.apply(denyAll)
	n.expect("closed", "app db:9090 no\nstranger db:9090 no\nvendor app:8080 no\napp vendor:8080 no\napp 10.96.0.1:80 no\napp 10.1.0.1:7000 no\n"+
		"node app:8080 yes\nnode db:9090 yes\nstranger vendor:8080 yes\nstranger 10.1.0.1:7000 yes\nvendor spammer:8080 yes")
	if n.pods["stranger"].say("use") != "true" {
		n.t.Error("a connection that stood was cut")
	}

	n.apply(denyAll, appToDB, dbByApp)
	n.expect("open within", "app db:9090 yes\napp 10.96.0.1:80 yes\napp db:9091 no\ndb app:8080 no\nstranger db:9090 no\nstranger 10.96.0.1:80 no\nvendor db:9090 no\nnode db:9091 yes")
	n.apply(denyAll, appToDB)
	n.expect("open on one side", "app db:9090 no\napp 10.96.0.1:80 no")
	n.apply(denyAll, outside)
	n.expect("open to a network", "vendor app:8080 yes\nspammer app:8080 no\napp vendor:8080 yes\napp vendor:9090 no\napp spammer:8080 no\nvendor db:9090 no")
	n.apply()
	n.expect("without policies", "app db:9091 yes\nspammer app:8080 yes")

	n.apply(denyAll)
	n.expect("closed again", "app db:9090 no")
	for range 2 {
		if err := place("").remove(n.t.Context()); err != nil {
			n.t.Fatal(err)
		}
	}
	n.expect("taken away", "app db:9090 yes\nspammer db:9091 yes")
	rest, err := exec.Command("iptables-save").CombinedOutput()
	if err != nil || strings.Contains(string(rest), chain) {
		n.t.Errorf("%v; something is left:\n%s", err, rest)
	}
}

// follow has the walls follow an API server that runs in the node's namespace.
func (n *node) follow() {
	c, err := cluster.Start(n.t.Context(), cluster.Options{})
	n.must(err)
	n.t.Cleanup(func() { n.must(c.Stop()) })
	admin, err := operator.NewClient(c.Config())
	n.must(err)
	namespaces, pods := home()
	for _, o := range namespaces {
		n.must(admin.Create(n.t.Context(), o))
	}
	for _, p := range pods[:2] {
		status := p.Status
		p.Spec = corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "example/app", Ports: p.Spec.Containers[0].Ports[:1]}}, AutomountServiceAccountToken: new(bool), ServiceAccountName: "default"}
		_, err := c.ServiceAccount(n.t.Context(), p.Namespace, "default")
		n.must(err)
		n.must(admin.Create(n.t.Context(), p))
		p.Status = corev1.PodStatus{Phase: status.Phase, PodIP: status.PodIPs[0].IP, PodIPs: status.PodIPs}
		n.must(admin.Status().Update(n.t.Context(), p))
	}
	deny := policy(n.t, denyAll)
	n.must(admin.Create(n.t.Context(), deny))
	w, err := Start(n.t.Context(), c.Config(), "/proc/self/ns/net")
	n.must(err)
	n.expect("from the start", "app db:9090 no\nnode db:9090 yes\nstranger vendor:8080 yes")
	n.must(admin.Create(n.t.Context(), &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "acme", Name: "egress"}, Spec: policy(n.t, appToDB).Spec}))
	n.must(admin.Create(n.t.Context(), &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "acme", Name: "ingress"}, Spec: policy(n.t, dbByApp).Spec}))
	n.await("a policy that opens", "app", "db:9090", "true")
	pods[0].Labels["app"] = "another"
	n.must(admin.Update(n.t.Context(), pods[0]))
	n.await("a label that was changed", "app", "db:9090", "false")
	n.must(admin.DeleteAllOf(n.t.Context(), deny, client.InNamespace("acme")))
	n.await("policies that are gone", "app", "db:9091", "true")
	n.must(errors.Join(w.Err(), w.Stop(), w.Stop()))
	rest, err := place("").chains(n.t.Context())
	n.must(err)
	if len(rest) > 0 {
		n.t.Errorf("%s are left", rest)
	}
}

// await tries a connection until it goes as it must.
func (n *node) await(after, from, to, want string) {
	n.t.Helper()
	host, port, _ := strings.Cut(to, ":")
	began := time.Now()
	for n.pods[from].say("connect "+n.pods[host].address+":"+port) != want {
		if time.Since(began) > 10*time.Second {
			n.t.Fatalf("after %s: %s to %s: connected is not %s within 10 s", after, from, to, want)
		}
	}
}

func (n *node) must(err error) {
	n.t.Helper()
	if err != nil {
		n.t.Fatal(err)
	}
}
