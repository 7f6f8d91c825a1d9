package status

import (
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/compile"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/netprobe"
)

// networkIsolated speaks of the tenant's own policies first: only of policies that stand does it matter whether the network
// plug-in enforces them.
func networkIsolated(in Inputs, _ v1alpha1.HIPAATenantStatus) metav1.Condition {
	const kind = v1alpha1.ConditionNetworkIsolated
	if c, failed := failure(in, kind, "NetworkPolicy.networking.k8s.io"); failed {
		return c
	}
	if f, found := finding(in.Plan, compile.CodeNetworkPolicyTooWide); found {
		return condition(kind, no, v1alpha1.ReasonNetworkPolicyTooWide, f.Path+": "+f.Message)
	}
	if !in.honoured() && !narrowedAgain(in) && !stood(in) {
		return kept(in, kind)
	}
	if f, found := finding(in.Plan, compile.CodeExtensionRefused); found {
		return condition(kind, no, v1alpha1.ReasonExtensionRefused, f.Path+": "+f.Message)
	}
	return probed(in)
}

// onPlugin are the reasons that say that the policies stand, and what is known of the network plug-in.
var onPlugin = map[string]bool{
	v1alpha1.ReasonPolicyWritten: true, v1alpha1.ReasonVerified: true, v1alpha1.ReasonPluginDoesNotEnforce: true,
}

// stood says that the plan was not applied and that the policies stood before, as they do now: what is known of the network
// plug-in holds for them as for those of others.
func stood(in Inputs) bool {
	was := meta.FindStatusCondition(in.Tenant.Status.Conditions, v1alpha1.ConditionNetworkIsolated)
	return was != nil && onPlugin[was.Reason]
}

// probed is the condition of policies that stand. Until something was said of the network plug-in, what the status says from
// before does: a restart of the operator changes nothing.
func probed(in Inputs) metav1.Condition {
	const kind = v1alpha1.ConditionNetworkIsolated
	verdict := in.Network
	if verdict == nil {
		if was := meta.FindStatusCondition(in.Tenant.Status.Conditions, kind); was != nil && onPlugin[was.Reason] {
			return condition(kind, was.Status, was.Reason, was.Message)
		}
		unprobed := netprobe.Unprobed()
		verdict = &unprobed
	}
	switch verdict.State {
	case netprobe.StateEnforced:
		return condition(kind, yes, v1alpha1.ReasonVerified, verdict.Message)
	case netprobe.StateNotEnforced:
		return condition(kind, no, v1alpha1.ReasonPluginDoesNotEnforce, verdict.Message)
	}
	return condition(kind, unknown, v1alpha1.ReasonPolicyWritten, verdict.Message)
}

// narrowedAgain says that the spec cannot be honoured, and that the tenant's own policies no longer open too much, as they did.
func narrowedAgain(in Inputs) bool {
	was := meta.FindStatusCondition(in.Tenant.Status.Conditions, v1alpha1.ConditionNetworkIsolated)
	return was != nil && was.Reason == v1alpha1.ReasonNetworkPolicyTooWide && in.Plan.Narrows() && in.Applied.clean()
}
