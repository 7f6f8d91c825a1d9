package compile

import (
	acnet "k8s.io/client-go/applyconfigurations/networking/v1"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
)

// allowGateways lets the profile's shared ingress proxies in. They enforce the allowlist themselves: behind them the
// client's address is gone.
func (r *resolved) allowGateways(namespace string, p *Plan) {
	if r.isolated() || len(r.profile.Spec.Gateways) == 0 {
		return
	}
	config := r.policy(namespace, v1alpha1.PolicyAllowGateways)
	rule := acnet.NetworkPolicyIngressRule()
	for _, g := range r.profile.Spec.Gateways {
		rule.WithFrom(peerPods(g))
	}
	config.Spec.WithIngress(rule)
	writePolicy(WaveAllow, config, p)
}
