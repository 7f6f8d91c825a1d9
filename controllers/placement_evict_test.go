package controllers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/compile"
	"github.com/hipaatenant/hipaa-tenant-operator/test/fixture"
)

// cage is a tenant in place, whose pods run on node west, outside its regions, under a profile that says Evict.
type cage struct {
	*TenantReconciler
	store *store
	clock *clocktesting.FakePassiveClock
}

func caged(t *testing.T, names ...string) *cage {
	t.Helper()
	profile := fixture.Profile("default", func(p *v1alpha1.HIPAAProfile) {
		p.UID, p.Generation, p.Spec.Placement = "u-default", 1, &v1alpha1.PlacementRules{OnMisplaced: "Evict"}
	})
	s := newStore(t, profile, tenant(), node("east", "us-east-1", readyNow), node("west", "us-west-2", readyNow))
	r, _ := keyed(s)
	c := &cage{TenantReconciler: r, store: s, clock: clocktesting.NewFakePassiveClock(noon)}
	r.Clock = c.clock
	survey := &NodeReconciler{Client: s, State: r.State, Placement: r.Placement}
	if _, err := survey.Reconcile(t.Context(), requestFor("")); err != nil {
		t.Fatal(err)
	}
	run(t, r, s) // in place, and the regions of its namespace written
	c.clock.SetTime(noon.Add(time.Minute))
	for _, name := range names {
		c.add(t, name)
	}
	s.asked()
	return c
}

// add puts a pod on node west, into the API server and into what the operator has seen of it.
func (c *cage) add(t *testing.T, name string, change ...func(*corev1.Pod)) {
	t.Helper()
	pod := runningPod("acme", name, "west")
	pod.UID = types.UID("u-" + name)
	for _, f := range change {
		f(pod)
	}
	if err := c.store.Create(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
	put(t, c.Placement, pod)
}

// look reconciles the tenant once, and returns its state and the pods that were evicted. The watch sees them go.
func (c *cage) look(t *testing.T) (*v1alpha1.HIPAATenant, []string) {
	t.Helper()
	got := run(t, c.TenantReconciler, c.store)
	var evicted []string
	for _, write := range c.store.asked() {
		name, found := strings.CutPrefix(write, "create eviction Pod acme/")
		if found {
			evicted = append(evicted, name)
		}
		if found && c.store.fail[write] == nil {
			if exists(t, c.store, "acme", name, &corev1.Pod{}) {
				t.Errorf("pod %s is still there: the eviction does not name its UID", name)
			}
			if err := c.Placement.pods.GetIndexer().Delete(&locatedPod{ObjectMeta: metav1.ObjectMeta{Namespace: "acme", Name: name}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	return got, evicted
}

// update changes an object in the API server.
func update[T client.Object](t *testing.T, c *cage, name string, obj T, change func(T)) {
	t.Helper()
	change(fetch(t, c.store, "", name, obj))
	if err := c.store.Update(t.Context(), obj); err != nil {
		t.Fatal(err)
	}
}

func (c *cage) pass(d time.Duration) { c.clock.SetTime(c.clock.Now().Add(d)) }

func messageOf(h *v1alpha1.HIPAATenant, code string) string {
	for _, f := range h.Status.Findings {
		if f.Code == code {
			return f.Message
		}
	}
	return ""
}

// TestAFewAreEvictedAtATime, with a pause in between, until none is left.
func TestAFewAreEvictedAtATime(t *testing.T) {
	c := caged(t, "a", "b", "c", "d", "e")
	counted := testutil.ToFloat64(evictedPods.WithLabelValues(string(compile.CauseMisplaced)))
	got, evicted := c.look(t)
	if n := testutil.ToFloat64(evictedPods.WithLabelValues(string(compile.CauseMisplaced))); n != counted+3 {
		t.Errorf("%v evictions counted, want 3", n-counted)
	}
	if diff := cmp.Diff([]string{"a", "b", "c"}, evicted); diff != "" {
		t.Errorf("evicted (-want +got):\n%s", diff)
	}
	if reasonOf(got, v1alpha1.ConditionPlacementEnforced) != "False/PodsMisplaced" || reasonOf(got, v1alpha1.ConditionReady) != "False/PodsMisplaced" {
		t.Errorf("conditions %v", got.Status.Conditions)
	}
	c.pass(evictPause - time.Second)
	if _, evicted = c.look(t); len(evicted) != 0 {
		t.Errorf("%v are evicted before the pause is over", evicted)
	}
	if result, err := c.Reconcile(t.Context(), requestFor("acme")); err != nil || result.RequeueAfter != time.Second {
		t.Errorf("looks again after %s, %v; want when the pause is over", result.RequeueAfter, err)
	}
	c.pass(time.Second)
	if _, evicted = c.look(t); !slices.Equal(evicted, []string{"d", "e"}) {
		t.Errorf("evicted %v", evicted)
	}
	got, evicted = c.look(t)
	if len(evicted) != 0 || reasonOf(got, v1alpha1.ConditionReady) != "True/Ready" || len(got.Status.Findings) != 1 {
		t.Errorf("evicted %v, Ready %s, findings %v; want only that the region rests on labels", evicted, reasonOf(got, v1alpha1.ConditionReady), got.Status.Findings)
	}
}

// TestNobodyIsEvictedFromAStaleView: whatever the operator believes, the API server is asked once more.
func TestNobodyIsEvictedFromAStaleView(t *testing.T) {
	replace := func(change func(*corev1.Pod)) func(*testing.T, *cage) {
		return func(t *testing.T, c *cage) {
			pod := fetch(t, c.store, "acme", "a", &corev1.Pod{})
			if err := c.store.Delete(t.Context(), pod); err != nil {
				t.Fatal(err)
			}
			pod = runningPod("acme", "a", "west")
			pod.UID = "u-a"
			change(pod)
			if err := c.store.Create(t.Context(), pod); err != nil {
				t.Fatal(err)
			}
		}
	}
	relabel := func(change func(*corev1.Node)) func(*testing.T, *cage) {
		return func(t *testing.T, c *cage) {
			west := fetch(t, c.store, "", "west", &corev1.Node{})
			change(west)
			if err := c.store.Update(t.Context(), west); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, happened := range map[string]func(*testing.T, *cage){
		"another pod has the name": replace(func(p *corev1.Pod) { p.UID = "u-other" }),
		"it is on another node":    replace(func(p *corev1.Pod) { p.Spec.NodeName = "east" }),
		"it has succeeded":         replace(func(p *corev1.Pod) { p.Status.Phase = corev1.PodSucceeded }),
		"it has failed":            replace(func(p *corev1.Pod) { p.Status.Phase = corev1.PodFailed }),
		"it is gone": func(t *testing.T, c *cage) {
			if err := c.store.Delete(t.Context(), fetch(t, c.store, "acme", "a", &corev1.Pod{})); err != nil {
				t.Fatal(err)
			}
		},
		"its node is labelled back":  relabel(func(n *corev1.Node) { n.Labels[corev1.LabelTopologyRegion] = "us-east-1" }),
		"its node is somewhere else": relabel(func(n *corev1.Node) { n.Spec.ProviderID = "aws:///us-east-1a/i-0" }),
		"its node is gone": func(t *testing.T, c *cage) {
			if err := c.store.Delete(t.Context(), fetch(t, c.store, "", "west", &corev1.Node{})); err != nil {
				t.Fatal(err)
			}
		},
		"the profile changed": func(t *testing.T, c *cage) {
			c.Live = elsewhere{c.store, func(obj any) {
				if p, ok := obj.(*v1alpha1.HIPAAProfile); ok {
					p.Generation++
				}
			}}
		},
		"the tenant changed": func(t *testing.T, c *cage) {
			c.Live = elsewhere{c.store, func(obj any) {
				if h, ok := obj.(*v1alpha1.HIPAATenant); ok {
					h.Generation++
				}
			}}
		},
		"the tenant is another": func(t *testing.T, c *cage) {
			c.Live = elsewhere{c.store, func(obj any) {
				if h, ok := obj.(*v1alpha1.HIPAATenant); ok {
					h.UID = "u-2"
				}
			}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := caged(t, "a")
			happened(t, c)
			if _, evicted := c.look(t); len(evicted) != 0 {
				t.Errorf("%v is evicted", evicted)
			}
		})
	}
}

// elsewhere is an API server that is ahead of the cache.
type elsewhere struct {
	*store
	ahead func(any)
}

// Get returns the object as it has become.
func (e elsewhere) Get(ctx context.Context, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
	err := e.store.Get(ctx, key, obj, opts...)
	e.ahead(obj)
	return err
}

var budget = &apierrors.StatusError{ErrStatus: metav1.Status{
	Code: 429, Reason: metav1.StatusReasonTooManyRequests, Details: &metav1.StatusDetails{Causes: []metav1.StatusCause{{Type: policyv1.DisruptionBudgetCause}}},
}}

// TestAPodDisruptionBudgetIsObeyed, told in the same words at every attempt, also by another process, and tried again
// less and less often.
func TestAPodDisruptionBudgetIsObeyed(t *testing.T) {
	c := caged(t, "a", "b", "c", "d")
	for _, name := range []string{"a", "b", "c", "d"} {
		c.store.fail["create eviction Pod acme/"+name] = budget
	}
	got, evicted := c.look(t)
	if len(evicted) != 3 {
		t.Errorf("tried %v, want three", evicted)
	}
	const want = "not every misplaced pod is evicted: acme/a is left where it is, because a PodDisruptionBudget does not allow it now"
	if message := messageOf(got, compile.CodeEvictionHeld); message != want {
		t.Errorf("finding %q", message)
	}
	var tried []string
	for range 60 {
		c.pass(5 * time.Second)
		again, evicted := c.look(t)
		if again.ResourceVersion != got.ResourceVersion {
			t.Fatalf("another attempt writes the status: %v", again.Status.Findings)
		}
		tried = append(tried, evicted...)
	}
	if n := len(slices.DeleteFunc(tried, func(name string) bool { return name != "a" })); n < 3 || n > 5 {
		t.Errorf("pod a is tried %d times in five minutes, want about after 10, 30, 70 and 150 seconds", n)
	}
	c.evictions.Clear() // as after a restart
	if again, _ := c.look(t); again.ResourceVersion != got.ResourceVersion {
		t.Errorf("a restart writes the status: %v", again.Status.Findings)
	}
	clear(c.store.fail)
	c.pass(retryHeldMax)
	if _, evicted = c.look(t); len(evicted) != 3 {
		t.Errorf("evicted %v once it is allowed", evicted)
	}
}

// TestAPodThatWasHeldAndIsGone is not spoken of any more, while others still go.
func TestAPodThatWasHeldAndIsGone(t *testing.T) {
	c := caged(t, "a", "b", "c", "d")
	c.store.fail["create eviction Pod acme/a"] = budget
	if got, _ := c.look(t); !strings.Contains(messageOf(got, compile.CodeEvictionHeld), "acme/a") {
		t.Errorf("findings %v", got.Status.Findings)
	}
	if err := c.Placement.pods.GetIndexer().Delete(&locatedPod{ObjectMeta: metav1.ObjectMeta{Namespace: "acme", Name: "a"}}); err != nil {
		t.Fatal(err)
	}
	if got, _ := c.look(t); messageOf(got, compile.CodeEvictionHeld) != "" || messageOf(got, compile.CodePodsMisplaced) == "" {
		t.Errorf("findings %v", got.Status.Findings)
	}
}

// TestAVolumeThatCannotFollowHoldsItsPod, by name or by its pod's.
func TestAVolumeThatCannotFollowHoldsItsPod(t *testing.T) {
	c := caged(t, "free")
	c.add(t, "keeper", func(p *corev1.Pod) {
		p.Spec.Volumes = []corev1.Volume{{Name: "x", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "records"}}}}
	})
	c.add(t, "scratch", func(p *corev1.Pod) {
		p.Spec.Volumes = []corev1.Volume{{Name: "tmp", VolumeSource: corev1.VolumeSource{Ephemeral: &corev1.EphemeralVolumeSource{}}}}
	})
	for _, claim := range []string{"records", "scratch-tmp"} {
		pv := &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "pv-" + claim}}
		pv.Spec.ClaimRef = &corev1.ObjectReference{Namespace: "acme", Name: claim}
		pv.Spec.NodeAffinity = &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
			MatchExpressions: []corev1.NodeSelectorRequirement{{Key: corev1.LabelTopologyZone, Operator: corev1.NodeSelectorOpIn, Values: []string{"us-west-2a"}}},
		}}}}
		put(t, c.Placement, pv)
	}
	got, evicted := c.look(t)
	if diff := cmp.Diff([]string{"free"}, evicted); diff != "" {
		t.Errorf("evicted (-want +got):\n%s", diff)
	}
	if message := messageOf(got, compile.CodeEvictionHeld); !strings.Contains(message, "acme/keeper is left where it is, because its volume pv-records lies outside too") {
		t.Errorf("finding %q", message)
	}
}

// TestNobodyIsEvictedRightAfterTheRegionsWereWritten: an API server that has not seen them yet would let the replacement
// go where the pod was.
func TestNobodyIsEvictedRightAfterTheRegionsWereWritten(t *testing.T) {
	c := caged(t, "a")
	h := fetch(t, c.store, "", "acme", &v1alpha1.HIPAATenant{})
	h.Spec.SessionTimeout = "5m"
	h.Generation++
	if err := c.store.Update(t.Context(), h); err != nil {
		t.Fatal(err)
	}
	if _, evicted := c.look(t); len(evicted) != 0 {
		t.Errorf("%v is evicted in the same moment", evicted)
	}
	c.pass(evictPause)
	if _, evicted := c.look(t); len(evicted) != 1 {
		t.Error("and not later either")
	}
}

func TestRefusal(t *testing.T) {
	pods := schema.GroupResource{Resource: "pods"}
	forbidden := &apierrors.StatusError{ErrStatus: metav1.Status{Code: 403, Reason: metav1.StatusReasonForbidden, Details: budget.ErrStatus.Details}}
	for name, tc := range map[string]struct {
		err    error
		reason string
		fails  bool
	}{
		"evicted":                {nil, "", false},
		"gone":                   {apierrors.NewNotFound(pods, "a"), "", false},
		"another by now":         {apierrors.NewConflict(pods, "a", errors.New("uid")), "", false},
		"a budget":               {budget, "a PodDisruptionBudget does not allow it now", false},
		"a budget, forbidden":    {forbidden, "a PodDisruptionBudget does not allow it now", false},
		"more than one budget":   {apierrors.NewInternalError(errors.New("more than one PodDisruptionBudget")), "the API server refused: Internal error occurred: more than one PodDisruptionBudget", false},
		"a policy":               {apierrors.NewForbidden(pods, "a", errors.New("not here")), `the API server refused: pods "a" is forbidden: not here`, false},
		"it is being looked at":  {fmt.Errorf("asking: %w", context.DeadlineExceeded), "the API server asked to wait", false},
		"too many requests":      {apierrors.NewTooManyRequests("slow down", 1), "", true},
		"the API server is away": {errors.New("connection refused"), "", true},
		"it is overloaded":       {apierrors.NewServiceUnavailable("later"), "", true},
	} {
		reason, err := refusal(tc.err)
		if reason != tc.reason || (err != nil) != tc.fails {
			t.Errorf("%s: %q, %v", name, reason, err)
		}
	}
}

// TestAnEvictionThatFailsIsRetried, and told.
func TestAnEvictedPodEndsWithinTheHour(t *testing.T) {
	hour := new(int64(3600))
	tests := map[string]struct{ asked, want *int64 }{
		"nothing asked": {},
		"half a minute": {asked: new(int64(30))},
		"an hour":       {asked: hour},
		"ten years":     {asked: new(int64(315360000)), want: hour},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			pod := runningPod("acme", "web", "west")
			pod.Spec.TerminationGracePeriodSeconds = tc.asked
			if diff := cmp.Diff(tc.want, deletionOf(pod).GracePeriodSeconds); diff != "" {
				t.Errorf("seconds (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAnEvictionThatFailsIsRetried(t *testing.T) {
	c := caged(t, "a")
	c.store.fail["create eviction Pod acme/a"] = errors.New("no route")
	if _, err := c.Reconcile(t.Context(), requestFor("acme")); err == nil || !strings.Contains(err.Error(), "evicting pod acme/a: no route") {
		t.Errorf("error %v", err)
	}
	got := fetch(t, c.store, "", "acme", &v1alpha1.HIPAATenant{})
	if reasonOf(got, v1alpha1.ConditionReady) != "False/"+v1alpha1.ReasonFailed || reasonOf(got, v1alpha1.ConditionPlacementEnforced) != "False/PodsMisplaced" {
		t.Errorf("conditions %v", got.Status.Conditions)
	}
}
