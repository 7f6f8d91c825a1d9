package compile

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/extension"
)

// hostRule is a set of host names on a set of ports.
type hostRule struct {
	hosts []string
	ports []v1alpha1.Port
}

// openHosts opens an endpoint that names only hosts, where an API is served that can express them. A host of a disabled
// channel is never opened, nor is a wildcard that one of them matches.
func (r *resolved) openHosts(a *v1alpha1.BusinessAssociate, i int, path string, p *Plan) (hostRule, bool) {
	if !p.served(extension.CiliumNetworkPolicy) && !p.extensions[extension.ClusterNetworkPolicy.String()].Has(extension.FieldDomainNames) {
		p.find(v1alpha1.SeverityWarning, CodeHostsNotExpressible, path,
			"endpoint %d of %s names only hosts, which NetworkPolicy cannot express: it stays closed; give cidrs", i, a.Name)
		return hostRule{}, false
	}
	e := a.Spec.Endpoints[i]
	rule := hostRule{ports: r.withoutDisabled(e.Ports)}
	var closed, strange []string
	for _, h := range e.Hosts {
		switch {
		case !expressible(h):
			strange = append(strange, string(h))
		case r.closes(h):
			closed = append(closed, string(h))
		default:
			rule.hosts = append(rule.hosts, string(h))
		}
	}
	slices.Sort(rule.hosts)
	if len(strange) > 0 {
		p.find(v1alpha1.SeverityWarning, CodeHostsNotExpressible, path,
			"%s of endpoint %d of %s stay closed: a host is a name with a dot in what follows its wildcard, and no address; give cidrs", strings.Join(strange, ", "), i, a.Name)
	}
	if len(closed) > 0 || len(rule.ports) == 0 {
		p.find(v1alpha1.SeverityWarning, CodeEndpointSubtracted, path,
			"of endpoint %d of %s stay closed, because of disabled channels: hosts %s, ports %s", i, a.Name, orNothing(closed), orNothing(r.disabledOf(e.Ports)))
	}
	return rule, len(rule.hosts) > 0 && len(rule.ports) > 0
}

func (r *resolved) disabledOf(ports []v1alpha1.Port) []string {
	var out []string
	for _, port := range sortedPorts(ports) {
		if slices.Contains(r.ports, port) {
			out = append(out, joinPorts([]v1alpha1.Port{port}))
		}
	}
	return out
}

// expressible says that every API takes the host: what follows a wildcard is more than a top-level domain, and an address is
// no name.
func expressible(h v1alpha1.Host) bool {
	base := strings.TrimPrefix(string(h), "*.")
	_, err := netip.ParseAddr(base)
	return err != nil && strings.Contains(base, ".")
}

// overlapping says that some name is matched by both. A wildcard stands for one label or more here, as it does in the widest
// of the APIs.
func overlapping(a, b v1alpha1.Host) bool {
	x, anyX := strings.CutPrefix(string(a), "*.")
	y, anyY := strings.CutPrefix(string(b), "*.")
	return (x == y && anyX == anyY) || (anyX && strings.HasSuffix(y, "."+x)) || (anyY && strings.HasSuffix(x, "."+y))
}

// hostRules are those of all associates, one for each set of ports.
func hostRules(associates []opening) []hostRule {
	hosts := map[string][]string{}
	ports := map[string][]v1alpha1.Port{}
	for _, a := range associates {
		for _, rule := range a.hosts {
			key := joinPorts(rule.ports)
			hosts[key], ports[key] = append(hosts[key], rule.hosts...), rule.ports
		}
	}
	var keys []string
	for key := range hosts {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	var rules []hostRule
	for _, key := range keys {
		slices.Sort(hosts[key])
		rules = append(rules, hostRule{hosts: slices.Compact(hosts[key]), ports: ports[key]})
	}
	return rules
}

// hostsOpened are the host names egress is open to.
func (r *resolved) hostsOpened() []hostRule {
	if r.isolated() {
		return nil
	}
	return hostRules(r.associates)
}

// closedBefore are ports, networks and hosts of the channels that were disabled when the spec could last be honoured.
func (r *resolved) closedBefore() *resolved {
	before := &resolved{tenant: r.tenant, profile: r.profile}
	if r.profile == nil || r.tenant.Status.Effective == nil {
		return before
	}
	for _, c := range r.profile.Spec.Channels {
		if slices.Contains(r.tenant.Status.Effective.DisabledChannels, string(c.Name)) {
			before.ports, before.closed = append(before.ports, c.Ports...), append(before.closed, c.CIDRs...)
			before.closedHosts = append(before.closedHosts, c.Hosts...)
		}
	}
	return before
}

// hostsStillOpen are those that stay open while the spec cannot be honoured: of associates that were open before and still
// may be, less what is closed now or was before.
func (r *resolved) hostsStillOpen(before *resolved) []hostRule {
	was := r.tenant.Status.Effective
	if r.isolated() || was == nil {
		return nil
	}
	var left []opening
	for _, a := range r.associates {
		if !slices.Contains(was.BusinessAssociates, a.name) {
			continue
		}
		o := opening{name: a.name}
		for _, rule := range a.hosts {
			hosts := slices.DeleteFunc(slices.Clone(rule.hosts), func(h string) bool { return before.closes(v1alpha1.Host(h)) })
			if ports := before.withoutDisabled(rule.ports); len(hosts) > 0 && len(ports) > 0 {
				o.hosts = append(o.hosts, hostRule{hosts: hosts, ports: ports})
			}
		}
		left = append(left, o)
	}
	return hostRules(left)
}

// closes says that a host is one of a disabled channel, or may be.
func (r *resolved) closes(h v1alpha1.Host) bool {
	return slices.ContainsFunc(r.closedHosts, func(c v1alpha1.Host) bool { return overlapping(h, c) })
}

// tightenHosts leaves of the host names that are open in the tenant's own namespaces those that still may be. One that is about
// to leave the spec is among them: what stands in it stays until the spec is honoured.
func (r *resolved) tightenHosts(owned []string, p *Plan) {
	before := r.closedBefore()
	rules := r.hostsStillOpen(before)
	r.closed = append(r.closed, before.closed...)
	for _, name := range owned {
		ref := ciliumRef(name)
		if p.refs[ref] && p.served(extension.CiliumNetworkPolicy) {
			delete(p.refs, ref)
			r.ciliumPolicy(name, rules, p)
			p.closes = p.closes || !p.refs[ref]
		}
	}
	if ref := r.clusterPolicyRef(); p.refs[ref] && p.served(extension.ClusterNetworkPolicy) {
		delete(p.refs, ref)
		named := NamespaceNames(r.tenant)
		r.clusterPolicy(slices.DeleteFunc(slices.Clone(owned), func(name string) bool { return !slices.Contains(named, name) }), rules, p)
	}
}
