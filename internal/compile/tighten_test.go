package compile

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/test/fixture"
)

// TestAChannelClosesWhileTheSpecCannotBeHonoured: its networks to the mailbox and to the API server, its ports to the API
// server alone, because the mailbox is the one way out for mail.
func TestAChannelClosesWhileTheSpecCannotBeHonoured(t *testing.T) {
	for _, tc := range []struct {
		name         string
		channel      v1alpha1.Channel
		mailbox, api []openRule
	}{
		{"another port, another network", v1alpha1.Channel{Name: "fax", Ports: []v1alpha1.Port{{Port: 1720, Protocol: "TCP"}}, CIDRs: cidrs("10.0.0.0/8")},
			[]openRule{on(25, "192.0.2.0/24")}, []openRule{on(443, "192.0.2.0/24"), on(6443, "192.0.2.0/24")}},
		{"its port", v1alpha1.Channel{Name: "fax", Ports: []v1alpha1.Port{{Port: 443, Protocol: "TCP"}, {Port: 25, Protocol: "TCP"}}},
			[]openRule{on(25, "192.0.2.0/24")}, []openRule{on(6443, "192.0.2.0/24")}},
		{"its network", v1alpha1.Channel{Name: "fax", CIDRs: cidrs("192.0.2.0/25")},
			[]openRule{on(25, "192.0.2.128/25")}, []openRule{on(443, "192.0.2.128/25"), on(6443, "192.0.2.128/25")}},
		{"all of it", v1alpha1.Channel{Name: "fax", CIDRs: cidrs("192.0.0.0/16")}, nil, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tenant := fixture.Tenant("acme", func(h *v1alpha1.HIPAATenant) { h.UID, h.Spec.SessionTimeout = "u-acme", "30m" })
			f := factsFor(fixture.Profile("default", func(p *v1alpha1.HIPAAProfile) {
				p.Spec.Channels, p.Spec.RequiredDisabledChannels = []v1alpha1.Channel{tc.channel}, []v1alpha1.Name{"fax"}
			}))
			f.Namespaces["acme"], f.Standing = standing("acme", "u-acme", v1alpha1.GateOpen), map[string]Standing{"acme": NewStanding()}
			r := &resolved{tenant: tenant}
			for name, rules := range map[string][]openRule{
				v1alpha1.PolicyAllowMailbox: {on(25, "192.0.2.0/24")}, v1alpha1.PolicyAllowAPI: {on(443, "192.0.2.0/24"), on(6443, "192.0.2.0/24")},
			} {
				f.Standing["acme"].Policies[name] = specOf(r.egressPolicy("acme", name, []opening{{rules: rules}}))
				tenant.Status.Inventory = append(tenant.Status.Inventory, policyIn("acme", name))
			}
			left := world{tenant: tenant, facts: f}.after(t, Compile(tenant, f))
			for name, want := range map[string][]openRule{v1alpha1.PolicyAllowMailbox: tc.mailbox, v1alpha1.PolicyAllowAPI: tc.api} {
				got, known := opened(left.facts.Standing["acme"].Policies[name])
				if _, stands := left.facts.Standing["acme"].Policies[name]; stands && !known {
					t.Errorf("%s has a form nobody knows", name)
				}
				if diff := cmp.Diff(networksOf(want).rules(), got.rules(), cmp.AllowUnexported(openRule{})); diff != "" {
					t.Errorf("%s (-want +got):\n%s", name, diff)
				}
			}
		})
	}
}

func on(port int32, cidrs ...string) openRule {
	return openRule{cidrs: cidrs, ports: []v1alpha1.Port{{Port: port, Protocol: "TCP"}}}
}
