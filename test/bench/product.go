package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hipaatenant/hipaa-tenant-operator/test/operator"
)

// provision is what bringing up all tenants took.
type provision struct {
	span
	// Requests until the operator was quiet, which is later than the moment the last tenant was Ready.
	Requests requests `json:"requests"`
}

// steady is an interval in which nothing happens.
type steady struct {
	span
	Requests requests `json:"requests"`
	// Memory of the operator at the end of it.
	Memory memory `json:"memory"`
}

// restart is the second start of an operator whose tenants all stand.
type restart struct {
	// Ready is how many seconds after its start the operator had looked at every tenant.
	Ready    float64  `json:"readySeconds"`
	Requests requests `json:"requests"`
	// Memory of the operator once it was quiet again.
	Memory memory `json:"memory"`
}

const (
	// settled: so long nothing moves before the operator counts as quiet. Ten seconds after its last write it looks
	// once more at each tenant.
	settled = 15 * time.Second
	// looked: so long nothing moves before a restarted operator counts as done. It has nothing to write.
	looked = 3 * time.Second
	// warmUp is a tenant that is not counted; that it is Ready shows that the operator is.
	warmUp = "warm-up"
)

// patience is how long all tenants may take.
func patience(n int) time.Duration { return 2*time.Minute + time.Duration(n)*300*time.Millisecond }

// stage is a cluster with an operator.
type stage struct {
	*world
	bench *bench
	n     int
	op    *operator.Operator
	watch *stopwatch
}

func (b *bench) newStage(ctx context.Context, n int) (*stage, error) {
	w, err := b.newWorld(ctx)
	if err != nil {
		return nil, err
	}
	s := &stage{world: w, bench: b, n: n}
	s.watch = newStopwatch(w.cluster.PIDs, s.pid)
	return s, nil
}

func (s *stage) pid() map[string]int {
	if s.op == nil {
		return nil
	}
	return map[string]int{processOperator: s.op.PID()}
}

func (s *stage) start(ctx context.Context) error {
	dir, err := s.bench.folder("operator")
	if err != nil {
		return err
	}
	s.op, err = operator.Start(ctx, s.cluster, operator.Options{Binary: s.bench.binary, Dir: dir})
	return err
}

// stop lets the operator give its lease back.
func (s *stage) stop() error {
	if s.op == nil {
		return nil
	}
	defer func() { s.op = nil }()
	return s.op.Stop(10 * time.Second)
}

func (s *stage) close() error { return errors.Join(s.stop(), s.cluster.Stop()) }

// before measures tenants that exist when the operator starts, then the quiet operator, then its restart.
func (b *bench) before(ctx context.Context, out *sample) error {
	least, err := quietest(b, func() (sample, error) { return b.beforeOnce(ctx, *out) }, func(s sample) float64 { return s.Before.Foreign })
	*out = least
	return err
}

func (b *bench) beforeOnce(ctx context.Context, out sample) (_ sample, err error) {
	s, err := b.newStage(ctx, out.Tenants)
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	if _, err := s.postTenants(ctx, s.n, 16); err != nil {
		return out, err
	}
	out.Before, err = s.provision(ctx, s.start)
	if err != nil {
		return out, fmt.Errorf("operator, tenants posted before its start: %w", err)
	}
	b.say("operator, tenants posted before: %s", out.Before.describe(out.Before.Requests.Writes))
	if out.Steady, err = s.steady(ctx); err != nil {
		return out, err
	}
	if err := s.compare(ctx, tenantName(s.n/2)); err != nil {
		return out, err
	}
	if out.Lapse, err = s.lapse(ctx); err != nil {
		return out, fmt.Errorf("an associate's agreement ends: %w; the end of the operator's log:\n%s", err, s.op.LogTail(4096))
	}
	b.say("associate lapse: last egress rule gone after %.2f s, %.2f writes per tenant", out.Lapse.Gone, float64(out.Lapse.Requests.Writes)/float64(s.n))
	if err := s.stop(); err != nil {
		return out, err
	}
	if out.Restart, err = s.restart(ctx); err != nil {
		return out, err
	}
	writes := out.Restart.Requests.Writes + out.Restart.Requests.OtherWrites
	b.say("restart: %.1f s, %d writes; memory before it %.1f MiB", out.Restart.Ready, writes, out.Steady.Memory.Resident)
	return out, nil
}

// online measures tenants that are posted while the operator runs.
func (b *bench) online(ctx context.Context, out *sample) (err error) {
	out.Online, err = quietest(b, func() (provision, error) { return b.onlineOnce(ctx, out.Tenants) }, func(p provision) float64 { return p.Foreign })
	return err
}

func (b *bench) onlineOnce(ctx context.Context, n int) (p provision, err error) {
	s, err := b.newStage(ctx, n)
	if err != nil {
		return p, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	if err := s.start(ctx); err != nil {
		return p, err
	}
	if err := s.admin.Create(ctx, benchTenant(warmUp)); err != nil {
		return p, err
	}
	quiet, stop := context.WithTimeout(ctx, patience(1))
	defer stop()
	if _, err := awaitQuiet(quiet, s.op, 1, looked); err != nil {
		return p, err
	}
	p, err = s.provision(ctx, func(ctx context.Context) error {
		_, err := s.postTenants(ctx, s.n, 16)
		return err
	})
	if err != nil {
		return p, fmt.Errorf("operator, tenants posted while it runs: %w", err)
	}
	b.say("operator, tenants posted online: %s", p.describe(p.Requests.Writes))
	return p, nil
}

// provision measures from begin until all tenants are Ready, and counts requests until the operator is quiet.
func (s *stage) provision(ctx context.Context, begin func(context.Context) error) (p provision, err error) {
	watching, stopWatching := context.WithCancel(ctx)
	defer stopWatching()
	ready, err := watchReady(watching, s.cluster.Config(), s.n)
	if err != nil {
		return p, err
	}
	if _, err := s.audit.next(); err != nil {
		return p, err
	}
	if err := s.watch.start(); err != nil {
		return p, err
	}
	if err := begin(ctx); err != nil {
		return p, err
	}
	patient, cancel := context.WithTimeout(ctx, patience(s.n))
	defer cancel()
	if err := ready.await(patient, s.bench.say); err != nil {
		return p, fmt.Errorf("%w; the end of the operator's log:\n%s", err, s.op.LogTail(4096))
	}
	if p.span, err = s.watch.lap(); err != nil {
		return p, err
	}
	quiet, stop := context.WithTimeout(ctx, patience(s.n))
	defer stop()
	if _, err := awaitQuiet(quiet, s.op, s.n, settled); err != nil {
		return p, err
	}
	p.Requests, err = s.audit.next()
	return p, err
}

// steady watches the quiet operator.
func (s *stage) steady(ctx context.Context) (out steady, err error) {
	if err := s.watch.start(); err != nil {
		return out, err
	}
	over := time.NewTimer(s.bench.steady)
	defer over.Stop()
	select {
	case <-over.C:
	case <-ctx.Done():
		return out, ctx.Err()
	}
	if out.span, err = s.watch.lap(); err != nil {
		return out, err
	}
	if out.Requests, err = s.audit.next(); err != nil {
		return out, err
	}
	out.Memory, err = processMemory(s.op.PID())
	return out, err
}

func (s *stage) restart(ctx context.Context) (out restart, err error) {
	if _, err := s.audit.next(); err != nil {
		return out, err
	}
	began := time.Now()
	if err := s.start(ctx); err != nil {
		return out, err
	}
	quiet, cancel := context.WithTimeout(ctx, patience(s.n))
	defer cancel()
	done, err := awaitQuiet(quiet, s.op, s.n, looked)
	if err != nil {
		return out, err
	}
	out.Ready = done.Sub(began).Seconds()
	if _, err := awaitQuiet(quiet, s.op, s.n, settled); err != nil {
		return out, err
	}
	if out.Requests, err = s.audit.next(); err != nil {
		return out, err
	}
	out.Memory, err = processMemory(s.op.PID())
	return out, err
}
