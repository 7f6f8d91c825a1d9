package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/hipaatenant/hipaa-tenant-operator/test/operator"
)

// quiet is how long an operator does nothing before it counts as being at rest.
const quiet = time.Second

// settling watches an operator through its metrics, until it has looked at everything and does nothing more.
type settling struct {
	operator *operator.Operator
	tenants  int // that it must have looked at

	rounds int
	since  time.Time // of the last round that was seen
}

// reached is no error once the operator is at rest.
func (s *settling) reached(ctx context.Context) error {
	rounds, err := reconciles(ctx, s.operator.Metrics)
	if err != nil {
		return err
	}
	total := 0
	for _, n := range rounds {
		total += n
	}
	if total != s.rounds {
		s.rounds, s.since = total, time.Now()
	}
	if rounds["admission"] == 0 || rounds["nodes"] == 0 || rounds["tenants"] < s.tenants || time.Since(s.since) < quiet {
		return fmt.Errorf("expected the operator to look at policies, nodes and %d tenants and come to rest, found so many rounds: %v", s.tenants, rounds)
	}
	return nil
}

// reconciles counts the rounds of each controller since the operator started.
func reconciles(ctx context.Context, address string) (map[string]int, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/metrics", http.NoBody)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(response.Body)
	if err != nil {
		return nil, fmt.Errorf("read the operator's metrics: %w", err)
	}
	rounds := map[string]int{}
	for _, m := range families["controller_runtime_reconcile_total"].GetMetric() {
		for _, label := range m.GetLabel() {
			if label.GetName() == "controller" {
				rounds[label.GetValue()] += int(m.GetCounter().GetValue())
			}
		}
	}
	return rounds, nil
}
