package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	// requesters are how many send requests side by side, of each sort.
	requesters = 2
	// pause between two requests of one of them: enough for the API server to have most of a core left.
	pause = 8 * time.Millisecond
)

// counts of the requests of one sort.
type counts struct {
	tried, amiss, unclear int
	// notes on the first ones that did not go as meant.
	notes []string
	// gap is the longest time without a request that went as meant.
	gap time.Duration
}

// traffic sends requests of one sort to all tenants by turns, until its context ends.
type traffic struct {
	client  client.Client
	sort    []request
	tenants []string

	mu     sync.Mutex
	number int
	counts counts
	last   time.Time
}

// run returns when the context has ended.
func (t *traffic) run(ctx context.Context) {
	var all sync.WaitGroup
	for range requesters {
		all.Go(func() {
			tick := time.NewTicker(pause)
			defer tick.Stop()
			for {
				select {
				case <-ctx.Done():
					return
				case <-tick.C:
					t.one(ctx)
				}
			}
		})
	}
	all.Wait()
}

func (t *traffic) one(ctx context.Context) {
	t.mu.Lock()
	n := t.number
	t.number++
	t.mu.Unlock()
	// One request goes once round the tenants before the next one's turn would come again at the same tenant.
	q, tenant := t.sort[n%len(t.sort)], t.tenants[(n/len(t.sort))%len(t.tenants)]
	err := q.send(ctx, t.client, tenant, n)
	if ctx.Err() != nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counts.tried++
	switch q.judge(err) {
	case asMeant:
		now := time.Now()
		if !t.last.IsZero() {
			t.counts.gap = max(t.counts.gap, now.Sub(t.last))
		}
		t.last = now
		return
	case amiss:
		t.counts.amiss++
	default:
		t.counts.unclear++
	}
	const enough = 10
	if len(t.counts.notes) < enough {
		t.counts.notes = append(t.counts.notes, fmt.Sprintf("%s in %s: %v", q.name, tenant, err))
	}
}

// take returns what was counted since the last time.
func (t *traffic) take() counts {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.counts
	t.counts = counts{}
	return c
}
