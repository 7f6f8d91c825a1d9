package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hipaatenant/hipaa-tenant-operator/test/report"
	"github.com/hipaatenant/hipaa-tenant-operator/test/traffic"
)

// phase is one command of helm and what becomes of it.
type phase struct {
	name string
	helm []string
	// version of the operator that must run in the end; empty for none.
	version string
	// kill ends the operator that runs without a farewell.
	kill bool
	// tells is why the first tenant is not Ready in the end; empty when it has to be.
	tells string
	// then is done when the phase has ended.
	then func(context.Context) error
}

// figures of a phase.
type figures struct {
	forbidden, lawful traffic.Counts
	writes            writes
	ready             time.Duration
	notReady          int
	lost, changed     []string
	mailbox           string
}

// stay is how long a phase goes on when the operator is gone: nothing is to be waited for.
const stay = 10 * time.Second

// story is the life of a release.
func (w *world) story(ctx context.Context) error {
	if err := w.begin(ctx); err != nil {
		return err
	}
	busy, stop := context.WithCancel(ctx)
	w.ended.Go(func() { w.forbidden.Run(busy) })
	w.ended.Go(func() { w.lawful.Run(busy) })
	defer stop()
	inNamespace := []string{"-n", namespace}
	in := func(verb, chart string) []string {
		return append([]string{verb, "hipaa", chart}, inNamespace...)
	}
	var problems error
	for _, p := range []phase{
		{name: "upgrade", helm: in("upgrade", w.present.chart), version: w.present.version, then: w.useWhatIsNew},
		{name: "rollback", helm: in("rollback", "1"), version: w.last.version, kill: true, tells: accessTooWide, then: w.outlive},
		{name: "upgrade-again", helm: in("upgrade", w.present.chart), version: w.present.version, kill: true, then: w.closeWhatWasLeft},
		{name: "uninstall", helm: append([]string{"uninstall", "hipaa"}, inNamespace...)},
		{name: "install-again", helm: in("install", w.present.chart), version: w.present.version},
	} {
		f, err := w.phase(ctx, p)
		if err != nil {
			return errors.Join(problems, fmt.Errorf("%s: %w", p.name, err))
		}
		problems = errors.Join(problems, w.tell(p, f))
		if p.then == nil {
			continue
		}
		if err := p.then(ctx); err != nil {
			return errors.Join(problems, fmt.Errorf("after %s: %w", p.name, err))
		}
	}
	return problems
}

// begin installs the previous version and has tenants with data on it.
func (w *world) begin(ctx context.Context) error {
	if err := w.runHelm(ctx, "install", "hipaa", w.last.chart, "-n", namespace); err != nil {
		return err
	}
	began := time.Now()
	if err := w.populate(ctx); err != nil {
		return err
	}
	f := figures{}
	if err := w.await(ctx, phase{version: w.last.version}, state{began: began}, &f); err != nil {
		return fmt.Errorf("install of %s: %w", w.last.version, err)
	}
	for _, name := range w.tenants {
		if err := w.create(ctx, ownData(name)...); err != nil {
			return err
		}
	}
	fmt.Printf("version %s: %d tenants Ready after %.1fs, and hold data\n\n", w.last.version, len(w.tenants), f.ready.Seconds())
	return nil
}

// phase runs one command of helm, and watches until all is well again.
func (w *world) phase(ctx context.Context, p phase) (figures, error) {
	before, err := w.possessions(ctx)
	if err != nil {
		return figures{}, err
	}
	if _, err := w.audit.take(); err != nil {
		return figures{}, err
	}
	w.forbidden.Take()
	w.lawful.Take()
	s := state{}
	if s.leader, err = leader(ctx, w.api); err != nil {
		return figures{}, err
	}
	if p.kill {
		w.replica.killNext()
	}
	s.began = time.Now()
	if err := w.runHelm(ctx, p.helm...); err != nil {
		return figures{}, err
	}
	fmt.Printf("  helm took %.1fs\n", time.Since(s.began).Seconds())
	f := figures{}
	if err := w.await(ctx, p, s, &f); err != nil {
		return figures{}, err
	}
	after, err := w.possessions(ctx)
	if err != nil {
		return figures{}, err
	}
	f.lost, f.changed = losses(before, after)
	f.forbidden, f.lawful = w.forbidden.Take(), w.lawful.Take()
	if f.mailbox, err = w.mailbox(ctx); err != nil {
		return figures{}, err
	}
	f.writes, err = w.audit.take()
	return f, err
}

// tell prints what happened in a phase, and returns what must not have happened.
func (w *world) tell(p phase, f figures) error {
	fmt.Printf("  writes: %s\n", f.writes.text())
	fmt.Printf("  longest time between two refusals %s, between two lawful requests %s\n", f.forbidden.Gap.Round(time.Millisecond), f.lawful.Gap.Round(time.Millisecond))
	fmt.Printf("  a mailbox of a /16, which this version takes for too wide, is %s\n", f.mailbox)
	var problems error
	for what, notes := range map[string][]string{
		"forbidden requests that were not refused as they must be": f.forbidden.Notes,
		"lawful requests that were not done":                       f.lawful.Notes,
		"lost":                                                     f.lost, "changed": f.changed,
	} {
		for _, note := range notes {
			problems = errors.Join(problems, fmt.Errorf("%s: %s: %s", p.name, what, note))
		}
	}
	for what, problem := range map[string]error{"forbidden requests": f.forbidden.Problem(), "lawful requests": f.lawful.Problem()} {
		if problem != nil {
			problems = errors.Join(problems, fmt.Errorf("%s: %s: %w", p.name, what, problem))
		}
	}
	namespaces := 0
	for _, key := range f.lost {
		if strings.HasPrefix(key, "Namespace ") {
			namespaces++
		}
	}
	report.Line("helm: %s tenants=%d writes=%d policy_writes=%d forbidden_tried=%d forbidden_passed=%d lawful_tried=%d lawful_refused=%d unclear=%d refused_elsewhere=%d namespaces_lost=%d data_lost=%d data_changed=%d not_ready_at_most=%d ready_after=%.1fs",
		p.name, len(w.tenants), f.writes.all, f.writes.policies, f.forbidden.Tried, f.forbidden.Amiss, f.lawful.Tried, f.lawful.Amiss,
		f.forbidden.Unclear+f.lawful.Unclear, f.forbidden.Elsewhere, namespaces, len(f.lost)-namespaces, len(f.changed), f.notReady, f.ready.Seconds())
	fmt.Println()
	return problems
}
