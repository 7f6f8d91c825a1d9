package controllers

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/client-go/tools/events"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/netprobe"
)

// networkWatch of an operator that starts now, on the world its predecessor left.
func networkWatch(w *probeWorld, now *clocktesting.FakeClock) (*NetworkWatch, *events.FakeRecorder) {
	recorder := events.NewFakeRecorder(20)
	return &NetworkWatch{
		Probe: w.probe, State: NewClusterState(), Interval: time.Hour, Namespace: v1alpha1.OperatorNamespace, ClusterUID: "u-1",
		Recorder: recorder, Clock: now,
	}, recorder
}

// TestAVerdictOnTheNetworkIsToldOnce: all tenants are woken, and one event is recorded, when it changes and at no other time. What
// could not be told is told once for each reason.
func TestAVerdictOnTheNetworkIsToldOnce(t *testing.T) {
	world, now := newProbeWorld(t, node("a", "eu-west-1"), node("b", "eu-west-1")), clocktesting.NewFakeClock(noon)
	w, recorder := networkWatch(world, now)
	if next := w.recall(t.Context()); next != 0 || w.State.Network() != nil {
		t.Errorf("nobody probed before: the next run in %s, verdict %v", next, w.State.Network())
	}
	both := []netprobe.Kind{netprobe.Ingress, netprobe.Egress}
	for i, step := range []struct {
		answer netprobe.Answer
		want   []string // beginnings of events
		woken  int
		state  netprobe.State
		next   time.Duration
	}{
		{netprobe.Answer{Result: netprobe.Inconclusive, Why: "dropped"}, []string{"Warning NetworkProbeInconclusive dropped; take namespace"}, 1, netprobe.StateUnknown, 6 * time.Minute},
		{netprobe.Answer{Result: netprobe.Inconclusive, Why: "dropped"}, nil, 0, netprobe.StateUnknown, 6 * time.Minute},
		{netprobe.Answer{Result: netprobe.Enforced}, []string{"Normal NetworkPoliciesEnforced the network policies stand, and the network plug-in enforces them"}, 1, netprobe.StateEnforced, time.Hour},
		{netprobe.Answer{Result: netprobe.Enforced}, nil, 0, netprobe.StateEnforced, time.Hour},
		{netprobe.Answer{Result: netprobe.Inconclusive, Why: "dropped"}, []string{"Warning NetworkProbeInconclusive dropped; take namespace"}, 0, netprobe.StateEnforced, 6 * time.Minute},
		{netprobe.Answer{Result: netprobe.NotEnforced, Directions: both}, []string{"Warning PluginDoesNotEnforce the network policies stand, and the network plug-in does not enforce them"}, 1, netprobe.StateNotEnforced, 6 * time.Minute},
		{netprobe.Answer{Result: netprobe.NotEnforced, Directions: both}, nil, 0, netprobe.StateNotEnforced, 6 * time.Minute},
		{netprobe.Answer{Result: netprobe.Enforced}, nil, 0, netprobe.StateNotEnforced, 6 * time.Minute},
		{netprobe.Answer{Result: netprobe.Enforced}, []string{"Normal NetworkPoliciesEnforced"}, 1, netprobe.StateEnforced, time.Hour},
	} {
		world.answer, world.did = step.answer, nil
		now.Step(time.Minute)
		if next := w.look(t.Context()); next != step.next {
			t.Errorf("step %d: the next run in %s, want %s", i, next, step.next)
		}
		if got := told(recorder); len(got) != len(step.want) || len(got) == 1 && !strings.HasPrefix(got[0], step.want[0]) {
			t.Errorf("step %d: events %q, want %q", i, got, step.want)
		}
		if n := announcements(w.State); n != step.woken || w.State.Network().State != step.state {
			t.Errorf("step %d: all tenants are woken %d times and told %s, want %d and %s", i, n, w.State.Network().State, step.woken, step.state)
		}
		for _, state := range netprobe.States() {
			want := 0.0
			if state == step.state {
				want = 1
			}
			if got := testutil.ToFloat64(networkProbe.WithLabelValues(string(state))); got != want {
				t.Errorf("step %d: the metric of %s is %v", i, state, got)
			}
		}
		records := 0
		for _, line := range world.did {
			if line == "patch configmaps" {
				records++
			}
		}
		if records != 1 {
			t.Errorf("step %d: %d records were written", i, records)
		}
	}
}

// TestBadNewsIsFollowedUp on the nodes it was seen on, also by the next leader, until it ends there. A node that cannot be read is there;
// of one that is gone others tell.
func TestBadNewsIsFollowedUp(t *testing.T) {
	world, now := newProbeWorld(t, node("a", "eu-west-1"), node("b", "eu-west-1"), node("c", "eu-west-1")), clocktesting.NewFakeClock(noon)
	w, _ := networkWatch(world, now)
	w.recall(t.Context())
	at, wanted := map[string]string{endTarget: "b", endClient: "a"}, map[string]string{}
	world.runs = func(pod *corev1.Pod) {
		end := pod.Labels[v1alpha1.LabelNetworkProbe]
		pod.Spec.NodeName = at[end]
		wanted[end], _ = preferred(t, pod)
	}
	run := func(result netprobe.Result, client, target string) {
		t.Helper()
		now.Step(time.Minute)
		world.answer = netprobe.Answer{Result: result}
		if result == netprobe.NotEnforced {
			world.answer.Directions = []netprobe.Kind{netprobe.Egress}
		}
		at[endClient], at[endTarget] = client, target
		w.look(t.Context())
	}
	expect := func(state netprobe.State, client, target string) {
		t.Helper()
		if w.State.Network().State != state || wanted[endClient] != client || wanted[endTarget] != target {
			t.Errorf("it says %s and wanted its pods on %v; want %s, client %q, target %q", w.State.Network().State, wanted, state, client, target)
		}
	}
	run(netprobe.NotEnforced, "a", "b")
	expect(netprobe.StateNotEnforced, "", "")
	for range 3 {
		run(netprobe.Enforced, "c", "c") // cordoned are the others, and not gone
	}
	expect(netprobe.StateNotEnforced, "", "b")
	w, _ = networkWatch(world, now)
	w.recall(t.Context())
	run(netprobe.Enforced, "c", "b")
	expect(netprobe.StateNotEnforced, "a", "b")
	broken := true
	world.PrependReactor("get", "nodes", func(clienttesting.Action) (bool, runtime.Object, error) {
		return broken, nil, context.DeadlineExceeded
	})
	for range 3 {
		run(netprobe.Enforced, "a", "c")
	}
	expect(netprobe.StateNotEnforced, "", "b")
	broken = false
	if err := world.CoreV1().Nodes().Delete(t.Context(), "b", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	run(netprobe.Enforced, "a", "a")
	run(netprobe.Enforced, "a", "c")
	expect(netprobe.StateNotEnforced, "", "")
	run(netprobe.Enforced, "a", "c")
	expect(netprobe.StateEnforced, "", "")
}

// TestTheNextLeaderSaysTheSame, at once and without a run, as long as the answer counts.
func TestTheNextLeaderSaysTheSame(t *testing.T) {
	world, now := newProbeWorld(t), clocktesting.NewFakeClock(noon)
	first, _ := networkWatch(world, now)
	first.recall(t.Context())
	first.look(t.Context())
	said := *first.State.Network()
	for after, next := range map[time.Duration]time.Duration{time.Minute: 59 * time.Minute, 2 * time.Hour: 0} {
		later, recorder := networkWatch(world, clocktesting.NewFakeClock(noon.Add(after)))
		if wait := later.recall(t.Context()); wait != next {
			t.Errorf("after %s: the next run in %s, want %s", after, wait, next)
		}
		if v := later.State.Network(); v == nil || *v != said {
			t.Errorf("after %s it says %v, want %v", after, v, said)
		}
		if e := told(recorder); len(e) > 0 {
			t.Errorf("after %s it is told again: %q", after, e)
		}
		if got := testutil.ToFloat64(networkProbe.WithLabelValues(string(netprobe.StateEnforced))); got != 1 {
			t.Errorf("after %s the metric is %v", after, got)
		}
	}
	late, _ := networkWatch(world, clocktesting.NewFakeClock(noon.Add(3*time.Hour)))
	if wait := late.recall(t.Context()); wait != 0 || late.State.Network() != nil {
		t.Errorf("too old: the next run in %s, verdict %v", wait, late.State.Network())
	}
}

// TestARecordThatMayNotBeReadOrWritten is in nobody's way.
func TestARecordThatMayNotBeReadOrWritten(t *testing.T) {
	world := newProbeWorld(t)
	failing("*", "configmaps", apierrors.NewForbidden(schema.GroupResource{Resource: "configmaps"}, "x", nil))(world)
	w, _ := networkWatch(world, clocktesting.NewFakeClock(noon))
	if wait := w.recall(t.Context()); wait != 0 {
		t.Errorf("the next run in %s", wait)
	}
	if next := w.step(t.Context()); next != time.Hour || w.State.Network().State != netprobe.StateEnforced {
		t.Errorf("the next run in %s, verdict %v", next, w.State.Network())
	}
}

// TestNothingIsRunBeforeTheRecordIsRead: a run that can tell nothing would take the place of the bad news in it.
func TestNothingIsRunBeforeTheRecordIsRead(t *testing.T) {
	world, now := newProbeWorld(t), clocktesting.NewFakeClock(noon)
	world.answer = netprobe.Answer{Result: netprobe.NotEnforced, Directions: []netprobe.Kind{netprobe.Egress}}
	first, _ := networkWatch(world, now)
	first.step(t.Context())
	said := *first.State.Network()
	broken := true
	world.PrependReactor("get", "configmaps", func(clienttesting.Action) (bool, runtime.Object, error) {
		return broken, nil, context.DeadlineExceeded
	})
	world.answer, world.did = netprobe.Answer{Result: netprobe.Inconclusive, Why: "dropped"}, nil
	w, _ := networkWatch(world, now)
	for range 3 {
		if next := w.step(t.Context()); next != 6*time.Minute || w.State.Network() != nil || len(world.did) > 0 {
			t.Errorf("it comes again in %s, says %v and did %v", next, w.State.Network(), world.did)
		}
	}
	broken = false
	now.Step(time.Hour)
	if next := w.step(t.Context()); next != 6*time.Minute || len(world.did) == 0 || *w.State.Network() != said {
		t.Errorf("it comes again in %s, says %v and did %v; want it to say %v", next, w.State.Network(), world.did, said)
	}
}

// TestARecordOfAnotherCluster, restored with its namespace, says nothing of this one.
func TestARecordOfAnotherCluster(t *testing.T) {
	world, now := newProbeWorld(t), clocktesting.NewFakeClock(noon)
	first, _ := networkWatch(world, now)
	first.step(t.Context())
	w, _ := networkWatch(world, now)
	w.ClusterUID = "u-2"
	if wait := w.recall(t.Context()); wait != 0 || w.State.Network() != nil {
		t.Errorf("the next run in %s, verdict %v", wait, w.State.Network())
	}
}

// TestAnInterruptedRunSaysNothing: an operator that is told to end leaves the verdict to the next.
func TestAnInterruptedRunSaysNothing(t *testing.T) {
	world := newProbeWorld(t)
	w, recorder := networkWatch(world, clocktesting.NewFakeClock(noon))
	ctx, stop := context.WithCancel(t.Context())
	onEnd(endClient, func(*corev1.Pod) { stop() })(world)
	w.look(ctx)
	if w.State.Network() != nil || len(told(recorder)) > 0 {
		t.Errorf("it says %v", w.State.Network())
	}
	pods, err := world.CoreV1().Pods(probeHome).List(t.Context(), metav1.ListOptions{})
	if err != nil || len(pods.Items) > 0 {
		t.Errorf("%d pods are left, error %v", len(pods.Items), err)
	}
}

// TestTheProbeIsOff: nothing is asked for, and that nobody looked is said.
func TestTheProbeIsOff(t *testing.T) {
	world := newProbeWorld(t)
	w, _ := networkWatch(world, clocktesting.NewFakeClock(noon))
	w.Interval = 0
	if err := w.Start(t.Context()); err != nil {
		t.Error(err)
	}
	want := netprobe.Unprobed()
	if diff := cmp.Diff(&want, w.State.Network()); diff != "" || len(world.Actions()) > 0 {
		t.Errorf("it asked for %v and says (-want +got):\n%s", world.Actions(), diff)
	}
	if !w.NeedLeaderElection() {
		t.Error("every replica makes pods")
	}
}

// TestTheLoopGoesOn until it is told to end.
func TestTheLoopGoesOn(t *testing.T) {
	world, now := newProbeWorld(t), clocktesting.NewFakeClock(noon)
	w, _ := networkWatch(world, now)
	runs := make(chan struct{}, 4)
	onEnd(endClient, func(*corev1.Pod) { runs <- struct{}{} })(world)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.Start(ctx) }()
	deadline := time.After(30 * time.Second)
	for n := range 3 {
		for waiting := true; waiting; {
			select {
			case <-runs:
				waiting = false
			case <-deadline:
				t.Fatalf("%d runs only", n)
			case <-time.After(time.Millisecond):
				now.Step(time.Minute)
			}
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
