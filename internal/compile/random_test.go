package compile

import (
	"fmt"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/test/fixture"
)

// dice turn bytes into choices, so that a fuzzer can steer them. When the bytes run out every choice is the first.
type dice struct{ bytes []byte }

// roll returns 0 to n-1.
func (d *dice) roll(n int) int {
	if len(d.bytes) == 0 {
		return 0
	}
	b := d.bytes[0]
	d.bytes = d.bytes[1:]
	return int(b) % n
}

// rarely is true once in n.
func (d *dice) rarely(n int) bool { return d.roll(n) == n-1 }

func pick[T any](d *dice, list ...T) T { return list[d.roll(len(list))] }

// some are up to n picks, in the order of the list, each at most once.
func some[T any](d *dice, n int, list ...T) []T {
	var out []T
	for range d.roll(n + 1) {
		if len(list) == 0 {
			break
		}
		at := d.roll(len(list))
		out = append(out, list[at])
		list = list[at+1:]
	}
	return out
}

// mostly lists the usual value so often that the others are the exception.
func mostly[T any](usual T, others ...T) []T {
	return append(slices.Repeat([]T{usual}, 8), others...)
}

// Values the worlds below are made of: valid ones first, then those at an edge, then those that are wrong.
var (
	someCIDRs = cidrs("198.51.100.0/25", "203.0.113.0/24", "2001:db8:12::/48", "192.0.2.128/25", "192.0.2.0/24", "10.0.0.0/8",
		"169.254.0.0/15", "169.254.169.254/32", "fe00::/8", "fd00::/8", "fd00:ec2::254/128", "10.0.0.0/7", "0.0.0.0/0", "::/0", "wrong")
	someDates = []v1alpha1.Date{"2028-01-15", "2026-12-24", "2026-12-01", "2026-11-22", "2026-11-21", "2026-11-20", "2026-02-01", ""}
	somePorts = []v1alpha1.Port{
		{Port: 443, Protocol: "TCP"}, {Port: 25, Protocol: "TCP"}, {Port: 2775, Protocol: "TCP"}, {Port: 2775, Protocol: "UDP"}, {Port: 53, Protocol: "UDP"},
	}
	someCitations  = []v1alpha1.Citation{citationAtRest, "164.310(a)(1)", "164.308(a)(5)"}
	someNamespaces = []v1alpha1.Name{"acme-app", "acme-data", "shared", "stranger", "edge", "hipaa-system", "kube-system"}
	someAssociates = []v1alpha1.Name{"aws", "clearing", "texter", "loop-a", "loop-b", "ghost"}
	someGates      = []v1alpha1.Gate{v1alpha1.GateOpen, v1alpha1.GateLocked, v1alpha1.GateFrozen, v1alpha1.GateQuarantined, "bogus", ""}
)

// world is a tenant and everything a plan for it depends on.
type world struct {
	tenant *v1alpha1.HIPAATenant
	facts  Facts
}

// newWorld makes a world. Most worlds can be compiled; each mistake is made now and then.
func newWorld(bytes []byte) world {
	d := &dice{bytes}
	w := world{tenant: d.tenant(), facts: Facts{
		Profile: d.profile(), Associates: d.associates(), Namespaces: map[string]Namespace{}, Keysets: map[string]Keyset{}, Standing: map[string]Standing{},
		AdmissionEnforced: !d.rarely(8), OperatorNamespace: v1alpha1.OperatorNamespace, Now: noon,
	}}
	if d.rarely(30) {
		w.facts.Profile = nil
	}
	if d.rarely(3) {
		w.facts.Nodes = &Survey{Ready: map[string]int{fixture.Region: d.roll(2)}}
	}
	d.history(w)
	return w
}

func (d *dice) tenant() *v1alpha1.HIPAATenant {
	return fixture.Tenant("acme", func(t *v1alpha1.HIPAATenant) {
		t.UID, t.Generation = "u-acme", int64(d.roll(5))
		s := &t.Spec
		s.BAA = d.agreement()
		s.Region = pick(d, v1alpha1.Region(fixture.Region), fixture.Region, fixture.FailoverRegion)
		s.FailoverRegions = some(d, 1, mostly(v1alpha1.Region(fixture.FailoverRegion), "eu-west-1")...)
		s.IPAllowlist = append(some(d, 2, someCIDRs[:d.size(len(someCIDRs), 5)]...), fixture.Allowlist)
		s.SessionTimeout = pick(d, mostly(v1alpha1.Duration("15m"), "15m1s")...)
		s.DisabledChannels = some(d, 2, append(mostly(v1alpha1.Name("sms"), "fax"), mostly(v1alpha1.Name("fax"), "pager")...)...)
		for _, name := range some(d, 3, someNamespaces[:d.size(len(someNamespaces), 2)]...) {
			s.Namespaces = append(s.Namespaces, v1alpha1.TenantNamespace{Name: name, Adopt: d.rarely(2)})
		}
		s.BusinessAssociates = some(d, 3, someAssociates[:d.size(len(someAssociates), 5)]...)
		s.Encryption.KeyURI = pick(d, append(mostly("local://acme", "vault://transit/acme"), mostly("local://acme", "awskms://acme")...)...)
		s.Encryption.RotationPeriod = pick(d, v1alpha1.Duration(""), "720h", "9999h")
		for range d.roll(3) {
			s.Roles = append(s.Roles, v1alpha1.RoleGrant{
				Role: pick(d, v1alpha1.Role("Developer"), "Operator", "Auditor"), ExpiresOn: pick(d, someDates...),
				Subjects: some(d, 2, v1alpha1.Subject{Kind: "Group", Name: "acme-devs"}, v1alpha1.Subject{Kind: "User", Name: "dana"},
					v1alpha1.Subject{Kind: "ServiceAccount", Name: "ci", Namespace: pick(d, mostly(v1alpha1.Name("acme"), "acme-app")...)}),
			})
		}
		if d.rarely(3) {
			s.Application = &v1alpha1.Application{Mailbox: &v1alpha1.Mailbox{
				Host: "mail.acme.example", CIDRs: some(d, 2, append(someCIDRs[:5:5], someCIDRs...)...), Port: pick(d, somePorts...).Port, TLS: "Required",
			}}
		}
		if d.rarely(3) {
			s.Exposure = &v1alpha1.Exposure{PodSelector: v1alpha1.PodSelector{MatchLabels: map[string]string{"tier": "edge"}}}
		}
		s.Attestations = d.attestations()
	})
}

// size is mostly the length of a list without its mistakes, now and then the whole of it.
func (d *dice) size(all, valid int) int {
	if d.rarely(16) {
		return all
	}
	return valid
}

func (d *dice) agreement() v1alpha1.Agreement {
	a := fixture.Agreement()
	if d.rarely(4) {
		a.ExpiresOn = pick(d, someDates...)
		a.LastVerifiedOn = pick(d, someDates...)
	}
	if d.rarely(20) {
		a.ExecutedOn = pick(d, someDates...)
	}
	if d.rarely(50) {
		a.Signatures = a.Signatures[:d.roll(2)]
	}
	return a
}

func (d *dice) profile() *v1alpha1.HIPAAProfile {
	return fixture.Profile("default", func(p *v1alpha1.HIPAAProfile) {
		s := &p.Spec
		for i := range s.Regions {
			s.Regions[i].BusinessAssociate = pick(d, v1alpha1.Name(""), "aws", "aws", "clearing")
		}
		s.Channels[0].CIDRs = some(d, 2, someCIDRs[3:]...)
		s.Channels[1].Ports = some(d, 2, somePorts...)
		s.RequiredDisabledChannels = some(d, 1, v1alpha1.Name("sms"), "fax")
		s.Keys.AllowSoftwareKeys = !d.rarely(20)
		s.BAA = pick(d, nil, &v1alpha1.BAARules{OnLapse: v1alpha1.LapseFreeze}, &v1alpha1.BAARules{OnLapse: v1alpha1.LapseIsolate},
			&v1alpha1.BAARules{WarnBefore: "24h", ReverifyEvery: "8760h"})
		if d.rarely(2) {
			s.Gateways = []v1alpha1.PeerPods{{Namespace: "edge", PodSelector: v1alpha1.PodSelector{MatchLabels: map[string]string{"app": "gateway"}}}}
		}
		if d.rarely(2) {
			s.KubernetesAPI = &v1alpha1.KubernetesAPI{CIDRs: some(d, 2, someCIDRs...), Port: 443}
		}
		if d.rarely(12) {
			s.IPAllowlist = &v1alpha1.AllowlistRules{MinPrefixIPv4: new(int32(d.roll(33))), MinPrefixIPv6: new(int32(d.roll(129)))}
		}
		s.Attestations = d.attestations()
		for _, citation := range some(d, 2, someCitations...) {
			s.RequiredAttestations = append(s.RequiredAttestations, v1alpha1.RequiredAttestation{Citation: citation, Reason: "no cluster can check it", ReviewedOn: "2026-05-01"})
		}
	})
}

func (d *dice) attestations() []v1alpha1.Attestation {
	var list []v1alpha1.Attestation
	for range d.roll(4) {
		list = append(list, attesting(pick(d, someCitations...), pick(d, someDates[1:]...), pick(d, someDates...)))
	}
	return list
}

func (d *dice) associates() map[string]*v1alpha1.BusinessAssociate {
	all := map[string]*v1alpha1.BusinessAssociate{}
	for _, name := range someAssociates[:5] {
		if d.rarely(40) {
			continue
		}
		all[string(name)] = fixture.Associate(string(name), func(a *v1alpha1.BusinessAssociate) {
			agreement := d.agreement()
			a.Spec.BAA = &agreement
			if d.rarely(10) {
				a.Spec.BAA, a.Spec.HandlesPHI, a.Spec.NoPHIReason = nil, d.rarely(2), "counts only"
			}
			a.Spec.Subcontractors = some(d, 1, mostly(v1alpha1.Name("aws"), "clearing", "loop-b", "loop-a", "ghost")...)
			a.Spec.Channels = some(d, 1, v1alpha1.Name("sms"), "fax")
			a.Spec.Endpoints = nil
			for range d.roll(3) {
				a.Spec.Endpoints = append(a.Spec.Endpoints, v1alpha1.Endpoint{CIDRs: some(d, 3, someCIDRs...), Ports: some(d, 3, somePorts...)})
			}
		})
	}
	return all
}

// history makes the past of the world: namespaces that stand, what the tenant remembers, keysets.
func (d *dice) history(w world) {
	status := &w.tenant.Status
	names := append(NamespaceNames(w.tenant), "acme-old", "acme-older")
	for _, name := range names {
		if d.rarely(2) {
			w.facts.Namespaces[name] = d.namespace(name)
		}
		if d.rarely(2) {
			status.Namespaces = append(status.Namespaces, v1alpha1.NamespaceStatus{Name: name, UID: pick(d, types.UID("ns-"+name), "ns-former")})
		}
		if !d.rarely(3) {
			w.facts.Keysets[name] = Keyset{Document: fmt.Appendf(nil, `{"for":%q}`, name), ResourceVersion: pick(d, "", "7")}
		}
		if d.rarely(2) {
			status.Inventory = append(status.Inventory, v1alpha1.ObjectRef{Kind: kindNamespace, Name: name}, keysetRef(name),
				v1alpha1.ObjectRef{Kind: kindNetworkPolicy, Namespace: name, Name: v1alpha1.PolicyDefaultDeny},
				v1alpha1.ObjectRef{Kind: kindNetworkPolicy, Namespace: name, Name: v1alpha1.PolicyAllowMailbox})
			d.openings(name, w)
		}
	}
	if d.rarely(2) {
		status.Effective = &v1alpha1.Effective{
			Regions:            some(d, 2, fixture.Region, fixture.FailoverRegion, "eu-west-1"),
			BusinessAssociates: some(d, 3, "aws", "clearing", "texter", "loop-a"),
		}
	}
}

// openings are what the operator opened in a namespace while the spec could be honoured.
func (d *dice) openings(name string, w world) {
	s := NewStanding()
	remember := func(kind, object string) v1alpha1.ObjectRef {
		ref := v1alpha1.ObjectRef{Kind: kind, Namespace: name, Name: object}
		if !slices.Contains(w.tenant.Status.Inventory, ref) {
			w.tenant.Status.Inventory = append(w.tenant.Status.Inventory, ref)
		}
		return ref
	}
	r := &resolved{tenant: w.tenant}
	remember(kindNetworkPolicy, v1alpha1.PolicyAllowTenant)
	remember(kindNetworkPolicy, v1alpha1.PolicyAllowDNS)
	remember(kindNetworkPolicy, v1alpha1.PolicyAllowGateways)
	for _, policy := range ofAgreements {
		if d.rarely(3) {
			continue
		}
		var rules []openRule
		for range 1 + d.roll(2) {
			cidrs := subtract(append(some(d, 2, someCIDRs[:5]...), someCIDRs[d.roll(3)]), nil)
			rules = append(rules, openRule{cidrs: cidrs, ports: append(some(d, 2, somePorts[1:]...), somePorts[0])})
		}
		s.Versions[remember(kindNetworkPolicy, policy)] = "12"
		s.Policies[policy] = specOf(r.egressPolicy(name, policy, []opening{{rules: rules}}))
	}
	for _, role := range some(d, 2, allRoles...) {
		binding := bindingName(role)
		s.Versions[remember(kindRoleBinding, binding)] = "13"
		s.Subjects[binding] = append(some(d, 1, rbacv1.Subject{Kind: "Group", APIGroup: rbacv1.GroupName, Name: "acme-devs"}),
			rbacv1.Subject{Kind: "User", APIGroup: rbacv1.GroupName, Name: "dana"}, rbacv1.Subject{Kind: "User", APIGroup: rbacv1.GroupName, Name: "left"},
			rbacv1.Subject{Kind: "ServiceAccount", Name: "ci", Namespace: "acme-app"})
	}
	w.facts.Standing[name] = s
	if n := w.facts.Namespaces[name]; n.Facts != nil {
		n.Facts[v1alpha1.AnnotationRegions] = strings.Join(some(d, 2, fixture.Region, fixture.FailoverRegion, "eu-west-1"), ",")
		n.Facts[v1alpha1.AnnotationEgress] = strings.Join(subtract(some(d, 3, someCIDRs[:6]...), nil), ",")
		n.Facts[v1alpha1.AnnotationIPAllowlist] = fixture.Allowlist
		n.Facts[v1alpha1.AnnotationDisabledChannels] = pick(d, "", "sms", "fax,sms")
		n.Facts[v1alpha1.AnnotationDisabledPorts] = pick(d, "", "TCP/2775")
	}
}

func (d *dice) namespace(name string) Namespace {
	n := standing(pick(d, "acme", "acme", "acme", "acme", "acme", "acme", "acme", "", "birch"), pick(d, "u-acme", "u-acme", "u-acme", "u-former", ""), pick(d, someGates...))
	n.UID = types.UID("ns-" + name)
	n.Terminating = d.rarely(25)
	if d.rarely(2) {
		n.Facts[v1alpha1.AnnotationConfigHash] = "0123456789abcdef"
	}
	if d.rarely(12) {
		n.Labels, n.Facts = nil, nil
	}
	return n
}
