package attack

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/hipaatenant/hipaa-tenant-operator/test/report"
)

// groups are the attacks, by what they aim at.
// The last one breaks what the others rely on, for a moment.
var groups = []Group{network, placement, pods, exposure, accessRights, namespaces, tenantObjects, quota, storage, data, policyEngine}

// atOnce is how many attempts of a group are under way at the same time. Most of their time they wait for controllers.
const atOnce = 24

func TestAttacks(t *testing.T) {
	for _, g := range groups {
		t.Run(g.Name, func(t *testing.T) {
			w := theWorld(t)
			began := time.Now()
			result := w.attack(t.Context(), g)
			for _, leak := range result.leaks[:min(len(result.leaks), 60)] {
				t.Error(leak)
			}
			if len(g.Attacks) < g.Least {
				t.Errorf("want at least %d attacks, got %d", g.Least, len(g.Attacks))
			}
			t.Logf("%d attacks, %d attempts in %s; slowest repair %s", len(g.Attacks), result.attempted(),
				time.Since(began).Round(time.Second), result.slowest.Round(time.Millisecond))
			if g.Serial {
				w.awaitInForce(t)
			}
			report.Line("attack: %s attempted=%d refused=%d repaired=%d leaked=%d",
				g.Name, result.attempted(), result.refused, result.repaired, len(result.leaks))
		})
	}
}

// tally counts how attempts ended.
type tally struct {
	refused, repaired int
	slowest           time.Duration
	leaks             []string
}

func (c *tally) attempted() int { return c.refused + c.repaired + len(c.leaks) }

func (c *tally) add(t *trial, v verdict, err error) {
	switch v {
	case refused:
		c.refused++
	case repairedLater:
		c.repaired++
		c.slowest = max(c.slowest, t.took)
	case inapplicable:
		if err == nil {
			return
		}
		fallthrough
	default:
		c.leaks = append(c.leaks, fmt.Sprintf("leak: %s, by %s, way %q (%s): %v", t.attack.Name, t.actor, t.way.name, t.name, err))
	}
}

var attempts atomic.Int64

// awaitInForce waits until the API server has taken up again the policies that were tampered with.
func (w *world) awaitInForce(t *testing.T) {
	t.Helper()
	open := Attack{Send: "POST /apis/networking.k8s.io/v1/namespaces/NAMESPACE/networkpolicies?dryRun=All", Body: netpol("ingress: [{}]")}.single("canary")
	steered := Attack{Send: "POST /api/v1/namespaces/NAMESPACE/pods?dryRun=All", Body: pod("")}.single("canary")
	err := wait.PollUntilContextTimeout(t.Context(), 100*time.Millisecond, 30*time.Second, true, func(ctx context.Context) (bool, error) {
		_, refusal := send(ctx, w.clients[administrator], open)
		answer, err := send(ctx, w.clients[administrator], steered)
		if err != nil {
			return false, err
		}
		_, affinity, _ := unstructured.NestedMap(answer.Object, "spec", "affinity", "nodeAffinity")
		return judge(refusal) == "policy network" && affinity, nil
	})
	if err != nil {
		t.Errorf("the policies are not in force again: %v", err)
	}
}

// attack tries everything of a group, by everybody, in every way.
func (w *world) attack(ctx context.Context, g Group) *tally {
	var (
		mu     sync.Mutex
		result = &tally{}
		work   sync.WaitGroup
		places = make(chan struct{}, atOnce)
	)
	if g.Serial {
		places = make(chan struct{}, 1)
	}
	for _, t := range w.trials(g, result) {
		places <- struct{}{}
		work.Go(func() {
			v, err := t.run(ctx)
			<-places
			mu.Lock()
			defer mu.Unlock()
			result.add(t, v, err)
		})
	}
	work.Wait()
	slices.Sort(result.leaks)
	return result
}

// trials are all attempts of a group. A row that cannot be read counts as a leak.
func (w *world) trials(g Group, result *tally) []*trial {
	var out []*trial
	for _, a := range g.Attacks {
		as := a.As
		if as == nil {
			as = everybody
		}
		sample, err := a.ways(w.api, "sample")
		if err != nil || len(sample) == 0 || len(a.By) == 0 {
			result.leaks = append(result.leaks, fmt.Sprintf("leak: %s cannot be tried: %d ways, %d refusals, %v", a.Name, len(sample), len(a.By), err))
			continue
		}
		for _, who := range as {
			for i := range sample {
				// Controllers make the pods of a template, whoever wrote it.
				if sample[i].template && (who == operations || who == account) {
					continue
				}
				name := fmt.Sprintf("%s-%d", strings.ToLower(string(who)), attempts.Add(1))
				ways, _ := a.ways(w.api, name) // as for the sample
				t := &trial{w: w, attack: a, actor: who, way: ways[i], name: name}
				if a.Patch != "" {
					t.harm = fromYAML(fill(a.Patch, name))
				} else if a.From != "" {
					t.harm = fromYAML(fill(a.Object, name))
				}
				out = append(out, t)
			}
		}
	}
	return out
}
