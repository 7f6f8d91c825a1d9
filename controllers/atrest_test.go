package controllers

import (
	"errors"
	"strings"
	"testing"
	"time"

	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/events"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/google/go-cmp/cmp"
	dto "github.com/prometheus/client_model/go"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/atrest"
)

func atRestWatch() (*AtRestWatch, *clocktesting.FakeClock, *events.FakeRecorder) {
	now, recorder := clocktesting.NewFakeClock(noon), events.NewFakeRecorder(10)
	w := &AtRestWatch{
		Probe: &AtRestProbe{Namespace: v1alpha1.OperatorNamespace}, State: NewClusterState(), Interval: 10 * time.Minute, Recorder: recorder, Clock: now,
	}
	w.holds = noon.Add(w.grace(false))
	return w, now, recorder
}

// TestAFailedLookIsNoPass: it leaves the verdict as it is for a while, and then takes it back.
func TestAFailedLookIsNoPass(t *testing.T) {
	good := atrest.Verdict{State: atrest.StateKMS, Message: "observed"}
	bad := atrest.Verdict{State: atrest.StateNotEncrypted, Message: "plaintext"}
	failed := atrest.Verdict{State: atrest.StateUnknown, Message: "no answer"}
	w, now, _ := atRestWatch()
	for _, step := range []struct {
		after   time.Duration
		verdict atrest.Verdict
		says    string
		next    time.Duration
	}{
		{0, failed, "", time.Minute}, // as the status says from before
		{time.Minute, failed, "", time.Minute},
		{time.Minute, failed, "no answer", time.Minute},
		{time.Minute, good, "observed", 10 * time.Minute},
		{10 * time.Minute, failed, "observed", time.Minute},
		{14 * time.Minute, failed, "observed", time.Minute},
		{time.Minute, failed, "no answer", time.Minute},
		{time.Minute, good, "observed", 10 * time.Minute},
		{10 * time.Minute, bad, "plaintext", 10 * time.Minute},
		{10 * time.Minute, good, "observed", 10 * time.Minute},
	} {
		now.Step(step.after)
		if next := w.take(t.Context(), step.verdict); next != step.next {
			t.Errorf("%s after %s: the next look in %s, want %s", step.verdict.State, step.after, next, step.next)
		}
		says := ""
		if v := w.State.AtRest(); v != nil {
			says = v.Message
		}
		if says != step.says {
			t.Errorf("%s after %s: it says %q, want %q", step.verdict.State, step.after, says, step.says)
		}
	}
}

// TestAVerdictIsToldOnce: all tenants are woken, and one event is recorded, when it changes and at no other time.
func TestAVerdictIsToldOnce(t *testing.T) {
	w, _, recorder := atRestWatch()
	good := atrest.Verdict{State: atrest.StateKMS, Message: "observed: x"}
	bad := atrest.Verdict{State: atrest.StatePlaintextRemains, Message: "observed: y"}
	for _, step := range []struct {
		verdict atrest.Verdict
		want    []string
	}{
		{good, []string{"Normal EncryptionAtRest kms: observed: x"}},
		{good, nil},
		{bad, []string{"Warning EncryptionAtRest plaintext_remains: observed: y"}},
		{bad, nil},
		{good, []string{"Normal EncryptionAtRest kms: observed: x"}},
	} {
		w.take(t.Context(), step.verdict)
		if diff := cmp.Diff(step.want, told(recorder)); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
		if n := announcements(w.State); n != len(step.want) {
			t.Errorf("%s: all tenants are woken %d times, want %d", step.verdict.State, n, len(step.want))
		}
		for _, state := range atrest.States() {
			want := 0.0
			if state == step.verdict.State {
				want = 1
			}
			var m dto.Metric
			if err := encryptionAtRest.WithLabelValues(string(state)).Write(&m); err != nil || m.GetGauge().GetValue() != want {
				t.Errorf("%s: the metric of %s is %v, error %v", step.verdict.State, state, m.GetGauge().GetValue(), err)
			}
		}
	}
}

// TestNoLookIsSaid where the operator was told not to look.
func TestNoLookIsSaid(t *testing.T) {
	w, _, _ := atRestWatch()
	w.Interval = 0
	if err := w.Start(t.Context()); err != nil || w.State.AtRest() == nil || w.State.AtRest().State != atrest.StateUnknown {
		t.Errorf("error %v, verdict %v; want unknown", err, w.State.AtRest())
	}
	if !w.NeedLeaderElection() {
		t.Error("every replica writes")
	}
}

func TestConclude(t *testing.T) {
	forbidden := apierrors.NewForbidden(schema.GroupResource{}, "", errors.New("no"))
	for name, c := range map[string]struct {
		o    observation
		err  error
		want atrest.State
		says string
	}{
		"may not read metrics": {observation{}, forbidden, atrest.StateUnknown, "the operator may not; grant it"},
		"no answer":            {observation{}, errors.New("timeout"), atrest.StateUnknown, "did not answer"},
		"none sampled":         {observation{servers: []string{"a"}}, nil, atrest.StateUnknown, "not all of the API servers"},
		"in plaintext":         {observation{servers: []string{"a"}, samples: []atrest.Sample{{Writers: []string{""}}}}, nil, atrest.StateNotEncrypted, "plaintext"},
	} {
		if v := conclude(c.o, c.err); v.State != c.want || !strings.Contains(v.Message, c.says) {
			t.Errorf("%s: %s, %q; want %s, %q", name, v.State, v.Message, c.want, c.says)
		}
	}
}

func TestAddressesOf(t *testing.T) {
	slice := &discoveryv1.EndpointSlice{
		Ports:     []discoveryv1.EndpointPort{{Name: new("https"), Port: new(int32(6443))}, {Name: new("other"), Port: new(int32(1))}, {Name: new("https")}},
		Endpoints: []discoveryv1.Endpoint{{Addresses: []string{"192.0.2.1"}}, {Addresses: []string{"2001:db8::1"}}},
	}
	if diff := cmp.Diff([]string{"192.0.2.1:6443", "[2001:db8::1]:6443"}, addressesOf(slice)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
