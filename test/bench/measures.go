package main

import (
	"cmp"
	"math"
	"slices"
)

// measure is one row of the table of targets.
type measure struct {
	name  string
	label string
	unit  string
	// op compares a value with its target: ">=" or "<=".
	op     string
	target func(tenants int) float64
	// first marks must be met; all others are aims.
	first bool
	// only is the one number of tenants the target is for; 0 is any.
	only int
	// worst of several runs counts, in place of the median.
	worst bool
	value func(sample) float64
}

// firstMarkTenants is what first marks are set for.
const firstMarkTenants = 1000

// measures are the targets, in the order of the table.
func measures() []measure {
	return slices.Concat(speedMeasures(), requestMeasures(), quietMeasures(), lapseMeasures())
}

func lapseMeasures() []measure {
	return []measure{
		{
			name: "associate-lapse", label: "associate lapse, last egress rule gone", unit: "s", op: "<=", target: always(5), only: firstMarkTenants,
			value: func(s sample) float64 { return s.Lapse.Gone },
		},
		{
			name: "associate-lapse-writes", label: "writes per tenant at an associate lapse", unit: "writes", op: "<=", target: always(3), worst: true,
			value: func(s sample) float64 { return float64(s.Lapse.Requests.Writes) / float64(s.Tenants) },
		},
	}
}

func speedMeasures() []measure {
	list := []measure{
		{
			name: "time-vs-floorA", label: "time, tenants posted before / floor A: first mark", unit: "ratio", op: "<=", target: always(1.6),
			first: true, only: firstMarkTenants, value: func(s sample) float64 { return 1 / efficiency(s.FloorA, s.Before, writeOnly) },
		},
		{
			name: "time-vs-floorA-online", label: "time, tenants posted online / floor A: first mark", unit: "ratio", op: "<=", target: always(1.6),
			first: true, only: firstMarkTenants, value: func(s sample) float64 { return 1 / efficiency(s.FloorA, s.Online, postAndWrite) },
		},
	}
	for _, f := range []struct {
		name   string
		target float64
		runs   func(sample) []floor
	}{
		{"floorA", 0.8, func(s sample) []floor { return s.FloorA }},
		{"floorB", 0.9, func(s sample) []floor { return s.FloorB }},
	} {
		list = append(list, measure{
			name: f.name + "-ratio", label: f.name + " / time, tenants posted before", unit: "ratio", op: ">=", target: always(f.target),
			value: func(s sample) float64 { return efficiency(f.runs(s), s.Before, writeOnly) },
		}, measure{
			name: f.name + "-ratio-online", label: f.name + " / time, tenants posted online", unit: "ratio", op: ">=", target: always(f.target),
			value: func(s sample) float64 { return efficiency(f.runs(s), s.Online, postAndWrite) },
		})
	}
	return append(list, measure{
		name: "operator-cpu", label: "operator's share of the CPU time of API server, etcd and operator", unit: "%", op: "<=", target: always(15),
		value: func(s sample) float64 { return 100 * s.Before.share(processOperator) },
	})
}

func requestMeasures() []measure {
	perTenant := func(count func(requests) int) func(sample) float64 {
		return func(s sample) float64 {
			return float64(max(count(s.Before.Requests), count(s.Online.Requests))) / float64(s.Tenants)
		}
	}
	return []measure{
		{
			name: "writes-per-tenant", label: "writes per tenant", unit: "writes", op: "<=", target: always(objectsPerTenant + 1), worst: true,
			value: perTenant(func(r requests) int { return r.Writes }),
		},
		{
			name: "reads-per-tenant", label: "GET and LIST per tenant", unit: "reads", op: "<=", target: always(0), worst: true,
			value: perTenant(func(r requests) int { return r.Reads }),
		},
		{
			name: "conflicts", label: "conflicts (409)", unit: "requests", op: "<=", target: always(0), worst: true,
			value: func(s sample) float64 { return float64(s.Before.Requests.Conflicts + s.Online.Requests.Conflicts) },
		},
	}
}

func quietMeasures() []measure {
	return []measure{
		{
			name: "steady-writes", label: "writes while nothing happens", unit: "writes", op: "<=", target: always(0), worst: true,
			value: func(s sample) float64 { return float64(s.Steady.Requests.Writes + s.Steady.Requests.OtherWrites) },
		},
		{
			name: "steady-requests", label: "requests while nothing happens, but leader election and watches", unit: "requests", op: "<=", target: always(0), worst: true,
			value: func(s sample) float64 { return float64(s.Steady.Requests.unexplained()) },
		},
		{
			name: "restart-writes", label: "writes of a restart", unit: "writes", op: "<=", target: always(0), worst: true,
			value: func(s sample) float64 { return float64(s.Restart.Requests.Writes + s.Restart.Requests.OtherWrites) },
		},
		{
			name: "restart-lists", label: "lists or watches of one kind at a restart, at most", unit: "requests", op: "<=", target: always(1), worst: true,
			value: func(s sample) float64 { return float64(s.Restart.Requests.mostPerKind()) },
		},
		{
			name: "restart-reads", label: "GET and LIST per tenant at a restart", unit: "reads", op: "<=", target: always(0), worst: true,
			value: func(s sample) float64 { return float64(s.Restart.Requests.Reads) / float64(s.Tenants) },
		},
		{
			name: "restart-ready", label: "restart until every tenant was looked at", unit: "s", op: "<=",
			target: func(n int) float64 { return max(2, float64(n)/1000) },
			value:  func(s sample) float64 { return s.Restart.Ready },
		},
		{
			name: "memory-first-mark", label: "resident memory, quiet: first mark", unit: "MiB", op: "<=", target: always(120),
			first: true, only: firstMarkTenants, value: func(s sample) float64 { return s.Steady.Memory.Resident },
		},
		{
			name: "memory", label: "resident memory, quiet", unit: "MiB", op: "<=",
			target: func(n int) float64 { return 45 + 0.02*float64(n) },
			value:  func(s sample) float64 { return s.Steady.Memory.Resident },
		},
	}
}

func always(target float64) func(int) float64 { return func(int) float64 { return target } }

// writeOnly is a floor's time where the HIPAATenants existed before.
func writeOnly(f floor) float64 { return f.Write.Seconds }

// postAndWrite is a floor's time where they are posted while the clock runs.
func postAndWrite(f floor) float64 { return f.Post.Seconds + f.Write.Seconds }

// efficiency is the time of the best run of a floor by the time the operator took.
func efficiency(runs []floor, p provision, seconds func(floor) float64) float64 {
	return seconds(best(runs, seconds)) / p.Seconds
}

// best is the fastest run of a floor.
func best(runs []floor, seconds func(floor) float64) floor {
	return slices.MinFunc(runs, func(a, b floor) int { return cmp.Compare(seconds(a), seconds(b)) })
}

// median of values; the mean of the middle two where there are two.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	if n == 0 {
		return math.NaN()
	}
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}
