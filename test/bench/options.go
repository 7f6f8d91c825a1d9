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
	only          string
	namespaces    []int
	foils         []int
	rounds        int
	publish       bool
}

// Values of -only.
const (
	// onlyTenants is how fast tenants are made and kept, and what that takes.
	onlyTenants = "tenants"
	// onlyAdmission is what the admission policies cost a pod.
	onlyAdmission = "admission"
)

func parse(args []string) (options, error) {
	o := options{
		tenants: []int{200, 1000}, concurrencies: []int{4, 16, 64},
		namespaces: []int{1, 1000, 10_000}, foils: []int{1000},
	}
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.Func("tenants", "numbers of tenants, with commas (default 200,1000)", numbers(&o.tenants))
	f.Func("concurrency", "concurrencies the floors try, with commas (default 4,16,64)", numbers(&o.concurrencies))
	f.IntVar(&o.runs, "runs", 1, "how often everything is measured; medians are reported")
	f.IntVar(&o.repeat, "repeat", 0, "how often a single measurement is repeated while other programs take more than a tenth of the CPU; the least disturbed counts")
	f.BoolVar(&o.fsync, "fsync", false, "let etcd write to the disk before it answers")
	f.DurationVar(&o.steady, "steady", 30*time.Second, "how long the quiet operator is watched")
	f.StringVar(&o.results, "results", "test/bench/results", "directory of the repository for the JSON result; empty writes none")
	f.BoolVar(&o.publish, "publish", false, "put the table into docs/benchmark.md")
	f.StringVar(&o.only, "only", "", "measure one thing only: "+onlyTenants+" or "+onlyAdmission)
	f.Func("namespaces", "numbers of tenant namespaces beside which a pod's admission is measured (default 1,1000,10000)", numbers(&o.namespaces))
	f.Func("foil", "numbers of tenants at which the policies are also bound to each tenant (default 1000)", numbers(&o.foils))
	f.IntVar(&o.rounds, "rounds", 2000, "how many pods are admitted on each API server")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	switch {
	case o.only != "" && o.only != onlyTenants && o.only != onlyAdmission:
		return o, fmt.Errorf("-only must be %s or %s, found %q", onlyTenants, onlyAdmission, o.only)
	case o.rounds < 1:
		return o, fmt.Errorf("-rounds must be 1 or more, found %d", o.rounds)
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
