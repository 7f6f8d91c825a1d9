package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/hipaatenant/hipaa-tenant-operator/test/operator"
)

// bench is one run of the program.
type bench struct {
	options
	dir    string
	binary string
	server string // version of the API server
	began  time.Time
}

// sample is what was measured once with one number of tenants.
type sample struct {
	Tenants int       `json:"tenants"`
	FloorA  []floor   `json:"floorA"`
	FloorB  []floor   `json:"floorB"`
	Before  provision `json:"before"`
	Online  provision `json:"online"`
	Steady  steady    `json:"steady"`
	Lapse   lapse     `json:"lapse"`
	Restart restart   `json:"restart"`
}

func newBench(ctx context.Context, o options) (*bench, error) {
	dir, err := os.MkdirTemp("", "hipaa-bench-")
	if err != nil {
		return nil, err
	}
	b := &bench{options: o, dir: dir, began: time.Now()}
	b.say("building the operator")
	if err := os.Setenv("CGO_ENABLED", "0"); err != nil {
		return nil, err
	}
	b.binary, err = operator.Build(ctx, dir, "-trimpath", "-ldflags", "-s -w")
	return b, err
}

// close removes what was written, but for the logs of a benchmark that failed.
func (b *bench) close(failed bool) error {
	if failed {
		b.say("the logs are in %s", b.dir)
		return nil
	}
	return os.RemoveAll(b.dir)
}

// all measures what the options ask for.
func (b *bench) all(ctx context.Context) (samples []sample, cost *admissionResult, err error) {
	if b.only != onlyTenants {
		if cost, err = b.admission(ctx); err != nil {
			return nil, nil, fmt.Errorf("cost of admission: %w", err)
		}
	}
	if b.only != onlyAdmission {
		samples, err = b.measure(ctx)
	}
	return samples, cost, err
}

// measure takes all samples. Floors and operator take turns, so that a busy minute does not meet one of them alone.
func (b *bench) measure(ctx context.Context) ([]sample, error) {
	var samples []sample
	for run := range b.runs {
		for _, n := range b.tenants {
			b.say("run %d of %d, %d tenants", run+1, b.runs, n)
			s, err := b.sample(ctx, n)
			if err != nil {
				return nil, err
			}
			samples = append(samples, s)
		}
	}
	return samples, nil
}

func (b *bench) sample(ctx context.Context, n int) (sample, error) {
	s := sample{Tenants: n}
	for _, step := range []func(context.Context, *sample) error{b.floorsA, b.before, b.floorsB, b.online} {
		if err := step(ctx, &s); err != nil {
			return s, fmt.Errorf("%d tenants: %w", n, err)
		}
	}
	return s, nil
}

// busy is the part of the CPU time others may take before figures are about them.
const busy = 0.1

// quietest measures again while other programs are busy, as often as the options allow, and returns the measurement they
// disturbed least.
func quietest[T any](b *bench, measure func() (T, error), foreign func(T) float64) (T, error) {
	least, err := measure()
	for range b.repeat {
		if err != nil || foreign(least) <= busy {
			break
		}
		b.say("again: other programs took %.0f %% of the CPU", 100*foreign(least))
		var next T
		if next, err = measure(); err == nil && foreign(next) < foreign(least) {
			least = next
		}
	}
	return least, err
}

// folder makes a directory for one cluster or one operator.
func (b *bench) folder(name string) (string, error) {
	return os.MkdirTemp(b.dir, filepath.Base(name)+"-")
}

// say tells about progress, beside the results on standard output.
func (b *bench) say(format string, args ...any) {
	elapsed := time.Since(b.began).Round(time.Second)
	fmt.Fprintf(os.Stderr, "%6s  %s\n", elapsed, fmt.Sprintf(format, args...))
}
