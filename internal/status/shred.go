package status

import (
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
)

// Hold is the status of a tenant whose deletion waits for something, and what it waits for.
func Hold(t *v1alpha1.HIPAATenant, reason, message string, now time.Time) v1alpha1.HIPAATenantStatus {
	s := *t.Status.DeepCopy()
	s.ObservedGeneration = t.Generation
	in := Inputs{Tenant: t, Now: now}
	set(&s, in, condition(v1alpha1.ConditionReady, no, reason, message))
	set(&s, in, condition(v1alpha1.ConditionReconciling, yes, reason, message))
	meta.RemoveStatusCondition(&s.Conditions, v1alpha1.ConditionStalled)
	return s
}

// formerKeys adds the KMS keys that wrapped data keys until now, and no longer do. They are remembered for good: backups
// from their time open with them.
func formerKeys(before v1alpha1.HIPAATenantStatus, now []v1alpha1.KeyStatus) []string {
	former := slices.Clone(before.FormerKeys)
	for _, k := range before.Keys {
		uri := KeyURI(k)
		present := slices.ContainsFunc(now, func(n v1alpha1.KeyStatus) bool { return KeyURI(n) == uri })
		if !present && !slices.Contains(former, uri) {
			former = append(former, uri)
		}
	}
	slices.Sort(former)
	return former
}

// KeyURI of the KMS key that wraps a data key, without scope.
func KeyURI(k v1alpha1.KeyStatus) string { return k.Provider + "://" + k.KeyRef }
