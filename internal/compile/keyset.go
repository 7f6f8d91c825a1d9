package compile

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	accore "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
)

// keyset writes the wrapped data keys (45 CFR 164.312(a)(2)(iv)). Where no document could be made the Secret that
// stands there is kept: keys are never pruned.
func (r *resolved) keyset(namespace string, f Facts, p *Plan) {
	ref := keysetRef(namespace)
	k, made := f.Keysets[namespace]
	if !made {
		if remembered(r.tenant, ref) {
			p.keep(ref)
		}
		return
	}
	config := accore.Secret(v1alpha1.SecretKeyset, namespace).
		WithLabels(managedLabels(r.tenant.Name)).
		WithType(corev1.SecretTypeOpaque).
		WithData(map[string][]byte{v1alpha1.KeysetKey: k.Document})
	if k.ResourceVersion != "" {
		config.WithResourceVersion(k.ResourceVersion)
	}
	p.write(WaveData, ref, config)
}

func keysetRef(namespace string) v1alpha1.ObjectRef {
	return v1alpha1.ObjectRef{Kind: "Secret", Namespace: namespace, Name: v1alpha1.SecretKeyset}
}

func remembered(t *v1alpha1.HIPAATenant, ref v1alpha1.ObjectRef) bool {
	return slices.Contains(t.Status.Inventory, ref)
}
