package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/hipaatenant/hipaa-tenant-operator/test/cluster"
)

// result is what is kept of a benchmark. It says nothing of the machine but what the figures depend on.
type result struct {
	Date    string   `json:"date"`
	Method  method   `json:"method"`
	Figures []figure `json:"figures"`
	Samples []sample `json:"samples"`
	// Admission is what the policies cost a pod.
	Admission *admissionResult `json:"admission,omitempty"`
}

// method is what was held fixed.
type method struct {
	Cores         int     `json:"cores"`
	Go            string  `json:"go"`
	Kubernetes    string  `json:"kubernetes"`
	Fsync         bool    `json:"fsync"`
	Runs          int     `json:"runs"`
	Repeat        int     `json:"repeat"`
	Objects       int     `json:"objectsPerTenant"`
	Concurrencies []int   `json:"floorConcurrencies"`
	SteadySeconds float64 `json:"steadySeconds"`
}

func newResult(o options, server string, samples []sample, cost *admissionResult) result {
	r := result{
		Date: time.Now().UTC().Format(time.DateOnly),
		Method: method{
			Cores: runtime.NumCPU(), Go: runtime.Version(), Kubernetes: server, Fsync: o.fsync, Runs: o.runs, Repeat: o.repeat,
			Objects: objectsPerTenant, Concurrencies: o.concurrencies, SteadySeconds: o.steady.Seconds(),
		},
		Figures: figures(samples), Samples: samples, Admission: cost,
	}
	if cost != nil {
		r.Figures = append(r.Figures, cost.figures()...)
	}
	return r
}

// line is the method in a few words.
func (m method) line() string {
	disk := "etcd does not wait for the disk"
	if m.Fsync {
		disk = "etcd waits for the disk"
	}
	return fmt.Sprintf("method: %d objects per tenant; %d cores shared by all processes; Kubernetes %s, %s; %s; runs: %d (medians; counts: the worst). "+
		"Floors and operator alike: controller manager runs, admission policies in force, audit log of the writer on, same service account. "+
		"Floors: best of concurrencies %s, on empty clusters.",
		m.Objects, m.Cores, m.Kubernetes, m.Go, disk, m.Runs, strings.Trim(fmt.Sprint(m.Concurrencies), "[]"))
}

// text is the result for people.
func (r result) text() string {
	var parts []string
	if len(r.Samples) > 0 {
		parts = append(parts, r.tenantsText())
	}
	if r.Admission != nil {
		parts = append(parts, r.Admission.text())
	}
	return strings.Join(parts, "\n")
}

func (r result) tenantsText() string {
	text := tables(r.Samples, r.Figures) + "\n" + r.Method.line() + "\n"
	most := 0.0
	for _, s := range r.Samples {
		most = max(most, s.foreign())
	}
	if most > busy {
		text += fmt.Sprintf("note: other programs took up to %.0f %% of the CPU time while this was measured; repeat it on a quiet machine before quoting it.\n", 100*most)
	}
	return text
}

func (r result) firstMarkMissed() bool {
	return slices.ContainsFunc(r.Figures, func(f figure) bool { return f.First && !f.met() })
}

// keep writes the JSON result and, if asked, the table into the documentation.
func (r result) keep(o options) error {
	root, err := cluster.RepositoryRoot()
	if err != nil {
		return err
	}
	if o.results != "" {
		path, err := r.write(filepath.Join(root, o.results))
		if err != nil {
			return err
		}
		if shown, err := filepath.Rel(root, path); err == nil {
			path = shown
		}
		fmt.Fprintln(os.Stderr, "result:", path)
	}
	if o.publish {
		return r.publish(filepath.Join(root, "docs", "benchmark.md"))
	}
	return nil
}

// write creates <date>-<n>.json with the first n that is free.
func (r result) write(dir string) (string, error) {
	text, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	for n := 1; ; n++ {
		path := filepath.Join(dir, fmt.Sprintf("%s-%d.json", r.Date, n))
		f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return "", err
		}
		_, err = f.Write(append(text, '\n'))
		return path, errors.Join(err, f.Close())
	}
}

// Marks around the part of docs/benchmark.md that this program writes.
const (
	beginTable = "<!-- written by `make bench BENCHFLAGS=-publish`: begin -->\n"
	endTable   = "<!-- written by `make bench BENCHFLAGS=-publish`: end -->\n"
	// Those of the admission policies, which may be measured apart.
	beginAdmission = "<!-- admission, written by `make bench BENCHFLAGS=-publish`: begin -->\n"
	endAdmission   = "<!-- admission, written by `make bench BENCHFLAGS=-publish`: end -->\n"
)

func (r result) publish(path string) error {
	page, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	text := string(page)
	if len(r.Samples) > 0 {
		text, err = insert(text, beginTable, endTable, r.dated(r.tenantsText()))
	}
	if err == nil && r.Admission != nil {
		text, err = insert(text, beginAdmission, endAdmission, r.dated(r.Admission.text()))
	}
	if err != nil {
		return fmt.Errorf("%s: %w", filepath.Base(path), err)
	}
	return os.WriteFile(path, []byte(text), 0o644)
}

func (r result) dated(text string) string {
	return fmt.Sprintf("\nMeasured on %s.\n\n%s\n", r.Date, text)
}

// insert replaces what stands between two marks.
func insert(page, begin, end, text string) (string, error) {
	before, rest, begun := strings.Cut(page, begin)
	_, after, ended := strings.Cut(rest, end)
	if !begun || !ended {
		return "", fmt.Errorf("expected the marks %q and %q in this order, each on a line of its own", begin, end)
	}
	return before + begin + text + end + after, nil
}
