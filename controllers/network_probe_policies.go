package controllers

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/netprobe"
)

// The probe's policies, by name. config/network-probe lets the operator write these alone.
const (
	probePolicyDeny   = "hipaa-network-probe-deny"
	probePolicyTarget = "hipaa-network-probe-target"
	probePolicyClient = "hipaa-network-probe-client"
)

// probePolicies deny the probe's pods everything, and then let the target be reached on two ports and the client reach two: only
// one of them is the same. They select no other pod: a namespace that was named by mistake goes on as before.
func probePolicies() map[string]networkingv1.NetworkPolicySpec {
	both := []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress}
	pods := func(end string) metav1.LabelSelector {
		return metav1.LabelSelector{MatchLabels: map[string]string{v1alpha1.LabelNetworkProbe: end}}
	}
	peers := func(end string) []networkingv1.NetworkPolicyPeer {
		selector := pods(end)
		return []networkingv1.NetworkPolicyPeer{{PodSelector: &selector}}
	}
	ports := func(kinds ...netprobe.Kind) []networkingv1.NetworkPolicyPort {
		var list []networkingv1.NetworkPolicyPort
		for _, k := range kinds {
			list = append(list, networkingv1.NetworkPolicyPort{Protocol: new(corev1.ProtocolTCP), Port: new(intstr.FromInt32(int32(k.Port())))})
		}
		return list
	}
	return map[string]networkingv1.NetworkPolicySpec{
		probePolicyDeny: {PolicyTypes: both, PodSelector: metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{
			{Key: v1alpha1.LabelNetworkProbe, Operator: metav1.LabelSelectorOpExists},
		}}},
		probePolicyTarget: {PodSelector: pods(endTarget), PolicyTypes: both, Ingress: []networkingv1.NetworkPolicyIngressRule{
			{From: peers(endClient), Ports: ports(netprobe.Allowed, netprobe.Egress)},
		}},
		probePolicyClient: {PodSelector: pods(endClient), PolicyTypes: both, Egress: []networkingv1.NetworkPolicyEgressRule{
			{To: peers(endTarget), Ports: ports(netprobe.Allowed, netprobe.Ingress)},
		}},
	}
}

// writePolicies has the three policies stand as they should, and no other, and returns them. What somebody added to one of them
// is taken away again, which an apply would not do. Where somebody else's stand, nothing is written.
func (p *NetworkProbe) writePolicies(ctx context.Context) ([]networkingv1.NetworkPolicy, error) {
	api := p.API.NetworkingV1().NetworkPolicies(p.Namespace)
	there, err := p.listPolicies(ctx)
	if err != nil {
		return nil, err
	}
	if err := p.alone(there); err != nil {
		return nil, err
	}
	wanted := probePolicies()
	var stand []networkingv1.NetworkPolicy
	for name, spec := range wanted {
		policy := &networkingv1.NetworkPolicy{}
		if at := slices.IndexFunc(there, func(t networkingv1.NetworkPolicy) bool { return t.Name == name }); at >= 0 {
			policy = &there[at]
		}
		own := map[string]string{v1alpha1.LabelManagedBy: v1alpha1.OperatorName, v1alpha1.LabelNetworkProbe: "policy"}
		switch {
		case policy.Name == "":
			policy.ObjectMeta, policy.Spec = metav1.ObjectMeta{Name: name, Labels: own}, spec
			policy, err = api.Create(ctx, policy, metav1.CreateOptions{FieldManager: v1alpha1.OperatorName})
		case !equality.Semantic.DeepEqual(policy.Spec, spec):
			policy.Labels, policy.Spec = own, spec
			policy, err = api.Update(ctx, policy, metav1.UpdateOptions{FieldManager: v1alpha1.OperatorName})
		}
		if err != nil {
			return nil, err
		}
		stand = append(stand, *policy)
	}
	return stand, nil
}

// checkPolicies says that the policies were the same all the while. A generation counts how often a spec was changed.
func (p *NetworkProbe) checkPolicies(ctx context.Context, stood []networkingv1.NetworkPolicy) error {
	there, err := p.listPolicies(ctx)
	if err != nil {
		return err
	}
	if err := p.alone(there); err != nil {
		return err
	}
	for _, was := range stood {
		if !slices.ContainsFunc(there, func(t networkingv1.NetworkPolicy) bool {
			return t.UID == was.UID && t.Generation == was.Generation && t.DeletionTimestamp.IsZero()
		}) {
			return obstacle{fmt.Sprintf("somebody changed the network policies of namespace %s while the probe ran", p.Namespace), "NetworkPolicy " + was.Name}
		}
	}
	return nil
}

// alone says that no other policy stands: one that opens something would be taken for a plug-in that enforces nothing.
func (p *NetworkProbe) alone(there []networkingv1.NetworkPolicy) error {
	wanted := probePolicies()
	var others []string
	for _, t := range there {
		if _, own := wanted[t.Name]; !own {
			others = append(others, t.Name)
		}
	}
	if len(others) == 0 {
		return nil
	}
	return obstacle{fmt.Sprintf("namespace %s holds network policies of somebody else; delete them", p.Namespace), strings.Join(others, ", ")}
}

func (p *NetworkProbe) listPolicies(ctx context.Context) ([]networkingv1.NetworkPolicy, error) {
	list, err := p.API.NetworkingV1().NetworkPolicies(p.Namespace).List(ctx, metav1.ListOptions{Limit: mostLeftovers})
	if err != nil {
		return nil, err
	}
	return list.Items, nil
}
