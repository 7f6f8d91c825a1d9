package compile

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"go4.org/netipx"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	accore "k8s.io/client-go/applyconfigurations/core/v1"
	acnet "k8s.io/client-go/applyconfigurations/networking/v1"
	acrbac "k8s.io/client-go/applyconfigurations/rbac/v1"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
)

// checkNarrowed: a plan that cannot honour the spec leaves a part of what stands, and nothing else.
func (w world) checkNarrowed(t *testing.T, p *Plan) []string {
	t.Helper()
	if p.Writable() || p.Effective != nil {
		t.Errorf("a plan that cannot honour the spec says writable %t, effective %v", p.Writable(), p.Effective)
	}
	for _, ref := range p.Refs() {
		if p.Births(ref) || !slices.Contains(w.tenant.Status.Inventory, ref) && ref.Kind != kindNamespace {
			t.Errorf("%v is made, although the spec cannot be honoured", ref)
		}
	}
	for _, ref := range w.tenant.Status.Inventory {
		if !p.Owns(ref) && !Narrowed(ref) && !w.withdrawn(ref) && (!strings.HasPrefix(ref.Name, "hipaa-allow-") || ref.Name == v1alpha1.PolicyAllowDNS || w.due(p, ref.Namespace) != v1alpha1.GateQuarantined) {
			t.Errorf("%v is given up", ref)
		}
	}
	w.checkObjects(t, p)
	for _, wave := range p.Waves() {
		for _, config := range wave {
			w.checkPart(t, p, config)
		}
	}
	left := w.after(t, p)
	left.checkPermitted(t, p)
	again := Compile(left.tenant, left.facts)
	if again.Closes() {
		t.Errorf("what was narrowed is narrowed once more:\nfirst  %s\nsecond %s", encoded(t, summary(p)), encoded(t, summary(again)))
	}
	if was, is := encoded(t, p.Findings), encoded(t, again.Findings); was != is {
		t.Errorf("the findings change once it is done:\nfirst  %s\nsecond %s", was, is)
	}
	return w.narrowedKinds(p)
}

// withdrawn says that the profile no longer lets anybody in through gateways.
func (w world) withdrawn(ref v1alpha1.ObjectRef) bool {
	return ref.Name == v1alpha1.PolicyAllowGateways && w.facts.Profile != nil && len(w.facts.Profile.Spec.Gateways) == 0
}

func (w world) due(p *Plan, namespace string) v1alpha1.Gate { return p.Gates[namespace] }

func (w world) narrowedKinds(p *Plan) []string {
	var out []string
	written := map[string]bool{}
	for _, wave := range p.Waves() {
		for _, config := range wave {
			ref := refOf(config)
			written[ref.Kind+" "+ref.Name] = true
			if ref.Kind == kindNamespace {
				written["facts"] = true
			}
		}
	}
	for what, happened := range map[string]bool{
		"closed": p.Closes(), "facts narrowed": written["facts"],
		"egress narrowed":  written[kindNetworkPolicy+" "+v1alpha1.PolicyAllowAssociates],
		"mailbox narrowed": written[kindNetworkPolicy+" "+v1alpha1.PolicyAllowMailbox],
		"grants narrowed":  slices.ContainsFunc(allRoles, func(r v1alpha1.Role) bool { return written[kindRoleBinding+" "+bindingName(r)] }),
		"isolated meanwhile": slices.ContainsFunc(w.tenant.Status.Inventory, func(ref v1alpha1.ObjectRef) bool {
			return ref.Name == v1alpha1.PolicyAllowTenant && !p.Owns(ref)
		}),
		"frozen meanwhile": slices.ContainsFunc(slices.Collect(maps.Keys(p.Gates)), func(n string) bool {
			return p.Gates[n] == v1alpha1.GateFrozen && w.facts.Namespaces[n].Gate() == v1alpha1.GateOpen
		}),
	} {
		if happened {
			out = append(out, what)
		}
	}
	return out
}

// checkPart: an object opens nothing that the one in its place does not.
func (w world) checkPart(t *testing.T, p *Plan, config any) {
	t.Helper()
	ref := refOf(config)
	switch c := config.(type) {
	case *accore.NamespaceApplyConfiguration:
		w.checkFacts(t, p, c)
	case *acnet.NetworkPolicyApplyConfiguration:
		if ref.Name == v1alpha1.PolicyDefaultDeny {
			return
		}
		was := w.facts.Standing[ref.Namespace].Policies[ref.Name]
		for _, rule := range c.Spec.Egress {
			for _, to := range rule.To {
				for _, port := range rule.Ports {
					if !opens(was, *to.IPBlock.CIDR, string(*port.Protocol), port.Port.IntVal) {
						t.Errorf("%v opens %s port %s, and did not before", ref, *to.IPBlock.CIDR, port.Port.String())
					}
				}
			}
		}
		if w.due(p, ref.Namespace) == v1alpha1.GateQuarantined && w.facts.Namespaces[ref.Namespace].Gate() != v1alpha1.GateQuarantined {
			t.Errorf("%v is written into a namespace that is isolated", ref)
		}
	case *acrbac.RoleBindingApplyConfiguration:
		for _, s := range c.Subjects {
			if !slices.ContainsFunc(w.facts.Standing[ref.Namespace].Subjects[ref.Name], func(was rbacv1.Subject) bool { return was.Kind == *s.Kind && was.Name == *s.Name }) {
				t.Errorf("%v binds %s, and did not before", ref, *s.Name)
			}
		}
	default:
		t.Errorf("%v is written, although the spec cannot be honoured", ref)
	}
}

// opens says, rule by rule, that a policy lets a network out on a port.
func opens(spec networkingv1.NetworkPolicySpec, cidr, protocol string, number int32) bool {
	var blocks []string
	for _, rule := range spec.Egress {
		if slices.ContainsFunc(rule.Ports, func(p networkingv1.NetworkPolicyPort) bool {
			return string(*p.Protocol) == protocol && p.Port.IntVal == number
		}) {
			for _, to := range rule.To {
				blocks = append(blocks, to.IPBlock.CIDR)
			}
		}
	}
	return covers(ipSet(blocks), cidr)
}

// checkFacts: each fact is a part of the one in place, and those that only grow hold it.
func (w world) checkFacts(t *testing.T, p *Plan, c *accore.NamespaceApplyConfiguration) {
	t.Helper()
	live := w.facts.Namespaces[*c.Name]
	for key, value := range c.Annotations {
		was := live.Facts[key]
		sound := value == was
		switch key {
		case v1alpha1.AnnotationAdmission:
			sound = narrower(live.Gate(), v1alpha1.Gate(value)) == v1alpha1.Gate(value) && p.Gates[*c.Name] == v1alpha1.Gate(value)
		case v1alpha1.AnnotationTenantUID:
			sound = value == string(w.tenant.UID)
		case v1alpha1.AnnotationRegions:
			sound = !slices.ContainsFunc(list(value), func(r string) bool { return !slices.Contains(list(was), r) })
		case v1alpha1.AnnotationIPAllowlist, v1alpha1.AnnotationEgress:
			sound = !slices.ContainsFunc(list(value), func(c string) bool { return !covers(ipSet(list(was)), c) })
		case v1alpha1.AnnotationDisabledChannels, v1alpha1.AnnotationDisabledPorts:
			sound = !slices.ContainsFunc(list(was), func(r string) bool { return !slices.Contains(list(value), r) })
		}
		if !sound {
			t.Errorf("fact %s of namespace %s goes from %q to %q, which is no part of it", key, *c.Name, was, value)
		}
	}
	for key := range live.Facts {
		if _, kept := c.Annotations[key]; !kept {
			t.Errorf("fact %s of namespace %s is lost", key, *c.Name)
		}
	}
}

// after is the world once the plan was applied and what it gives up is gone.
func (w world) after(t *testing.T, p *Plan) world {
	t.Helper()
	out := world{tenant: w.tenant.DeepCopy(), facts: w.facts}
	out.facts.Namespaces, out.facts.Standing = maps.Clone(w.facts.Namespaces), map[string]Standing{}
	for name, s := range w.facts.Standing {
		out.facts.Standing[name] = Standing{Policies: maps.Clone(s.Policies), Subjects: maps.Clone(s.Subjects), Versions: s.Versions}
	}
	for _, ref := range w.tenant.Status.Inventory {
		if !p.Owns(ref) {
			delete(out.facts.Standing[ref.Namespace].Policies, ref.Name)
			delete(out.facts.Standing[ref.Namespace].Subjects, ref.Name)
		}
	}
	for _, wave := range p.Waves() {
		for _, config := range wave {
			switch c := config.(type) {
			case *accore.NamespaceApplyConfiguration:
				n := out.facts.Namespaces[*c.Name]
				n.Labels, n.Facts = c.Labels, c.Annotations
				out.facts.Namespaces[*c.Name] = n
			case *acnet.NetworkPolicyApplyConfiguration:
				var spec networkingv1.NetworkPolicySpec
				if err := unmarshalStrict(encoded(t, c.Spec), &spec); err != nil {
					t.Fatal(err)
				}
				if *c.Name != v1alpha1.PolicyDefaultDeny {
					out.facts.Standing[*c.Namespace].Policies[*c.Name] = spec
				}
			case *acrbac.RoleBindingApplyConfiguration:
				var subjects []rbacv1.Subject
				if err := unmarshalStrict(encoded(t, c.Subjects), &subjects); err != nil {
					t.Fatal(err)
				}
				out.facts.Standing[*c.Namespace].Subjects[*c.Name] = subjects
			}
		}
	}
	out.tenant.Status.Inventory = slices.DeleteFunc(slices.Clone(w.tenant.Status.Inventory), func(ref v1alpha1.ObjectRef) bool { return !p.Owns(ref) })
	if p.Kept != nil {
		out.tenant.Status.Effective = p.Kept
	}
	return out
}

// checkPermitted states plainly what may be left: egress of associates that are named and in force, regions whose provider
// is, subjects of grants that have not expired, and nothing of a lapse that closes.
func (w world) checkPermitted(t *testing.T, p *Plan) {
	t.Helper()
	for _, name := range Owned(w.tenant, w.facts) {
		n := w.facts.Namespaces[name]
		wrote := remembered(w.tenant, v1alpha1.ObjectRef{Kind: kindNamespace, Name: name})
		reserved := slices.Contains([]string{"edge", "hipaa-system", "kube-system"}, name)
		if n.Terminating || !wrote && (reserved || !slices.Contains(NamespaceNames(w.tenant), name)) {
			continue // not written to, or no tenant may have it, nor had
		}
		if gateways := policyIn(name, v1alpha1.PolicyAllowGateways); w.withdrawn(gateways) && slices.Contains(w.tenant.Status.Inventory, gateways) {
			t.Errorf("%v stays, although the profile has no gateways", gateways)
		}
		for policy, spec := range w.facts.Standing[name].Policies {
			ref := policyIn(name, policy)
			may, named := w.permitted(policy)
			if !named || !slices.Contains(w.tenant.Status.Inventory, ref) {
				continue
			}
			for _, rule := range spec.Egress {
				for _, to := range rule.To {
					if !covers(may, to.IPBlock.CIDR) {
						t.Errorf("%v opens %s, for which neither an associate in force nor the profile vouches", ref, to.IPBlock.CIDR)
					}
				}
			}
		}
		for binding, subjects := range w.facts.Standing[name].Subjects {
			for _, s := range subjects {
				if ref := (v1alpha1.ObjectRef{Kind: kindRoleBinding, Namespace: name, Name: binding}); s.Namespace != "" && slices.Contains(w.tenant.Status.Inventory, ref) &&
					!ours(w.tenant, s.Namespace, w.facts.Namespaces[s.Namespace]) {
					t.Errorf("%v binds service account %s of namespace %s, which is not the tenant's", ref, s.Name, s.Namespace)
				}
			}
		}
		for _, region := range list(n.Facts[v1alpha1.AnnotationRegions]) {
			if !w.eligible(region) {
				t.Errorf("namespace %s still takes pods in region %s", name, region)
			}
		}
		w.checkLapse(t, p, name, n)
	}
}

func (w world) checkLapse(t *testing.T, p *Plan, name string, n Namespace) {
	t.Helper()
	held := judgeAgreement(w.tenant.Spec.BAA, 0, w.facts.Now).InForce
	if w.facts.Profile != nil {
		var rules v1alpha1.BAARules
		if w.facts.Profile.Spec.BAA != nil {
			rules = *w.facts.Profile.Spec.BAA
		}
		held = judgeAgreement(w.tenant.Spec.BAA, rules.ReverifyEvery.Value(), w.facts.Now).InForce || rules.OnLapse == v1alpha1.LapseAlert || rules.OnLapse == ""
		if !held && rules.OnLapse == v1alpha1.LapseFreeze && provisioned(w.tenant, w.facts) {
			if n.Gate() == v1alpha1.GateOpen {
				t.Errorf("namespace %s is open although the agreement lapsed: %v", name, p.Findings)
			}
			return
		}
	}
	if held || !provisioned(w.tenant, w.facts) {
		return
	}
	if n.Gate() != v1alpha1.GateQuarantined || n.Facts[v1alpha1.AnnotationEgress]+n.Facts[v1alpha1.AnnotationIPAllowlist] != "" {
		t.Errorf("namespace %s is %s, lets in %q and out %q, although the agreement lapsed", name, n.Gate(), n.Facts[v1alpha1.AnnotationIPAllowlist], n.Facts[v1alpha1.AnnotationEgress])
	}
	for _, ref := range w.tenant.Status.Inventory {
		if ref.Namespace == name && strings.HasPrefix(ref.Name, "hipaa-allow-") && ref.Name != v1alpha1.PolicyAllowDNS {
			t.Errorf("%v stays although the agreement lapsed", ref)
		}
	}
}

// permitted are the networks a policy may open at most; false where that is not said.
func (w world) permitted(policy string) (*netipx.IPSet, bool) {
	switch {
	case policy == v1alpha1.PolicyAllowAssociates:
		return w.vouched(), true
	case policy == v1alpha1.PolicyAllowAPI && w.facts.Profile != nil:
		if api := w.facts.Profile.Spec.KubernetesAPI; api != nil {
			return ipSet(subtract(api.CIDRs, nil)), true
		}
		return ipSet(), true
	}
	return nil, false
}

// vouched are the networks of the associates that are named and in force; none without a profile.
func (w world) vouched() *netipx.IPSet {
	var all []string
	for _, name := range w.tenant.Spec.BusinessAssociates {
		a, found := w.facts.Associates[string(name)]
		if w.facts.Profile == nil || !found || !JudgeAssociate(a, w.facts.Associates, ReverifyEvery(w.facts.Profile), w.facts.Now).InForce {
			continue
		}
		for _, e := range a.Spec.Endpoints {
			all = union(all, subtract(e.CIDRs, nil))
		}
	}
	return ipSet(all)
}

func (w world) eligible(region string) bool {
	if w.facts.Profile == nil {
		return false
	}
	return slices.ContainsFunc(w.facts.Profile.Spec.Regions, func(e v1alpha1.EligibleRegion) bool {
		a, found := w.facts.Associates[string(e.BusinessAssociate)]
		return string(e.Name) == region && (e.BusinessAssociate == "" || found && JudgeAssociate(a, w.facts.Associates, ReverifyEvery(w.facts.Profile), w.facts.Now).InForce)
	})
}
