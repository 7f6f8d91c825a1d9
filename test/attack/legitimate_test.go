package attack

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/test/report"
)

// Use is something the people of a tenant lawfully do, from the request to what becomes of it. Refusing it is as bad as
// letting an attack through.
type Use struct {
	// Name says what is done.
	Name string
	// Steps are taken in order, by each of As in turn, under a name of its own.
	Steps []step
	// As is who does it; everybody with a shipped role that holds workloads unless told otherwise.
	As []actor
}

// step is one thing an inhabitant of the tenant does.
type step func(ctx context.Context, p *person) error

// UseGroup of lawful uses.
type UseGroup struct {
	Name string
	Uses []Use
}

// person is an actor, at work on something of this name.
type person struct {
	w    *world
	who  actor
	name string
}

var staff = []actor{developer, operations, account}

// patience is how long controllers may take for what they are asked.
const patience = 60 * time.Second

// useGroups are run in this order; the last one without the operator.
var useGroups = []UseGroup{workloads, traffic, upkeep, clusterUse}

func TestLegitimateUse(t *testing.T) {
	for _, g := range useGroups {
		t.Run(g.Name, func(t *testing.T) {
			w := theWorld(t)
			if g.Name == clusterUse.Name {
				w.withoutOperator(t)
			}
			allowed, hindered := w.use(t.Context(), g)
			for _, what := range hindered {
				t.Error(what)
			}
			report.Line("legitimate: %s attempted=%d allowed=%d refused=%d", g.Name, allowed+len(hindered), allowed, len(hindered))
		})
	}
}

// withoutOperator stops the operator for the rest of the test. The policies stay.
func (w *world) withoutOperator(t *testing.T) {
	t.Helper()
	if err := w.operator.Kill(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.startOperator(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

// use does everything of a group, several at once, and returns how much was allowed, and what was not.
func (w *world) use(ctx context.Context, g UseGroup) (allowed int, hindered []string) {
	var (
		mu     sync.Mutex
		work   sync.WaitGroup
		places = make(chan struct{}, 8)
	)
	for _, u := range g.Uses {
		as := u.As
		if as == nil {
			as = staff
		}
		for _, who := range as {
			p := &person{w: w, who: who, name: fmt.Sprintf("%s-%d", who, attempts.Add(1))}
			places <- struct{}{}
			work.Go(func() {
				err := p.take(ctx, u.Steps)
				<-places
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					hindered = append(hindered, fmt.Sprintf("%s, by %s (%s): %v", u.Name, who, p.name, err))
					return
				}
				allowed++
			})
		}
	}
	work.Wait()
	return allowed, hindered
}

func (p *person) take(ctx context.Context, steps []step) error {
	for i, s := range steps {
		if err := s(ctx, p); err != nil {
			return fmt.Errorf("step %d: %w", i+1, err)
		}
	}
	return nil
}

// creates posts objects.
func creates(texts ...string) step {
	return func(ctx context.Context, p *person) error {
		for _, text := range texts {
			o, err := p.w.api.place(text, p.name)
			if err != nil {
				return err
			}
			path, err := p.w.api.collection(o)
			if err != nil {
				return err
			}
			if err := p.sends(ctx, request{verb: "POST", path: path, contentType: asJSON, body: encode(o.Object)}); err != nil {
				return err
			}
		}
		return nil
	}
}

// asks makes a single request, as in the rows of attacks.
func asks(send, body string) step {
	return func(ctx context.Context, p *person) error {
		return p.sends(ctx, Attack{Send: send, Body: body}.single(p.name))
	}
}

// unhindered is a request to which the simulated nodes have no answer: it counts that nobody refuses it.
func unhindered(send string) step {
	return func(ctx context.Context, p *person) error {
		if err := p.sends(ctx, Attack{Send: send}.single(p.name)); apierrors.IsForbidden(err) {
			return err
		}
		return nil
	}
}

// sends repeats a request while controllers or the quota come between.
func (p *person) sends(ctx context.Context, r request) error {
	var last error
	err := wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, patience, true, func(ctx context.Context) (bool, error) {
		_, last = send(ctx, p.w.clients[p.who], r)
		return !apierrors.IsConflict(last), nil
	})
	if last != nil {
		return last
	}
	return err
}

// prepared objects are made by the cluster's administrator: volumes, for example.
func prepared(text string) step {
	return func(ctx context.Context, p *person) error {
		o, err := p.w.api.place(text, p.name)
		if err != nil {
			return err
		}
		return p.w.admin.Create(ctx, o)
	}
}

// kubectl runs the program of that name.
func kubectl(args ...string) step {
	return func(ctx context.Context, p *person) error { return p.kubectl(ctx, "", args...) }
}

// kubectlWith gives it a manifest.
func kubectlWith(manifest string, args ...string) step {
	return func(ctx context.Context, p *person) error { return p.kubectl(ctx, fill(manifest, p.name), args...) }
}

func (p *person) kubectl(ctx context.Context, input string, args ...string) error {
	path := filepath.Join(p.w.dir, p.name+".kubeconfig")
	if err := p.w.cluster.WriteKubeconfig(path, p.w.configs[p.who]); err != nil {
		return err
	}
	defer os.Remove(path)
	line := []string{"--kubeconfig", path, "--namespace", attacked}
	for _, arg := range args {
		line = append(line, fill(arg, p.name))
	}
	// Everybody uses one namespace at the same time here. The API server gives up counting after three conflicts over the
	// quota, and asks to try again.
	return retry.OnError(retry.DefaultBackoff, quotaContended, func() error {
		cmd := exec.CommandContext(ctx, p.w.cluster.Kubectl(), line...)
		cmd.Env = append(os.Environ(), "HOME="+p.w.dir) // where it caches what the API server serves
		cmd.Stdin = strings.NewReader(input)
		if text, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("kubectl %s: %w: %s", strings.Join(args, " "), err, text)
		}
		return nil
	})
}

func quotaContended(err error) bool {
	return strings.Contains(err.Error(), "Operation cannot be fulfilled on resourcequotas")
}

// runsInside: all pods labelled with the name run in the tenant's regions.
func runsInside(ctx context.Context, p *person) error {
	t := &trial{w: p.w, name: p.name}
	return wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, patience, true, func(ctx context.Context) (bool, error) {
		pods, err := t.pods(ctx)
		for _, pod := range pods {
			region, err := p.w.regionOf(ctx, pod.Spec.NodeName)
			if client.IgnoreNotFound(err) != nil || pod.Spec.NodeName != "" && !eligible[region] {
				return false, fmt.Errorf("pod %s is on %s in %q: %w", pod.Name, pod.Spec.NodeName, region, err)
			}
			if pod.Spec.NodeName == "" {
				return false, nil
			}
		}
		return len(pods) > 0, err
	})
}
