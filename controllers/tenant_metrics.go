package controllers

import (
	"slices"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
)

// tenantStates shows how tenants do. A tenant that is Ready costs no series of its own, and an entry of some hundred bytes.
var tenantStates = &stateCollector{
	byName: map[string]tenantState{},
	tenants: prometheus.NewDesc("hipaatenant_tenants",
		"Tenants, by the reason of their condition Ready.", []string{"reason"}, nil),
	unready: prometheus.NewDesc("hipaatenant_tenant_unready",
		"1 while the condition Ready of a tenant is not True, with its reason. A tenant that is Ready has no series.", []string{"tenant", "reason"}, nil),
	stalled: prometheus.NewDesc("hipaatenant_tenant_stalled",
		"1 while only a change of its spec can help a tenant. A tenant that is not Stalled has no series.", []string{"tenant"}, nil),
	findings: prometheus.NewDesc("hipaatenant_findings",
		"Findings that stand, of all tenants together, by code and severity.", []string{"code", "severity"}, nil),
}

func init() { serve(tenantStates) }

// tenantState is what is shown of one tenant.
type tenantState struct {
	reason         string // of Ready; empty before there is a condition
	ready, stalled bool
	findings       []findingKind
}

// findingKind is what findings are counted by.
type findingKind struct{ code, severity string }

// stateCollector keeps the states, and counts them when it is asked: a tenant that changes leaves nothing behind.
type stateCollector struct {
	tenants, unready, stalled, findings *prometheus.Desc

	mu     sync.Mutex
	byName map[string]tenantState
}

// note what the status of a tenant says.
func (c *stateCollector) note(tenant string, s v1alpha1.HIPAATenantStatus) {
	state := tenantState{stalled: meta.IsStatusConditionTrue(s.Conditions, v1alpha1.ConditionStalled)}
	if ready := meta.FindStatusCondition(s.Conditions, v1alpha1.ConditionReady); ready != nil {
		state.reason, state.ready = ready.Reason, ready.Status == metav1.ConditionTrue
	}
	for _, f := range s.Findings {
		state.findings = append(state.findings, findingKind{f.Code, string(f.Severity)})
	}
	state.findings = slices.Clip(state.findings)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.byName[tenant] = state
}

// forget a tenant that is gone.
func (c *stateCollector) forget(tenant string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.byName, tenant)
}

// Describe names the metrics.
func (c *stateCollector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.tenants, c.unready, c.stalled, c.findings} {
		out <- d
	}
}

// Collect counts.
func (c *stateCollector) Collect(out chan<- prometheus.Metric) {
	c.mu.Lock()
	defer c.mu.Unlock()
	reasons, findings := map[string]int{v1alpha1.ReasonReady: 0}, map[findingKind]int{}
	show := func(d *prometheus.Desc, value float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	for name, s := range c.byName {
		reasons[s.reason]++
		for _, f := range s.findings {
			findings[f]++
		}
		if !s.ready {
			show(c.unready, 1, name, s.reason)
		}
		if s.stalled {
			show(c.stalled, 1, name)
		}
	}
	for reason, n := range reasons {
		show(c.tenants, float64(n), reason)
	}
	for f, n := range findings {
		show(c.findings, float64(n), f.code, f.severity)
	}
}
