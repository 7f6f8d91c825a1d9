package placement

import (
	"fmt"
	"slices"
	"strings"
)

// outside says, for every pod of a tenant that was ever in a wrong place, what was wrong. At the revision that binds a
// pod, its node must be in one of the regions that the namespace names at that revision. From then on, at every revision,
// the pod stays on its node and wears the region that the node had as its label. It also returns how many pods it judged.
//
// A node that is gone counts with its last region: the API server looks nodes up in a cache, and may bind a pod to a node
// the moment it is deleted. For the same reason it may judge by facts that are a moment old. Nothing here forgives that:
// regions are taken away only while no pod of the tenant can be bound.
func (h *history) outside() (judged int, found []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, p := range h.pods {
		if now, ok := at(h.namespaces[p.namespace], p.revisions[0].version); ok && now.tenant == "" {
			continue
		}
		judged++
		if wrong := h.misplaced(p); len(wrong) > 0 {
			found = append(found, fmt.Sprintf("pod %s/%s (%v): %s", p.namespace, p.name, p.labels, strings.Join(wrong, "; ")))
		}
	}
	slices.Sort(found)
	return judged, found
}

func (h *history) misplaced(p *podHistory) (wrong []string) {
	first := slices.IndexFunc(p.revisions, func(r podRevision) bool { return r.node != "" })
	if first < 0 {
		return nil
	}
	binding := p.revisions[first]
	region, _ := at(h.nodes[binding.node], binding.version)
	allowed, _ := at(h.namespaces[p.namespace], binding.version)
	if region == "" || !slices.Contains(allowed.regions, region) {
		wrong = append(wrong, fmt.Sprintf("bound to node %s in region %q at revision %d, while the tenant was allowed %v",
			binding.node, region, binding.version, allowed.regions))
	}
	for _, r := range p.revisions[first:] {
		if r.node != binding.node {
			wrong = append(wrong, fmt.Sprintf("moved from node %s to %q at revision %d", binding.node, r.node, r.version))
		}
		if r.region != region {
			wrong = append(wrong, fmt.Sprintf("labelled as in region %q at revision %d, while node %s is in %q", r.region, r.version, r.node, region))
		}
	}
	return wrong
}
