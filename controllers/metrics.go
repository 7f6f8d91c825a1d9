package controllers

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/admission"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/apply"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/audit"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/buildinfo"
)

// served are the operator's own metrics. docs/metrics.md lists them, held equal by a test.
var served []prometheus.Collector

// serve adds metrics to what is scraped.
func serve(collectors ...prometheus.Collector) {
	metrics.Registry.MustRegister(collectors...)
	served = append(served, collectors...)
}

var (
	build = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "hipaatenant_build_info",
		Help: "1, with what the operator was built from and in which FIPS mode it runs as labels.",
	}, []string{"version", "revision", "goversion", "fips"})
	applyDuration = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "hipaatenant_apply_duration_seconds",
		Help:    "Bringing the objects of one tenant in line, by result: unchanged (nothing was written), written, failed.",
		Buckets: []float64{.001, .005, .02, .1, .5, 2, 10},
	}, []string{"result"})
	driftRepairs = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "hipaatenant_drift_repairs_total",
		Help: "Objects of tenants that somebody else had changed or deleted and the operator brought back, by kind.",
	}, []string{"kind"})
	evictedPods = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "hipaatenant_evicted_pods_total",
		Help: "Pods evicted, by cause: misplaced (outside the regions of the tenant), channel (serves a disabled channel).",
	}, []string{"cause"})
	alteredPolicies = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "hipaatenant_admission_policies_altered",
		Help: "Admission policies and bindings that are missing, altered or not accepted by the API server.",
	})
	restoredPolicies = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "hipaatenant_admission_policies_restored_total",
		Help: "Admission policies and bindings that somebody had removed or altered and the operator put back.",
	})
	auditRecords = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "hipaatenant_audit_records_total",
		Help: "Records of the audit trail, by action.",
	}, []string{"action"})
)

func init() {
	serve(build, applyDuration, driftRepairs, evictedPods, alteredPolicies, restoredPolicies, auditRecords)
}

// ShowBuild shows what the operator was built from, and its FIPS mode.
func ShowBuild(fips string) {
	b := buildinfo.Read()
	build.WithLabelValues(b.Version, b.Revision, b.GoVersion, fips).Set(1)
}

// Counted is a trail whose records are counted.
func Counted(trail audit.Trail) audit.Trail {
	return func(ctx context.Context, r audit.Record) {
		auditRecords.WithLabelValues(r.Action).Inc()
		trail(ctx, r)
	}
}

// noteApply shows how long the objects of a tenant took.
func noteApply(took time.Duration, r apply.Result, err error) {
	result := "unchanged"
	switch {
	case err != nil:
		result = "failed"
	case len(r.Written) > 0:
		result = "written"
	}
	applyDuration.WithLabelValues(result).Observe(took.Seconds())
}

// noteRestored counts what is about to be put back: not what an install makes, and only at the beginning of a trouble, because the
// cache may show policies as missing that were made a moment ago. It counts also what cannot be written at once: it was altered.
func noteRestored(standing []admission.Object, problems []admission.Problem) {
	if len(standing) == 0 {
		return
	}
	for _, p := range problems {
		if p.Reason != admission.NotAccepted {
			restoredPolicies.Inc()
		}
	}
}
