// Package shred decides which keys of a deleted tenant may be destroyed, tells whether two names mean one key, and words
// what was achieved. It is pure: asking the KMS and the cluster happens around it, in controllers.
package shred

import (
	"maps"
	"slices"
	"strings"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/document"
)

// Evidence is what is known of the keys of a tenant.
type Evidence struct {
	// KeyURI is spec.encryption.keyURI.
	KeyURI string
	// Used are URIs of keys that keysets or the status name: they wrap this tenant's data keys now.
	Used []string
	// Former are URIs of keys that wrapped them once.
	Former []string
	// Recorded is what was done already; nil before the shred began.
	Recorded *v1alpha1.ShredStatus
}

// Keys lists every KMS key that opens, or once opened, the tenant's data keys, sorted by URI, with what is to become of
// it. To be destroyed is only the key the spec names with scope=tenant, and only if it is in use: a key that never wrapped
// anything of the tenant may be anybody's, named by mistake. What is done, or may have been done, stays as it is recorded.
func Keys(e Evidence) []v1alpha1.ShreddedKey {
	keys := map[string]v1alpha1.ShreddedKey{}
	for _, uri := range slices.Concat(e.Former, e.Used) {
		keys[uri] = v1alpha1.ShreddedKey{KeyURI: uri, Outcome: v1alpha1.ShredKept}
	}
	ref, err := document.ParseKeyURI(e.KeyURI)
	if err == nil && ref.Scope == document.ScopeTenant && slices.Contains(e.Used, ref.URI()) {
		keys[ref.URI()] = v1alpha1.ShreddedKey{KeyURI: ref.URI(), Outcome: v1alpha1.ShredPending}
	}
	if e.Recorded != nil {
		for _, k := range e.Recorded.Keys {
			if Begun(k) {
				keys[k.KeyURI] = k
			}
		}
	}
	return slices.SortedFunc(maps.Values(keys), func(a, b v1alpha1.ShreddedKey) int { return strings.Compare(a.KeyURI, b.KeyURI) })
}

// Begun says that the key was destroyed, or that the KMS may have been asked to.
func Begun(k v1alpha1.ShreddedKey) bool {
	return k.Outcome == v1alpha1.ShredDestroying || Destroyed(k)
}

// Destroyed says that the key itself was destroyed.
func Destroyed(k v1alpha1.ShreddedKey) bool {
	return k.Outcome == v1alpha1.Shredded || k.Outcome == v1alpha1.SoftwareKeyDeleted
}

// Name is what is known of a key's identity.
type Name struct {
	// Ref is one of its names.
	Ref document.KeyRef
	// ID is its own name in the KMS; empty when the KMS was not asked, or when the URI's scheme and path are the only name.
	ID string
	// Known says that the KMS was asked, and answered.
	Known bool
}

// Answer to the question whether two names mean one key.
type Answer int

// Answers. Only Different is a proof.
const (
	Doubt Answer = iota
	Same
	Different
)

// Compare tells whether two names mean one key. Parameters such as scope or region never make two names differ: only the
// KMS's own names do, and where it has none, the paths.
func Compare(a, b Name) Answer {
	named := a.ID != "" && b.ID != ""
	switch {
	case a.Ref.Scheme != b.Ref.Scheme:
		return Different
	case a.Ref.URI() == b.Ref.URI() || named && a.ID == b.ID:
		return Same
	case named:
		return Different
	case a.Ref.Path == b.Ref.Path:
		return Same
	case pathOnly(a) && b.ID == "" || pathOnly(b) && a.ID == "":
		return Different
	}
	return Doubt
}

// pathOnly says that this KMS gives keys no other name than the path.
func pathOnly(n Name) bool { return n.Known && n.ID == "" }
