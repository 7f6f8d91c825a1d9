package controllers

import (
	"context"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/apply"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/extension"
)

var definitions = schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}

// watchDefinition watches the one CustomResourceDefinition of a kind, of which it keeps what the operator makes of it: a whole
// one may be a megabyte.
func watchDefinition(api dynamic.Interface, k extension.Kind) (cache.SharedIndexInformer, error) {
	one := fields.OneTermEqualSelector("metadata.name", k.CRD()).String()
	return watchDynamic(api, definitions, func(o *metav1.ListOptions) { o.FieldSelector = one }, func(in any) (any, error) {
		u, ok := in.(*unstructured.Unstructured)
		if !ok {
			return in, nil
		}
		return &located[extension.API]{ObjectMeta: metaOf(u), fact: extension.Judge(k, u)}, nil
	})
}

// watchExtension watches the operator's objects of a kind. A cache holds what they amount to.
func watchExtension(api dynamic.Interface, k extension.Kind) (cache.SharedIndexInformer, error) {
	ours := labels.SelectorFromSet(labels.Set{v1alpha1.LabelManagedBy: v1alpha1.OperatorName}).String()
	resource := schema.GroupVersionResource{Group: k.Group, Version: k.Version, Resource: k.Resource}
	return watchDynamic(api, resource, func(o *metav1.ListOptions) { o.LabelSelector = ours }, stripExtension)
}

func watchDynamic(api dynamic.Interface, r schema.GroupVersionResource, narrow func(*metav1.ListOptions), keep cache.TransformFunc) (cache.SharedIndexInformer, error) {
	return newWatch(api, &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			narrow(&o)
			return api.Resource(r).List(ctx, o)
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			narrow(&o)
			return api.Resource(r).Watch(ctx, o)
		},
	}, &unstructured.Unstructured{}, keep, nil)
}

// stripExtension keeps of an object its identity, the operator's labels and a digest. An Unstructured, even an empty one,
// takes several times as much.
func stripExtension(in any) (any, error) {
	u, ok := in.(*unstructured.Unstructured)
	if !ok {
		return in, nil
	}
	if _, err := apply.Strip(u); err != nil {
		return nil, err
	}
	m := &metav1.PartialObjectMetadata{ObjectMeta: metaOf(u)}
	m.Kind, m.APIVersion = once(u.GetKind()), once(u.GetAPIVersion())
	m.Labels, m.Annotations, m.ManagedFields = apply.Shared(u.GetLabels()), u.GetAnnotations(), u.GetManagedFields()
	return m, nil
}

// extensionSource lets the tenants' controller hear of optional APIs.
type extensionSource struct{ r *TenantReconciler }

// Start begins to follow the APIs and to wake tenants whose objects somebody else touched.
func (s extensionSource) Start(ctx context.Context, q queue) error {
	return s.r.Extensions.start(ctx, func(ctx context.Context) cache.ResourceEventHandler { return s.r.extensionEvents(ctx, q) })
}

// WaitForSync waits until it is known which APIs are served.
func (s extensionSource) WaitForSync(ctx context.Context) error {
	return s.r.Extensions.waitForSync(ctx)
}

// extensionEvents wakes the tenants concerned by drift. The projects write the status of these objects all the time: that
// leaves the digest as it is, and wakes nobody. What is listed at first is no change: every tenant is looked at then.
func (r *TenantReconciler) extensionEvents(ctx context.Context, q queue) cache.ResourceEventHandler {
	drift := r.drift()
	wake := func(obj client.Object) {
		for _, request := range r.concerned(ctx, obj) {
			q.Add(request)
		}
	}
	return cache.ResourceEventHandlerDetailedFuncs{
		AddFunc: func(obj any, listed bool) {
			if m, ok := obj.(client.Object); ok && drift.Create(event.CreateEvent{Object: m}) && !listed {
				wake(m)
			}
		},
		UpdateFunc: func(before, after any) {
			b, was := before.(client.Object)
			a, is := after.(client.Object)
			if was && is && drift.Update(event.UpdateEvent{ObjectOld: b, ObjectNew: a}) && !apply.SameStripped(b, a) {
				wake(a)
			}
		},
		DeleteFunc: func(obj any) {
			if last, missed := obj.(cache.DeletedFinalStateUnknown); missed {
				obj = last.Obj
			}
			if m, ok := obj.(client.Object); ok && drift.Delete(event.DeleteEvent{Object: m}) {
				wake(m)
			}
		},
	}
}

// Reader is a client that answers reads of optional kinds from what is followed. Of one that is not served nothing stands.
func (e *Extensions) Reader(c client.Client) client.Client {
	return extendedClient{Client: c, extensions: e}
}

type extendedClient struct {
	client.Client
	extensions *Extensions
}

// Get reads a stripped object of an optional kind, and any other from the client.
func (c extendedClient) Get(ctx context.Context, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
	u, ok := obj.(*unstructured.Unstructured)
	if !ok {
		return c.Client.Get(ctx, key, obj, opts...)
	}
	k, optional := extension.ByName(apply.RefOf(u).Kind)
	if !optional {
		return c.Client.Get(ctx, key, obj, opts...)
	}
	name := cache.ObjectName{Namespace: key.Namespace, Name: key.Name}.String()
	held := c.extensions.standing(k, name)
	if held == nil {
		return apierrors.NewNotFound(schema.GroupResource{Group: k.Group, Resource: k.Resource}, key.Name)
	}
	u.SetNamespace(held.Namespace)
	u.SetName(held.Name)
	u.SetUID(held.UID)
	u.SetResourceVersion(held.ResourceVersion)
	u.SetLabels(held.Labels)
	u.SetAnnotations(held.Annotations)
	u.SetManagedFields(held.ManagedFields)
	return nil
}
