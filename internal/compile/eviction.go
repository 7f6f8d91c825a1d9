package compile

import (
	"fmt"
	"slices"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
)

// Held is an unwanted pod that is not evicted, and why.
type Held struct {
	Unwanted
	// Reason it is left where it is.
	Reason string
}

// planEvictions says which unwanted pods are to be evicted once the plan stands. One that serves a disabled channel goes
// whether it is misplaced too or not.
func (r *resolved) planEvictions(f Facts, p *Plan) {
	if r.evictsChannels() {
		p.evictUnless(p.Serving, func(u Unwanted) string { return holdServing(u, f) })
	}
	if r.evicts() {
		p.evictUnless(p.Misplaced, func(u Unwanted) string { return r.holdMisplaced(u, f, p) })
	}
	p.Hold(nil)
}

// evictUnless sorts pods into those to evict and those that a reason keeps.
func (p *Plan) evictUnless(pods []Unwanted, held func(Unwanted) string) {
	already := slices.Clone(p.Evict)
	for _, u := range pods {
		if u.Leaving || slices.ContainsFunc(already, func(e Unwanted) bool { return e.Pod == u.Pod }) {
			continue
		}
		if reason := held(u); reason != "" {
			p.held = append(p.held, Held{Unwanted: u, Reason: reason})
			continue
		}
		p.Evict = append(p.Evict, u)
	}
}

// holdAll is for a plan that cannot be applied: admission is then as it was before, and would let a replacement go where
// the pod is, or serve what it serves.
func (r *resolved) holdAll(p *Plan) {
	if r.evictsChannels() {
		p.holdEach(p.Serving, "the spec cannot be honoured, and new pods are still admitted as they were before")
	}
	if r.evicts() {
		p.holdEach(p.Misplaced, "the spec cannot be honoured, and new pods are still placed as they were before")
	}
	p.Hold(nil)
}

func (p *Plan) holdEach(pods []Unwanted, reason string) {
	for _, u := range pods {
		p.held = append(p.held, Held{Unwanted: u, Reason: reason})
	}
}

// holdServing is the reason a pod of a disabled channel is not evicted; empty when it is. That no other takes its place
// is what disabling means, so neither the gate nor the lack of a controller keeps it.
func holdServing(u Unwanted, f Facts) string {
	switch {
	case !f.AdmissionEnforced:
		return "the admission policies, which refuse its replacement, are not in force"
	case u.Controller == StaticPod:
		return fmt.Sprintf("it is a static pod of node %s: remove it there", u.Node)
	}
	return ""
}

// StaticPod is the kind of controller of a pod that its kubelet runs without being asked.
const StaticPod = "Node"

// holdMisplaced is the reason a misplaced pod is not evicted; empty when it is. A pod is worth evicting only if another
// takes its place, in the tenant's regions: what cannot be moved is left running and reported. r.regions are those
// admission keeps new pods to, so a node labelled with one of them would take the pod's replacement as well.
func (r *resolved) holdMisplaced(m Unwanted, f Facts, p *Plan) string {
	gate := p.Gates[m.Namespace]
	switch {
	case !f.AdmissionEnforced:
		return "the admission policies, which keep its replacement inside, are not in force"
	case gate != v1alpha1.GateOpen:
		return fmt.Sprintf("namespace %s is %s and admits no replacement", m.Namespace, known(gate))
	case slices.Contains(r.channels, m.Channel):
		return fmt.Sprintf("channel %s, which it serves, is disabled, so no replacement is admitted", m.Channel)
	case !slices.ContainsFunc(r.regions, func(region string) bool { return f.Nodes.Ready[region] > 0 }):
		return fmt.Sprintf("none of its regions (%s) has a ready node for its replacement", orNone(r.regions))
	case slices.Contains(r.regions, m.Where.Label):
		return fmt.Sprintf("its replacement could go to node %s again: correct the label of the node, or drain it", m.Node)
	case m.Controller == "":
		return "it has no controller that would make it anew: move it by hand"
	case m.Controller == StaticPod:
		return fmt.Sprintf("it is a static pod of node %s: remove it there", m.Node)
	}
	return ""
}

// LeftBehind names the volume outside the tenant's regions that a claim is bound to; empty when there is none. A pod
// that uses it cannot run inside.
func (p *Plan) LeftBehind(namespace, claim string) string { return p.left[namespace+"/"+claim] }

// heldAs is how held pods are spoken of.
var heldAs = []struct {
	cause        Cause
	path, format string
}{
	{CauseMisplaced, "profile spec.placement.onMisplaced", "not every misplaced pod is evicted: %s is left where it is, because %s"},
	{CauseChannel, "profile spec.onDisabledChannel", "not every pod of a disabled channel is evicted: %s runs on, because %s"},
}

// Hold adds what kept pods from being evicted to what the plan knew before, in one finding for each cause. It names one
// pod only: which others were tried by then differs from one attempt to the next, and a status must not.
func (p *Plan) Hold(more []Held) {
	p.Findings = slices.DeleteFunc(p.Findings, func(f v1alpha1.Finding) bool { return f.Code == CodeEvictionHeld })
	for _, as := range heldAs {
		held := slices.DeleteFunc(slices.Concat(p.held, more), func(h Held) bool { return h.Cause != as.cause })
		if len(held) == 0 {
			continue
		}
		first := slices.MinFunc(held, func(a, b Held) int { return byPod(a.Unwanted, b.Unwanted) })
		p.find(v1alpha1.SeverityWarning, CodeEvictionHeld, as.path, as.format, first.Pod, first.Reason)
	}
	p.settle()
}
