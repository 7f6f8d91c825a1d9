package placement

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	toolswatch "k8s.io/client-go/tools/watch"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
)

// history is every revision of pods, nodes and namespaces, as three watches tell it. Revisions of all three compare: the
// resourceVersion is etcd's. What a watch left out would be taken for what never was, so a watch that ends breaks it.
type history struct {
	mu         sync.Mutex
	nodes      map[string][]dated[string] // regions by name; a node that is gone keeps its last
	namespaces map[string][]dated[facts]
	pods       map[types.UID]*podHistory
	landed     map[string]int // pods ever bound, by workload
	broken     []error

	stop func()
	done sync.WaitGroup
}

// dated values hold from a revision on.
type dated[T any] struct {
	since uint64
	value T
}

// facts are what a namespace says.
type facts struct {
	tenant  string
	regions []string
}

// podHistory is a pod and all its revisions.
type podHistory struct {
	namespace, name string
	labels          map[string]string
	revisions       []podRevision
}

// podRevision is what a revision says about the place of the pod.
type podRevision struct {
	version uint64
	// node it is bound to, and the region that the API server stamped on it.
	node, region string
	// waiting is why it is not bound: reason and message of condition PodScheduled.
	waiting   string
	preempted bool
}

func newHistory() *history {
	return &history{
		nodes:      map[string][]dated[string]{},
		namespaces: map[string][]dated[facts]{},
		pods:       map[types.UID]*podHistory{},
		landed:     map[string]int{},
	}
}

// follow records what there is, and everything from then on until end.
func follow(ctx context.Context, kube kubernetes.Interface) (*history, error) {
	h := newHistory()
	ctx, h.stop = context.WithCancel(ctx)
	for _, resource := range []string{"nodes", "namespaces", "pods"} {
		if err := h.follow(ctx, kube, resource); err != nil {
			h.end()
			return nil, fmt.Errorf("watch %s: %w", resource, err)
		}
	}
	return h, nil
}

// end stops recording. What was recorded no longer changes.
func (h *history) end() {
	h.stop()
	h.done.Wait()
}

func (h *history) follow(ctx context.Context, kube kubernetes.Interface, resource string) error {
	client := cache.NewListWatchFromClient(kube.CoreV1().RESTClient(), resource, metav1.NamespaceAll, fields.Everything())
	list, err := client.ListWithContext(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	if err := meta.EachListItem(list, func(object runtime.Object) error { h.record(object); return nil }); err != nil {
		return err
	}
	at, err := meta.ListAccessor(list)
	if err != nil {
		return err
	}
	// The API server drops watchers that do not keep up, which happens on a busy machine. This one goes on from the revision
	// it saw last, and ends when the API server cannot serve from there without a gap.
	w, err := toolswatch.NewRetryWatcherWithContext(ctx, at.GetResourceVersion(), client)
	if err != nil {
		return err
	}
	h.done.Go(func() { h.drain(ctx, resource, w) })
	return nil
}

func (h *history) drain(ctx context.Context, resource string, w watch.Interface) {
	for event := range w.ResultChan() {
		switch event.Type {
		case watch.Error:
			h.fail(fmt.Errorf("the watch of %s says %v", resource, event.Object))
		case watch.Bookmark:
		default:
			h.record(event.Object)
		}
	}
	if ctx.Err() == nil {
		h.fail(fmt.Errorf("the watch of %s ended, and what came after was not seen", resource))
	}
}

func (h *history) fail(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.broken = append(h.broken, err)
}

// err says why the history is not whole.
func (h *history) err() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return errors.Join(h.broken...)
}

func (h *history) record(object runtime.Object) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch o := object.(type) {
	case *corev1.Node:
		h.nodes[o.Name] = append(h.nodes[o.Name], dated[string]{version(o), o.Labels[corev1.LabelTopologyRegion]})
	case *corev1.Namespace:
		now := facts{tenant: o.Labels[v1alpha1.LabelTenant], regions: strings.Split(o.Annotations[v1alpha1.AnnotationRegions], ",")}
		h.namespaces[o.Name] = append(h.namespaces[o.Name], dated[facts]{version(o), now})
	case *corev1.Pod:
		h.recordPod(o)
	default:
		h.broken = append(h.broken, fmt.Errorf("want pods, nodes and namespaces, got %T", object))
	}
}

func (h *history) recordPod(o *corev1.Pod) {
	p := h.pods[o.UID]
	if p == nil {
		p = &podHistory{namespace: o.Namespace, name: o.Name, labels: o.Labels}
		h.pods[o.UID] = p
	}
	if o.Spec.NodeName != "" && !p.bound() {
		h.landed[o.Labels[labelWorkload]]++
	}
	r := podRevision{version: version(o), node: o.Spec.NodeName, region: o.Labels[corev1.LabelTopologyRegion]}
	for _, c := range o.Status.Conditions {
		switch {
		case c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse:
			r.waiting = c.Reason + ": " + c.Message
		case c.Type == corev1.DisruptionTarget && c.Reason == corev1.PodReasonPreemptionByScheduler:
			r.preempted = true
		}
	}
	p.revisions = append(p.revisions, r)
}

// bound says whether the pod has ever been.
func (p *podHistory) bound() bool {
	return slices.ContainsFunc(p.revisions, func(r podRevision) bool { return r.node != "" })
}

func (p *podHistory) last() podRevision { return p.revisions[len(p.revisions)-1] }

// landedOf returns how many pods of the workload were ever bound.
func (h *history) landedOf(workload string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.landed[workload]
}

// holds says whether this revision of the pod was seen.
func (h *history) holds(pod *corev1.Pod) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.pods[pod.UID]
	return p != nil && slices.ContainsFunc(p.revisions, func(r podRevision) bool { return r.version == version(pod) })
}

// at is the value at a revision.
func at[T any](values []dated[T], version uint64) (value T, ok bool) {
	for _, v := range values {
		if v.since > version {
			break
		}
		value, ok = v.value, true
	}
	return value, ok
}

func version(object metav1.Object) uint64 {
	n, err := strconv.ParseUint(object.GetResourceVersion(), 10, 64)
	if err != nil {
		panic(fmt.Sprintf("resourceVersion of %s: %v", object.GetName(), err)) // no API server does that
	}
	return n
}
