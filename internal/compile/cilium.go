package compile

import (
	"slices"
	"strconv"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/extension"
)

type ciliumSpec struct {
	EndpointSelector struct{}       `json:"endpointSelector"`
	Egress           []ciliumEgress `json:"egress"`
	EgressDeny       []ciliumDeny   `json:"egressDeny"`
}

type ciliumEgress struct {
	ToEndpoints []ciliumSelector `json:"toEndpoints,omitempty"`
	ToFQDNs     []ciliumHost     `json:"toFQDNs,omitempty"`
	ToPorts     []ciliumPorts    `json:"toPorts"`
}

type ciliumDeny struct {
	ToCIDR []string `json:"toCIDR"`
}

type ciliumSelector struct {
	MatchLabels map[string]string `json:"matchLabels"`
}

type ciliumHost struct {
	MatchName    string `json:"matchName,omitempty"`
	MatchPattern string `json:"matchPattern,omitempty"`
}

type ciliumPorts struct {
	Ports []ciliumPort `json:"ports"`
	Rules *ciliumRules `json:"rules,omitempty"`
}

type ciliumPort struct {
	Port     string `json:"port"`
	Protocol string `json:"protocol"`
}

type ciliumRules struct {
	DNS []ciliumHost `json:"dns"`
}

func ciliumRef(namespace string) v1alpha1.ObjectRef {
	return v1alpha1.ObjectRef{Kind: extension.CiliumNetworkPolicy.String(), Namespace: namespace, Name: v1alpha1.ExtensionAllowHosts}
}

// allowHosts opens egress to the host names of business associates in force (45 CFR 164.308(b)(1)), through Cilium.
func (r *resolved) allowHosts(namespace string, p *Plan) {
	r.ciliumPolicy(namespace, r.hostsOpened(), p)
}

// ciliumPolicy adds to the NetworkPolicies, like any rule that allows. Cilium learns the addresses of a name from answers of
// the resolver, so it is shown the questions to the profile's resolver, which are allowed anyway. Addresses that are never
// reached are denied: an allowed name may lead to one of them, and in Cilium what denies always wins.
func (r *resolved) ciliumPolicy(namespace string, rules []hostRule, p *Plan) {
	if len(rules) == 0 {
		return
	}
	spec := ciliumSpec{
		Egress:     []ciliumEgress{r.ciliumResolver()},
		EgressDeny: []ciliumDeny{{ToCIDR: r.neverOpened()}},
	}
	for _, rule := range rules {
		spec.Egress = append(spec.Egress, ciliumRule(rule))
	}
	p.opens[ciliumRef(namespace)] = true
	p.extend(WaveAllow, extension.CiliumNetworkPolicy, objectMeta(r.tenant.Name, namespace, v1alpha1.ExtensionAllowHosts), spec)
}

func (r *resolved) ciliumResolver() ciliumEgress {
	dns := resolvers(r.profile)
	labels := map[string]string{"k8s:io.kubernetes.pod.namespace": string(dns.Namespace)}
	for k, v := range dns.PodSelector.MatchLabels {
		labels["k8s:"+k] = v
	}
	return ciliumEgress{
		ToEndpoints: []ciliumSelector{{MatchLabels: labels}},
		ToPorts:     []ciliumPorts{{Ports: ciliumPortList(dnsPorts), Rules: &ciliumRules{DNS: []ciliumHost{{MatchPattern: "*"}}}}},
	}
}

// mostCiliumPorts is what one entry of toPorts may list.
const mostCiliumPorts = 40

// ciliumRule opens hosts. A wildcard matches one label.
func ciliumRule(rule hostRule) ciliumEgress {
	var e ciliumEgress
	for _, h := range rule.hosts {
		if h[0] == '*' {
			e.ToFQDNs = append(e.ToFQDNs, ciliumHost{MatchPattern: h})
		} else {
			e.ToFQDNs = append(e.ToFQDNs, ciliumHost{MatchName: h})
		}
	}
	for ports := range slices.Chunk(rule.ports, mostCiliumPorts) {
		e.ToPorts = append(e.ToPorts, ciliumPorts{Ports: ciliumPortList(ports)})
	}
	return e
}

func ciliumPortList(ports []v1alpha1.Port) []ciliumPort {
	out := make([]ciliumPort, len(ports))
	for i, p := range ports {
		out[i] = ciliumPort{Port: strconv.Itoa(int(p.Port)), Protocol: string(p.Protocol)}
	}
	return out
}

// neverOpened are the networks nothing opens: those of disabled channels, and metadata ranges.
func (r *resolved) neverOpened() []string {
	var all []string
	for _, list := range [][]v1alpha1.CIDR{r.closed, neverReached} {
		for _, c := range list {
			all = append(all, string(c))
		}
	}
	return union(all)
}
