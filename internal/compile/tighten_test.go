package compile

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/extension"
	"github.com/hipaatenant/hipaa-tenant-operator/test/fixture"
)

// TestAChannelClosesWhileTheSpecCannotBeHonoured: its networks to the mailbox and to the API server, its ports to the API
// server alone, because the mailbox is the one way out for mail. A port of the API server that the profile does not open any
// more closes as well.
func TestAChannelClosesWhileTheSpecCannotBeHonoured(t *testing.T) {
	for _, tc := range []struct {
		name         string
		channel      v1alpha1.Channel
		mailbox, api []openRule
	}{
		{"another port, another network", v1alpha1.Channel{Name: "fax", Ports: []v1alpha1.Port{{Port: 1720, Protocol: "TCP"}}, CIDRs: cidrs("10.0.0.0/8")},
			[]openRule{on(25, "192.0.2.0/24")}, []openRule{on(443, "192.0.2.0/24")}},
		{"its port", v1alpha1.Channel{Name: "fax", Ports: []v1alpha1.Port{{Port: 443, Protocol: "TCP"}, {Port: 25, Protocol: "TCP"}}},
			[]openRule{on(25, "192.0.2.0/24")}, nil},
		{"its network", v1alpha1.Channel{Name: "fax", CIDRs: cidrs("192.0.2.0/25")},
			[]openRule{on(25, "192.0.2.128/25")}, []openRule{on(443, "192.0.2.128/25")}},
		{"all of it", v1alpha1.Channel{Name: "fax", CIDRs: cidrs("192.0.0.0/16")}, nil, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tenant := fixture.Tenant("acme", func(h *v1alpha1.HIPAATenant) { h.UID, h.Spec.SessionTimeout = "u-acme", "30m" })
			f := factsFor(fixture.Profile("default", func(p *v1alpha1.HIPAAProfile) {
				p.Spec.Channels, p.Spec.RequiredDisabledChannels = []v1alpha1.Channel{tc.channel}, []v1alpha1.Name{"fax"}
				p.Spec.KubernetesAPI = &v1alpha1.KubernetesAPI{CIDRs: cidrs("192.0.2.0/24"), Port: 443}
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

// TestWhatTheProfileTakesAwayClosesWhileTheSpecCannotBeHonoured, and stays while there is no profile to ask.
func TestWhatTheProfileTakesAwayClosesWhileTheSpecCannotBeHonoured(t *testing.T) {
	api, gateways := policyIn("acme", v1alpha1.PolicyAllowAPI), policyIn("acme", v1alpha1.PolicyAllowGateways)
	for name, tc := range map[string]struct {
		profile *v1alpha1.HIPAAProfile
		stay    bool
	}{
		"it opens both": {fixture.Profile("default", func(p *v1alpha1.HIPAAProfile) {
			p.Spec.KubernetesAPI = &v1alpha1.KubernetesAPI{CIDRs: cidrs("192.0.2.0/24"), Port: 443}
			p.Spec.Gateways = []v1alpha1.PeerPods{{Namespace: "edge"}}
		}), true},
		"it opens neither": {fixture.Profile("default"), false},
		"there is none":    {nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			w := mistaken(tc.profile, api, gateways)
			w.facts.Standing["acme"].Policies[api.Name] = specOf((&resolved{tenant: w.tenant}).egressPolicy("acme", api.Name, []opening{{rules: []openRule{on(443, "192.0.2.0/24")}}}))
			p := Compile(w.tenant, w.facts)
			for _, ref := range []v1alpha1.ObjectRef{api, gateways} {
				if p.Owns(ref) != tc.stay {
					t.Errorf("%s stays: %t, want %t", ref.Name, p.Owns(ref), tc.stay)
				}
			}
		})
	}
}

// TestANamespaceAProfileTookForItselfIsStillNarrowed: the profile may have named it by mistake, and what the tenant opened there
// is as open as before.
func TestANamespaceAProfileTookForItselfIsStillNarrowed(t *testing.T) {
	profile := fixture.Profile("default", func(p *v1alpha1.HIPAAProfile) { p.Spec.BAA = &v1alpha1.BAARules{OnLapse: v1alpha1.LapseIsolate} })
	ingress := policyIn("acme", v1alpha1.PolicyAllowIngress)
	w := mistaken(profile, v1alpha1.ObjectRef{Kind: kindNamespace, Name: "acme"}, ingress)
	w.facts.SharedNamespaces = []string{"acme"}
	w.tenant.Spec.BAA.ExpiresOn = "2026-11-01"
	p := Compile(w.tenant, w.facts)
	if !has(p, CodeNamespaceReserved) {
		t.Fatalf("findings are %v; want the namespace reserved", p.Findings)
	}
	if p.Owns(ingress) || p.Gates["acme"] != v1alpha1.GateQuarantined {
		t.Errorf("the agreement ended: the gate is %q, ingress stays: %t", p.Gates["acme"], p.Owns(ingress))
	}
}

// TestServiceAccountsOfANamespaceThatWasLostAreUnbound: another tenant may have the namespace by now.
func TestServiceAccountsOfANamespaceThatWasLostAreUnbound(t *testing.T) {
	binding := v1alpha1.ObjectRef{Kind: kindRoleBinding, Namespace: "acme", Name: bindingName(v1alpha1.RoleDeveloper)}
	w := mistaken(fixture.Profile("default"), binding)
	w.tenant.Spec.Namespaces = []v1alpha1.TenantNamespace{{Name: "acme"}, {Name: "acme-ci"}}
	w.tenant.Spec.Roles = []v1alpha1.RoleGrant{{Role: v1alpha1.RoleDeveloper, Subjects: []v1alpha1.Subject{
		{Kind: "ServiceAccount", Name: "ci", Namespace: "acme"}, {Kind: "ServiceAccount", Name: "ci", Namespace: "acme-ci"},
	}}}
	w.facts.Namespaces["acme-ci"] = standing("birch", "u-birch", v1alpha1.GateOpen)
	w.facts.Standing["acme"].Subjects[binding.Name] = []rbacv1.Subject{
		{Kind: "ServiceAccount", Name: "ci", Namespace: "acme"}, {Kind: "ServiceAccount", Name: "ci", Namespace: "acme-ci"},
	}
	left := w.after(t, Compile(w.tenant, w.facts)).facts.Standing["acme"].Subjects[binding.Name]
	if len(left) != 1 || left[0].Namespace != "acme" {
		t.Errorf("bound are %v; want the account of acme alone", left)
	}
}

// TestWhatATenantOpensItselfIsJudgedWhileTheSpecCannotBeHonoured, by what is left of the facts: by the networks of agreements
// that ended, ports of disabled channels, and isolation.
func TestWhatATenantOpensItselfIsJudgedWhileTheSpecCannotBeHonoured(t *testing.T) {
	toVendor := networkingv1.NetworkPolicySpec{Egress: []networkingv1.NetworkPolicyEgressRule{{
		To:    []networkingv1.NetworkPolicyPeer{{IPBlock: &networkingv1.IPBlock{CIDR: "198.51.100.0/28"}}},
		Ports: []networkingv1.NetworkPolicyPort{{Port: new(intstr.FromInt32(443))}},
	}}}
	for name, tc := range map[string]struct {
		change func(*world)
		want   string
	}{
		"in force":             {func(*world) {}, ""},
		"the agreement ended":  {func(w *world) { w.facts.Associates["clearing"].Spec.BAA.ExpiresOn = "2026-11-01" }, "egress with 198.51.100.0/28"},
		"the vendor is gone":   {func(w *world) { delete(w.facts.Associates, "clearing") }, "egress with 198.51.100.0/28"},
		"the profile is gone":  {func(w *world) { w.facts.Profile = nil }, "egress with 198.51.100.0/28"},
		"the port is disabled": {func(w *world) { w.facts.Namespaces["acme"].Facts[v1alpha1.AnnotationDisabledPorts] = "TCP/443" }, "TCP/443 of a disabled channel"},
		"the tenant's own ended": {func(w *world) {
			w.tenant.Spec.BAA.ExpiresOn = "2026-11-01"
			w.facts.Profile.Spec.BAA = &v1alpha1.BAARules{OnLapse: v1alpha1.LapseIsolate}
		}, "quarantined"},
	} {
		t.Run(name, func(t *testing.T) {
			associates := policyIn("acme", v1alpha1.PolicyAllowAssociates)
			w := mistaken(fixture.Profile("default"), associates)
			w.tenant.Spec.BusinessAssociates = []v1alpha1.Name{"clearing"}
			w.facts.Associates["clearing"] = fixture.Associate("clearing", func(a *v1alpha1.BusinessAssociate) {
				a.Spec.Endpoints = []v1alpha1.Endpoint{{CIDRs: cidrs("198.51.100.0/24"), Ports: []v1alpha1.Port{{Port: 443, Protocol: "TCP"}}}}
			})
			w.facts.Standing["acme"].Policies[associates.Name] = specOf((&resolved{tenant: w.tenant}).egressPolicy("acme", associates.Name, []opening{{rules: []openRule{on(443, "198.51.100.0/24")}}}))
			w.facts.Namespaces["acme"].Facts[v1alpha1.AnnotationEgress] = "198.51.100.0/24"
			w.facts.Strangers = map[string]Strangers{"acme": NewStrangers()}
			w.facts.Strangers["acme"].Policies["own"] = toVendor
			tc.change(&w)
			p := Compile(w.tenant, w.facts)
			if has(p, CodeNetworkPolicyTooWide) != (tc.want != "") {
				t.Errorf("findings are %v, want %q", p.Findings, tc.want)
			}
			for _, f := range p.Findings {
				if f.Code == CodeNetworkPolicyTooWide && !strings.Contains(f.Message, tc.want) {
					t.Errorf("it says %q, want %q", f.Message, tc.want)
				}
			}
			after := w.after(t, p)
			if again := Compile(after.tenant, after.facts); has(again, CodeNetworkPolicyTooWide) != (tc.want != "") {
				t.Errorf("once it is done, findings are %v, want %q", again.Findings, tc.want)
			}
		})
	}
}

// TestHostsCloseInANamespaceThatIsAboutToLeaveTheSpec: what stands in it stays until the spec is honoured, and so does what must
// not.
func TestHostsCloseInANamespaceThatIsAboutToLeaveTheSpec(t *testing.T) {
	hosts := ciliumRef("acme-old")
	w := mistaken(fixture.Profile("default"), v1alpha1.ObjectRef{Kind: kindNamespace, Name: "acme-old"}, hosts)
	w.facts.Extensions = map[string]extension.API{extension.CiliumNetworkPolicy.String(): {State: extension.Served}}
	w.facts.Namespaces["acme-old"], w.facts.Standing["acme-old"] = standing("acme", "u-acme", v1alpha1.GateOpen), NewStanding()
	w.tenant.Spec.BusinessAssociates = []v1alpha1.Name{"clearing"}
	w.tenant.Status.Effective = &v1alpha1.Effective{BusinessAssociates: []string{"clearing"}}
	vendor := fixture.Associate("clearing", func(a *v1alpha1.BusinessAssociate) {
		a.Spec.Endpoints = []v1alpha1.Endpoint{{Hosts: []v1alpha1.Host{"api.clearing.example"}, Ports: []v1alpha1.Port{{Port: 443, Protocol: "TCP"}}}}
	})
	w.facts.Associates["clearing"] = vendor
	if p := Compile(w.tenant, w.facts); !p.Owns(hosts) {
		t.Error("hosts of a vendor in force are closed")
	}
	vendor.Spec.BAA.ExpiresOn = "2026-11-01"
	if p := Compile(w.tenant, w.facts); p.Owns(hosts) || !p.Closes() {
		t.Error("hosts of a vendor whose agreement ended stay open")
	}
	if !Opens(hosts) {
		t.Error("they would wait for whatever else cannot be written")
	}
}

// mistaken is a tenant with objects that stand and a session timeout that no profile permits.
func mistaken(profile *v1alpha1.HIPAAProfile, stand ...v1alpha1.ObjectRef) world {
	w := world{facts: factsFor(profile), tenant: fixture.Tenant("acme", func(h *v1alpha1.HIPAATenant) {
		h.UID, h.Spec.SessionTimeout, h.Status.Inventory = "u-acme", "30m", stand
	})}
	w.facts.Namespaces["acme"], w.facts.Standing = standing("acme", "u-acme", v1alpha1.GateOpen), map[string]Standing{"acme": NewStanding()}
	return w
}

func on(port int32, cidrs ...string) openRule {
	return openRule{cidrs: cidrs, ports: []v1alpha1.Port{{Port: port, Protocol: "TCP"}}}
}
