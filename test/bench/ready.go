package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/rest"
	clientcache "k8s.io/client-go/tools/cache"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
)

// readiness follows all tenants by one watch.
type readiness struct {
	want int
	all  chan struct{}

	mu    sync.Mutex
	ready map[string]bool
	last  string // conditions of a tenant that was not Ready when it was seen last
}

// watchReady begins to follow. It returns once the tenants that exist are known.
func watchReady(ctx context.Context, config *rest.Config, want int) (*readiness, error) {
	tenants, err := tenantClient(config)
	if err != nil {
		return nil, err
	}
	r := &readiness{want: want, all: make(chan struct{}), ready: map[string]bool{}}
	_, informer := clientcache.NewInformerWithOptions(clientcache.InformerOptions{
		ListerWatcher: clientcache.NewListWatchFromClient(tenants, "hipaatenants", metav1.NamespaceAll, fields.Everything()),
		ObjectType:    &v1alpha1.HIPAATenant{},
		Handler: clientcache.ResourceEventHandlerFuncs{
			AddFunc:    r.see,
			UpdateFunc: func(_, obj any) { r.see(obj) },
		},
	})
	go informer.RunWithContext(ctx)
	if !clientcache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
		return nil, fmt.Errorf("listing tenants: %w", context.Cause(ctx))
	}
	return r, nil
}

func (r *readiness) see(obj any) {
	t, ok := obj.(*v1alpha1.HIPAATenant)
	if !ok || !strings.HasPrefix(t.Name, tenantPrefix) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !isReady(t) {
		delete(r.ready, t.Name)
		r.last = fmt.Sprintf("%s: %+v", t.Name, t.Status.Conditions)
		return
	}
	if !r.ready[t.Name] {
		r.ready[t.Name] = true
		if len(r.ready) == r.want {
			close(r.all)
		}
	}
}

func isReady(t *v1alpha1.HIPAATenant) bool {
	return t.Status.ObservedGeneration == t.Generation && meta.IsStatusConditionTrue(t.Status.Conditions, v1alpha1.ConditionReady)
}

// await waits until all are Ready, and tells every five seconds how many are.
func (r *readiness) await(ctx context.Context, tell func(format string, args ...any)) error {
	tick := time.NewTicker(5 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-r.all:
			return nil
		case <-tick.C:
			r.mu.Lock()
			tell("ready: %d of %d", len(r.ready), r.want)
			r.mu.Unlock()
		case <-ctx.Done():
			r.mu.Lock()
			defer r.mu.Unlock()
			return fmt.Errorf("%d of %d tenants are Ready: %w; one that is not: %s", len(r.ready), r.want, ctx.Err(), r.last)
		}
	}
}
