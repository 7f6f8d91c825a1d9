package controllers

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/apply"
)

func watched(t *testing.T, kind client.Object) cache.ByObject {
	t.Helper()
	for obj, by := range CacheOptions().ByObject {
		if fmt.Sprintf("%T", obj) == fmt.Sprintf("%T", kind) {
			return by
		}
	}
	t.Fatalf("%T is watched without a limit", kind)
	return cache.ByObject{}
}

// TestNoInformerStartsByAccident: a read of a kind nobody meant to watch is an error, not a copy of the cluster.
func TestNoInformerStartsByAccident(t *testing.T) {
	if o := CacheOptions(); !o.ReaderFailOnMissingInformer || o.DefaultTransform == nil {
		t.Error("a read may start an informer, or managed fields are kept")
	}
}

// TestOwnedKindsAreWatchedNarrowly: only what is the operator's by label or name, and stripped as the applier expects.
func TestOwnedKindsAreWatchedNarrowly(t *testing.T) {
	managed := labels.Set{v1alpha1.LabelManagedBy: v1alpha1.OperatorName, v1alpha1.LabelTenant: "acme"}
	for _, kind := range apply.Kinds() {
		by := watched(t, kind)
		name := apply.RefOf(kind).Kind
		fixed := map[string]string{"ConfigMap": v1alpha1.ConfigMapConfig, "Secret": v1alpha1.SecretKeyset}[name]
		switch {
		case fixed != "":
			if by.Field == nil || !by.Field.Matches(fields.Set{"metadata.name": fixed}) || by.Field.Matches(fields.Set{"metadata.name": "another"}) {
				t.Errorf("%s is watched by %v, want the name %s alone", name, by.Field, fixed)
			}
		case name == "NetworkPolicy.networking.k8s.io" || name == "RoleBinding.rbac.authorization.k8s.io":
			if by.Label != nil {
				t.Errorf("%s is watched by %v, want those of others too: what they open is judged", name, by.Label)
			}
		case by.Label == nil || !by.Label.Matches(managed) || by.Label.Matches(labels.Set{"team": "x"}):
			t.Errorf("%s is watched by %v, want the operator's label", name, by.Label)
		}
		obj := kind.DeepCopyObject().(client.Object)
		obj.SetLabels(managed)
		obj.SetAnnotations(map[string]string{"note": "x"})
		out, err := by.Transform(obj)
		if err != nil || len(out.(client.Object).GetAnnotations()) != 0 || len(out.(client.Object).GetManagedFields()) != 1 {
			t.Errorf("%s is not stripped in the cache (%v)", name, err)
		}
	}
	if watched(t, &corev1.Namespace{}).Label.Matches(labels.Set{v1alpha1.LabelManagedBy: v1alpha1.OperatorName}) {
		t.Error("a namespace without an owner is watched")
	}
}

func TestOtherKindsAreWatchedNarrowly(t *testing.T) {
	for _, kind := range admissionKinds() {
		by := watched(t, kind)
		if by.Label == nil || by.Label.Matches(labels.Set{}) || !by.Label.Matches(labels.Set{v1alpha1.LabelManagedBy: v1alpha1.OperatorName}) {
			t.Errorf("%T is watched by %v, want the operator's label", kind, by.Label)
		}
	}
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{"a": "b"}}}
	if out, err := watched(t, n).Transform(n); err != nil || out.(*corev1.Node).Annotations != nil {
		t.Errorf("nodes are not stripped in the cache (%v)", err)
	}
}
