// Package traffic makes the requests that must be refused, and those that must not, over and over while something happens to the
// operator or its node, and counts those that were answered otherwise.
package traffic

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
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
	// Tried are all, Amiss those that passed and must not, or were refused and must not, Elsewhere those that were refused by
	// something else than the policy in charge, and Unclear those that were answered otherwise, such as by a server that is away.
	Tried, Amiss, Elsewhere, Unclear int
	// Met is how often each request went as meant, by its name.
	Met map[string]int
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
	return &Traffic{client: c, sort: sort, namespaces: namespaces, counts: nothing(sort)}
}

func nothing(sort []Request) Counts {
	c := Counts{Met: map[string]int{}}
	for _, q := range sort {
		c.Met[q.Name] = 0
	}
	return c
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
		t.counts.Met[q.Name]++
		return
	case amiss:
		t.counts.Amiss++
	case elsewhere:
		t.counts.Elsewhere++
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
	t.counts = nothing(t.sort)
	return c
}

// mostUnclear is the share of requests that may be answered by nobody: whoever asks all the while meets a server that is busy, and
// what is not answered tells nothing.
const mostUnclear = 0.01

// Problem is why the counts do not show what they are to show: that everything forbidden was refused by the policy in charge, or
// that nothing lawful was, and that each request was made. nil when they do.
func (c Counts) Problem() error {
	var problems []error
	if c.Amiss > 0 {
		problems = append(problems, fmt.Errorf("%d of %d requests had the opposite answer, expected none", c.Amiss, c.Tried))
	}
	if c.Elsewhere > 0 {
		problems = append(problems, fmt.Errorf("%d of %d requests were refused by something else than the policy in charge, expected none", c.Elsewhere, c.Tried))
	}
	if most := int(mostUnclear * float64(c.Tried)); c.Unclear > most {
		problems = append(problems, fmt.Errorf("%d of %d requests were neither done nor refused, expected at most %d", c.Unclear, c.Tried, most))
	}
	for _, name := range slices.Sorted(maps.Keys(c.Met)) {
		if c.Met[name] == 0 {
			problems = append(problems, fmt.Errorf("request %q never had the answer it must have, expected it once at least", name))
		}
	}
	return errors.Join(problems...)
}
