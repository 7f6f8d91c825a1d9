package compile

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
)

func TestSubtract(t *testing.T) {
	for _, tc := range []struct {
		name             string
		allowed, removed []v1alpha1.CIDR
		want             []string
	}{
		{"nothing stays nothing", nil, nil, []string{}},
		{"nothing to remove", cidrs("198.51.100.0/25"), nil, []string{"198.51.100.0/25"}},
		{"all of it", cidrs("198.51.100.0/25"), cidrs("198.51.100.0/24"), []string{}},
		{"exactly it", cidrs("198.51.100.0/25"), cidrs("198.51.100.0/25"), []string{}},
		{"the lower half", cidrs("198.51.100.0/24"), cidrs("198.51.100.0/25"), []string{"198.51.100.128/25"}},
		{"one address out of four", cidrs("198.51.100.0/30"), cidrs("198.51.100.1/32"), []string{"198.51.100.0/32", "198.51.100.2/31"}},
		{"neighbours are joined", cidrs("198.51.100.128/25", "198.51.100.0/25"), nil, []string{"198.51.100.0/24"}},
		{"what overlaps is named once", cidrs("198.51.100.0/24", "198.51.100.7/32"), nil, []string{"198.51.100.0/24"}},
		{"the families do not touch each other", cidrs("198.51.100.0/24", "2001:db8::/32"), cidrs("::/0"), []string{"198.51.100.0/24"}},
		{"metadata of IPv4", cidrs("169.254.169.254/32"), nil, []string{}},
		{"metadata of IPv4, inside", cidrs("169.254.0.0/15"), nil, []string{"169.255.0.0/16"}},
		{"link-local IPv6", cidrs("fe80::/10"), nil, []string{}},
		{"link-local IPv6, inside", cidrs("fe80::/9"), nil, []string{"fec0::/10"}},
		{"metadata of IPv6", cidrs("fd00:ec2::254/128"), nil, []string{}},
		{"metadata of IPv6, inside", cidrs("fd00:ec2::/31"), nil, []string{"fd00:ec3::/32"}},
		{"what is no network opens nothing", cidrs("198.51.100.0", "all", ""), nil, []string{}},
		{"what is no network removes nothing", cidrs("198.51.100.0/24"), cidrs("all"), []string{"198.51.100.0/24"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, subtract(tc.allowed, tc.removed)); diff != "" {
				t.Errorf("subtract(%v, %v) (-want +got):\n%s", tc.allowed, tc.removed, diff)
			}
		})
	}
}

func TestUnion(t *testing.T) {
	for _, tc := range []struct {
		name  string
		lists [][]string
		want  []string
	}{
		{"of nothing", nil, nil},
		{"of empty lists", [][]string{{}, nil}, nil},
		{"sorted, each once", [][]string{{"198.51.100.0/25", "192.0.2.0/24"}, {"192.0.2.0/24"}}, []string{"192.0.2.0/24", "198.51.100.0/25"}},
		{"shortest", [][]string{{"192.0.2.0/25"}, {"192.0.2.128/25"}}, []string{"192.0.2.0/24"}},
		{"IPv4 before IPv6", [][]string{{"2001:db8::/32"}, {"192.0.2.0/24"}}, []string{"192.0.2.0/24", "2001:db8::/32"}},
		{"without what is no network", [][]string{{"all", "192.0.2.0/24"}}, []string{"192.0.2.0/24"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, union(tc.lists...)); diff != "" {
				t.Errorf("union(%v) (-want +got):\n%s", tc.lists, diff)
			}
		})
	}
}

func TestTooWide(t *testing.T) {
	rules := func(four, six int32) *v1alpha1.AllowlistRules {
		return &v1alpha1.AllowlistRules{MinPrefixIPv4: &four, MinPrefixIPv6: &six}
	}
	four := int32(24)
	for _, tc := range []struct {
		cidr  v1alpha1.CIDR
		rules *v1alpha1.AllowlistRules
		limit int
		wide  bool
	}{
		{"10.0.0.0/8", nil, 8, false},
		{"10.0.0.0/7", nil, 8, true},
		{"0.0.0.0/0", nil, 8, true},
		{"2001:db8::/32", nil, 32, false},
		{"2001:db8::/31", nil, 32, true},
		{"10.0.0.0/8", &v1alpha1.AllowlistRules{}, 8, false},
		{"10.0.0.0/24", rules(24, 48), 24, false},
		{"10.0.0.0/23", rules(24, 48), 24, true},
		{"2001:db8::/48", rules(24, 48), 48, false},
		{"2001:db8::/47", rules(24, 48), 48, true},
		{"0.0.0.0/0", rules(0, 0), 0, false},
		{"::/0", rules(0, 0), 0, false},
		{"2001:db8::/32", &v1alpha1.AllowlistRules{MinPrefixIPv4: &four}, 32, false},
		{"10.0.0.0/23", &v1alpha1.AllowlistRules{MinPrefixIPv4: &four}, 24, true},
		{"everywhere", nil, 0, true},
		{"", rules(0, 0), 0, true},
	} {
		limit, wide := tooWide(tc.cidr, tc.rules)
		if limit != tc.limit || wide != tc.wide {
			t.Errorf("tooWide(%s, %+v) = %d, %t; want %d, %t", tc.cidr, tc.rules, limit, wide, tc.limit, tc.wide)
		}
	}
}

// TestSubtractAddressByAddress compares subtract with the plain statement of what it means, at every address where the
// answer can change: the first and last of every network, and their neighbours.
func TestSubtractAddressByAddress(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 3000 {
		allowed, removed := randomPrefixes(r), randomPrefixes(r)
		left := subtract(asCIDRs(allowed), asCIDRs(removed))
		var prefixes []netip.Prefix
		for _, c := range left {
			prefixes = append(prefixes, netip.MustParsePrefix(c))
		}
		never := parsed(neverReached)
		for _, a := range borders(allowed, removed, never, prefixes) {
			want := contains(allowed, a) && !contains(removed, a) && !contains(never, a)
			if got := contains(prefixes, a); got != want {
				t.Fatalf("subtract(%v, %v) = %v: %s is left: %t, want %t", allowed, removed, left, a, got, want)
			}
		}
		if !slices.Equal(left, union(left)) && len(left) > 0 {
			t.Fatalf("subtract(%v, %v) = %v is not the shortest sorted list, which is %v", allowed, removed, left, union(left))
		}
	}
}

// randomPrefixes are up to six networks that often lie in or next to each other and to the metadata ranges.
func randomPrefixes(r *rand.Rand) []netip.Prefix {
	out := make([]netip.Prefix, r.IntN(7))
	for i := range out {
		switch r.IntN(4) {
		case 0:
			out[i] = netip.PrefixFrom(netip.AddrFrom4([4]byte{169, byte(252 + r.IntN(4)), byte(r.IntN(4)), byte(r.IntN(256))}), r.IntN(33)).Masked()
		case 1:
			out[i] = netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(r.IntN(2)), byte(r.IntN(256))}), 16+r.IntN(17)).Masked()
		case 2:
			out[i] = netip.PrefixFrom(netip.AddrFrom16([16]byte{0xfd, 0, 0x0e, byte(0xc0 + r.IntN(5)), 15: byte(r.IntN(256))}), r.IntN(129)).Masked()
		default:
			out[i] = netip.PrefixFrom(netip.AddrFrom16([16]byte{0xfe, byte(0x70 + r.IntN(64)), 15: byte(r.IntN(256))}), r.IntN(129)).Masked()
		}
	}
	return out
}

// borders are the first and last address of every network, and the addresses before and after.
func borders(lists ...[]netip.Prefix) []netip.Addr {
	var out []netip.Addr
	for _, p := range slices.Concat(lists...) {
		first, last := p.Addr(), lastOf(p)
		for _, a := range []netip.Addr{first.Prev(), first, last, last.Next()} {
			if a.IsValid() {
				out = append(out, a)
			}
		}
	}
	return out
}

func lastOf(p netip.Prefix) netip.Addr {
	bytes := p.Addr().AsSlice()
	for bit := p.Bits(); bit < p.Addr().BitLen(); bit++ {
		bytes[bit/8] |= 0x80 >> (bit % 8)
	}
	last, ok := netip.AddrFromSlice(bytes)
	if !ok {
		panic(fmt.Sprintf("no last address in %s", p))
	}
	return last
}

func contains(list []netip.Prefix, a netip.Addr) bool {
	return slices.ContainsFunc(list, func(p netip.Prefix) bool { return p.Contains(a) })
}

func cidrs(list ...v1alpha1.CIDR) []v1alpha1.CIDR { return list }

func asCIDRs(list []netip.Prefix) []v1alpha1.CIDR {
	out := make([]v1alpha1.CIDR, len(list))
	for i, p := range list {
		out[i] = v1alpha1.CIDR(p.String())
	}
	return out
}

func parsed(list []v1alpha1.CIDR) []netip.Prefix {
	out := make([]netip.Prefix, len(list))
	for i, c := range list {
		out[i] = netip.MustParsePrefix(string(c))
	}
	return out
}
