package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/watch"
)

// sample is a demonstration without a cluster, and what it has printed.
func sample() (*demo, *bytes.Buffer) {
	var out bytes.Buffer
	return &demo{screen: &terminal{out: &out}}, &out
}

func TestVerdictsOnAnswers(t *testing.T) {
	const (
		header = "POD   NODE   REGION\n"
		east   = "a   node-us-east-1   us-east-1\n"
		west   = "b   node-us-west-2   us-west-2\n"
	)
	failed := errors.New("exit status 1")
	for name, tc := range map[string]struct {
		text  string
		err   error
		judge func(answer)
		want  string // empty: the check passes
	}{
		"shows all words":             {"one two", nil, func(a answer) { a.shows("x", "one", "two") }, ""},
		"shows too few words":         {"one", nil, func(a answer) { a.shows("x", "one", "two") }, `expected "two"`},
		"shows, but failed":           {"one", failed, func(a answer) { a.shows("x", "one") }, "exit status 1"},
		"refused in these words":      {"no: one", failed, func(a answer) { a.refused("x", "no", "one") }, ""},
		"refused for another reason":  {"no: two", failed, func(a answer) { a.refused("x", "one") }, `expected "one"`},
		"let through in these words":  {"one", nil, func(a answer) { a.refused("x", "one") }, "expected a refusal"},
		"without a word":              {"one", nil, func(a answer) { a.demo.check("x", a.without("two")) }, ""},
		"with a word too many":        {"one two", nil, func(a answer) { a.demo.check("x", a.without("two")) }, `expected no "two"`},
		"placed as wanted":            {header + east + west, nil, func(a answer) { a.placed("x", 2, "us-west-2", "us-east-1") }, ""},
		"placed nowhere":              {"", nil, func(a answer) { a.placed("x", 1, "us-east-1") }, "expected 1 pods, found 0"},
		"placed, one too many":        {header + east + west, nil, func(a answer) { a.placed("x", 1, "us-east-1") }, "expected 1 pods, found 2"},
		"placed in another region":    {header + east + west, nil, func(a answer) { a.placed("x", 2, "us-east-1") }, "expected pods in [us-east-1]"},
		"placed in too few regions":   {header + east + east, nil, func(a answer) { a.placed("x", 2, "us-east-1", "us-west-2") }, "expected pods in"},
		"placed with a false label":   {header + "a   node-eu-west-1   us-east-1\n", nil, func(a answer) { a.placed("x", 1, "us-east-1") }, "the region of that node"},
		"not placed yet":              {header + "a   <none>   <none>\n", nil, func(a answer) { a.placed("x", 1, "us-east-1") }, "the region of that node"},
		"placed, but the list failed": {header + east, failed, func(a answer) { a.placed("x", 1, "us-east-1") }, "exit status 1"},
	} {
		t.Run(name, func(t *testing.T) {
			d, out := sample()
			tc.judge(answer{d, tc.text, tc.err})
			if passed := tc.want == ""; passed != (d.failures == 0) || passed != (out.String() == "ok x\n") {
				t.Errorf("expected the check to pass: %v, found %d failures and %q", passed, d.failures, out)
			}
			if !strings.Contains(out.String(), tc.want) {
				t.Errorf("expected %q, found %q", tc.want, out)
			}
		})
	}
}

func TestPlayAndSummarize(t *testing.T) {
	good := func(_ context.Context, d *demo) { d.check("good", nil) }
	bad := func(_ context.Context, d *demo) { d.check("bad", errors.New("broken")) }
	for name, tc := range map[string]struct {
		steps []step
		want  []int // failures of each step that was shown
	}{
		"all behave":                {[]step{{title: "1", show: good}, {title: "2", show: good}}, []int{0, 0}},
		"one fails, others go on":   {[]step{{title: "1", show: bad}, {title: "2", show: good}}, []int{1, 0}},
		"a basis fails, and it end": {[]step{{title: "1", show: bad, basis: true}, {title: "2", show: good}}, []int{1}},
	} {
		t.Run(name, func(t *testing.T) {
			d, out := sample()
			results := d.play(t.Context(), tc.steps)
			if len(results) != len(tc.want) {
				t.Fatalf("expected %d steps to be shown, found %v", len(tc.want), results)
			}
			for i, r := range results {
				if r.failures != tc.want[i] {
					t.Errorf("step %s: expected %d failures, found %d", r.title, tc.want[i], r.failures)
				}
			}
			if !strings.Contains(out.String(), "\n== 1/2 1\n") {
				t.Errorf("expected a heading, found %q", out)
			}
		})
	}
}

func TestSummary(t *testing.T) {
	d, out := sample()
	var all []result
	for _, s := range steps() {
		all = append(all, result{s.title, 0, time.Second})
	}
	if err := d.summarize(all, 42*time.Second); err != nil {
		t.Errorf("expected success when every step behaved, found %v", err)
	}
	if !strings.HasSuffix(out.String(), "11 of 11 steps passed in 42 s\n") {
		t.Errorf("expected the count and the time, found %q", out)
	}
	if err := d.summarize(all[:3], time.Second); err == nil {
		t.Error("expected an error when steps are missing")
	}
}

func TestStopping(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	d, out := sample()
	d.stopped = ctx.Done()
	stops := func(_ context.Context, d *demo) {
		cancel()
		d.check("what a killed command answers", errors.New("killed"))
	}
	results := d.play(ctx, []step{{title: "1", show: stops}, {title: "2", show: stops}})
	if len(results) != 0 || d.failures != 0 || strings.Contains(out.String(), failedWord) {
		t.Errorf("expected nothing to be judged after the stop, found %v and %q", results, out)
	}
}

func TestTerminal(t *testing.T) {
	show := func(t *terminal) {
		t.heading("1/1 a step")
		t.command("true")
		t.answer("answer\n\n")
		t.answer("")
		t.verdict("good", nil)
		t.verdict("bad", errors.New("broken"))
	}
	var out bytes.Buffer
	show(&terminal{out: &out})
	if want := "\n== 1/1 a step\n\n$ true\nanswer\nok good\nFAILED bad: broken\n"; out.String() != want {
		t.Errorf("expected %q, found %q", want, out.String())
	}
	out.Reset()
	show(&terminal{out: &out, colour: true})
	for _, want := range []string{green + "ok" + plain, red + failedWord + plain} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("expected %q, found %q", want, out.String())
		}
	}
}

func TestColoursOnTerminalsOnly(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	device, err := os.Open(os.DevNull) // a character device, like a terminal
	if err != nil {
		t.Fatal(err)
	}
	defer device.Close()
	for name, tc := range map[string]struct {
		out           *os.File
		noColor, term string
		want          bool
	}{
		"a terminal":      {device, "", "xterm", true},
		"a file":          {file, "", "xterm", false},
		"NO_COLOR":        {device, "1", "xterm", false},
		"a dumb terminal": {device, "", "dumb", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("NO_COLOR", tc.noColor)
			t.Setenv("TERM", tc.term)
			if found := newTerminal(tc.out).colour; found != tc.want {
				t.Errorf("expected colours: %v, found %v", tc.want, found)
			}
		})
	}
}

func TestAbsence(t *testing.T) {
	a, start := &absence{}, time.Now()
	expectOver := func(want string) {
		t.Helper()
		err := a.over(t.Context())
		if found := errorText(err); !strings.Contains(found, want) || want == "" && err != nil {
			t.Errorf("expected %q, found %q", want, found)
		}
	}
	a.see(watch.Added, start) // as it stood when the watch began
	a.see(watch.Modified, start)
	expectOver("standing all the time")
	a.see(watch.Deleted, start)
	expectOver("gone for")
	a.see(watch.Added, start.Add(20*time.Millisecond))
	expectOver("")
	if a.last() != 20*time.Millisecond || a.within(20*time.Millisecond) != nil || a.within(19*time.Millisecond) == nil {
		t.Errorf("expected 20ms, within that and no less, found %s", a.last())
	}
	fake := watch.NewFake()
	done := make(chan struct{})
	go func() { a.follow(fake); close(done) }()
	fake.Delete(nil)
	fake.Stop()
	<-done
	expectOver("gone for")
}

func TestUnchanged(t *testing.T) {
	before := sets.New("a 1", "b 1")
	if err := unchanged(before, sets.New("b 1", "a 1")); err != nil {
		t.Errorf("expected no difference, found %v", err)
	}
	for name, after := range map[string]sets.Set[string]{
		"written": sets.New("a 1", "b 2"), "gone": sets.New("a 1"), "new": sets.New("a 1", "b 1", "c 1"),
	} {
		if unchanged(before, after) == nil {
			t.Errorf("%s: expected a difference", name)
		}
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
