package stories

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hipaatenant/hipaa-tenant-operator/test/cluster"
)

var update = flag.Bool("update", false, "write docs/requirements.md from the table")

const preface = `# What vendors' HIPAA pages ask for, and how it is met

Five vendors publish what they demand of customers who handle electronic PHI. Each row of their pages is listed here, with what meets it and the
test that shows it. Behind each vendor's name stands a sample modelled on its page, in ` + "`config/samples/vendors`" + `: a profile, its business associates and
its tenants, which the tests apply to a real control plane.

| class | meaning |
|---|---|
| E | enforced by the cluster: what would break it is refused, or never opened |
| V | verified at run time: what is found is told in status, events or metrics |
| T | attested by a named person with a date and an expiry; its presence and its expiry are enforced |

A row without a test is not met yet; what it waits for is said in its place. ` + "`make test`" + ` prints one line for each class of each row, ` + "`ok`" + ` if the
test ran and passed, else ` + "`miss`" + `. This page is written from the table of these tests (` + "`go test ./test/integration/stories -run TestPage -update`" + `).
`

// TestPage keeps docs/requirements.md as the table says.
func TestPage(t *testing.T) {
	root, err := cluster.RepositoryRoot()
	if err != nil {
		t.Fatal(err)
	}
	path, want := filepath.Join(root, "docs", "requirements.md"), page()
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("docs/requirements.md is not what the table says; write it with -update (-want +got):\n%s", diff)
	}
}

func page() string {
	var b strings.Builder
	b.WriteString(preface)
	for _, s := range pages {
		fmt.Fprintf(&b, "\n## %s\n\n| requirement | how it is met | class | shown by |\n|---|---|---|---|\n", s.vendor)
		for _, r := range s.rows {
			var shown []string
			for _, e := range r.shown {
				shown = append(shown, e.class+": "+e.text())
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", r.row, r.here, r.classes(), strings.Join(shown, "<br>"))
		}
	}
	return b.String()
}

// text is what a reader searches the tests for.
func (e evidence) text() string {
	switch e.in {
	case "":
		return "not yet: " + e.missing
	case here:
		return e.test
	}
	return e.test + " (`" + e.in + "`)"
}
