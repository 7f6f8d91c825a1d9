// Package controllers holds the loops: they read facts, call the pure packages, write, and record.
package controllers

import (
	"maps"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/apply"
)

// CacheOptions says what the operator watches: its own kinds, nodes, storage classes, network policies and role bindings, and of everything
// else only what carries its label or one of its fixed names, without bodies. A Secret or ConfigMap of another name is
// never read, and RBAC forbids it.
func CacheOptions() cache.Options {
	managed := labels.SelectorFromSet(labels.Set{v1alpha1.LabelManagedBy: v1alpha1.OperatorName})
	owned := labels.NewSelector()
	if r, err := labels.NewRequirement(v1alpha1.LabelTenant, selection.Exists, nil); err == nil {
		owned = owned.Add(*r)
	}
	name := func(n string) fields.Selector { return fields.OneTermEqualSelector("metadata.name", n) }
	byObject := map[client.Object]cache.ByObject{}
	for _, kind := range admissionKinds() {
		byObject[kind] = cache.ByObject{Label: managed}
	}
	maps.Copy(byObject, map[client.Object]cache.ByObject{
		&corev1.Node{}:                {Transform: stripNode},
		&storagev1.StorageClass{}:     {Transform: stripClass},
		&corev1.Namespace{}:           {Label: owned, Transform: apply.Strip},
		&networkingv1.NetworkPolicy{}: {Transform: stripOwn},
		&corev1.ResourceQuota{}:       {Label: managed, Transform: apply.Strip},
		&corev1.LimitRange{}:          {Label: managed, Transform: apply.Strip},
		&rbacv1.RoleBinding{}:         {Transform: stripOwn},
		&corev1.ConfigMap{}:           {Field: name(v1alpha1.ConfigMapConfig), Transform: apply.Strip},
		&corev1.Secret{}:              {Field: name(v1alpha1.SecretKeyset), Transform: apply.Strip},
	})
	return cache.Options{
		ReaderFailOnMissingInformer: true,
		DefaultTransform:            cache.TransformStripManagedFields(),
		ByObject:                    byObject,
	}
}
