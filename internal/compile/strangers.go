package compile

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"go4.org/netipx"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
)

// Strangers are objects of others in a tenant namespace that open something. The admission policies judge them when they
// are written; what stood before the namespace was taken over, or before the spec got narrower, nobody judged again.
type Strangers struct {
	// Policies by name. NetworkPolicies add up: one that is too wide undoes every other.
	Policies map[string]networkingv1.NetworkPolicySpec `json:"policies,omitempty"`
	// Subjects of RoleBindings, by the name of the binding.
	Subjects map[string][]rbacv1.Subject `json:"subjects,omitempty"`
	// Labelled objects carry the operator's label, and their content is not known here. What the operator did not make poses
	// as its own.
	Labelled map[v1alpha1.ObjectRef]bool `json:"-"`
}

// NewStrangers holds nothing yet.
func NewStrangers() Strangers {
	return Strangers{
		Policies: map[string]networkingv1.NetworkPolicySpec{}, Subjects: map[string][]rbacv1.Subject{}, Labelled: map[v1alpha1.ObjectRef]bool{},
	}
}

// bounds are what a tenant's own network policies may open: the facts on its namespace.
type bounds struct {
	namespace, tenant string
	closed            bool // the gate is quarantined
	ingress, egress   *netipx.IPSet
	ports             []v1alpha1.Port
}

// judgeStrangers reports what opens more than the tenant may have. It is not the operator's to delete: the report tells
// people, and the tenant does not count as isolated meanwhile.
func (r *resolved) judgeStrangers(name string, b bounds, f Facts, p *Plan) {
	found := f.Strangers[name]
	own := func(kind, object string) bool {
		return p.refs[v1alpha1.ObjectRef{Kind: kind, Namespace: name, Name: object}]
	}
	policies := describe(found.Policies, func(object string, spec networkingv1.NetworkPolicySpec) string {
		if own(kindNetworkPolicy, object) {
			return "" // the operator is about to write it
		}
		return b.beyond(spec)
	})
	policies = append(policies, r.posing(kindNetworkPolicy, found, p)...)
	if len(policies) > 0 {
		p.find(v1alpha1.SeverityWarning, CodeNetworkPolicyTooWide, "networkpolicies in namespace "+name,
			"network policies that are not the operator's open more than the tenant may: %s; narrow or delete them", strings.Join(policies, "; "))
	}
	bindings := describe(found.Subjects, func(object string, list []rbacv1.Subject) string {
		if own(kindRoleBinding, object) {
			return ""
		}
		return outsider(name, list)
	})
	bindings = append(bindings, r.posing(kindRoleBinding, found, p)...)
	if len(bindings) > 0 {
		p.find(v1alpha1.SeverityWarning, CodeAccessTooWide, "rolebindings in namespace "+name,
			"role bindings that are not the operator's let in others than the tenant's people: %s; change or delete them", strings.Join(bindings, "; "))
	}
}

// posing are objects with the operator's label that it neither writes nor remembers: they stood before the namespace was
// taken over.
func (r *resolved) posing(kind string, found Strangers, p *Plan) []string {
	all := map[string]bool{}
	for ref := range found.Labelled {
		if ref.Kind == kind && !p.refs[ref] && !slices.Contains(r.tenant.Status.Inventory, ref) {
			all[ref.Name] = true
		}
	}
	return describe(all, func(string, bool) string { return "labelled as the operator's, but not made by it" })
}

// mostNamed bounds a message: the first few tell what to look for.
const mostNamed = 5

// describe lists what judge has to say of each entry, by name.
func describe[T any](all map[string]T, judge func(string, T) string) []string {
	var out []string
	more := 0
	for _, name := range slices.Sorted(maps.Keys(all)) {
		why := judge(name, all[name])
		switch {
		case why == "":
		case len(out) == mostNamed:
			more++
		default:
			out = append(out, name+" ("+why+")")
		}
	}
	if more > 0 {
		out = append(out, fmt.Sprintf("and %d more", more))
	}
	return out
}

func (r *resolved) bounds(name string, gate v1alpha1.Gate) bounds {
	return bounds{
		namespace: name, tenant: r.tenant.Name, closed: gate == v1alpha1.GateQuarantined || r.isolated(),
		ingress: ipSet(r.allowlist), egress: ipSet(r.egress()), ports: r.ports,
	}
}

// beyond says what a policy opens that it may not; empty when it stays inside. It is the rule of
// config/admission/network.yaml, but for addresses: several entries may cover a block together.
func (b bounds) beyond(spec networkingv1.NetworkPolicySpec) string {
	for _, rule := range spec.Ingress {
		if why := b.peers(rule.From, "ingress", b.ingress); why != "" {
			return why
		}
	}
	for _, rule := range spec.Egress {
		if why := b.peers(rule.To, "egress", b.egress); why != "" {
			return why
		}
		if why := b.disabled(rule); why != "" {
			return why
		}
	}
	return ""
}

func (b bounds) peers(peers []networkingv1.NetworkPolicyPeer, direction string, allowed *netipx.IPSet) string {
	if b.closed {
		return direction + " although the namespace is quarantined"
	}
	if len(peers) == 0 {
		return direction + " with everybody"
	}
	for _, peer := range peers {
		if peer.IPBlock != nil && !covers(allowed, peer.IPBlock.CIDR) {
			return fmt.Sprintf("%s with %s", direction, peer.IPBlock.CIDR)
		}
		if peer.NamespaceSelector != nil && !b.own(peer.NamespaceSelector) {
			return direction + " with namespaces that may be another tenant's"
		}
	}
	return ""
}

// own says that a selector holds a label only this tenant's namespaces can have.
func (b bounds) own(s *metav1.LabelSelector) bool {
	return s.MatchLabels[v1alpha1.LabelTenant] == b.tenant || s.MatchLabels["kubernetes.io/metadata.name"] == b.namespace
}

// disabled names a port of a disabled channel that the rule opens. Towards addresses, a rule without ports opens all, and a
// port by name whatever the other side calls so.
func (b bounds) disabled(rule networkingv1.NetworkPolicyEgressRule) string {
	outside := slices.ContainsFunc(rule.To, func(p networkingv1.NetworkPolicyPeer) bool { return p.IPBlock != nil })
	for _, port := range b.ports {
		opens := func(p networkingv1.NetworkPolicyPort) bool { return opensPort(p, port, outside) }
		if outside && len(rule.Ports) == 0 || slices.ContainsFunc(rule.Ports, opens) {
			return fmt.Sprintf("egress to port %s of a disabled channel", joinPorts([]v1alpha1.Port{port}))
		}
	}
	return ""
}

func opensPort(p networkingv1.NetworkPolicyPort, disabled v1alpha1.Port, outside bool) bool {
	protocol := "TCP"
	if p.Protocol != nil {
		protocol = string(*p.Protocol)
	}
	if protocol != string(disabled.Protocol) {
		return false
	}
	if p.Port == nil || p.Port.Type == intstr.String {
		return outside
	}
	last := p.Port.IntVal
	if p.EndPort != nil {
		last = *p.EndPort
	}
	return p.Port.IntVal <= disabled.Port && disabled.Port <= last
}

// outsider names a subject that is not one of the tenant's people; empty when there is none. It is the rule of
// config/admission/tenancy.yaml.
func outsider(namespace string, subjects []rbacv1.Subject) string {
	for _, s := range subjects {
		if who := foreign(namespace, s); who != "" {
			return who
		}
	}
	return ""
}

func foreign(namespace string, s rbacv1.Subject) string {
	const account = "system:serviceaccount:"
	switch {
	case s.Kind == rbacv1.ServiceAccountKind:
		if s.Namespace == namespace {
			return ""
		}
		return "service account " + s.Namespace + "/" + s.Name
	case !strings.HasPrefix(s.Name, "system:"), s.Name == "system:serviceaccounts:"+namespace, strings.HasPrefix(s.Name, account+namespace+":"):
		return ""
	case strings.HasPrefix(s.Name, account):
		return "service account " + s.Name
	case slices.Contains([]string{"system:anonymous", "system:unauthenticated", "system:authenticated"}, s.Name), strings.HasPrefix(s.Name, "system:serviceaccounts"):
		return "everybody in " + s.Name
	}
	return s.Name + " of the cluster itself"
}
