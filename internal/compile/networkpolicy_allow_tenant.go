package compile

import (
	acnet "k8s.io/client-go/applyconfigurations/networking/v1"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
)

// allowTenant lets the tenant's namespaces talk to each other, by the tenant label, which only the operator can write.
func (r *resolved) allowTenant(namespace string, p *Plan) {
	if r.isolated() {
		return
	}
	config := r.policy(namespace, v1alpha1.PolicyAllowTenant)
	config.Spec.
		WithIngress(acnet.NetworkPolicyIngressRule().WithFrom(peerTenant(r.tenant.Name))).
		WithEgress(acnet.NetworkPolicyEgressRule().WithTo(peerTenant(r.tenant.Name)))
	writePolicy(WaveAllow, config, p)
}
