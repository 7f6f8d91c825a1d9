package controllers

import (
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/compile"
)

// serving is a tenant whose pods in its own region serve channel sms, which it then disables.
func serving(t *testing.T, names ...string) *cage {
	t.Helper()
	c := caged(t)
	update(t, c, "default", &v1alpha1.HIPAAProfile{}, func(p *v1alpha1.HIPAAProfile) { p.Spec.OnDisabledChannel = "Evict" })
	for _, name := range names {
		c.add(t, name, func(p *corev1.Pod) {
			p.Spec.NodeName, p.Labels = "east", map[string]string{v1alpha1.LabelChannel: "sms"}
		})
	}
	run(t, c.TenantReconciler, c.store)
	update(t, c, "acme", &v1alpha1.HIPAATenant{}, func(h *v1alpha1.HIPAATenant) {
		h.Spec.DisabledChannels = []v1alpha1.Name{"sms"}
		h.Generation++
	})
	c.store.asked()
	return c
}

// TestPodsOfADisabledChannelAreEvicted a few at a time, once API servers have had time to see that it is disabled.
func TestPodsOfADisabledChannelAreEvicted(t *testing.T) {
	c := serving(t, "a", "b", "c", "d")
	recorder := c.Recorder.(*events.FakeRecorder)
	told(recorder)
	got, evicted := c.look(t)
	if len(evicted) != 0 {
		t.Errorf("%v are evicted in the moment the fact was written", evicted)
	}
	if reasonOf(got, v1alpha1.ConditionConfigDelivered) != "False/ChannelPodsRunning" || reasonOf(got, v1alpha1.ConditionReady) != "False/ChannelPodsRunning" {
		t.Errorf("conditions %v", got.Status.Conditions)
	}
	if message := messageOf(got, compile.CodeChannelPodsRunning); !strings.Contains(message, "4 in all: acme/a (sms), acme/b (sms)") {
		t.Errorf("finding %q", message)
	}
	for _, want := range [][]string{{"a", "b", "c"}, {"d"}, nil} {
		c.pass(evictPause)
		if got, evicted = c.look(t); !slices.Equal(evicted, want) {
			t.Errorf("evicted %v, want %v", evicted, want)
		}
	}
	if reasonOf(got, v1alpha1.ConditionReady) != "True/Ready" {
		t.Errorf("conditions %v", got.Status.Conditions)
	}
	all := strings.Join(told(recorder), "\n")
	if strings.Count(all, "ChannelPodEvicted evicted pod acme/") != 4 || !strings.Contains(all, "which served channel sms: it is disabled") || !strings.Contains(all, "Warning ChannelPodsRunning") {
		t.Errorf("events:\n%s", all)
	}
}

// TestNoPodIsEvictedForAChannelItDoesNotServe: the API server is asked once more what the pod is, and what is wanted.
func TestNoPodIsEvictedForAChannelItDoesNotServe(t *testing.T) {
	for name, happened := range map[string]func(*cage){
		"it serves another": func(c *cage) {
			c.Live = elsewhere{c.store, func(obj any) {
				if p, ok := obj.(*corev1.Pod); ok {
					p.Labels[v1alpha1.LabelChannel] = "fax"
				}
			}}
		},
		"the tenant changed": func(c *cage) {
			c.Live = elsewhere{c.store, func(obj any) {
				if h, ok := obj.(*v1alpha1.HIPAATenant); ok {
					h.Generation++
				}
			}}
		},
	} {
		c := serving(t, "a")
		c.look(t)
		c.pass(evictPause)
		happened(c)
		if _, evicted := c.look(t); len(evicted) != 0 {
			t.Errorf("%s: %v is evicted", name, evicted)
		}
		c.Live = c.store
		c.pass(evictPause)
		if _, evicted := c.look(t); len(evicted) != 1 {
			t.Errorf("%s: and without that nothing is evicted either", name)
		}
	}
}

// TestABudgetHoldsPodsOfADisabledChannel too, and is spoken of in words of their own.
func TestABudgetHoldsPodsOfADisabledChannel(t *testing.T) {
	c := serving(t, "a")
	c.look(t)
	c.store.fail["create eviction Pod acme/a"] = budget
	c.pass(evictPause)
	got, _ := c.look(t)
	const want = "not every pod of a disabled channel is evicted: acme/a runs on, because a PodDisruptionBudget does not allow it now"
	if message := messageOf(got, compile.CodeEvictionHeld); message != want {
		t.Errorf("finding %q", message)
	}
	c.pass(time.Minute)
	if again, _ := c.look(t); again.ResourceVersion != got.ResourceVersion {
		t.Errorf("another attempt writes the status: %v", again.Status.Findings)
	}
	// The same pod, unwanted for another cause, is not held for the old one.
	e := &eviction{held: map[types.UID]heldPod{"u-a": {Held: compile.Held{Unwanted: compile.Unwanted{Cause: compile.CauseChannel}}}}}
	if e.forgetBut([]compile.Unwanted{{Pod: compile.Pod{UID: "u-a"}, Cause: compile.CauseMisplaced}}); len(e.held) != 0 {
		t.Errorf("held %v", e.held)
	}
}
