package controllers

import (
	"slices"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring"
)

var (
	nextRotation = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "hipaatenant_data_key_next_rotation_timestamp_seconds",
		Help: "When the primary version of a data key is due for replacement, in seconds since 1970.",
	}, []string{"tenant", "key"})
	keysBehind = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "hipaatenant_keyset_entries_behind",
		Help: "Entries of a tenant's keysets that an earlier version of its KMS key still wraps. A tenant without any has no series.",
	}, []string{"tenant"})
	keyChanges = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "hipaatenant_data_key_changes_total",
		Help: "Changes of data keys decided on, by kind: Rotated, Rewrapped, Retired, GivenBack, CaughtUp, Lost.",
	}, []string{"change"})
)

func init() { serve(nextRotation, keysBehind, keyChanges) }

// notedKeys are the data keys with a series, by tenant.
var notedKeys sync.Map

// noteKeys shows what is planned for a tenant's keys. A key the tenant no longer has loses its series.
func noteKeys(tenant string, o keyring.Outcome) {
	var names []string
	for _, k := range o.Keys {
		nextRotation.WithLabelValues(tenant, k.Name).Set(float64(k.NextRotation.Unix()))
		names = append(names, k.Name)
	}
	if before, found := notedKeys.Swap(tenant, names); found && !slices.Equal(before.([]string), names) {
		for _, name := range before.([]string) {
			if !slices.Contains(names, name) {
				nextRotation.DeleteLabelValues(tenant, name)
			}
		}
	}
	keysBehind.DeleteLabelValues(tenant)
	if o.Behind > 0 {
		keysBehind.WithLabelValues(tenant).Set(float64(o.Behind))
	}
	for _, c := range o.Changes {
		keyChanges.WithLabelValues(string(c.Kind)).Inc()
	}
}

// forgetKeys of a tenant that is gone.
func forgetKeys(tenant string) {
	if names, found := notedKeys.LoadAndDelete(tenant); found {
		for _, name := range names.([]string) {
			nextRotation.DeleteLabelValues(tenant, name)
		}
	}
	keysBehind.DeleteLabelValues(tenant)
}
