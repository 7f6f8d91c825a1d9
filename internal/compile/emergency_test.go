package compile

import (
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/test/fixture"
)

var asked = time.Date(2026, time.November, 21, 12, 0, 0, 0, time.UTC)

// emergency is what ana asked for and ben, an officer, approved.
func emergency(change ...func(*v1alpha1.EmergencyAccess)) *v1alpha1.EmergencyAccess {
	e := &v1alpha1.EmergencyAccess{
		ObjectMeta: metav1.ObjectMeta{Name: "inc", UID: "u-inc", CreationTimestamp: metav1.NewTime(asked), Annotations: map[string]string{
			v1alpha1.AnnotationRequestedBy: "ana", v1alpha1.AnnotationApprove: "true",
			v1alpha1.AnnotationApprovedBy: "ben", v1alpha1.AnnotationApprovedByGroups: "staff\nofficers",
		}},
		Spec: v1alpha1.EmergencyAccessSpec{Tenant: "acme", Role: "Operator", Reason: "INC-4711 claims", Duration: "1h"},
	}
	for _, c := range change {
		c(e)
	}
	return e
}

func stamped(key, value string) func(*v1alpha1.EmergencyAccess) {
	return func(e *v1alpha1.EmergencyAccess) { e.Annotations[key] = value }
}

// begun is an access that was granted an hour after it was asked for.
func begun(e *v1alpha1.EmergencyAccess) {
	e.Status.TenantUID = "u-acme"
	e.Status.ApprovedAt, e.Status.ExpiresAt = new(metav1.NewTime(asked.Add(time.Hour))), new(metav1.NewTime(asked.Add(2*time.Hour)))
}

func TestJudgeEmergency(t *testing.T) {
	officers := func(p *v1alpha1.HIPAAProfile) {
		p.Spec.EmergencyAccess = &v1alpha1.EmergencyAccessRules{MaxDuration: "2h", Approvers: []v1alpha1.Subject{
			{Kind: "Group", Name: "officers"}, {Kind: "User", Name: "cleo"}, {Kind: "ServiceAccount", Namespace: "ops", Name: "pager"},
		}}
	}
	profile := fixture.Profile("default", officers)
	tenant := fixture.Tenant("acme", func(h *v1alpha1.HIPAATenant) { h.UID = "u-acme" })
	leaving := tenant.DeepCopy()
	leaving.DeletionTimestamp = new(metav1.NewTime(asked))
	another := tenant.DeepCopy()
	another.UID = "u-second"
	short := profile.DeepCopy()
	short.Spec.EmergencyAccess.MaxDuration = "30m"
	soon, hour := asked.Add(time.Minute), asked.Add(time.Hour)

	for name, c := range map[string]struct {
		access  *v1alpha1.EmergencyAccess
		tenant  *v1alpha1.HIPAATenant
		profile *v1alpha1.HIPAAProfile
		now     time.Time
		want    string
		says    string
	}{
		"approved by an officer":           {emergency(), tenant, profile, soon, "Granted", "ana is let in as Operator"},
		"approved by a named person":       {emergency(stamped(v1alpha1.AnnotationApprovedBy, "cleo"), stamped(v1alpha1.AnnotationApprovedByGroups, "")), tenant, profile, soon, "Granted", ""},
		"approved by an account":           {emergency(stamped(v1alpha1.AnnotationApprovedBy, "system:serviceaccount:ops:pager"), stamped(v1alpha1.AnnotationApprovedByGroups, "")), tenant, profile, soon, "Granted", ""},
		"approved by an outsider":          {emergency(stamped(v1alpha1.AnnotationApprovedByGroups, "staff")), tenant, profile, soon, "Denied over", "ben is not among"},
		"a group that begins alike":        {emergency(stamped(v1alpha1.AnnotationApprovedByGroups, "officers-of-others")), tenant, profile, soon, "Denied over", "ben is not among"},
		"approved by the requester":        {emergency(stamped(v1alpha1.AnnotationApprovedBy, "ana")), tenant, profile, soon, "Denied over", "a second person"},
		"nobody stamped the approval":      {emergency(stamped(v1alpha1.AnnotationApprovedBy, "")), tenant, profile, soon, "Denied over", "was not in force"},
		"nobody stamped the request":       {emergency(stamped(v1alpha1.AnnotationRequestedBy, "")), tenant, profile, soon, "Denied over", "was not in force"},
		"asked by an account":              {emergency(stamped(v1alpha1.AnnotationRequestedBy, "system:serviceaccount:a:b")), tenant, profile, soon, "Denied over", "is not a person"},
		"not approved":                     {emergency(stamped(v1alpha1.AnnotationApprove, "")), tenant, profile, soon, "AwaitingApproval", "other than ana"},
		"approved with another word":       {emergency(stamped(v1alpha1.AnnotationApprove, "yes")), tenant, profile, soon, "AwaitingApproval", ""},
		"not approved within a day":        {emergency(stamped(v1alpha1.AnnotationApprove, "")), tenant, profile, asked.Add(25 * time.Hour), "NotApprovedInTime over", ""},
		"approved after a day":             {emergency(), tenant, profile, asked.Add(25 * time.Hour), "NotApprovedInTime over", ""},
		"no tenant":                        {emergency(), nil, nil, soon, "NotPossible", "there is no HIPAATenant acme"},
		"no profile":                       {emergency(), tenant, nil, soon, "NotPossible", "there is no HIPAAProfile default"},
		"a profile without approvers":      {emergency(), tenant, fixture.Profile("default"), soon, "NotPossible", "nobody may approve"},
		"a tenant that is deleted":         {emergency(), leaving, profile, soon, "TenantGone over", "being deleted"},
		"above the maximum":                {emergency(), tenant, short, soon, "Denied over", "above emergencyAccess.maxDuration 30m"},
		"begun":                            {emergency(begun), tenant, profile, hour.Add(59 * time.Minute), "Granted", ""},
		"begun, on a clock that went back": {emergency(begun), tenant, profile, asked.Add(-time.Hour), "Granted", ""},
		"begun, at its end":                {emergency(begun), tenant, profile, hour.Add(time.Hour), "Expired over", "the access of ana ended"},
		"begun, maximum lowered":           {emergency(begun), tenant, short, hour.Add(31 * time.Minute), "Expired over", ""},
		"begun, approver dismissed":        {emergency(begun, stamped(v1alpha1.AnnotationApprovedByGroups, "staff")), tenant, profile, hour, "Denied over", ""},
		"begun, approval taken back":       {emergency(begun, stamped(v1alpha1.AnnotationApprove, "")), tenant, profile, hour, "Denied over", "taken back"},
		"begun, tenant gone":               {emergency(begun), nil, nil, hour, "TenantGone over", ""},
		"begun, another of the name":       {emergency(begun), another, profile, hour, "TenantGone over", ""},
		"begun, profile gone":              {emergency(begun), tenant, nil, hour, "NotPossible over", ""},
		"over, and the clock went back":    {emergency(begun, func(e *v1alpha1.EmergencyAccess) { e.Status.EndedAt = new(metav1.NewTime(hour)) }), tenant, profile, soon, "Expired over", ""},
		"being deleted":                    {emergency(begun, func(e *v1alpha1.EmergencyAccess) { e.DeletionTimestamp = new(metav1.NewTime(hour)) }), tenant, profile, hour, "Expired over", "being deleted"},
	} {
		v := JudgeEmergency(c.access, c.tenant, c.profile, c.now)
		got := v.Reason
		if v.Over {
			got += " over"
		}
		if got != c.want || v.Active != (c.want == "Granted") || !strings.Contains(v.Message, c.says) {
			t.Errorf("%s: %s, active %t, %q; want %s, %q", name, got, v.Active, v.Message, c.want, c.says)
		}
		if v.Active && (!v.Next.Equal(v.ExpiresAt) || v.ExpiresAt.Sub(v.ApprovedAt) != time.Hour) {
			t.Errorf("%s: from %s until %s, looked at again %s; want an hour, and the end", name, v.ApprovedAt, v.ExpiresAt, v.Next)
		}
	}
}

func TestEmergencyBindings(t *testing.T) {
	names := func(role v1alpha1.Role) (out []string) {
		for _, b := range EmergencyBindings(emergency(func(e *v1alpha1.EmergencyAccess) { e.Spec.Role = role }), "acme-app") {
			out = append(out, *b.Name+" "+*b.RoleRef.Name)
			if len(b.Subjects) != 1 || *b.Subjects[0].Name != "ana" || *b.Subjects[0].Kind != "User" || *b.Namespace != "acme-app" {
				t.Errorf("%s binds %+v in %s; want ana alone, in acme-app", *b.Name, b.Subjects, *b.Namespace)
			}
			if len(b.OwnerReferences) != 1 || *b.OwnerReferences[0].UID != "u-inc" || b.Labels[v1alpha1.LabelEmergency] != "inc" {
				t.Errorf("%s: owners %+v, labels %v; want the access", *b.Name, b.OwnerReferences, b.Labels)
			}
		}
		return out
	}
	for role, want := range map[v1alpha1.Role][]string{
		"Operator":  {"hipaa-emergency-inc.operator hipaatenant-operator", "hipaa-emergency-inc hipaatenant-emergency"},
		"Developer": {"hipaa-emergency-inc.developer hipaatenant-developer", "hipaa-emergency-inc hipaatenant-emergency"},
		"Auditor":   {"hipaa-emergency-inc.auditor hipaatenant-auditor"},
	} {
		if got := names(role); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", role, got, want)
		}
	}
}
