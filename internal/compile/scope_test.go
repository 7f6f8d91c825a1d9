package compile

import (
	"testing"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/test/fixture"
)

// TestScopeOfTheTenantsAgreement: it covers every service its profile is for, or nothing is provisioned, and a tenant that
// stands lapses.
func TestScopeOfTheTenantsAgreement(t *testing.T) {
	for name, tc := range map[string]struct {
		services, scope []string
		until           v1alpha1.Date
		want, message   string
	}{
		"a profile that compares nothing": {nil, nil, fixture.Expires, v1alpha1.ReasonInForce, "in force until 2036-01-15"},
		"the one product":                 {[]string{"crm"}, []string{"crm"}, fixture.Expires, v1alpha1.ReasonInForce, "in force until 2036-01-15"},
		"more than is used":               {[]string{"crm"}, []string{"desk", "crm"}, fixture.Expires, v1alpha1.ReasonInForce, "in force until 2036-01-15"},
		"another product":                 {[]string{"crm"}, []string{"desk"}, fixture.Expires, v1alpha1.ReasonOutOfScope, "does not cover service crm: its scope is desk"},
		"one of two":                      {[]string{"crm", "desk"}, []string{"crm"}, fixture.Expires, v1alpha1.ReasonOutOfScope, "does not cover service desk: its scope is crm"},
		"it says nothing":                 {[]string{"crm"}, nil, fixture.Expires, v1alpha1.ReasonOutOfScope, "does not cover service crm: its scope is nothing"},
		"and it ended":                    {[]string{"crm"}, []string{"desk"}, "2026-02-15", v1alpha1.ReasonExpired, "ended on 2026-02-15"},
	} {
		t.Run(name, func(t *testing.T) {
			f := factsFor(fixture.Profile("default", func(p *v1alpha1.HIPAAProfile) {
				p.Spec.Services, p.Spec.BAA = tc.services, &v1alpha1.BAARules{OnLapse: v1alpha1.LapseFreeze}
			}))
			tenant := fixture.Tenant("acme", func(t *v1alpha1.HIPAATenant) {
				t.UID, t.Spec.BAA.Scope, t.Spec.BAA.ExpiresOn = "u-acme", tc.scope, tc.until
			})
			p := Compile(tenant, f)
			if p.Agreement.Reason != tc.want || p.Agreement.Message != tc.message {
				t.Errorf("the verdict is %s: %s; want %s: %s", p.Agreement.Reason, p.Agreement.Message, tc.want, tc.message)
			}
			if p.Writable() != p.Agreement.InForce {
				t.Errorf("provisioned: %t, in force: %t; findings %v", p.Writable(), p.Agreement.InForce, p.Findings)
			}
			f.Namespaces["acme"] = standing("acme", "u-acme", v1alpha1.GateOpen)
			if lapsed := has(Compile(tenant, f), CodeBAALapsed); lapsed == p.Agreement.InForce {
				t.Errorf("a tenant that stands lapsed: %t; in force: %t", lapsed, p.Agreement.InForce)
			}
		})
	}
}

// TestScopeOfAVendorsAgreement: a vendor that renders what its own agreement does not cover is not reached, nor is who
// depends on it. One whose agreement names no services is not limited by it.
func TestScopeOfAVendorsAgreement(t *testing.T) {
	for name, tc := range map[string]struct {
		services, scope []string
		want, message   string
	}{
		"covered":             {[]string{"claims"}, []string{"billing", "claims"}, v1alpha1.ReasonInForce, ""},
		"it names nothing":    {[]string{"claims"}, nil, v1alpha1.ReasonInForce, ""},
		"nothing is rendered": {nil, []string{"claims"}, v1alpha1.ReasonInForce, ""},
		"another service": {[]string{"claims"}, []string{"billing"}, v1alpha1.ReasonOutOfScope,
			"its agreement does not cover service claims: its scope is billing"},
	} {
		vendor := fixture.Associate("vendor", func(a *v1alpha1.BusinessAssociate) { a.Spec.Services, a.Spec.BAA.Scope = tc.services, tc.scope })
		reseller := fixture.Associate("reseller", func(a *v1alpha1.BusinessAssociate) { a.Spec.Subcontractors = []v1alpha1.Name{"vendor"} })
		all := factsFor(nil, vendor, reseller).Associates
		v := JudgeAssociate(vendor, all, 0, noon)
		if v.Reason != tc.want || (tc.message != "" && v.Message != tc.message) {
			t.Errorf("%s: %s: %s; want %s: %s", name, v.Reason, v.Message, tc.want, tc.message)
		}
		if above := JudgeAssociate(reseller, all, 0, noon); above.InForce != v.InForce {
			t.Errorf("%s: in force: %t, who depends on it: %t", name, v.InForce, above.InForce)
		}
	}
}
