package keyring

import (
	"context"
	"sync"
	"time"
)

// lanes bounds the calls under way to one endpoint. The tenants of a KMS that answers late would otherwise hold every
// worker of the operator, and tenants of other KMS would wait for one.
//
// A call that finds no lane free waits for as long as the endpoint gives answers: a busy KMS is served in full. When it
// has given none for a while, the call is turned away, and so is every other until one is answered.
type lanes struct {
	limit    int
	patience time.Duration

	mu         sync.Mutex
	byEndpoint map[Endpoint]*lane
}

// lane of one endpoint; it exists while calls are under way.
type lane struct {
	free  chan struct{} // holds a token for each call that may begin
	users int           // calls under way or waiting
	ended chan struct{} // closed, and replaced, when a call ends
	stuck bool          // somebody waited in vain, and no call has ended since
}

func newLanes(limit int, patience time.Duration) *lanes {
	return &lanes{limit: limit, patience: patience, byEndpoint: map[Endpoint]*lane{}}
}

// enter returns true when the call may begin; the caller then owes a leave.
func (l *lanes) enter(ctx context.Context, endpoint Endpoint) bool {
	n := l.join(endpoint)
	timer := time.NewTimer(l.patience)
	defer timer.Stop()
	for {
		ended, stuck := l.look(n)
		select {
		case <-n.free:
			return true
		default:
		}
		if stuck {
			l.part(endpoint, n, true)
			return false
		}
		select {
		case <-n.free:
			return true
		case <-ended: // it answers; some other call may have been quicker to take the lane
			timer.Reset(l.patience)
		case <-timer.C:
			l.part(endpoint, n, true)
			return false
		case <-ctx.Done():
			l.part(endpoint, n, stuck)
			return false
		}
	}
}

// leave ends a call that entered.
func (l *lanes) leave(endpoint Endpoint) {
	l.mu.Lock()
	n := l.byEndpoint[endpoint]
	n.free <- struct{}{}
	close(n.ended)
	n.ended = make(chan struct{})
	l.mu.Unlock()
	l.part(endpoint, n, false)
}

func (l *lanes) join(endpoint Endpoint) *lane {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.byEndpoint[endpoint]
	if n == nil {
		n = &lane{free: make(chan struct{}, l.limit), ended: make(chan struct{})}
		for range l.limit {
			n.free <- struct{}{}
		}
		l.byEndpoint[endpoint] = n
	}
	n.users++
	return n
}

func (l *lanes) part(endpoint Endpoint, n *lane, stuck bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n.stuck = stuck
	if n.users--; n.users == 0 {
		delete(l.byEndpoint, endpoint)
	}
}

func (l *lanes) look(n *lane) (ended <-chan struct{}, stuck bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return n.ended, n.stuck
}
