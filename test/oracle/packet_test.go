package oracle

import (
	"fmt"
	"net/netip"
	"slices"

	"pgregory.net/rapid"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
)

// share of a kind of packets: a kind that is always answered alike where it should not be proves nothing.
type share int

const (
	some share = iota // at least one packet
	none              // not a single one
	free              // as it comes
)

// kind is a way to aim a packet, and the shares of allowed and denied ones it must have. A world without such a target
// gives false.
type kind struct {
	name            string
	allowed, denied share
	aim             func(d dice, w *World) (Packet, bool)
}

var kinds = []kind{
	{"inside a tenant", some, some, func(d dice, w *World) (Packet, bool) {
		t := pick(d, w.Tenants...)
		return d.between(w.podsOf(t), w.podsOf(t))
	}},
	{"between tenants", none, some, func(d dice, w *World) (Packet, bool) {
		a, b := d.upTo(len(w.Tenants)-1), d.upTo(len(w.Tenants)-1)
		if a == b {
			return Packet{}, false
		}
		return d.between(w.podsOf(w.Tenants[a]), w.podsOf(w.Tenants[b]))
	}},
	{"tenant to resolver", some, some, func(d dice, w *World) (Packet, bool) {
		p, ok := d.between(w.podsOf(pick(d, w.Tenants...)), w.resolvers())
		return p.at(pick(d, resolverPorts...)), ok
	}},
	{"tenant to a foreign resolver", free, some, func(d dice, w *World) (Packet, bool) {
		to := pick(d, "8.8.8.8", "1.1.1.1", "2001:4860:4860::8888")
		p, ok := d.outwards(w.podsOf(pick(d, w.Tenants...)), netip.MustParseAddr(to))
		return p.at(pick(d, resolverPorts[:2]...)), ok
	}},
	{"tenant to other pods", free, some, func(d dice, w *World) (Packet, bool) {
		return d.between(w.podsOf(pick(d, w.Tenants...)), w.podsOf(nil))
	}},
	{"other pods to tenant", some, some, func(d dice, w *World) (Packet, bool) {
		return d.between(w.podsOf(nil), w.podsOf(pick(d, w.Tenants...)))
	}},
	{"allowlist to tenant", some, some, func(d dice, w *World) (Packet, bool) {
		t := pick(d, w.Tenants...)
		return d.inwards(d.address(t.inForce().IPAllowlist), w.podsOf(t))
	}},
	{"anywhere to tenant", some, some, func(d dice, w *World) (Packet, bool) {
		return d.inwards(d.address(networks), w.podsOf(pick(d, w.Tenants...)))
	}},
	{"tenant to anywhere", some, some, func(d dice, w *World) (Packet, bool) {
		return d.outwards(w.podsOf(pick(d, w.Tenants...)), d.address(networks))
	}},
	{"tenant to associate", some, some, func(d dice, w *World) (Packet, bool) {
		t := pick(d, w.Tenants...)
		e, ok := d.endpoint(w, t)
		if !ok {
			return Packet{}, false
		}
		p, ok := d.outwards(w.podsOf(t), d.address(e.CIDRs))
		return p.at(pick(d, e.Ports...)), ok
	}},
	{"tenant to associate, port beside", free, some, func(d dice, w *World) (Packet, bool) {
		t := pick(d, w.Tenants...)
		e, ok := d.endpoint(w, t)
		if !ok {
			return Packet{}, false
		}
		p, ok := d.outwards(w.podsOf(t), d.address(e.CIDRs))
		return p.at(d.near(pick(d, e.Ports...).Port)), ok
	}},
	{"disabled port of an associate", none, some, func(d dice, w *World) (Packet, bool) {
		t := pick(d, w.Tenants...)
		e, ok := d.endpoint(w, t)
		closed := disabledPorts(w, t)
		if !ok || len(closed) == 0 {
			return Packet{}, false
		}
		p, ok := d.outwards(w.podsOf(t), d.address(e.CIDRs))
		p = p.at(pick(d, closed...))
		m := t.inForce().Application
		return p, ok && (m == nil || m.Mailbox.Port != p.Port)
	}},
	{"tenant to a channel's network", some, some, func(d dice, w *World) (Packet, bool) {
		t := pick(d, w.Tenants...)
		c := pick(d, w.profileOf(t).Spec.Channels...)
		if len(c.CIDRs) == 0 {
			return Packet{}, false
		}
		p, ok := d.outwards(w.podsOf(t), d.address(c.CIDRs))
		if e, has := d.endpoint(w, t); has {
			p = p.at(pick(d, e.Ports...))
		}
		return p, ok
	}},
	{"tenant to mailbox", some, some, func(d dice, w *World) (Packet, bool) {
		t := pick(d, w.Tenants...)
		app := t.inForce().Application
		if app == nil {
			return Packet{}, false
		}
		p, ok := d.outwards(w.podsOf(t), d.address(app.Mailbox.CIDRs))
		return p.at(d.near(app.Mailbox.Port)), ok
	}},
	{"tenant to API server", some, some, func(d dice, w *World) (Packet, bool) {
		t := pick(d, w.Tenants...)
		api := w.profileOf(t).Spec.KubernetesAPI
		if api == nil {
			return Packet{}, false
		}
		p, ok := d.outwards(w.podsOf(t), d.address(api.CIDRs))
		return p.at(d.near(api.Port)), ok
	}},
	{"tenant to metadata", none, some, func(d dice, w *World) (Packet, bool) {
		return d.outwards(w.podsOf(pick(d, w.Tenants...)), netip.MustParseAddr(pick(d, metadata...)))
	}},
	{"metadata to tenant", none, some, func(d dice, w *World) (Packet, bool) {
		return d.inwards(netip.MustParseAddr(pick(d, metadata...)), w.podsOf(pick(d, w.Tenants...)))
	}},
	{"let go of", none, some, func(d dice, w *World) (Packet, bool) {
		t := pick(d, w.Tenants...)
		gone := slices.DeleteFunc(w.podsOf(t), func(p *Pod) bool { return t.holds(p.Namespace) })
		if d.oneIn(2) {
			return d.inwards(d.address(t.inForce().IPAllowlist), gone)
		}
		return d.between(gone, w.Pods)
	}},
	{"lapsed and isolated", some, some, func(d dice, w *World) (Packet, bool) {
		t := pick(d, w.Tenants...)
		if !w.isolated(t) {
			return Packet{}, false
		}
		if d.oneIn(2) {
			return d.inwards(d.address(t.inForce().IPAllowlist), w.podsOf(t))
		}
		p, ok := d.between(w.podsOf(t), append(w.resolvers(), w.podsOf(t)...))
		return p.at(pick(d, resolverPorts...)), ok
	}},
	{"without a tenant", some, none, func(d dice, w *World) (Packet, bool) {
		if d.oneIn(2) {
			return d.outwards(w.podsOf(nil), d.address(networks))
		}
		return d.between(w.podsOf(nil), w.podsOf(nil))
	}},
}

// resolverPorts are those of DNS, and those that are not.
var resolverPorts = []v1alpha1.Port{
	{Port: 53, Protocol: "UDP"}, {Port: 53, Protocol: "TCP"}, {Port: 53, Protocol: "SCTP"}, {Port: 54, Protocol: "UDP"}, {Port: 443, Protocol: "TCP"},
}

// metadata are addresses nobody may reach or be reached from.
var metadata = []string{
	"169.254.169.254", "fd00:ec2::254", "169.254.0.0", "169.254.255.255", "169.254.170.2", "fd00:ec2::",
	"fd00:ec2:ffff:ffff:ffff:ffff:ffff:ffff", "fe80::", "fe80::1", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "::ffff:169.254.169.254",
}

// packets aim at what the world holds.
func packets(w *World, n int) *rapid.Generator[Packets] {
	return rapid.Custom(func(t *rapid.T) Packets {
		d, out := dice{t}, Packets{}
		for range n {
			out = append(out, d.packet(w))
		}
		return out
	})
}

// Packets do not print themselves: the one that makes a difference is printed with both verdicts.
type Packets []Packet

// GoString counts them.
func (p Packets) GoString() string { return fmt.Sprintf("%d packets", len(p)) }

// packet is of a kind the world has a target for: the one drawn, or another.
func (d dice) packet(w *World) Packet {
	for at := d.upTo(len(kinds) - 1); ; at += 7 {
		k := kinds[at%len(kinds)]
		if p, ok := k.aim(d, w); ok {
			p.Kind = k.name
			return p
		}
	}
}

func (p Packet) at(port v1alpha1.Port) Packet {
	p.Port, p.Protocol = port.Port, port.Protocol
	return p
}

// near is a TCP port, mostly, or one that is easily taken for it.
func (d dice) near(port int32) v1alpha1.Port {
	return pick(d, v1alpha1.Port{Port: port, Protocol: "TCP"}, v1alpha1.Port{Port: port, Protocol: "TCP"}, v1alpha1.Port{Port: port, Protocol: "UDP"},
		v1alpha1.Port{Port: port, Protocol: "SCTP"}, v1alpha1.Port{Port: port - 1, Protocol: "TCP"}, v1alpha1.Port{Port: port + 1, Protocol: "TCP"})
}

func (d dice) between(from, to []*Pod) (Packet, bool) {
	if len(from) == 0 || len(to) == 0 {
		return Packet{}, false
	}
	family := d.upTo(1)
	return Packet{From: pick(d, from...).IPs[family], To: pick(d, to...).IPs[family]}.at(pick(d, ports...)), true
}

func (d dice) inwards(from netip.Addr, to []*Pod) (Packet, bool) {
	if len(to) == 0 {
		return Packet{}, false
	}
	return Packet{From: from, To: pick(d, to...).ip(from)}.at(pick(d, ports...)), true
}

func (d dice) outwards(from []*Pod, to netip.Addr) (Packet, bool) {
	if len(from) == 0 {
		return Packet{}, false
	}
	return Packet{From: pick(d, from...).ip(to), To: to}.at(pick(d, ports...)), true
}

// ip is the pod's address of the family of a peer.
func (p *Pod) ip(peer netip.Addr) netip.Addr {
	if peer.Unmap().Is4() {
		return p.IPs[0]
	}
	return p.IPs[1]
}

// address is in or beside one of some networks: mostly where the answer changes.
func (d dice) address(list []v1alpha1.CIDR) netip.Addr {
	p := netip.MustParsePrefix(string(pick(d, list...)))
	first, last := p.Addr(), lastOf(p)
	a := pick(d, first, last, first.Next(), first.Prev(), last.Next(), last.Prev())
	if !a.IsValid() {
		a = first
	}
	if a.Is4() && d.oneIn(8) {
		a = netip.AddrFrom16(a.As16())
	}
	return a
}

func lastOf(p netip.Prefix) netip.Addr {
	bytes := p.Addr().AsSlice()
	for bit := p.Bits(); bit < len(bytes)*8; bit++ {
		bytes[bit/8] |= 0x80 >> (bit % 8)
	}
	last, _ := netip.AddrFromSlice(bytes)
	return last
}

// endpoint of an associate the tenant names.
func (d dice) endpoint(w *World, t *Tenant) (v1alpha1.Endpoint, bool) {
	if len(t.inForce().BusinessAssociates) == 0 {
		return v1alpha1.Endpoint{}, false
	}
	e := pick(d, w.associate(pick(d, t.inForce().BusinessAssociates...)).Spec.Endpoints...)
	return e, len(e.CIDRs) > 0
}

func disabledPorts(w *World, t *Tenant) []v1alpha1.Port {
	var out []v1alpha1.Port
	for _, c := range disabledChannels(t.inForce(), w.profileOf(t)) {
		out = append(out, c.Ports...)
	}
	return out
}

// resolvers are pods that are one for some profile, or look like one.
func (w *World) resolvers() []*Pod {
	return slices.DeleteFunc(slices.Clone(w.Pods), func(p *Pod) bool { return p.Labels["k8s-app"] != "kube-dns" && p.Labels["app"] != "dns" })
}

// podsOf a tenant; those without one for nil.
func (w *World) podsOf(t *Tenant) []*Pod {
	return slices.DeleteFunc(slices.Clone(w.Pods), func(p *Pod) bool { return w.tenantOf(p) != t })
}
