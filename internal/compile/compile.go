package compile

import (
	"slices"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
)

// Check is Compile without the objects: whether the spec can be honoured, and with which effective values. It costs a
// fraction, and needs no keysets.
func Check(t *v1alpha1.HIPAATenant, f Facts) *Plan {
	_, p := decide(t, f)
	return p
}

// Compile decides what a tenant becomes. When the spec cannot be honoured or a fact is missing, what was enforced before
// stays, less what is no longer permitted: see tighten.
func Compile(t *v1alpha1.HIPAATenant, f Facts) *Plan {
	r, p := decide(t, f)
	if p.Writable() {
		r.compile(f, p)
		r.planEvictions(f, p)
	} else {
		r.tighten(f, p)
	}
	return p.settle()
}

// decide resolves the spec. The plan keeps everything the tenant remembers.
func decide(t *v1alpha1.HIPAATenant, f Facts) (*resolved, *Plan) {
	p := newPlan()
	p.extensions = f.Extensions
	for _, ref := range t.Status.Inventory {
		p.keep(ref)
	}
	judgeAtRest(t, f, p)
	if f.Profile == nil {
		p.wait("HIPAAProfile %s", ProfileName(t))
		return &resolved{tenant: t}, p
	}
	r := resolve(t, f, p)
	r.checkNamespaces(f, p)
	r.judgePlacement(f, p)
	honoured := !p.Invalid() && len(p.Waiting) == 0
	r.judgeChannels(honoured, f, p)
	if honoured {
		p.Effective, p.Rotation = r.effective(), r.rotation
	} else {
		r.holdAll(p)
		r.judgeConsumption(func(name string) string { return f.Namespaces[name].Facts[v1alpha1.AnnotationConfigHash] }, f, p)
	}
	return r, p
}

// compile replaces what the plan keeps by what it writes.
func (r *resolved) compile(f Facts, p *Plan) {
	t := r.tenant
	clear(p.refs)
	p.keepUnreachable(t)
	p.judgeExtensions()
	r.judgeGateways(p)
	config := r.config()
	for _, name := range NamespaceNames(t) {
		r.compileNamespace(name, f, config, p)
	}
	r.clusterPolicy(r.activeNamespaces(), r.hostsOpened(), p)
	r.judgeConsumption(func(string) string { return config.hash }, f, p)
	for _, name := range retainedNamespaces(t, f) {
		retain(t, name, f.Namespaces[name], p)
		if !f.Namespaces[name].Terminating {
			p.find(v1alpha1.SeverityInfo, CodeNamespaceRetained, "spec.namespaces",
				"namespace %s is no longer in the spec: it is quarantined, its data and keys are kept", name)
			r.judgeStrangers(name, r.bounds(name, p.Gates[name]), f, p)
		}
	}
}

// compileNamespace writes everything one namespace holds, each object in the wave it belongs to.
func (r *resolved) compileNamespace(name string, f Facts, config configDocument, p *Plan) {
	r.namespace(name, f, config, p)
	for _, object := range []func(string, *Plan){
		r.defaultDeny, r.resourceQuota, r.limitRange,
		r.allowTenant, r.allowDNS, r.allowIngress, r.allowGateways, r.allowAssociates, r.allowMailbox, r.allowAPI,
		r.authorizationPolicy, r.securityPolicy, r.allowHosts,
	} {
		object(name, p)
	}
	peerAuthentication(r.tenant.Name, name, p)
	clientTrafficPolicy(r.tenant.Name, name, p)
	r.keyset(name, f, p)
	config.configMap(name, p)
	r.roleBindings(name, f, p)
	r.judgeStrangers(name, r.bounds(name, p.Gates[name]), f, p)
}

// Retire is the plan for a tenant that is being deleted: every namespace it remembers is quarantined and keeps its
// deny-all policy and its keyset, everything else may be pruned. It needs no profile and no valid spec.
func Retire(t *v1alpha1.HIPAATenant, f Facts) *Plan {
	p := newPlan()
	p.extensions = f.Extensions
	p.keepUnreachable(t)
	for _, ref := range t.Status.Inventory {
		if n, exists := f.Namespaces[ref.Name]; ref.Kind == kindNamespace && exists && ours(t, ref.Name, n) {
			retain(t, ref.Name, n, p)
		}
	}
	return p
}

// retainedNamespaces are namespaces the tenant remembers, owns and no longer names.
func retainedNamespaces(t *v1alpha1.HIPAATenant, f Facts) []string {
	var names []string
	wanted := NamespaceNames(t)
	for _, ref := range t.Status.Inventory {
		n, exists := f.Namespaces[ref.Name]
		if ref.Kind == kindNamespace && exists && ours(t, ref.Name, n) && !slices.Contains(wanted, ref.Name) {
			names = append(names, ref.Name)
		}
	}
	return names
}

// ours says that a namespace is this very tenant's. One whose labels were stripped stays so: letting go of it would
// remove its deny-all policy.
func ours(t *v1alpha1.HIPAATenant, name string, n Namespace) bool {
	if n.Tenant() == t.Name && n.TenantUID() == t.UID {
		return true
	}
	return (n.Tenant() == "" || n.Tenant() == t.Name) && remembers(t, name, n)
}
