package controllers

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/compile"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/shred"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/status"
)

// Indexes of tenants, so that nobody walks all of them for a question about one key.
const (
	indexKey       = "hipaatenant.dev/key"       // by what their keyURI names, without parameters
	indexOwnKey    = "hipaatenant.dev/own-key"   // the same, of those that claim the key for themselves (scope=tenant)
	indexShredding = "hipaatenant.dev/shredding" // "true" while their keys are destroyed
)

// tenantIndexes are kept by the cache.
func tenantIndexes() map[string]client.IndexerFunc {
	of := func(value func(*v1alpha1.HIPAATenant) string) client.IndexerFunc {
		return func(obj client.Object) []string {
			t, ok := obj.(*v1alpha1.HIPAATenant)
			if !ok || value(t) == "" {
				return nil
			}
			return []string{value(t)}
		}
	}
	return map[string]client.IndexerFunc{
		indexKey: of(compile.KeyName),
		indexOwnKey: of(func(t *v1alpha1.HIPAATenant) string {
			if !compile.ClaimsKey(t) {
				return ""
			}
			return compile.KeyName(t)
		}),
		indexShredding: of(func(t *v1alpha1.HIPAATenant) string {
			if t.Status.Shred == nil {
				return ""
			}
			return "true"
		}),
	}
}

// sharers are the other tenants that name the same key: all of them when t claims it for itself, else those that do.
func (r *TenantReconciler) sharers(ctx context.Context, t *v1alpha1.HIPAATenant) ([]string, error) {
	index := indexOwnKey
	if compile.ClaimsKey(t) {
		index = indexKey
	}
	var list v1alpha1.HIPAATenantList
	if err := r.Client.List(ctx, &list, client.MatchingFields{index: compile.KeyName(t)}, client.UnsafeDisableDeepCopy); err != nil {
		return nil, err
	}
	var names []string
	for i := range list.Items {
		if list.Items[i].Name != t.Name {
			names = append(names, list.Items[i].Name)
		}
	}
	slices.Sort(names)
	return names, nil
}

// partners wakes the tenants whose finding about a shared key may have changed with another tenant.
func (r *TenantReconciler) partners(ctx context.Context, obj client.Object) []reconcile.Request {
	t, ok := obj.(*v1alpha1.HIPAATenant)
	if !ok {
		return nil
	}
	names, err := r.sharers(ctx, t)
	if err != nil {
		return nil // the cache is not there yet; each tenant is reconciled once it is
	}
	var requests []reconcile.Request
	for _, name := range names {
		requests = append(requests, requestFor(name))
	}
	return requests
}

// doomedKey is a key that is being destroyed.
type doomedKey struct {
	tenant string
	name   shred.Name
}

// beingShredded keeps a tenant from using a key that is being destroyed with another one. The mark in the other's status
// may not have reached the cache yet; this process remembers its own. Nil means that nothing stands in the way.
func (r *TenantReconciler) beingShredded(ctx context.Context, t *v1alpha1.HIPAATenant) (*status.Keys, error) {
	marked, err := r.doomedKeys(ctx, t)
	if err != nil || len(marked) == 0 {
		return nil, err
	}
	ref, err := keyring.ParseKeyURI(t.Spec.Encryption.KeyURI)
	if err != nil {
		return nil, nil //nolint:nilerr // the ring says so, in better words
	}
	asked := map[string]shred.Name{}
	for _, m := range marked {
		answer, err := r.compare(ctx, m.name, ref, asked)
		if err != nil {
			return keyDoomed("%s is being destroyed with tenant %s, and whether %s is the same key cannot be told: %v", m.name.Ref.URI(), m.tenant, ref.URI(), err), nil
		}
		if answer != shred.Different {
			return keyDoomed("%s is being destroyed with tenant %s, whose own it is: name another key", ref.URI(), m.tenant), nil
		}
	}
	return nil, nil
}

func keyDoomed(format string, args ...any) *status.Keys {
	return &status.Keys{Reason: v1alpha1.ReasonKeyBeingShredded, Message: fmt.Sprintf(format, args...)}
}

// doomedKeys are the keys being destroyed with other tenants.
func (r *TenantReconciler) doomedKeys(ctx context.Context, t *v1alpha1.HIPAATenant) ([]doomedKey, error) {
	var marked []doomedKey
	r.doomed.Range(func(uid, key any) bool {
		if d, ok := key.(doomedKey); ok && uid != t.UID {
			marked = append(marked, d)
		}
		return true
	})
	var list v1alpha1.HIPAATenantList
	if err := r.Client.List(ctx, &list, client.MatchingFields{indexShredding: "true"}, client.UnsafeDisableDeepCopy); err != nil {
		return nil, err
	}
	for i := range list.Items {
		other := &list.Items[i]
		if other.UID == t.UID || other.Status.Shred == nil {
			continue
		}
		for _, k := range other.Status.Shred.Keys {
			if ref, err := keyring.ParseKeyURI(k.KeyURI); err == nil && shred.Begun(k) {
				marked = append(marked, doomedKey{other.Name, shred.Name{Ref: ref, ID: k.ID, Known: true}})
			}
		}
	}
	slices.SortStableFunc(marked, func(a, b doomedKey) int { return strings.Compare(a.tenant, b.tenant) })
	return marked, nil
}

// crossing lets a shred wait until every reconcile that may not have seen its mark is through, so that a keyset such a one
// writes is seen by the proof that comes after. Nobody else waits. The zero value is ready for use.
type crossing struct {
	draining sync.Mutex // one at a time: the second must wait for those the first waits for
	mu       sync.Mutex
	current  *sync.WaitGroup
}

// enter begins a reconcile that may use a key; the function it returns ends it.
func (c *crossing) enter() func() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.current == nil {
		c.current = &sync.WaitGroup{}
	}
	c.current.Add(1)
	return c.current.Done
}

// drain waits for everybody who entered before.
func (c *crossing) drain() {
	c.draining.Lock()
	defer c.draining.Unlock()
	c.mu.Lock()
	before := c.current
	c.current = nil
	c.mu.Unlock()
	if before != nil {
		before.Wait()
	}
}
