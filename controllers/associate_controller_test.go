package controllers

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/workqueue"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/compile"
	"github.com/hipaatenant/hipaa-tenant-operator/test/fixture"
)

func TestDescribeAssociate(t *testing.T) {
	a := fixture.Associate("clearing", func(a *v1alpha1.BusinessAssociate) { a.Generation = 2 })
	show := func(v compile.Verdict, used int32, now time.Time) metav1.Condition {
		describeAssociate(a, v, used, now)
		if a.Status.ObservedGeneration != 2 || a.Status.UsedBy != used || len(a.Status.Conditions) != 1 {
			t.Errorf("status %+v, want generation 2, used by %d, one condition", a.Status, used)
		}
		return *meta.FindStatusCondition(a.Status.Conditions, v1alpha1.ConditionInForce)
	}
	later := noon.Add(time.Hour)
	for _, step := range []struct {
		verdict compile.Verdict
		now     time.Time
		want    metav1.Condition
	}{
		{compile.Verdict{InForce: true, Reason: v1alpha1.ReasonInForce, Message: "until then"}, noon,
			metav1.Condition{Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonInForce, Message: "until then", LastTransitionTime: metav1.NewTime(noon)}},
		{compile.Verdict{InForce: true, Reason: v1alpha1.ReasonInForce, Message: "until later"}, later,
			metav1.Condition{Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonInForce, Message: "until later", LastTransitionTime: metav1.NewTime(noon)}},
		{compile.Verdict{Reason: v1alpha1.ReasonExpired, Message: "ended"}, later,
			metav1.Condition{Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonExpired, Message: "ended", LastTransitionTime: metav1.NewTime(later)}},
	} {
		step.want.Type, step.want.ObservedGeneration = v1alpha1.ConditionInForce, 2
		if diff := cmp.Diff(step.want, show(step.verdict, 3, step.now)); diff != "" {
			t.Errorf("condition (-want +got):\n%s", diff)
		}
	}
}

func associates(s *store) *AssociateReconciler {
	return &AssociateReconciler{Client: s, Clock: clocktesting.NewFakePassiveClock(noon)}
}

func user(name string, of ...v1alpha1.Name) *v1alpha1.HIPAATenant {
	return fixture.Tenant(name, func(h *v1alpha1.HIPAATenant) { h.Spec.BusinessAssociates = of })
}

func TestReconcileAssociate(t *testing.T) {
	ending := fixture.Associate("aws", func(a *v1alpha1.BusinessAssociate) { a.Spec.BAA.ExpiresOn = "2026-11-23" })
	clearing := fixture.Associate("clearing", func(a *v1alpha1.BusinessAssociate) { a.Spec.Subcontractors = []v1alpha1.Name{"aws"} })
	s := newStore(t, clearing, ending, user("acme", "clearing", "aws"), user("birch", "clearing"), user("cedar"))
	r := associates(s)
	result, err := r.Reconcile(t.Context(), requestFor("clearing"))
	if err != nil || result.RequeueAfter != atMost {
		t.Errorf("looks again after %s, %v; the subcontractor's agreement ends in 36h, and no timer is trusted for longer than %s", result.RequeueAfter, err, atMost)
	}
	got := fetch(t, s, "", "clearing", &v1alpha1.BusinessAssociate{}).Status
	if got.UsedBy != 2 || got.ExpiresOn != "2026-11-23" || !meta.IsStatusConditionTrue(got.Conditions, v1alpha1.ConditionInForce) {
		t.Errorf("status %+v; want in force, used by 2, until the subcontractor's end", got)
	}
	if diff := cmp.Diff([]string{"update status BusinessAssociate clearing"}, s.asked()); diff != "" {
		t.Errorf("writes (-want +got):\n%s", diff)
	}
	if _, err := r.Reconcile(t.Context(), requestFor("clearing")); err != nil || len(s.asked()) != 0 {
		t.Errorf("the second time: %v, writes %v; want none", err, s.writes)
	}
	r.Clock = clocktesting.NewFakePassiveClock(noon.Add(36*time.Hour - time.Millisecond))
	if result, err := r.Reconcile(t.Context(), requestFor("clearing")); err != nil || result.RequeueAfter != atLeast {
		t.Errorf("a moment before the end it looks again after %s, %v; want %s: not a busy loop", result.RequeueAfter, err, atLeast)
	}
	r.Clock = clocktesting.NewFakePassiveClock(noon.Add(36 * time.Hour))
	if _, err := r.Reconcile(t.Context(), requestFor("clearing")); err != nil {
		t.Fatal(err)
	}
	c := meta.FindStatusCondition(fetch(t, s, "", "clearing", &v1alpha1.BusinessAssociate{}).Status.Conditions, v1alpha1.ConditionInForce)
	if c.Status != metav1.ConditionFalse || c.Reason != v1alpha1.ReasonSubcontractorLapsed {
		t.Errorf("after the subcontractor's end the condition is %+v", c)
	}
}

func TestReconcileAssociateThatIsGone(t *testing.T) {
	s := newStore(t)
	if result, err := associates(s).Reconcile(t.Context(), requestFor("gone")); err != nil || !result.IsZero() || len(s.asked()) != 0 {
		t.Errorf("%v, %v, writes %v; want nothing", result, err, s.writes)
	}
	s = newStore(t, fixture.Associate("clearing"))
	s.fail["update status BusinessAssociate clearing"] = errors.New("no route")
	if _, err := associates(s).Reconcile(t.Context(), requestFor("clearing")); err == nil {
		t.Error("the status cannot be written and there is no error")
	}
}

// recordingQueue keeps what is added with a delay.
type recordingQueue struct {
	workqueue.TypedRateLimitingInterface[reconcile.Request]
	names []string
}

// AddAfter notes the name.
func (q *recordingQueue) AddAfter(request reconcile.Request, after time.Duration) {
	if after != countDelay {
		panic("added after " + after.String())
	}
	q.names = append(q.names, request.Name)
}

// TestUsedAssociates: the associates a tenant gained or lost are counted again, after a moment that joins a burst.
func TestUsedAssociates(t *testing.T) {
	sub := fixture.Associate("x", func(a *v1alpha1.BusinessAssociate) { a.Spec.Subcontractors = []v1alpha1.Name{"sub"} })
	inhabited := fixture.Profile("inhabited", func(p *v1alpha1.HIPAAProfile) { p.Spec.Regions[0].BusinessAssociate = "cloud" })
	h := associates(newStore(t, sub, inhabited)).usedAssociates()
	in := func(profile v1alpha1.Name) *v1alpha1.HIPAATenant {
		u := user("a", "y")
		u.Spec.Profile = profile
		return u
	}
	for name, tc := range map[string]struct {
		do   func(*recordingQueue)
		want []string
	}{
		"a tenant appears": {func(q *recordingQueue) { h.Create(t.Context(), event.CreateEvent{Object: user("a", "x", "y")}, q) }, []string{"sub", "x", "y"}},
		"a tenant is gone": {func(q *recordingQueue) { h.Delete(t.Context(), event.DeleteEvent{Object: user("a", "x")}, q) }, []string{"sub", "x"}},
		"it names others": {func(q *recordingQueue) {
			h.Update(t.Context(), event.UpdateEvent{ObjectOld: user("a", "x"), ObjectNew: user("a", "y")}, q)
		}, []string{"sub", "x", "y"}},
		"it takes another profile": {func(q *recordingQueue) {
			h.Update(t.Context(), event.UpdateEvent{ObjectOld: in("default"), ObjectNew: in("inhabited")}, q)
		}, []string{"y", "cloud", "y"}},
		"it names the same": {func(q *recordingQueue) {
			h.Update(t.Context(), event.UpdateEvent{ObjectOld: user("a", "x"), ObjectNew: user("a", "x")}, q)
		}, nil},
		"it is no tenant": {func(q *recordingQueue) { h.Create(t.Context(), event.CreateEvent{Object: fixture.Associate("x")}, q) }, nil},
	} {
		q := &recordingQueue{}
		tc.do(q)
		if diff := cmp.Diff(tc.want, q.names); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestEveryAssociateIsWoken(t *testing.T) {
	s := newStore(t, fixture.Associate("aws"), fixture.Associate("clearing"))
	var names []string
	for _, request := range associates(s).everyAssociate(t.Context(), nil) {
		names = append(names, request.Name)
	}
	slices.Sort(names)
	if diff := cmp.Diff([]string{"aws", "clearing"}, names); diff != "" {
		t.Errorf("woken (-want +got):\n%s", diff)
	}
}
