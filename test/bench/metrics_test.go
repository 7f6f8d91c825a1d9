package main

import (
	"strings"
	"testing"
)

const exposition = `# HELP controller_runtime_reconcile_total Total number of reconciliations per controller
# TYPE controller_runtime_reconcile_total counter
controller_runtime_reconcile_total{controller="admission",result="success"} 100
controller_runtime_reconcile_total{controller="tenants",result="requeue_after"} 20
controller_runtime_reconcile_total{controller="tenants",result="success"} 3
# TYPE workqueue_depth gauge
workqueue_depth{controller="tenants",name="tenants",priority="0"} 4
workqueue_depth{controller="tenants",name="tenants",priority="-100"} 5
workqueue_depth{controller="admission",name="admission",priority=""} 7
# TYPE controller_runtime_active_workers gauge
controller_runtime_active_workers{controller="tenants"} 2
controller_runtime_active_workers{controller="admission"} 1
`

func TestParseWork(t *testing.T) {
	got, err := parseWork(strings.NewReader(exposition))
	if want := (work{reconciled: 23, pending: 11}); err != nil || got != want {
		t.Errorf("%+v, error %v; expected %+v", got, err, want)
	}
	if got, err := parseWork(strings.NewReader("")); err != nil || got != (work{}) {
		t.Errorf("before the first metric: %+v, error %v; expected nothing", got, err)
	}
	if got, err := parseWork(strings.NewReader("<html>")); err == nil {
		t.Errorf("a page that holds no metrics: %+v; expected an error", got)
	}
}

func TestQuiet(t *testing.T) {
	for _, tc := range []struct {
		w    work
		want bool
	}{
		{work{reconciled: 10}, true},
		{work{reconciled: 11}, true},
		{work{reconciled: 9}, false},
		{work{reconciled: 10, pending: 1}, false},
	} {
		if got := tc.w.quiet(10); got != tc.want {
			t.Errorf("%+v: quiet %t; expected %t", tc.w, got, tc.want)
		}
	}
}
