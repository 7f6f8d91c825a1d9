package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// taken is a sample in which everything meets its target, changed by change.
func taken(tenants int, change ...func(*sample)) sample {
	s := sample{
		Tenants: tenants,
		FloorA: []floor{
			{Concurrency: 4, Post: span{Seconds: 2}, Write: span{Seconds: 20}},
			{Concurrency: 16, Post: span{Seconds: 2}, Write: span{Seconds: 16}},
		},
		FloorB: []floor{{Concurrency: 4, Post: span{Seconds: 2}, Write: span{Seconds: 19}}},
		Before: provision{
			span:     span{Seconds: 20, CPU: map[string]float64{"kube-apiserver": 25, "etcd": 5, "operator": 4}},
			Requests: requests{Writes: 15 * tenants},
		},
		Online:  provision{span: span{Seconds: 20}, Requests: requests{Writes: 15 * tenants}},
		Steady:  steady{span: span{Seconds: 30}, Memory: memory{Resident: 40, Peak: 60, Anonymous: 20}},
		Lapse:   lapse{Gone: 4.2, Requests: requests{Writes: 3 * tenants}},
		Restart: restart{Ready: 1, Requests: requests{Watches: map[string]int{"secrets": 1}}},
	}
	for _, f := range change {
		f(&s)
	}
	return s
}

func lines(samples ...sample) []string {
	var list []string
	for _, f := range figures(samples) {
		list = append(list, f.line())
	}
	return list
}

func TestLines(t *testing.T) {
	want := []string{
		"bench: time-vs-floorA@1000 1.25 ratio target <=1.60 ok",
		"bench: time-vs-floorA-online@1000 1.111 ratio target <=1.60 ok",
		"bench: floorA-ratio@1000 0.8 ratio target >=0.80 ok",
		"bench: floorA-ratio-online@1000 0.9 ratio target >=0.80 ok",
		"bench: floorB-ratio@1000 0.95 ratio target >=0.90 ok",
		"bench: floorB-ratio-online@1000 1.05 ratio target >=0.90 ok",
		"bench: operator-cpu@1000 11.8 % target <=15 ok",
		"bench: writes-per-tenant@1000 15 writes target <=15 ok",
		"bench: reads-per-tenant@1000 0 reads target <=0 ok",
		"bench: conflicts@1000 0 requests target <=0 ok",
		"bench: steady-writes@1000 0 writes target <=0 ok",
		"bench: steady-requests@1000 0 requests target <=0 ok",
		"bench: restart-writes@1000 0 writes target <=0 ok",
		"bench: restart-lists@1000 1 requests target <=1 ok",
		"bench: restart-reads@1000 0 reads target <=0 ok",
		"bench: restart-ready@1000 1 s target <=2 ok",
		"bench: memory-first-mark@1000 40 MiB target <=120 ok",
		"bench: memory@1000 40 MiB target <=65 ok",
		"bench: associate-lapse@1000 4.2 s target <=5 ok",
		"bench: associate-lapse-writes@1000 3 writes target <=3 ok",
	}
	if diff := cmp.Diff(want, lines(taken(1000))); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
}

// A line is exactly what checks look for.
func TestLineForm(t *testing.T) {
	form := regexp.MustCompile(`^bench: [A-Za-z-]+@[0-9]+ [0-9.]+ \S+ target (<=|>=)[0-9.]+ (ok|miss)$`)
	for _, line := range lines(taken(200), taken(1000), taken(10000)) {
		if !form.MatchString(line) {
			t.Errorf("%q does not have the form %s", line, form)
		}
	}
}

// Everything that can be measured badly is seen by exactly the lines that are about it.
func TestEveryMeasureCanMiss(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*sample)
		want   []string
	}{
		{"slow", func(s *sample) { s.Before.Seconds = 30 }, []string{"time-vs-floorA", "floorA-ratio", "floorB-ratio"}},
		{"slow online", func(s *sample) { s.Online.Seconds = 30 }, []string{"time-vs-floorA-online", "floorA-ratio-online", "floorB-ratio-online"}},
		{"hungry", func(s *sample) { s.Before.CPU["operator"] = 6 }, []string{"operator-cpu"}},
		{"a write too many", func(s *sample) { s.Before.Requests.Writes += 10 }, []string{"writes-per-tenant"}},
		{"a write too many online", func(s *sample) { s.Online.Requests.Writes += 10 }, []string{"writes-per-tenant"}},
		{"reads", func(s *sample) { s.Online.Requests.Reads = 1000 }, []string{"reads-per-tenant"}},
		{"conflicts", func(s *sample) { s.Online.Requests.Conflicts = 1 }, []string{"conflicts"}},
		{"restless", func(s *sample) { s.Steady.Requests.Writes = 1 }, []string{"steady-writes", "steady-requests"}},
		{"restless elsewhere", func(s *sample) { s.Steady.Requests.OtherWrites = 1 }, []string{"steady-writes", "steady-requests"}},
		{"asking", func(s *sample) { s.Steady.Requests.Lists = map[string]int{"nodes": 1} }, []string{"steady-requests"}},
		{"restart writes", func(s *sample) { s.Restart.Requests.Writes = 1 }, []string{"restart-writes"}},
		{"restart lists twice", func(s *sample) { s.Restart.Requests.Lists = map[string]int{"nodes": 2} }, []string{"restart-lists"}},
		{"restart reads", func(s *sample) { s.Restart.Requests.Reads = 1000 }, []string{"restart-reads"}},
		{"slow restart", func(s *sample) { s.Restart.Ready = 2.5 }, []string{"restart-ready"}},
		{"large", func(s *sample) { s.Steady.Memory.Resident = 65.1 }, []string{"memory"}},
		{"a lapse that takes long", func(s *sample) { s.Lapse.Gone = 5.01 }, []string{"associate-lapse"}},
		{"a lapse that writes much", func(s *sample) { s.Lapse.Requests.Writes += 10 }, []string{"associate-lapse-writes"}},
		{"too large", func(s *sample) { s.Steady.Memory.Resident = 120.1 }, []string{"memory-first-mark", "memory"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var missed []string
			for _, f := range figures([]sample{taken(1000, tc.change)}) {
				if !f.met() {
					missed = append(missed, f.Measure)
				}
			}
			if diff := cmp.Diff(tc.want, missed); diff != "" {
				t.Errorf("missed (-want +got):\n%s", diff)
			}
		})
	}
}

// Only a first mark fails the benchmark, and only at the number of tenants it is set for.
func TestFirstMarks(t *testing.T) {
	slow := func(s *sample) { s.Before.Seconds, s.Steady.Memory.Resident = 40, 200 }
	for _, tc := range []struct {
		name string
		s    sample
		want bool
	}{
		{"all met", taken(1000), false},
		{"final target missed", taken(1000, func(s *sample) { s.Before.Seconds = 25 }), false},
		{"first mark missed", taken(1000, slow), true},
		{"other number of tenants", taken(200, slow), false},
	} {
		r := result{Figures: figures([]sample{tc.s})}
		if got := r.firstMarkMissed(); got != tc.want {
			t.Errorf("%s: %t; expected %t", tc.name, got, tc.want)
		}
	}
}

func TestTargetsByNumberOfTenants(t *testing.T) {
	for _, tc := range []struct {
		measure string
		tenants int
		want    float64
	}{
		{"memory", 200, 49}, {"memory", 1000, 65}, {"memory", 10000, 245},
		{"restart-ready", 200, 2}, {"restart-ready", 1000, 2}, {"restart-ready", 10000, 10},
	} {
		list := figures([]sample{taken(tc.tenants)})
		at := slices.IndexFunc(list, func(f figure) bool { return f.Measure == tc.measure })
		if got := list[at].Target; got != tc.want {
			t.Errorf("%s at %d tenants: target %v; expected %v", tc.measure, tc.tenants, got, tc.want)
		}
	}
}

// Of several runs the median counts, of counts the worst. Each ratio is made within one run.
func TestSeveralRuns(t *testing.T) {
	slower := func(factor float64) func(*sample) {
		return func(s *sample) {
			for i := range s.FloorA {
				s.FloorA[i].Write.Seconds *= factor
			}
			s.Before.Seconds *= factor
		}
	}
	got := lines(
		taken(1000, slower(3)),
		taken(1000, func(s *sample) { s.Before.Seconds, s.Before.Requests.Conflicts = 32, 4 }),
		taken(1000, slower(0.5)),
	)
	for _, want := range []string{
		"bench: floorA-ratio@1000 0.8 ratio target >=0.80 ok",
		"bench: conflicts@1000 4 requests target <=0 miss",
	} {
		if !slices.Contains(got, want) {
			t.Errorf("expected the line %q among\n%s", want, strings.Join(got, "\n"))
		}
	}
}

func TestMedian(t *testing.T) {
	for _, tc := range []struct {
		values []float64
		want   float64
	}{
		{[]float64{7}, 7},
		{[]float64{9, 1}, 5},
		{[]float64{9, 1, 2}, 2},
		{[]float64{4, 1, 3, 2}, 2.5},
	} {
		if got := median(tc.values); got != tc.want {
			t.Errorf("median of %v: %v; expected %v", tc.values, got, tc.want)
		}
	}
	if got := fmt.Sprint(median(nil)); got != "NaN" {
		t.Errorf("median of nothing: %s; expected no number", got)
	}
}
