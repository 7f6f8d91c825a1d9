package compile

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/extension"
	"github.com/hipaatenant/hipaa-tenant-operator/test/fixture"
)

func TestOverlapping(t *testing.T) {
	for _, row := range []struct {
		a, b v1alpha1.Host
		want bool
	}{
		{"api.twilio.com", "api.twilio.com", true},
		{"api.twilio.com", "*.twilio.com", true},
		{"a.b.twilio.com", "*.twilio.com", true},
		{"*.api.twilio.com", "*.twilio.com", true},
		{"*.twilio.com", "*.twilio.com", true},
		{"twilio.com", "*.twilio.com", false},
		{"nottwilio.com", "*.twilio.com", false},
		{"api.twilio.com.example", "*.twilio.com", false},
		{"*.eu.twilio.com", "*.us.twilio.com", false},
		{"*.twilio.com", "twilio.com", false},
		{"api.twilio.com", "sms.twilio.com", false},
	} {
		if overlapping(row.a, row.b) != row.want || overlapping(row.b, row.a) != row.want {
			t.Errorf("%s and %s: overlap is %t one way, %t the other, want %t", row.a, row.b, overlapping(row.a, row.b), overlapping(row.b, row.a), row.want)
		}
	}
}

// named is the widest reading of a host among the APIs: a wildcard is one label or more.
func named(h v1alpha1.Host, name string) bool {
	pattern := strings.ReplaceAll(regexp.QuoteMeta(string(h)), `\*`, `[a-z0-9-]+(\.[a-z0-9-]+)*`)
	return regexp.MustCompile("^" + pattern + "$").MatchString(name)
}

// TestNoNameOfADisabledChannelIsOpened, for hosts and names made of few labels, so that they often meet.
func TestNoNameOfADisabledChannelIsOpened(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	labels := []string{"a", "b"}
	name := func() string {
		parts := make([]string, 1+random.IntN(3))
		for i := range parts {
			parts[i] = labels[random.IntN(len(labels))]
		}
		return strings.Join(parts, ".")
	}
	host := func() v1alpha1.Host {
		if random.IntN(2) == 0 {
			return v1alpha1.Host("*." + name())
		}
		return v1alpha1.Host(name())
	}
	met := 0
	for range 20_000 {
		open, closed, asked := host(), host(), name()
		r := &resolved{closedHosts: []v1alpha1.Host{closed}}
		if named(open, asked) && named(closed, asked) {
			met++
			if !r.closes(open) {
				t.Fatalf("%s is opened beside the disabled %s, and both match %s", open, closed, asked)
			}
		}
	}
	if met < 100 {
		t.Errorf("only %d names were matched by both: the test shows little", met)
	}
}

func TestExpressible(t *testing.T) {
	for h, want := range map[v1alpha1.Host]bool{
		"api.clearing.example": true, "*.clearing.example": true, "clearing.example": true,
		"*.example": false, "localhost": false, "169.254.169.254": false, "*.10.0.0.1": false,
	} {
		if expressible(h) != want {
			t.Errorf("%s: expressible is %t", h, !want)
		}
	}
}

// hostFacts are those of tenant acme with an associate that names hosts alone.
func hostFacts(change ...func(*v1alpha1.BusinessAssociate)) (*v1alpha1.HIPAATenant, Facts) {
	a := fixture.Associate("vendor", append([]func(*v1alpha1.BusinessAssociate){func(a *v1alpha1.BusinessAssociate) {
		a.Spec.Endpoints[0].CIDRs, a.Spec.Endpoints[0].Hosts = nil, []v1alpha1.Host{"api.vendor.example"}
	}}, change...)...)
	f := factsFor(fixture.Profile("default"), a)
	f.Extensions = map[string]extension.API{
		extension.CiliumNetworkPolicy.String():  {State: extension.Served},
		extension.ClusterNetworkPolicy.String(): {State: extension.Served, Fields: []string{extension.FieldDomainNames}},
	}
	return fixture.Tenant("acme", func(t *v1alpha1.HIPAATenant) { t.Spec.BusinessAssociates = []v1alpha1.Name{"vendor"} }), f
}

// extended is the spec a plan writes for an object of an optional kind; nil when it writes none.
func extended[T any](p *Plan, k extension.Kind) *T {
	for _, wave := range p.Waves() {
		for _, config := range wave {
			if o, ok := config.(*extension.Object); ok && o.Kind == k.Name {
				s := o.Spec.(T)
				return &s
			}
		}
	}
	return nil
}

// TestClusterNetworkPolicyStaysWithinItsLimits: lists are cut where the API ends them, and what would be opened without
// everything closed that has to be is not opened.
func TestClusterNetworkPolicyStaysWithinItsLimits(t *testing.T) {
	many := func(n int) (hosts []v1alpha1.Host) {
		for i := range n {
			hosts = append(hosts, v1alpha1.Host(fmt.Sprintf("h%d.vendor.example", i)))
		}
		return hosts
	}
	tenant, f := hostFacts(func(a *v1alpha1.BusinessAssociate) { a.Spec.Endpoints[0].Hosts = many(60) })
	spec := extended[clusterPolicySpec](Compile(tenant, f), extension.ClusterNetworkPolicy)
	if len(spec.Egress) != 2 || len(spec.Egress[1].To) != 3 || len(spec.Egress[1].To[0].DomainNames) != mostEntries || len(spec.Egress[1].To[2].DomainNames) != 10 {
		t.Errorf("60 hosts become %+v", spec.Egress)
	}
	tenant, f = hostFacts(func(a *v1alpha1.BusinessAssociate) {
		for port := range int32(40) {
			a.Spec.Endpoints = append(a.Spec.Endpoints, v1alpha1.Endpoint{Hosts: many(1), Ports: []v1alpha1.Port{{Port: 8000 + port, Protocol: "TCP"}}})
		}
	})
	p := Compile(tenant, f)
	if spec = extended[clusterPolicySpec](p, extension.ClusterNetworkPolicy); len(spec.Egress) != mostEntries || !has(p, CodeHostsNotExpressible) {
		t.Errorf("%d rules, findings %v", len(spec.Egress), p.Findings)
	}
	tenant, f = hostFacts()
	for i := range 64 * 32 {
		f.Profile.Spec.Channels[0].CIDRs = append(f.Profile.Spec.Channels[0].CIDRs, v1alpha1.CIDR(fmt.Sprintf("10.%d.%d.0/24", i/128, i%128*2)))
	}
	tenant.Spec.DisabledChannels = []v1alpha1.Name{f.Profile.Spec.Channels[0].Name}
	spec = extended[clusterPolicySpec](Compile(tenant, f), extension.ClusterNetworkPolicy)
	if len(spec.Egress) != 1 || len(spec.Egress[0].To) != mostEntries {
		t.Errorf("with more networks to close than it can, %d rules stand", len(spec.Egress))
	}
}

// TestWhatIsClosedComesFirst in a tier where the first rule that matches decides.
func TestWhatIsClosedComesFirst(t *testing.T) {
	tenant, f := hostFacts()
	spec := extended[clusterPolicySpec](Compile(tenant, f), extension.ClusterNetworkPolicy)
	if len(spec.Egress) != 2 || spec.Egress[0].Action != "Deny" || spec.Egress[1].Action != "Accept" {
		t.Fatalf("rules are %+v", spec.Egress)
	}
	for _, c := range neverReached {
		if !slices.Contains(spec.Egress[0].To[0].Networks, string(c)) {
			t.Errorf("%s is not closed: %v", c, spec.Egress[0].To)
		}
	}
}

// TestRefusedOpeningsAreDeleted: what only opens must not stand wider than the spec asks, because a webhook is in the way.
func TestRefusedOpeningsAreDeleted(t *testing.T) {
	tenant, f := hostFacts()
	f.Extensions[extension.SecurityPolicy.String()] = extension.API{State: extension.Served}
	p := Compile(tenant, f)
	guard := v1alpha1.ObjectRef{Kind: extension.SecurityPolicy.String(), Namespace: "acme", Name: v1alpha1.ExtensionAllowlist}
	why := fmt.Errorf("no")
	gone := p.Refuse(map[v1alpha1.ObjectRef]error{guard: why, ciliumRef("acme"): why, {Kind: extension.ClusterNetworkPolicy.String(), Name: "hipaa-acme"}: why})
	if len(gone) != 2 || slices.Contains(gone, guard) || !has(p, CodeHostsRefused) || !has(p, CodeExtensionRefused) {
		t.Errorf("to be deleted: %v; findings %v", gone, p.Findings)
	}
}
