package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hipaatenant/hipaa-tenant-operator/test/traffic"
)

// besieged does something while requests that must be refused, and such that must not be, are made in tenants all the while. What
// passes of the one, or is refused of the other, is a failure; so is a refusal that does not come of the policy in charge, and a
// request that was never answered as it has to be.
func (w *world) besieged(ctx context.Context, tenants []string, do func(context.Context) error) (string, error) {
	for _, name := range tenants {
		counter := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: name, Name: traffic.Counter}}
		if err := w.admin.Create(ctx, counter); err != nil && !apierrors.IsAlreadyExists(err) {
			return "", err
		}
	}
	forbidden, lawful := traffic.New(w.admin, traffic.Forbidden, tenants...), traffic.New(w.admin, traffic.Lawful, tenants...)
	busy, stop := context.WithCancel(ctx)
	var ended sync.WaitGroup
	ended.Go(func() { forbidden.Run(busy) })
	ended.Go(func() { lawful.Run(busy) })
	err := do(ctx)
	stop()
	ended.Wait()
	f, l := forbidden.Take(), lawful.Take()
	for _, note := range append(f.Notes, l.Notes...) {
		fmt.Println("not as meant:", note)
	}
	figures := fmt.Sprintf("forbidden=%d passed=%d lawful=%d refused=%d unclear=%d refused_elsewhere=%d longest_between_refusals=%.1fs",
		f.Tried, f.Amiss, l.Tried, l.Amiss, f.Unclear+l.Unclear, f.Elsewhere, f.Gap.Seconds())
	for what, problem := range map[string]error{"forbidden": f.Problem(), "lawful": l.Problem()} {
		if problem != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", what, problem))
		}
	}
	return figures, err
}

// linger lets the siege go on a while after all seems well.
const linger = 10 * time.Second
