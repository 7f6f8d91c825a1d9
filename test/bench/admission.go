package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// admissionResult is what the policies cost a request that creates a pod. Times are milliseconds a client waited longer.
type admissionResult struct {
	// Rounds of one dry run each on every site; Stored rounds that really create the pod.
	Rounds int `json:"rounds"`
	Stored int `json:"storedRounds"`
	// Foreign is the part of the CPU time that other programs took, 0 to 1.
	Foreign float64 `json:"foreign"`
	// Floor are the times themselves, on an API server without a policy.
	Floor spread `json:"floor"`
	// Noise is how much longer the same request took when it was made twice.
	Noise spread `json:"noise"`
	// Sites with policies.
	Sites []admissionSite `json:"sites"`
	// Networks is how much longer the largest NetworkPolicy took: 64 blocks each way, against 64 networks each.
	Networks spread `json:"networks"`
}

// admissionSite is a number of tenants, and a way to bind the policies to them.
type admissionSite struct {
	Tenants int `json:"tenants"`
	// Foil says that each policy about pods is bound to each tenant, in place of once to all.
	Foil bool `json:"bindingPerTenant,omitempty"`
	// Added is a pod in a tenant's namespace, less the same in the floor.
	Added spread `json:"added"`
	// Fastest is what the fastest tenth of these requests took at most, less the same of the floor: the cost where nothing
	// came between.
	Fastest float64 `json:"fastestTenth"`
	// Beside is a pod in a tenant's namespace, less the same in a namespace of nobody on the same API server.
	Beside spread `json:"beside"`
	// Others is a pod in a namespace of nobody, less the same in the floor: what everybody else pays.
	Others spread `json:"others"`
	// Stored is Added of pods that are really created.
	Stored spread `json:"stored"`
	// Mutating, Validating and Everything is the mean time inside these plug-ins and all plug-ins together, from the API
	// server's own histograms.
	Mutating   float64 `json:"mutatingMean"`
	Validating float64 `json:"validatingMean"`
	Everything float64 `json:"pluginsMean"`
}

// spread are quantiles, in milliseconds.
type spread struct {
	P50 float64 `json:"p50"`
	P90 float64 `json:"p90"`
	P99 float64 `json:"p99"`
}

const (
	// warmUpRounds go unmeasured: connections, caches, and the first compilation of each expression.
	warmUpRounds = 200
	// storedRounds are few, because etcd is not what is measured.
	storedRounds = 300
	// histogramRequests are made in a row on each site, between two readings of the API server's histograms.
	histogramRequests = 500
)

// admission measures all sites at once, one request after the other in an order that changes with every round, so that a
// busy moment meets all of them alike. Each site is an API server of its own; the floor is one without a policy.
func (b *bench) admission(ctx context.Context) (result *admissionResult, err error) {
	courts, err := b.openCourts(ctx)
	defer func() {
		for _, c := range courts {
			err = errors.Join(err, c.cluster.Stop())
		}
	}()
	if err != nil {
		return nil, err
	}
	b.server = courts[0].version
	b.say("%d rounds of dry runs", b.rounds)
	watch := newStopwatch(pidsOf(courts))
	if _, err := takeTimes(ctx, courts, warmUpRounds, (*visit).dryRun); err != nil {
		return nil, err
	}
	if err := watch.start(); err != nil {
		return nil, err
	}
	dry, err := takeTimes(ctx, courts, b.rounds, (*visit).dryRun)
	if err != nil {
		return nil, err
	}
	lap, err := watch.lap()
	if err != nil {
		return nil, err
	}
	b.say("%d rounds that store the pod", storedRounds)
	stored, err := takeTimes(ctx, courts, storedRounds, (*visit).store)
	if err != nil {
		return nil, err
	}
	result = evaluate(courts, dry, stored)
	result.Rounds, result.Stored, result.Foreign = b.rounds, storedRounds, lap.Foreign
	b.say("histograms, and the largest NetworkPolicy")
	for i, c := range courts[1:] {
		if err := c.inside(ctx, &result.Sites[i]); err != nil {
			return nil, err
		}
	}
	result.Networks, err = courts[1].networks(ctx)
	return result, err
}

// pidsOf names the processes of all sites, so that they do not count as other programs.
func pidsOf(courts []*court) func() map[string]int {
	return func() map[string]int {
		all := map[string]int{}
		for i, c := range courts {
			for name, pid := range c.cluster.PIDs() {
				all[fmt.Sprintf("%s %d", name, i)] = pid
			}
		}
		return all
	}
}

// times are milliseconds by court and namespace, one for each round. Those of one round belong together.
type times map[place][]float64

// place is a namespace of a court.
type place struct {
	court int
	kind  kind
}

// kind of a namespace.
type kind int

const (
	ofTenant kind = iota
	ofNobody
	// again is ofNobody once more, to see how much two times of the same request differ.
	again
)

// takeTimes makes the request everywhere in every round. In the floor nobody is a tenant.
func takeTimes(ctx context.Context, courts []*court, rounds int, request func(*visit, context.Context) error) (times, error) {
	places := []place{{0, again}}
	for i, c := range courts {
		places = append(places, place{i, ofNobody})
		if c.bound != unbound {
			places = append(places, place{i, ofTenant})
		}
	}
	all := times{}
	for round := range rounds {
		for _, i := range rand.Perm(len(places)) {
			p := places[i]
			v := courts[p.court].visit(p.kind, round)
			began := time.Now()
			if err := request(v, ctx); err != nil {
				return nil, fmt.Errorf("a pod in namespace %s: %w", v.pod.Namespace, err)
			}
			all[p] = append(all[p], time.Since(began).Seconds()*1000)
			if err := v.tidy(ctx); err != nil {
				return nil, err
			}
		}
	}
	return all, nil
}

// evaluate compares the times of each round.
func evaluate(courts []*court, dry, stored times) *admissionResult {
	floor := place{0, ofNobody}
	r := &admissionResult{Floor: spreadOf(dry[floor]), Noise: spreadOf(less(dry[place{0, again}], dry[floor]))}
	for i, c := range courts[1:] {
		tenant, nobody := place{i + 1, ofTenant}, place{i + 1, ofNobody}
		r.Sites = append(r.Sites, admissionSite{
			Tenants: c.tenants, Foil: c.bound == boundToEach,
			Added: spreadOf(less(dry[tenant], dry[floor])), Fastest: quantile(dry[tenant], 0.1) - quantile(dry[floor], 0.1),
			Beside: spreadOf(less(dry[tenant], dry[nobody])),
			Others: spreadOf(less(dry[nobody], dry[floor])),
			Stored: spreadOf(less(stored[tenant], stored[floor])),
		})
	}
	return r
}
