package compile

import (
	"slices"
	"strings"

	"go4.org/netipx"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
)

// Standing is what the operator's own objects in a namespace open, as they stand. It is asked for only where the spec
// cannot be honoured: what is narrowed then starts from here. What is missing here does not stand.
type Standing struct {
	// Policies by name.
	Policies map[string]networkingv1.NetworkPolicySpec `json:"policies,omitempty"`
	// Subjects of RoleBindings, by the name of the binding.
	Subjects map[string][]rbacv1.Subject `json:"subjects,omitempty"`
	// Versions are resource versions of both. A write is refused when another one came between.
	Versions map[v1alpha1.ObjectRef]string `json:"-"`
}

// NewStanding holds nothing yet.
func NewStanding() Standing {
	return Standing{
		Policies: map[string]networkingv1.NetworkPolicySpec{}, Subjects: map[string][]rbacv1.Subject{}, Versions: map[v1alpha1.ObjectRef]string{},
	}
}

// ofAgreements are the policies that open networks to associates, to the mailbox and to the API server.
var ofAgreements = []string{v1alpha1.PolicyAllowAssociates, v1alpha1.PolicyAllowMailbox, v1alpha1.PolicyAllowAPI}

// Narrowed says that Compile narrows an object of the inventory where the spec cannot be honoured, and must know what it
// opens.
func Narrowed(ref v1alpha1.ObjectRef) bool {
	switch ref.Kind {
	case kindNetworkPolicy:
		return slices.Contains(ofAgreements, ref.Name)
	case kindRoleBinding:
		return slices.ContainsFunc(allRoles, func(role v1alpha1.Role) bool { return bindingName(role) == ref.Name })
	}
	return false
}

// Opens says that an object of the inventory opens something and closes nothing, so that it may go although other objects
// could not be written. That deny-all stands in its namespace is for the caller to see.
func Opens(ref v1alpha1.ObjectRef) bool {
	return strings.HasPrefix(ref.Name, v1alpha1.PolicyAllowPrefix) || ref.Kind == kindRoleBinding
}

// DenyAll is the policy of a namespace that denies everything the others do not open.
func DenyAll(namespace string) v1alpha1.ObjectRef {
	return policyIn(namespace, v1alpha1.PolicyDefaultDeny)
}

// IsPolicy says that an object of the inventory is a network policy.
func IsPolicy(ref v1alpha1.ObjectRef) bool { return ref.Kind == kindNetworkPolicy }

// networks on each port.
type networks map[v1alpha1.Port]*netipx.IPSet

// networksOf are what rules open.
func networksOf(rules []openRule) networks {
	lists := map[v1alpha1.Port][][]string{}
	for _, rule := range rules {
		for _, port := range rule.ports {
			lists[port] = append(lists[port], rule.cidrs)
		}
	}
	n := networks{}
	for port, all := range lists {
		n[port] = ipSet(all...)
	}
	return n
}

// opened reads an egress policy that openTo wrote; false when it has another form, so that it may open anything.
func opened(spec networkingv1.NetworkPolicySpec) (networks, bool) {
	if len(spec.PodSelector.MatchLabels)+len(spec.PodSelector.MatchExpressions)+len(spec.Ingress) > 0 || len(spec.PolicyTypes) != 2 {
		return nil, false
	}
	var rules []openRule
	for _, from := range spec.Egress {
		rule, known := openedBy(from)
		if !known {
			return nil, false
		}
		rules = append(rules, rule)
	}
	return networksOf(rules), true
}

func openedBy(from networkingv1.NetworkPolicyEgressRule) (openRule, bool) {
	var rule openRule
	for _, peer := range from.To {
		if peer.IPBlock == nil || len(peer.IPBlock.Except) > 0 || peer.NamespaceSelector != nil || peer.PodSelector != nil {
			return rule, false
		}
		rule.cidrs = append(rule.cidrs, peer.IPBlock.CIDR)
	}
	for _, port := range from.Ports {
		if port.Port == nil || port.Port.Type != intstr.Int || port.Protocol == nil || port.EndPort != nil {
			return rule, false
		}
		rule.ports = append(rule.ports, v1alpha1.Port{Port: port.Port.IntVal, Protocol: v1alpha1.Protocol(*port.Protocol)})
	}
	return rule, len(rule.cidrs) > 0 && len(rule.ports) > 0
}

// rules are those that open the networks, in an order of their own.
func (n networks) rules() []openRule {
	var ports []v1alpha1.Port
	for port := range n {
		ports = append(ports, port)
	}
	var rules []openRule
	for _, port := range sortedPorts(ports) {
		cidrs := prefixes(n[port])
		at := slices.IndexFunc(rules, func(r openRule) bool { return slices.Equal(r.cidrs, cidrs) })
		switch {
		case len(cidrs) == 0:
		case at < 0:
			rules = append(rules, openRule{cidrs: cidrs, ports: []v1alpha1.Port{port}})
		default:
			rules[at].ports = append(rules[at].ports, port)
		}
	}
	return rules
}

// all are the networks opened on any port.
func (n networks) all() []string {
	var lists [][]string
	for _, set := range n {
		lists = append(lists, prefixes(set))
	}
	return union(lists...)
}

// within leaves of every port what allow lets through, and says whether that is less than there was.
func (n networks) within(allow func(v1alpha1.Port) *netipx.IPSet) (left networks, less bool) {
	left = networks{}
	for port, set := range n {
		left[port] = overlap(set, allow(port))
		less = less || !left[port].Equal(set)
	}
	return left, less
}

// overlap is empty when it cannot be built.
func overlap(a, b *netipx.IPSet) *netipx.IPSet {
	var builder netipx.IPSetBuilder
	builder.AddSet(a)
	builder.Intersect(b)
	set, err := builder.IPSet()
	if err != nil {
		return &netipx.IPSet{}
	}
	return set
}

func prefixes(set *netipx.IPSet) []string {
	var out []string
	for _, p := range set.Prefixes() {
		out = append(out, p.String())
	}
	return out
}

// list of a fact; nil when it is empty.
func list(fact string) []string {
	if fact == "" {
		return nil
	}
	return strings.Split(fact, ",")
}
