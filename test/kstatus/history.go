package kstatus

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	toolswatch "k8s.io/client-go/tools/watch"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
)

var resources = []string{"hipaatenants", "hipaaprofiles", "businessassociates", "emergencyaccesses"}

// History is what kstatus says of every revision of the product's objects, from Follow until End. A revision that was not
// seen would be taken for a good one, so a watch that cannot go on without a gap is a fault of its own.
type History struct {
	mu      sync.Mutex
	last    map[types.UID]revision
	seen    map[string][]status.Status // of an object of kind/name, without repetitions
	count   map[status.Status]int
	objects map[string]int // by kind
	wrong   []string

	stop func()
	done sync.WaitGroup
}

// Follow judges what there is, and everything from then on.
func Follow(ctx context.Context, config *rest.Config) (*History, error) {
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	h := newHistory()
	ctx, h.stop = context.WithCancel(ctx)
	for _, resource := range resources {
		if err := h.follow(ctx, client.Resource(v1alpha1.SchemeGroupVersion.WithResource(resource))); err != nil {
			h.End()
			return nil, fmt.Errorf("watch %s: %w", resource, err)
		}
	}
	return h, nil
}

func newHistory() *History {
	return &History{last: map[types.UID]revision{}, seen: map[string][]status.Status{}, count: map[status.Status]int{}, objects: map[string]int{}}
}

func (h *History) follow(ctx context.Context, client dynamic.ResourceInterface) error {
	list, err := client.List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	for i := range list.Items {
		h.record(&list.Items[i])
	}
	w, err := toolswatch.NewRetryWatcherWithContext(ctx, list.GetResourceVersion(), &cache.ListWatch{
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) { return client.Watch(ctx, o) },
	})
	if err != nil {
		return err
	}
	h.done.Go(func() { h.drain(ctx, w) })
	return nil
}

func (h *History) drain(ctx context.Context, w watch.Interface) {
	for event := range w.ResultChan() {
		switch o, ok := event.Object.(*unstructured.Unstructured); {
		case event.Type == watch.Bookmark:
		case event.Type == watch.Error || !ok:
			h.fault(fmt.Sprintf("the watch says %v", event.Object))
		case event.Type != watch.Deleted: // which repeats the last state
			h.record(o)
		}
	}
	if ctx.Err() == nil {
		h.fault("a watch ended, and what came after was not seen")
	}
}

func (h *History) fault(text string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.wrong = append(h.wrong, text)
}

func (h *History) record(o *unstructured.Unstructured) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r, err := read(o)
	if err != nil {
		h.wrong = append(h.wrong, err.Error())
		return
	}
	var before *revision
	if was, known := h.last[o.GetUID()]; known {
		before = &was
	} else {
		h.objects[o.GetKind()]++
	}
	h.wrong = append(h.wrong, judge(before, r)...)
	h.last[o.GetUID()] = r
	h.count[r.verdict]++
	name := o.GetKind() + "/" + o.GetName()
	if all := h.seen[name]; len(all) == 0 || all[len(all)-1] != r.verdict {
		h.seen[name] = append(all, r.verdict)
	}
}

// End stops watching. What was seen no longer changes.
func (h *History) End() {
	h.stop()
	h.done.Wait()
}

// Seen is what kstatus said of an object in turn, over all objects that had its name.
func (h *History) Seen(kind, name string) []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var texts []string
	for _, s := range h.seen[kind+"/"+name] {
		texts = append(texts, s.String())
	}
	return texts
}

// Err says what broke the convention; nil when nothing did.
func (h *History) Err() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	var all []error
	for _, text := range h.wrong {
		all = append(all, errors.New(text))
	}
	return errors.Join(all...)
}

// Line sums it up.
func (h *History) Line() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	revisions, objects := 0, 0
	for _, n := range h.count {
		revisions += n
	}
	for _, n := range h.objects {
		objects += n
	}
	var counts strings.Builder
	for _, s := range status.Statuses {
		if s != status.UnknownStatus || h.count[s] > 0 {
			fmt.Fprintf(&counts, " %s=%d", s, h.count[s])
		}
	}
	return fmt.Sprintf("kstatus: kinds=%d objects=%d revisions=%d%s violations=%d", len(h.objects), objects, revisions, counts.String(), len(h.wrong))
}
