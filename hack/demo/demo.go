package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"k8s.io/client-go/kubernetes"

	"github.com/hipaatenant/hipaa-tenant-operator/test/cluster"
	"github.com/hipaatenant/hipaa-tenant-operator/test/operator"
)

// demo is one run of the demonstration.
type demo struct {
	screen   *terminal
	root     string // of the repository; commands run here
	binary   string // of the operator
	cluster  *cluster.Cluster
	api      kubernetes.Interface // the administrator's, for what no command shows
	operator *operator.Operator
	stopped  <-chan struct{} // closed when the user does not want to see more
	failures int
}

// step is one thing that is shown.
type step struct {
	title string
	show  func(context.Context, *demo)
	// basis is set where nothing that follows makes sense after a failure.
	basis bool
}

// result of one step.
type result struct {
	title    string
	failures int
	took     time.Duration
}

// prepare builds the operator and starts the control plane.
func prepare(ctx context.Context, screen *terminal) (*demo, error) {
	root, err := cluster.RepositoryRoot()
	if err != nil {
		return nil, err
	}
	d := &demo{screen: screen, root: root, stopped: ctx.Done()}
	screen.heading("Preparing")
	screen.note("the operator is built; that takes minutes the first time")
	if d.binary, err = operator.Build(ctx, filepath.Join(root, "bin")); err != nil {
		return nil, err
	}
	screen.note("a control plane is started for this demonstration alone")
	d.cluster, err = cluster.Start(ctx, cluster.Options{ControllerManager: true, Scheduler: true, Kwok: true, Log: screen.out})
	if err != nil {
		return nil, err
	}
	if d.api, err = kubernetes.NewForConfig(d.cluster.Config()); err != nil {
		return nil, errors.Join(err, d.stop())
	}
	return d, nil
}

// play shows one step after the other.
func (d *demo) play(ctx context.Context, all []step) []result {
	var results []result
	for i, s := range all {
		d.screen.heading(fmt.Sprintf("%d/%d %s", i+1, len(all), s.title))
		began, before := time.Now(), d.failures
		s.show(ctx, d)
		if ctx.Err() != nil {
			return results
		}
		r := result{s.title, d.failures - before, time.Since(began)}
		results = append(results, r)
		if s.basis && r.failures > 0 {
			d.screen.note("the steps that follow build on this one, so they are left out")
			break
		}
	}
	return results
}

// check prints whether something held. Once the user has stopped the demonstration nothing is judged any more.
func (d *demo) check(what string, err error) {
	select {
	case <-d.stopped:
		return
	default:
	}
	if err != nil {
		d.failures++
	}
	d.screen.verdict(what, err)
}

// summarize lists the steps, and returns an error unless all of them were shown and behaved.
func (d *demo) summarize(results []result, took time.Duration) error {
	d.screen.heading("Summary")
	passed := 0
	for _, r := range results {
		var err error
		if r.failures > 0 {
			err = fmt.Errorf("%d checks failed", r.failures)
		} else {
			passed++
		}
		d.screen.verdict(fmt.Sprintf("%5.1f s  %s", r.took.Seconds(), r.title), err)
	}
	of := len(steps())
	fmt.Fprintf(d.screen.out, "%d of %d steps passed in %.0f s\n", passed, of, took.Seconds())
	if passed == of {
		return nil
	}
	if len(results) < of && d.failures == 0 {
		return errors.New("stopped before the end")
	}
	d.cluster.KeepLogs()
	return fmt.Errorf("expected all steps to behave, found %d of %d; the logs are kept in %s", passed, of, d.cluster.Dir())
}

// stop ends all processes. The temporary directory goes with them, but for the logs when something failed.
func (d *demo) stop() error {
	var err error
	if d.operator != nil {
		err = d.operator.Stop(5 * time.Second)
	}
	return errors.Join(err, d.cluster.Stop())
}
