package compile

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/extension"
)

type clusterPolicySpec struct {
	Tier     string              `json:"tier"`
	Priority int32               `json:"priority"`
	Subject  clusterSubject      `json:"subject"`
	Egress   []clusterEgressRule `json:"egress"`
}

type clusterSubject struct {
	Namespaces clusterNamespaces `json:"namespaces"`
}

type clusterNamespaces struct {
	MatchLabels      map[string]string    `json:"matchLabels"`
	MatchExpressions []clusterRequirement `json:"matchExpressions"`
}

type clusterRequirement struct {
	Key      string   `json:"key"`
	Operator string   `json:"operator"`
	Values   []string `json:"values"`
}

type clusterEgressRule struct {
	Name      string            `json:"name"`
	Action    string            `json:"action"`
	To        []clusterPeer     `json:"to"`
	Protocols []clusterProtocol `json:"protocols,omitempty"`
}

type clusterPeer struct {
	Networks    []string `json:"networks,omitempty"`
	DomainNames []string `json:"domainNames,omitempty"`
}

type clusterProtocol struct {
	TCP  *clusterPort `json:"tcp,omitempty"`
	UDP  *clusterPort `json:"udp,omitempty"`
	SCTP *clusterPort `json:"sctp,omitempty"`
}

type clusterPort struct {
	DestinationPort clusterPortNumber `json:"destinationPort"`
}

type clusterPortNumber struct {
	Number int32 `json:"number"`
}

const (
	// clusterPriority leaves room for policies of the platform before and behind it; no two tenants have a pod in common.
	clusterPriority = 100
	// mostEntries is how long each list in a ClusterNetworkPolicy may be.
	mostEntries = 25
)

func (r *resolved) clusterPolicyRef() v1alpha1.ObjectRef {
	return v1alpha1.ObjectRef{Kind: extension.ClusterNetworkPolicy.String(), Name: v1alpha1.ExtensionClusterPrefix + r.tenant.Name}
}

// clusterPolicy closes, ahead of every NetworkPolicy, the networks that nothing opens, and behind that opens host names of
// business associates in force (45 CFR 164.308(b)(1)). Only this tier can: pods of a tenant are selected by its default deny,
// and behind NetworkPolicies nothing is looked at any more. What it accepts skips the NetworkPolicies, so it accepts the names on
// their ports and nothing else. It cannot deny a name.
//
// Namespaces the tenant let go of are left out: they keep their label, and are closed in both directions.
func (r *resolved) clusterPolicy(namespaces []string, rules []hostRule, p *Plan) {
	spec := clusterPolicySpec{Tier: "Admin", Priority: clusterPriority}
	spec.Subject.Namespaces.MatchLabels = map[string]string{v1alpha1.LabelTenant: r.tenant.Name}
	spec.Subject.Namespaces.MatchExpressions = []clusterRequirement{{Key: corev1.LabelMetadataName, Operator: "In", Values: namespaces}}
	deny, whole := clusterDeny(r.neverOpened())
	spec.Egress = append(spec.Egress, deny)
	if p.extensions[extension.ClusterNetworkPolicy.String()].Has(extension.FieldDomainNames) && whole {
		accepts := clusterAccepts(rules)
		if most := mostEntries - len(spec.Egress); len(accepts) > most {
			p.find(v1alpha1.SeverityWarning, CodeHostsNotExpressible, "spec.businessAssociates",
				"a ClusterNetworkPolicy holds %d rules: hosts on %d further sets of ports stay closed; give cidrs", mostEntries, len(accepts)-most)
			accepts = accepts[:most]
		}
		spec.Egress = append(spec.Egress, accepts...)
	}
	p.opens[r.clusterPolicyRef()] = true
	p.extend(WaveAllow, extension.ClusterNetworkPolicy, objectMeta(r.tenant.Name, "", r.clusterPolicyRef().Name), spec)
}

// clusterDeny closes networks; false when there are more than a rule can hold. Then nothing may be opened behind it.
func clusterDeny(cidrs []string) (clusterEgressRule, bool) {
	rule := clusterEgressRule{Name: "never", Action: "Deny"}
	for some := range slices.Chunk(cidrs, mostEntries) {
		rule.To = append(rule.To, clusterPeer{Networks: some})
	}
	whole := len(rule.To) <= mostEntries
	rule.To = rule.To[:min(len(rule.To), mostEntries)]
	return rule, whole
}

// clusterAccepts opens hosts, in as many rules as their lists take.
func clusterAccepts(rules []hostRule) []clusterEgressRule {
	var out []clusterEgressRule
	for _, rule := range rules {
		var peers []clusterPeer
		for hosts := range slices.Chunk(rule.hosts, mostEntries) {
			peers = append(peers, clusterPeer{DomainNames: hosts})
		}
		for to := range slices.Chunk(peers, mostEntries) {
			for ports := range slices.Chunk(rule.ports, mostEntries) {
				out = append(out, clusterEgressRule{Name: fmt.Sprintf("hosts-%d", len(out)+1), Action: "Accept", To: to, Protocols: clusterProtocols(ports)})
			}
		}
	}
	return out
}

func clusterProtocols(ports []v1alpha1.Port) []clusterProtocol {
	out := make([]clusterProtocol, len(ports))
	for i, p := range ports {
		port := &clusterPort{DestinationPort: clusterPortNumber{Number: p.Port}}
		switch p.Protocol {
		case "UDP":
			out[i].UDP = port
		case "SCTP":
			out[i].SCTP = port
		default:
			out[i].TCP = port
		}
	}
	return out
}
