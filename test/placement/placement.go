// Package placement lets the real scheduler place random pods of random tenants on hundreds of simulated nodes in six
// regions, beside a scheduler that obeys nobody, and reads every revision of every pod: none was ever bound outside the
// regions of its tenant.
//
//   - nodes.go: the nodes, the labels that lead astray, and their coming and going
//   - classes.go: the shapes a pod spec takes, and what must become of such pods
//   - workloads.go, gated.go: what tenants create, and do to it later
//   - hostile.go: the scheduler that obeys nobody
//   - history.go: every revision of pods, nodes and namespaces
//   - oracle.go: what was bound outside
//   - world.go: the cluster and the tenants
//   - run.go: what happens, in which order
//
// Every choice of a tenant comes from ginkgo's random seed, which it prints: -ginkgo.seed asks for the same tenants and
// pods again. Who comes first is up to the machine.
package placement

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
)

// Labels of the pods, by which results are counted.
const (
	// labelClass says which shape the spec has.
	labelClass = "placement.test/class"
	// labelMade says how the pod came about.
	labelMade = "placement.test/made"
	// labelWorkload is unique to what the tenant created.
	labelWorkload = "placement.test/workload"
)

// regions are where nodes are; some nodes are nowhere.
var regions = []string{"us-east-1", "us-east-2", "us-west-2", "ca-central-1", "eu-west-1", "eu-central-1"}

// tenant is a namespace and its regions.
type tenant struct {
	namespace string
	// home are the regions allowed, foreign all others.
	home, foreign []string
}

// draw makes random choices.
type draw struct{ *rand.Rand }

func newDraw(seed int64) draw { return draw{rand.New(rand.NewPCG(uint64(seed), 0))} }

func pick[T any](d draw, from []T) T { return from[d.IntN(len(from))] }

// some are n of the list, in random order.
func some[T any](d draw, n int, from []T) []T {
	var out []T
	for _, i := range d.Perm(len(from))[:n] {
		out = append(out, from[i])
	}
	return out
}

// step is something that somebody does in the world.
type step func(context.Context, *world) error

// parallel takes the steps in order, so many at a time. The first error ends it.
func (w *world) parallel(ctx context.Context, workers int, steps []step) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var (
		next atomic.Int64
		wg   sync.WaitGroup
	)
	for range workers {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(steps) && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				if err := steps[i](ctx, w); err != nil {
					cancel(err)
				}
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}
