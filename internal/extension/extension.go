// Package extension knows the optional APIs: those the operator writes only where a cluster serves them. It is pure. The
// Go clients of these projects would be the larger part of the operator, so their objects are structs of its own, which
// tests check against the real CustomResourceDefinitions.
package extension

import (
	"slices"
	"strings"
)

// Kind is a kind of an optional API, in the one version whose schema the operator knows.
type Kind struct {
	// Name of the kind, as in SecurityPolicy.
	Name string
	// Group and Version of the API.
	Group, Version string
	// Resource is the plural in paths.
	Resource string
}

// The kinds. Which project serves each, and since when, is told in docs/gateways.md.
var (
	SecurityPolicy       = Kind{"SecurityPolicy", "gateway.envoyproxy.io", "v1alpha1", "securitypolicies"}
	ClientTrafficPolicy  = Kind{"ClientTrafficPolicy", "gateway.envoyproxy.io", "v1alpha1", "clienttrafficpolicies"}
	AuthorizationPolicy  = Kind{"AuthorizationPolicy", "security.istio.io", "v1", "authorizationpolicies"}
	PeerAuthentication   = Kind{"PeerAuthentication", "security.istio.io", "v1", "peerauthentications"}
	CiliumNetworkPolicy  = Kind{"CiliumNetworkPolicy", "cilium.io", "v2", "ciliumnetworkpolicies"}
	ClusterNetworkPolicy = Kind{"ClusterNetworkPolicy", "policy.networking.k8s.io", "v1alpha2", "clusternetworkpolicies"}
)

// Fields that not every CustomResourceDefinition of their kind has, as paths through its schema.
const (
	// FieldDirectSourceIP takes the peer of the connection for the client.
	FieldDirectSourceIP = "spec.clientIPDetection.directSourceIP"
	// FieldDomainNames opens host names. The standard channel of the API leaves it out.
	FieldDomainNames = "spec.egress.to.domainNames"
)

// Kinds are all of them.
func Kinds() []Kind {
	return []Kind{SecurityPolicy, ClientTrafficPolicy, AuthorizationPolicy, PeerAuthentication, CiliumNetworkPolicy, ClusterNetworkPolicy}
}

// ByName finds a kind by the way an inventory spells it.
func ByName(name string) (Kind, bool) {
	all := Kinds()
	at := slices.IndexFunc(all, func(k Kind) bool { return k.String() == name })
	if at < 0 {
		return Kind{}, false
	}
	return all[at], true
}

// String is the kind as an inventory spells it: SecurityPolicy.gateway.envoyproxy.io.
func (k Kind) String() string { return k.Name + "." + k.Group }

// APIVersion is group and version.
func (k Kind) APIVersion() string { return k.Group + "/" + k.Version }

// CRD is the name of the CustomResourceDefinition.
func (k Kind) CRD() string { return k.Resource + "." + k.Group }

// State says what a cluster makes of a kind.
type State string

// States. The empty one is that nobody looked.
const (
	// Absent: there is no such CustomResourceDefinition, and so no object of it.
	Absent State = "Absent"
	// Unusable: there is one, but it does not serve the version the operator knows, or not yet, or no more. Objects of it may
	// stand.
	Unusable State = "Unusable"
	// Served: objects can be written.
	Served State = "Served"
)

// API is a kind as a cluster has it.
type API struct {
	// State of the API.
	State State `json:"state"`
	// Fields it has, of those not every CustomResourceDefinition has; sorted.
	Fields []string `json:"fields,omitempty"`
	// Why it is Unusable.
	Why string `json:"why,omitempty"`
}

// Has says that the API is served with a field.
func (a API) Has(field string) bool { return a.State == Served && slices.Contains(a.Fields, field) }

// Equal says that nothing differs.
func (a API) Equal(b API) bool {
	return a.State == b.State && a.Why == b.Why && slices.Equal(a.Fields, b.Fields)
}

// Object is the apply configuration of an object of an optional kind.
type Object struct {
	// APIVersion and Kind of the object.
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	// Metadata of the object.
	Metadata Metadata `json:"metadata"`
	// Spec of the object; something that encodes as its JSON.
	Spec any `json:"spec"`
}

// Metadata is what the operator writes of an object's metadata.
type Metadata struct {
	// Name and Namespace; the latter is empty for kinds of the cluster.
	Name      string `json:"name"`
	Namespace string `json:"namespace,omitempty"`
	// Labels of the operator.
	Labels map[string]string `json:"labels"`
}

// IsApplyConfiguration marks it as one.
func (*Object) IsApplyConfiguration() {}

// New is an object of the kind.
func New(k Kind, metadata Metadata, spec any) *Object {
	return &Object{APIVersion: k.APIVersion(), Kind: k.Name, Metadata: metadata, Spec: spec}
}

func fields(k Kind) []string {
	switch k {
	case ClientTrafficPolicy:
		return []string{FieldDirectSourceIP}
	case ClusterNetworkPolicy:
		return []string{FieldDomainNames}
	}
	return nil
}

func path(field string) []string { return strings.Split(field, ".") }
