package main

import (
	"fmt"
	"math"
	"slices"
)

// spreadOf finds the quantiles of values.
func spreadOf(values []float64) spread {
	return spread{P50: quantile(values, 0.5), P90: quantile(values, 0.9), P99: quantile(values, 0.99)}
}

// quantile is the smallest value that so large a part of the values does not exceed; NaN of none.
func quantile(values []float64, part float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[max(0, int(math.Ceil(part*float64(len(sorted))))-1)]
}

// less subtracts value by value: what belongs to one round.
func less(a, b []float64) []float64 {
	list := make([]float64, min(len(a), len(b)))
	for i := range list {
		list[i] = a[i] - b[i]
	}
	return list
}

// figures are the values that have a target: those of the policies as they ship, and how they grow with the tenants.
func (r *admissionResult) figures() []figure {
	var list []figure
	own := slices.DeleteFunc(slices.Clone(r.Sites), func(s admissionSite) bool { return s.Foil })
	for _, s := range own {
		list = append(list,
			figure{
				Measure: "admission-p50", Tenants: s.Tenants, Label: "a pod takes longer, p50", Unit: "ms", Op: "<=", Target: 0.3,
				Value: rounded(s.Added.P50, "ms"),
			},
			figure{
				Measure: "admission-p99", Tenants: s.Tenants, Label: "a pod takes longer, p99", Unit: "ms", Op: "<=", Target: 2,
				Value: rounded(s.Added.P99, "ms"),
			})
	}
	if len(own) < 2 {
		return list
	}
	byTenants := func(a, b admissionSite) int { return a.Tenants - b.Tenants }
	few, many := slices.MinFunc(own, byTenants), slices.MaxFunc(own, byTenants)
	return append(list, figure{
		Measure: "admission-ratio", Tenants: many.Tenants, Label: fmt.Sprintf("the same at %d tenants / at %d, p50", many.Tenants, few.Tenants),
		Unit: "ratio", Op: "<=", Target: 1.1, Value: rounded(many.Beside.P50/few.Beside.P50, "ratio"),
	})
}

// text is a table with one column for each site, and what it was measured against.
func (r *admissionResult) text() string {
	rows := [][]string{{"a pod's creation takes longer by (ms)"}}
	for _, s := range r.Sites {
		title := fmt.Sprintf("%d tenants", s.Tenants)
		if s.Foil {
			title += ", a binding each"
		}
		rows[0] = append(rows[0], title)
	}
	for _, line := range []struct {
		label string
		value func(admissionSite) float64
	}{
		{"than without a policy, p50", func(s admissionSite) float64 { return s.Added.P50 }},
		{"than without a policy, p90", func(s admissionSite) float64 { return s.Added.P90 }},
		{"than without a policy, p99", func(s admissionSite) float64 { return s.Added.P99 }},
		{"than without a policy, fastest tenth of each", func(s admissionSite) float64 { return s.Fastest }},
		{"than in a namespace of nobody, p50", func(s admissionSite) float64 { return s.Beside.P50 }},
		{"than in a namespace of nobody, p99", func(s admissionSite) float64 { return s.Beside.P99 }},
		{"really created, not a dry run, p50", func(s admissionSite) float64 { return s.Stored.P50 }},
		{"in a namespace of nobody, p50", func(s admissionSite) float64 { return s.Others.P50 }},
		{"inside the plug-in for mutating policies, mean", func(s admissionSite) float64 { return s.Mutating }},
		{"inside the plug-in for validating policies, mean", func(s admissionSite) float64 { return s.Validating }},
		{"inside all admission plug-ins, mean", func(s admissionSite) float64 { return s.Everything }},
	} {
		row := []string{line.label}
		for _, s := range r.Sites {
			row = append(row, fmt.Sprintf("%.2f", line.value(s)))
		}
		rows = append(rows, row)
	}
	text := table(rows) + fmt.Sprintf("\n%d rounds; without a policy the same request takes p50 %.2f ms, p99 %.2f ms; made twice, it differs by p50 %.2f, p99 %.2f. "+
		"The largest NetworkPolicy (%d blocks each way against %d networks each) takes longer by p50 %.1f ms, p99 %.1f ms. Other programs took %.0f %% of the CPU.\n",
		r.Rounds, r.Floor.P50, r.Floor.P99, r.Noise.P50, r.Noise.P99, mostNetworks, mostNetworks, r.Networks.P50, r.Networks.P99, 100*r.Foreign)
	if r.Foreign > busy {
		text += "note: that is too much; repeat it on a quiet machine before quoting it.\n"
	}
	return text
}
