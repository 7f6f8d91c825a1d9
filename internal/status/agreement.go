package status

import (
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/compile"
)

// baaInForce is True while the agreement holds and the settings it is given for are in place. A setting out of place closes
// nothing by itself: what was found says what becomes of it, and profile baa.onLapse is about the agreement alone.
func baaInForce(in Inputs, _ v1alpha1.HIPAATenantStatus) metav1.Condition {
	const kind = v1alpha1.ConditionBAAInForce
	v := in.Plan.Agreement
	missing := mandatoryMissing(in)
	switch {
	case v.Reason == "":
		return condition(kind, unknown, v1alpha1.ReasonWaiting, waitingMessage(in.Plan))
	case !v.InForce:
		return condition(kind, no, v.Reason, v.Message)
	case missing != "":
		return condition(kind, no, v1alpha1.ReasonMandatorySettingMissing,
			v.Message+", and stays valid only while the mandatory settings are in place: "+missing)
	}
	return condition(kind, yes, v.Reason, v.Message)
}

// mandatory are the settings vendors give an agreement for.
var mandatory = []string{
	"spec.ipAllowlist", "spec.authentication", "spec.sessionTimeout", "spec.encryption", "spec.region", "spec.failoverRegions",
	"spec.disabledChannels",
}

// mandatoryMissing names the first mandatory setting that is not in place and why; empty when all are.
func mandatoryMissing(in Inputs) string {
	for _, f := range in.Plan.Findings {
		if f.Severity == v1alpha1.SeverityError && slices.ContainsFunc(mandatory, func(path string) bool { return within(f.Path, path) }) {
			return f.Path + ": " + f.Message
		}
	}
	if f, found := finding(in.Plan, compile.CodeAttestationMissing, compile.CodeAttestationExpired); found {
		return f.Path + ": " + f.Message
	}
	if len(in.AdmissionProblems) > 0 {
		return "admission policies: " + strings.Join(in.AdmissionProblems, "; ")
	}
	if f, found := finding(in.Plan, compile.CodeNetworkPolicyTooWide); found {
		return fmt.Sprintf("spec.ipAllowlist is not what limits the network, %s: %s", f.Path, f.Message)
	}
	if probed(in).Reason == v1alpha1.ReasonPluginDoesNotEnforce {
		return "spec.ipAllowlist is not what limits the network: the network plug-in does not enforce network policies"
	}
	if c, failed := failure(in, v1alpha1.ConditionBAAInForce, "NetworkPolicy.networking.k8s.io"); failed {
		return "network policies could not be written: " + c.Message
	}
	return ""
}

// within says that a path is another one or lies inside it.
func within(path, outer string) bool {
	rest, found := strings.CutPrefix(path, outer)
	return found && (rest == "" || rest[0] == '.' || rest[0] == '[')
}
