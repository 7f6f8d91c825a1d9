package controllers

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
)

// When agreements end. Days left tick with the clock, so they are for whoever reads these, and never in a status.
var (
	tenantExpiry = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "hipaatenant_baa_expiry_timestamp_seconds",
		Help: "When the agreement of a tenant ends, in seconds since 1970.",
	}, []string{"tenant"})
	associateExpiry = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "hipaatenant_associate_baa_expiry_timestamp_seconds",
		Help: "When the agreement of a business associate or, if sooner, of a subcontractor of it ends, in seconds since 1970. One without PHI has no series.",
	}, []string{"associate"})
)

func init() { serve(tenantExpiry, associateExpiry) }

// noteExpiry shows when an agreement ends; one that does not end has no series.
func noteExpiry(of *prometheus.GaugeVec, name string, end v1alpha1.Date) {
	if end == "" {
		of.DeleteLabelValues(name)
		return
	}
	of.WithLabelValues(name).Set(float64(end.Time().Unix()))
}
