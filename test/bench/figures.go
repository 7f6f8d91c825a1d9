package main

import (
	"fmt"
	"math"
	"slices"
	"strconv"
)

// figure is a value beside its target.
type figure struct {
	Measure string  `json:"measure"`
	Tenants int     `json:"tenants"`
	Label   string  `json:"label"`
	Value   float64 `json:"value"`
	Unit    string  `json:"unit"`
	Op      string  `json:"op"`
	Target  float64 `json:"target"`
	// First says that a miss fails the benchmark.
	First bool `json:"firstMark,omitempty"`
}

// line is what checks read.
func (f figure) line() string {
	verdict := "miss"
	if f.met() {
		verdict = "ok"
	}
	return fmt.Sprintf("bench: %s@%d %s %s target %s%s %s",
		f.Measure, f.Tenants, number(f.Value), f.Unit, f.Op, target(f.Target, f.Unit), verdict)
}

func (f figure) met() bool {
	if f.Op == ">=" {
		return f.Value >= f.Target
	}
	return f.Value <= f.Target
}

// number is a value without zeros at its end.
func number(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

// target is a number; of ratios with two places.
func target(v float64, unit string) string {
	if unit == "ratio" {
		return strconv.FormatFloat(v, 'f', 2, 64)
	}
	return number(v)
}

// rounded to what can be told apart. The verdict goes by the rounded value, the one that is shown.
func rounded(v float64, unit string) float64 {
	places := 100.0
	switch unit {
	case "ratio":
		places = 1000
	case "MiB", "%":
		places = 10
	}
	return math.Round(v*places) / places
}

// figures are all values of all samples that have a target, by number of tenants.
func figures(samples []sample) []figure {
	var list []figure
	for _, n := range numbersOf(samples) {
		for _, m := range measures() {
			if m.only != 0 && m.only != n {
				continue
			}
			var values []float64
			for _, s := range of(samples, n) {
				values = append(values, m.value(s))
			}
			list = append(list, figure{
				Measure: m.name, Tenants: n, Label: m.label, Value: rounded(m.of(values), m.unit), Unit: m.unit,
				Op: m.op, Target: rounded(m.target(n), m.unit), First: m.first,
			})
		}
	}
	return list
}

// of makes one value of those of several runs.
func (m measure) of(values []float64) float64 {
	if !m.worst {
		return median(values)
	}
	if m.op == ">=" {
		return slices.Min(values)
	}
	return slices.Max(values)
}

// numbersOf are the numbers of tenants that were measured, in their order.
func numbersOf(samples []sample) []int {
	var list []int
	for _, s := range samples {
		if !slices.Contains(list, s.Tenants) {
			list = append(list, s.Tenants)
		}
	}
	return list
}

// of are the samples with so many tenants.
func of(samples []sample, tenants int) []sample {
	return slices.DeleteFunc(slices.Clone(samples), func(s sample) bool { return s.Tenants != tenants })
}
