package walls

import (
	"fmt"
	"math/rand"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// home has the pods that policies are about: app with a named port, db, and one of another namespace.
func home() ([]*corev1.Namespace, []*corev1.Pod) {
	namespace := func(name string) *corev1.Namespace {
		return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"name": name}}}
	}
	pod := func(namespace, name, address string, change ...func(*corev1.Pod)) *corev1.Pod {
		p := &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{"app": name}},
			Spec:       corev1.PodSpec{Containers: []corev1.Container{{Ports: []corev1.ContainerPort{{Name: "web", ContainerPort: 8080}, {Name: "web", ContainerPort: 53, Protocol: corev1.ProtocolUDP}}}}},
			Status:     corev1.PodStatus{Phase: corev1.PodRunning, PodIPs: []corev1.PodIP{{IP: address}, {IP: "fd00::1"}}},
		}
		for _, c := range change {
			c(p)
		}
		return p
	}
	return []*corev1.Namespace{namespace("acme"), namespace("globex")}, []*corev1.Pod{
		pod("acme", "app", "10.1.0.2"),
		pod("acme", "db", "10.1.0.3", func(p *corev1.Pod) {
			p.Spec.Containers[0].Ports = []corev1.ContainerPort{{Name: "web", ContainerPort: 9090}}
		}),
		pod("globex", "app", "10.1.0.4"),
		pod("acme", "agent", "10.1.0.1", func(p *corev1.Pod) { p.Spec.HostNetwork = true }),
		pod("acme", "job", "10.1.0.9", func(p *corev1.Pod) { p.Status.Phase = corev1.PodSucceeded }),
		pod("acme", "new", "", func(p *corev1.Pod) { p.Status.PodIPs = nil }),
	}
}

func policy(t *testing.T, spec string) *networkingv1.NetworkPolicy {
	t.Helper()
	p := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "acme", Name: "p"}}
	if err := yaml.UnmarshalStrict([]byte(spec), &p.Spec); err != nil {
		t.Fatal(err)
	}
	return p
}

// What one policy of namespace acme opens, by the chain of a pod.
func TestRules(t *testing.T) {
	out, in := "WALLS-OUT-10.1.0.2", "WALLS-IN-10.1.0.2"
	for name, row := range map[string]struct {
		spec string
		want map[string]string
	}{
		"nothing at all": {"{podSelector: {matchLabels: {app: app}}, policyTypes: [Ingress, Egress]}", map[string]string{in: "", out: ""}},
		"a policy of no type is about what comes in": {"{podSelector: {matchLabels: {app: app}}}", map[string]string{in: ""}},
		"and about what goes out, if it says so":     {"{podSelector: {matchLabels: {app: app}}, egress: [{}]}", map[string]string{in: "", out: "-d 0.0.0.0/0"}},
		"everybody":                                  {"{podSelector: {matchLabels: {app: app}}, ingress: [{}]}", map[string]string{in: "-s 0.0.0.0/0"}},
		"all pods of the namespace": {"{podSelector: {}, ingress: [{from: [{podSelector: {}}]}]}", map[string]string{
			in: "-s 10.1.0.2/32, -s 10.1.0.3/32", "WALLS-IN-10.1.0.3": "-s 10.1.0.2/32, -s 10.1.0.3/32"}},
		"pods of another namespace": {"{podSelector: {matchLabels: {app: app}}, ingress: [{from: [{namespaceSelector: {matchLabels: {name: globex}}, podSelector: {matchLabels: {app: app}}}]}]}",
			map[string]string{in: "-s 10.1.0.4/32"}},
		"nobody of another namespace": {"{podSelector: {matchLabels: {app: app}}, ingress: [{from: [{namespaceSelector: {matchLabels: {name: globex}}, podSelector: {matchLabels: {app: db}}}]}]}",
			map[string]string{in: ""}},
		"a network without two": {"{podSelector: {matchLabels: {app: app}}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 192.0.2.0/24, except: [192.0.2.0/26, 192.0.2.192/27]}}]}]}",
			map[string]string{out: "-d 192.0.2.128/26, -d 192.0.2.224/27, -d 192.0.2.64/26"}},
		"IPv6 alone": {"{podSelector: {matchLabels: {app: app}}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 2001:db8::/32}}]}]}", map[string]string{out: ""}},
		"ports": {"{podSelector: {matchLabels: {app: app}}, policyTypes: [Egress], egress: [{ports: [{port: 443}, {port: 53, protocol: UDP}, {port: 8000, endPort: 8010}, {protocol: SCTP}]}]}",
			map[string]string{out: "-d 0.0.0.0/0 -p sctp -m sctp --dport 0:65535, -d 0.0.0.0/0 -p tcp -m tcp --dport 443:443, -d 0.0.0.0/0 -p tcp -m tcp --dport 8000:8010, -d 0.0.0.0/0 -p udp -m udp --dport 53:53"}},
		"a named port of the pod itself": {"{podSelector: {matchLabels: {app: app}}, ingress: [{from: [{ipBlock: {cidr: 192.0.2.0/24}}], ports: [{port: web}]}]}",
			map[string]string{in: "-s 192.0.2.0/24 -p tcp -m tcp --dport 8080:8080"}},
		"a named port of others": {"{podSelector: {matchLabels: {app: app}}, policyTypes: [Egress], egress: [{to: [{podSelector: {}}, {ipBlock: {cidr: 10.1.0.4/32}}], ports: [{port: web}]}]}",
			map[string]string{out: "-d 10.1.0.2/32 -p tcp -m tcp --dport 8080:8080, -d 10.1.0.3/32 -p tcp -m tcp --dport 9090:9090, -d 10.1.0.4/32 -p tcp -m tcp --dport 8080:8080"}},
		"a selector that selects no pod": {"{podSelector: {matchLabels: {app: none}}}", map[string]string{}},
		"pods without walls":             {"{podSelector: {matchExpressions: [{key: app, operator: In, values: [agent, job, new]}]}}", map[string]string{}},
	} {
		t.Run(name, func(t *testing.T) {
			namespaces, pods := home()
			text := Rules([]*networkingv1.NetworkPolicy{policy(t, row.spec)}, namespaces, pods)
			if diff := cmp.Diff(row.want, opened(t, text)); diff != "" {
				t.Errorf("(-want +got)\n%s\n%s", diff, text)
			}
		})
	}
}

// opened reads the chains of pods, and expects that each is led to and ends with a DROP.
func opened(t *testing.T, text string) map[string]string {
	t.Helper()
	got := map[string]string{}
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if name, is := strings.CutPrefix(words[0], ":"+chain+"-"); is {
			address, way := name[strings.LastIndex(name, "-")+1:], map[bool]string{true: "-s", false: "-d"}[strings.HasPrefix(name, "OUT")]
			name = chain + "-" + name
			if !strings.Contains(text, fmt.Sprintf("-A %s %s %s/32 -j %s\n", chain, way, address, name)) || !strings.Contains(text, "-A "+name+" -j DROP\n") {
				t.Errorf("nothing leads to %s, or it drops nothing:\n%s", name, text)
			}
			got[name] = ""
		}
		if _, is := got[words[len(words)-1]]; !is && len(words) > 3 && words[0] == "-A" && words[len(words)-1] == "RETURN" && words[1] != chain {
			got[words[1]] = strings.TrimPrefix(got[words[1]]+", "+strings.Join(words[2:len(words)-2], " "), ", ")
		}
	}
	return got
}

// Two policies open what either does, and the order in which objects come changes nothing.
func TestPoliciesAddUp(t *testing.T) {
	namespaces, pods := home()
	one := policy(t, "{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 192.0.2.0/24}}]}]}")
	two := policy(t, "{podSelector: {matchLabels: {app: app}}, ingress: [{from: [{ipBlock: {cidr: 198.51.100.0/24}}]}]}")
	two.Name = "q"
	text := Rules([]*networkingv1.NetworkPolicy{one, two}, namespaces, pods)
	want := map[string]string{"WALLS-IN-10.1.0.2": "-s 192.0.2.0/24, -s 198.51.100.0/24", "WALLS-IN-10.1.0.3": "-s 192.0.2.0/24"}
	if diff := cmp.Diff(want, opened(t, text)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	slices.Reverse(pods)
	if again := Rules([]*networkingv1.NetworkPolicy{two, one}, namespaces, pods); again != text {
		t.Errorf("in another order:\n%s\nexpected\n%s", again, text)
	}
}

// A network without holes has every address that is in it and in none of them, and no other.
func TestWithout(t *testing.T) {
	random := rand.New(rand.NewSource(1))
	address := func() netip.Addr { return netip.AddrFrom4([4]byte{10, 0, 0, byte(random.Intn(256))}) }
	network := func(bits int) netip.Prefix { return netip.PrefixFrom(address(), bits+random.Intn(33-bits)).Masked() }
	covers := func(all []netip.Prefix, a netip.Addr) bool {
		return slices.ContainsFunc(all, func(p netip.Prefix) bool { return p.Contains(a) })
	}
	within := 0
	for range 2000 {
		whole, holes := network(24), []netip.Prefix{network(25), network(26)}
		rest := without(whole, holes)
		a := address()
		want := whole.Contains(a) && !covers(holes, a)
		if got := covers(rest, a); got != want {
			t.Fatalf("%s in %s without %s: %t, expected %t; the rest is %s", a, whole, holes, got, want, rest)
		}
		if want {
			within++
		}
	}
	if within < 50 {
		t.Errorf("%d addresses were left in, too few to tell", within)
	}
}
