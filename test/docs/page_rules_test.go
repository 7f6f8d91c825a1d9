package docs

import (
	"strings"
	"testing"
)

// What would keep a block from being tested, unseen, is found.
func TestParse(t *testing.T) {
	for name, row := range map[string]struct{ text, problem string }{
		"a block that is run":            {"```sh\nkubectl get pods\n```", ""},
		"a block within a list":          {"1. this:\n\n   ```sh\n   kubectl get pods\n   ```", ""},
		"a reason":                       {"<!-- not run: needs a cloud account -->\n```sh\naws kms list-keys\n```", ""},
		"two directives":                 {"<!-- yaml: HIPAATenant.spec -->\n<!-- file: a.yaml -->\n```yaml\na: b\n```", ""},
		"a comment of another kind":      {"<!-- generated -->\n```text\nhello\n```", ""},
		"no language":                    {"```\nkubectl get pods\n```", "language"},
		"an unknown language":            {"```shell\nkubectl get pods\n```", "language"},
		"a program that nothing runs":    {"```go\npackage main\n```", "no test compiles"},
		"never closed":                   {"```sh\nkubectl get pods\n", "never closed"},
		"no reason":                      {"<!-- not run: -->\n```sh\naws kms list-keys\n```", "says nothing"},
		"not run, and could be":          {"<!-- not run: takes too long -->\n```sh\nkubectl get pods\n```", "is run"},
		"not run, by helm":               {"<!-- not run: later -->\n```console\n$ helm list \\\n    -A\nNAME\n```", "is run"},
		"kubectl that needs a kubelet":   {"<!-- not run: needs a kubelet -->\n```sh\nkubectl -n a logs b\n```", ""},
		"a directive of no use":          {"<!-- as: dana -->\n```yaml\na: b\n```", "says nothing about yaml"},
		"a directive without a block":    {"<!-- as: dana -->\nSome text.\n```sh\nkubectl get pods\n```", "a block was expected"},
		"begins":                         {"<!-- begins: an empty cluster -->\n\n```sh\nkubectl get pods\n```", ""},
		"begins elsewhere":               {"<!-- begins: a full cluster -->\n", "a page begins"},
		"begins too late":                {"```sh\nkubectl get pods\n```\n<!-- begins: an empty cluster -->\n", "a page begins"},
		"a fence of four holds three":    {"````text\n```\n````", ""},
		"a shorter fence does not close": {"````text\n```\n", "never closed"},
	} {
		_, err := parse("docs/a.md", row.text)
		switch {
		case row.problem == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case row.problem != "" && (err == nil || !strings.Contains(err.Error(), row.problem)):
			t.Errorf("%s: expected an error with %q, found %v", name, row.problem, err)
		}
	}
}

// A script is cut where the shell would act.
func TestCommands(t *testing.T) {
	for script, count := range map[string]int{
		"a\nb\n":                        2,
		"# why\n\na # what\n":           1,
		"a \\\n  --b\nc\n":              2,
		"a |\n  b\n":                    1,
		"cat > f <<'EOF'\nx\ny\nEOF\na": 2,
		"for i in 1 2; do\n  a\ndone\n": 1,
		"a 'x\ny'\nb\n":                 2,
	} {
		if found := split(script); len(found) != count {
			t.Errorf("%q: expected %d commands, found %q", script, count, found)
		}
	}
}

// What is shown on a page is compared with what comes, but for what changes by itself.
func TestDiffers(t *testing.T) {
	const table = "NAME    READY   AGE\nacme    True    8s\nbirch   True    8s\n"
	for name, row := range map[string]struct {
		shown, came string
		differs     bool
	}{
		"the same":           {table, table, false},
		"another age":        {table, strings.ReplaceAll(table, "8s", "2m5s"), false},
		"other widths":       {table, strings.ReplaceAll(table, "   ", "      "), false},
		"another column":     {table, strings.ReplaceAll(table, "READY", "PHASE"), true},
		"another value":      {table, strings.Replace(table, "True", "False", 1), true},
		"a row less":         {table, "NAME READY AGE\nacme True 8s\n", true},
		"a row more":         {table, table + "cedar True 8s\n", true},
		"rows left out":      {"NAME READY AGE\n...\nbirch True 8s\n", table, false},
		"the rest left out":  {"NAME READY AGE\n...\n", table, false},
		"text left out":      {"Error from server (Forbidden): ... denied\n", "Error from server (Forbidden): pods \"a\" is denied\n", false},
		"text that is wrong": {"Error from server (Forbidden): ... denied\n", "Error from server (Forbidden): pods \"a\" is allowed\n", true},
		"nothing shown":      {"", table, false},
		"a time":             {"until 2026-11-22T10:00:00Z.\n", "until 2031-01-02T03:04:05Z.\n", false},
	} {
		if err := differs(row.shown, row.came); (err != nil) != row.differs {
			t.Errorf("%s: %v", name, err)
		}
	}
}
