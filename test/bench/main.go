// Command bench measures the operator against floors on a real control plane. `make bench` runs it.
//
// # Method
//
// A tenant is 14 objects: a namespace, seven network policies, quota, limits, keyset, config and two role bindings. For
// each number of tenants three things are measured, each on a cluster of its own with an empty data directory: etcd, API
// server, controller manager and one simulated node.
//
//   - Floor A: a plain client-go writer creates the same objects, in protobuf, without rate limit and without reading
//     anything, and puts one status on each HIPAATenant. The best of several concurrencies counts.
//   - Floor B: the same by server-side apply.
//   - The operator, a process of its own built as it ships, with its default flags. "Before": the HIPAATenants exist,
//     the clock runs from the operator's start until a watch has seen all of them Ready. "Online": the operator runs and
//     is idle, the clock runs from the first POST of a HIPAATenant; here the floors' time includes posting them too.
//
// What a floor writes comes from the operator's own pure code (internal/compile, internal/status), and after each run
// one tenant of the operator is compared with it, so both do the same work.
//
// Floors and operator have the same conditions: the same components run, the admission policies stand and are
// type-checked before the clock starts, both write as the operator's service account (whom the policies exempt in the
// same way), and the API server logs the requests of that account. The floors' account may do everything besides: a
// POST cannot be limited to a name by RBAC. Every tenant uses one software key, so that no KMS is measured.
//
// The admission policies are measured apart: one API server without them, and one each with 1, 1,000 and 10,000 tenant
// namespaces, take the same pod in turn. As a foil, one more has every policy bound to every tenant.
//
// Requests are counted from the API server's audit log, CPU time and memory are those of the kernel. All processes share
// the machine's cores, so times are quoted as ratios within one run. Each interval records how much CPU time programs
// outside the benchmark took; above a tenth, the figures say more about those programs.
package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/hipaatenant/hipaa-tenant-operator/test/program"
)

func main() {
	program.Quiet()
	program.Main("bench", run)
}

// errFirstMark fails the benchmark; a miss of a final target is only reported.
var errFirstMark = errors.New("a first mark was missed; see the lines that end in miss")

func run(ctx context.Context, args []string) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	b, err := newBench(ctx, o)
	if err != nil {
		return err
	}
	samples, cost, err := b.all(ctx)
	if err := errors.Join(err, b.close(err != nil)); err != nil {
		return err
	}
	r := newResult(o, b.server, samples, cost)
	fmt.Printf("\n%s\n", r.text())
	for _, f := range r.Figures {
		fmt.Println(f.line())
	}
	if err := r.keep(o); err != nil {
		return err
	}
	if r.firstMarkMissed() {
		return errFirstMark
	}
	return nil
}
