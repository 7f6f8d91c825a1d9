package compile

import "github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"

// Narrow is for a spec that is honoured, whose plan could not be written to its end: what opens its namespaces and stands behind the
// wave that failed, less what is no longer permitted. A failure may last, and an agreement or a grant that ended does not wait for
// it. The facts of namespaces are left out: they stand in the first wave, which is written to its end in any case.
func Narrow(t *v1alpha1.HIPAATenant, f Facts) *Plan {
	r, p := decide(t, f)
	if !p.Writable() {
		return p
	}
	for _, name := range r.withinReach(f) {
		if !f.Namespaces[name].Terminating {
			r.tightenObjects(name, f, p)
		}
	}
	return p
}
