package compile

import (
	"slices"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/extension"
)

// authorizationSpec is the spec of an AuthorizationPolicy of action ALLOW. Without rules it allows nothing.
type authorizationSpec struct {
	Action string              `json:"action"`
	Rules  []authorizationRule `json:"rules,omitempty"`
}

type authorizationRule struct {
	From []authorizationFrom `json:"from"`
}

type authorizationFrom struct {
	Source authorizationSource `json:"source"`
}

// authorizationSource matches when each of its fields does.
type authorizationSource struct {
	IPBlocks       []string `json:"ipBlocks,omitempty"`
	RemoteIPBlocks []string `json:"remoteIpBlocks,omitempty"`
	Namespaces     []string `json:"namespaces,omitempty"`
}

// authorizationPolicy tells the mesh who may talk to the tenant's workloads (45 CFR 164.312(e)(1)): the tenant's own, by
// the identity in their certificates; clients in the allowlist; and the profile's gateways, for clients in the allowlist.
//
// A client is known by the address its connection comes from (ipBlocks). What a header says (remoteIpBlocks) is believed
// from the profile's gateways alone, whose certificate proves that they wrote it: a sidecar believes it of anybody.
func (r *resolved) authorizationPolicy(namespace string, p *Plan) {
	spec := authorizationSpec{Action: "ALLOW"}
	if !r.isolated() {
		spec.Rules = r.authorizationRules()
	}
	p.extend(WaveDeny, extension.AuthorizationPolicy, objectMeta(r.tenant.Name, namespace, v1alpha1.ExtensionAllowlist), spec)
}

func (r *resolved) authorizationRules() []authorizationRule {
	sources := []authorizationSource{{Namespaces: r.activeNamespaces()}}
	if len(r.allowlist) > 0 { // a field without entries would match everybody
		sources = append(sources, authorizationSource{IPBlocks: r.allowlist})
		if gateways := r.gatewayNamespaces(); len(gateways) > 0 {
			sources = append(sources, authorizationSource{Namespaces: gateways, RemoteIPBlocks: r.allowlist})
		}
	}
	var rules []authorizationRule
	for _, s := range sources {
		rules = append(rules, authorizationRule{From: []authorizationFrom{{Source: s}}})
	}
	return rules
}

func (r *resolved) gatewayNamespaces() []string {
	var names []string
	for _, g := range r.profile.Spec.Gateways {
		names = append(names, string(g.Namespace))
	}
	slices.Sort(names)
	return slices.Compact(names)
}

type peerAuthenticationSpec struct {
	MTLS mtls `json:"mtls"`
}

type mtls struct {
	Mode string `json:"mode"`
}

// peerAuthentication lets workloads of the mesh take nothing but mutual TLS (45 CFR 164.312(e)(2)(ii)). Without it anybody could
// send plain text, and no identity above would be proven.
func peerAuthentication(tenant, namespace string, p *Plan) {
	p.extend(WaveDeny, extension.PeerAuthentication, objectMeta(tenant, namespace, v1alpha1.ExtensionStrictMTLS), peerAuthenticationSpec{MTLS: mtls{Mode: "STRICT"}})
}
