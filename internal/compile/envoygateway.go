package compile

import (
	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/extension"
)

// targetSelector without labels selects every object of its kind in the namespace of the policy.
type targetSelector struct {
	Group string `json:"group"`
	Kind  string `json:"kind"`
}

func targets(kinds ...string) []targetSelector {
	out := make([]targetSelector, len(kinds))
	for i, k := range kinds {
		out[i] = targetSelector{Group: "gateway.networking.k8s.io", Kind: k}
	}
	return out
}

type securityPolicySpec struct {
	TargetSelectors []targetSelector     `json:"targetSelectors"`
	Authorization   gatewayAuthorization `json:"authorization"`
}

type gatewayAuthorization struct {
	DefaultAction string        `json:"defaultAction"`
	Rules         []gatewayRule `json:"rules,omitempty"`
}

type gatewayRule struct {
	Name      string           `json:"name"`
	Action    string           `json:"action"`
	Principal gatewayPrincipal `json:"principal"`
}

type gatewayPrincipal struct {
	ClientCIDRs []string `json:"clientCIDRs"`
}

// securityPolicy has Envoy Gateway let clients in the allowlist through to the tenant's routes, and nobody else (45 CFR
// 164.312(e)(1)). Behind a gateway no NetworkPolicy sees the client. It stands on routes, because a tenant's routes may be
// attached to a gateway of the platform; and on gateways of the tenant, for what else is attached to them.
func (r *resolved) securityPolicy(namespace string, p *Plan) {
	var rules []gatewayRule
	if !r.isolated() && len(r.allowlist) > 0 {
		rules = []gatewayRule{{Name: v1alpha1.ExtensionAllowlist, Action: "Allow", Principal: gatewayPrincipal{ClientCIDRs: r.allowlist}}}
	}
	writeSecurityPolicy(r.tenant.Name, namespace, rules, p)
}

func writeSecurityPolicy(tenant, namespace string, rules []gatewayRule, p *Plan) {
	p.extend(WaveDeny, extension.SecurityPolicy, objectMeta(tenant, namespace, v1alpha1.ExtensionAllowlist), securityPolicySpec{
		TargetSelectors: targets("Gateway", "HTTPRoute", "GRPCRoute", "TCPRoute"),
		Authorization:   gatewayAuthorization{DefaultAction: "Deny", Rules: rules},
	})
}

type clientTrafficSpec struct {
	TargetSelectors   []targetSelector  `json:"targetSelectors"`
	ClientIPDetection clientIPDetection `json:"clientIPDetection"`
}

type clientIPDetection struct {
	DirectSourceIP struct{} `json:"directSourceIP"`
}

// clientTrafficPolicy has the tenant's own gateways take the peer of a connection for the client, whatever headers say. That
// is also what they do when nobody says anything: where the field is not known, nothing is written. A number of trusted
// hops, even none, would make Envoy believe X-Forwarded-For.
func clientTrafficPolicy(tenant, namespace string, p *Plan) {
	if !p.extensions[extension.ClientTrafficPolicy.String()].Has(extension.FieldDirectSourceIP) {
		return
	}
	p.extend(WaveDeny, extension.ClientTrafficPolicy, objectMeta(tenant, namespace, v1alpha1.ExtensionClientIP), clientTrafficSpec{TargetSelectors: targets("Gateway")})
}
