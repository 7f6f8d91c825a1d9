package status

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/compile"
)

const (
	yes     = metav1.ConditionTrue
	no      = metav1.ConditionFalse
	unknown = metav1.ConditionUnknown
)

func namespacesReady(in Inputs, s v1alpha1.HIPAATenantStatus) metav1.Condition {
	const kind = v1alpha1.ConditionNamespacesReady
	if f, found := finding(in.Plan, compile.CodeNamespaceConflict, compile.CodeNamespaceReserved); found {
		return condition(kind, no, v1alpha1.ReasonNamespaceConflict, f.Message)
	}
	if c, failed := failure(in, kind, "Namespace"); failed {
		return c
	}
	reasons := map[v1alpha1.Gate]string{
		v1alpha1.GateFrozen:      v1alpha1.ReasonFrozen,
		v1alpha1.GateQuarantined: v1alpha1.ReasonQuarantined,
	}
	for _, name := range compile.NamespaceNames(in.Tenant) {
		at := slices.IndexFunc(s.Namespaces, func(n v1alpha1.NamespaceStatus) bool { return n.Name == name })
		if at < 0 {
			return condition(kind, no, v1alpha1.ReasonNotProvisioned, fmt.Sprintf("namespace %s is not there yet", name))
		}
		gate := s.Namespaces[at].Gate
		if gate == "" {
			return condition(kind, no, v1alpha1.ReasonLocked, fmt.Sprintf("namespace %s lost the labels and facts that guard it; they are not back yet", name))
		}
		if gate != v1alpha1.GateOpen {
			reason, known := reasons[gate]
			if !known {
				reason = v1alpha1.ReasonLocked
			}
			return condition(kind, no, reason, fmt.Sprintf("namespace %s is %s and admits no new workloads", name, gate))
		}
	}
	return condition(kind, yes, v1alpha1.ReasonEnforced, fmt.Sprintf("%d namespaces open", len(compile.NamespaceNames(in.Tenant))))
}

func admissionEnforced(in Inputs, _ v1alpha1.HIPAATenantStatus) metav1.Condition {
	const kind = v1alpha1.ConditionAdmissionEnforced
	if len(in.AdmissionProblems) > 0 {
		return condition(kind, no, v1alpha1.ReasonPoliciesMissing, strings.Join(in.AdmissionProblems, "; "))
	}
	return condition(kind, yes, v1alpha1.ReasonEnforced, "the API server holds every admission policy as shipped")
}

func placementEnforced(in Inputs, _ v1alpha1.HIPAATenantStatus) metav1.Condition {
	const kind = v1alpha1.ConditionPlacementEnforced
	if len(in.AdmissionProblems) > 0 {
		return condition(kind, no, v1alpha1.ReasonPoliciesMissing, "without the admission policies pods can be placed anywhere")
	}
	if c, failed := failure(in, kind, "Namespace"); failed {
		return c
	}
	for _, outside := range []struct{ code, reason string }{
		{compile.CodePodsMisplaced, v1alpha1.ReasonPodsMisplaced},
		{compile.CodeVolumesOutsideRegions, v1alpha1.ReasonVolumesOutsideRegions},
	} {
		if f, found := finding(in.Plan, outside.code); found {
			return condition(kind, no, outside.reason, f.Message)
		}
	}
	if !in.Plan.Writable() || in.Applied == nil {
		return placedAsBefore(in)
	}
	if f, found := finding(in.Plan, compile.CodeRegionWithoutNodes); found {
		return condition(kind, yes, v1alpha1.ReasonRegionWithoutNodes, f.Message)
	}
	return condition(kind, yes, v1alpha1.ReasonEnforced, "pods run in "+orNowhere(in.Plan.Effective.Regions))
}

// placedAsBefore is the condition when the plan was not applied. What admission keeps new pods to is as before; that
// something was found outside is no longer so.
func placedAsBefore(in Inputs) metav1.Condition {
	const kind = v1alpha1.ConditionPlacementEnforced
	was := meta.FindStatusCondition(in.Tenant.Status.Conditions, kind)
	if was != nil && was.Status == yes && in.Plan.Kept != nil && in.Applied.clean() {
		return condition(kind, yes, v1alpha1.ReasonEnforced, "new pods are let into "+orNowhere(in.Plan.Kept.Regions))
	}
	outside := []string{v1alpha1.ReasonPodsMisplaced, v1alpha1.ReasonVolumesOutsideRegions}
	if was == nil || !slices.Contains(outside, was.Reason) || in.Plan.Agreement.Reason == "" {
		return kept(in, kind)
	}
	return condition(kind, unknown, v1alpha1.ReasonProgressing, "nothing is found outside the regions any more; new pods are placed as they were before")
}

func accessBound(in Inputs, _ v1alpha1.HIPAATenantStatus) metav1.Condition {
	c := standing(in, v1alpha1.ConditionAccessBound, "RoleBinding.rbac.authorization.k8s.io", "the role bindings stand")
	if f, found := finding(in.Plan, compile.CodeAccessTooWide); found && c.Status == yes {
		return condition(c.Type, no, v1alpha1.ReasonAccessTooWide, f.Path+": "+f.Message)
	}
	return c
}

// standing is the condition of a kind of object that either stands or does not.
func standing(in Inputs, kind, object, message string) metav1.Condition {
	if c, failed := failure(in, kind, object); failed {
		return c
	}
	if !in.honoured() {
		return kept(in, kind)
	}
	return condition(kind, yes, v1alpha1.ReasonEnforced, message)
}

// failure is the condition when an object of that kind could not be written.
func failure(in Inputs, kind, object string) (metav1.Condition, bool) {
	if in.Applied == nil {
		return metav1.Condition{}, false
	}
	var lines []string
	for ref, err := range in.Applied.Failed {
		if ref.Kind == object {
			lines = append(lines, fmt.Sprintf("%s/%s: %v", ref.Namespace, ref.Name, err))
		}
	}
	if len(lines) == 0 {
		return metav1.Condition{}, false
	}
	slices.Sort(lines)
	return condition(kind, no, v1alpha1.ReasonFailed, strings.Join(lines, "; ")), true
}

// kept leaves a condition as it is when the plan was not applied: what was enforced before stays enforced. Where
// nothing was ever enforced it says so.
func kept(in Inputs, kind string) metav1.Condition {
	if meta.FindStatusCondition(in.Tenant.Status.Conditions, kind) != nil {
		return metav1.Condition{}
	}
	return condition(kind, no, v1alpha1.ReasonNotProvisioned, "nothing has been provisioned yet")
}

// conclude derives Ready, Reconciling and Stalled from the other conditions.
func conclude(s *v1alpha1.HIPAATenantStatus, in Inputs) {
	switch {
	case in.Plan.Invalid():
		reason, message := invalidReason(in.Plan)
		set(s, in, condition(v1alpha1.ConditionReady, no, reason, message))
		set(s, in, condition(v1alpha1.ConditionStalled, yes, reason, message))
		meta.RemoveStatusCondition(&s.Conditions, v1alpha1.ConditionReconciling)
		return
	case in.Err != nil:
		progress(s, in, v1alpha1.ReasonFailed, in.Err.Error())
	case len(in.Plan.Waiting) > 0:
		progress(s, in, v1alpha1.ReasonWaiting, waitingMessage(in.Plan))
	default:
		settle(s, in)
	}
	meta.RemoveStatusCondition(&s.Conditions, v1alpha1.ConditionStalled)
}

// settle is for a plan that was applied without an error: Ready is the conjunction of its conditions.
func settle(s *v1alpha1.HIPAATenantStatus, in Inputs) {
	c := condition(v1alpha1.ConditionReady, yes, v1alpha1.ReasonReady, "isolated, placed, encrypted and bound as the spec asks")
	if e := meta.FindStatusCondition(s.Conditions, v1alpha1.ConditionEncryptionReady); e != nil && e.Status != yes {
		c.Message += "; Secrets in etcd are another matter: see EncryptionReady"
	}
	if d := meta.FindStatusCondition(s.Conditions, v1alpha1.ConditionConfigDelivered); d != nil && d.Reason != v1alpha1.ReasonEnforced {
		c.Message += "; not every pod is known to have the settings in force: see ConfigDelivered"
	}
	if b := blocking(s.Conditions); b != nil {
		c = condition(v1alpha1.ConditionReady, no, b.Reason, b.Type+": "+b.Message)
	}
	set(s, in, c)
	if in.Keys.Reason == v1alpha1.ReasonKMSUnreachable || len(in.AdmissionProblems) > 0 {
		set(s, in, condition(v1alpha1.ConditionReconciling, yes, c.Reason, c.Message))
		return
	}
	meta.RemoveStatusCondition(&s.Conditions, v1alpha1.ConditionReconciling)
}

func progress(s *v1alpha1.HIPAATenantStatus, in Inputs, reason, message string) {
	set(s, in, condition(v1alpha1.ConditionReady, no, reason, message))
	set(s, in, condition(v1alpha1.ConditionReconciling, yes, reason, message))
}

// besideReady are reasons of conditions that do not hold Ready back. The operator did all it can: whether the network
// plug-in enforces policies, and how API servers store Secrets, is up to the platform.
var besideReady = []string{
	v1alpha1.ReasonPolicyWritten, v1alpha1.ReasonNotEncryptedAtRest, v1alpha1.ReasonPlaintextAtRest,
	v1alpha1.ReasonAtRestUnknown, v1alpha1.ReasonAtRestAttested,
}

// blocking is the first condition that keeps Ready from being True, causes before their consequences. An agreement that is
// not valid for want of a setting is a consequence; what the setting wants is said elsewhere, and said first.
func blocking(all []metav1.Condition) *metav1.Condition {
	var consequence *metav1.Condition
	for _, kind := range []string{
		v1alpha1.ConditionBAAInForce, v1alpha1.ConditionAdmissionEnforced, v1alpha1.ConditionEncryptionReady,
		v1alpha1.ConditionPlacementEnforced, v1alpha1.ConditionNetworkIsolated, v1alpha1.ConditionAccessBound,
		v1alpha1.ConditionConfigDelivered, v1alpha1.ConditionNamespacesReady,
	} {
		c := meta.FindStatusCondition(all, kind)
		if c == nil {
			return &metav1.Condition{Type: kind, Reason: v1alpha1.ReasonProgressing, Message: "not looked at yet"}
		}
		if c.Reason == v1alpha1.ReasonMandatorySettingMissing {
			consequence = c
			continue
		}
		if c.Status != yes && !slices.Contains(besideReady, c.Reason) {
			return c
		}
	}
	return consequence
}

func invalidReason(p *compile.Plan) (reason, message string) {
	var lines []string
	for _, f := range p.Findings {
		if f.Severity == v1alpha1.SeverityError {
			lines = append(lines, f.Path+": "+f.Message)
		}
	}
	if _, conflict := finding(p, compile.CodeNamespaceConflict); conflict {
		return v1alpha1.ReasonNamespaceConflict, strings.Join(lines, "; ")
	}
	return v1alpha1.ReasonInvalid, strings.Join(lines, "; ")
}

func waitingMessage(p *compile.Plan) string { return "waiting for " + strings.Join(p.Waiting, "; ") }

func finding(p *compile.Plan, codes ...string) (v1alpha1.Finding, bool) {
	for _, f := range p.Findings {
		if slices.Contains(codes, f.Code) {
			return f, true
		}
	}
	return v1alpha1.Finding{}, false
}

func orNowhere(regions []string) string {
	if len(regions) == 0 {
		return "no region: none is eligible"
	}
	return strings.Join(regions, ", ")
}
