package oracle

import (
	"fmt"
	"net/netip"

	"pgregory.net/rapid"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/test/fixture"
)

// What worlds are made of. Networks often lie in or next to each other, and some hold addresses nobody may reach. None
// holds addresses of pods: Kubernetes leaves open what a network means for them. Simple ones come first: differences
// shrink towards them.
var (
	networks = []v1alpha1.CIDR{
		"198.51.100.0/24", "198.51.100.0/25", "198.51.100.128/25", "198.51.100.64/26", "198.51.100.7/32", "203.0.113.0/24", "203.0.113.128/25",
		"192.0.2.0/24", "172.16.0.0/12", "2001:db8:12::/48", "2001:db8:12:8000::/49", "2001:db8:12::5/128", "2001:db8::/32", "198.48.0.0/13",
		"169.254.0.0/15", "169.254.169.254/32", "169.0.0.0/8", "fe80::/32", "fe00::/8", "fd00:ec2::/31", "fd00:ec2::254/128", "128.0.0.0/1", "2000::/3",
	}
	narrowNetworks = []v1alpha1.CIDR{
		"203.0.113.0/24", "203.0.113.128/25", "198.51.100.0/25", "198.51.100.7/32", "192.0.2.0/24", "172.16.0.0/12", "2001:db8:12::/48",
		"2001:db8:12::5/128", "2001:db8::/32", "169.254.0.0/16", "169.254.169.254/32", "169.0.0.0/8", "fe80::/32", "fd00:ec2::254/128",
	}
	ports = []v1alpha1.Port{
		{Port: 443, Protocol: "TCP"}, {Port: 8443, Protocol: "TCP"}, {Port: 587, Protocol: "TCP"}, {Port: 25, Protocol: "TCP"}, {Port: 2775, Protocol: "TCP"},
		{Port: 2775, Protocol: "UDP"}, {Port: 1720, Protocol: "TCP"}, {Port: 53, Protocol: "UDP"}, {Port: 53, Protocol: "TCP"}, {Port: 443, Protocol: "UDP"},
		{Port: 2905, Protocol: "SCTP"}, {Port: 6443, Protocol: "TCP"},
	}
	associates = []v1alpha1.Name{"aws", "clearing", "texter", "billing"}
	channels   = []v1alpha1.Name{"sms", "fax", "email"}
	// shared namespaces and their pods, with labels that mean something in one namespace and nothing in another.
	shared = map[string][]map[string]string{
		"kube-system": {{"k8s-app": "kube-dns"}, {"k8s-app": "other"}},
		"resolver":    {{"app": "dns"}, {"app": "dns", "zone": "a"}, {"k8s-app": "kube-dns"}},
		"edge":        {{"app": "gateway"}, {"app": "gateway", "zone": "a"}, {"app": "other"}},
		"stranger":    {{"app": "gateway", "zone": "a", "k8s-app": "kube-dns", "tier": "edge"}, {}},
	}
	sharedNames = []string{"kube-system", "resolver", "edge", "stranger"}
	tenantPods  = []map[string]string{{"tier": "edge"}, {"tier": "back"}, {"tier": "edge", "zone": "a", "app": "gateway", "k8s-app": "kube-dns"}}
)

// dice draw what differs from world to world. The first choice is always the plainest.
type dice struct{ *rapid.T }

func (d dice) upTo(n int) int      { return rapid.IntRange(0, n).Draw(d.T, "number") }
func (d dice) oneIn(n int) bool    { return d.upTo(n-1) == n-1 }
func pick[T any](d dice, l ...T) T { return rapid.SampledFrom(l).Draw(d.T, "choice") }

// from a list take least to most entries, each at most once, in its order.
func from[T any](d dice, least, most int, list []T) []T {
	var out []T
	for range least + d.upTo(most-least) {
		at := d.upTo(len(list) - 1)
		out, list = append(out, list[at]), list[at+1:]
		if len(list) == 0 {
			break
		}
	}
	return out
}

func worlds() *rapid.Generator[*World] {
	return rapid.Custom(func(t *rapid.T) *World {
		d, w := dice{t}, &World{}
		w.Profiles = append(w.Profiles, d.profile("default"), d.profile("strict"))
		for _, name := range associates {
			w.Associates = append(w.Associates, d.associate(name))
		}
		for i := range 1 + d.upTo(2) {
			w.Tenants = append(w.Tenants, d.tenant(w, i))
		}
		w.populate()
		return w
	})
}

func (d dice) profile(name string) *v1alpha1.HIPAAProfile {
	return fixture.Profile(name, func(p *v1alpha1.HIPAAProfile) {
		s := &p.Spec
		s.Channels = nil
		for i, c := range channels {
			s.Channels = append(s.Channels, v1alpha1.Channel{Name: c, CIDRs: from(d, 0, 2, networks), Ports: from(d, i%2, 2, ports)})
		}
		s.RequiredDisabledChannels = from(d, 0, 2, channels)
		if d.oneIn(2) {
			s.DNS = &v1alpha1.PeerPods{Namespace: "resolver", PodSelector: selector(d, "app", "dns")}
		}
		for range d.upTo(2) {
			s.Gateways = append(s.Gateways, v1alpha1.PeerPods{Namespace: "edge", PodSelector: selector(d, "app", "gateway")})
		}
		if d.oneIn(2) {
			s.KubernetesAPI = &v1alpha1.KubernetesAPI{CIDRs: from(d, 1, 2, networks), Port: pick(d, int32(6443), 443, 2775)}
		}
		if d.upTo(3) > 0 {
			s.BAA = &v1alpha1.BAARules{
				OnLapse:       pick(d, v1alpha1.LapseIsolate, v1alpha1.LapseIsolate, v1alpha1.LapseFreeze, v1alpha1.LapseAlert, ""),
				ReverifyEvery: pick(d, v1alpha1.Duration(""), "4000h"),
			}
		}
		for i := range s.Regions {
			s.Regions[i].BusinessAssociate = pick(d, v1alpha1.Name(""), "", "aws", "billing")
		}
	})
}

func selector(d dice, key, value string) v1alpha1.PodSelector {
	s := v1alpha1.PodSelector{MatchLabels: map[string]string{key: value}}
	if d.oneIn(3) {
		s.MatchLabels["zone"] = "a"
	}
	return s
}

func (d dice) associate(name v1alpha1.Name) *v1alpha1.BusinessAssociate {
	return fixture.Associate(string(name), func(a *v1alpha1.BusinessAssociate) {
		s, baa := &a.Spec, agreement()
		if d.oneIn(3) {
			baa = pick(d, agreements...)
		}
		s.BAA = &baa
		if d.oneIn(8) {
			s.HandlesPHI, s.NoPHIReason = false, "counts only"
		}
		for _, other := range associates {
			if other != name && d.oneIn(8) {
				s.Subcontractors = append(s.Subcontractors, other)
			}
		}
		if d.oneIn(20) {
			s.Subcontractors = append(s.Subcontractors, "ghost")
		}
		if d.oneIn(4) {
			s.Channels = from(d, 1, 1, channels)
		}
		s.Endpoints = nil
		for range 1 + d.upTo(1) {
			e := v1alpha1.Endpoint{CIDRs: from(d, 1, 3, networks), Ports: from(d, 1, 3, ports)}
			if d.oneIn(8) {
				e.Hosts = []v1alpha1.Host{"api.example"}
			}
			if e.Hosts != nil && d.oneIn(2) {
				e.CIDRs = nil
			}
			s.Endpoints = append(s.Endpoints, e)
		}
	})
}

// agreements that do not hold now, or just do. All but the last two held before.
var agreements = []v1alpha1.Agreement{
	agreement(func(a *v1alpha1.Agreement) { a.ExpiresOn = "2026-09-01" }),
	agreement(func(a *v1alpha1.Agreement) { a.ExpiresOn = "2026-11-21" }),
	agreement(func(a *v1alpha1.Agreement) { a.ExpiresOn = "2026-11-22" }),
	agreement(func(a *v1alpha1.Agreement) { a.LastVerifiedOn = "" }),
	agreement(func(a *v1alpha1.Agreement) { a.ExecutedOn = "2026-12-01" }),
	agreement(func(a *v1alpha1.Agreement) { a.Signatures = a.Signatures[:1] }),
}

// agreement holds and was looked at lately.
func agreement(change ...func(*v1alpha1.Agreement)) v1alpha1.Agreement {
	a := fixture.Agreement()
	a.LastVerifiedOn = "2026-10-01"
	for _, c := range change {
		c(&a)
	}
	return a
}

func (d dice) tenant(w *World, n int) *Tenant {
	t := &Tenant{Name: fmt.Sprintf("t%d", n), Deleted: d.oneIn(12)}
	t.Now = d.spec(w, t.Name)
	if d.oneIn(2) {
		spec := d.spec(w, t.Name)
		t.Before = &spec
		if d.oneIn(2) {
			t.Now.BAA = pick(d, agreements[:4]...)
		}
		if d.oneIn(6) {
			t.Mistake = d.mistake(&t.Now)
		}
	}
	return t
}

// mistake makes a spec one that cannot be honoured.
func (d dice) mistake(s *v1alpha1.HIPAATenantSpec) string {
	switch d.upTo(3) {
	case 0:
		s.DisabledChannels = append(s.DisabledChannels, "pager")
		return "unknown channel"
	case 1:
		s.BusinessAssociates = append(s.BusinessAssociates, "ghost")
		return "unknown associate"
	case 2:
		s.IPAllowlist = append(s.IPAllowlist, "0.0.0.0/0")
		return "allowlist too wide"
	default:
		s.SessionTimeout = "24h"
		return "session too long"
	}
}

func (d dice) spec(w *World, name string) v1alpha1.HIPAATenantSpec {
	return fixture.Tenant(name, func(t *v1alpha1.HIPAATenant) {
		s := &t.Spec
		s.BAA = agreement()
		s.Profile = pick(d, v1alpha1.Name(""), "strict")
		s.Region = pick(d, v1alpha1.Region(fixture.Region), fixture.FailoverRegion)
		s.IPAllowlist = from(d, 1, 3, narrowNetworks)
		s.DisabledChannels = from(d, 0, 2, channels)
		s.BusinessAssociates = from(d, 0, 3, associates)
		for i := range d.upTo(3) {
			s.Namespaces = append(s.Namespaces, v1alpha1.TenantNamespace{Name: v1alpha1.Name(fmt.Sprintf("%s-%c", name, 'a'+i+d.upTo(1)*3))})
		}
		if d.oneIn(2) {
			s.Application = &v1alpha1.Application{Mailbox: &v1alpha1.Mailbox{
				Host: "mail.example", CIDRs: from(d, 1, 2, networks), Port: pick(d, int32(587), 25, 465), TLS: "Required",
			}}
		}
		if d.oneIn(3) {
			s.Exposure = &v1alpha1.Exposure{PodSelector: selector(d, "tier", "edge")}
		}
	}).Spec
}

// populate puts pods into every namespace.
func (w *World) populate() {
	for _, name := range sharedNames {
		w.put(nil, name, shared[name])
	}
	for _, t := range w.Tenants {
		for _, name := range t.everHeld() {
			w.put(t, name, tenantPods)
		}
	}
}

func (w *World) put(t *Tenant, namespace string, labels []map[string]string) {
	for i, l := range labels {
		n := byte(len(w.Pods) + 1)
		w.Pods = append(w.Pods, &Pod{
			Namespace: namespace, Name: fmt.Sprintf("pod-%d", i), Labels: l, Tenant: t,
			IPs: []netip.Addr{netip.AddrFrom4([4]byte{10, 244, 0, n}), netip.AddrFrom16([16]byte{0xfd, 0x10, 0x02, 0x44, 15: n})},
		})
	}
}
