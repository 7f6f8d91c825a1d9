package controllers

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/netprobe"
)

var (
	networkProbe = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "hipaatenant_network_probe",
		Help: "1 for what is known of the network plug-in, 0 for the others: enforced, not_enforced, unknown. No series while the probe is off.",
	}, []string{"state"})
	networkProbeRuns = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "hipaatenant_network_probe_runs_total",
		Help: "Runs of the network probe, by result: enforced, not_enforced, inconclusive.",
	}, []string{"result"})
	networkProbeObserved = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "hipaatenant_network_probe_observed_timestamp_seconds",
		Help: "When a run of the network probe last told whether the network plug-in enforces policies.",
	})
)

func init() { serve(networkProbe, networkProbeRuns, networkProbeObserved) }

// Reasons of events about the network plug-in.
const (
	reasonPluginEnforces       = "NetworkPoliciesEnforced"
	reasonPluginDoesNotEnforce = "PluginDoesNotEnforce"
	reasonProbeInconclusive    = "NetworkProbeInconclusive"
)

// NetworkWatch finds out at an interval whether the network plug-in enforces policies, and says so in State. Only the leader
// does: each run makes two pods.
type NetworkWatch struct {
	Probe *NetworkProbe
	State *ClusterState
	// Interval between runs; the probe is off when it is zero.
	Interval time.Duration
	// Namespace of the operator, which events are about.
	Namespace string
	// ClusterUID is the UID of namespace kube-system: what was found in another cluster does not count in this one.
	ClusterUID string
	Recorder   events.EventRecorder
	Clock      clock.Clock

	history  netprobe.History
	recalled bool
	told     string // why nothing could be told, as the last event says
}

// NeedLeaderElection says that one replica alone probes.
func (w *NetworkWatch) NeedLeaderElection() bool { return true }

// Start probes until the context ends.
func (w *NetworkWatch) Start(ctx context.Context) error {
	if w.Interval == 0 {
		w.State.setNetwork(netprobe.Unprobed())
		return nil
	}
	w.gauge(netprobe.StateUnknown)
	next := w.recall(ctx)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-w.Clock.After(next):
		}
		next = wait.Jitter(w.step(ctx), jitter)
	}
}

// step recalls what was found before, where that could not be read yet, and then runs the probe.
func (w *NetworkWatch) step(ctx context.Context) time.Duration {
	if !w.recalled {
		if next := w.recall(ctx); next > 0 {
			return next
		}
	}
	return w.look(ctx)
}

// recall takes what an earlier leader found, and returns when to look again. Where that does not count any more, what the status of
// tenants says stands until the first run has ended. Nothing is run before it is known: a run that can tell nothing would take the
// place of bad news. An operator that may not read it may not write it either, so it is run, and says so.
func (w *NetworkWatch) recall(ctx context.Context) time.Duration {
	w.history.Interval, w.history.ClusterUID = w.Interval, w.ClusterUID
	data, err := w.Probe.recall(ctx)
	switch {
	case apierrors.IsForbidden(err):
		return 0
	case err != nil && !apierrors.IsNotFound(err):
		ctrl.LoggerFrom(ctx).Info("what the network probe found before could not be read; it is not run until then", "error", err)
		return w.history.Retry()
	}
	w.recalled = true
	record, readable := netprobe.ReadRecord(data, w.ClusterUID)
	if !readable {
		return 0
	}
	next := w.history.Recall(record, w.Clock.Now())
	if stands := w.history.Stands; stands != nil {
		networkProbeObserved.Set(float64(stands.At.Unix()))
		w.gauge(stands.Verdict().State)
		w.State.setNetwork(stands.Verdict())
	}
	return next
}

// look runs the probe once and returns when to run it again. What it found is remembered before it is said: a leader that comes
// after this one then says the same.
func (w *NetworkWatch) look(ctx context.Context) time.Duration {
	gone := w.Probe.missing(ctx, w.history.Suspects())
	outcome := w.Probe.look(ctx, w.history.Wanted(gone))
	if ctx.Err() != nil {
		return w.Interval
	}
	now := w.Clock.Now()
	verdict, next := w.history.Take(outcome, gone, now)
	networkProbeRuns.WithLabelValues(string(outcome.Result)).Inc()
	if outcome.Result != netprobe.Inconclusive {
		networkProbeObserved.Set(float64(now.Unix()))
	}
	if err := w.Probe.remember(ctx, w.history.Data(outcome, now)); err != nil {
		ctrl.LoggerFrom(ctx).Info("what the network probe found could not be remembered; the next leader probes anew", "error", err)
	}
	w.publish(ctx, verdict, outcome)
	return next
}

// publish says a verdict to all tenants, once, and records a change as an event of the operator: it is one matter, however
// many tenants there are.
func (w *NetworkWatch) publish(ctx context.Context, verdict netprobe.Verdict, o netprobe.Outcome) {
	w.gauge(verdict.State)
	changed := w.State.setNetwork(verdict)
	ctrl.LoggerFrom(ctx).Info("network probe", "result", o.Result, "from", o.From, "to", o.To, "why", o.Why, "detail", o.Detail, "state", verdict.State)
	about := operatorAsObject(w.Namespace)
	switch why := w.history.Why(); why {
	case w.told:
	case "":
		w.told = ""
	default:
		w.told = why
		w.Recorder.Eventf(about, nil, corev1.EventTypeWarning, reasonProbeInconclusive, "Probe", "%s: %s", o.Why, o.Detail)
	}
	switch {
	case !changed:
	case verdict.State == netprobe.StateEnforced:
		w.Recorder.Eventf(about, nil, corev1.EventTypeNormal, reasonPluginEnforces, "Probe", "%s", verdict.Message)
	case verdict.State == netprobe.StateNotEnforced:
		w.Recorder.Eventf(about, nil, corev1.EventTypeWarning, reasonPluginDoesNotEnforce, "Probe", "%s", verdict.Message)
	}
}

func (w *NetworkWatch) gauge(state netprobe.State) {
	for _, s := range netprobe.States() {
		networkProbe.WithLabelValues(string(s)).Set(0)
	}
	networkProbe.WithLabelValues(string(state)).Set(1)
}
