package status

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/compile"
)

// wrong is an error found at a path of the spec.
func wrong(code, path string) func(*Inputs) {
	return func(in *Inputs) {
		in.Plan.Effective, in.Applied = nil, nil
		in.Plan.Findings = append(in.Plan.Findings, v1alpha1.Finding{Severity: v1alpha1.SeverityError, Code: code, Path: path, Message: "not so"})
	}
}

// TestTheAgreementNeedsItsSettings: for each mandatory setting that is out of place the agreement does not count as in force,
// and the message names the setting. What is not mandatory leaves it alone.
func TestTheAgreementNeedsItsSettings(t *testing.T) {
	const missing = "False/" + v1alpha1.ReasonMandatorySettingMissing
	for name, tc := range map[string]struct {
		change      func(*Inputs)
		want, names string
	}{
		"nothing":                          {func(*Inputs) {}, "True/InForce", ""},
		"who may connect":                  {wrong(compile.CodeAllowlistTooWide, "spec.ipAllowlist[3]"), missing, "spec.ipAllowlist[3]"},
		"how people sign in":               {wrong("x", "spec.authentication.password.mfa"), missing, "spec.authentication.password.mfa"},
		"when sessions end":                {wrong(compile.CodeSessionTimeoutAboveMaximum, "spec.sessionTimeout"), missing, "spec.sessionTimeout"},
		"the key":                          {wrong(compile.CodeKeyURINotAllowed, "spec.encryption.keyURI"), missing, "spec.encryption.keyURI"},
		"the volumes":                      {wrong(compile.CodeStorageClassNotAllowed, "spec.encryption.storageClasses[0]"), missing, "spec.encryption.storageClasses[0]"},
		"the region":                       {wrong(compile.CodeRegionNotEligible, "spec.region"), missing, "spec.region"},
		"another region":                   {wrong(compile.CodeRegionNotEligible, "spec.failoverRegions[1]"), missing, "spec.failoverRegions[1]"},
		"a channel":                        {wrong(compile.CodeUnknownChannel, "spec.disabledChannels[0]"), missing, "spec.disabledChannels[0]"},
		"a namespace":                      {wrong(compile.CodeNamespaceReserved, "spec.namespaces[0].name"), "True/InForce", ""},
		"a role":                           {wrong(compile.CodeSubjectOutsideTenant, "spec.roles[0].subjects[0]"), "True/InForce", ""},
		"a field that only begins like it": {wrong("x", "spec.regions"), "True/InForce", ""},
		"a warning of the same field": {func(in *Inputs) {
			in.Plan.Findings = []v1alpha1.Finding{{Severity: v1alpha1.SeverityWarning, Code: compile.CodeRegionWithoutNodes, Path: "spec.region"}}
		}, "True/InForce", ""},
		"an attestation that nobody gave":   {found(v1alpha1.SeverityWarning, compile.CodeAttestationMissing), missing, ""},
		"an attestation that ended":         {found(v1alpha1.SeverityWarning, compile.CodeAttestationExpired), missing, ""},
		"an attestation that ends soon":     {found(v1alpha1.SeverityWarning, compile.CodeAttestationExpiring), "True/InForce", ""},
		"an attestation nobody asks for":    {found(v1alpha1.SeverityInfo, compile.CodeAttestationNotCounted), "True/InForce", ""},
		"the admission policies":            {func(in *Inputs) { in.AdmissionProblems = []string{"policy placement is absent"} }, missing, "policy placement is absent"},
		"a network policy of somebody else": {found(v1alpha1.SeverityWarning, compile.CodeNetworkPolicyTooWide), missing, "spec.ipAllowlist"},
		"a network policy was not written":  {failed("NetworkPolicy.networking.k8s.io"), missing, "quota exceeded"},
		"another object was not written":    {failed("ConfigMap"), "True/InForce", ""},
		"the agreement ended, and a setting": {func(in *Inputs) {
			in.Plan.Agreement = compile.Verdict{Reason: v1alpha1.ReasonExpired, Message: "ended"}
			wrong("x", "spec.region")(in)
		}, "False/Expired", "ended"},
		"no profile, and the policies are gone": {func(in *Inputs) {
			*in.Plan, in.Applied, in.AdmissionProblems = compile.Plan{Waiting: []string{"HIPAAProfile default"}}, nil, []string{"gone"}
		}, "Unknown/Waiting", "HIPAAProfile default"},
	} {
		in := ready()
		tc.change(&in)
		c := meta.FindStatusCondition(Compute(in).Conditions, v1alpha1.ConditionBAAInForce)
		if got := string(c.Status) + "/" + c.Reason; got != tc.want || !strings.Contains(c.Message, tc.names) {
			t.Errorf("%s: BAAInForce is %s, %q; want %s and %q named", name, got, c.Message, tc.want, tc.names)
		}
	}
}

// TestReadyNamesTheCause and not that the agreement suffers from it.
func TestReadyNamesTheCause(t *testing.T) {
	in := ready()
	found(v1alpha1.SeverityWarning, compile.CodeNetworkPolicyTooWide)(&in)
	if c := meta.FindStatusCondition(Compute(in).Conditions, v1alpha1.ConditionReady); c.Reason != v1alpha1.ReasonNetworkPolicyTooWide {
		t.Errorf("Ready is %s/%s: %s", c.Status, c.Reason, c.Message)
	}
}
