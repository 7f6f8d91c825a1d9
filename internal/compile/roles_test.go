package compile

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/test/fixture"
)

// TestHoldings: who holds a role twice, or audits what they do, is told; what has expired is held by nobody.
func TestHoldings(t *testing.T) {
	dana, devs := v1alpha1.Subject{Kind: "User", Name: "dana"}, v1alpha1.Subject{Kind: "Group", Name: "dana"}
	ci, other := v1alpha1.Subject{Kind: "ServiceAccount", Name: "ci", Namespace: "acme"}, v1alpha1.Subject{Kind: "ServiceAccount", Name: "cd", Namespace: "acme"}
	grant := func(role v1alpha1.Role, until v1alpha1.Date, subjects ...v1alpha1.Subject) v1alpha1.RoleGrant {
		return v1alpha1.RoleGrant{Role: role, ExpiresOn: until, Subjects: subjects}
	}
	for name, tc := range map[string]struct {
		roles []v1alpha1.RoleGrant
		want  string
	}{
		"one role each":                {[]v1alpha1.RoleGrant{grant("Developer", "", dana, ci, other), grant("Auditor", "", devs)}, ""},
		"a user and a group are two":   {[]v1alpha1.RoleGrant{grant("Operator", "", dana), grant("Auditor", "", devs)}, ""},
		"develops and operates":        {[]v1alpha1.RoleGrant{grant("Developer", "", dana), grant("Operator", "", dana)}, ""},
		"audits and operates":          {[]v1alpha1.RoleGrant{grant("Operator", "", dana), grant("Auditor", "", devs, dana)}, "Warning AuditorActs spec.roles[1].subjects[1]"},
		"audits, then develops":        {[]v1alpha1.RoleGrant{grant("Auditor", "", ci), grant("Developer", "", ci)}, "Warning AuditorActs spec.roles[1].subjects[0]"},
		"audits no longer":             {[]v1alpha1.RoleGrant{grant("Auditor", "2026-11-21", ci), grant("Developer", "", ci)}, ""},
		"audits until tomorrow":        {[]v1alpha1.RoleGrant{grant("Auditor", "2026-11-22", ci), grant("Developer", "", ci)}, "Warning AuditorActs spec.roles[1].subjects[0]"},
		"twice, with different ends":   {[]v1alpha1.RoleGrant{grant("Auditor", "2027-01-01", dana), grant("Auditor", "", dana)}, "Info GrantedTwice spec.roles[1].subjects[0]"},
		"twice in one grant":           {[]v1alpha1.RoleGrant{grant("Auditor", "", dana, dana)}, "Info GrantedTwice spec.roles[0].subjects[1]"},
		"twice, and the first is over": {[]v1alpha1.RoleGrant{grant("Auditor", "2026-01-01", dana), grant("Auditor", "", dana)}, ""},
		"all three": {
			[]v1alpha1.RoleGrant{grant("Developer", "", dana), grant("Operator", "", dana), grant("Auditor", "", dana)},
			"Warning AuditorActs spec.roles[2].subjects[0]; Warning AuditorActs spec.roles[2].subjects[0]",
		},
	} {
		p := Compile(fixture.Tenant("acme", func(h *v1alpha1.HIPAATenant) { h.Spec.Roles = tc.roles }), factsFor(fixture.Profile("default")))
		var got []string
		for _, f := range p.Findings {
			if f.Code == CodeGrantedTwice || f.Code == CodeAuditorActs {
				got = append(got, fmt.Sprintf("%s %s %s", f.Severity, f.Code, f.Path))
			}
		}
		if text := strings.Join(got, "; "); text != tc.want || !p.Writable() {
			t.Errorf("%s: found %q, want %q; writable %t", name, text, tc.want, p.Writable())
		}
	}
}
