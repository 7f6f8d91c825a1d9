package compile

import (
	"fmt"
	"slices"
	"strings"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	acmeta "k8s.io/client-go/applyconfigurations/meta/v1"
	acrbac "k8s.io/client-go/applyconfigurations/rbac/v1"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
)

// approvalWindow is how long a request waits for approval: one that was forgotten must not let anybody in weeks later.
const approvalWindow = 24 * time.Hour

// EmergencyVerdict says what holds for an EmergencyAccess at one moment.
type EmergencyVerdict struct {
	// Active: the requester is to be let in.
	Active bool
	// Over: it was active, or asked for what is never granted, and does not begin again.
	Over bool
	// Reason and Message of condition Active.
	Reason, Message string
	// ApprovedAt and ExpiresAt of an active access, and of one that was.
	ApprovedAt, ExpiresAt time.Time
	// Next is when to look again; zero when only a change can matter.
	Next time.Time
}

// JudgeEmergency decides about an access (45 CFR 164.312(a)(2)(ii)). The tenant, or its profile, is nil when there is
// none. Once over, an access stays over: its status remembers, so neither a clock that goes back nor a changed profile
// opens it again.
func JudgeEmergency(e *v1alpha1.EmergencyAccess, t *v1alpha1.HIPAATenant, p *v1alpha1.HIPAAProfile, now time.Time) EmergencyVerdict {
	if e.Status.EndedAt != nil {
		return ended(e)
	}
	if reason, message := impossible(e, t, p); reason != "" {
		return EmergencyVerdict{Over: reason != v1alpha1.ReasonNotPossible, Reason: reason, Message: message}.since(e)
	}
	limit := p.Spec.EmergencyAccess.MaxDuration.Value()
	if e.Annotations[v1alpha1.AnnotationApprove] != "true" {
		return unapproved(e, now)
	}
	if reason := mayNotApprove(e, p.Spec.EmergencyAccess.Approvers); reason != "" {
		return EmergencyVerdict{Over: true, Reason: v1alpha1.ReasonDenied, Message: reason}.since(e)
	}
	at := now
	if e.Status.ApprovedAt != nil {
		at = e.Status.ApprovedAt.Time
	} else if late := e.CreationTimestamp.Add(approvalWindow); now.After(late) {
		return unapproved(e, now)
	}
	until := at.Add(min(e.Spec.Duration.Value(), limit))
	v := EmergencyVerdict{ApprovedAt: at, ExpiresAt: until}
	if !now.Before(until) {
		v.Over, v.Reason, v.Message = true, v1alpha1.ReasonExpired, fmt.Sprintf("the access of %s ended", requester(e))
		return v
	}
	v.Active, v.Reason, v.Next = true, v1alpha1.ReasonGranted, until
	v.Message = fmt.Sprintf("%s is let in as %s until status.expiresAt, approved by %s; delete this object to end it now",
		requester(e), e.Spec.Role, e.Annotations[v1alpha1.AnnotationApprovedBy])
	return v
}

// since keeps the times of an access that was active before.
func (v EmergencyVerdict) since(e *v1alpha1.EmergencyAccess) EmergencyVerdict {
	if e.Status.ApprovedAt != nil && e.Status.ExpiresAt != nil {
		v.Over = true
		v.ApprovedAt, v.ExpiresAt = e.Status.ApprovedAt.Time, e.Status.ExpiresAt.Time
	}
	return v
}

// ended repeats what the status says.
func ended(e *v1alpha1.EmergencyAccess) EmergencyVerdict {
	v := EmergencyVerdict{Over: true, Reason: v1alpha1.ReasonExpired}
	if i := slices.IndexFunc(e.Status.Conditions, func(c metav1.Condition) bool { return c.Type == v1alpha1.ConditionActive }); i >= 0 {
		v.Reason, v.Message = e.Status.Conditions[i].Reason, e.Status.Conditions[i].Message
	}
	return v.since(e)
}

// impossible says why nobody could be let in, approved or not.
func impossible(e *v1alpha1.EmergencyAccess, t *v1alpha1.HIPAATenant, p *v1alpha1.HIPAAProfile) (reason, message string) {
	switch {
	case e.DeletionTimestamp != nil:
		return v1alpha1.ReasonExpired, "this object is being deleted"
	case t != nil && t.DeletionTimestamp != nil:
		return v1alpha1.ReasonTenantGone, fmt.Sprintf("HIPAATenant %s is being deleted", e.Spec.Tenant)
	case e.Status.ApprovedAt != nil && (t == nil || t.UID != e.Status.TenantUID):
		return v1alpha1.ReasonTenantGone, fmt.Sprintf("HIPAATenant %s was deleted", e.Spec.Tenant)
	case t == nil:
		return v1alpha1.ReasonNotPossible, fmt.Sprintf("there is no HIPAATenant %s", e.Spec.Tenant)
	case p == nil:
		return v1alpha1.ReasonNotPossible, fmt.Sprintf("there is no HIPAAProfile %s, which HIPAATenant %s uses", ProfileName(t), t.Name)
	case p.Spec.EmergencyAccess == nil:
		return v1alpha1.ReasonNotPossible, fmt.Sprintf("HIPAAProfile %s has no spec.emergencyAccess: nobody may approve", p.Name)
	case e.Status.ApprovedAt == nil && e.Spec.Duration.Value() > p.Spec.EmergencyAccess.MaxDuration.Value():
		return v1alpha1.ReasonDenied, fmt.Sprintf("duration %s is above emergencyAccess.maxDuration %s of HIPAAProfile %s; ask anew for less",
			e.Spec.Duration, p.Spec.EmergencyAccess.MaxDuration, p.Name)
	}
	return mayNotAsk(e)
}

// mayNotAsk says why nobody is let in for this requester.
func mayNotAsk(e *v1alpha1.EmergencyAccess) (reason, message string) {
	if requester(e) == "" {
		return v1alpha1.ReasonDenied, "nobody stamped who asked for it: admission policy hipaatenant-emergency was not in force; ask anew"
	}
	if strings.HasPrefix(requester(e), "system:") {
		return v1alpha1.ReasonDenied, fmt.Sprintf("%s is not a person (45 CFR 164.312(a)(2)(i)); let a person ask", requester(e))
	}
	return "", ""
}

func unapproved(e *v1alpha1.EmergencyAccess, now time.Time) EmergencyVerdict {
	deadline := e.CreationTimestamp.Add(approvalWindow)
	if now.After(deadline) {
		return EmergencyVerdict{Over: true, Reason: v1alpha1.ReasonNotApprovedInTime, Message: "nobody approved it within 24h; ask anew"}.since(e)
	}
	if e.Status.ApprovedAt != nil {
		return EmergencyVerdict{Reason: v1alpha1.ReasonDenied, Message: "its approval was taken back"}.since(e)
	}
	return EmergencyVerdict{
		Reason: v1alpha1.ReasonAwaitingApproval, Next: deadline.Add(time.Second),
		Message: fmt.Sprintf("it waits for an approver of the profile, other than %s who asked, to set annotation %s to \"true\"", requester(e), v1alpha1.AnnotationApprove),
	}
}

// mayNotApprove says why the approval does not count; empty when it does.
func mayNotApprove(e *v1alpha1.EmergencyAccess, approvers []v1alpha1.Subject) string {
	by := e.Annotations[v1alpha1.AnnotationApprovedBy]
	groups := strings.Split(e.Annotations[v1alpha1.AnnotationApprovedByGroups], "\n")
	switch by {
	case "":
		return "nobody stamped who approved it: admission policy hipaatenant-emergency was not in force; ask anew"
	case requester(e):
		return fmt.Sprintf("%s asked for it and approved it; a second person is needed", by)
	}
	for _, a := range approvers {
		switch a.Kind {
		case rbacv1.UserKind:
			if a.Name == by {
				return ""
			}
		case rbacv1.GroupKind:
			if slices.Contains(groups, a.Name) {
				return ""
			}
		case rbacv1.ServiceAccountKind:
			if by == "system:serviceaccount:"+string(a.Namespace)+":"+a.Name {
				return ""
			}
		}
	}
	return fmt.Sprintf("%s is not among emergencyAccess.approvers of the profile; ask anew, and let one of them approve", by)
}

func requester(e *v1alpha1.EmergencyAccess) string {
	return e.Annotations[v1alpha1.AnnotationRequestedBy]
}

// EmergencyBindings are the RoleBindings of an active access in one namespace: the role, and what reaches into pods. They
// are owned by the EmergencyAccess, so that deleting it takes them away even while the operator is down.
func EmergencyBindings(e *v1alpha1.EmergencyAccess, namespace string) []*acrbac.RoleBindingApplyConfiguration {
	role := strings.ToLower(string(e.Spec.Role))
	// A dot is in no name of an EmergencyAccess, so no two accesses share a name.
	bindings := []*acrbac.RoleBindingApplyConfiguration{emergencyBinding(e, namespace, "."+role, v1alpha1.ClusterRolePrefix+role)}
	if e.Spec.Role != "Auditor" {
		bindings = append(bindings, emergencyBinding(e, namespace, "", v1alpha1.ClusterRoleEmergency))
	}
	return bindings
}

func emergencyBinding(e *v1alpha1.EmergencyAccess, namespace, suffix, clusterRole string) *acrbac.RoleBindingApplyConfiguration {
	labels := managedLabels(string(e.Spec.Tenant))
	labels[v1alpha1.LabelEmergency] = e.Name
	return acrbac.RoleBinding(v1alpha1.EmergencyBindingPrefix+e.Name+suffix, namespace).
		WithLabels(labels).
		WithOwnerReferences(acmeta.OwnerReference().WithAPIVersion(v1alpha1.SchemeGroupVersion.String()).
			WithKind("EmergencyAccess").WithName(e.Name).WithUID(e.UID)).
		WithRoleRef(acrbac.RoleRef().WithAPIGroup(rbacv1.GroupName).WithKind("ClusterRole").WithName(clusterRole)).
		WithSubjects(acrbac.Subject().WithKind(rbacv1.UserKind).WithAPIGroup(rbacv1.GroupName).WithName(requester(e)))
}
