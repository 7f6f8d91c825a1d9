package controllers

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/document"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/shred"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/status"
)

// claim is somebody's need of a KMS key.
type claim struct {
	holder string // as messages name it
	uri    string
}

// servesNobodyElse returns nil when it is proven that the key serves this tenant alone, and otherwise, as a hold, why it
// must stand. Everything is read from the API server, and doubt counts as need.
func (r *TenantReconciler) servesNobodyElse(ctx context.Context, t *v1alpha1.HIPAATenant, e estate, key shred.Name) error {
	claims, problem, err := r.claims(ctx, t, e)
	if err != nil {
		return err
	}
	if problem != "" {
		return keyShared(key, "nobody can tell whom else it serves: "+problem)
	}
	asked := map[string]shred.Name{}
	for _, c := range claims {
		if why := r.needs(ctx, c, key, asked); why != "" {
			return keyShared(key, why)
		}
	}
	return nil
}

// needs says why a claim may be one to this key; empty when it is proven that it is to another.
func (r *TenantReconciler) needs(ctx context.Context, c claim, key shred.Name, asked map[string]shred.Name) string {
	ref, err := document.ParseKeyURI(c.uri)
	if err != nil {
		// No provider takes such a URI. What it means to name is clear enough where it begins like this key.
		if base, _, _ := strings.Cut(c.uri, "?"); base == key.Ref.Scheme+"://"+key.Ref.Path {
			return c.holder + " names it"
		}
		return ""
	}
	answer, err := r.compare(ctx, key, ref, asked)
	if err != nil {
		return fmt.Sprintf("%s names %s, and whether that is the same key cannot be told: %v", c.holder, ref.URI(), err)
	}
	if answer != shred.Different {
		return fmt.Sprintf("%s names it as %s", c.holder, ref.URI())
	}
	return ""
}

// compare asks the KMS for the other key's own name where the names alone leave doubt.
func (r *TenantReconciler) compare(ctx context.Context, key shred.Name, ref document.KeyRef, asked map[string]shred.Name) (shred.Answer, error) {
	name := shred.Name{Ref: ref}
	answer := shred.Compare(key, name)
	if answer != shred.Doubt {
		return answer, nil
	}
	name, err := r.ask(ctx, asked, ref)
	return shred.Compare(key, name), err
}

func keyShared(key shred.Name, why string) error {
	return holdf(v1alpha1.ReasonKeyShared, retryRefused,
		"%s is not destroyed: %s. Nothing was destroyed; give the other a key of its own, or take scope=tenant out of spec.encryption.keyURI to delete the wrapped copies only",
		key.Ref.URI(), why)
}

// ask has the KMS tell a key's own name, once for each URI.
func (r *TenantReconciler) ask(ctx context.Context, asked map[string]shred.Name, ref document.KeyRef) (shred.Name, error) {
	if name, known := asked[ref.URI()]; known {
		return name, nil
	}
	info, err := r.Keys.Describe(ctx, ref)
	if err != nil {
		return shred.Name{Ref: ref}, err
	}
	name := shred.Name{Ref: ref, ID: info.ID, Known: true}
	asked[ref.URI()] = name
	return name, nil
}

// claims lists who needs which KMS key: tenants by their spec and status, namespaces by the keysets in them, and deleted
// tenants whose data was retained. The problem tells what could not be read.
func (r *TenantReconciler) claims(ctx context.Context, t *v1alpha1.HIPAATenant, e estate) (claims []claim, problem string, err error) {
	var tenants v1alpha1.HIPAATenantList
	if err := r.Live.List(ctx, &tenants); err != nil {
		return nil, "", fmt.Errorf("reading tenants: %w", err)
	}
	for i := range tenants.Items {
		if other := &tenants.Items[i]; other.UID != t.UID {
			claims = append(claims, claimsOf(other)...)
		}
	}
	more, problem, err := r.claimsOfKeysets(ctx, e)
	if err != nil || problem != "" {
		return nil, problem, err
	}
	claims = append(claims, more...)
	more, problem, err = r.claimsOfTheDead(ctx, t, e)
	return append(claims, more...), problem, err
}

func claimsOf(t *v1alpha1.HIPAATenant) []claim {
	holder := "tenant " + t.Name
	claims := []claim{{holder, t.Spec.Encryption.KeyURI}}
	for _, k := range t.Status.Keys {
		claims = append(claims, claim{holder, status.KeyURI(k)})
	}
	for _, uri := range t.Status.FormerKeys {
		claims = append(claims, claim{holder + ", for copies from former times,", uri})
	}
	return claims
}

func (r *TenantReconciler) claimsOfKeysets(ctx context.Context, e estate) (claims []claim, problem string, err error) {
	var secrets corev1.SecretList
	if err := r.Live.List(ctx, &secrets, client.MatchingFields{"metadata.name": v1alpha1.SecretKeyset}); err != nil {
		return nil, "", fmt.Errorf("reading keysets: %w", err)
	}
	for _, s := range secrets.Items {
		if slices.Contains(e.namespaces, s.Namespace) {
			continue
		}
		keyset, err := document.Parse(s.Data[v1alpha1.KeysetKey])
		if err != nil && s.Labels[v1alpha1.LabelTenant] == "" {
			continue // somebody's Secret that happens to have this name
		}
		if err != nil {
			return nil, fmt.Sprintf("Secret %s/%s cannot be read: %v", s.Namespace, s.Name, err), nil
		}
		for _, entry := range keyset.Keys {
			claims = append(claims, claim{"the keyset in namespace " + s.Namespace, entry.Provider + "://" + entry.KeyRef})
		}
	}
	return claims, "", nil
}

// claimsOfTheDead are those of deleted tenants whose data was retained.
func (r *TenantReconciler) claimsOfTheDead(ctx context.Context, t *v1alpha1.HIPAATenant, e estate) (claims []claim, problem string, err error) {
	stones, unreadable, err := r.tombstones(ctx, "")
	if err != nil || len(unreadable) > 0 {
		return nil, "tombstones cannot be read: " + strings.Join(unreadable, ", "), err
	}
	for _, stone := range stones {
		if stone.UID == string(t.UID) || !stone.holdsData() {
			continue
		}
		if taken, err := r.succeeds(ctx, t, e, stone); err != nil || taken {
			if err != nil {
				return nil, "", err
			}
			continue
		}
		holder := "the tombstone of tenant " + stone.Tenant + " (" + stone.UID + "), whose data was retained,"
		for _, k := range stone.Keys {
			claims = append(claims, claim{holder, status.KeyURI(k)})
		}
		for _, uri := range stone.FormerKeys {
			claims = append(claims, claim{holder, uri})
		}
	}
	return claims, "", nil
}

// succeeds says that this tenant took over all that an earlier one of its name left: each of its namespaces is this
// tenant's by now, or gone.
func (r *TenantReconciler) succeeds(ctx context.Context, t *v1alpha1.HIPAATenant, e estate, stone tombstone) (bool, error) {
	if stone.Tenant != t.Name {
		return false, nil
	}
	for _, n := range stone.Namespaces {
		if slices.Contains(e.namespaces, n.Name) {
			continue
		}
		err := r.Live.Get(ctx, client.ObjectKey{Name: n.Name}, &corev1.Namespace{})
		if !apierrors.IsNotFound(err) {
			return false, err
		}
	}
	return true, nil
}

// inherited are the keys and UIDs of earlier tenants of this name whose data this one took over.
func (r *TenantReconciler) inherited(ctx context.Context, t *v1alpha1.HIPAATenant, e estate) (former, uids []string, err error) {
	former = slices.Clone(t.Status.FormerKeys)
	stones, _, err := r.tombstones(ctx, t.Name)
	if err != nil {
		return nil, nil, err
	}
	for _, stone := range stones {
		if stone.UID == string(t.UID) || !stone.holdsData() {
			continue
		}
		taken, err := r.succeeds(ctx, t, e, stone)
		if err != nil {
			return nil, nil, err
		}
		if !taken {
			continue
		}
		uids = append(uids, stone.UID)
		former = append(former, stone.FormerKeys...)
		for _, k := range stone.Keys {
			former = append(former, status.KeyURI(k))
		}
	}
	return former, uids, nil
}
