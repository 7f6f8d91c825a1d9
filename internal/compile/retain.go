package compile

import (
	accore "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
)

// retain closes a namespace the tenant lets go of and keeps its data: quarantined, denied in both directions, keyset
// and volumes untouched. Facts other than the gate stay as they were.
func retain(t *v1alpha1.HIPAATenant, name string, live Namespace, p *Plan) {
	config := accore.Namespace(name).
		WithUID(live.UID).
		WithLabels(live.Labels).
		WithAnnotations(live.Facts).
		WithAnnotations(map[string]string{v1alpha1.AnnotationAdmission: string(v1alpha1.GateQuarantined)})
	p.write(WaveNamespace, v1alpha1.ObjectRef{Kind: kindNamespace, Name: name}, config)
	p.Gates[name] = v1alpha1.GateQuarantined
	writePolicy(WaveDeny, denyPolicy(t.Name, name, v1alpha1.PolicyDefaultDeny), p)
	p.keep(keysetRef(name))
}
