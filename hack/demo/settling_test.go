package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/hipaatenant/hipaa-tenant-operator/test/operator"
)

// metrics serves what an operator would.
func metrics(t *testing.T, text func() string) *operator.Operator {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/metrics" {
			http.NotFound(w, r)
			return
		}
		fmt.Fprint(w, text())
	}))
	t.Cleanup(server.Close)
	return &operator.Operator{Metrics: strings.TrimPrefix(server.URL, "http://")}
}

func rounds(admission, nodes, tenants int) string {
	return fmt.Sprintf(`# TYPE controller_runtime_reconcile_total counter
controller_runtime_reconcile_total{controller="admission",result="success"} %d
controller_runtime_reconcile_total{controller="nodes",result="success"} %d
controller_runtime_reconcile_total{controller="tenants",result="success"} 1
controller_runtime_reconcile_total{controller="tenants",result="requeue_after"} %d
`, admission, nodes, tenants-1)
}

func TestSettling(t *testing.T) {
	text := ""
	s := &settling{operator: metrics(t, func() string { return text }), tenants: 3}
	// reached lets the quiet time pass after each round it has seen.
	reached := func() bool {
		if err := s.reached(t.Context()); err == nil {
			t.Error("expected a round just seen to be no rest")
		}
		s.since = s.since.Add(-quiet)
		return s.reached(t.Context()) == nil
	}
	for _, tc := range []struct {
		name, text string
		want       bool
	}{
		{"another replica leads", "", false},
		{"policies were not looked at", rounds(0, 1, 3), false},
		{"nodes were not looked at", rounds(2, 0, 3), false},
		{"a tenant was not looked at", rounds(3, 3, 2), false},
		{"all was looked at", rounds(3, 3, 3), true},
		{"and again", rounds(3, 3, 9), true},
	} {
		text = tc.text
		if found := reached(); found != tc.want {
			t.Errorf("%s: expected rest: %v, found %v", tc.name, tc.want, found)
		}
	}
}

func TestSettlingWithoutMetrics(t *testing.T) {
	gone := metrics(t, func() string { return "no metrics\n" })
	for name, address := range map[string]string{"unreadable": gone.Metrics, "not served": "127.0.0.1:0"} {
		s := &settling{operator: &operator.Operator{Metrics: address}, since: time.Now()}
		if err := s.reached(t.Context()); err == nil {
			t.Errorf("%s: expected an error", name)
		}
	}
}
