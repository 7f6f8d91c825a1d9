package main

import (
	"context"
	"errors"
	"fmt"
)

// floor is what one run of a floor took.
type floor struct {
	Concurrency int `json:"concurrency"`
	// Post is the creating of the HIPAATenants, which happens before the operator's clock in one of its two runs.
	Post span `json:"post"`
	// Write is everything an operator has to write.
	Write span `json:"write"`
	// Requests as the audit log has them.
	Requests requests `json:"requests"`
}

func (b *bench) floorsA(ctx context.Context, s *sample) (err error) {
	s.FloorA, err = b.floors(ctx, s.Tenants, "A", (*floorWriter).post)
	return err
}

func (b *bench) floorsB(ctx context.Context, s *sample) (err error) {
	s.FloorB, err = b.floors(ctx, s.Tenants, "B", (*floorWriter).apply)
	return err
}

// writeTenant writes one tenant.
type writeTenant func(*floorWriter, context.Context, prepared) error

// floors tries every concurrency, each on a cluster of its own.
func (b *bench) floors(ctx context.Context, n int, name string, write writeTenant) ([]floor, error) {
	var list []floor
	for _, concurrency := range b.concurrencies {
		f, err := quietest(b, func() (floor, error) {
			f, err := b.floor(ctx, n, concurrency, write)
			if err == nil {
				b.say("floor %s, %2d at a time: %s", name, concurrency, f.Write.describe(f.Requests.Writes))
			}
			return f, err
		}, func(f floor) float64 { return f.Write.Foreign })
		if err != nil {
			return nil, fmt.Errorf("floor %s at concurrency %d: %w", name, concurrency, err)
		}
		list = append(list, f)
	}
	return list, nil
}

func (b *bench) floor(ctx context.Context, n, concurrency int, write writeTenant) (f floor, err error) {
	w, err := b.newWorld(ctx)
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, w.cluster.Stop()) }()
	writer, err := newFloorWriter(ctx, w)
	if err != nil {
		return f, err
	}
	f.Concurrency = concurrency
	watch := newStopwatch(w.cluster.PIDs)
	if err := watch.start(); err != nil {
		return f, err
	}
	tenants, err := w.postTenants(ctx, n, concurrency)
	if err != nil {
		return f, err
	}
	if f.Post, err = watch.lap(); err != nil {
		return f, err
	}
	jobs, err := writer.prepare(ctx, newDrawer(w.uid), tenants)
	if err != nil {
		return f, err
	}
	if err := watch.start(); err != nil {
		return f, err
	}
	err = parallel(ctx, n, concurrency, func(ctx context.Context, i int) error { return write(writer, ctx, jobs[i]) })
	if err != nil {
		return f, err
	}
	if f.Write, err = watch.lap(); err != nil {
		return f, err
	}
	return f, writer.check(w, n, &f)
}

// check says that the floor did what it was to do, no less: one write per object and one per status.
func (*floorWriter) check(w *world, n int, f *floor) (err error) {
	if f.Requests, err = w.audit.next(); err != nil {
		return err
	}
	if want := n * (objectsPerTenant + 1); f.Requests.Writes != want || f.Requests.Refused != 0 {
		return fmt.Errorf("expected %d writes and none refused, found %d and %d", want, f.Requests.Writes, f.Requests.Refused)
	}
	return nil
}
