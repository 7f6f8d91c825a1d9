package controllers

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/apply"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/audit"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/buildinfo"
	"github.com/hipaatenant/hipaa-tenant-operator/test/page"
)

// described is a metric as it is registered.
var described = regexp.MustCompile(`^Desc{fqName: "(.*)", help: "(.*?)", (?:unit: ".*?", )?constLabels: {}, variableLabels: {(.*)}}$`)

// descriptions of a collector: name, labels and help.
func descriptions(t *testing.T, c prometheus.Collector) [][3]string {
	t.Helper()
	ch := make(chan *prometheus.Desc, 16)
	c.Describe(ch)
	close(ch)
	var out [][3]string
	for d := range ch {
		parts := described.FindStringSubmatch(d.String())
		if parts == nil {
			t.Fatalf("cannot read %s", d)
		}
		out = append(out, [3]string{parts[1], parts[3], parts[2]})
	}
	return out
}

func kindOf(c prometheus.Collector) string {
	switch c.(type) {
	case *prometheus.CounterVec, prometheus.Counter:
		if _, gauge := c.(prometheus.Gauge); !gauge {
			return "counter"
		}
	case *prometheus.HistogramVec:
		return "histogram"
	}
	return "gauge"
}

// TestEveryMetricIsDocumented: docs/metrics.md has a row for every metric the operator registers, and no other.
func TestEveryMetricIsDocumented(t *testing.T) {
	var rows []string
	for _, c := range served {
		for _, d := range descriptions(t, c) {
			labels := strings.ReplaceAll(d[1], ",", ", ")
			rows = append(rows, fmt.Sprintf("| `%s` | %s | %s | %s |\n", d[0], kindOf(c), labels, d[2]))
		}
	}
	slices.Sort(rows)
	page.Hold(t, "docs/metrics.md", "metrics", "| name | type | labels | meaning |\n|---|---|---|---|\n"+strings.Join(rows, ""))
}

// TestMetricsAreNamedByConvention: names, units and help are as Prometheus asks, with every metric in use.
func TestMetricsAreNamedByConvention(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	for _, c := range served {
		if c == kmsCircuits || c == tenantStates {
			continue // their series come from elsewhere
		}
		touch(c, len(strings.FieldsFunc(descriptions(t, c)[0][1], func(r rune) bool { return r == ',' })))
		registry.MustRegister(c)
	}
	states := &stateCollector{
		byName:  map[string]tenantState{"a": {reason: "Invalid", stalled: true, findings: []findingKind{{"C", "Error"}}}},
		tenants: tenantStates.tenants, unready: tenantStates.unready, stalled: tenantStates.stalled, findings: tenantStates.findings,
	}
	registry.MustRegister(states)
	t.Cleanup(forgetTouched)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range families {
		names = append(names, f.GetName())
	}
	if want := 2; len(families) < want || !slices.Contains(names, "hipaatenant_build_info") {
		t.Fatalf("gathered %v", names)
	}
	problems, err := testutil.GatherAndLint(registry)
	if err != nil || len(problems) > 0 {
		t.Errorf("%v %v", problems, err)
	}
	for _, name := range names {
		if !strings.HasPrefix(name, "hipaatenant_") {
			t.Errorf("%s does not begin with hipaatenant_", name)
		}
	}
	if missing := missingFamilies(t, families); len(missing) > 0 {
		t.Errorf("not looked at: %v", missing)
	}
}

// missingFamilies are served and were not gathered.
func missingFamilies(t *testing.T, families []*dto.MetricFamily) (missing []string) {
	t.Helper()
	for _, c := range served {
		for _, d := range descriptions(t, c) {
			at := slices.IndexFunc(families, func(f *dto.MetricFamily) bool { return f.GetName() == d[0] })
			if at < 0 && c != kmsCircuits {
				missing = append(missing, d[0])
			}
		}
	}
	return missing
}

const touched = "touched-by-a-test"

func touch(c prometheus.Collector, labels int) {
	values := slices.Repeat([]string{touched}, labels)
	switch v := c.(type) {
	case *prometheus.GaugeVec:
		v.WithLabelValues(values...)
	case *prometheus.CounterVec:
		v.WithLabelValues(values...)
	case *prometheus.HistogramVec:
		v.WithLabelValues(values...)
	}
}

func forgetTouched() {
	for _, c := range served {
		switch v := c.(type) {
		case *prometheus.GaugeVec:
			v.DeletePartialMatch(prometheus.Labels{})
		case *prometheus.CounterVec:
			v.DeletePartialMatch(prometheus.Labels{})
		case *prometheus.HistogramVec:
			v.DeletePartialMatch(prometheus.Labels{})
		}
	}
}

// TestStatesOfTenants are counted by reason and by finding; only a tenant that is not Ready is named.
func TestStatesOfTenants(t *testing.T) {
	c := &stateCollector{
		byName:  map[string]tenantState{},
		tenants: tenantStates.tenants, unready: tenantStates.unready, stalled: tenantStates.stalled, findings: tenantStates.findings,
	}
	status := func(ready metav1.ConditionStatus, reason string, findings ...v1alpha1.Finding) v1alpha1.HIPAATenantStatus {
		return v1alpha1.HIPAATenantStatus{Findings: findings, Conditions: []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: ready, Reason: reason}}}
	}
	warning := v1alpha1.Finding{Code: "Stale", Severity: v1alpha1.SeverityWarning}
	shows := func(lines ...string) {
		t.Helper()
		names := []string{"hipaatenant_tenants", "hipaatenant_tenant_unready", "hipaatenant_tenant_stalled", "hipaatenant_findings"}
		text := ""
		for _, name := range names {
			for _, d := range descriptions(t, c) {
				if d[0] == name && slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(l, name+"{") }) {
					text += "# HELP " + name + " " + d[2] + "\n# TYPE " + name + " gauge\n"
				}
			}
		}
		if err := testutil.CollectAndCompare(c, strings.NewReader(text+strings.Join(lines, "\n")+"\n"), names...); err != nil {
			t.Error(err)
		}
	}
	shows(`hipaatenant_tenants{reason="Ready"} 0`)
	c.note("acme", status(metav1.ConditionTrue, "Ready", warning, warning))
	stalled := status(metav1.ConditionFalse, "Invalid", warning)
	stalled.Conditions = append(stalled.Conditions, metav1.Condition{Type: v1alpha1.ConditionStalled, Status: metav1.ConditionTrue})
	c.note("birch", stalled)
	shows(`hipaatenant_findings{code="Stale",severity="Warning"} 3`, `hipaatenant_tenant_stalled{tenant="birch"} 1`,
		`hipaatenant_tenant_unready{reason="Invalid",tenant="birch"} 1`, `hipaatenant_tenants{reason="Invalid"} 1`, `hipaatenant_tenants{reason="Ready"} 1`)
	c.note("birch", status(metav1.ConditionTrue, "Ready"))
	shows(`hipaatenant_findings{code="Stale",severity="Warning"} 2`, `hipaatenant_tenants{reason="Ready"} 2`)
	c.forget("acme")
	shows(`hipaatenant_tenants{reason="Ready"} 1`)
}

func TestApplyIsMeasuredByResult(t *testing.T) {
	for want, tc := range map[string]struct {
		result apply.Result
		err    error
	}{
		"unchanged": {},
		"written":   {apply.Result{Written: []v1alpha1.ObjectRef{{Kind: "Secret"}}}, nil},
		"failed":    {apply.Result{Written: []v1alpha1.ObjectRef{{Kind: "Secret"}}}, errors.New("no")},
	} {
		count := func() uint64 {
			var m dto.Metric
			if err := applyDuration.WithLabelValues(want).(prometheus.Histogram).Write(&m); err != nil {
				t.Fatal(err)
			}
			return m.GetHistogram().GetSampleCount()
		}
		before := count()
		noteApply(time.Millisecond, tc.result, tc.err)
		if got := count(); got != before+1 {
			t.Errorf("%s: counted %d times, want %d", want, got, before+1)
		}
	}
}

func TestBuildAndAuditAreShown(t *testing.T) {
	b := buildinfo.Read()
	ShowBuild("off")
	if got := testutil.ToFloat64(build.WithLabelValues(b.Version, b.Revision, b.GoVersion, "off")); got != 1 {
		t.Errorf("build info is %v", got)
	}
	var kept []audit.Record
	trail := Counted(func(_ context.Context, r audit.Record) { kept = append(kept, r) })
	before := testutil.ToFloat64(auditRecords.WithLabelValues("Tried"))
	trail(t.Context(), audit.Record{Action: "Tried"})
	if got := testutil.ToFloat64(auditRecords.WithLabelValues("Tried")); got != before+1 || len(kept) != 1 {
		t.Errorf("%v records counted, %d kept", got-before, len(kept))
	}
}

// TestMetricsAreScraped: what serve takes stands in the registry that controller-runtime shows.
func TestMetricsAreScraped(t *testing.T) {
	for _, c := range served {
		if err := metrics.Registry.Register(c); !errors.As(err, new(prometheus.AlreadyRegisteredError)) {
			t.Errorf("%v is not scraped: %v", descriptions(t, c), err)
		}
	}
}
