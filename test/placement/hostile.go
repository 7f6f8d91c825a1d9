package placement

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	pt "github.com/hipaatenant/hipaa-tenant-operator/test/policytest"
)

// hostile is a scheduler that binds any pod to any node, as the tenant's developer and as kube-scheduler by turns.
type hostile struct {
	draw  draw
	users []kubernetes.Interface
	prey  chan prey
	done  sync.WaitGroup

	mu sync.Mutex
	// bound and refused count by trick; others were too late, or never had a chance.
	bound, refused, others map[string]int
	wrong                  []error
}

// prey is a pod to bind.
type prey struct {
	tenant tenant
	pod    string
	// abroad alone: where the pod wants to go.
	abroad   bool
	attempts int
}

// trick is a way to ask for a binding. Those that are not honest are refused wherever the node is.
type trick struct {
	name   string
	honest bool
	change func(*corev1.Binding, prey)
}

var tricks = []trick{
	{"plain", true, func(*corev1.Binding, prey) {}},
	{"plain, dry run", true, func(*corev1.Binding, prey) {}},
	{"region label sent along", false, func(b *corev1.Binding, p prey) { b.Labels = map[string]string{labelRegion: p.tenant.home[0]} }},
	{"target without kind", false, func(b *corev1.Binding, _ prey) { b.Target.Kind = "" }},
	{"target without kind, region label sent along", false, func(b *corev1.Binding, p prey) {
		b.Target.Kind, b.Labels = "", map[string]string{labelRegion: p.tenant.home[0]}
	}},
	{legacy, false, func(*corev1.Binding, prey) {}},
	{"node that is not there", false, func(b *corev1.Binding, _ prey) { b.Target.Name = "ghost" }},
}

const legacy = "legacy bindings"

func newHostile(developer, scheduler *rest.Config, d draw) (*hostile, error) {
	h := &hostile{
		draw: newDraw(d.Int64()), prey: make(chan prey, 1000),
		bound: map[string]int{}, refused: map[string]int{}, others: map[string]int{},
	}
	for _, config := range []*rest.Config{developer, scheduler} {
		client, err := kube(config)
		if err != nil {
			return nil, err
		}
		h.users = append(h.users, client)
	}
	return h, nil
}

// offer names a pod to bind. When there are too many already, it is let go.
func (h *hostile) offer(p prey) {
	select {
	case h.prey <- p:
	default:
	}
}

// hunt binds what is offered until rest is called.
func (h *hostile) hunt(ctx context.Context) {
	prey := h.prey
	for _, user := range h.users {
		h.done.Go(func() {
			for p := range prey {
				for range p.attempts {
					if h.attempt(ctx, user, p) {
						break
					}
				}
			}
		})
	}
}

// rest finishes what was offered, and stops.
func (h *hostile) rest() {
	close(h.prey)
	h.done.Wait()
	h.prey = make(chan prey, cap(h.prey))
}

// attempt says whether there is nothing left to try.
func (h *hostile) attempt(ctx context.Context, user kubernetes.Interface, p prey) bool {
	t, region, node := h.choose(p)
	binding := &corev1.Binding{
		ObjectMeta: metav1.ObjectMeta{Namespace: p.tenant.namespace, Name: p.pod},
		Target:     corev1.ObjectReference{Kind: "Node", Name: node},
	}
	t.change(binding, p)
	err := post(ctx, user, t, binding)
	h.mu.Lock()
	defer h.mu.Unlock()
	lawful := t.honest && slices.Contains(p.tenant.home, region)
	switch {
	case err == nil && !lawful:
		h.wrong = append(h.wrong, fmt.Errorf("%s: pod %s/%s of a tenant in %v was bound to %s", t.name, binding.Namespace, p.pod, p.tenant.home, node))
	case err == nil:
		h.bound[t.name]++
	case pt.Refused("placement-bind").Check(err) == nil && lawful:
		h.wrong = append(h.wrong, fmt.Errorf("%s: pod %s/%s of a tenant in %v may be bound to %s: %w", t.name, binding.Namespace, p.pod, p.tenant.home, node, err))
	case pt.Refused("placement-bind").Check(err) == nil:
		h.refused[t.name]++
	case apierrors.IsConflict(err) || apierrors.IsNotFound(err):
		h.others[t.name]++
		return true
	default:
		h.wrong = append(h.wrong, fmt.Errorf("%s: pod %s/%s: %w", t.name, binding.Namespace, p.pod, err))
	}
	return err == nil && t.name == tricks[0].name
}

func (h *hostile) choose(p prey) (t trick, region, node string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	region = pick(h.draw, append(slices.Clone(regions), nowhere))
	if p.abroad {
		region = pick(h.draw, p.tenant.foreign)
	}
	t = tricks[0]
	if h.draw.IntN(2) == 0 {
		t = pick(h.draw, tricks)
	}
	return t, region, hostOf(region, h.draw.IntN(nodesNowhere))
}

func post(ctx context.Context, user kubernetes.Interface, t trick, b *corev1.Binding) error {
	var options metav1.CreateOptions
	if t.name == "plain, dry run" {
		options.DryRun = []string{metav1.DryRunAll}
	}
	if t.name == legacy {
		return user.CoreV1().RESTClient().Post().Namespace(b.Namespace).Resource("bindings").Body(b).Do(ctx).Error()
	}
	return user.CoreV1().Pods(b.Namespace).Bind(ctx, b, options)
}

// count sums what became of the attempts.
func (h *hostile) count() (bound, refused, others int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	sum := func(m map[string]int) (n int) {
		for v := range maps.Values(m) {
			n += v
		}
		return n
	}
	return sum(h.bound), sum(h.refused), sum(h.others)
}
