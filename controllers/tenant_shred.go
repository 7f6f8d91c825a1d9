package controllers

import (
	"context"
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/document"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/shred"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/status"
)

// estate is what a deleted tenant leaves in the cluster that can be shredded.
type estate struct {
	namespaces []string                  // its own, sorted
	copies     map[string]*corev1.Secret // keysets, by namespace
	used       []string                  // URIs of KMS keys they name
	former     []string                  // URIs of KMS keys that wrapped the data keys once
	formerUIDs []string                  // of earlier tenants of this name, whose data keys were taken over
}

// shred destroys the keys, where the spec asks for it and the annotation confirms it, in an order that leaves the safer
// half behind: keys in the KMS first, because until then nothing is lost and everything can still be kept; wrapped copies
// last, because they are the proof of what a key was used for. Each step is remembered in status.shred before it is taken.
func (r *TenantReconciler) shred(ctx context.Context, t *v1alpha1.HIPAATenant, owned []string, end *ending) error {
	if err := unconfirmed(t); err != nil {
		return err
	}
	e, err := r.survey(ctx, t, owned)
	if err != nil {
		return err
	}
	if err := r.permitted(ctx, t, e); err != nil {
		return err
	}
	if err := r.intend(ctx, t, e); err != nil {
		return err
	}
	for i, k := range t.Status.Shred.Keys {
		if k.Outcome != v1alpha1.ShredPending && k.Outcome != v1alpha1.ShredDestroying {
			continue
		}
		if err := r.destroyKey(ctx, t, i, e); err != nil {
			return err
		}
	}
	end.copies, end.formerUIDs = true, e.formerUIDs
	return r.deleteCopies(ctx, t, e)
}

// unconfirmed says what is missing. The UID is that of this very object: an annotation copied from an earlier tenant of the
// same name confirms nothing.
func unconfirmed(t *v1alpha1.HIPAATenant) error {
	found, present := t.Annotations[v1alpha1.AnnotationConfirmShred]
	if found == string(t.UID) {
		return nil
	}
	wrong := ""
	if present {
		wrong = fmt.Sprintf("annotation %s names %s, which is not the UID of this tenant; ", v1alpha1.AnnotationConfirmShred, document.Quote(found))
	}
	return holdf(v1alpha1.ReasonShredNotConfirmed, 0,
		"%sthe namespaces are quarantined, no key is touched. To destroy the keys: kubectl annotate --overwrite hipaatenant %s %s=%s. To keep them: set spec.deletionPolicy to Retain",
		wrong, t.Name, v1alpha1.AnnotationConfirmShred, t.UID)
}

// survey reads, from the API server, the keysets in the tenant's namespaces. One that is not the tenant's own stops the
// shred: to delete it could take another tenant's last copy, to leave it could leave a readable one.
func (r *TenantReconciler) survey(ctx context.Context, t *v1alpha1.HIPAATenant, owned []string) (estate, error) {
	e := estate{namespaces: owned, copies: map[string]*corev1.Secret{}}
	used := map[string]bool{}
	for _, k := range t.Status.Keys {
		used[status.KeyURI(k)] = true
	}
	retained, _, err := r.buried(ctx, t)
	if err != nil {
		return e, err
	}
	for _, ns := range owned {
		secret := &corev1.Secret{}
		err := r.Live.Get(ctx, client.ObjectKey{Namespace: ns, Name: v1alpha1.SecretKeyset}, secret)
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return e, err
		}
		keyset, err := document.Parse(secret.Data[v1alpha1.KeysetKey])
		if err == nil {
			err = keyset.Belongs(document.Owner{ClusterUID: r.ClusterUID, Tenant: t.Name, TenantUID: string(t.UID), Namespace: ns}, retained)
		}
		if err != nil {
			return e, holdf(v1alpha1.ReasonForeignKeyMaterial, retryRefused,
				"Secret %s/%s is not this tenant's: %v. Restore the tenant's own, or set spec.deletionPolicy to Retain", ns, v1alpha1.SecretKeyset, err)
		}
		e.copies[ns] = secret
		for _, entry := range keyset.Keys {
			used[entry.Provider+"://"+entry.KeyRef] = true
		}
	}
	e.used = slices.Sorted(maps.Keys(used))
	e.former, e.formerUIDs, err = r.inherited(ctx, t, e)
	return e, err
}

// permitted tries, without doing it, whether the copies could be deleted. It is asked first: a shred that ends half way for
// want of a right would have been better not begun.
func (r *TenantReconciler) permitted(ctx context.Context, t *v1alpha1.HIPAATenant, e estate) error {
	secrets := slices.Collect(maps.Values(e.copies))
	if len(secrets) == 0 {
		secrets = []*corev1.Secret{{ObjectMeta: metav1.ObjectMeta{Namespace: r.OperatorNamespace, Name: v1alpha1.SecretKeyset}}}
	}
	for _, secret := range secrets {
		if err := r.deleteSecret(ctx, t, secret.DeepCopy(), client.DryRunAll); err != nil {
			return err
		}
	}
	return nil
}

// deleteSecret returns a hold when the operator may not.
func (r *TenantReconciler) deleteSecret(ctx context.Context, t *v1alpha1.HIPAATenant, secret *corev1.Secret, how client.DeleteOption) error {
	err := r.Client.Delete(ctx, secret, how)
	if apierrors.IsForbidden(err) {
		return notPermitted(t)
	}
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("deleting Secret %s/%s: %w", secret.Namespace, secret.Name, err)
	}
	return nil
}

func notPermitted(t *v1alpha1.HIPAATenant) error {
	return holdf(v1alpha1.ReasonShredNotPermitted, retryRefused,
		"the shred of %s is confirmed, and the operator may not delete keys. Install it with the chart's value shred.enabled=true, or apply config/shred; or set spec.deletionPolicy to Retain", t.Name)
}

// intend records what is to be destroyed, before anything is.
func (r *TenantReconciler) intend(ctx context.Context, t *v1alpha1.HIPAATenant, e estate) error {
	next := &v1alpha1.ShredStatus{StartedAt: metav1.NewTime(r.Clock.Now())}
	if t.Status.Shred != nil {
		next.StartedAt = t.Status.Shred.StartedAt
	}
	next.Keys = shred.Keys(shred.Evidence{
		KeyURI: t.Spec.Encryption.KeyURI, Used: e.used, Former: e.former, Recorded: t.Status.Shred,
	})
	if t.Status.Shred != nil {
		return r.remember(ctx, t, next)
	}
	s := status.Hold(t, v1alpha1.ReasonShredding, "the shred is confirmed and has begun", r.Clock.Now())
	s.Shred = next
	if err := r.writeStatus(ctx, t, s); err != nil {
		return err
	}
	r.Recorder.Eventf(t, nil, corev1.EventTypeWarning, "ShredStarted", "Delete", "confirmed by annotation %s: %d KMS keys and %d wrapped copies",
		v1alpha1.AnnotationConfirmShred, len(next.Keys), len(e.copies))
	return nil
}

// remember writes how far the shred came. A tenant whose spec or annotations changed since they were read is not written
// to, and so nothing is destroyed against a wish the cache does not show yet.
func (r *TenantReconciler) remember(ctx context.Context, t *v1alpha1.HIPAATenant, s *v1alpha1.ShredStatus) error {
	next := *t.Status.DeepCopy()
	next.Shred = s
	return r.writeStatus(ctx, t, next)
}

// setKey remembers what became of one key.
func (r *TenantReconciler) setKey(ctx context.Context, t *v1alpha1.HIPAATenant, i int, k v1alpha1.ShreddedKey) error {
	next := t.Status.Shred.DeepCopy()
	next.Keys[i] = k
	return r.remember(ctx, t, next)
}

// deleteCopies deletes the tenant's wrapped keys, each at the version it was read at.
func (r *TenantReconciler) deleteCopies(ctx context.Context, t *v1alpha1.HIPAATenant, e estate) error {
	for _, ns := range slices.Sorted(maps.Keys(e.copies)) {
		secret := e.copies[ns]
		if err := r.deleteSecret(ctx, t, secret, client.Preconditions{UID: &secret.UID, ResourceVersion: &secret.ResourceVersion}); err != nil {
			return err
		}
	}
	return nil
}

// retainAfterAll takes back what was intended when the spec says Retain again. A key the KMS was asked to destroy is looked
// at once more; what cannot be told then is Unknown, and is not asked for again.
func (r *TenantReconciler) retainAfterAll(ctx context.Context, t *v1alpha1.HIPAATenant) error {
	if t.Status.Shred == nil {
		return nil
	}
	next := t.Status.Shred.DeepCopy()
	for i, k := range next.Keys {
		if k.Outcome != v1alpha1.ShredDestroying {
			continue
		}
		ref, err := document.ParseKeyURI(k.KeyURI)
		if err != nil {
			continue
		}
		info, err := r.Keys.Describe(ctx, ref)
		switch {
		case err != nil:
			next.Keys[i].Outcome, next.Keys[i].Method = v1alpha1.ShredUnknown, err.Error()
		case !info.DestroyedAt.IsZero():
			next.Keys[i].Outcome, next.Keys[i].EffectiveAt = v1alpha1.Shredded, new(metav1.NewTime(info.DestroyedAt))
		case info.Exists && info.Enabled:
			next.Keys[i].Outcome = v1alpha1.ShredRetained
		}
	}
	return r.remember(ctx, t, next)
}
