// Package v1alpha1 is the contract of hipaa-tenant-operator: the kinds users write, the conditions and
// reasons they read, and every label and annotation key the operator and its admission policies exchange.
//
// Rules a user can break live on the types as CEL, so the API server refuses them with the field's name.
// Rules that need a second object (a region missing from the profile, say) are findings of package compile.
// No field of a spec has a schema default: defaults are resolved at compile time and shown in
// status.effective, so a GitOps tool never sees a difference it did not write.
//
// +kubebuilder:object:generate=true
// +kubebuilder:ac:generate=true
// +groupName=hipaatenant.dev
package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Group is the API group of every kind in this package.
const Group = "hipaatenant.dev"

// SchemeGroupVersion is the group and version of every kind in this package.
var SchemeGroupVersion = schema.GroupVersion{Group: Group, Version: "v1alpha1"}

// AddToScheme registers the kinds of this package.
func AddToScheme(s *runtime.Scheme) error {
	s.AddKnownTypes(SchemeGroupVersion,
		&HIPAATenant{}, &HIPAATenantList{},
		&HIPAAProfile{}, &HIPAAProfileList{},
		&BusinessAssociate{}, &BusinessAssociateList{},
		&EmergencyAccess{}, &EmergencyAccessList{},
	)
	metav1.AddToGroupVersion(s, SchemeGroupVersion)
	return nil
}
