package compile

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/document"
)

// KeyName is what a tenant's keyURI names, without parameters: two tenants of the same name share a key, whatever they say
// of it. Aliases are not known here; the KMS resolves them before a key is destroyed.
func KeyName(t *v1alpha1.HIPAATenant) string {
	name, _, _ := strings.Cut(t.Spec.Encryption.KeyURI, "?")
	return name
}

// ClaimsKey says that the tenant's keyURI claims the key for this tenant alone.
func ClaimsKey(t *v1alpha1.HIPAATenant) bool {
	ref, err := document.ParseKeyURI(t.Spec.Encryption.KeyURI)
	return err == nil && ref.Scope == document.ScopeTenant
}

// judgeSharing says long before anything is shredded that a key is not the tenant's alone, or would not be destroyed.
func (r *resolved) judgeSharing(f Facts, p *Plan) {
	const path = "spec.encryption.keyURI"
	claimed := ClaimsKey(r.tenant)
	switch {
	case len(f.KeySharers) > 0 && claimed:
		p.find(v1alpha1.SeverityWarning, CodeKeyShared, path,
			"scope=tenant says that %s serves this tenant alone, and %s names it too: it will not be destroyed when the tenant is shredded. Give each tenant a key of its own, or take scope=tenant out",
			KeyName(r.tenant), tenants(f.KeySharers))
	case len(f.KeySharers) > 0:
		p.find(v1alpha1.SeverityWarning, CodeKeyShared, path,
			"%s claims %s for itself alone (scope=tenant), and would have it destroyed with its own data: name another key", tenants(f.KeySharers), KeyName(r.tenant))
	case r.tenant.Spec.DeletionPolicy == v1alpha1.DeletionShred && !claimed:
		p.find(v1alpha1.SeverityInfo, CodeShredLeavesKey, path,
			"deletionPolicy Shred deletes the wrapped copies only, because keyURI does not say scope=tenant: who has a backup of them and may use the key can still open them")
	}
}

// tenants names at most three.
func tenants(names []string) string {
	const most = 3
	if len(names) <= most {
		return "tenant " + strings.Join(names, ", ")
	}
	return fmt.Sprintf("tenant %s and %d more", strings.Join(slices.Clone(names[:most]), ", "), len(names)-most)
}
