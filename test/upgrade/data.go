package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/test/traffic"
)

// ownData is what a tenant keeps: a Secret, a ConfigMap and a claim, and a counter that changes all the time.
func ownData(tenant string) []client.Object {
	class := traffic.Encrypted
	at := func(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Namespace: tenant, Name: name} }
	return []client.Object{
		&corev1.Secret{ObjectMeta: at("app-password"), StringData: map[string]string{"password": "of " + tenant}},
		&corev1.ConfigMap{ObjectMeta: at("app-settings"), Data: map[string]string{"setting": "of " + tenant}},
		&corev1.ConfigMap{ObjectMeta: at(traffic.Counter)},
		&corev1.PersistentVolumeClaim{ObjectMeta: at("app-records"), Spec: corev1.PersistentVolumeClaimSpec{
			StorageClassName: &class, AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}},
		}},
	}
}

// possession is an object that must survive: by its UID and, where it holds data, by them.
type possession struct{ uid, content string }

// possessions of all tenants, by kind, namespace and name: namespaces, their deny-all, Secrets, ConfigMaps and claims. The
// operator's Secrets are among them, because the software keys are. What opens is not: a version may open less.
func (w *world) possessions(ctx context.Context) (map[string]possession, error) {
	out := map[string]possession{}
	for _, list := range []client.ObjectList{
		&corev1.NamespaceList{}, &networkingv1.NetworkPolicyList{}, &corev1.SecretList{}, &corev1.ConfigMapList{}, &corev1.PersistentVolumeClaimList{},
	} {
		if err := w.admin.List(ctx, list); err != nil {
			return nil, err
		}
		err := meta.EachListItem(list, func(o runtime.Object) error {
			object := o.(client.Object)
			key := fmt.Sprintf("%T %s/%s", o, object.GetNamespace(), object.GetName())
			if !w.belongs(object) {
				return nil
			}
			out[strings.TrimPrefix(key, "*v1.")] = possession{string(object.GetUID()), content(object)}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// belongs says whether an object is a tenant's, or holds a software key.
func (w *world) belongs(o client.Object) bool {
	switch o := o.(type) {
	case *corev1.Namespace:
		return slices.Contains(w.tenants, o.Name)
	case *networkingv1.NetworkPolicy:
		return o.Name == v1alpha1.PolicyDefaultDeny && slices.Contains(w.tenants, o.Namespace)
	case *corev1.Secret:
		if o.Namespace == namespace {
			return o.Type != "helm.sh/release.v1" && o.Name != v1alpha1.SecretCanary
		}
	}
	return slices.Contains(w.tenants, o.GetNamespace())
}

// content is a digest of what an object holds; empty where the operator may change it.
func content(o client.Object) string {
	var data any
	switch o := o.(type) {
	case *corev1.Secret:
		data = o.Data
	case *corev1.ConfigMap:
		if o.Name == traffic.Counter || o.Name == v1alpha1.ConfigMapConfig {
			return ""
		}
		data = o.Data
	case *corev1.PersistentVolumeClaim:
		data = o.Spec
	default:
		return ""
	}
	text, err := json.Marshal(data)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%x", sha256.Sum256(text))
}

// losses are possessions that are gone or are others under the same name, and those with another content.
func losses(before, after map[string]possession) (lost, changed []string) {
	for key, was := range before {
		is, ok := after[key]
		switch {
		case !ok || is.uid != was.uid:
			lost = append(lost, key)
		case is.content != was.content:
			changed = append(changed, key)
		}
	}
	slices.Sort(lost)
	slices.Sort(changed)
	return lost, changed
}
