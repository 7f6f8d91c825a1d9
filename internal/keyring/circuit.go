package keyring

import (
	"sync"
	"time"

	"k8s.io/utils/clock"
)

// circuits keeps one KMS that does not answer from costing every tenant a deadline: after threshold unanswered
// calls in a row its endpoint is not asked again for the cool-down; then one call is let through as a probe.
type circuits struct {
	clock     clock.PassiveClock
	threshold int
	coolDown  time.Duration

	mu    sync.Mutex
	state map[Endpoint]*circuit
	seen  map[Endpoint]bool
}

// Endpoint is what fails together: the scheme of the provider, and the name it gave.
type Endpoint struct{ Provider, Name string }

// maxSeen bounds the endpoints that are told of. Most operators have a handful.
const maxSeen = 1000

// circuit of one endpoint. It is open while failures has reached the threshold.
type circuit struct {
	failures int
	last     *Error
	retryAt  time.Time
	probing  bool
}

func newCircuits(c clock.PassiveClock, threshold int, coolDown time.Duration) *circuits {
	return &circuits{clock: c, threshold: threshold, coolDown: coolDown, state: map[Endpoint]*circuit{}, seen: map[Endpoint]bool{}}
}

// admit returns nil when the endpoint may be asked; the caller then owes it a report. Otherwise it returns the error
// the endpoint last gave: the same words as while the circuit was closed, so that a status does not flap.
func (c *circuits) admit(endpoint Endpoint) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.seen) < maxSeen {
		c.seen[endpoint] = true
	}
	s := c.state[endpoint]
	if s == nil || s.failures < c.threshold {
		return nil
	}
	if s.probing || c.clock.Now().Before(s.retryAt) {
		again := *s.last
		again.Subject = ""
		return &again
	}
	s.probing = true
	return nil
}

// report tells how an admitted call ended. Any answer, also a refusal, closes the circuit.
func (c *circuits) report(endpoint Endpoint, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if KindOf(err) != Unreachable {
		delete(c.state, endpoint)
		return
	}
	s := c.state[endpoint]
	if s == nil {
		s = &circuit{}
		c.state[endpoint] = s
	}
	s.failures++
	s.probing = false
	s.last = about("", err)
	s.retryAt = c.clock.Now().Add(c.coolDown)
}

// forget ends an admitted call that says nothing about the endpoint, because the caller gave up first.
func (c *circuits) forget(endpoint Endpoint) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.state[endpoint]; s != nil {
		s.probing = false
	}
}

// open tells of every endpoint that was asked whether its circuit is open.
func (c *circuits) open() map[Endpoint]bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := map[Endpoint]bool{}
	for endpoint := range c.seen {
		s := c.state[endpoint]
		out[endpoint] = s != nil && s.failures >= c.threshold
	}
	return out
}

// Circuits tells of every endpoint that was asked whether it is left alone for now because it does not answer. Names
// hold no credentials.
func (r *Ring) Circuits() map[Endpoint]bool {
	out := map[Endpoint]bool{}
	for endpoint, open := range r.circuits.open() {
		endpoint.Name = redactUser(endpoint.Name)
		out[endpoint] = open || out[endpoint]
	}
	return out
}
