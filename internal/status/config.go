package status

import (
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/compile"
)

func configDelivered(in Inputs, _ v1alpha1.HIPAATenantStatus) metav1.Condition {
	const kind = v1alpha1.ConditionConfigDelivered
	c := standing(in, kind, "ConfigMap", "")
	if f, found := finding(in.Plan, compile.CodeChannelPodsRunning); found && c.Reason != v1alpha1.ReasonFailed {
		return condition(kind, no, v1alpha1.ReasonChannelPodsRunning, f.Message)
	}
	was := meta.FindStatusCondition(in.Tenant.Status.Conditions, kind)
	if c.Type == "" && was.Reason == v1alpha1.ReasonChannelPodsRunning && in.Plan.Agreement.Reason != "" {
		return condition(kind, unknown, v1alpha1.ReasonProgressing, "no pod serves a disabled channel any more; the config is as it was before")
	}
	if c.Status == yes || c.Type == "" && was.Status == yes && in.Plan.Config != nil {
		return configTaken(in)
	}
	return c
}

// configTaken is the condition of a config that stands. Pods that did not take it do not hold Ready back: they could not, until
// they are made anew, and a tenant would not be Ready after a change until the last of them was.
func configTaken(in Inputs) metav1.Condition {
	const kind = v1alpha1.ConditionConfigDelivered
	for _, beside := range []struct{ code, reason string }{
		{compile.CodeConfigStale, v1alpha1.ReasonConfigStale},
		{compile.CodeConfigUnknown, v1alpha1.ReasonConfigUnknown},
	} {
		if f, found := finding(in.Plan, beside.code); found {
			return condition(kind, yes, beside.reason, "hipaa-config stands in every namespace; "+f.Message)
		}
	}
	return condition(kind, yes, v1alpha1.ReasonEnforced, "hipaa-config stands in every namespace, and every pod took it")
}
