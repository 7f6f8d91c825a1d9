package keyring

import (
	"maps"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
)

// outcome of finished keysets.
func (r *Ring) outcome(req Request, done map[string]finished) Outcome {
	out := Outcome{Keysets: map[string][]byte{}}
	keysets := map[string]Keyset{}
	for ns, f := range done {
		out.Keysets[ns] = f.raw
		keysets[ns] = f.keyset
	}
	out.Keys = r.status(req, keysets)
	if target, err := ParseKeyURI(req.KeyURI); err == nil {
		out.Key = r.looks.known(target)
	}
	return out
}

// planned is the outcome of a job that was done.
func (r *Ring) planned(j *job) Outcome {
	out := r.outcome(j.req, j.finish())
	out.Changes, out.Unfinished, out.Behind = j.plan.changes, j.plan.unfinished, len(j.plan.behind)-len(j.rewrapped)
	out.Next = j.req.comeBack(r.clock.Now())
	if next := j.plan.next; !next.IsZero() && next.Before(out.Next) {
		out.Next = next
	}
	return out
}

// sound is the outcome after an error: what stands in the wanted namespaces and belongs there, untouched.
func (r *Ring) sound(req Request, standing map[string]Keyset) Outcome {
	done := map[string]finished{}
	for _, ns := range req.namespaces() {
		if k, ok := standing[ns]; ok {
			done[ns] = finished{k, req.Keysets[ns]}
		}
	}
	return r.outcome(req, done)
}

// status lists each data key by its primary version. Where namespaces differ in the KMS key or its version, the first
// namespace by name speaks.
func (r *Ring) status(req Request, keysets map[string]Keyset) []v1alpha1.KeyStatus {
	primaries, versions := map[string]Entry{}, merge(keysets)
	for _, ns := range slices.Sorted(maps.Keys(keysets)) {
		for _, e := range keysets[ns].Keys {
			if best, ok := primaries[e.Name]; e.State == Primary && (!ok || e.Version > best.Version) {
				primaries[e.Name] = e
			}
		}
	}
	var out []v1alpha1.KeyStatus
	for _, name := range slices.Sorted(maps.Keys(primaries)) {
		e := primaries[name]
		made := versions[e.ID()].createdAt
		out = append(out, v1alpha1.KeyStatus{
			Name: name, Provider: e.Provider, KeyRef: e.KeyRef, KMSKeyVersion: e.KMSKeyVersion,
			PrimaryVersion: e.Version,
			RotatedAt:      metav1.NewTime(made),
			NextRotation:   metav1.NewTime(req.due(e.ID(), made)),
			Assurance:      r.assurance(e.Provider),
		})
	}
	return out
}

// assurance of keys wrapped by a provider. Nothing better than a software key is claimed unless a provider of this Ring
// vouches for it.
func (r *Ring) assurance(scheme string) string {
	if p, ok := r.providers[scheme]; ok {
		return p.Assurance()
	}
	return v1alpha1.ReasonSoftwareKey
}
