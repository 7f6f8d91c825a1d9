package compile

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
)

const kindNamespace = "Namespace"

// checkNamespaces refuses namespaces that may not be taken over, and waits for those that take no writes.
func (r *resolved) checkNamespaces(f Facts, p *Plan) {
	for i, name := range NamespaceNames(r.tenant) {
		path := fmt.Sprintf("spec.namespaces[%d].name", i)
		n, exists := f.Namespaces[name]
		switch {
		case slices.Contains(r.reserved(f), name):
			p.find(v1alpha1.SeverityError, CodeNamespaceReserved, path,
				"namespace %s belongs to the operator, or to the gateways or resolvers of a profile: choose another name", name)
		case !exists && !f.AdmissionEnforced:
			p.wait("the admission policies: namespace %s is not created before they are in force", name)
		case !exists:
		case n.Terminating:
			p.wait("namespace %s is terminating; it is created anew once it is gone", name)
		case n.Tenant() == r.tenant.Name:
		case n.Tenant() != "":
			p.find(v1alpha1.SeverityError, CodeNamespaceConflict, path, "namespace %s belongs to tenant %s: choose another name", name, n.Tenant())
		case !r.adopts(i) && !remembers(r.tenant, name, n):
			p.find(v1alpha1.SeverityError, CodeNamespaceConflict, path,
				"namespace %s exists and belongs to no tenant: choose another name, or set adopt: true to take it over", name)
		default:
			r.checkPosing(name, f, p)
		}
	}
}

// adopts says whether the spec asks to take over its i-th namespace.
func (r *resolved) adopts(i int) bool {
	return i < len(r.tenant.Spec.Namespaces) && r.tenant.Spec.Namespaces[i].Adopt
}

// checkPosing refuses to take over a namespace with objects that carry the operator's label: once it is taken over, nobody
// but the operator could change them, and the operator knows nothing of them.
func (r *resolved) checkPosing(name string, f Facts, p *Plan) {
	for _, kind := range []string{kindNetworkPolicy, kindRoleBinding} {
		if list := r.posing(kind, f.Strangers[name], p); len(list) > 0 {
			p.find(v1alpha1.SeverityError, CodeNamespaceConflict, "spec.namespaces",
				"namespace %s cannot be taken over: it holds %s %s; delete them, or remove their label %s, first",
				name, kind, strings.Join(list, "; "), v1alpha1.LabelManagedBy)
		}
	}
}

func (r *resolved) reserved(f Facts) []string {
	names := append([]string{f.OperatorNamespace, f.ProbeNamespace}, f.SharedNamespaces...)
	if r.profile != nil {
		names = append(names, SharedNamespaces(r.profile)...)
	}
	return names
}

// SharedNamespaces are those of a profile's resolvers and gateways. Its tenants' pods talk to what runs there, so no tenant
// may have one of them, whatever its own profile.
func SharedNamespaces(p *v1alpha1.HIPAAProfile) []string {
	names := []string{string(resolvers(p).Namespace)}
	for _, g := range p.Spec.Gateways {
		names = append(names, string(g.Namespace))
	}
	return names
}

// remembers says whether the operator wrote to this very namespace before, so that one whose labels were stripped is
// taken back.
func remembers(t *v1alpha1.HIPAATenant, name string, n Namespace) bool {
	return slices.ContainsFunc(t.Status.Namespaces, func(s v1alpha1.NamespaceStatus) bool {
		return s.Name == name && s.UID == n.UID && n.UID != ""
	})
}

// namespace stands in the plan twice, pinned to the UID it was seen with, or to be born if there was none. The first
// wave writes the facts with a gate that is never wider than the one in place, and locks what was not this tenant's; the
// last wave sets the gate the tenant is due, and announces the config that stands by then.
func (r *resolved) namespace(name string, f Facts, config configDocument, p *Plan) {
	live, exists := f.Namespaces[name]
	current := known(live.Gate())
	if live.Tenant() != r.tenant.Name || live.TenantUID() != r.tenant.UID {
		current = narrower(current, v1alpha1.GateLocked)
	}
	target := r.gate(name, current, f, p)
	hash := config.hash
	if announced := live.Facts[v1alpha1.AnnotationConfigHash]; announced != "" {
		hash = announced
	}
	ref := v1alpha1.ObjectRef{Kind: kindNamespace, Name: name}
	p.Gates[name], p.FirstGates[name] = target, narrower(current, target)
	first := r.namespaceFacts(name, p.FirstGates[name], hash)
	last := r.namespaceFacts(name, target, config.hash)
	if exists {
		first.WithUID(live.UID)
		last.WithUID(live.UID)
	} else {
		p.births[ref] = true
	}
	p.write(WaveNamespace, ref, first)
	p.write(WaveGate, ref, last)
}

// gate is what the last wave writes. Without a keyset or without the admission policies it never gets wider than it is.
func (r *resolved) gate(name string, current v1alpha1.Gate, f Facts, p *Plan) v1alpha1.Gate {
	due := r.dueGate()
	_, keyed := f.Keysets[name]
	held := narrower(current, due)
	if !keyed && due == v1alpha1.GateOpen {
		p.find(v1alpha1.SeverityWarning, CodeKeysetMissing, "spec.encryption", "namespace %s stays %s: its keyset could not be made", name, held)
	}
	if !keyed || !f.AdmissionEnforced {
		return held
	}
	return due
}

// dueGate is what the agreement permits.
func (r *resolved) dueGate() v1alpha1.Gate {
	switch r.lapse {
	case v1alpha1.LapseFreeze:
		return v1alpha1.GateFrozen
	case v1alpha1.LapseIsolate:
		return v1alpha1.GateQuarantined
	}
	return v1alpha1.GateOpen
}

// openness orders gates.
var openness = map[v1alpha1.Gate]int{v1alpha1.GateQuarantined: 0, v1alpha1.GateLocked: 1, v1alpha1.GateFrozen: 2, v1alpha1.GateOpen: 3}

// narrower is the gate of the two that lets less in.
func narrower(a, b v1alpha1.Gate) v1alpha1.Gate {
	if openness[known(b)] < openness[known(a)] {
		return known(b)
	}
	return known(a)
}

// known takes what is not a gate for locked.
func known(g v1alpha1.Gate) v1alpha1.Gate {
	if _, ok := openness[g]; !ok {
		return v1alpha1.GateLocked
	}
	return g
}

func (r *resolved) namespaceFacts(name string, gate v1alpha1.Gate, hash string) *corev1.NamespaceApplyConfiguration {
	allowlist, egress := r.allowlist, r.egress()
	if r.isolated() {
		allowlist, egress = nil, nil // the tenant's own policies may open nothing either
	}
	return corev1.Namespace(name).
		WithLabels(managedLabels(r.tenant.Name)).
		WithLabels(map[string]string{
			"pod-security.kubernetes.io/enforce": r.level,
			"pod-security.kubernetes.io/audit":   r.level,
			"pod-security.kubernetes.io/warn":    r.level,
		}).
		WithAnnotations(map[string]string{
			v1alpha1.AnnotationAdmission:        string(gate),
			v1alpha1.AnnotationTenantUID:        string(r.tenant.UID),
			v1alpha1.AnnotationRegions:          strings.Join(r.regions, ","),
			v1alpha1.AnnotationIPAllowlist:      strings.Join(allowlist, ","),
			v1alpha1.AnnotationEgress:           strings.Join(egress, ","),
			v1alpha1.AnnotationDisabledChannels: strings.Join(r.channels, ","),
			v1alpha1.AnnotationDisabledPorts:    joinPorts(r.ports),
			v1alpha1.AnnotationStorageClasses:   strings.Join(r.classes, ","),
			v1alpha1.AnnotationSessionTimeout:   strconv.Itoa(int(r.timeout.Seconds())),
			v1alpha1.AnnotationConfigHash:       hash,
		})
}

// managedLabels stand on every object the operator writes for a tenant.
func managedLabels(tenant string) map[string]string {
	return map[string]string{v1alpha1.LabelManagedBy: v1alpha1.OperatorName, v1alpha1.LabelTenant: tenant}
}

func joinPorts(ports []v1alpha1.Port) string {
	parts := make([]string, len(ports))
	for i, p := range ports {
		parts[i] = fmt.Sprintf("%s/%d", cmp.Or(p.Protocol, "TCP"), p.Port)
	}
	return strings.Join(parts, ",")
}
