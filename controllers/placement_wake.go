package controllers

import (
	"context"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/compile"
)

// How long a tenant waits to be looked at, so that many pods end in one look.
const (
	// wakeDelay for what is found at once.
	wakeDelay = 200 * time.Millisecond
	// unsureDelay for what may be found; with the look it is less than the 5 seconds that are promised.
	unsureDelay = 2 * time.Second
	// tallyDelay for what is only counted. A rollout of any size changes the status once in that time.
	tallyDelay = 10 * time.Second
)

// matters is the time after which a pod may change what is said of its tenant; zero when it changes nothing.
func (p *Placement) matters(tenant string, pod *compile.Pod) time.Duration {
	nodes := p.state.Nodes()
	p.mu.Lock()
	defer p.mu.Unlock()
	last, known := p.known[tenant]
	if !known || nodes == nil || slices.Contains(last.channels, pod.Channel) {
		return wakeDelay
	}
	if where, exists := nodes.Nodes[pod.Node]; exists && !slices.Contains(last.regions, where.Region()) {
		return wakeDelay // until the node is known there is nothing to say
	}
	if last.unsure {
		return unsureDelay
	}
	if hash, given := last.config[pod.Namespace]; given && pod.Config != hash {
		return tallyDelay
	}
	return 0
}

// podChanged wakes the tenant of a pod that came, went, or became another, when it is or was to be told of.
func (p *Placement) podChanged(ctx context.Context, before, after *compile.Pod) {
	if before != nil && after != nil && sameToTell(*before, *after) {
		return
	}
	for _, pod := range []*compile.Pod{before, after} {
		if pod == nil {
			continue
		}
		if tenant := p.tenantOf(ctx, pod.Namespace); tenant != "" {
			if delay := p.matters(tenant, pod); delay > 0 {
				p.wake(tenant, delay)
			}
		}
	}
}

// sameToTell says that there is nothing to tell of one that was not to be told of the other.
func sameToTell(a, b compile.Pod) bool {
	a.Leaving = b.Leaving
	return a == b
}

// wake asks for a look at a tenant, if none is due before. Before the tenants' controller has started there is nobody to ask, and no need to:
// it begins with every tenant.
func (p *Placement) wake(tenant string, after time.Duration) {
	p.mu.Lock()
	q := p.queue
	p.mu.Unlock()
	if q != nil {
		q.AddAfter(requestFor(tenant), after)
	}
}

// judged notes what a plan found of a tenant's pods, and which others would be found.
func (p *Placement) judged(tenant string, plan *compile.Plan) {
	p.mu.Lock()
	if last, known := p.known[tenant]; known {
		last.unsure, last.channels, last.config = len(plan.Misplaced) > 0, plan.Channels, plan.Config
	}
	p.mu.Unlock()
	all := compile.Consumption{}
	for _, c := range plan.Consumption {
		all.Stale, all.Uninjected = all.Stale+c.Stale, all.Uninjected+c.Uninjected
	}
	count(stalePods, tenant, int(all.Stale))
	count(uninjectedPods, tenant, int(all.Uninjected))
	count(misplacedPods, tenant, len(plan.Misplaced))
	count(channelPods, tenant, len(plan.Serving))
}

// count sets the gauge of a tenant; one that counts nothing has no series.
func count(gauge *prometheus.GaugeVec, tenant string, n int) {
	if n == 0 {
		gauge.DeleteLabelValues(tenant)
		return
	}
	gauge.WithLabelValues(tenant).Set(float64(n))
}

// forget drops what is known of a tenant that is gone.
func (p *Placement) forget(tenant string) {
	p.mu.Lock()
	delete(p.known, tenant)
	p.mu.Unlock()
	for _, gauge := range []*prometheus.GaugeVec{misplacedPods, channelPods, stalePods, uninjectedPods} {
		count(gauge, tenant, 0)
	}
}
