package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTable(t *testing.T) {
	got := table([][]string{{"measure", "200"}, {"a", "1 ratio, miss"}, {"länge", "2"}})
	want := "| measure | 200           |\n" +
		"|---------|---------------|\n" +
		"| a       | 1 ratio, miss |\n" +
		"| länge   | 2             |\n"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("table (-want +got):\n%s", diff)
	}
}

func TestTables(t *testing.T) {
	samples := []sample{taken(200), taken(1000, func(s *sample) { s.Before.Seconds = 40 })}
	text := tables(samples, figures(samples))
	var got []string
	for line := range strings.Lines(text) {
		cells := strings.FieldsFunc(line, func(r rune) bool { return r == '|' || r == '\n' })
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		got = append(got, strings.Join(cells, "|"))
	}
	for _, want := range []string{
		"measure|200 tenants|1000 tenants|target",
		"floorA / time, tenants posted before|0.8 ratio|0.4 ratio, miss|>= 0.80",
		"time, tenants posted before / floor A: first mark||2.5 ratio, miss|<= 1.60",
		"resident memory, quiet|40 MiB|40 MiB|<= 49 / <= 65",
		"measure|200 tenants|1000 tenants",
		"floor A, s|16.0|16.0",
		"floor A, writes/s|188|938",
		"all Ready, tenants posted before, s|20.0|40.0",
	} {
		if !strings.Contains("\n"+strings.Join(got, "\n")+"\n", "\n"+want+"\n") {
			t.Errorf("expected the row %q in\n%s", want, text)
		}
	}
}

func TestTextWarnsOfABusyMachine(t *testing.T) {
	for _, tc := range []struct {
		foreign float64
		want    bool
	}{{0.05, false}, {0.4, true}} {
		busy := taken(200, func(s *sample) { s.FloorB[0].Write.Foreign = tc.foreign })
		r := newResult(options{}, "v1", []sample{busy}, nil)
		if got := strings.Contains(r.text(), "note: other programs took up to 40 %"); got != tc.want {
			t.Errorf("others took %v: warned %t; expected %t", tc.foreign, got, tc.want)
		}
	}
}

func TestMethodLineStatesTheDisk(t *testing.T) {
	for fsync, want := range map[bool]string{false: "etcd does not wait for the disk", true: "etcd waits for the disk"} {
		if line := newResult(options{fsync: fsync}, "v1", nil, nil).Method.line(); !strings.Contains(line, want) {
			t.Errorf("expected %q in %q", want, line)
		}
	}
}

// Results of one day do not overwrite each other, and can be read back.
func TestWrite(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "results")
	r := newResult(options{runs: 3, concurrencies: []int{4}}, "v1.2.3", []sample{taken(200)}, nil)
	r.Date = "2026-06-01"
	for _, want := range []string{"2026-06-01-1.json", "2026-06-01-2.json"} {
		path, err := r.write(dir)
		if err != nil || filepath.Base(path) != want {
			t.Fatalf("wrote %s, error %v; expected %s", path, err, want)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var back result
		if err := json.Unmarshal(text, &back); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(r, back, cmp.AllowUnexported(provision{}, steady{})); diff != "" {
			t.Errorf("read back (-want +got):\n%s", diff)
		}
	}
}

func TestInsert(t *testing.T) {
	page := "# Title\n" + beginTable + "old\n" + endTable + "end\n"
	got, err := insert(page, beginTable, endTable, "new\n")
	if want := strings.Replace(page, "old", "new", 1); err != nil || got != want {
		t.Errorf("%q, error %v; expected %q", got, err, want)
	}
	for _, page := range []string{"", beginTable, endTable, endTable + beginTable} {
		if got, err := insert(page, beginTable, endTable, "new\n"); err == nil {
			t.Errorf("%q became %q; expected an error", page, got)
		}
	}
}

func TestDocumentationHasTheMarks(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "benchmark.md"))
	if err != nil {
		t.Fatal(err)
	}
	for begin, end := range map[string]string{beginTable: endTable, beginAdmission: endAdmission} {
		if _, err := insert(string(page), begin, end, ""); err != nil {
			t.Error(err)
		}
	}
}

func TestParse(t *testing.T) {
	o, err := parse([]string{"-tenants", "10, 20", "-concurrency", "2", "-runs", "3", "-repeat", "2", "-fsync", "-steady", "1m", "-results", "", "-publish",
		"-only", "admission", "-namespaces", "1,5", "-foil", "5", "-rounds", "7"})
	if err != nil {
		t.Fatal(err)
	}
	want := options{tenants: []int{10, 20}, concurrencies: []int{2}, runs: 3, repeat: 2, fsync: true, steady: 60e9, publish: true,
		only: onlyAdmission, namespaces: []int{1, 5}, foils: []int{5}, rounds: 7}
	if diff := cmp.Diff(want, o, cmp.AllowUnexported(options{})); diff != "" {
		t.Errorf("options (-want +got):\n%s", diff)
	}
	for _, args := range [][]string{
		{"x"}, {"-runs", "0"}, {"-repeat", "-1"}, {"-steady", "0s"}, {"-tenants", ""}, {"-tenants", "0"}, {"-tenants", "10001"}, {"-tenants", "1;2"}, {"-concurrency", "-1"},
		{"-only", "some"}, {"-namespaces", "0"}, {"-foil", ""}, {"-rounds", "0"},
	} {
		if o, err := parse(args); err == nil {
			t.Errorf("%q became %+v; expected an error", args, o)
		}
	}
}
