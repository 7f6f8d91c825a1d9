package compile

import (
	acnet "k8s.io/client-go/applyconfigurations/networking/v1"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
)

var dnsPorts = []v1alpha1.Port{{Port: 53, Protocol: "TCP"}, {Port: 53, Protocol: "UDP"}}

// allowDNS opens the profile's resolver and no other: a foreign resolver is a way out.
func (r *resolved) allowDNS(namespace string, p *Plan) {
	config := r.policy(namespace, v1alpha1.PolicyAllowDNS)
	config.Spec.WithEgress(acnet.NetworkPolicyEgressRule().WithTo(peerPods(resolvers(r.profile))).WithPorts(policyPorts(dnsPorts)...))
	writePolicy(WaveAllow, config, p)
}

func resolvers(p *v1alpha1.HIPAAProfile) v1alpha1.PeerPods {
	if p.Spec.DNS != nil {
		return *p.Spec.DNS
	}
	return v1alpha1.PeerPods{
		Namespace:   "kube-system",
		PodSelector: v1alpha1.PodSelector{MatchLabels: map[string]string{"k8s-app": "kube-dns"}},
	}
}
