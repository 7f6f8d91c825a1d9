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
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/apply"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/compile"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/status"
)

// delete retains: it quarantines the tenant's namespaces, removes what opens them, writes a tombstone, and only then
// lets go. It needs nothing but the inventory. It destroys neither namespaces, volumes nor keys.
func (r *TenantReconciler) delete(ctx context.Context, t *v1alpha1.HIPAATenant) (ctrl.Result, error) {
	if !controllerutil.ContainsFinalizer(t, v1alpha1.Finalizer) {
		return ctrl.Result{}, nil
	}
	if t.Annotations[v1alpha1.AnnotationAbandon] == string(t.UID) {
		r.Recorder.Eventf(t, nil, corev1.EventTypeWarning, "Abandoned", "Delete",
			"let go by annotation %s: namespaces, policies and keys stay as they are", v1alpha1.AnnotationAbandon)
		return ctrl.Result{}, r.letGo(ctx, t)
	}
	if err := r.retain(ctx, t); err != nil {
		message := fmt.Sprintf("deletion cannot finish: %v (it is retried; annotation %s=%s lets go without changing anything)",
			err, v1alpha1.AnnotationAbandon, t.UID)
		if statusErr := r.writeStatus(ctx, t, status.Delete(t, message, r.Clock.Now())); statusErr != nil {
			return ctrl.Result{}, statusErr
		}
		return ctrl.Result{}, err
	}
	return ctrl.Result{}, r.letGo(ctx, t)
}

func (r *TenantReconciler) retain(ctx context.Context, t *v1alpha1.HIPAATenant) error {
	namespaces, err := r.readNamespaces(ctx, t, live)
	if err != nil {
		return err
	}
	plan := compile.Retire(t, compile.Facts{Namespaces: namespaces})
	if _, err := r.Applier.Apply(ctx, plan); err != nil {
		return err
	}
	obsolete := slices.DeleteFunc(slices.Clone(t.Status.Inventory), plan.Owns)
	if _, err := r.Applier.Prune(ctx, obsolete, apply.Parent{Label: v1alpha1.LabelTenant, Value: t.Name}); err != nil {
		return err
	}
	return r.bury(ctx, t, plan.Gates)
}

func (r *TenantReconciler) letGo(ctx context.Context, t *v1alpha1.HIPAATenant) error {
	before := t.DeepCopy()
	controllerutil.RemoveFinalizer(t, v1alpha1.Finalizer)
	lock := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	err := r.Client.Patch(ctx, t, lock, client.FieldOwner(v1alpha1.OperatorName))
	r.lastWrites.Delete(t.UID)
	r.evictions.Delete(t.UID)
	return client.IgnoreNotFound(err)
}

// tombstone is what stays of a deleted tenant. 45 CFR 164.316(b)(2)(i) asks for six years of documentation.
type tombstone struct {
	Schema        string                     `json:"schema"`
	Tenant        string                     `json:"tenant"`
	UID           string                     `json:"uid"`
	CoveredEntity v1alpha1.Contact           `json:"coveredEntity"`
	DeletedAt     metav1.Time                `json:"deletedAt"`
	Outcome       string                     `json:"outcome"`
	Namespaces    []v1alpha1.NamespaceStatus `json:"namespaces"`
	Keys          []v1alpha1.KeyStatus       `json:"keys"`
}

// bury writes the tombstone, with the gates as they are now. It is made once: a second attempt finds the first one's.
func (r *TenantReconciler) bury(ctx context.Context, t *v1alpha1.HIPAATenant, gates map[string]v1alpha1.Gate) error {
	namespaces := slices.Clone(t.Status.Namespaces)
	for i, n := range namespaces {
		namespaces[i].Gate = cmp.Or(gates[n.Name], n.Gate)
	}
	text, err := json.MarshalIndent(tombstone{
		Schema: "hipaatenant.dev/tombstone/v1", Tenant: t.Name, UID: string(t.UID), CoveredEntity: t.Spec.CoveredEntity,
		DeletedAt: *t.DeletionTimestamp, Outcome: "Retained", Namespaces: namespaces, Keys: t.Status.Keys,
	}, "", "  ")
	if err != nil {
		return err
	}
	err = r.Client.Create(ctx, &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: r.OperatorNamespace, Name: "hipaa-tombstone-" + string(t.UID),
			Labels: map[string]string{v1alpha1.LabelManagedBy: v1alpha1.OperatorName, v1alpha1.LabelTombstone: t.Name},
		},
		Immutable: new(true),
		Data:      map[string]string{"tombstone.json": string(text)},
	}, client.FieldOwner(v1alpha1.OperatorName))
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("writing the tombstone in namespace %s: %w", r.OperatorNamespace, err)
	}
	return nil
}

// buriedUIDs are the UIDs of deleted tenants of the same name, from their tombstones.
func (r *TenantReconciler) buriedUIDs(ctx context.Context, t *v1alpha1.HIPAATenant) ([]string, error) {
	var list corev1.ConfigMapList
	err := r.Live.List(ctx, &list, client.InNamespace(r.OperatorNamespace), client.MatchingLabels{v1alpha1.LabelTombstone: t.Name})
	if err != nil {
		return nil, fmt.Errorf("reading tombstones: %w", err)
	}
	var uids []string
	for _, m := range list.Items {
		var stone tombstone
		if err := json.Unmarshal([]byte(m.Data["tombstone.json"]), &stone); err == nil && stone.Tenant == t.Name {
			uids = append(uids, stone.UID)
		}
	}
	return uids, nil
}
