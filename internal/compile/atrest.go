package compile

import (
	"fmt"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/atrest"
)

// citationAtRest is the safeguard an attestation has to name to vouch for encryption at rest.
const citationAtRest v1alpha1.Citation = "164.312(a)(2)(iv)"

// atRestCodes say what is found of a state. None is an error: nothing a tenant asks for is refused for it, because its data
// keys are wrapped wherever they lie, and its spec could not help.
var atRestCodes = map[atrest.State]struct {
	severity v1alpha1.Severity
	code     string
}{
	atrest.StateKMS:              {v1alpha1.SeverityInfo, CodeEncryptedAtRest},
	atrest.StateOther:            {v1alpha1.SeverityWarning, CodeAtRestWithoutKMS},
	atrest.StatePlaintextRemains: {v1alpha1.SeverityWarning, CodePlaintextAtRest},
	atrest.StateNotEncrypted:     {v1alpha1.SeverityWarning, CodeNotEncryptedAtRest},
	atrest.StateUnknown:          {v1alpha1.SeverityWarning, CodeAtRestUnknown},
}

// judgeAtRest says how the Secrets of the tenant lie in etcd (45 CFR 164.312(a)(2)(iv)). Until that has been observed, what
// the status says from before stands: a restart of the operator changes nothing.
func judgeAtRest(t *v1alpha1.HIPAATenant, f Facts, p *Plan) {
	if f.AtRest == nil {
		for _, known := range t.Status.Findings {
			if ofAtRest(known) {
				p.Findings = append(p.Findings, known)
			}
		}
		return
	}
	said, message := atRestCodes[f.AtRest.State], f.AtRest.Message
	if f.AtRest.State == atrest.StateUnknown {
		if a := attested(t, citationAtRest, f, p); a != nil {
			said.severity, said.code = v1alpha1.SeverityInfo, CodeAtRestAttested
			message += fmt.Sprintf("; attested by %s on %s, until %s", a.By, a.On, a.ExpiresOn)
		}
	}
	p.find(said.severity, said.code, "spec.encryption", "%s", message)
}

// attested is an attestation of a safeguard that holds now, the one that holds longest; nil when there is none.
func attested(t *v1alpha1.HIPAATenant, citation v1alpha1.Citation, f Facts, p *Plan) *v1alpha1.Attestation {
	var best *v1alpha1.Attestation
	for _, s := range statements(t, f.Profile, citation) {
		p.wake(f.Now, s.On.Time())
		p.wake(f.Now, s.ExpiresOn.Time())
		if s.holds(f.Now) && (best == nil || best.ExpiresOn < s.ExpiresOn) {
			best = &s.Attestation
		}
	}
	return best
}

// OfCluster says that a finding is about the cluster as a whole: it is the same for every tenant.
func OfCluster(f v1alpha1.Finding) bool {
	return ofAtRest(f) || f.Code == CodeExtensionUnusable || f.Code == CodeGatewaysUnguarded
}

func ofAtRest(f v1alpha1.Finding) bool {
	switch f.Code {
	case CodeEncryptedAtRest, CodeAtRestWithoutKMS, CodePlaintextAtRest, CodeNotEncryptedAtRest, CodeAtRestUnknown, CodeAtRestAttested:
		return true
	}
	return false
}
