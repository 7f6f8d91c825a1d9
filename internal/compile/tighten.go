package compile

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"go4.org/netipx"
	accore "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
)

// tighten is what becomes of a tenant whose spec cannot be honoured, or not yet: what was enforced stays as it stands,
// less what is no longer permitted. A mistake in the spec, or a profile that is gone, keeps no agreement in force that
// ended, and no region and no vendor open that nobody vouches for any more. Nothing is opened or widened here, whatever
// the spec says: every fact and every object is a part of what stands.
func (r *resolved) tighten(f Facts, p *Plan) {
	owned := r.withinReach(f)
	if len(owned) == 0 {
		return
	}
	p.narrows = true
	if r.profile == nil {
		r.lapseUnknown(f, p)
	}
	r.tellMissing(f, p)
	for _, grant := range r.tenant.Spec.Roles {
		p.wake(f.Now, grant.ExpiresOn.Time())
	}
	for _, name := range owned {
		if !f.Namespaces[name].Terminating {
			r.tightenNamespace(name, f, p)
		}
	}
	r.tightenHosts(owned, p)
	r.keepEffective(f, p)
}

// withinReach are the tenant's own namespaces that the status remembers, also one that a profile took for itself since: what
// was opened there is still this tenant's. Of those the spec names alone, those no tenant may have are left out.
func (r *resolved) withinReach(f Facts) []string {
	named, reserved := NamespaceNames(r.tenant), r.reserved(f)
	return slices.DeleteFunc(Owned(r.tenant, f), func(name string) bool {
		return !remembered(r.tenant, v1alpha1.ObjectRef{Kind: kindNamespace, Name: name}) &&
			(!slices.Contains(named, name) || slices.Contains(reserved, name))
	})
}

// lapseUnknown is for a lapse while no profile says what it does: all of it.
func (r *resolved) lapseUnknown(f Facts, p *Plan) {
	v := judgeAgreement(r.tenant.Spec.BAA, 0, f.Now)
	p.wake(f.Now, v.Next)
	if !v.InForce {
		r.lapse = v1alpha1.LapseIsolate
		p.find(v1alpha1.SeverityWarning, CodeBAALapsed, "spec.baa",
			"the agreement is not in force (%s), and no profile says what that does: the tenant is isolated", v.Message)
	}
}

func (r *resolved) tellMissing(f Facts, p *Plan) {
	for i, name := range r.tenant.Spec.BusinessAssociates {
		if _, found := f.Associates[string(name)]; !found {
			p.find(v1alpha1.SeverityWarning, CodeAssociateNotInForce, fmt.Sprintf("spec.businessAssociates[%d]", i),
				"egress to %s stays closed: there is no BusinessAssociate %s", name, name)
		}
	}
}

func (r *resolved) tightenNamespace(name string, f Facts, p *Plan) {
	facts := r.tightenFacts(name, r.tightenObjects(name, f, p), f, p)
	r.judgeStrangers(name, boundsOf(r.tenant.Name, name, facts), f, p)
}

// tightenObjects leaves of what opens a namespace what is permitted, and returns the networks opened to associates, to the mailbox
// and to the API server then.
func (r *resolved) tightenObjects(name string, f Facts, p *Plan) []string {
	if deny := policyIn(name, v1alpha1.PolicyDefaultDeny); remembered(r.tenant, deny) {
		writePolicy(WaveDeny, denyPolicy(r.tenant.Name, name, v1alpha1.PolicyDefaultDeny), p)
	}
	if r.isolated() {
		r.dropOpenings(name, p)
		shut(r.tenant.Name, name, p)
	}
	if r.profile != nil && len(r.profile.Spec.Gateways) == 0 {
		p.drop(policyIn(name, v1alpha1.PolicyAllowGateways))
	}
	var left []string
	for _, policy := range ofAgreements {
		left = union(left, r.tightenPolicy(policyIn(name, policy), f, p))
	}
	for _, role := range allRoles {
		r.tightenBinding(role, name, f, p)
	}
	return left
}

// boundsOf are what the facts of a namespace let its tenant's own network policies open.
func boundsOf(tenant, namespace string, facts map[string]string) bounds {
	b := bounds{
		namespace: namespace, tenant: tenant, closed: facts[v1alpha1.AnnotationAdmission] == string(v1alpha1.GateQuarantined),
		ingress: ipSet(list(facts[v1alpha1.AnnotationIPAllowlist])), egress: ipSet(list(facts[v1alpha1.AnnotationEgress])),
	}
	for _, entry := range list(facts[v1alpha1.AnnotationDisabledPorts]) {
		protocol, number, _ := strings.Cut(entry, "/")
		if n, err := strconv.ParseInt(number, 10, 32); err == nil {
			b.ports = append(b.ports, v1alpha1.Port{Port: int32(n), Protocol: v1alpha1.Protocol(protocol)})
		}
	}
	return b
}

// dropOpenings gives up every policy that opens something, but for the resolver.
func (r *resolved) dropOpenings(namespace string, p *Plan) {
	for _, ref := range r.tenant.Status.Inventory {
		opens := strings.HasPrefix(ref.Name, v1alpha1.PolicyAllowPrefix) && ref.Name != v1alpha1.PolicyAllowDNS
		if ref.Namespace == namespace && opens && !p.unreachable(ref) {
			p.drop(ref)
		}
	}
}

// tightenPolicy leaves of an egress policy what is permitted, and returns the networks it opens then. One that has not the
// form the operator gives it is given up: nobody knows what it opens.
func (r *resolved) tightenPolicy(ref v1alpha1.ObjectRef, f Facts, p *Plan) []string {
	spec, stands := f.Standing[ref.Namespace].Policies[ref.Name]
	if !stands || !p.refs[ref] {
		delete(p.refs, ref)
		return nil
	}
	were, known := opened(spec)
	if !known {
		p.drop(ref)
		return nil
	}
	left, less := were.within(r.permitted(ref.Name))
	rules := left.rules()
	switch {
	case !less:
	case len(rules) == 0:
		p.drop(ref)
	default:
		config := r.egressPolicy(ref.Namespace, ref.Name, []opening{{rules: rules}})
		config.WithResourceVersion(f.Standing[ref.Namespace].Versions[ref])
		writePolicy(WaveAllow, config, p)
		p.closes = true
	}
	return left.all()
}

// permitted are the networks a policy may open on a port. Associates are those the spec names, whose agreements are in
// force and that carry no disabled channel; without a profile nobody knows how often they must be verified, nor which
// channels are disabled. The API server is the profile's to open, and stays as it is while there is none.
func (r *resolved) permitted(policy string) func(v1alpha1.Port) *netipx.IPSet {
	all := []v1alpha1.CIDR{"0.0.0.0/0", "::/0"}
	switch {
	case policy == v1alpha1.PolicyAllowAssociates:
		return toNoMoreThan(r.associates)
	case policy == v1alpha1.PolicyAllowAPI && r.profile != nil:
		return toNoMoreThan(pointees(r.api))
	}
	return func(v1alpha1.Port) *netipx.IPSet { return ipSet(subtract(all, r.closed)) }
}

func toNoMoreThan(openings []opening) func(v1alpha1.Port) *netipx.IPSet {
	var rules []openRule
	for _, o := range openings {
		rules = append(rules, o.rules...)
	}
	open := networksOf(rules)
	return func(port v1alpha1.Port) *netipx.IPSet {
		if set, found := open[port]; found {
			return set
		}
		return &netipx.IPSet{}
	}
}

// tightenBinding takes those out of a role whose grant expired, or whom the spec no longer names, and service accounts of a
// namespace that is no longer the tenant's: whoever has it now could be them.
func (r *resolved) tightenBinding(role v1alpha1.Role, namespace string, f Facts, p *Plan) {
	ref := v1alpha1.ObjectRef{Kind: kindRoleBinding, Namespace: namespace, Name: bindingName(role)}
	subjects, stand := f.Standing[namespace].Subjects[ref.Name]
	if !stand || !p.refs[ref] {
		delete(p.refs, ref)
		return
	}
	granted, own := r.subjects(f)[role], Owned(r.tenant, f)
	var left []v1alpha1.Subject
	for _, s := range subjects {
		subject := v1alpha1.Subject{Kind: v1alpha1.SubjectKind(s.Kind), Name: s.Name, Namespace: v1alpha1.Name(s.Namespace)}
		if slices.Contains(granted, subject) && (s.Namespace == "" || slices.Contains(own, s.Namespace)) {
			left = append(left, subject)
		}
	}
	switch {
	case len(left) == len(subjects):
	case len(left) == 0:
		p.drop(ref)
	default:
		config := r.roleBinding(role, namespace, left).WithResourceVersion(f.Standing[namespace].Versions[ref])
		p.write(WaveAccess, ref, config)
		p.closes = true
	}
}

// tightenFacts narrows what the admission policies go by, and returns it. Facts that say nothing of agreements stay as they
// are.
func (r *resolved) tightenFacts(name string, egress []string, f Facts, p *Plan) map[string]string {
	live := f.Namespaces[name]
	gate := known(live.Gate())
	if live.Tenant() != r.tenant.Name || live.TenantUID() != r.tenant.UID {
		gate = narrower(gate, v1alpha1.GateLocked)
	}
	gate = narrower(gate, r.dueGate())
	p.Gates[name], p.FirstGates[name] = gate, gate
	allowlist := live.Facts[v1alpha1.AnnotationIPAllowlist]
	if r.isolated() {
		allowlist = ""
	}
	facts := map[string]string{}
	maps.Copy(facts, live.Facts)
	maps.Copy(facts, map[string]string{
		v1alpha1.AnnotationAdmission:        string(gate),
		v1alpha1.AnnotationTenantUID:        string(r.tenant.UID),
		v1alpha1.AnnotationRegions:          strings.Join(r.stillEligible(list(live.Facts[v1alpha1.AnnotationRegions]), f, p), ","),
		v1alpha1.AnnotationIPAllowlist:      allowlist,
		v1alpha1.AnnotationEgress:           strings.Join(prefixes(overlap(ipSet(list(live.Facts[v1alpha1.AnnotationEgress])), ipSet(egress))), ","),
		v1alpha1.AnnotationDisabledChannels: both(live.Facts[v1alpha1.AnnotationDisabledChannels], strings.Join(r.channels, ",")),
		v1alpha1.AnnotationDisabledPorts:    both(live.Facts[v1alpha1.AnnotationDisabledPorts], joinPorts(r.ports)),
	})
	labels := map[string]string{}
	maps.Copy(labels, live.Labels)
	maps.Copy(labels, managedLabels(r.tenant.Name))
	if !maps.Equal(facts, live.Facts) || !maps.Equal(labels, live.Labels) {
		p.closes = true
		p.write(WaveNamespace, v1alpha1.ObjectRef{Kind: kindNamespace, Name: name},
			accore.Namespace(name).WithUID(live.UID).WithLabels(labels).WithAnnotations(facts))
	}
	return facts
}

// both are the entries of two facts. The first stays as it is where the second adds nothing.
func both(a, b string) string {
	entries := list(a)
	for _, entry := range list(b) {
		if !slices.Contains(entries, entry) {
			entries = append(entries, entry)
		}
	}
	return strings.Join(entries, ",")
}

// stillEligible are the regions that the profile still lists and whose provider's agreement is in force, whether the spec
// still asks for them or not: a mistake in the spec moves nothing.
func (r *resolved) stillEligible(regions []string, f Facts, p *Plan) []string {
	if r.profile == nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(regions), func(name string) bool {
		at := slices.IndexFunc(r.profile.Spec.Regions, func(e v1alpha1.EligibleRegion) bool { return string(e.Name) == name })
		return at < 0 || !r.provided(r.profile.Spec.Regions[at], f, p).InForce
	})
}

// keepEffective says what is left of the resolved spec that stands, and tells people.
func (r *resolved) keepEffective(f Facts, p *Plan) {
	if r.tenant.Status.Effective == nil {
		return
	}
	kept := r.tenant.Status.Effective.DeepCopy()
	kept.Regions = r.stillEligible(kept.Regions, f, p)
	if kept.Regions == nil {
		kept.Regions = []string{} // the API server takes no null
	}
	open := r.effectiveAssociates()
	kept.BusinessAssociates = slices.DeleteFunc(kept.BusinessAssociates, func(name string) bool { return !slices.Contains(open, name) })
	p.Kept = kept
	p.find(v1alpha1.SeverityInfo, CodeKeptMeanwhile, "spec",
		"until it can be honoured, what stands stays, less what is no longer permitted: %s", r.remainder(kept))
}

func (r *resolved) remainder(kept *v1alpha1.Effective) string {
	text := fmt.Sprintf("new pods in regions: %s; egress to associates: %s", orNothing(kept.Regions), orNothing(kept.BusinessAssociates))
	switch {
	case r.profile == nil && !r.isolated():
		text += "; without a profile no region is vouched for, and nobody knows the rules for associates"
	case r.isolated():
		text = "no traffic but DNS, and no new pods"
	case r.dueGate() == v1alpha1.GateFrozen:
		text = "no new pods; egress to associates: " + orNothing(kept.BusinessAssociates)
	}
	return text
}
