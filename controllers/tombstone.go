package controllers

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/shred"
)

// tombstone is what stays of a deleted tenant. 45 CFR 164.316(b)(2)(i) asks for six years of documentation. It is written
// once, when everything it tells has happened; until then status.shred of the tenant tells how far a shred came.
type tombstone struct {
	Schema        string           `json:"schema"`
	Tenant        string           `json:"tenant"`
	UID           string           `json:"uid"`
	CoveredEntity v1alpha1.Contact `json:"coveredEntity"`
	DeletedAt     metav1.Time      `json:"deletedAt"`
	// Outcome is the weakest of Shred.Keys, or Retained.
	Outcome    v1alpha1.ShredOutcome      `json:"outcome"`
	Namespaces []v1alpha1.NamespaceStatus `json:"namespaces"`
	Keys       []v1alpha1.KeyStatus       `json:"keys"`
	FormerKeys []string                   `json:"formerKeys,omitempty"`
	Shred      *shredRecord               `json:"shred,omitempty"`
}

// shredRecord tells what a shred achieved.
type shredRecord struct {
	StartedAt  metav1.Time `json:"startedAt"`
	FinishedAt metav1.Time `json:"finishedAt"`
	Keys       []keyRecord `json:"keys"`
	// FormerUIDs are earlier tenants of this name: their data keys were taken over, and are gone with this tenant's.
	FormerUIDs []string `json:"formerUIDs,omitempty"`
}

// keyRecord is one key with the words for what its outcome promises.
type keyRecord struct {
	v1alpha1.ShreddedKey `json:",inline"`
	Promise              string `json:"promise"`
}

// ending is what a deletion ends with besides the tenant's last status.
type ending struct {
	gates      map[string]v1alpha1.Gate
	copies     bool // no wrapped copy is left in the cluster
	formerUIDs []string
}

// bury writes the tombstone. It is made once: a second attempt finds the first one's.
func (r *TenantReconciler) bury(ctx context.Context, t *v1alpha1.HIPAATenant, e ending) error {
	text, err := json.MarshalIndent(r.stone(t, e), "", "  ")
	if err != nil {
		return err
	}
	err = r.Client.Create(ctx, &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: r.OperatorNamespace, Name: tombstoneName(t),
			Labels: map[string]string{v1alpha1.LabelManagedBy: v1alpha1.OperatorName, v1alpha1.LabelTombstone: t.Name},
		},
		Immutable: new(true),
		Data:      map[string]string{tombstoneKey: string(text)},
	}, client.FieldOwner(v1alpha1.OperatorName))
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("writing the tombstone in namespace %s: %w", r.OperatorNamespace, err)
	}
	return nil
}

const tombstoneKey = "tombstone.json"

func tombstoneName(t *v1alpha1.HIPAATenant) string { return "hipaa-tombstone-" + string(t.UID) }

func (r *TenantReconciler) stone(t *v1alpha1.HIPAATenant, e ending) tombstone {
	namespaces := slices.Clone(t.Status.Namespaces)
	for i, n := range namespaces {
		namespaces[i].Gate = cmp.Or(e.gates[n.Name], n.Gate)
	}
	stone := tombstone{
		Schema: "hipaatenant.dev/tombstone/v1", Tenant: t.Name, UID: string(t.UID), CoveredEntity: t.Spec.CoveredEntity,
		DeletedAt: *t.DeletionTimestamp, Outcome: v1alpha1.ShredRetained, Namespaces: namespaces,
		Keys: t.Status.Keys, FormerKeys: t.Status.FormerKeys,
	}
	if t.Status.Shred == nil {
		return stone
	}
	now := metav1.NewTime(r.Clock.Now())
	stone.Shred = &shredRecord{StartedAt: t.Status.Shred.StartedAt, FinishedAt: now, FormerUIDs: e.formerUIDs}
	var keys []v1alpha1.ShreddedKey
	keys, stone.Outcome = shred.Conclude(t.Status.Shred.Keys, e.copies)
	for _, k := range keys {
		stone.Shred.Keys = append(stone.Shred.Keys, keyRecord{k, shred.Promise(k, now.Time)})
	}
	return stone
}

// holdsData says that data of the tenant was left readable, or may have been. An outcome this version does not know counts.
func (s tombstone) holdsData() bool {
	gone := []v1alpha1.ShredOutcome{v1alpha1.Shredded, v1alpha1.SoftwareKeyDeleted, v1alpha1.WrappedCopiesDeleted, shred.NoKeys}
	return !slices.Contains(gone, s.Outcome)
}

// tombstones in the operator's namespace; of one tenant name, or of all for "". One that cannot be read is returned by its
// name alone.
func (r *TenantReconciler) tombstones(ctx context.Context, name string) (stones []tombstone, unreadable []string, err error) {
	var list corev1.ConfigMapList
	selector := client.ListOption(client.HasLabels{v1alpha1.LabelTombstone})
	if name != "" {
		selector = client.MatchingLabels{v1alpha1.LabelTombstone: name}
	}
	if err := r.Live.List(ctx, &list, client.InNamespace(r.OperatorNamespace), selector); err != nil {
		return nil, nil, fmt.Errorf("reading tombstones: %w", err)
	}
	for _, m := range list.Items {
		var stone tombstone
		if err := json.Unmarshal([]byte(m.Data[tombstoneKey]), &stone); err != nil || stone.Tenant == "" {
			unreadable = append(unreadable, m.Name)
			continue
		}
		stones = append(stones, stone)
	}
	return stones, unreadable, nil
}

// buried are the UIDs of deleted tenants of the same name, from their tombstones: those whose data was retained and may be
// taken over, and those whose data was shredded and must never be.
func (r *TenantReconciler) buried(ctx context.Context, t *v1alpha1.HIPAATenant) (retained, shredded []string, err error) {
	stones, _, err := r.tombstones(ctx, t.Name)
	if err != nil {
		return nil, nil, err
	}
	for _, stone := range stones {
		switch {
		case stone.Tenant != t.Name || stone.UID == string(t.UID):
		case stone.holdsData():
			retained = append(retained, stone.UID)
		default:
			shredded = append(shredded, stone.UID)
			if stone.Shred != nil {
				shredded = append(shredded, stone.Shred.FormerUIDs...)
			}
		}
	}
	retained = slices.DeleteFunc(retained, func(uid string) bool { return slices.Contains(shredded, uid) })
	return retained, shredded, nil
}
