package controllers

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/events"
	clocktesting "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/admission"
)

const identity = "system:serviceaccount:hipaa-system:hipaa-tenant-operator"

func policiesOf(s *store, manage bool) (*AdmissionReconciler, *clocktesting.FakePassiveClock, *events.FakeRecorder) {
	clock, recorder := clocktesting.NewFakePassiveClock(noon), events.NewFakeRecorder(100)
	return &AdmissionReconciler{
		Client: s, State: NewClusterState(), Identity: identity, Manage: manage, Recorder: recorder, Clock: clock,
	}, clock, recorder
}

func look(t *testing.T, r *AdmissionReconciler) (ctrl.Result, []string) {
	t.Helper()
	result, err := r.Reconcile(t.Context(), ctrl.Request{})
	if err != nil {
		t.Fatal(err)
	}
	return result, r.State.Admission()
}

// regarded notes what events are recorded on.
type regarded struct {
	events.EventRecorder
	names map[string]bool
}

func (r regarded) Eventf(on, _ runtime.Object, _, _, _, _ string, _ ...any) { //nolint:revive // as many as the interface has
	if object, ok := on.(client.Object); ok {
		r.names[object.GetName()] = true
	}
}

// TestEventsAreRecordedOnTheOperatorsNamespace, wherever it was installed.
func TestEventsAreRecordedOnTheOperatorsNamespace(t *testing.T) {
	r, _, _ := policiesOf(newStore(t), true)
	on := regarded{names: map[string]bool{}}
	r.Namespace, r.Recorder = "platform", on
	look(t, r)
	if diff := cmp.Diff(map[string]bool{"platform": true}, on.names); diff != "" {
		t.Errorf("events are recorded on (-want +got):\n%s", diff)
	}
}

// TestPoliciesAreInstalled: all that are missing, and they count as in force only once every API server knows them.
func TestPoliciesAreInstalled(t *testing.T) {
	shipped, err := admission.Load(identity)
	if err != nil {
		t.Fatal(err)
	}
	s := newStore(t)
	counted := testutil.ToFloat64(restoredPolicies)
	defer func() {
		if n := testutil.ToFloat64(restoredPolicies); n != counted {
			t.Errorf("the installation counts as %v policies restored", n-counted)
		}
	}()
	r, clock, recorder := policiesOf(s, true)
	if _, problems := look(t, r); len(problems) != len(shipped) || testutil.ToFloat64(alteredPolicies) != float64(len(shipped)) {
		t.Errorf("%d problems, want all %d missing: %v", len(problems), len(shipped), problems)
	}
	if writes := s.asked(); len(writes) != len(shipped) {
		t.Errorf("%d writes, want %d: %v", len(writes), len(shipped), writes)
	}
	for _, e := range told(recorder) {
		if !strings.HasPrefix(e, "Normal AdmissionPolicyInstalled") {
			t.Errorf("at the installation the event is %q", e)
		}
	}
	result, problems := look(t, r)
	if len(problems) != 1 || !strings.Contains(problems[0], "a moment ago") || result.RequeueAfter != settle {
		t.Errorf("just written, problems are %v, next look after %s", problems, result.RequeueAfter)
	}
	clock.SetTime(noon.Add(settle))
	if result, problems = look(t, r); len(problems) != 0 || !result.IsZero() || len(s.asked()) != 0 {
		t.Errorf("settled, problems are %v, next look after %s, writes %v", problems, result.RequeueAfter, s.writes)
	}
}

// damages are what somebody could do to a policy.
var damages = map[string]func(*testing.T, *store){
	"deleted": func(t *testing.T, s *store) {
		if err := s.Delete(t.Context(), fetch(t, s, "", "hipaatenant-network", &admissionv1.ValidatingAdmissionPolicyBinding{})); err != nil {
			t.Fatal(err)
		}
	},
	"made toothless": func(t *testing.T, s *store) {
		b := fetch(t, s, "", "hipaatenant-network", &admissionv1.ValidatingAdmissionPolicyBinding{})
		b.Spec.ValidationActions = []admissionv1.ValidationAction{admissionv1.Audit}
		if err := s.Update(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	},
	"excused": func(t *testing.T, s *store) {
		p := fetch(t, s, "", "hipaatenant-network", &admissionv1.ValidatingAdmissionPolicy{})
		p.Spec.MatchConditions = append(p.Spec.MatchConditions, admissionv1.MatchCondition{Name: "never", Expression: "false"})
		if err := s.Update(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	},
}

func installed(t *testing.T) *store {
	t.Helper()
	s := newStore(t)
	r, _, _ := policiesOf(s, true)
	look(t, r)
	s.asked()
	return s
}

func TestPoliciesAreRestored(t *testing.T) {
	for what, damage := range damages {
		t.Run(what, func(t *testing.T) {
			s := installed(t)
			damage(t, s)
			s.asked()
			r, clock, recorder := policiesOf(s, true)
			counted := testutil.ToFloat64(restoredPolicies)
			if _, problems := look(t, r); len(problems) != 1 || !strings.Contains(problems[0], "hipaatenant-network") {
				t.Errorf("problems are %v, want the one", problems)
			}
			if writes := s.asked(); len(writes) != 1 {
				t.Errorf("writes are %v, want one", writes)
			}
			if e := told(recorder); len(e) != 1 || !strings.HasPrefix(e[0], "Warning AdmissionPolicyRestored") {
				t.Errorf("events are %v, want a warning", e)
			}
			damage(t, s) // seen as if the cache had not shown the write yet
			s.asked()
			look(t, r)
			if n := testutil.ToFloat64(restoredPolicies); n != counted+1 {
				t.Errorf("%v policies count as restored, want 1", n-counted)
			}
			s.asked()
			clock.SetTime(noon.Add(time.Hour))
			if _, problems := look(t, r); len(problems) != 0 || len(s.asked()) != 0 {
				t.Errorf("an hour later problems are %v, writes %v", problems, s.writes)
			}
		})
	}
}

// A rule that a new version moves to a policy it adds stands there before it is taken out of the old one.
func TestMissingPoliciesAreMadeBeforeOthersAreReplaced(t *testing.T) {
	s := installed(t)
	damages["excused"](t, s) // network comes before workload in the order of names
	if err := s.Delete(t.Context(), fetch(t, s, "", "hipaatenant-workload", &admissionv1.ValidatingAdmissionPolicy{})); err != nil {
		t.Fatal(err)
	}
	s.asked()
	r, _, _ := policiesOf(s, true)
	look(t, r)
	writes := s.asked()
	if len(writes) != 2 || !strings.Contains(writes[0], "hipaatenant-workload") || !strings.Contains(writes[1], "hipaatenant-network") {
		t.Errorf("writes are %v, want the missing policy and then the altered one", writes)
	}
}

func TestPoliciesAreOnlyReportedWhereSomebodyElseKeepsThem(t *testing.T) {
	for what, damage := range damages {
		s := installed(t)
		damage(t, s)
		s.asked()
		r, clock, recorder := policiesOf(s, false)
		for range 2 {
			if _, problems := look(t, r); len(problems) != 1 {
				t.Errorf("%s: problems are %v, want the one", what, problems)
			}
			clock.SetTime(noon.Add(time.Hour))
		}
		if writes, e := s.asked(), told(recorder); len(writes) != 0 || len(e) != 0 {
			t.Errorf("%s: writes %v, events %v; want none", what, writes, e)
		}
	}
}

// TestAPolicyOutsideTheCacheIsTakenBack: without its label it is invisible to the operator, and exists.
func TestAPolicyOutsideTheCacheIsTakenBack(t *testing.T) {
	s := installed(t)
	b := fetch(t, s, "", "hipaatenant-network", &admissionv1.ValidatingAdmissionPolicyBinding{})
	want := b.DeepCopy()
	want.ResourceVersion, want.UID = "", ""
	b.Labels, b.Spec.ValidationActions = nil, []admissionv1.ValidationAction{admissionv1.Audit}
	if err := s.Update(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	r, _, _ := policiesOf(s, true)
	if err := r.put(t.Context(), want, nil); err != nil {
		t.Fatal(err)
	}
	b = fetch(t, s, "", "hipaatenant-network", &admissionv1.ValidatingAdmissionPolicyBinding{})
	if b.Labels[v1alpha1.LabelManagedBy] != v1alpha1.OperatorName || b.Spec.ValidationActions[0] != admissionv1.Deny {
		t.Errorf("labels %v, actions %v; want it as shipped", b.Labels, b.Spec.ValidationActions)
	}
}

func TestAPolicyThatCannotBeWritten(t *testing.T) {
	s := installed(t)
	damages["made toothless"](t, s)
	s.fail["update ValidatingAdmissionPolicyBinding hipaatenant-network"] = errors.New("no route")
	r, _, recorder := policiesOf(s, true)
	_, err := r.Reconcile(t.Context(), ctrl.Request{})
	if err == nil || !strings.Contains(err.Error(), "hipaatenant-network: no route") || len(r.State.Admission()) != 1 || len(told(recorder)) != 0 {
		t.Errorf("error %v, problems %v; want both, and no event that claims it was restored", err, r.State.Admission())
	}
}

func TestPoliciesThatCannotBeListedStayUnknown(t *testing.T) {
	s := newStore(t)
	r, _, _ := policiesOf(s, true)
	r.Client = interceptor.NewClient(s, interceptor.Funcs{
		List: func(context.Context, client.WithWatch, client.ObjectList, ...client.ListOption) error {
			return errors.New("no informer")
		},
	})
	if _, err := r.Reconcile(t.Context(), ctrl.Request{}); err == nil || r.State.problems != nil || len(s.asked()) != 0 {
		t.Errorf("error %v, problems %v, writes %v; want the error and nothing known", err, r.State.problems, s.writes)
	}
}
