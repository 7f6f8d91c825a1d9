package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
)

const (
	// guard is the policy, and its binding, that protects what the operator manages.
	guard = "hipaatenant-tenancy"
	// repairLimit is how long something managed may be gone.
	repairLimit = 5 * time.Second
)

// tearDown removes the guard first. The operator puts it back within milliseconds, and the API server looks at its
// policies once a second: only who removes the guard over and over gets something past it.
func tearDown(ctx context.Context, d *demo) {
	deleteManaged(ctx, d)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	policy, binding := &absence{}, &absence{}
	if err := d.observe(ctx, policy, binding); err != nil {
		d.check("the policy and its guard can be watched", err)
		return
	}
	d.run(ctx, `kubectl delete validatingadmissionpolicybinding `+guard).shows("an administrator can remove the guard", "deleted")
	d.await(ctx, "the operator puts the guard back", binding.over)
	d.screen.note("it was gone for %s, and the API server looks at its policies once a second; now it is removed again and again", short(binding.last()))
	d.forceDeletion(ctx)
	d.await(ctx, "the policy is back", policy.over)
	d.await(ctx, "the guard is back", binding.over)
	d.check(fmt.Sprintf("the policy was gone for %s, the guard for %s", short(policy.last()), short(binding.last())),
		errors.Join(policy.within(repairLimit), binding.within(repairLimit)))
	d.run(ctx, `kubectl get networkpolicy hipaa-default-deny -n acme-health-app`).shows("the policy stands", "hipaa-default-deny")
	d.run(ctx, `kubectl get validatingadmissionpolicybinding `+guard).shows("the guard stands", guard)
	d.await(ctx, "the API server has noticed the guard", d.enforced)
	deleteManaged(ctx, d)
	d.run(ctx, `kubectl wait --for=condition=Ready ht --all --timeout=60s`).shows("the tenants are Ready", "acme-health condition met")
	d.run(ctx, `kubectl get events.events.k8s.io -n default --field-selector reason=DriftRepaired -o custom-columns='REASON:.reason,TENANT:.regarding.name,NOTE:.note'`).
		shows("the repair is told in an event", "acme-health", "hipaa-default-deny")
}

// forceDeletion repeats a deletion while another client of the administrator keeps removing the guard, until the deletion
// gets through.
func (d *demo) forceDeletion(ctx context.Context) {
	const line = `kubectl delete networkpolicy hipaa-default-deny -n acme-health-app`
	attack, end := context.WithCancel(ctx)
	removed := make(chan int)
	go func() { removed <- d.removeGuard(attack) }()
	var a answer
	attempts := 0
	took, err := poll(ctx, func(ctx context.Context) error {
		attempts++
		a = d.ask(ctx, line)
		return a.err
	})
	end()
	d.screen.command(line)
	d.screen.answer(a.text)
	d.check(fmt.Sprintf("the deletion gets through, at attempt %d, after %s, with the guard removed %d times", attempts, short(took), <-removed), err)
}

// removeGuard deletes the guard as often as the API server can, and counts.
func (d *demo) removeGuard(ctx context.Context) (count int) {
	bindings := d.api.AdmissionregistrationV1().ValidatingAdmissionPolicyBindings()
	for ctx.Err() == nil {
		if bindings.Delete(ctx, guard, metav1.DeleteOptions{}) == nil {
			count++
		}
	}
	return count
}

// observe keeps track of when the two objects are gone, until the context ends.
func (d *demo) observe(ctx context.Context, policy, binding *absence) error {
	only := func(name string) metav1.ListOptions {
		return metav1.ListOptions{FieldSelector: "metadata.name=" + name}
	}
	policies, err := d.api.NetworkingV1().NetworkPolicies("acme-health-app").Watch(ctx, only("hipaa-default-deny"))
	if err != nil {
		return err
	}
	bindings, err := d.api.AdmissionregistrationV1().ValidatingAdmissionPolicyBindings().Watch(ctx, only(guard))
	if err != nil {
		policies.Stop()
		return err
	}
	go policy.follow(policies)
	go binding.follow(bindings)
	return nil
}

// absence is how long an object was gone the last time.
type absence struct {
	mu     sync.Mutex
	times  int
	since  time.Time // zero while the object stands
	lasted time.Duration
}

// follow ends with the watch.
func (a *absence) follow(w watch.Interface) {
	defer w.Stop()
	for e := range w.ResultChan() {
		a.see(e.Type, time.Now())
	}
}

func (a *absence) see(event watch.EventType, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case event == watch.Deleted:
		a.times, a.since = a.times+1, now
	case event == watch.Added && !a.since.IsZero():
		a.lasted, a.since = now.Sub(a.since), time.Time{}
	}
}

// over is no error once the object was gone and is back.
func (a *absence) over(context.Context) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.times == 0:
		return errors.New("expected the object to go first, found it standing all the time")
	case !a.since.IsZero():
		return fmt.Errorf("expected the object to be back, found it gone for %s", time.Since(a.since))
	}
	return nil
}

func (a *absence) last() time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.lasted
}

func (a *absence) within(limit time.Duration) error {
	if found := a.last(); found > limit {
		return fmt.Errorf("expected at most %s, found %s", limit, found)
	}
	return nil
}
