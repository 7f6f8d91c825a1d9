// Package monitoring judges the alert rules and the dashboard of config/monitoring with Prometheus' own parser and its promtool.
package monitoring

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/promql/parser"
	"go.yaml.in/yaml/v2"
)

const root = "../.."

// groups is the spec of a PrometheusRule, which is a file of rules for Prometheus.
type groups struct {
	Groups []struct {
		Name  string
		Rules []struct {
			Alert, Expr string
		}
	}
}

func read(t *testing.T, path ...string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(append([]string{root}, path...)...))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// rules returns the spec of the PrometheusRule, as text and decoded.
func rules(t *testing.T) ([]byte, groups) {
	t.Helper()
	var object struct{ Spec yaml.MapSlice }
	if err := yaml.Unmarshal(read(t, "config", "monitoring", "prometheusrule.yaml"), &object); err != nil {
		t.Fatal(err)
	}
	text, err := yaml.Marshal(object.Spec)
	if err != nil {
		t.Fatal(err)
	}
	var g groups
	if err := yaml.Unmarshal(text, &g); err != nil {
		t.Fatal(err)
	}
	return text, g
}

func promtool(t *testing.T, args ...string) string {
	t.Helper()
	binary, err := filepath.Abs(filepath.Join(root, "bin", "promtool"))
	if err != nil {
		t.Fatal(err)
	}
	// Without the service discovery of all the clouds, which rules do not need, it is built in a fraction of the time.
	build := exec.CommandContext(t.Context(), "go", "build", "-tags=remove_all_sd", "-o", binary, "github.com/prometheus/prometheus/cmd/promtool")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building promtool: %v\n%s", err, text)
	}
	text, err := exec.CommandContext(t.Context(), binary, args...).CombinedOutput()
	if err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, text)
	}
	return string(text)
}

// TestRules: every alert fires where it should, and for nothing else.
func TestRules(t *testing.T) {
	text, g := rules(t)
	dir := t.TempDir()
	tests := read(t, "config", "monitoring", "rules_test.yaml")
	for name, content := range map[string][]byte{"rules.yaml": text, "rules_test.yaml": tests} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	promtool(t, "check", "rules", "--lint=all", "--lint-fatal", filepath.Join(dir, "rules.yaml"))
	if out := promtool(t, "test", "rules", filepath.Join(dir, "rules_test.yaml")); !strings.Contains(out, "SUCCESS") {
		t.Errorf("promtool says:\n%s", out)
	}
	for _, group := range g.Groups {
		for _, r := range group.Rules {
			if n := strings.Count(string(tests), `alertname="`+r.Alert+`"`); n < 3 {
				t.Errorf("%s: %d expectations in rules_test.yaml; expected one where it fires and one where it does not", r.Alert, n)
			}
		}
	}
}

// documented are the metrics docs/metrics.md has a row for.
func documented(t *testing.T) []string {
	t.Helper()
	var names []string
	for _, row := range regexp.MustCompile("(?m)^\\| `(\\w+)` \\| (\\w+) \\|").FindAllStringSubmatch(string(read(t, "docs", "metrics.md")), -1) {
		names = append(names, row[1])
		if row[2] == "histogram" {
			names = append(names, row[1]+"_bucket", row[1]+"_sum", row[1]+"_count")
		}
	}
	return names
}

// TestEveryMetricThatIsNamedExists, in the alerts and in the dashboard: it has a row in docs/metrics.md, which other tests hold
// equal to what the operator serves.
func TestEveryMetricThatIsNamedExists(t *testing.T) {
	known := documented(t)
	if len(known) < 20 {
		t.Fatalf("found only %v in docs/metrics.md", known)
	}
	used := map[string]bool{}
	for where, expr := range expressions(t) {
		parsed, err := parser.NewParser(parser.Options{}).ParseExpr(variables.Replace(expr))
		if err != nil {
			t.Errorf("%s: %v\n%s", where, err, expr)
			continue
		}
		parser.Inspect(parsed, func(n parser.Node, _ []parser.Node) error {
			selector, ok := n.(*parser.VectorSelector)
			if !ok {
				return nil
			}
			used[selector.Name] = true
			if !slices.Contains(known, selector.Name) {
				t.Errorf("%s names %q, which docs/metrics.md does not have", where, selector.Name)
			}
			return nil
		})
	}
	if !used["hipaatenant_tenants"] || !used["hipaatenant_baa_expiry_timestamp_seconds"] {
		t.Errorf("looked at %v only", used)
	}
}

// variables are what Grafana puts in an expression before Prometheus sees it.
var variables = strings.NewReplacer("$__rate_interval", "5m", "$__range", "1h", "$job", "job", "$tenant", "tenant")

// expressions of the alerts and of the panels, by where they stand.
func expressions(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	_, g := rules(t)
	for _, group := range g.Groups {
		for _, r := range group.Rules {
			all["alert "+r.Alert] = r.Expr
		}
	}
	type panel struct {
		Title   string
		Targets []struct{ RefID, Expr string }
	}
	var dashboard struct{ Panels []panel }
	if err := json.Unmarshal(read(t, "config", "monitoring", "dashboard.json"), &dashboard); err != nil {
		t.Fatal(err)
	}
	for _, p := range dashboard.Panels {
		for _, target := range p.Targets {
			all["panel "+p.Title+" "+target.RefID] = target.Expr
		}
	}
	return all
}
