package attack

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

// ours labels everything an attempt makes with the attempt's name.
const ours = "attempt"

// trial is one attempt: one attack by one actor in one way.
type trial struct {
	w      *world
	attack Attack
	actor  actor
	way    way
	name   string

	harm          map[string]any // the merge patch of an attack on something that stands
	before, after *unstructured.Unstructured
	began         time.Time
	took          time.Duration // until a repair
	err           error
}

// run makes the attempt and judges it.
func (t *trial) run(ctx context.Context) (verdict, error) {
	defer t.cleanUp()
	if err := t.prepare(ctx); err != nil {
		return leaked, fmt.Errorf("preparing: %w", err)
	}
	answer, tried, err := t.attempt(ctx)
	if err != nil || !tried {
		return inapplicable, err
	}
	if t.after, err = t.look(ctx); err != nil {
		return leaked, err
	}
	// A dry run that is let through changes nothing: the answer says what would have.
	if changed := t.difference(); isDry(t) && t.err == nil && changed == "" {
		t.after = answer
	}
	return decide(ctx, t)
}

func isDry(t *trial) bool { return t.request().query.Get("dryRun") != "" }

func (t *trial) prepare(ctx context.Context) error {
	for _, text := range t.attack.Given {
		o, err := t.w.api.place(text, t.name)
		if err != nil {
			return err
		}
		label(o, t.name)
		if err := t.make(ctx, o); err != nil {
			return err
		}
	}
	if t.way.given == nil {
		return nil
	}
	if err := t.make(ctx, t.way.given); err != nil || !t.attack.Doomed {
		return err
	}
	return t.w.admin.Delete(ctx, t.way.given.DeepCopy())
}

// make creates an object, again when many at once count on the same quota.
func (t *trial) make(ctx context.Context, o *unstructured.Unstructured) error {
	return retry.OnError(wait.Backoff{Steps: 20, Duration: 20 * time.Millisecond, Factor: 1.2, Jitter: 0.5}, apierrors.IsConflict,
		func() error { return t.w.admin.Create(ctx, o.DeepCopy()) })
}

// attempt sends the request, again when a controller wrote in between, or when the API server had no time to judge it: some
// requests are made to cost as much as an expression may.
func (t *trial) attempt(ctx context.Context) (answer *unstructured.Unstructured, tried bool, err error) {
	for range 20 {
		if t.before, err = t.look(ctx); err != nil {
			return nil, false, err
		}
		r := t.request()
		if r.path == "" {
			return nil, false, nil
		}
		t.began = time.Now()
		answer, t.err = send(ctx, t.w.clients[t.actor], r)
		if !apierrors.IsConflict(t.err) && !apierrors.IsTimeout(t.err) {
			return answer, true, nil
		}
	}
	return nil, false, fmt.Errorf("no answer to twenty requests: %w", t.err)
}

func (t *trial) request() request {
	live := t.before
	if live == nil {
		live = &unstructured.Unstructured{Object: map[string]any{}}
	}
	return t.way.build(live)
}

// look reads the target as the cluster's administrator; nil when it is not there.
func (t *trial) look(ctx context.Context) (*unstructured.Unstructured, error) {
	target := t.way.target
	if target == nil {
		return nil, nil
	}
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(target.GroupVersionKind())
	if target.GetLabels()[ours] != "" { // also finds what has a generated name
		err := t.w.admin.List(ctx, list, client.InNamespace(target.GetNamespace()), client.MatchingLabels{ours: t.name})
		if err != nil || len(list.Items) == 0 {
			return nil, err
		}
		return &list.Items[0], nil
	}
	found := &unstructured.Unstructured{}
	found.SetGroupVersionKind(target.GroupVersionKind())
	if err := t.w.admin.Get(ctx, client.ObjectKeyFromObject(target), found); err != nil {
		return nil, client.IgnoreNotFound(err)
	}
	return found, nil
}

func (t *trial) awaitRepair(ctx context.Context, r refusal) (verdict, error) {
	within, cancel := context.WithDeadline(ctx, t.began.Add(r.within))
	defer cancel()
	err := wait.PollUntilContextCancel(within, 10*time.Millisecond, true, func(context.Context) (bool, error) {
		var err error
		t.after, err = t.look(ctx)
		return t.after != nil && t.difference() == "", err
	})
	if err != nil {
		return leaked, fmt.Errorf("not repaired within %s: %s", r.within, t.difference())
	}
	t.took = time.Since(t.began)
	// The same event again is counted in the first one, and not written again for minutes.
	err = wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, 10*time.Second, true, func(context.Context) (bool, error) {
		return t.w.events.tells(r.parts[0], t.way.target.GetKind()+" "+t.way.target.GetName()), nil
	})
	if err != nil {
		return leaked, fmt.Errorf("repaired, but no event %s tells of it", r.parts[0])
	}
	return repairedLater, nil
}

// cleanUp removes what the attempt made. What the policies keep from removal was never made.
func (t *trial) cleanUp() {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	for _, text := range t.attack.Given {
		if o, err := t.w.api.place(text, t.name); err == nil {
			t.remove(ctx, o)
		}
	}
	if target := t.way.target; target != nil && target.GetLabels()[ours] != "" {
		if found, err := t.look(ctx); err == nil && found != nil {
			t.remove(ctx, found)
		}
	}
}

// remove deletes as best it can: the next attempt has another name.
func (t *trial) remove(ctx context.Context, o *unstructured.Unstructured) {
	if len(o.GetFinalizers()) > 0 {
		_ = t.w.admin.Patch(ctx, o.DeepCopy(), client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"finalizers":null}}`)))
	}
	_ = t.w.admin.Delete(ctx, o, client.PropagationPolicy("Background"))
}

func label(o *unstructured.Unstructured, name string) {
	labels := o.GetLabels()
	if labels == nil {
		labels = map[string]string{}
	}
	labels[ours] = name
	o.SetLabels(labels)
}

func fromYAML(text string) map[string]any {
	out := map[string]any{}
	if err := yaml.Unmarshal([]byte(text), &out); err != nil {
		panic(errors.Join(err, errors.New(text))) // a mistake in a row
	}
	return out
}
