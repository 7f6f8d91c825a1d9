package shred

import (
	"fmt"
	"slices"
	"time"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
)

// NoKeys is the outcome for a tenant that never had a data key.
const NoKeys v1alpha1.ShredOutcome = "NoKeys"

// strength orders outcomes by what they promise, the weakest first. A software key stands beside what it wraps in every
// backup of the cluster, a key in a KMS does not.
var strength = []v1alpha1.ShredOutcome{
	v1alpha1.ShredRetained, v1alpha1.ShredUnknown, v1alpha1.SoftwareKeyDeleted, v1alpha1.WrappedCopiesDeleted, v1alpha1.Shredded,
}

// Conclude turns how far a shred came into what is recorded for good, and returns the outcome for the tenant: the weakest of
// its keys, because the same data keys open with each of them. Copies say that no wrapped copy stands in the cluster.
func Conclude(keys []v1alpha1.ShreddedKey, copies bool) ([]v1alpha1.ShreddedKey, v1alpha1.ShredOutcome) {
	final, weakest := slices.Clone(keys), NoKeys
	for i, k := range final {
		final[i].Outcome = concluded(k.Outcome, copies)
		if weakest == NoKeys || slices.Index(strength, final[i].Outcome) < slices.Index(strength, weakest) {
			weakest = final[i].Outcome
		}
	}
	return final, weakest
}

func concluded(o v1alpha1.ShredOutcome, copies bool) v1alpha1.ShredOutcome {
	switch o {
	case v1alpha1.Shredded, v1alpha1.SoftwareKeyDeleted, v1alpha1.ShredUnknown:
		return o
	case v1alpha1.ShredDestroying:
		return v1alpha1.ShredUnknown
	}
	if copies {
		return v1alpha1.WrappedCopiesDeleted
	}
	return v1alpha1.ShredRetained
}

// Promise says in a sentence what an outcome means for data that was encrypted under the key, and what it leaves open.
func Promise(k v1alpha1.ShreddedKey, now time.Time) string {
	switch k.Outcome {
	case v1alpha1.Shredded:
		if k.EffectiveAt != nil && k.EffectiveAt.After(now) {
			return fmt.Sprintf("from %s on nothing this key wrapped can be opened, in backups neither; until then the destruction can be cancelled in the KMS",
				k.EffectiveAt.UTC().Format(time.RFC3339))
		}
		return "nothing this key wrapped can be opened any more, in backups neither; backups of the KMS itself may still hold the key"
	case v1alpha1.SoftwareKeyDeleted:
		return "the key is gone from this cluster; whoever has a backup of etcd from before can still open everything"
	case v1alpha1.WrappedCopiesDeleted:
		return "the key stands, and what it wrapped for this tenant is gone from this cluster; whoever has a backup of it and may use the key can still open it"
	case v1alpha1.ShredUnknown:
		return "the KMS was asked to destroy the key, and whether it did is not known; look there"
	}
	return "nothing was destroyed"
}
