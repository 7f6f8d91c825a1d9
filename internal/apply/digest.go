package apply

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
)

// owned says whether a label or annotation key is the operator's by contract. Others belong to their writers.
func owned(key string) bool {
	return key == v1alpha1.LabelManagedBy ||
		strings.HasPrefix(key, v1alpha1.Group+"/") ||
		strings.HasPrefix(key, "pod-security.kubernetes.io/")
}

// content is what is compared: all of an object that is the operator's by contract, and nothing else. A field somebody
// adds to a spec makes a difference; a label of somebody else's does not.
type content struct {
	Labels      map[string]string
	Annotations map[string]string
	Body        []any
}

// Digest identifies the operator's part of an object. Two objects with the same digest need no write between them.
func Digest(obj client.Object) string {
	c := content{Labels: ownedOnly(obj.GetLabels()), Annotations: ownedOnly(obj.GetAnnotations())}
	switch o := obj.(type) {
	case *networkingv1.NetworkPolicy:
		c.Body = []any{o.Spec}
	case *corev1.ResourceQuota:
		c.Body = []any{o.Spec}
	case *corev1.LimitRange:
		c.Body = []any{o.Spec}
	case *corev1.ConfigMap:
		c.Body = []any{o.Data, o.BinaryData, o.Immutable}
	case *corev1.Secret:
		c.Body = []any{o.Type, o.Data, o.Immutable}
	case *rbacv1.RoleBinding:
		c.Body = []any{o.Subjects, o.RoleRef}
	case *unstructured.Unstructured:
		c.Body = []any{body(o)}
	}
	text, err := json.Marshal(c)
	if err != nil {
		return "" // equals no digest of a desired object, so the object is written
	}
	sum := sha256.Sum256(text)
	return base64.RawStdEncoding.EncodeToString(sum[:18])
}

// envelope is what an object of an optional kind has besides its body.
var envelope = []string{"apiVersion", "kind", "metadata", "status"}

// body is everything an object of an optional kind asks for. That is more than its spec: some have further fields that do
// the same.
func body(u *unstructured.Unstructured) map[string]any {
	out := map[string]any{}
	for k, v := range u.Object {
		if !slices.Contains(envelope, k) {
			out[k] = v
		}
	}
	return out
}

// OwnedMeta returns the labels and annotations of an object that are the operator's by contract.
func OwnedMeta(obj client.Object) (labels, annotations map[string]string) {
	return ownedOnly(obj.GetLabels()), ownedOnly(obj.GetAnnotations())
}

func ownedOnly(m map[string]string) map[string]string {
	var out map[string]string
	for k, v := range m {
		if owned(k) {
			if out == nil {
				out = map[string]string{}
			}
			out[k] = v
		}
	}
	return out
}

// digestMark tells a managedFields entry that carries a digest from those the API server writes, which always name an
// operation. Nobody can put such an entry on a live object.
const digestMark = "digest"

// Strip is a cache transform: it replaces an object's body and managed fields by its digest, and keeps only the
// operator's labels and annotations. Secrets keep their data: the keyset is needed and holds wrapped keys only.
// It may be called again on what it returned.
func Strip(in any) (any, error) {
	obj, ok := in.(client.Object)
	if !ok {
		return in, nil
	}
	if _, stripped := strippedDigest(obj); stripped {
		return in, nil
	}
	digest := Digest(obj)
	obj.SetManagedFields([]metav1.ManagedFieldsEntry{{Manager: digest, Subresource: digestMark}})
	obj.SetLabels(shared(ownedOnly(obj.GetLabels())))
	obj.SetAnnotations(ownedOnly(obj.GetAnnotations()))
	switch o := obj.(type) {
	case *networkingv1.NetworkPolicy:
		o.Spec = networkingv1.NetworkPolicySpec{}
	case *corev1.ResourceQuota:
		o.Spec, o.Status = corev1.ResourceQuotaSpec{}, corev1.ResourceQuotaStatus{}
	case *corev1.LimitRange:
		o.Spec = corev1.LimitRangeSpec{}
	case *corev1.ConfigMap:
		o.Data, o.BinaryData = nil, nil
	case *rbacv1.RoleBinding:
		o.Subjects, o.RoleRef = nil, rbacv1.RoleRef{}
	case *unstructured.Unstructured:
		maps.DeleteFunc(o.Object, func(k string, _ any) bool { return k == "status" || !slices.Contains(envelope, k) })
	}
	return obj, nil
}

// labelSets holds each set of labels once: the objects of a tenant all carry the same. What a cache holds is never
// changed, so sharing is safe. Sets are not forgotten, and anybody may put labels on an object named hipaa-config in a
// namespace of theirs, so their number is bounded: three sets for each of the 10,000 namespaces Kubernetes is good for.
var (
	labelSets   sync.Map // text of the set -> map[string]string
	labelSetsIn atomic.Int64
)

const maxLabelSets = 30_000

// Shared returns the one copy of a set of labels that a cache holds.
func Shared(labels map[string]string) map[string]string { return shared(labels) }

// SameStripped says that two stripped objects do not differ in what is the operator's.
func SameStripped(a, b client.Object) bool {
	x, okX := strippedDigest(a)
	y, okY := strippedDigest(b)
	return okX && okY && x == y
}

func shared(labels map[string]string) map[string]string {
	var key strings.Builder
	for _, k := range slices.Sorted(maps.Keys(labels)) {
		key.WriteString(k + "\x00" + labels[k] + "\x00")
	}
	if one, known := labelSets.Load(key.String()); known {
		return one.(map[string]string)
	}
	if labelSetsIn.Load() < maxLabelSets {
		if _, raced := labelSets.LoadOrStore(key.String(), labels); !raced {
			labelSetsIn.Add(1)
		}
	}
	return labels
}

func strippedDigest(obj client.Object) (string, bool) {
	m := obj.GetManagedFields()
	if len(m) == 1 && m[0].Operation == "" && m[0].Subresource == digestMark {
		return m[0].Manager, true
	}
	return "", false
}
