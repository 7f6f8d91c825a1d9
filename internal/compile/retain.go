package compile

import (
	"cmp"
	"slices"

	accore "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/extension"
)

// retain closes a namespace the tenant lets go of and keeps its data: quarantined, denied in both directions, keyset
// and volumes untouched. Facts other than the gate stay as they were. One that terminates takes no writes and keeps what
// stands in it: Kubernetes removes its network policies after its pods, and so must nobody before.
func retain(t *v1alpha1.HIPAATenant, name string, live Namespace, p *Plan) {
	if live.Terminating {
		for _, ref := range t.Status.Inventory {
			if cmp.Or(ref.Namespace, ref.Name) == name {
				p.keep(ref)
			}
		}
		return
	}
	config := accore.Namespace(name).
		WithUID(live.UID).
		WithLabels(live.Labels).
		WithLabels(managedLabels(t.Name)).
		WithAnnotations(live.Facts).
		WithAnnotations(map[string]string{
			v1alpha1.AnnotationAdmission: string(v1alpha1.GateQuarantined),
			v1alpha1.AnnotationTenantUID: string(t.UID),
		})
	p.write(WaveNamespace, v1alpha1.ObjectRef{Kind: kindNamespace, Name: name}, config)
	p.Gates[name], p.FirstGates[name] = v1alpha1.GateQuarantined, v1alpha1.GateQuarantined
	writePolicy(WaveDeny, denyPolicy(t.Name, name, v1alpha1.PolicyDefaultDeny), p)
	p.keep(keysetRef(name))
	shut(t.Name, name, p)
}

// shut closes a namespace at gateways and in the mesh.
func shut(tenant, namespace string, p *Plan) {
	writeSecurityPolicy(tenant, namespace, nil, p)
	clientTrafficPolicy(tenant, namespace, p)
	p.extend(WaveDeny, extension.AuthorizationPolicy, objectMeta(tenant, namespace, v1alpha1.ExtensionAllowlist), authorizationSpec{Action: "ALLOW"})
	peerAuthentication(tenant, namespace, p)
}

// Owned are the namespaces that exist and are this very tenant's, sorted.
func Owned(t *v1alpha1.HIPAATenant, f Facts) []string {
	var names []string
	for name, n := range f.Namespaces {
		if ours(t, name, n) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
