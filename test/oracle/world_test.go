package oracle

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
)

// Agreements are judged now; what a tenant asked for before was judged half a year ago.
var (
	now    = time.Date(2026, time.November, 21, 12, 0, 0, 0, time.UTC)
	before = time.Date(2026, time.June, 1, 12, 0, 0, 0, time.UTC)
)

// World is a cluster: who lives on it, and what was agreed with whom.
type World struct {
	Profiles   []*v1alpha1.HIPAAProfile
	Associates []*v1alpha1.BusinessAssociate
	Tenants    []*Tenant
	Pods       []*Pod
}

// Tenant is what somebody asks for, and asked for before.
type Tenant struct {
	Name string
	// Before is nil for a new tenant. It was always in order.
	Before *v1alpha1.HIPAATenantSpec
	Now    v1alpha1.HIPAATenantSpec
	// Mistake: Now cannot be honoured, so what was enforced before stays, less what is no longer permitted.
	Mistake string
	// Deleted: nothing but the deny policies is left in the namespaces.
	Deleted bool
}

// Pod is a pod with one address of each family.
type Pod struct {
	Namespace string
	Name      string
	Labels    map[string]string
	IPs       []netip.Addr
	// Tenant whose namespace it runs in, in use or let go of; nil for none.
	Tenant *Tenant
}

// Packet is the first of a connection.
type Packet struct {
	// Kind is what the packet was aimed at.
	Kind     string
	From, To netip.Addr
	Protocol v1alpha1.Protocol
	Port     int32
}

func (p Packet) is(protocol v1alpha1.Protocol, port int32) bool {
	return p.Protocol == protocol && p.Port == port
}

func (p Packet) isOneOf(ports []v1alpha1.Port) bool {
	return slices.Contains(ports, v1alpha1.Port{Port: p.Port, Protocol: p.Protocol})
}

// inForce is the spec that is enforced.
func (t *Tenant) inForce() *v1alpha1.HIPAATenantSpec {
	if t.Mistake != "" {
		return t.Before
	}
	return &t.Now
}

// judgedAt is when the agreements of what is enforced were judged.
func (t *Tenant) judgedAt() time.Time {
	if t.Mistake != "" {
		return before
	}
	return now
}

// holds says that a namespace is in use, and not one the tenant let go of.
func (t *Tenant) holds(namespace string) bool {
	return !t.Deleted && slices.Contains(t.namespaces(t.inForce()), namespace)
}

// namespaces a spec asks for.
func (t *Tenant) namespaces(spec *v1alpha1.HIPAATenantSpec) []string {
	if spec == nil {
		return nil
	}
	if len(spec.Namespaces) == 0 {
		return []string{t.Name}
	}
	var out []string
	for _, n := range spec.Namespaces {
		out = append(out, string(n.Name))
	}
	return out
}

// everHeld are the namespaces the tenant has, in use or let go of.
func (t *Tenant) everHeld() []string {
	out := append([]string{}, t.namespaces(t.Before)...)
	if t.Mistake == "" {
		out = append(out, t.namespaces(&t.Now)...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func (w *World) tenantOf(pod *Pod) *Tenant {
	if pod == nil {
		return nil
	}
	return pod.Tenant
}

func (w *World) podAt(a netip.Addr) *Pod {
	at := slices.IndexFunc(w.Pods, func(p *Pod) bool { return slices.Contains(p.IPs, a.Unmap()) })
	if at < 0 {
		return nil
	}
	return w.Pods[at]
}

func (w *World) profileOf(t *Tenant) *v1alpha1.HIPAAProfile {
	return w.profile(t.inForce())
}

func (w *World) profile(spec *v1alpha1.HIPAATenantSpec) *v1alpha1.HIPAAProfile {
	name := string(spec.Profile)
	if name == "" {
		name = "default"
	}
	return w.Profiles[slices.IndexFunc(w.Profiles, func(p *v1alpha1.HIPAAProfile) bool { return p.Name == name })]
}

func (w *World) associate(name v1alpha1.Name) *v1alpha1.BusinessAssociate {
	at := slices.IndexFunc(w.Associates, func(a *v1alpha1.BusinessAssociate) bool { return a.Name == string(name) })
	if at < 0 {
		return nil
	}
	return w.Associates[at]
}

// GoString prints the world as YAML, without what has no say over packets and what nobody uses. Agreements that hold are
// left out.
func (w *World) GoString() string {
	view, names := map[string]any{}, map[string]bool{}
	for _, t := range w.Tenants {
		tenant := map[string]any{"name": t.Name, "now": w.tenantView(t.Now, names)}
		if t.Before != nil {
			tenant["before"] = w.tenantView(*t.Before, names)
		}
		if t.Mistake != "" {
			tenant["mistake"] = t.Mistake
		}
		if t.Deleted {
			tenant["deleted"] = true
		}
		add(view, "tenants", tenant)
	}
	for _, p := range w.Profiles {
		if names["profile "+p.Name] {
			add(view, "profiles", map[string]any{"name": p.Name, "spec": without(p.Spec, "maxSessionTimeout", "keys", "defaultQuota")})
		}
	}
	for _, a := range w.Associates {
		if names[a.Name] {
			add(view, "associates", map[string]any{"name": a.Name, "spec": without(a.Spec, "displayName")})
		}
	}
	text, err := yaml.Marshal(view)
	if err != nil {
		return err.Error()
	}
	return "\n" + string(text)
}

// tenantView notes the names of what the spec depends on.
func (w *World) tenantView(spec v1alpha1.HIPAATenantSpec, names map[string]bool) map[string]any {
	profile := w.profile(&spec)
	names["profile "+profile.Name] = true
	var note func(name v1alpha1.Name)
	note = func(name v1alpha1.Name) {
		if a := w.associate(name); a != nil && !names[a.Name] {
			names[a.Name] = true
			for _, s := range a.Spec.Subcontractors {
				note(s)
			}
		}
	}
	for _, r := range profile.Spec.Regions {
		note(r.BusinessAssociate)
	}
	for _, name := range spec.BusinessAssociates {
		note(name)
	}
	return without(spec, "coveredEntity", "securityOfficer", "authentication", "encryption", "sessionTimeout")
}

func add(view map[string]any, key string, value any) {
	list, _ := view[key].([]any)
	view[key] = append(list, value)
}

// without is a spec as written, without some fields and without an agreement that simply holds.
func without(spec any, fields ...string) map[string]any {
	out, plain := written(spec), written(agreement())
	for _, field := range fields {
		delete(out, field)
	}
	if reflect.DeepEqual(out["baa"], any(plain)) {
		delete(out, "baa")
	}
	return out
}

func written(v any) map[string]any {
	out := map[string]any{}
	text, err := yaml.Marshal(v)
	if err != nil {
		return map[string]any{"error": err.Error()}
	}
	if err := yaml.Unmarshal(text, &out); err != nil {
		return map[string]any{"error": err.Error()}
	}
	return out
}

// describe a packet with the pods it concerns.
func (w *World) describe(p Packet) string {
	end := func(a netip.Addr) string {
		if pod := w.podAt(a); pod != nil {
			return fmt.Sprintf("%s (pod %s/%s %v)", a, pod.Namespace, pod.Name, pod.Labels)
		}
		return a.String()
	}
	return fmt.Sprintf("packet from %s to %s, %s port %d, aimed: %s", end(p.From), end(p.To), p.Protocol, p.Port, p.Kind)
}
