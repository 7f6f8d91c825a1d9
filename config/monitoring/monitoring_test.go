// Package monitoring checks what config/monitoring promises to people. What Prometheus thinks of it, test/monitoring checks.
package monitoring

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

const runbooks = "../../docs/runbooks"

// alert as a PrometheusRule has it.
type alert struct {
	Alert, Expr, For string
	Labels           map[string]string
	Annotations      struct {
		Summary, Description string
		Runbook              string `json:"runbook_url"`
	}
}

func alerts(t *testing.T) []alert {
	t.Helper()
	var rule struct {
		Spec struct {
			Groups []struct {
				Name  string
				Rules []alert
			}
		}
	}
	text, err := os.ReadFile("prometheusrule.yaml")
	if err == nil {
		err = yaml.Unmarshal(text, &rule)
	}
	if err != nil {
		t.Fatal(err)
	}
	var all []alert
	for _, g := range rule.Spec.Groups {
		if !strings.HasPrefix(g.Name, "hipaatenant.") {
			t.Errorf("group %s: expected a name that begins with hipaatenant., so that no other has it", g.Name)
		}
		all = append(all, g.Rules...)
	}
	if len(all) < 15 {
		t.Fatalf("found %d alerts only", len(all))
	}
	return all
}

// TestEveryAlertHasARunbook of its name, which has the four parts a person looks for; and no runbook is left over.
func TestEveryAlertHasARunbook(t *testing.T) {
	files, err := filepath.Glob(runbooks + "/*.md")
	if err != nil {
		t.Fatal(err)
	}
	left := map[string]bool{}
	for _, f := range files {
		left[filepath.Base(f)] = true
	}
	delete(left, "README.md")
	index, err := os.ReadFile(runbooks + "/README.md")
	if err != nil {
		t.Error(err)
	}
	for _, a := range alerts(t) {
		file := a.Alert + ".md"
		if want := "https://github.com/hipaatenant/hipaa-tenant-operator/blob/main/docs/runbooks/" + file; a.Annotations.Runbook != want {
			t.Errorf("%s: runbook_url is %q, want %q", a.Alert, a.Annotations.Runbook, want)
		}
		if !slices.Contains([]string{"critical", "warning"}, a.Labels["severity"]) || a.Annotations.Summary == "" || a.Annotations.Description == "" {
			t.Errorf("%s: severity %q, summary %q, description %q", a.Alert, a.Labels["severity"], a.Annotations.Summary, a.Annotations.Description)
		}
		if !strings.Contains(string(index), "| ["+a.Alert+"]("+file+") | "+a.Labels["severity"]+" |") {
			t.Errorf("%s, %s, has no row in %s/README.md", a.Alert, a.Labels["severity"], runbooks)
		}
		text, err := os.ReadFile(filepath.Join(runbooks, file))
		if err != nil {
			t.Error(err)
			continue
		}
		delete(left, file)
		at := 0
		for _, part := range []string{"# " + a.Alert + "\n", "\n## What it means\n", "\n## See\n", "\n## Do\n", "\n## Silence\n"} {
			i := strings.Index(string(text)[at:], part)
			if i < 0 {
				t.Errorf("%s: expected %q, in its place", file, strings.TrimSpace(part))
				break
			}
			at += i
		}
	}
	for file := range left {
		t.Errorf("%s/%s is of no alert", runbooks, file)
	}
}

// panel of a dashboard.
type panel struct {
	ID          int
	Type, Title string
	GridPos     struct{ H, W, X, Y int }
	Targets     []target
	Datasource  *datasource
}

type target struct {
	RefID, Expr string
	Datasource  *datasource
}

type datasource struct{ Type, UID string }

// TestDashboard can be imported as it is: its panels have names, places of their own and the data source of the variable.
func TestDashboard(t *testing.T) {
	var d struct {
		Title, UID    string
		SchemaVersion int
		Templating    struct {
			List []struct{ Name, Type, Query any }
		}
		Panels []panel
	}
	text, err := os.ReadFile("dashboard.json")
	if err == nil {
		err = json.Unmarshal(text, &d)
	}
	if err != nil {
		t.Fatal(err)
	}
	if d.Title == "" || d.UID == "" || d.SchemaVersion < 30 || len(d.Templating.List) == 0 || d.Templating.List[0].Type != "datasource" {
		t.Errorf("title %q, uid %q, schema %d, variables %v", d.Title, d.UID, d.SchemaVersion, d.Templating.List)
	}
	ids, titles, taken := map[int]bool{}, map[string]bool{}, map[[2]int]string{}
	for _, p := range d.Panels {
		if ids[p.ID] || titles[p.Title] || p.Title == "" {
			t.Errorf("panel %d %q: the number or the title is another's too", p.ID, p.Title)
		}
		ids[p.ID], titles[p.Title] = true, true
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" || x >= 24 {
					t.Fatalf("panel %q lies over %q, or beyond the edge", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
		if p.Type == "row" {
			continue
		}
		want := datasource{"prometheus", "${datasource}"}
		for i, target := range p.Targets {
			if target.Datasource == nil || *target.Datasource != want || target.RefID != fmt.Sprintf("%c", 'A'+i) || !strings.Contains(target.Expr, `job=~"$job"`) {
				t.Errorf("panel %q, query %s: data source %v, expression %q", p.Title, target.RefID, target.Datasource, target.Expr)
			}
		}
		if len(p.Targets) == 0 || p.Datasource == nil || *p.Datasource != want {
			t.Errorf("panel %q: %d queries, data source %v", p.Title, len(p.Targets), p.Datasource)
		}
	}
	if len(ids) < 20 {
		t.Errorf("%d panels only", len(ids))
	}
}
