package compile

import (
	"net/netip"

	"go4.org/netipx"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
)

// neverReached are the cloud metadata ranges: who reaches them can become the node.
var neverReached = []v1alpha1.CIDR{"169.254.0.0/16", "fe80::/10", "fd00:ec2::/32"}

// subtract returns what is left of allowed after taking every network of removed and the metadata ranges away, as the
// shortest sorted list of canonical CIDRs.
func subtract(allowed []v1alpha1.CIDR, removed []v1alpha1.CIDR) []string {
	var b netipx.IPSetBuilder
	for _, c := range allowed {
		if p, err := netip.ParsePrefix(string(c)); err == nil {
			b.AddPrefix(p)
		}
	}
	for _, list := range [][]v1alpha1.CIDR{removed, neverReached} {
		for _, c := range list {
			if p, err := netip.ParsePrefix(string(c)); err == nil {
				b.RemovePrefix(p)
			}
		}
	}
	set, err := b.IPSet()
	if err != nil {
		return nil // a set that cannot be built allows nothing
	}
	prefixes := set.Prefixes()
	out := make([]string, len(prefixes))
	for i, p := range prefixes {
		out[i] = p.String()
	}
	return out
}

// union merges lists of CIDRs into the shortest sorted list that covers the same addresses.
func union(lists ...[]string) []string {
	var out []string
	for _, p := range ipSet(lists...).Prefixes() {
		out = append(out, p.String())
	}
	return out
}

// ipSet is empty when it cannot be built: then nothing lies inside.
func ipSet(lists ...[]string) *netipx.IPSet {
	var b netipx.IPSetBuilder
	for _, list := range lists {
		for _, c := range list {
			if p, err := netip.ParsePrefix(c); err == nil {
				b.AddPrefix(p)
			}
		}
	}
	set, err := b.IPSet()
	if err != nil {
		return &netipx.IPSet{}
	}
	return set
}

// covers says that every address of the network lies in the set.
func covers(set *netipx.IPSet, cidr string) bool {
	p, err := netip.ParsePrefix(cidr)
	return err == nil && set.ContainsPrefix(p.Masked())
}

// tooWide says whether a network's prefix is shorter than the profile permits: 8 for IPv4 and 32 for IPv6 unless it
// says otherwise.
func tooWide(c v1alpha1.CIDR, rules *v1alpha1.AllowlistRules) (limit int, wide bool) {
	p, err := netip.ParsePrefix(string(c))
	if err != nil {
		return 0, true
	}
	limit = 8
	if p.Addr().Is6() {
		limit = 32
	}
	if rules != nil {
		if p.Addr().Is4() && rules.MinPrefixIPv4 != nil {
			limit = int(*rules.MinPrefixIPv4)
		}
		if p.Addr().Is6() && rules.MinPrefixIPv6 != nil {
			limit = int(*rules.MinPrefixIPv6)
		}
	}
	return limit, p.Bits() < limit
}
