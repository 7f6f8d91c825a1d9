package compile

import (
	"fmt"
	"strings"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/test/fixture"
)

func testBounds() bounds {
	return bounds{
		namespace: "acme-app", tenant: "acme",
		ingress: ipSet([]string{"203.0.113.0/25", "203.0.113.128/25", "2001:db8:12::/48"}), egress: ipSet([]string{"198.51.100.0/24"}),
		ports: []v1alpha1.Port{{Port: 2775, Protocol: "TCP"}, {Port: 5060, Protocol: "UDP"}},
	}
}

func TestBeyond(t *testing.T) {
	closed := testBounds()
	closed.closed = true
	for name, test := range map[string]struct {
		bounds bounds
		spec   string
		want   string
	}{
		"denies":                          {testBounds(), "{podSelector: {}, policyTypes: [Ingress, Egress]}", ""},
		"denies, quarantined":             {closed, "{podSelector: {}, policyTypes: [Ingress, Egress]}", ""},
		"own pods":                        {testBounds(), "{ingress: [{from: [{podSelector: {}}]}]}", ""},
		"own pods, quarantined":           {closed, "{ingress: [{from: [{podSelector: {}}]}]}", "ingress although the namespace is quarantined"},
		"own pods outwards, quarantined":  {closed, "{egress: [{to: [{podSelector: {}}]}]}", "egress although the namespace is quarantined"},
		"everybody in":                    {testBounds(), "{ingress: [{}]}", "ingress with everybody"},
		"everybody in on a port":          {testBounds(), "{ingress: [{ports: [{port: 443}]}]}", "ingress with everybody"},
		"everybody out":                   {testBounds(), "{egress: [{ports: [{port: 443}]}]}", "egress with everybody"},
		"inside":                          {testBounds(), "{ingress: [{from: [{ipBlock: {cidr: 203.0.113.7/32}}]}]}", ""},
		"inside two entries together":     {testBounds(), "{ingress: [{from: [{ipBlock: {cidr: 203.0.113.0/24}}]}]}", ""},
		"inside, v6":                      {testBounds(), "{ingress: [{from: [{ipBlock: {cidr: '2001:db8:12:7::/64'}}]}]}", ""},
		"outside":                         {testBounds(), "{ingress: [{from: [{ipBlock: {cidr: 203.0.112.0/23}}]}]}", "ingress with 203.0.112.0/23"},
		"outside but for except":          {testBounds(), "{ingress: [{from: [{ipBlock: {cidr: 0.0.0.0/0, except: [0.0.0.0/1, 128.0.0.0/1]}}]}]}", "ingress with 0.0.0.0/0"},
		"outside, v4 written as v6":       {testBounds(), "{ingress: [{from: [{ipBlock: {cidr: '::ffff:203.0.113.7/128'}}]}]}", "ingress with ::ffff:203.0.113.7/128"},
		"outside, not a network":          {testBounds(), "{ingress: [{from: [{ipBlock: {cidr: x}}]}]}", "ingress with x"},
		"the second rule":                 {testBounds(), "{ingress: [{from: [{podSelector: {}}]}, {from: [{ipBlock: {cidr: 10.0.0.0/8}}]}]}", "ingress with 10.0.0.0/8"},
		"ingress entry outwards":          {testBounds(), "{egress: [{to: [{ipBlock: {cidr: 203.0.113.7/32}}], ports: [{port: 443}]}]}", "egress with 203.0.113.7/32"},
		"associate":                       {testBounds(), "{egress: [{to: [{ipBlock: {cidr: 198.51.100.7/32}}], ports: [{port: 443}]}]}", ""},
		"associate, every port":           {testBounds(), "{egress: [{to: [{ipBlock: {cidr: 198.51.100.7/32}}]}]}", "egress to port TCP/2775 of a disabled channel"},
		"associate, a port by name":       {testBounds(), "{egress: [{to: [{ipBlock: {cidr: 198.51.100.7/32}}], ports: [{port: smpp}]}]}", "egress to port TCP/2775 of a disabled channel"},
		"associate, every port of UDP":    {testBounds(), "{egress: [{to: [{ipBlock: {cidr: 198.51.100.7/32}}], ports: [{protocol: UDP}]}]}", "egress to port UDP/5060 of a disabled channel"},
		"a range over a disabled port":    {testBounds(), "{egress: [{to: [{podSelector: {}}], ports: [{port: 2000, endPort: 3000}]}]}", "egress to port TCP/2775 of a disabled channel"},
		"a range up to a disabled port":   {testBounds(), "{egress: [{to: [{podSelector: {}}], ports: [{port: 2000, endPort: 2775}]}]}", "egress to port TCP/2775 of a disabled channel"},
		"a range below a disabled port":   {testBounds(), "{egress: [{to: [{podSelector: {}}], ports: [{port: 2000, endPort: 2774}]}]}", ""},
		"the same number, other protocol": {testBounds(), "{egress: [{to: [{podSelector: {}}], ports: [{port: 2775, protocol: SCTP}]}]}", ""},
		"own pods on every port":          {testBounds(), "{egress: [{to: [{podSelector: {}}]}]}", ""},
		"own namespaces":                  {testBounds(), "{egress: [{to: [{namespaceSelector: {matchLabels: {hipaatenant.dev/tenant: acme}}}]}]}", ""},
		"this namespace":                  {testBounds(), "{egress: [{to: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: acme-app}}}]}]}", ""},
		"every namespace":                 {testBounds(), "{egress: [{to: [{namespaceSelector: {}, podSelector: {}}]}]}", "egress with namespaces that may be another tenant's"},
		"another tenant":                  {testBounds(), "{ingress: [{from: [{namespaceSelector: {matchLabels: {hipaatenant.dev/tenant: other}}}]}]}", "ingress with namespaces that may be another tenant's"},
	} {
		t.Run(name, func(t *testing.T) {
			var spec networkingv1.NetworkPolicySpec
			if err := yaml.UnmarshalStrict([]byte(test.spec), &spec); err != nil {
				t.Fatal(err)
			}
			if got := test.bounds.beyond(spec); got != test.want {
				t.Errorf("want %q, got %q", test.want, got)
			}
		})
	}
}

func TestOutsider(t *testing.T) {
	for subject, want := range map[string]string{
		"{kind: Group, name: acme-devs}":                                      "",
		"{kind: User, name: dana}":                                            "",
		"{kind: ServiceAccount, name: app, namespace: acme-app}":              "",
		"{kind: User, name: 'system:serviceaccount:acme-app:app'}":            "",
		"{kind: User, name: 'system:anonymous'}":                              "everybody in system:anonymous",
		"{kind: Group, name: 'system:authenticated'}":                         "everybody in system:authenticated",
		"{kind: Group, name: 'system:unauthenticated'}":                       "everybody in system:unauthenticated",
		"{kind: Group, name: 'system:serviceaccounts'}":                       "everybody in system:serviceaccounts",
		"{kind: Group, name: 'system:serviceaccounts:other'}":                 "everybody in system:serviceaccounts:other",
		"{kind: Group, name: 'system:serviceaccounts:acme-app'}":              "",
		"{kind: ServiceAccount, name: app, namespace: other}":                 "service account other/app",
		"{kind: ServiceAccount, name: app}":                                   "service account /app",
		"{kind: User, name: 'system:serviceaccount:acme-app-2:app'}":          "service account system:serviceaccount:acme-app-2:app",
		"{kind: Group, name: 'system:masters', apiGroup: rbac.authorization}": "system:masters of the cluster itself",
	} {
		var s rbacv1.Subject
		if err := yaml.UnmarshalStrict([]byte(subject), &s); err != nil {
			t.Fatal(err)
		}
		fine := rbacv1.Subject{Kind: rbacv1.UserKind, Name: "dana"}
		if got := outsider("acme-app", []rbacv1.Subject{fine, s}); got != want {
			t.Errorf("%s: want %q, got %q", subject, want, got)
		}
	}
}

func TestDescribeNamesTheFirstFew(t *testing.T) {
	all := map[string]int{}
	for i := range 8 {
		all[fmt.Sprintf("p%d", i)] = i
	}
	got := describe(all, func(_ string, i int) string {
		if i == 0 {
			return ""
		}
		return "wide"
	})
	if text := strings.Join(got, "; "); text != "p1 (wide); p2 (wide); p3 (wide); p4 (wide); p5 (wide); and 2 more" {
		t.Error(text)
	}
}

// TestWhatIsNotTheOperatorsIsReported: the label alone makes nothing the operator's, and what it is about to write or to
// remove is no stranger.
func TestWhatIsNotTheOperatorsIsReported(t *testing.T) {
	wide := networkingv1.NetworkPolicySpec{Ingress: []networkingv1.NetworkPolicyIngressRule{{}}}
	everybody := []rbacv1.Subject{{Kind: rbacv1.GroupKind, Name: "system:authenticated"}}
	for name, test := range map[string]struct {
		strange func(Strangers)
		codes   string
	}{
		"nothing":                      {func(Strangers) {}, ""},
		"a wide policy":                {func(s Strangers) { s.Policies["x"] = wide }, CodeNetworkPolicyTooWide},
		"a policy it writes itself":    {func(s Strangers) { s.Policies[v1alpha1.PolicyAllowIngress] = wide }, ""},
		"its own, labelled":            {func(s Strangers) { s.Labelled[policyRef(v1alpha1.PolicyAllowIngress)] = true }, ""},
		"its own, about to be removed": {func(s Strangers) { s.Labelled[policyRef("remembered")] = true }, ""},
		"a policy that poses":          {func(s Strangers) { s.Labelled[policyRef("x")] = true }, CodeNetworkPolicyTooWide},
		"a wide binding":               {func(s Strangers) { s.Subjects["x"] = everybody }, CodeAccessTooWide},
		"a binding that poses": {func(s Strangers) {
			s.Labelled[v1alpha1.ObjectRef{Kind: kindRoleBinding, Namespace: "acme", Name: "x"}] = true
		}, CodeAccessTooWide},
		"both": {func(s Strangers) {
			s.Policies["x"] = wide
			s.Subjects["x"] = everybody
		}, CodeNetworkPolicyTooWide + " " + CodeAccessTooWide},
	} {
		t.Run(name, func(t *testing.T) {
			r := &resolved{tenant: &v1alpha1.HIPAATenant{}}
			r.tenant.Name = "acme"
			r.tenant.Status.Inventory = []v1alpha1.ObjectRef{policyRef("remembered")}
			p := newPlan()
			p.keep(policyRef(v1alpha1.PolicyAllowIngress))
			found := NewStrangers()
			test.strange(found)
			r.judgeStrangers("acme", r.bounds("acme", p.Gates["acme"]), Facts{Strangers: map[string]Strangers{"acme": found}}, p)
			var codes []string
			for _, f := range p.Findings {
				codes = append(codes, f.Code)
				if f.Severity != v1alpha1.SeverityWarning || !strings.Contains(f.Path, "namespace acme") {
					t.Errorf("want a warning about namespace acme, got %+v", f)
				}
			}
			if got := strings.Join(codes, " "); got != test.codes {
				t.Errorf("want %q, got %q", test.codes, got)
			}
		})
	}
}

func policyRef(name string) v1alpha1.ObjectRef {
	return v1alpha1.ObjectRef{Kind: kindNetworkPolicy, Namespace: "acme", Name: name}
}

// TestNothingThatPosesIsTakenOver: nobody could delete it afterwards, and the operator knows nothing of it.
func TestNothingThatPosesIsTakenOver(t *testing.T) {
	adopting := fixture.Tenant("acme", func(h *v1alpha1.HIPAATenant) {
		h.Spec.Namespaces = []v1alpha1.TenantNamespace{{Name: "acme", Adopt: true}}
	})
	for name, test := range map[string]struct {
		namespace Namespace
		found     v1alpha1.ObjectRef
		conflict  bool
	}{
		"a policy":               {Namespace{UID: "x"}, policyRef("x"), true},
		"a binding":              {Namespace{UID: "x"}, v1alpha1.ObjectRef{Kind: kindRoleBinding, Namespace: "acme", Name: "x"}, true},
		"in the tenant's own":    {Namespace{UID: "x", Labels: map[string]string{v1alpha1.LabelTenant: "acme"}}, policyRef("x"), false},
		"something of the quota": {Namespace{UID: "x"}, v1alpha1.ObjectRef{Kind: "ResourceQuota", Namespace: "acme", Name: "x"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			f := factsFor(fixture.Profile("default"))
			f.Namespaces = map[string]Namespace{"acme": test.namespace}
			found := NewStrangers()
			found.Labelled[test.found] = true
			f.Strangers = map[string]Strangers{"acme": found}
			p := Compile(adopting, f)
			if has(p, CodeNamespaceConflict) != test.conflict || p.Writable() == test.conflict {
				t.Errorf("conflict: want %v, got findings %v", test.conflict, p.Findings)
			}
		})
	}
}
