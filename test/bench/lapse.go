package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/kubernetes"
	clientcache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/test/fixture"
)

// lapse is what it took to close egress to an associate that every tenant uses.
type lapse struct {
	// Gone is how many seconds after the change of the associate a watch saw the last tenant's egress rule go.
	Gone float64 `json:"goneSeconds"`
	// Requests until the operator was quiet again.
	Requests requests `json:"requests"`
}

// openings counts the policies that open egress to associates, by one watch.
type openings struct {
	mu   sync.Mutex
	open map[string]bool
	left chan int // the number of those left, after each change; the newest one only
}

func (o *openings) note(obj any, stands bool) {
	if gone, ok := obj.(clientcache.DeletedFinalStateUnknown); ok {
		obj = gone.Obj
	}
	p, ok := obj.(*networkingv1.NetworkPolicy)
	if !ok || !strings.HasPrefix(p.Namespace, tenantPrefix) {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if delete(o.open, p.Namespace); stands && len(p.Spec.Egress) > 0 {
		o.open[p.Namespace] = true
	}
	select {
	case <-o.left:
	default:
	}
	o.left <- len(o.open)
}

// await waits until so many are open.
func (o *openings) await(ctx context.Context, want int) error {
	last := -1
	for last != want {
		select {
		case last = <-o.left:
		case <-ctx.Done():
			return fmt.Errorf("egress to the associate is open to %d tenants, want %d: %w", last, want, ctx.Err())
		}
	}
	return nil
}

func (s *stage) watchOpenings(ctx context.Context) (*openings, error) {
	clientset, err := kubernetes.NewForConfig(s.cluster.Config())
	if err != nil {
		return nil, err
	}
	o := &openings{open: map[string]bool{}, left: make(chan int, 1)}
	named := fields.OneTermEqualSelector("metadata.name", v1alpha1.PolicyAllowAssociates)
	_, informer := clientcache.NewInformerWithOptions(clientcache.InformerOptions{
		ListerWatcher: clientcache.NewListWatchFromClient(clientset.NetworkingV1().RESTClient(), "networkpolicies", metav1.NamespaceAll, named),
		ObjectType:    &networkingv1.NetworkPolicy{},
		Handler: clientcache.ResourceEventHandlerFuncs{
			AddFunc:    func(obj any) { o.note(obj, true) },
			UpdateFunc: func(_, obj any) { o.note(obj, true) },
			DeleteFunc: func(obj any) { o.note(obj, false) },
		},
	})
	go informer.RunWithContext(ctx)
	if !clientcache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
		return nil, fmt.Errorf("listing network policies: %w", context.Cause(ctx))
	}
	return o, nil
}

// lapse ends the agreement of the associate that every tenant uses, and renews it afterwards.
func (s *stage) lapse(ctx context.Context) (out lapse, err error) {
	patient, cancel := context.WithTimeout(ctx, patience(s.n))
	defer cancel()
	open, err := s.watchOpenings(patient)
	if err != nil {
		return out, err
	}
	if err := open.await(patient, s.n); err != nil {
		return out, err
	}
	if _, err := s.audit.next(); err != nil {
		return out, err
	}
	began := time.Now()
	if err := s.agreeUntil(patient, fixture.Executed); err != nil {
		return out, err
	}
	if err := open.await(patient, 0); err != nil {
		return out, err
	}
	out.Gone = time.Since(began).Seconds()
	if _, err := awaitQuiet(patient, s.op, s.n, settled); err != nil {
		return out, err
	}
	if out.Requests, err = s.audit.next(); err != nil {
		return out, err
	}
	if err := s.agreeUntil(patient, fixture.Expires); err != nil {
		return out, err
	}
	if err := open.await(patient, s.n); err != nil {
		return out, err
	}
	_, err = awaitQuiet(patient, s.op, s.n, settled)
	return out, err
}

// agreeUntil changes the last day of the associate's agreement. One that ends before it begins has another first day too.
func (s *stage) agreeUntil(ctx context.Context, day v1alpha1.Date) error {
	a := &v1alpha1.BusinessAssociate{}
	if err := s.admin.Get(ctx, client.ObjectKey{Name: associateName}, a); err != nil {
		return err
	}
	a.Spec.BAA.ExpiresOn, a.Spec.BAA.ExecutedOn = day, "2026-01-01"
	return s.admin.Update(ctx, a)
}
