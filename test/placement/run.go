package placement

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	pt "github.com/hipaatenant/hipaa-tenant-operator/test/policytest"
)

// plan is what tenants will do: first, then when that is done, and after some of them lost regions.
type plan struct{ first, then, shrunk []step }

// gatedBefore pods were steered by regions that the tenant has lost when their gate is lifted.
var gatedBefore = gate{class: class{"gated-before-shrinking", perhaps, lawful[0].shape}, lift: lawful[0].shape}

func (w *world) plan(d draw) plan {
	var p plan
	var fillers []step
	for i, t := range w.tenants {
		p.first = append(p.first, barePods(d, t, i*perTenant, perTenant)...)
		p.first = append(p.first, controlled(d, t)...)
		p.first = append(p.first, ownerless(t, "nobody", 4)...)
		p.first = append(p.first, pinnedPods(d, t, 2)...)
		if i%6 == 0 {
			p.first = append(p.first, daemonSet(t))
		}
		create, resize := resized(d, t)
		p.first, p.then = append(p.first, create), append(p.then, resize)
		for n := range 4 {
			create, lift := gatedPod(d, t, fmt.Sprintf("gated-%d", n), gates[(4*i+n)%len(gates)])
			p.first, p.then = append(p.first, create), append(p.then, lift)
		}
		if i < shrinking {
			p.shrinks(d, t)
			continue
		}
		p.first = append(p.first, pod(d, t, "unbalanced", unbalanced))
		fillers = append(fillers, competing(t, "filler", ""))
		if i%2 == 0 {
			p.then = append(p.then, competing(t, "urgent", urgent))
		}
	}
	for _, steps := range [][]step{p.first, p.then, p.shrunk} {
		d.Shuffle(len(steps), func(i, j int) { steps[i], steps[j] = steps[j], steps[i] })
	}
	p.first = append(fillers, p.first...) // early, or there is nobody to drive away
	return p
}

// shrinks plans what a tenant does after it has lost all regions but its first.
func (p *plan) shrinks(d draw, t tenant) {
	for n := range 6 {
		create, lift := gatedPod(d, t, fmt.Sprintf("gated-before-%d", n), gatedBefore)
		p.first, p.shrunk = append(p.first, create), append(p.shrunk, lift)
	}
	after := living(t.home[0])
	after.namespace = t.namespace
	p.shrunk = append(p.shrunk, barePods(d, after, 10000, 30)...)
	p.shrunk = append(p.shrunk, ownerless(after, "nobody-after", 4)...)
	p.shrunk = append(p.shrunk, deployment(d, after, "deployment-after", pick(d, lawful)))
}

func pod(d draw, t tenant, name string, c class) step {
	pod := shaped(d, t, name, c)
	return func(ctx context.Context, w *world) error {
		_, err := w.make(ctx, "created", pod)
		return err
	}
}

// run lets everything happen. It returns how many nodes went while pods were placed.
func (w *world) run(ctx context.Context, d draw) (gone int, err error) {
	plan, turmoil := w.plan(d), newDraw(d.Int64())
	churning, calm := context.WithCancel(ctx)
	defer calm()
	churned := make(chan error, 1)
	go func() {
		var err error
		gone, err = w.churn(churning, turmoil)
		churned <- err
	}()
	err = w.stage(ctx, plan.first, plan.then)
	calm()
	if churnErr := <-churned; err == nil {
		err = churnErr
	}
	if err != nil {
		return gone, err
	}
	for _, t := range w.tenants[:shrinking] {
		if err := w.shrink(ctx, t); err != nil {
			return gone, err
		}
	}
	if err := w.stage(ctx, plan.shrunk); err != nil {
		return gone, err
	}
	return gone, w.whole(ctx)
}

// stage takes lists of steps, one after the other, with the hostile scheduler beside them, until all pods are in place.
func (w *world) stage(ctx context.Context, lists ...[]step) error {
	w.hostile.hunt(ctx)
	defer w.hostile.rest()
	for _, steps := range lists {
		if err := w.parallel(ctx, workers, steps); err != nil {
			return err
		}
	}
	return w.settle(ctx)
}

// shrink deletes some of the tenant's pods and takes all its regions but the first, and waits until bindings are judged
// by that. Pods that could be bound have been: no binding is under way that was judged by the regions before.
func (w *world) shrink(ctx context.Context, t tenant) error {
	some := metav1.ListOptions{LabelSelector: labelMade + "=applied"}
	if err := w.developer.CoreV1().Pods(t.namespace).DeleteCollection(ctx, metav1.DeleteOptions{}, some); err != nil {
		return err
	}
	probe := podOf(t, "probe", "probe", corev1.PodSpec{SchedulerName: "nobody"})
	if _, err := w.make(ctx, "created", probe); err != nil {
		return err
	}
	if err := w.env.SetFacts(ctx, t.namespace, map[string]string{v1alpha1.AnnotationRegions: t.home[0]}); err != nil {
		return err
	}
	return pt.Await(ctx, "fewer regions of "+t.namespace, func(ctx context.Context) error {
		err := w.developer.CoreV1().Pods(t.namespace).Bind(ctx, &corev1.Binding{
			ObjectMeta: metav1.ObjectMeta{Name: probe.Name},
			Target:     corev1.ObjectReference{Kind: "Node", Name: hostOf(t.home[1], 1)},
		}, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		return pt.Refused("placement-bind", strings.Join([]string{"is not one of", t.home[0], "allowed"}, " ")).Check(err)
	})
}
