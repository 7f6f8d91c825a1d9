package controllers

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/compile"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/status"
)

// makeKeys makes or checks the data keys of all namespaces. A KMS that fails is an outcome, not an error: the rest of
// the tenant goes on, and what stands is left alone.
func (r *TenantReconciler) makeKeys(ctx context.Context, t *v1alpha1.HIPAATenant, d decision) (map[string]compile.Keyset, status.Keys, error) {
	if problem, err := r.beingShredded(ctx, t); err != nil || problem != nil {
		return nil, *cmp.Or(problem, &status.Keys{}), err
	}
	standing, err := r.readKeysets(ctx, t, d.facts)
	if err != nil {
		return nil, status.Keys{}, fmt.Errorf("reading keysets: %w", err)
	}
	request := keyRequest(t, d, standing)
	request.ClusterUID = r.ClusterUID
	if len(request.FormerUIDs) > 0 {
		_, shredded, err := r.buried(ctx, t)
		if err != nil {
			return nil, status.Keys{}, err
		}
		request.FormerUIDs = slices.DeleteFunc(request.FormerUIDs, func(uid string) bool { return slices.Contains(shredded, uid) })
	}
	outcome, err := r.Keys.Ensure(ctx, request)
	if keyring.KindOf(err) == keyring.Foreign {
		retained, _, readErr := r.buried(ctx, t)
		if readErr != nil {
			return nil, status.Keys{}, readErr
		}
		request.FormerUIDs = append(request.FormerUIDs, retained...)
		outcome, err = r.Keys.Ensure(ctx, request)
	}
	if err != nil {
		return nil, keyProblem(err), nil
	}
	keysets := map[string]compile.Keyset{}
	for namespace, document := range outcome.Keysets {
		keysets[namespace] = compile.Keyset{Document: document, ResourceVersion: standing[namespace].ResourceVersion}
	}
	return keysets, status.Keys{Statuses: outcome.Keys}, nil
}

func keyRequest(t *v1alpha1.HIPAATenant, d decision, standing map[string]compile.Keyset) keyring.Request {
	request := keyring.Request{
		Tenant: t.Name, TenantUID: string(t.UID),
		KeyURI: t.Spec.Encryption.KeyURI, RotationPeriod: d.plan.Rotation,
		DataKeys: compile.DataKeyNames(t), Namespaces: compile.NamespaceNames(t),
		Keysets: map[string][]byte{}, PrimaryVersions: map[string]int64{},
	}
	for namespace, k := range standing {
		request.Keysets[namespace] = k.Document
	}
	for _, k := range t.Status.Keys {
		request.PrimaryVersions[k.Name] = k.PrimaryVersion
	}
	for _, n := range d.facts.Namespaces {
		if n.Tenant() == t.Name && n.TenantUID() != t.UID && n.TenantUID() != "" {
			request.FormerUIDs = append(request.FormerUIDs, string(n.TenantUID()))
		}
	}
	return request
}

// readKeysets reads the keysets that stand, in every namespace the tenant names or remembers. That one is missing is
// believed only of a namespace that does not exist, which the first wave then has to create, or of a live read: a
// keyset made from a stale view would replace keys that data is encrypted with.
func (r *TenantReconciler) readKeysets(ctx context.Context, t *v1alpha1.HIPAATenant, f compile.Facts) (map[string]compile.Keyset, error) {
	standing := map[string]compile.Keyset{}
	for namespace, n := range f.Namespaces {
		if n.Tenant() != "" && n.Tenant() != t.Name {
			continue
		}
		key := client.ObjectKey{Namespace: namespace, Name: v1alpha1.SecretKeyset}
		secret := &corev1.Secret{}
		err := r.Client.Get(ctx, key, secret)
		if apierrors.IsNotFound(err) {
			err = r.Live.Get(ctx, key, secret)
		}
		switch {
		case apierrors.IsNotFound(err):
		case err != nil:
			return nil, err
		default:
			standing[namespace] = compile.Keyset{Document: secret.Data[v1alpha1.KeysetKey], ResourceVersion: secret.ResourceVersion}
		}
	}
	return standing, nil
}

func keyProblem(err error) status.Keys {
	reasons := map[keyring.Kind]string{
		keyring.Unreachable: v1alpha1.ReasonKMSUnreachable,
		keyring.Foreign:     v1alpha1.ReasonForeignKeyMaterial,
		keyring.Unsupported: v1alpha1.ReasonKeyUnsupported,
	}
	reason, known := reasons[keyring.KindOf(err)]
	if !known {
		reason = v1alpha1.ReasonKMSRefused
	}
	return status.Keys{Reason: reason, Message: err.Error()}
}
