package compile

import (
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/client-go/applyconfigurations/meta/v1"
	acnet "k8s.io/client-go/applyconfigurations/networking/v1"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
)

const kindNetworkPolicy = "NetworkPolicy.networking.k8s.io"

// policy begins a network policy. Both policy types are stated on every one of them: a policy that leaves Egress out
// restricts no egress.
func (r *resolved) policy(namespace, name string) *acnet.NetworkPolicyApplyConfiguration {
	return denyPolicy(r.tenant.Name, namespace, name)
}

func denyPolicy(tenant, namespace, name string) *acnet.NetworkPolicyApplyConfiguration {
	return acnet.NetworkPolicy(name, namespace).
		WithLabels(managedLabels(tenant)).
		WithSpec(acnet.NetworkPolicySpec().
			WithPodSelector(metav1.LabelSelector()).
			WithPolicyTypes(networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress))
}

func writePolicy(w Wave, config *acnet.NetworkPolicyApplyConfiguration, p *Plan) {
	p.write(w, policyIn(*config.Namespace, *config.Name), config)
}

func policyIn(namespace, name string) v1alpha1.ObjectRef {
	return v1alpha1.ObjectRef{Kind: kindNetworkPolicy, Namespace: namespace, Name: name}
}

// isolated says that a lapse closes all traffic but DNS.
func (r *resolved) isolated() bool { return r.lapse == v1alpha1.LapseIsolate }

func peerTenant(tenant string) *acnet.NetworkPolicyPeerApplyConfiguration {
	return acnet.NetworkPolicyPeer().WithNamespaceSelector(
		metav1.LabelSelector().WithMatchLabels(map[string]string{v1alpha1.LabelTenant: tenant}))
}

// peerPods selects the namespace by the label only the API server can write.
func peerPods(p v1alpha1.PeerPods) *acnet.NetworkPolicyPeerApplyConfiguration {
	return acnet.NetworkPolicyPeer().
		WithNamespaceSelector(metav1.LabelSelector().WithMatchLabels(map[string]string{corev1.LabelMetadataName: string(p.Namespace)})).
		WithPodSelector(metav1.LabelSelector().WithMatchLabels(p.PodSelector.MatchLabels))
}

func peerBlocks(cidrs []string) []*acnet.NetworkPolicyPeerApplyConfiguration {
	peers := make([]*acnet.NetworkPolicyPeerApplyConfiguration, len(cidrs))
	for i, c := range cidrs {
		peers[i] = acnet.NetworkPolicyPeer().WithIPBlock(acnet.IPBlock().WithCIDR(c))
	}
	return peers
}

func policyPorts(ports []v1alpha1.Port) []*acnet.NetworkPolicyPortApplyConfiguration {
	out := make([]*acnet.NetworkPolicyPortApplyConfiguration, len(ports))
	for i, p := range ports {
		out[i] = acnet.NetworkPolicyPort().WithProtocol(corev1.Protocol(p.Protocol)).WithPort(p.Number())
	}
	return out
}

// openTo writes a policy that opens networks; none where nothing is opened.
func (r *resolved) openTo(namespace, name string, openings []opening, p *Plan) {
	config := r.egressPolicy(namespace, name, openings)
	if len(config.Spec.Egress) > 0 && !r.isolated() {
		writePolicy(WaveAllow, config, p)
	}
}

// egressPolicy has one rule for each set of networks.
func (r *resolved) egressPolicy(namespace, name string, openings []opening) *acnet.NetworkPolicyApplyConfiguration {
	config := r.policy(namespace, name)
	for _, o := range openings {
		for _, rule := range o.rules {
			config.Spec.WithEgress(acnet.NetworkPolicyEgressRule().
				WithTo(peerBlocks(rule.cidrs)...).WithPorts(policyPorts(rule.ports)...))
		}
	}
	return config
}
