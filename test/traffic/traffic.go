// Package traffic makes the requests that must be refused, and those that must not, over and over while something happens to the
// operator or its node, and counts those that were answered otherwise.
package traffic

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

// Counts of the requests of one sort.
type Counts struct {
	// Tried are all, Amiss those that passed and must not, or were refused and must not, and Unclear those that were answered
	// otherwise, such as by a server that is away.
	Tried, Amiss, Unclear int
	// Notes on the first ones that did not go as meant.
	Notes []string
	// Gap is the longest time without a request that went as meant.
	Gap time.Duration
}

// Traffic sends requests of one sort to all namespaces by turns.
type Traffic struct {
	client     client.Client
	sort       []Request
	namespaces []string

	mu     sync.Mutex
	number int
	counts Counts
	last   time.Time
}

// New makes one of Forbidden or Lawful requests in namespaces of tenants. The client is a cluster administrator's, whom RBAC
// refuses nothing.
func New(c client.Client, sort []Request, namespaces ...string) *Traffic {
	return &Traffic{client: c, sort: sort, namespaces: namespaces}
}

// Run returns when the context has ended.
func (t *Traffic) Run(ctx context.Context) {
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

func (t *Traffic) one(ctx context.Context) {
	t.mu.Lock()
	n := t.number
	t.number++
	t.mu.Unlock()
	// All requests are made in one namespace before the next one's turn comes.
	q, namespace := t.sort[n%len(t.sort)], t.namespaces[(n/len(t.sort))%len(t.namespaces)]
	err := q.send(ctx, t.client, namespace, n)
	if ctx.Err() != nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counts.Tried++
	switch q.judge(err) {
	case asMeant:
		now := time.Now()
		if !t.last.IsZero() {
			t.counts.Gap = max(t.counts.Gap, now.Sub(t.last))
		}
		t.last = now
		return
	case amiss:
		t.counts.Amiss++
	default:
		t.counts.Unclear++
	}
	const enough = 10
	if len(t.counts.Notes) < enough {
		t.counts.Notes = append(t.counts.Notes, fmt.Sprintf("%s in %s: %v", q.Name, namespace, err))
	}
}

// Take returns what was counted since the last time. The time since the last request that went as meant counts as well: it may
// be the beginning of a longer one.
func (t *Traffic) Take() Counts {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.counts
	if !t.last.IsZero() {
		c.Gap = max(c.Gap, time.Since(t.last))
	}
	t.counts = Counts{}
	return c
}
