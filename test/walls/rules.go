package walls

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

const (
	// table whose rules come after kube-proxy has put a pod's address in place of a Service's, and before anybody accepts.
	table = "mangle"
	// chain that everything which is forwarded or meant for the node goes through. Those of pods begin with it.
	chain = "WALLS"
)

// Rules translates policies into the input of `iptables-restore --noflush`: chain WALLS and, for each pod address and direction
// that a policy selects, a chain that lets through what a policy allows and drops the rest. Pods without an address of their
// own, such as those in the node's network, have no walls. The same objects give the same text, whatever their order.
func Rules(policies []*networkingv1.NetworkPolicy, namespaces []*corev1.Namespace, pods []*corev1.Pod) string {
	w := newWorld(policies, namespaces, pods)
	var names, heads, bodies strings.Builder
	fmt.Fprintf(&names, ":%s - [0:0]\n", chain)
	for _, p := range w.pods {
		for _, d := range []direction{egress, ingress} {
			openings, isolated := w.openings(p, d)
			if !isolated {
				continue
			}
			name := chain + "-" + d.name + "-" + p.address.String()
			fmt.Fprintf(&names, ":%s - [0:0]\n", name)
			fmt.Fprintf(&heads, "-A %s %s %s/32 -j %s\n", chain, d.own, p.address, name)
			for _, o := range openings {
				fmt.Fprintf(&bodies, "-A %s %s -j RETURN\n", name, o)
			}
			fmt.Fprintf(&bodies, "-A %s -j DROP\n", name)
		}
	}
	return "*" + table + "\n" + names.String() + "-A " + chain + " -m conntrack --ctstate RELATED,ESTABLISHED -j RETURN\n" + heads.String() + bodies.String() + "COMMIT\n"
}

// direction of a connection, as seen from the pod that a policy selects.
type direction struct {
	name      string
	kind      networkingv1.PolicyType
	own, peer string // which address of a packet is the pod's, and which the peer's
}

var (
	egress  = direction{"OUT", networkingv1.PolicyTypeEgress, "-s", "-d"}
	ingress = direction{"IN", networkingv1.PolicyTypeIngress, "-d", "-s"}
)

// world is what policies are about.
type world struct {
	policies   []*networkingv1.NetworkPolicy
	namespaces map[string]labels.Set
	pods       []pod
}

type pod struct {
	namespace string
	labels    labels.Set
	address   netip.Addr
	ports     []corev1.ContainerPort
}

func newWorld(policies []*networkingv1.NetworkPolicy, namespaces []*corev1.Namespace, pods []*corev1.Pod) *world {
	w := &world{policies: slices.Clone(policies), namespaces: map[string]labels.Set{}}
	slices.SortFunc(w.policies, func(a, b *networkingv1.NetworkPolicy) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	for _, n := range namespaces {
		w.namespaces[n.Name] = n.Labels
	}
	for _, p := range pods {
		if p.Spec.HostNetwork || p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed {
			continue
		}
		var ports []corev1.ContainerPort
		for _, c := range slices.Concat(p.Spec.Containers, p.Spec.InitContainers) {
			ports = append(ports, c.Ports...)
		}
		for _, ip := range p.Status.PodIPs {
			if a, err := netip.ParseAddr(ip.IP); err == nil && a.Is4() {
				w.pods = append(w.pods, pod{p.Namespace, p.Labels, a, ports})
			}
		}
	}
	slices.SortFunc(w.pods, func(a, b pod) int { return a.address.Compare(b.address) })
	return w
}

// rule is one of a policy, of either direction.
type rule struct {
	peers []networkingv1.NetworkPolicyPeer
	ports []networkingv1.NetworkPolicyPort
}

// rulesOf a policy in a direction. It has none to say about a direction it is not about.
func rulesOf(p *networkingv1.NetworkPolicy, d direction) (rules []rule, about bool) {
	about = slices.Contains(p.Spec.PolicyTypes, d.kind)
	if len(p.Spec.PolicyTypes) == 0 {
		about = d == ingress || len(p.Spec.Egress) > 0
	}
	if d == egress {
		for _, r := range p.Spec.Egress {
			rules = append(rules, rule{r.To, r.Ports})
		}
		return rules, about
	}
	for _, r := range p.Spec.Ingress {
		rules = append(rules, rule{r.From, r.Ports})
	}
	return rules, about
}

// openings are the matches of packets that policies allow, and whether any policy is about the pod at all.
func (w *world) openings(p pod, d direction) (matches []string, isolated bool) {
	for _, policy := range w.policies {
		rules, about := rulesOf(policy, d)
		if !about || policy.Namespace != p.namespace || !selects(&policy.Spec.PodSelector, p.labels) {
			continue
		}
		isolated = true
		for _, r := range rules {
			for _, to := range w.peers(policy.Namespace, r.peers) {
				matches = append(matches, w.matches(p, d, to, r.ports)...)
			}
		}
	}
	slices.Sort(matches)
	return slices.Compact(matches), isolated
}

// peers are the addresses that a rule is about.
func (w *world) peers(home string, peers []networkingv1.NetworkPolicyPeer) []netip.Prefix {
	if len(peers) == 0 {
		return []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}
	}
	var out []netip.Prefix
	for _, peer := range peers {
		if peer.IPBlock != nil {
			out = append(out, block(peer.IPBlock)...)
			continue
		}
		for _, p := range w.pods {
			near := p.namespace == home
			if peer.NamespaceSelector != nil {
				near = selects(peer.NamespaceSelector, w.namespaces[p.namespace])
			}
			if near && (peer.PodSelector == nil || selects(peer.PodSelector, p.labels)) {
				out = append(out, netip.PrefixFrom(p.address, 32))
			}
		}
	}
	return out
}

// matches of packets between a pod and peers, one for each port.
func (w *world) matches(p pod, d direction, peer netip.Prefix, ports []networkingv1.NetworkPolicyPort) []string {
	if len(ports) == 0 {
		return []string{d.peer + " " + peer.String()}
	}
	var out []string
	for _, port := range ports {
		protocol := "tcp"
		if port.Protocol != nil {
			protocol = strings.ToLower(string(*port.Protocol))
		}
		if port.Port != nil && port.Port.Type == intstr.String {
			out = append(out, w.named(p, d, peer, protocol, port.Port.StrVal)...)
			continue
		}
		from, to := int32(0), int32(65535)
		if port.Port != nil {
			from, to = port.Port.IntVal, port.Port.IntVal
		}
		if port.EndPort != nil {
			to = *port.EndPort
		}
		out = append(out, match(d, peer, protocol, from, to))
	}
	return out
}

// named are the matches of a port that has a name. It is one of the pod's that is connected to.
func (w *world) named(p pod, d direction, peer netip.Prefix, protocol, name string) []string {
	var out []string
	if d == ingress {
		for _, number := range p.named(name, protocol) {
			out = append(out, match(d, peer, protocol, number, number))
		}
		return out
	}
	for _, to := range w.pods {
		for _, number := range to.named(name, protocol) {
			if peer.Contains(to.address) {
				out = append(out, match(d, netip.PrefixFrom(to.address, 32), protocol, number, number))
			}
		}
	}
	return out
}

func match(d direction, peer netip.Prefix, protocol string, from, to int32) string {
	return fmt.Sprintf("%s %s -p %s -m %s --dport %d:%d", d.peer, peer, protocol, protocol, from, to)
}

// named are the numbers of a pod's ports of a name.
func (p pod) named(name, protocol string) []int32 {
	var out []int32
	for _, port := range p.ports {
		if port.Name == name && strings.EqualFold(cmp.Or(string(port.Protocol), string(corev1.ProtocolTCP)), protocol) {
			out = append(out, port.ContainerPort)
		}
	}
	return out
}

// selects: a selector that cannot be read selects nothing. The API server takes none.
func selects(s *metav1.LabelSelector, set labels.Set) bool {
	selector, err := metav1.LabelSelectorAsSelector(s)
	return err == nil && selector.Matches(set)
}

// block is a network without what is excepted.
func block(b *networkingv1.IPBlock) []netip.Prefix {
	whole, err := netip.ParsePrefix(b.CIDR)
	if err != nil || !whole.Addr().Is4() {
		return nil
	}
	var holes []netip.Prefix
	for _, e := range b.Except {
		if hole, err := netip.ParsePrefix(e); err == nil {
			holes = append(holes, hole.Masked())
		}
	}
	return without(whole.Masked(), holes)
}

// without halves a network until each part is within a hole or apart from all.
func without(p netip.Prefix, holes []netip.Prefix) []netip.Prefix {
	holes = slices.DeleteFunc(slices.Clone(holes), func(h netip.Prefix) bool { return !h.Overlaps(p) })
	if len(holes) == 0 {
		return []netip.Prefix{p}
	}
	if slices.ContainsFunc(holes, func(h netip.Prefix) bool { return h.Bits() <= p.Bits() }) {
		return nil
	}
	low := netip.PrefixFrom(p.Addr(), p.Bits()+1)
	bytes := p.Addr().As4()
	bytes[p.Bits()/8] |= 0x80 >> (p.Bits() % 8)
	high := netip.PrefixFrom(netip.AddrFrom4(bytes), p.Bits()+1)
	return append(without(low, holes), without(high, holes)...)
}
