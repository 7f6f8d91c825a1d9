package controllers

import (
	"context"
	"errors"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/cache"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/extension"
)

// Extensions follows the optional APIs: which of them the cluster serves, and, of those alone, what stands of the operator's
// objects. A cluster without any costs one watch for each kind, of a CustomResourceDefinition that is not there, however
// many tenants it has.
type Extensions struct {
	api   dynamic.Interface
	state *ClusterState

	mu    sync.Mutex
	kinds map[extension.Kind]*followed
	told  map[string]extension.API // what was last published; nil before every definition was seen
	wakes func(context.Context) cache.ResourceEventHandler
}

// followed is one optional API.
type followed struct {
	definition cache.SharedIndexInformer
	seen       cache.ResourceEventHandlerRegistration // of definition; synced when the verdict is in
	api        extension.API
	objects    cache.SharedIndexInformer // nil while it is not served
	stop       context.CancelFunc        // of objects
	waited     bool                      // long enough for objects to be listed
}

// verdict is what is told of the API. While its objects are being listed that is what was told before.
func (f *followed) verdict(before extension.API) extension.API {
	switch {
	case f.api.State != extension.Served, f.objects != nil && f.objects.HasSynced():
		return f.api
	case f.objects != nil && !f.waited:
		return before
	}
	return extension.API{State: extension.Unusable, Why: "its objects could not be listed; the ClusterRole has to allow list and watch"}
}

// NewExtensions follows nothing until it is started.
func NewExtensions(api dynamic.Interface, state *ClusterState) (*Extensions, error) {
	e := &Extensions{api: api, state: state, kinds: map[extension.Kind]*followed{}}
	var errs []error
	for _, k := range extension.Kinds() {
		definition, err := watchDefinition(api, k)
		e.kinds[k] = &followed{definition: definition}
		errs = append(errs, err)
	}
	return e, errors.Join(errs...)
}

// start begins to follow every kind. What happens to the operator's objects is told to the handler that wakes makes.
func (e *Extensions) start(ctx context.Context, wakes func(context.Context) cache.ResourceEventHandler) error {
	e.wakes = wakes
	var errs []error
	for k, f := range e.kinds {
		look := func(any) { e.look(ctx, k) }
		seen, err := f.definition.AddEventHandler(cache.ResourceEventHandlerFuncs{
			AddFunc: look, UpdateFunc: func(any, any) { look(nil) }, DeleteFunc: look,
		})
		f.seen = seen
		errs = append(errs, err)
		go f.definition.RunWithContext(ctx)
	}
	return errors.Join(errs...)
}

// patience is how long a start waits for the objects of a kind to be listed. One that cannot be read, such as where the
// ClusterRole is older than the operator, must not keep tenants waiting.
const patience = 10 * time.Second

// waitForSync waits until it is known of every kind whether it is served.
func (e *Extensions) waitForSync(ctx context.Context) error {
	var seen []cache.InformerSynced
	for _, f := range e.kinds {
		seen = append(seen, f.seen.HasSynced)
	}
	if !cache.WaitForCacheSync(ctx.Done(), seen...) {
		return errors.New("CustomResourceDefinitions could not be listed: expected list and watch of the optional kinds to be allowed by the ClusterRole")
	}
	cache.WaitForCacheSync(ctx.Done(), func() bool {
		e.mu.Lock()
		defer e.mu.Unlock()
		for _, f := range e.kinds {
			if f.objects != nil && !f.waited && !f.objects.HasSynced() {
				return false
			}
		}
		e.told = map[string]extension.API{}
		return true
	})
	e.publish()
	return nil
}

// look judges a definition anew, and begins or ends the watch of the kind's objects.
func (e *Extensions) look(ctx context.Context, k extension.Kind) {
	e.mu.Lock()
	f := e.kinds[k]
	f.api = extension.Judge(k, nil)
	if held, exists, err := f.definition.GetStore().GetByKey(k.CRD()); err == nil && exists {
		f.api = held.(*located[extension.API]).fact
	}
	switch serves := f.api.State == extension.Served; {
	case serves && f.objects == nil:
		e.follow(ctx, k, f)
	case !serves && f.objects != nil:
		f.stop()
		f.objects, f.stop = nil, nil
	}
	e.mu.Unlock()
	e.publish()
}

// follow watches the objects of a kind until it is told to stop.
func (e *Extensions) follow(ctx context.Context, k extension.Kind, f *followed) {
	inner, stop := context.WithCancel(ctx)
	objects, err := watchExtension(e.api, k)
	if err == nil {
		_, err = objects.AddEventHandler(e.wakes(inner))
	}
	if err != nil {
		stop()
		ctrl.LoggerFrom(ctx).Error(err, "watching objects of an optional API; it counts as not served", "kind", k.String())
		return
	}
	f.objects, f.stop, f.waited = objects, stop, false
	go objects.RunWithContext(inner)
	go func() { // nothing is written before it is known what stands
		brief, cancel := context.WithTimeout(inner, patience)
		defer cancel()
		cache.WaitForCacheSync(brief.Done(), objects.HasSynced)
		e.mu.Lock()
		f.waited = true
		e.mu.Unlock()
		e.publish()
		if cache.WaitForCacheSync(inner.Done(), objects.HasSynced) {
			e.publish()
		}
	}()
}

// publish tells the state of the cluster which kinds are served, once that is known of all.
func (e *Extensions) publish() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.told == nil {
		return
	}
	apis := make(map[string]extension.API, len(e.kinds))
	for k, f := range e.kinds {
		before, known := e.told[k.String()]
		if !known {
			before = extension.API{State: extension.Absent}
		}
		if f.api.State == "" {
			f.api = extension.API{State: extension.Absent}
		}
		apis[k.String()] = f.verdict(before)
		if after := apis[k.String()]; known && after.State != before.State {
			ctrl.Log.WithName("extensions").Info("optional API changed", "kind", k.String(), "state", after.State, "why", after.Why)
		}
	}
	e.told = apis
	e.state.setExtensions(apis)
}

// standing is what the cache holds of an object; nil when it holds none.
func (e *Extensions) standing(k extension.Kind, key string) *metav1.PartialObjectMetadata {
	e.mu.Lock()
	objects := e.kinds[k].objects
	e.mu.Unlock()
	if objects == nil {
		return nil
	}
	held, exists, err := objects.GetStore().GetByKey(key)
	if err != nil || !exists {
		return nil
	}
	m, _ := held.(*metav1.PartialObjectMetadata)
	return m
}
