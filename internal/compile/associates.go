package compile

import (
	"maps"
	"slices"
	"time"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
)

// Dependants are an associate and all that reach it through subcontractors: whatever happens to its agreement happens to
// theirs. It need not exist.
func Dependants(name string, all map[string]*v1alpha1.BusinessAssociate) map[string]bool {
	found := map[string]bool{name: true}
	for grown := true; grown; {
		grown = false
		for other, a := range all {
			if !found[other] && slices.ContainsFunc(a.Spec.Subcontractors, func(s v1alpha1.Name) bool { return found[string(s)] }) {
				found[other], grown = true, true
			}
		}
	}
	return found
}

// Uses says that a tenant depends on one of some associates: it names one, or one provides a region the spec asks for or
// pods are let into. Without a profile no region is provided by anybody.
func Uses(t *v1alpha1.HIPAATenant, profile *v1alpha1.HIPAAProfile, associates map[string]bool) bool {
	if slices.ContainsFunc(t.Spec.BusinessAssociates, func(n v1alpha1.Name) bool { return associates[string(n)] }) {
		return true
	}
	if profile == nil {
		return false
	}
	asked := append([]v1alpha1.Region{t.Spec.Region}, t.Spec.FailoverRegions...)
	return slices.ContainsFunc(profile.Spec.Regions, func(e v1alpha1.EligibleRegion) bool {
		return associates[string(e.BusinessAssociate)] && (slices.Contains(asked, e.Name) ||
			t.Status.Effective != nil && slices.Contains(t.Status.Effective.Regions, string(e.Name)))
	})
}

// Reached are the associates a tenant depends on: those it names, the providers of its profile's regions, and the
// subcontractors of all of them, sorted.
func Reached(t *v1alpha1.HIPAATenant, profile *v1alpha1.HIPAAProfile, all map[string]*v1alpha1.BusinessAssociate) []string {
	seen := map[string]bool{}
	var visit func(v1alpha1.Name)
	visit = func(name v1alpha1.Name) {
		if name == "" || seen[string(name)] {
			return
		}
		seen[string(name)] = true
		if a, exists := all[string(name)]; exists {
			for _, s := range a.Spec.Subcontractors {
				visit(s)
			}
		}
	}
	for _, name := range t.Spec.BusinessAssociates {
		visit(name)
	}
	if profile != nil {
		for _, e := range profile.Spec.Regions {
			visit(e.BusinessAssociate)
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

// ReverifyEvery is how often a profile has agreements verified; zero means never.
func ReverifyEvery(p *v1alpha1.HIPAAProfile) time.Duration {
	if p == nil || p.Spec.BAA == nil {
		return 0
	}
	return p.Spec.BAA.ReverifyEvery.Value()
}

// Stricter is the shorter of two periods; zero means never.
func Stricter(a, b time.Duration) time.Duration {
	if a == 0 || (b > 0 && b < a) {
		return b
	}
	return a
}
