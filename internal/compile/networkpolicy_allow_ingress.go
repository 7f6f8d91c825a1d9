package compile

import (
	metav1 "k8s.io/client-go/applyconfigurations/meta/v1"
	acnet "k8s.io/client-go/applyconfigurations/networking/v1"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
)

// allowIngress opens the pods spec.exposure selects, or all of them, to spec.ipAllowlist (45 CFR 164.312(e)(1)). An
// ingress rule without peers would let everybody in, so an empty allowlist writes no policy.
func (r *resolved) allowIngress(namespace string, p *Plan) {
	if r.isolated() || len(r.allowlist) == 0 {
		return
	}
	config := r.policy(namespace, v1alpha1.PolicyAllowIngress)
	if e := r.tenant.Spec.Exposure; e != nil {
		config.Spec.WithPodSelector(metav1.LabelSelector().WithMatchLabels(e.PodSelector.MatchLabels))
	}
	config.Spec.WithIngress(acnet.NetworkPolicyIngressRule().WithFrom(peerBlocks(r.allowlist)...))
	writePolicy(WaveAllow, config, p)
}
