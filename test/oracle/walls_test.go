package oracle

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hipaatenant/hipaa-tenant-operator/test/walls"
)

// Rules of iptables that the tests on real nodes enforce policies with (package walls) do what the engine says of the policies.
func TestWallsDoWhatTheEngineSays(t *testing.T) {
	engine := newJudge()
	judged := map[bool]int{}
	for seed := range 150 {
		w := worlds().Example(seed)
		c, err := settle(w)
		if err != nil {
			t.Fatal(err)
		}
		if err := engine.enter(c); err != nil {
			t.Fatal(err)
		}
		rules := c.walls()
		chains := readChains(t, rules)
		for _, p := range packets(w, packetsPerWorld).Example(seed) {
			if !p.From.Is4() || !p.To.Is4() {
				continue // walls know IPv4 only
			}
			want, err := engine.allows(p)
			if err != nil {
				t.Fatal(err)
			}
			if got := chains.allow(p); got != want {
				t.Fatalf("%s\nthe engine says allowed: %t, the walls: %t\n%s\n%s", w.describe(p), want, got, c.policiesAt(p), rules)
			}
			judged[want]++
		}
	}
	if judged[true] < 500 || judged[false] < 500 {
		t.Errorf("%d packets were allowed and %d denied, too few to tell", judged[true], judged[false])
	}
}

// walls of a cluster.
func (c *cluster) walls() string {
	var policies []*networkingv1.NetworkPolicy
	for _, p := range c.policies {
		policies = append(policies, p)
	}
	var namespaces []*corev1.Namespace
	var pods []*corev1.Pod
	for _, p := range c.world.Pods {
		labels := map[string]string{corev1.LabelMetadataName: p.Namespace}
		maps.Copy(labels, c.namespaces[p.Namespace].Labels)
		namespaces = append(namespaces, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: p.Namespace, Labels: labels}})
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: p.Namespace, Name: p.Name, Labels: p.Labels}}
		for _, ip := range p.IPs {
			pod.Status.PodIPs = append(pod.Status.PodIPs, corev1.PodIP{IP: ip.String()})
		}
		pods = append(pods, pod)
	}
	return walls.Rules(policies, namespaces, pods)
}

// chains of iptables, as far as walls use them.
type chains map[string][]chainRule

// chainRule matches a packet by everything it names.
type chainRule struct {
	from, to, target string
	protocol         string
	first, last      int
}

// readChains fails on every word that it does not know.
func readChains(t *testing.T, text string) chains {
	t.Helper()
	all := chains{}
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if words[0] != "-A" || slices.Contains(words, "--ctstate") { // no packet here is of a connection that stands
			continue
		}
		r := chainRule{last: 65535}
		for i := 2; i < len(words); i += 2 {
			switch words[i] {
			case "-s":
				r.from = words[i+1]
			case "-d":
				r.to = words[i+1]
			case "-p":
				r.protocol = words[i+1]
			case "-m": // of the protocol
			case "--dport":
				first, last, _ := strings.Cut(words[i+1], ":")
				var err1, err2 error
				r.first, err1 = strconv.Atoi(first)
				r.last, err2 = strconv.Atoi(last)
				if err1 != nil || err2 != nil {
					t.Fatal(line)
				}
			case "-j":
				r.target = words[i+1]
			default:
				t.Fatalf("%s: %q is not known here", line, words[i])
			}
		}
		all[words[1]] = append(all[words[1]], r)
	}
	return all
}

func (r chainRule) matches(p Packet) bool {
	within := func(network string, a netip.Addr) bool {
		return network == "" || netip.MustParsePrefix(network).Contains(a)
	}
	return within(r.from, p.From) && within(r.to, p.To) && (r.protocol == "" || strings.EqualFold(r.protocol, fmt.Sprint(p.Protocol))) &&
		int(p.Port) >= r.first && int(p.Port) <= r.last
}

// allow follows a packet through the first chain, which every chain of a pod returns to unless it drops the packet.
func (c chains) allow(p Packet) bool {
	for _, way := range c["WALLS"] {
		if !way.matches(p) {
			continue
		}
		for _, r := range c[way.target] {
			if r.matches(p) {
				if r.target == "DROP" {
					return false
				}
				break
			}
		}
	}
	return true
}
