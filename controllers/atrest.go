package controllers

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/atrest"
)

var (
	encryptionAtRest = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "hipaatenant_encryption_at_rest",
		Help: "1 for the observed state of the encryption of Secrets in etcd, 0 for the others.",
	}, []string{"state"})
	atRestObserved = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "hipaatenant_encryption_at_rest_observed_timestamp_seconds",
		Help: "When the encryption of Secrets in etcd was last observed.",
	})
	apiServers = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "hipaatenant_encryption_at_rest_api_servers",
		Help: "API servers that run, and those of them that were observed the last time.",
	}, []string{"which"})
)

func init() { serve(encryptionAtRest, atRestObserved, apiServers) }

// AtRestWatch looks at how the API servers store Secrets, when it starts and then at an interval, and says so in State.
// Only the leader does: each look is a write.
type AtRestWatch struct {
	Probe *AtRestProbe
	State *ClusterState
	// Interval between looks; nothing is looked at when it is zero.
	Interval time.Duration
	Recorder events.EventRecorder
	Clock    clock.Clock

	holds time.Time // until then the last verdict stands although looks fail
}

// jitter spreads the looks of many clusters.
const jitter = 0.2

// grace is how long failing looks change nothing, as a share of the interval: at the start what the status says from
// before stands, afterwards the verdict does until two looks in a row have failed.
func (w *AtRestWatch) grace(seen bool) time.Duration {
	if seen {
		return w.Interval * 5 / 2
	}
	return w.Interval / 5
}

// retry is how soon a failed look is repeated.
func (w *AtRestWatch) retry() time.Duration { return w.Interval / 10 }

// NeedLeaderElection says that one replica alone looks.
func (w *AtRestWatch) NeedLeaderElection() bool { return true }

// Start looks until the context ends.
func (w *AtRestWatch) Start(ctx context.Context) error {
	if w.Interval == 0 {
		w.publish(ctx, atrest.Verdict{State: atrest.StateUnknown, Message: "not observed: the operator was started with --encryption-probe-interval=0"})
		return nil
	}
	w.holds = w.Clock.Now().Add(w.grace(false))
	for {
		next := w.look(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-w.Clock.After(wait.Jitter(next, jitter)):
		}
	}
}

// look looks once and returns when to look again.
func (w *AtRestWatch) look(ctx context.Context) time.Duration {
	o, err := w.Probe.look(ctx)
	if ctx.Err() != nil {
		return w.Interval
	}
	apiServers.WithLabelValues("running").Set(float64(len(o.servers)))
	apiServers.WithLabelValues("observed").Set(float64(atrest.Observed(o.servers, o.samples)))
	verdict := conclude(o, err)
	if verdict.State == atrest.StateUnknown {
		ctrl.LoggerFrom(ctx).Info("how API servers store Secrets could not be observed", "why", verdict.Message, "error", err, "trouble", o.trouble)
	}
	return w.take(ctx, verdict)
}

// conclude is the verdict on what a look found.
func conclude(o observation, err error) atrest.Verdict {
	switch {
	case apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err):
		return atrest.Verdict{State: atrest.StateUnknown, Message: "not observed: the operator may not; grant it what config/rbac/operator.yaml does, " +
			"or, where the API servers' metrics are closed, attest 164.312(a)(2)(iv)"}
	case err != nil:
		return atrest.Verdict{State: atrest.StateUnknown, Message: "not observed: the API servers did not answer the operator's probe"}
	}
	return atrest.Judge(o.servers, o.samples)
}

// take publishes a verdict, unless it is but a look that failed while the last verdict still holds. One that is refused is
// no different: an API server that has just started refuses everything until it has read its roles.
func (w *AtRestWatch) take(ctx context.Context, verdict atrest.Verdict) time.Duration {
	now, failed := w.Clock.Now(), verdict.State == atrest.StateUnknown
	if !failed {
		w.holds = now.Add(w.grace(true))
		atRestObserved.Set(float64(now.Unix()))
	}
	if !failed || !now.Before(w.holds) {
		w.publish(ctx, verdict)
	}
	if failed {
		return w.retry()
	}
	return w.Interval
}

// publish says a verdict to all tenants, once, and records a change as an event of the operator: it is one matter, however
// many tenants there are.
func (w *AtRestWatch) publish(ctx context.Context, verdict atrest.Verdict) {
	for _, state := range atrest.States() {
		encryptionAtRest.WithLabelValues(string(state)).Set(0)
	}
	encryptionAtRest.WithLabelValues(string(verdict.State)).Set(1)
	if !w.State.setAtRest(verdict) {
		return
	}
	ctrl.LoggerFrom(ctx).Info("encryption of Secrets at rest", "state", verdict.State, "message", verdict.Message)
	kind := corev1.EventTypeWarning
	if verdict.State == atrest.StateKMS {
		kind = corev1.EventTypeNormal
	}
	w.Recorder.Eventf(operatorAsObject(w.Probe.Namespace), nil, kind, "EncryptionAtRest", "Observe", "%s", fmt.Sprintf("%s: %s", verdict.State, verdict.Message))
}
