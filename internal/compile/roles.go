package compile

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
)

func (r *resolved) resolveRoles(f Facts, p *Plan) {
	own := NamespaceNames(r.tenant)
	for i, grant := range r.tenant.Spec.Roles {
		for j, s := range grant.Subjects {
			if s.Namespace != "" && !slices.Contains(own, string(s.Namespace)) {
				p.find(v1alpha1.SeverityError, CodeSubjectOutsideTenant, fmt.Sprintf("spec.roles[%d].subjects[%d]", i, j),
					"service account %s/%s is not in a namespace of the tenant: %s", s.Namespace, s.Name, strings.Join(own, ", "))
			}
		}
		if grant.ExpiresOn == "" {
			continue
		}
		p.wake(f.Now, grant.ExpiresOn.Time())
		if expired(grant, f.Now) {
			p.find(v1alpha1.SeverityInfo, CodeGrantExpired, fmt.Sprintf("spec.roles[%d]", i),
				"the grant of %s expired on %s and is not bound", grant.Role, grant.ExpiresOn)
		}
	}
	r.judgeHoldings(f.Now, p)
}

// holding is a role that a grant in force gives a subject.
type holding struct {
	grant   int
	subject int
}

func (h holding) path() string { return fmt.Sprintf("spec.roles[%d].subjects[%d]", h.grant, h.subject) }

// judgeHoldings looks for subjects that hold more than a reader of one grant would think: a role twice, of which the later end
// counts, and the role that looks on beside one that acts (45 CFR 164.308(a)(3)(ii)(B), 164.312(a)(2)(i)). Whether two people
// share one name, no cluster can know.
func (r *resolved) judgeHoldings(now time.Time, p *Plan) {
	held := map[v1alpha1.Subject]map[v1alpha1.Role]holding{}
	for i, grant := range r.tenant.Spec.Roles {
		if expired(grant, now) {
			continue
		}
		for j, s := range grant.Subjects {
			roles := held[s]
			if roles == nil {
				roles = map[v1alpha1.Role]holding{}
				held[s] = roles
			}
			if first, twice := roles[grant.Role]; twice {
				p.find(v1alpha1.SeverityInfo, CodeGrantedTwice, holding{i, j}.path(),
					"%s %s holds %s by %s as well, and whichever ends last counts: name it once", s.Kind, s.Name, grant.Role, first.path())
				continue
			}
			roles[grant.Role] = holding{i, j}
			r.judgeAuditor(s, grant.Role, roles, p)
		}
	}
}

// judgeAuditor says when a subject that got one role holds both an auditor's and one whose doings an auditor looks at.
func (r *resolved) judgeAuditor(s v1alpha1.Subject, got v1alpha1.Role, roles map[v1alpha1.Role]holding, p *Plan) {
	for _, other := range []v1alpha1.Role{v1alpha1.RoleAuditor, v1alpha1.RoleDeveloper, v1alpha1.RoleOperator} {
		at, both := roles[other]
		if !both || other == got || (other != v1alpha1.RoleAuditor && got != v1alpha1.RoleAuditor) {
			continue
		}
		p.find(v1alpha1.SeverityWarning, CodeAuditorActs, roles[got].path(),
			"%s %s holds %s, and %s by %s: who audits does not do what is audited; take one of the two away", s.Kind, s.Name, got, other, at.path())
	}
}

func expired(g v1alpha1.RoleGrant, now time.Time) bool {
	return g.ExpiresOn != "" && !now.Before(g.ExpiresOn.Time())
}
