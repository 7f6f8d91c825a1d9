package controllers

import (
	"context"
	"fmt"
	"unique"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/compile"
)

// located is what stays in memory of an object: its identity and one fact. A cluster has many more pods than tenants,
// and a whole Pod, even an empty one, takes four times as much.
type located[T any] struct {
	metav1.ObjectMeta
	fact T
}

type (
	locatedPod    = located[compile.Pod]
	locatedVolume = located[compile.Volume]
)

// Indices of the watches.
const (
	byNamespace = "namespace"
	byNode      = "node"
)

// runningPods are pods that are bound and have not ended. The API server leaves out the others, and the many pods of
// kube-system, which belongs to no tenant: a pod appears when it is bound and disappears when it ends.
const runningPods = "spec.nodeName!=,status.phase!=Succeeded,status.phase!=Failed,metadata.namespace!=" + metav1.NamespaceSystem

// watchPods returns an informer of running pods, in every namespace: pods do not say whose they are, so it cannot be
// limited to tenants.
func watchPods(api kubernetes.Interface) (cache.SharedIndexInformer, error) {
	pods := api.CoreV1().Pods(metav1.NamespaceAll)
	return newWatch(api, &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			o.FieldSelector = runningPods
			return pods.List(ctx, o)
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			o.FieldSelector = runningPods
			return pods.Watch(ctx, o)
		},
	}, &corev1.Pod{}, locatePod, cache.Indexers{
		byNamespace: func(obj any) ([]string, error) { return keyOf(obj, func(p compile.Pod) string { return p.Namespace }) },
		byNode:      func(obj any) ([]string, error) { return keyOf(obj, func(p compile.Pod) string { return p.Node }) },
	})
}

// watchVolumes returns an informer of persistent volumes.
func watchVolumes(api kubernetes.Interface) (cache.SharedIndexInformer, error) {
	volumes := api.CoreV1().PersistentVolumes()
	return newWatch(api, &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			return volumes.List(ctx, o)
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			return volumes.Watch(ctx, o)
		},
	}, &corev1.PersistentVolume{}, locateVolume, cache.Indexers{
		byNamespace: func(obj any) ([]string, error) {
			return keyOf(obj, func(v compile.Volume) string { return v.Namespace })
		},
	})
}

func newWatch(api any, lw *cache.ListWatch, kind runtime.Object, locate cache.TransformFunc, by cache.Indexers) (cache.SharedIndexInformer, error) {
	informer := cache.NewSharedIndexInformer(cache.ToListWatcherWithWatchListSemantics(lw, api), kind, 0, by)
	return informer, informer.SetTransform(locate)
}

func keyOf[T any](obj any, key func(T) string) ([]string, error) {
	l, ok := obj.(*located[T])
	if !ok {
		return nil, fmt.Errorf("%T in the place of a located object", obj)
	}
	return []string{key(l.fact)}, nil
}

// locatePod keeps of a pod where it is, what would make it anew, the channel it serves and the config it was given. Names that many pods share are held once.
func locatePod(in any) (any, error) {
	p, ok := in.(*corev1.Pod)
	if !ok {
		return in, nil
	}
	l := &locatedPod{ObjectMeta: metaOf(p), fact: compile.Pod{
		Name: p.Name, UID: p.UID, Node: once(p.Spec.NodeName), Channel: once(p.Labels[v1alpha1.LabelChannel]),
		Config: once(p.Annotations[v1alpha1.AnnotationConfigHash]), Uninjected: p.Annotations[v1alpha1.AnnotationInjectConfig] == "false",
		Leaving: p.DeletionTimestamp != nil,
	}}
	l.fact.Namespace = l.Namespace
	_, mirror := p.Annotations[corev1.MirrorPodAnnotationKey]
	// Whoever makes a pod names its controller. Only a mirror, which the policies let kubelets alone make, is a node's own and cannot be evicted.
	if c := metav1.GetControllerOfNoCopy(p); c != nil && (mirror || c.Kind != compile.StaticPod) {
		l.fact.Controller = once(c.Kind)
	}
	return l, nil
}

func locateVolume(in any) (any, error) {
	v, ok := in.(*corev1.PersistentVolume)
	if !ok {
		return in, nil
	}
	return &locatedVolume{ObjectMeta: metaOf(v), fact: compile.JudgeVolume(v)}, nil
}

func metaOf(obj metav1.Object) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Namespace: once(obj.GetNamespace()), Name: obj.GetName(), UID: obj.GetUID(), ResourceVersion: obj.GetResourceVersion(),
	}
}

func once(s string) string { return unique.Make(s).Value() }

// factsIn are the facts an index holds under a key.
func factsIn[T any](informer cache.SharedIndexInformer, index, key string) ([]T, error) {
	objects, err := informer.GetIndexer().ByIndex(index, key)
	if err != nil {
		return nil, err
	}
	facts := make([]T, 0, len(objects))
	for _, obj := range objects {
		if l, ok := obj.(*located[T]); ok {
			facts = append(facts, l.fact)
		}
	}
	return facts, nil
}
