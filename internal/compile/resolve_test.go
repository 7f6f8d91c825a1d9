package compile

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/test/fixture"
)

func TestMatches(t *testing.T) {
	for _, tc := range []struct {
		pattern, text string
		want          bool
	}{
		{"local://acme", "local://acme", true},
		{"local://acme", "local://acme-2", false},
		{"local://acme", "xlocal://acme", false},
		{"local://*", "local://acme", true},
		{"local://*", "local://", true},
		{"local://*", "local:/", false},
		{"local://*", "vault://local://acme", false},
		{"vault://transit/*", "vault://transit/acme", true},
		{"vault://transit/*", "vault://transit2/acme", false},
		{"*/acme", "vault://transit/acme", true},
		{"*/acme", "vault://transit/acme/x", false},
		{"awskms://*?region=us-*", "awskms://key?region=us-east-1", true},
		{"awskms://*?region=us-*", "awskms://key?region=eu-west-1", false},
		{"a*b*c", "abc", true},
		{"a*b*c", "a-b-b-c", true},
		{"a*b*c", "acb", false},
		{"ab*ba", "aba", false}, // the ends may not share a character
		{"ab*ba", "abba", true},
		{"a**b", "axb", true},
		{"*", "", true},
		{"*", "anything", true},
		{"", "", true},
		{"", "x", false},
		{"a.c", "abc", false}, // no regular expression
		{"a?c", "abc", false},
	} {
		if got := matches(tc.pattern, tc.text); got != tc.want {
			t.Errorf("matches(%q, %q) = %t, want %t", tc.pattern, tc.text, got, tc.want)
		}
	}
}

func TestFormatDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0:                              "0s",
		time.Second:                    "1s",
		10 * time.Second:               "10s",
		time.Minute:                    "1m",
		10 * time.Minute:               "10m",
		15 * time.Minute:               "15m",
		90 * time.Second:               "1m30s",
		time.Hour:                      "1h",
		time.Hour + 5*time.Second:      "1h0m5s",
		time.Hour + 30*time.Minute:     "1h30m",
		10*time.Hour + 10*time.Minute:  "10h10m",
		24 * time.Hour:                 "24h",
		2160 * time.Hour:               "2160h",
		100*time.Hour + 20*time.Second: "100h0m20s",
	} {
		got := formatDuration(d)
		if got != want {
			t.Errorf("formatDuration(%v) = %q, want %q", d, got, want)
		}
		if back := v1alpha1.Duration(got).Value(); back != d {
			t.Errorf("%q reads as %v, want %v", got, back, d)
		}
	}
}

func TestSortedPorts(t *testing.T) {
	port := func(protocol v1alpha1.Protocol, number int32) v1alpha1.Port {
		return v1alpha1.Port{Port: number, Protocol: protocol}
	}
	in := []v1alpha1.Port{port("UDP", 53), port("TCP", 443), port("SCTP", 9), port("TCP", 53), port("UDP", 53), port("TCP", 443)}
	before := fmt.Sprint(in)
	want := []v1alpha1.Port{port("SCTP", 9), port("TCP", 53), port("TCP", 443), port("UDP", 53)}
	if diff := cmp.Diff(want, sortedPorts(in)); diff != "" {
		t.Errorf("sortedPorts (-want +got):\n%s", diff)
	}
	if after := fmt.Sprint(in); after != before {
		t.Errorf("sortedPorts changed its argument from %s to %s", before, after)
	}
	if got := sortedPorts(nil); len(got) != 0 {
		t.Errorf("sortedPorts(nil) = %v, want none", got)
	}
}

func TestRotationPeriod(t *testing.T) {
	for _, tc := range []struct {
		name         string
		asked, limit v1alpha1.Duration
		want         time.Duration
		capped       bool
	}{
		{"below the maximum", "720h", "2160h", 720 * time.Hour, false},
		{"at the maximum", "2160h", "2160h", 2160 * time.Hour, false},
		{"above the maximum", "2161h", "2160h", 2160 * time.Hour, true},
		{"not named", "", "2160h", 2160 * time.Hour, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tenant := fixture.Tenant("acme", func(h *v1alpha1.HIPAATenant) { h.Spec.Encryption.RotationPeriod = tc.asked })
			f := factsFor(fixture.Profile("default", func(p *v1alpha1.HIPAAProfile) { p.Spec.Keys.MaxRotationPeriod = tc.limit }))
			p := Compile(tenant, f)
			if p.Rotation != tc.want {
				t.Errorf("rotation period is %v, want %v", p.Rotation, tc.want)
			}
			if got := has(p, CodeRotationPeriodCapped); got != tc.capped {
				t.Errorf("finding %s: %t, want %t", CodeRotationPeriodCapped, got, tc.capped)
			}
		})
	}
}

// TestMailboxIsNoWayAroundADisabledChannel: the networks of a disabled channel are closed wherever a spec names them.
func TestMailboxIsNoWayAroundADisabledChannel(t *testing.T) {
	profile := fixture.Profile("default", func(p *v1alpha1.HIPAAProfile) {
		p.Spec.Channels[0].CIDRs = cidrs("192.0.2.0/25")
		p.Spec.KubernetesAPI = &v1alpha1.KubernetesAPI{CIDRs: cidrs("192.0.2.64/26", "192.0.2.200/32"), Port: 443}
	})
	for _, tc := range []struct {
		name     string
		cidrs    []v1alpha1.CIDR
		disabled []v1alpha1.Name
		egress   string
		closed   bool
	}{
		{"enabled", cidrs("192.0.2.0/24"), nil, "192.0.2.0/24", false},
		{"disabled, in part", cidrs("192.0.2.0/24"), []v1alpha1.Name{"sms"}, "192.0.2.128/25", false},
		{"disabled, all of it", cidrs("192.0.2.1/32"), []v1alpha1.Name{"sms"}, "192.0.2.200/32", true},
		{"too wide, in part", cidrs("0.0.0.0/0", "198.51.100.0/24", "198.51.98.0/23", "2001:db8::/47", "2001:db8:9::/48"), nil, "192.0.2.64/26,192.0.2.200/32,198.51.100.0/24,2001:db8:9::/48", false},
		{"too wide, all of it", cidrs("0.0.0.0/0", "::/0"), nil, "192.0.2.64/26,192.0.2.200/32", true},
		{"metadata", cidrs("169.254.169.254/32"), nil, "192.0.2.64/26,192.0.2.200/32", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tenant := fixture.Tenant("acme", func(h *v1alpha1.HIPAATenant) {
				h.Spec.DisabledChannels = tc.disabled
				h.Spec.Application = &v1alpha1.Application{Mailbox: &v1alpha1.Mailbox{Host: "mail.acme.example", CIDRs: tc.cidrs, Port: 443, TLS: "Required"}}
			})
			p := Compile(tenant, factsFor(profile))
			if got := factOf(t, p, "acme", v1alpha1.AnnotationEgress); got != tc.egress {
				t.Errorf("egress fact is %q, want %q", got, tc.egress)
			}
			if got := has(p, CodeEndpointSubtracted); got != tc.closed {
				t.Errorf("finding %s: %t, want %t", CodeEndpointSubtracted, got, tc.closed)
			}
		})
	}
}

// TestEmptyAllowlistOpensNothing: an ingress rule without peers would let everybody in.
func TestEmptyAllowlistOpensNothing(t *testing.T) {
	tenant := fixture.Tenant("acme", func(h *v1alpha1.HIPAATenant) { h.Spec.IPAllowlist = nil })
	p := Compile(tenant, factsFor(fixture.Profile("default")))
	if !p.Writable() {
		t.Fatalf("the plan is not writable: %v %v", p.Findings, p.Waiting)
	}
	ref := v1alpha1.ObjectRef{Kind: kindNetworkPolicy, Namespace: "acme", Name: v1alpha1.PolicyAllowIngress}
	if p.Owns(ref) {
		t.Errorf("the plan writes %s without an allowlist", ref.Name)
	}
}

func TestDefaults(t *testing.T) {
	profile := fixture.Profile("default", func(p *v1alpha1.HIPAAProfile) { p.Spec.PodSecurity = "baseline" })
	tenant := fixture.Tenant("acme")
	if got := NamespaceNames(tenant); !cmp.Equal(got, []string{"acme"}) {
		t.Errorf("namespaces of a tenant that names none: %v, want its own name", got)
	}
	if got := DataKeyNames(tenant); !cmp.Equal(got, []string{"default"}) {
		t.Errorf("data keys of a tenant that names none: %v, want default", got)
	}
	if got := ProfileName(tenant); got != "default" {
		t.Errorf("profile of a tenant that names none: %s, want default", got)
	}
	tenant.Spec.Profile, tenant.Spec.Encryption.DataKeys = "strict", []v1alpha1.DataKey{{Name: "b"}, {Name: "a"}}
	if got := ProfileName(tenant); got != "strict" {
		t.Errorf("profile is %s, want strict", got)
	}
	if got := DataKeyNames(tenant); !cmp.Equal(got, []string{"b", "a"}) {
		t.Errorf("data keys are %v, want b and a in the order of the spec", got)
	}
	want := &v1alpha1.Effective{
		Profile: "default", Regions: []string{fixture.Region}, SessionTimeout: "15m", IPAllowlist: []string{fixture.Allowlist},
		RotationPeriod: "2160h", PodSecurity: "baseline", DeletionPolicy: v1alpha1.DeletionRetain,
	}
	if diff := cmp.Diff(want, Compile(fixture.Tenant("acme"), factsFor(profile)).Effective); diff != "" {
		t.Errorf("effective spec (-want +got):\n%s", diff)
	}
}

func TestQuotaOfTheTenantWins(t *testing.T) {
	tenant := fixture.Tenant("acme", func(h *v1alpha1.HIPAATenant) { h.Spec.Quota = &v1alpha1.Quota{Pods: 7} })
	for _, tc := range []struct {
		tenant *v1alpha1.HIPAATenant
		want   int32
	}{{tenant, 7}, {fixture.Tenant("acme"), 50}} {
		r := resolve(tc.tenant, factsFor(fixture.Profile("default")), newPlan())
		if r.quota.Pods != tc.want {
			t.Errorf("quota is %d pods, want %d", r.quota.Pods, tc.want)
		}
	}
}

// TestSharedNamespacesBelongToNobody: the pods of one profile's tenants trust what runs there, also where the tenant that
// asks for the namespace has another profile.
func TestSharedNamespacesBelongToNobody(t *testing.T) {
	profile := fixture.Profile("default", func(p *v1alpha1.HIPAAProfile) {
		p.Spec.DNS = &v1alpha1.PeerPods{Namespace: "resolvers"}
		p.Spec.Gateways = []v1alpha1.PeerPods{{Namespace: "edge"}}
	})
	f := factsFor(profile)
	f.SharedNamespaces = []string{"edge-of-another"}
	for name, reserved := range map[string]bool{
		v1alpha1.OperatorNamespace: true, v1alpha1.OperatorNamespace + v1alpha1.ProbeNamespaceSuffix: true, "resolvers": true, "edge": true, "edge-of-another": true, "acme": false,
	} {
		asking := fixture.Tenant("acme", func(h *v1alpha1.HIPAATenant) {
			h.Spec.Namespaces = []v1alpha1.TenantNamespace{{Name: v1alpha1.Name(name), Adopt: true}}
		})
		if got := has(Compile(asking, f), CodeNamespaceReserved); got != reserved {
			t.Errorf("namespace %s is reserved: %t, want %t", name, got, reserved)
		}
	}
}

// TestARequiredListIsNeverNil: the API server refuses a status with null in place of a required list, so a tenant without
// any region or network left would go on saying that it is Ready.
func TestARequiredListIsNeverNil(t *testing.T) {
	profile := fixture.Profile("default", func(p *v1alpha1.HIPAAProfile) { p.Spec.Regions[0].BusinessAssociate = "aws" })
	lapsed := fixture.Associate("aws", func(a *v1alpha1.BusinessAssociate) { a.Spec.BAA.ExpiresOn = "2026-02-01" })
	tenant := fixture.Tenant("acme", func(h *v1alpha1.HIPAATenant) { h.Spec.IPAllowlist = []v1alpha1.CIDR{"169.254.169.254/32"} })
	got := Compile(tenant, factsFor(profile, lapsed)).Effective
	if got == nil || got.Regions == nil || len(got.Regions) > 0 || got.IPAllowlist == nil || len(got.IPAllowlist) > 0 {
		t.Errorf("effective regions and allowlist are %#v, want both empty and neither nil", got)
	}
}
