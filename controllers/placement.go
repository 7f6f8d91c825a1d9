package controllers

import (
	"context"
	"errors"
	"reflect"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/compile"
)

var (
	misplacedPods = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "hipaatenant_misplaced_pods",
		Help: "Pods that run outside the regions of their tenant. A tenant without any has no series.",
	}, []string{"tenant"})
	channelPods = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "hipaatenant_disabled_channel_pods",
		Help: "Pods that serve a channel that is disabled for their tenant. A tenant without any has no series.",
	}, []string{"tenant"})
	stalePods = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "hipaatenant_stale_config_pods",
		Help: "Pods that run with another config than their namespace has. A tenant without any has no series.",
	}, []string{"tenant"})
	uninjectedPods = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "hipaatenant_uninjected_pods",
		Help: "Pods that asked not to be given the config, of which nobody knows whether they read it. A tenant without any has no series.",
	}, []string{"tenant"})
	disputedNodes = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "hipaatenant_disputed_nodes",
		Help: "Nodes whose region label contradicts their spec.providerID.",
	})
)

func init() {
	serve(misplacedPods, channelPods, stalePods, uninjectedPods, disputedNodes)
}

// Placement knows where pods and volumes are, which channels pods serve and which config they were given, and wakes a
// tenant when one of its own turns up outside its regions, serves a disabled channel or has another config, or may have
// ended doing so. Everything else that happens to pods wakes nobody.
//
// Nothing is missed, because of the order of steps: a pod is in the index before its event is looked at; the regions of
// a tenant are noted before its pods are listed; nodes are noted before the pods on them are listed. Whichever of two
// happens last finds the other.
type Placement struct {
	state      *ClusterState
	namespaces client.Reader
	pods       cache.SharedIndexInformer
	volumes    cache.SharedIndexInformer

	mu    sync.Mutex
	known map[string]*placed // by tenant
	queue queue
}

// placed is how a tenant was last judged.
type placed struct {
	regions []string
	// channels no pod may serve.
	channels []string
	// config is the hash of the config that pods should have, by namespace.
	config map[string]string
	// unsure: pods of it are reported as misplaced, so that the end of any pod may be news, or a plan is being made from pods
	// that were listed before.
	unsure bool
}

// NewPlacement returns the watches of pods and volumes; they run once the tenants' controller starts.
func NewPlacement(api kubernetes.Interface, namespaces client.Reader, state *ClusterState) (*Placement, error) {
	pods, podErr := watchPods(api)
	volumes, volumeErr := watchVolumes(api)
	return &Placement{
		state: state, namespaces: namespaces, pods: pods, volumes: volumes, known: map[string]*placed{},
	}, errors.Join(podErr, volumeErr)
}

// Start begins to watch and to wake tenants through a queue; it is how the tenants' controller starts its sources.
func (p *Placement) Start(ctx context.Context, q queue) error {
	p.mu.Lock()
	p.queue = q
	p.mu.Unlock()
	_, podErr := p.pods.AddEventHandler(handlers(ctx, p.podChanged))
	_, volumeErr := p.volumes.AddEventHandler(handlers(ctx, p.volumeChanged))
	go p.pods.RunWithContext(ctx)
	go p.volumes.RunWithContext(ctx)
	return errors.Join(podErr, volumeErr)
}

// WaitForSync waits until every pod and volume is known, so that no tenant is judged by a part of them.
func (p *Placement) WaitForSync(ctx context.Context) error {
	if !cache.WaitForCacheSync(ctx.Done(), p.pods.HasSynced, p.volumes.HasSynced) {
		return errors.New("pods and volumes could not be listed: expected list and watch to be allowed by the ClusterRole")
	}
	return nil
}

// handlers tells changes of located objects. Those listed at the start are no change: every tenant is looked at then.
func handlers[T any](ctx context.Context, changed func(ctx context.Context, before, after *T)) cache.ResourceEventHandler {
	fact := func(obj any) *T {
		if gone, ok := obj.(cache.DeletedFinalStateUnknown); ok {
			obj = gone.Obj
		}
		if l, ok := obj.(*located[T]); ok {
			return &l.fact
		}
		return nil
	}
	return cache.ResourceEventHandlerDetailedFuncs{
		AddFunc: func(obj any, listed bool) {
			if !listed {
				changed(ctx, nil, fact(obj))
			}
		},
		UpdateFunc: func(before, after any) { changed(ctx, fact(before), fact(after)) },
		DeleteFunc: func(obj any) { changed(ctx, fact(obj), nil) },
	}
}

// volumeChanged wakes the tenant of a volume that came, went, or lies elsewhere than it did.
func (p *Placement) volumeChanged(ctx context.Context, before, after *compile.Volume) {
	if before != nil && after != nil && reflect.DeepEqual(before, after) {
		return
	}
	for _, volume := range []*compile.Volume{before, after} {
		if volume == nil || volume.Namespace == "" {
			continue
		}
		if tenant := p.tenantOf(ctx, volume.Namespace); tenant != "" {
			p.wake(tenant, wakeDelay)
		}
	}
}

// nodesMoved wakes the tenants with pods on nodes that are elsewhere than they were.
func (p *Placement) nodesMoved(ctx context.Context, names []string) error {
	namespaces := map[string]bool{}
	for _, name := range names {
		pods, err := factsIn[compile.Pod](p.pods, byNode, name)
		if err != nil {
			return err
		}
		for _, pod := range pods {
			namespaces[pod.Namespace] = true
		}
	}
	for namespace := range namespaces {
		if tenant := p.tenantOf(ctx, namespace); tenant != "" {
			p.wake(tenant, wakeDelay)
		}
	}
	return nil
}

// tenantOf is the tenant a namespace belongs to; empty when it is none's. The cache holds tenants' namespaces only.
func (p *Placement) tenantOf(ctx context.Context, namespace string) string {
	ns := &corev1.Namespace{}
	if err := p.namespaces.Get(ctx, client.ObjectKey{Name: namespace}, ns); err != nil {
		if client.IgnoreNotFound(err) != nil {
			ctrl.LoggerFrom(ctx).Error(err, "reading a namespace from the cache; its tenant is looked at with the next change", "namespace", namespace)
		}
		return ""
	}
	return ns.Labels[v1alpha1.LabelTenant]
}

// read lists the pods and volumes of a tenant's namespaces, and notes by which regions they are about to be judged.
func (p *Placement) read(tenant string, regions []string, namespaces map[string]compile.Namespace) (pods []compile.Pod, volumes []compile.Volume, err error) {
	p.mu.Lock()
	next := &placed{regions: regions, unsure: true}
	if last, known := p.known[tenant]; known {
		next.channels, next.config = last.channels, last.config
	}
	p.known[tenant] = next
	p.mu.Unlock()
	for name, n := range namespaces {
		if n.Tenant() != "" && n.Tenant() != tenant {
			continue
		}
		inside, podErr := factsIn[compile.Pod](p.pods, byNamespace, name)
		claimed, volumeErr := factsIn[compile.Volume](p.volumes, byNamespace, name)
		if err := errors.Join(podErr, volumeErr); err != nil {
			return nil, nil, err
		}
		pods, volumes = append(pods, inside...), append(volumes, claimed...)
	}
	return pods, volumes, nil
}
