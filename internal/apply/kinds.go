package apply

import (
	"encoding/json"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/extension"
)

// kinds are the objects this package can write on every cluster, by the kind an ObjectRef spells. Besides them it writes
// those of package extension. A tenant template can never smuggle in another one.
var kinds = map[string]func() client.Object{
	"Namespace": func() client.Object { return &corev1.Namespace{} },
	"NetworkPolicy." + networkingv1.GroupName: func() client.Object { return &networkingv1.NetworkPolicy{} },
	"ResourceQuota":                   func() client.Object { return &corev1.ResourceQuota{} },
	"LimitRange":                      func() client.Object { return &corev1.LimitRange{} },
	"ConfigMap":                       func() client.Object { return &corev1.ConfigMap{} },
	"Secret":                          func() client.Object { return &corev1.Secret{} },
	"RoleBinding." + rbacv1.GroupName: func() client.Object { return &rbacv1.RoleBinding{} },
}

// empty is a new object of a kind; false when it is not one this package writes.
func empty(kind string) (client.Object, bool) {
	if fresh, known := kinds[kind]; known {
		return fresh(), true
	}
	k, known := extension.ByName(kind)
	if !known {
		return nil, false
	}
	u := &unstructured.Unstructured{}
	u.SetGroupVersionKind(schema.GroupVersionKind{Group: k.Group, Version: k.Version, Kind: k.Name})
	return u, true
}

// optional says that clusters may not serve the kind of an object.
func optional(ref v1alpha1.ObjectRef) bool {
	_, is := extension.ByName(ref.Kind)
	return is
}

// Kinds returns an empty object of every kind this package writes on every cluster, for caches and watches.
func Kinds() []client.Object {
	var out []client.Object
	for _, empty := range kinds {
		out = append(out, empty())
	}
	return out
}

// RefOf names an object.
func RefOf(obj client.Object) v1alpha1.ObjectRef {
	ref := v1alpha1.ObjectRef{Namespace: obj.GetNamespace(), Name: obj.GetName()}
	switch obj.(type) {
	case *corev1.Namespace:
		ref.Kind = "Namespace"
	case *networkingv1.NetworkPolicy:
		ref.Kind = "NetworkPolicy." + networkingv1.GroupName
	case *corev1.ResourceQuota:
		ref.Kind = "ResourceQuota"
	case *corev1.LimitRange:
		ref.Kind = "LimitRange"
	case *corev1.ConfigMap:
		ref.Kind = "ConfigMap"
	case *corev1.Secret:
		ref.Kind = "Secret"
	case *rbacv1.RoleBinding:
		ref.Kind = "RoleBinding." + rbacv1.GroupName
	case *unstructured.Unstructured, *metav1.PartialObjectMetadata:
		gvk := obj.GetObjectKind().GroupVersionKind()
		if k := gvk.Kind + "." + gvk.Group; optional(v1alpha1.ObjectRef{Kind: k}) {
			ref.Kind = k
		}
	}
	return ref
}

// desired is an object to write: the body to send and what the API server will make of it.
type desired struct {
	ref    v1alpha1.ObjectRef
	body   []byte
	object client.Object
	digest string
}

func newDesired(config runtime.ApplyConfiguration) (desired, error) {
	body, err := json.Marshal(config)
	if err != nil {
		return desired{}, fmt.Errorf("encoding %T: %w", config, err)
	}
	var meta struct {
		Kind       string `json:"kind"`
		APIVersion string `json:"apiVersion"`
	}
	if err := json.Unmarshal(body, &meta); err != nil {
		return desired{}, fmt.Errorf("reading the kind of %T: %w", config, err)
	}
	name := meta.Kind
	if group, _, grouped := strings.Cut(meta.APIVersion, "/"); grouped {
		name += "." + group
	}
	object, known := empty(name)
	if !known {
		return desired{}, fmt.Errorf("kind %s of %s is not one this operator writes", meta.Kind, meta.APIVersion)
	}
	if err := json.Unmarshal(body, object); err != nil {
		return desired{}, fmt.Errorf("decoding %s: %w", name, err)
	}
	return desired{ref: RefOf(object), body: body, object: object, digest: Digest(object)}, nil
}
