package main

import (
	"fmt"
	"slices"
	"strings"
)

// table is a Markdown table whose columns are of equal width, readable as it stands.
func table(rows [][]string) string {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], len([]rune(cell)))
		}
	}
	var out strings.Builder
	for i, row := range rows {
		for j, cell := range row {
			fmt.Fprintf(&out, "| %-*s ", widths[j], cell)
		}
		out.WriteString("|\n")
		if i == 0 {
			for _, w := range widths {
				out.WriteString("|" + strings.Repeat("-", w+2))
			}
			out.WriteString("|\n")
		}
	}
	return out.String()
}

// background is a row without target: what the figures were made from.
type background struct {
	label string
	value func(sample) float64
	form  string
}

func backgrounds() []background {
	return []background{
		{"floor A, s", func(s sample) float64 { return best(s.FloorA, writeOnly).Write.Seconds }, "%.1f"},
		{"floor A, writes/s", func(s sample) float64 {
			return float64(s.Tenants*(objectsPerTenant+1)) / best(s.FloorA, writeOnly).Write.Seconds
		}, "%.0f"},
		{"floor B, s", func(s sample) float64 { return best(s.FloorB, writeOnly).Write.Seconds }, "%.1f"},
		{"posting the HIPAATenants, s", func(s sample) float64 { return best(s.FloorA, postAndWrite).Post.Seconds }, "%.1f"},
		{"all Ready, tenants posted before, s", func(s sample) float64 { return s.Before.Seconds }, "%.1f"},
		{"all Ready, tenants posted online, s", func(s sample) float64 { return s.Online.Seconds }, "%.1f"},
		{"CPU of API server, etcd and writer: floor A, s", func(s sample) float64 { return best(s.FloorA, writeOnly).Write.total(processBench) }, "%.1f"},
		{"CPU of API server, etcd and operator: posted before, s", func(s sample) float64 { return s.Before.total(processOperator) }, "%.1f"},
		{"CPU of the operator: posted before, s", func(s sample) float64 { return s.Before.CPU[processOperator] }, "%.1f"},
		{"CPU of the operator: posted online, s", func(s sample) float64 { return s.Online.CPU[processOperator] }, "%.1f"},
		{"CPU of the operator while nothing happens, millicores", func(s sample) float64 { return 1000 * s.Steady.CPU[processOperator] / s.Steady.Seconds }, "%.0f"},
		{"memory, peak, MiB", func(s sample) float64 { return s.Steady.Memory.Peak }, "%.1f"},
		{"memory, anonymous, quiet, MiB", func(s sample) float64 { return s.Steady.Memory.Anonymous }, "%.1f"},
		{"memory after a restart, MiB", func(s sample) float64 { return s.Restart.Memory.Resident }, "%.1f"},
		{"CPU taken by other programs, at most, %", func(s sample) float64 { return 100 * s.foreign() }, "%.0f"},
	}
}

// foreign is the highest part of the CPU time that others took in any interval a ratio is made of, 0 to 1.
func (s sample) foreign() float64 {
	most := max(s.Before.Foreign, s.Online.Foreign)
	for _, f := range slices.Concat(s.FloorA, s.FloorB) {
		most = max(most, f.Write.Foreign)
	}
	return most
}

// tables are the figures with their targets, and what they were made from; one column for each number of tenants.
func tables(samples []sample, list []figure) string {
	ns := numbersOf(samples)
	head := []string{"measure"}
	for _, n := range ns {
		head = append(head, fmt.Sprintf("%d tenants", n))
	}
	targets := [][]string{slices.Concat(head, []string{"target"})}
	for _, m := range measures() {
		if row := targetRow(m.name, ns, list); row != nil {
			targets = append(targets, row)
		}
	}
	behind := [][]string{head}
	for _, b := range backgrounds() {
		row := []string{b.label}
		for _, n := range ns {
			var values []float64
			for _, s := range of(samples, n) {
				values = append(values, b.value(s))
			}
			row = append(row, fmt.Sprintf(b.form, median(values)))
		}
		behind = append(behind, row)
	}
	return table(targets) + "\n" + table(behind)
}

// targetRow is one measure at every number of tenants; nil when none has it.
func targetRow(name string, ns []int, list []figure) []string {
	var row, aims []string
	for _, n := range ns {
		at := slices.IndexFunc(list, func(f figure) bool { return f.Measure == name && f.Tenants == n })
		if at < 0 {
			row = append(row, "")
			continue
		}
		f := list[at]
		cell := number(f.Value) + " " + f.Unit
		if !f.met() {
			cell += ", miss"
		}
		row = append(row, cell)
		if aim := f.Op + " " + target(f.Target, f.Unit); !slices.Contains(aims, aim) {
			aims = append(aims, aim)
		}
	}
	if len(aims) == 0 {
		return nil
	}
	label := list[slices.IndexFunc(list, func(f figure) bool { return f.Measure == name })].Label
	return slices.Concat([]string{label}, row, []string{strings.Join(aims, " / ")})
}
