package controllers

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring"
)

var (
	kmsCalls = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "hipaatenant_kms_call_duration_seconds",
		Help:    "Calls to key management systems with all their attempts, by result: ok, or the kind of error.",
		Buckets: []float64{.001, .005, .02, .1, .5, 2, 5},
	}, []string{"provider", "operation", "result"})
	kmsCircuits = &circuitCollector{desc: prometheus.NewDesc("hipaatenant_kms_circuit_open",
		"1 while an endpoint is left alone because it does not answer; 0 while it is asked.", []string{"provider", "endpoint"}, nil)}
)

func init() { serve(kmsCalls, kmsCircuits) }

// watchKMS shows how the KMS behind a ring do.
func watchKMS(ring *keyring.Ring) {
	ring.Observe(func(c keyring.Call) {
		result := string(c.Kind)
		if result == "" {
			result = "ok"
		}
		kmsCalls.WithLabelValues(c.Provider, c.Operation, result).Observe(c.Took.Seconds())
	})
	kmsCircuits.ring.Store(ring)
}

// circuitCollector reads the state of the circuits when it is asked: it changes by the mere passing of time.
type circuitCollector struct {
	desc *prometheus.Desc
	ring atomic.Pointer[keyring.Ring]
}

// Describe names the metric.
func (c *circuitCollector) Describe(out chan<- *prometheus.Desc) { out <- c.desc }

// Collect reads the circuits.
func (c *circuitCollector) Collect(out chan<- prometheus.Metric) {
	ring := c.ring.Load()
	if ring == nil {
		return
	}
	for endpoint, open := range ring.Circuits() {
		value := 0.0
		if open {
			value = 1
		}
		out <- prometheus.MustNewConstMetric(c.desc, prometheus.GaugeValue, value, endpoint.Provider, endpoint.Name)
	}
}
