// Package compile decides what a tenant becomes. It is pure: the same tenant and the same facts give the same plan,
// byte for byte. Reading and writing happen around it, in controllers; the command line shares it, so a pipeline sees
// before a merge what the cluster will do.
package compile

import (
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/atrest"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/extension"
)

// Facts is everything a plan depends on besides the tenant itself.
type Facts struct {
	// Profile the tenant names; nil when it does not exist.
	Profile *v1alpha1.HIPAAProfile
	// Associates by name: at least those the tenant, the profile's regions and their subcontractors name. One that is
	// missing here does not exist.
	Associates map[string]*v1alpha1.BusinessAssociate
	// Namespaces that exist, by name: at least those the tenant names or remembers. One that is missing here does not
	// exist.
	Namespaces map[string]Namespace
	// Strangers are what others made in the tenant's namespaces, by namespace.
	Strangers map[string]Strangers
	// Standing is what the operator's own objects open, by namespace: needed only where the spec cannot be honoured.
	Standing map[string]Standing
	// Nodes, and the regions they are in; nil when nodes were not read.
	Nodes *Survey
	// AtRest is how the API servers store Secrets; nil when that was not observed (yet).
	AtRest *atrest.Verdict
	// Extensions are the optional APIs, by kind; one that is missing here was not looked at.
	Extensions map[string]extension.API
	// StorageClasses that exist, by name; nil when they were not read.
	StorageClasses map[string]StorageClass
	// Pods that are bound and have not ended, and Volumes that are claimed: at least those in the tenant's namespaces.
	Pods    []Pod
	Volumes []Volume
	// Keysets are the documents to stand in Secret hipaa-keyset, by namespace. A namespace that is missing here gets no
	// keyset written and its gate is not opened; one that stands there is left alone.
	Keysets map[string]Keyset
	// KeySharers are other tenants that name the same key: all of them when this tenant claims the key for itself alone,
	// else those that do. Sorted.
	KeySharers []string
	// KeyRegion is where the KMS says that the key of keyURI lives; empty when it does not tell, or was not asked.
	KeyRegion string
	// AdmissionEnforced says that the API server holds every admission policy as shipped. Until then no namespace is
	// made and no gate is opened.
	AdmissionEnforced bool
	// SharedNamespaces of all profiles (see the function of this name) may not belong to a tenant.
	SharedNamespaces []string
	// OperatorNamespace may not belong to a tenant.
	OperatorNamespace string
	// ProbeNamespace, where the network probe's pods run, may not either: the operator makes pods there.
	ProbeNamespace string
	// Now is the time agreements and grants are judged by.
	Now time.Time
}

// Namespace is a namespace that exists.
type Namespace struct {
	// UID of the namespace.
	UID types.UID `json:"uid"`
	// Labels of ours: the tenant label and the pod-security levels.
	Labels map[string]string `json:"labels,omitempty"`
	// Facts are the annotations of ours.
	Facts map[string]string `json:"facts,omitempty"`
	// Terminating: it is being deleted and takes no writes.
	Terminating bool `json:"terminating,omitempty"`
}

// Tenant that owns the namespace; empty when none does.
func (n Namespace) Tenant() string { return n.Labels[v1alpha1.LabelTenant] }

// TenantUID is the UID of the HIPAATenant that last wrote to it.
func (n Namespace) TenantUID() types.UID { return types.UID(n.Facts[v1alpha1.AnnotationTenantUID]) }

// Gate it has now.
func (n Namespace) Gate() v1alpha1.Gate { return v1alpha1.Gate(n.Facts[v1alpha1.AnnotationAdmission]) }

// Keyset is a document for Secret hipaa-keyset.
type Keyset struct {
	// Document, in the format of docs/keyset.md.
	Document []byte
	// ResourceVersion of the Secret the document was derived from; empty when there was none. The write is refused when
	// another one came between.
	ResourceVersion string
}

// NamespaceNames are the namespaces the spec asks for, in its order; one named as the tenant when it names none.
func NamespaceNames(t *v1alpha1.HIPAATenant) []string {
	if len(t.Spec.Namespaces) == 0 {
		return []string{t.Name}
	}
	names := make([]string, len(t.Spec.Namespaces))
	for i, n := range t.Spec.Namespaces {
		names[i] = string(n.Name)
	}
	return names
}

// DataKeyNames are the data keys the spec asks for, in its order; "default" when it names none.
func DataKeyNames(t *v1alpha1.HIPAATenant) []string {
	if len(t.Spec.Encryption.DataKeys) == 0 {
		return []string{v1alpha1.DefaultDataKey}
	}
	names := make([]string, len(t.Spec.Encryption.DataKeys))
	for i, k := range t.Spec.Encryption.DataKeys {
		names[i] = string(k.Name)
	}
	return names
}

// ProfileName is the profile the tenant uses.
func ProfileName(t *v1alpha1.HIPAATenant) string {
	if t.Spec.Profile == "" {
		return v1alpha1.DefaultProfile
	}
	return string(t.Spec.Profile)
}
