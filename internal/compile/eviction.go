package compile

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
)

// Held is a misplaced pod that is not evicted, and why.
type Held struct {
	Pod
	// Reason it is left where it is.
	Reason string
}

// planEvictions says which misplaced pods are to be evicted once the plan stands. A pod is worth evicting only if
// another takes its place, in the tenant's regions: what cannot be moved is left running and reported.
func (r *resolved) planEvictions(f Facts, p *Plan) {
	if !r.evicts() {
		return
	}
	for _, m := range p.Misplaced {
		if m.Leaving {
			continue
		}
		if reason := r.holdBack(m, f, p); reason != "" {
			p.held = append(p.held, Held{Pod: m.Pod, Reason: reason})
			continue
		}
		p.Evict = append(p.Evict, m)
	}
	p.Hold(nil)
}

// holdAll is for a plan that cannot be applied: what keeps new pods inside is then as it was before, and would let a
// replacement go where the pod is.
func (r *resolved) holdAll(p *Plan) {
	if !r.evicts() {
		return
	}
	for _, m := range p.Misplaced {
		p.held = append(p.held, Held{Pod: m.Pod, Reason: "the spec cannot be honoured, and new pods are still placed as they were before"})
	}
	p.Hold(nil)
}

// holdBack is the reason a misplaced pod is not evicted; empty when it is. r.regions are those admission keeps new pods
// to, so a node labelled with one of them would take the pod's replacement as well.
func (r *resolved) holdBack(m Misplaced, f Facts, p *Plan) string {
	gate := p.Gates[m.Namespace]
	switch {
	case !f.AdmissionEnforced:
		return "the admission policies, which keep its replacement inside, are not in force"
	case gate != v1alpha1.GateOpen:
		return fmt.Sprintf("namespace %s is %s and admits no replacement", m.Namespace, known(gate))
	case !slices.ContainsFunc(r.regions, func(region string) bool { return f.Nodes.Ready[region] > 0 }):
		return fmt.Sprintf("none of its regions (%s) has a ready node for its replacement", orNone(r.regions))
	case slices.Contains(r.regions, m.Where.Label):
		return fmt.Sprintf("its replacement could go to node %s again: correct the label of the node, or drain it", m.Node)
	case m.Controller == "":
		return "it has no controller that would make it anew: move it by hand"
	case m.Controller == "Node":
		return fmt.Sprintf("it is a static pod of node %s: remove it there", m.Node)
	}
	return ""
}

// LeftBehind names the volume outside the tenant's regions that a claim is bound to; empty when there is none. A pod
// that uses it cannot run inside.
func (p *Plan) LeftBehind(namespace, claim string) string { return p.left[namespace+"/"+claim] }

// Hold adds what kept pods from being evicted to what the plan knew before, in one finding. It names one pod only: which
// others were tried by then differs from one attempt to the next, and a status must not.
func (p *Plan) Hold(more []Held) {
	all := append(slices.Clone(p.held), more...)
	p.Findings = slices.DeleteFunc(p.Findings, func(f v1alpha1.Finding) bool { return f.Code == CodeEvictionHeld })
	if len(all) == 0 {
		return
	}
	first := slices.MinFunc(all, func(a, b Held) int { return strings.Compare(a.String(), b.String()) })
	p.find(v1alpha1.SeverityWarning, CodeEvictionHeld, "profile spec.placement.onMisplaced",
		"not every misplaced pod is evicted: %s is left where it is, because %s", first.Pod, first.Reason)
	p.settle()
}
