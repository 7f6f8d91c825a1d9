package compile

import (
	"encoding/json"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	networkingv1 "k8s.io/api/networking/v1"
	accore "k8s.io/client-go/applyconfigurations/core/v1"
	acnet "k8s.io/client-go/applyconfigurations/networking/v1"
	acrbac "k8s.io/client-go/applyconfigurations/rbac/v1"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
)

const worldBytes = 400

// TestPlansOfRandomWorlds holds what must be true of every plan against thousands of worlds, and counts the outcomes:
// a property that is never put to the test proves nothing.
func TestPlansOfRandomWorlds(t *testing.T) {
	const worlds = 2500
	seen := map[string]int{}
	r := rand.New(rand.NewPCG(2026, 11))
	for range worlds {
		data := make([]byte, worldBytes)
		for i := range data {
			data[i] = byte(r.Uint32())
		}
		for _, what := range checkWorld(t, data) {
			seen[what]++
		}
		if t.Failed() {
			t.Fatalf("in the world of these bytes: %q", data)
		}
	}
	t.Logf("kinds of worlds: %v", seen)
	for what, least := range map[string]int{
		"invalid": 500, "waiting": 100, "written": 600, "lapsed": 40, "retained": 120, "terminating": 5, "associates open": 60,
		"mailbox open": 60, "closed networks": 150, "isolated": 40, "held back": 150,
		"closed": 200, "facts narrowed": 200, "egress narrowed": 8, "mailbox narrowed": 8, "grants narrowed": 20, "isolated meanwhile": 20, "frozen meanwhile": 8,
	} {
		if seen[what] < least {
			t.Errorf("only %d of %d worlds are %s, want at least %d: the generator no longer makes what this test is for", seen[what], worlds, what, least)
		}
	}
}

// FuzzCompile looks for worlds in which a plan is not what it must be.
func FuzzCompile(f *testing.F) {
	f.Add([]byte{})
	r := rand.New(rand.NewPCG(7, 7))
	for range 20 {
		data := make([]byte, worldBytes)
		for i := range data {
			data[i] = byte(r.Uint32())
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) { checkWorld(t, data) })
}

// checkWorld compiles a world and its retirement, and says what kind of world it was.
func checkWorld(t *testing.T, data []byte) []string {
	t.Helper()
	w, again := newWorld(data), newWorld(data)
	p := Compile(w.tenant, w.facts)
	if was, is := encoded(t, again.tenant)+encoded(t, again.facts), encoded(t, w.tenant)+encoded(t, w.facts); was != is {
		t.Errorf("Compile changed what it was given:\n%s", cmp.Diff(was, is))
	}
	if a, b := encoded(t, summary(p)), encoded(t, summary(Compile(again.tenant, again.facts))); a != b {
		t.Errorf("the same world gives two plans:\n%s", cmp.Diff(a, b))
	}
	if !p.Next.IsZero() && !p.Next.After(w.facts.Now) {
		t.Errorf("next look at %s, which is past", p.Next)
	}
	if c := Check(w.tenant, w.facts); c.Writable() != p.Writable() || !cmp.Equal(c.Effective, p.Effective) || c.Rotation != p.Rotation {
		t.Errorf("Check says writable %t, effective %v, rotation %s; Compile %t, %v, %s", c.Writable(), c.Effective, c.Rotation, p.Writable(), p.Effective, p.Rotation)
	}
	retirement := Retire(w.tenant, w.facts)
	w.checkObjects(t, retirement)
	w.checkRetained(t, retirement)
	if p.Invalid() || len(p.Waiting) > 0 {
		kinds := w.checkNarrowed(t, p)
		if p.Invalid() {
			return append(kinds, "invalid")
		}
		return append(kinds, "waiting")
	}
	w.checkObjects(t, p)
	w.checkNamespaces(t, p)
	w.checkRetained(t, p)
	w.checkOrder(t, p)
	return append(w.kinds(p), "written")
}

// kinds are the cases a written plan puts to the test.
func (w world) kinds(p *Plan) []string {
	var out []string
	add := func(what string, holds bool) {
		if holds {
			out = append(out, what)
		}
	}
	policies := func(name string) bool {
		return slices.ContainsFunc(p.Refs(), func(ref v1alpha1.ObjectRef) bool { return ref.Name == name && ref.Kind == kindNetworkPolicy })
	}
	add("lapsed", !p.Agreement.InForce)
	add("retained", has(p, CodeNamespaceRetained))
	add("terminating", slices.ContainsFunc(slices.Collect(maps.Values(w.facts.Namespaces)), func(n Namespace) bool { return n.Terminating }))
	add("associates open", policies(v1alpha1.PolicyAllowAssociates))
	add("mailbox open", policies(v1alpha1.PolicyAllowMailbox))
	add("closed networks", len(w.closed(p)) > 0)
	add("isolated", slices.Contains(slices.Collect(maps.Values(p.Gates)), v1alpha1.GateQuarantined) && !policies(v1alpha1.PolicyAllowTenant))
	add("held back", !w.facts.AdmissionEnforced || has(p, CodeKeysetMissing))
	return out
}

func encoded(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// checkObjects looks at every object by itself: whose namespace it is in, and what it opens.
func (w world) checkObjects(t *testing.T, p *Plan) {
	t.Helper()
	for _, wave := range p.Waves() {
		for _, config := range wave {
			ref := refOf(config)
			if !p.Owns(ref) {
				t.Errorf("%v is written and not remembered", ref)
			}
			namespace := ref.Namespace
			if ref.Kind == kindNamespace {
				namespace = ref.Name
			}
			w.checkOwn(t, namespace)
			switch c := config.(type) {
			case *acnet.NetworkPolicyApplyConfiguration:
				w.checkPolicy(t, p, c)
			case *acrbac.RoleBindingApplyConfiguration:
				w.checkBinding(t, c)
			}
		}
	}
}

// checkOwn: nothing is written into a namespace that the tenant neither names nor remembers, nor into another tenant's.
func (w world) checkOwn(t *testing.T, namespace string) {
	t.Helper()
	remembered := slices.Contains(w.tenant.Status.Inventory, v1alpha1.ObjectRef{Kind: kindNamespace, Name: namespace})
	if !slices.Contains(NamespaceNames(w.tenant), namespace) && !remembered {
		t.Errorf("something is written into namespace %s, which the tenant neither names nor remembers", namespace)
	}
	n, exists := w.facts.Namespaces[namespace]
	if owner := n.Tenant(); owner != "" && owner != w.tenant.Name {
		t.Errorf("something is written into namespace %s of tenant %s", namespace, owner)
	}
	if n.Terminating {
		t.Errorf("something is written into namespace %s, which terminates", namespace)
	}
	if named := slices.Contains(NamespaceNames(w.tenant), namespace); !named && !exists {
		t.Errorf("something is written into namespace %s, which is gone", namespace)
	}
	if w.facts.Profile != nil && remembered == false && slices.Contains([]string{"hipaa-system", "kube-system"}, namespace) {
		t.Errorf("something is written into namespace %s, which is reserved", namespace)
	}
}

// checkPolicy: both types stated, no rule for everybody, no address that must never be reached.
func (w world) checkPolicy(t *testing.T, p *Plan, c *acnet.NetworkPolicyApplyConfiguration) {
	t.Helper()
	if both := []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress}; !slices.Equal(c.Spec.PolicyTypes, both) {
		t.Errorf("%s states policyTypes %v, want %v", *c.Name, c.Spec.PolicyTypes, both)
	}
	for _, rule := range c.Spec.Ingress {
		w.checkPeers(t, *c.Name, rule.From, parsed(neverReached))
	}
	for _, rule := range c.Spec.Egress {
		w.checkPeers(t, *c.Name, rule.To, append(parsed(neverReached), w.closed(p)...))
		for _, port := range rule.Ports {
			if port.Port == nil || port.Protocol == nil {
				t.Errorf("%s opens a port without number or protocol", *c.Name)
			}
		}
		if blocks := rule.To[0].IPBlock != nil; blocks && len(rule.Ports) == 0 {
			t.Errorf("%s opens every port of %s", *c.Name, *rule.To[0].IPBlock.CIDR)
		}
	}
	if *c.Name == v1alpha1.PolicyDefaultDeny && len(c.Spec.Ingress)+len(c.Spec.Egress) > 0 {
		t.Errorf("%s opens something", *c.Name)
	}
}

func (w world) checkPeers(t *testing.T, policy string, peers []acnet.NetworkPolicyPeerApplyConfiguration, never []netip.Prefix) {
	t.Helper()
	if len(peers) == 0 {
		t.Errorf("%s has a rule without peers, which means everybody", policy)
	}
	for _, peer := range peers {
		switch {
		case peer.IPBlock != nil:
			block, err := netip.ParsePrefix(*peer.IPBlock.CIDR)
			if err != nil {
				t.Errorf("%s: %v", policy, err)
				continue
			}
			if slices.ContainsFunc(never, block.Overlaps) {
				t.Errorf("%s opens %s, which overlaps one of %v", policy, block, never)
			}
		case peer.NamespaceSelector == nil || len(peer.NamespaceSelector.MatchLabels) == 0:
			t.Errorf("%s has a peer that does not name its namespaces", policy)
		}
	}
}

// closed are the networks of the channels that are disabled.
func (w world) closed(p *Plan) []netip.Prefix {
	var out []netip.Prefix
	if p.Effective == nil {
		return nil
	}
	for _, c := range w.facts.Profile.Spec.Channels {
		if slices.Contains(p.Effective.DisabledChannels, string(c.Name)) {
			for _, cidr := range c.CIDRs {
				if prefix, err := netip.ParsePrefix(string(cidr)); err == nil {
					out = append(out, prefix)
				}
			}
		}
	}
	return out
}

// checkBinding: nobody from outside, and no role but the three.
func (w world) checkBinding(t *testing.T, c *acrbac.RoleBindingApplyConfiguration) {
	t.Helper()
	if !strings.HasPrefix(*c.RoleRef.Name, v1alpha1.ClusterRolePrefix) || *c.RoleRef.Kind != "ClusterRole" {
		t.Errorf("%s binds %s %s", *c.Name, *c.RoleRef.Kind, *c.RoleRef.Name)
	}
	for _, s := range c.Subjects {
		if *s.Kind == "ServiceAccount" && !slices.Contains(NamespaceNames(w.tenant), *s.Namespace) {
			t.Errorf("%s binds service account %s/%s, which is not in the tenant", *c.Name, *s.Namespace, *s.Name)
		}
	}
}

// checkNamespaces: written first and last, pinned or born, never opened wider than it may be.
func (w world) checkNamespaces(t *testing.T, p *Plan) {
	t.Helper()
	for _, name := range NamespaceNames(w.tenant) {
		live, exists := w.facts.Namespaces[name]
		ref := v1alpha1.ObjectRef{Kind: kindNamespace, Name: name}
		if p.Births(ref) == exists {
			t.Errorf("namespace %s exists: %t, is to be born: %t", name, exists, p.Births(ref))
		}
		current := narrower(live.Gate(), v1alpha1.GateLocked)
		if live.Tenant() == w.tenant.Name && live.TenantUID() == w.tenant.UID {
			current = live.Gate()
		}
		written := w.gates(t, p, name)
		first, last := written[WaveNamespace], written[WaveGate]
		for what, limit := range map[string]v1alpha1.Gate{"the one in place": current, "the one it is due": last} {
			if narrower(limit, first) != first {
				t.Errorf("namespace %s: the first wave writes gate %s, wider than %s, %s", name, first, what, limit)
			}
		}
		_, keyed := w.facts.Keysets[name]
		if (!keyed || !w.facts.AdmissionEnforced) && narrower(current, last) != last {
			t.Errorf("namespace %s goes from gate %q to %s; has a keyset: %t, policies in force: %t", name, current, last, keyed, w.facts.AdmissionEnforced)
		}
		if secret := keysetRef(name); slices.Contains(w.tenant.Status.Inventory, secret) && !p.Owns(secret) {
			t.Errorf("the keyset of namespace %s is given up", name)
		}
	}
}

// gates a namespace gets, by wave; each write is pinned to the UID that was seen.
func (w world) gates(t *testing.T, p *Plan, name string) map[Wave]v1alpha1.Gate {
	t.Helper()
	out := map[Wave]v1alpha1.Gate{}
	for i, wave := range p.Waves() {
		for _, config := range wave {
			n, ok := config.(*accore.NamespaceApplyConfiguration)
			if !ok || *n.Name != name {
				continue
			}
			out[Wave(i)] = v1alpha1.Gate(n.Annotations[v1alpha1.AnnotationAdmission])
			if live, exists := w.facts.Namespaces[name]; exists && (n.UID == nil || *n.UID != live.UID) {
				t.Errorf("namespace %s is written without its UID %s", name, live.UID)
			}
		}
	}
	if len(out) != 2 || out[WaveNamespace] == "" || out[WaveGate] == "" {
		t.Errorf("namespace %s is written in waves %v, want the first and the last", name, out)
	}
	return out
}

// checkRetained: what the tenant lets go of is quarantined and denied, or left alone with all its policies.
func (w world) checkRetained(t *testing.T, p *Plan) {
	t.Helper()
	for _, ref := range w.tenant.Status.Inventory {
		n, exists := w.facts.Namespaces[ref.Name]
		_, written := p.Gates[ref.Name]
		if ref.Kind != kindNamespace || !exists || !ours(w.tenant, ref.Name, n) || (written && p.Gates[ref.Name] != v1alpha1.GateQuarantined) {
			continue
		}
		deny := v1alpha1.ObjectRef{Kind: kindNetworkPolicy, Namespace: ref.Name, Name: v1alpha1.PolicyDefaultDeny}
		if !p.Owns(ref) || !p.Owns(deny) || !p.Owns(keysetRef(ref.Name)) {
			t.Errorf("namespace %s is let go of: its deny-all policy kept %t, its keyset kept %t", ref.Name, p.Owns(deny), p.Owns(keysetRef(ref.Name)))
		}
		if n.Terminating == written {
			t.Errorf("namespace %s terminates: %t, is written: %t", ref.Name, n.Terminating, written)
		}
	}
}

// checkOrder: in every namespace, closed before open, and the gate behind everything.
func (w world) checkOrder(t *testing.T, p *Plan) {
	t.Helper()
	denied := map[string]int{}
	for i, wave := range p.Waves() {
		for _, config := range wave {
			if ref := refOf(config); ref.Name == v1alpha1.PolicyDefaultDeny {
				denied[ref.Namespace] = i
			}
		}
	}
	for i, wave := range p.Waves() {
		for _, config := range wave {
			ref := refOf(config)
			at, found := denied[ref.Namespace]
			if ref.Kind == kindNamespace {
				at, found = denied[ref.Name]
			}
			late := ref.Kind == kindNetworkPolicy && ref.Name != v1alpha1.PolicyDefaultDeny || ref.Kind == kindNamespace && i > 0
			if !found || late && i <= at {
				t.Errorf("%v is written in wave %d, its deny-all policy in %d (%t)", ref, i, at, found)
			}
			if Wave(i) == WaveGate && ref.Kind != kindNamespace {
				t.Errorf("%v is written in the wave that opens the gates", ref)
			}
		}
	}
}
