package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/hipaatenant/hipaa-tenant-operator/test/operator"
)

// work is what the operator's metrics tell of its tenant controller.
type work struct {
	reconciled int // since its start
	pending    int // queued or in work; what waits for its time does not count
}

func (w work) quiet(atLeast int) bool { return w.pending == 0 && w.reconciled >= atLeast }

// pollMetrics is how often metrics are read: often enough for times in tenths of a second, seldom enough not to be
// a load.
const pollMetrics = 50 * time.Millisecond

// awaitQuiet waits until the operator has reconciled tenants so many times and nothing has moved for a while. It returns
// when the last movement was seen.
func awaitQuiet(ctx context.Context, op *operator.Operator, atLeast int, still time.Duration) (time.Time, error) {
	tick := time.NewTicker(pollMetrics)
	defer tick.Stop()
	moved, last := time.Now(), work{}
	for {
		now, err := readWork(ctx, op.Metrics)
		if err != nil {
			return moved, fmt.Errorf("%w; the end of the operator's log:\n%s", err, op.LogTail(4096))
		}
		if now != last {
			moved, last = time.Now(), now
		}
		if now.quiet(atLeast) && time.Since(moved) >= still {
			return moved, nil
		}
		select {
		case <-ctx.Done():
			return moved, fmt.Errorf("the operator is not quiet: expected %d reconciles or more and nothing pending, found %+v: %w", atLeast, now, ctx.Err())
		case <-tick.C:
		}
	}
}

func readWork(ctx context.Context, address string) (work, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/metrics", nil)
	if err != nil {
		return work{}, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return work{}, err
	}
	defer response.Body.Close()
	return parseWork(response.Body)
}

// parseWork reads metrics in the Prometheus text format.
func parseWork(text io.Reader) (work, error) {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(text)
	if err != nil {
		return work{}, fmt.Errorf("expected metrics in the Prometheus text format: %w", err)
	}
	const controller = "tenants"
	return work{
		reconciled: sum(families["controller_runtime_reconcile_total"], "controller", controller),
		pending: sum(families["workqueue_depth"], "name", controller) +
			sum(families["controller_runtime_active_workers"], "controller", controller),
	}, nil
}

// sum adds the counters and gauges of a family that carry the label; 0 when the family is not there yet.
func sum(family *dto.MetricFamily, label, value string) int {
	total := 0.0
	for _, m := range family.GetMetric() {
		for _, l := range m.GetLabel() {
			if l.GetName() == label && l.GetValue() == value {
				total += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return int(total)
}
