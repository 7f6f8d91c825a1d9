package main

import (
	"flag"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// options of one benchmark.
type options struct {
	tenants       []int
	concurrencies []int
	runs          int
	repeat        int
	fsync         bool
	steady        time.Duration
	results       string
	publish       bool
}

func parse(args []string) (options, error) {
	o := options{tenants: []int{200, 1000}, concurrencies: []int{4, 16, 64}}
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.Func("tenants", "numbers of tenants, with commas (default 200,1000)", numbers(&o.tenants))
	f.Func("concurrency", "concurrencies the floors try, with commas (default 4,16,64)", numbers(&o.concurrencies))
	f.IntVar(&o.runs, "runs", 1, "how often everything is measured; medians are reported")
	f.IntVar(&o.repeat, "repeat", 0, "how often a single measurement is repeated while other programs take more than a tenth of the CPU; the least disturbed counts")
	f.BoolVar(&o.fsync, "fsync", false, "let etcd write to the disk before it answers")
	f.DurationVar(&o.steady, "steady", 30*time.Second, "how long the quiet operator is watched")
	f.StringVar(&o.results, "results", "test/bench/results", "directory of the repository for the JSON result; empty writes none")
	f.BoolVar(&o.publish, "publish", false, "put the table into docs/benchmark.md")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	switch {
	case f.NArg() > 0:
		return o, fmt.Errorf("expected only flags, found %q: see -help", strings.Join(f.Args(), " "))
	case o.runs < 1:
		return o, fmt.Errorf("-runs must be 1 or more, found %d", o.runs)
	case o.repeat < 0:
		return o, fmt.Errorf("-repeat must be 0 or more, found %d", o.repeat)
	case o.steady <= 0:
		return o, fmt.Errorf("-steady must be more than 0, found %s", o.steady)
	}
	return o, nil
}

// numbers reads a list of numbers from 1 to 10000, the number of namespaces Kubernetes promises to carry.
func numbers(into *[]int) func(string) error {
	return func(text string) error {
		var list []int
		for part := range strings.SplitSeq(text, ",") {
			n, err := strconv.Atoi(strings.TrimSpace(part))
			if err != nil || n < 1 || n > 10_000 {
				return fmt.Errorf("expected numbers from 1 to 10000 with commas between them, found %q", text)
			}
			list = append(list, n)
		}
		*into = list
		return nil
	}
}
