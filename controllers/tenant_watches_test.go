package controllers

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/compile"
	"github.com/hipaatenant/hipaa-tenant-operator/test/fixture"
)

func TestDrifted(t *testing.T) {
	effective := &v1alpha1.Effective{Regions: []string{"us-east-1"}}
	before := func(generation int64, reason string, e *v1alpha1.Effective) v1alpha1.HIPAATenantStatus {
		s := v1alpha1.HIPAATenantStatus{ObservedGeneration: generation, Effective: e}
		if reason != "" {
			s.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: reason}}
		}
		return s
	}
	for name, tc := range map[string]struct {
		before v1alpha1.HIPAATenantStatus
		want   bool
	}{
		"it was in line with this spec":   {before(3, v1alpha1.ReasonReady, effective.DeepCopy()), true},
		"it was in line with another one": {before(2, v1alpha1.ReasonReady, effective.DeepCopy()), false},
		"the profile changed":             {before(3, v1alpha1.ReasonReady, &v1alpha1.Effective{Regions: []string{"us-west-2"}}), false},
		"it was never looked at":          {before(0, "", nil), false},
		"it was being brought in line":    {before(3, v1alpha1.ReasonProgressing, effective), false},
		"the last attempt failed":         {before(3, v1alpha1.ReasonFailed, effective), false},
		"it waited":                       {before(3, v1alpha1.ReasonWaiting, effective), false},
		"it was suspended":                {before(3, v1alpha1.ReasonSuspended, effective), false},
	} {
		d := decision{before: tc.before, plan: &compile.Plan{Effective: effective}}
		if got := drifted(tenant(), d); got != tc.want {
			t.Errorf("%s: drifted = %t, want %t", name, got, tc.want)
		}
	}
}

func refs(names ...string) []v1alpha1.ObjectRef {
	var out []v1alpha1.ObjectRef
	for _, name := range names {
		out = append(out, v1alpha1.ObjectRef{Kind: "ConfigMap", Namespace: "acme", Name: name})
	}
	return out
}

func TestDescribe(t *testing.T) {
	for want, list := range map[string][]v1alpha1.ObjectRef{
		"":                                   nil,
		"ConfigMap acme/a":                   refs("a"),
		"ConfigMap acme/a, ConfigMap acme/b": refs("a", "b"),
		five:                                 refs("a", "b", "c", "d", "e"),
		five + " and 1 more":                 refs("a", "b", "c", "d", "e", "f"),
		five + " and 3 more":                 refs("a", "b", "c", "d", "e", "f", "g", "h"),
	} {
		if got := describe(list); got != want {
			t.Errorf("describe(%v) = %q, want %q", list, got, want)
		}
	}
}

const five = "ConfigMap acme/a, ConfigMap acme/b, ConfigMap acme/c, ConfigMap acme/d, ConfigMap acme/e"

// TestTell: an event for each new finding that somebody should act on, and for repaired drift; nothing twice.
func TestTell(t *testing.T) {
	warning := v1alpha1.Finding{Severity: v1alpha1.SeverityWarning, Code: "BAAExpiring", Path: "spec.baa", Message: "soon"}
	mistake := v1alpha1.Finding{Severity: v1alpha1.SeverityError, Code: "UnknownChannel", Path: "spec.x", Message: "unknown"}
	note := v1alpha1.Finding{Severity: v1alpha1.SeverityInfo, Code: "GrantExpired", Path: "spec.roles[0]", Message: "over"}
	lapse := v1alpha1.Finding{Severity: v1alpha1.SeverityWarning, Code: "BAALapsed", Path: "spec.baa", Message: "ended"}
	sound := v1alpha1.HIPAATenantStatus{ObservedGeneration: 3, Conditions: []metav1.Condition{{Type: v1alpha1.ConditionReady, Reason: v1alpha1.ReasonReady}},
		Inventory: refs("a")}
	noticed, lapsed := sound, sound
	noticed.Findings, lapsed.Findings = []v1alpha1.Finding{note}, []v1alpha1.Finding{lapse}
	knowing := sound
	knowing.Findings = []v1alpha1.Finding{warning, mistake}
	for name, tc := range map[string]struct {
		d    decision
		want []string
	}{
		"nothing":                          {decision{plan: &compile.Plan{}}, nil},
		"new findings":                     {decision{plan: &compile.Plan{Findings: []v1alpha1.Finding{mistake, warning, note}}}, []string{"Warning UnknownChannel spec.x: unknown", "Warning BAAExpiring spec.baa: soon", "Normal GrantExpired spec.roles[0]: over"}},
		"known findings":                   {decision{plan: &compile.Plan{Findings: []v1alpha1.Finding{mistake, warning}}, before: knowing}, nil},
		"drift":                            {decision{plan: &compile.Plan{}, before: sound, written: refs("a")}, []string{"Warning DriftRepaired brought back in line: ConfigMap acme/a"}},
		"an API that came":                 {decision{plan: &compile.Plan{}, before: sound, written: refs("b")}, nil},
		"a change of spec":                 {decision{plan: &compile.Plan{}, written: refs("a")}, nil},
		"nothing to repair":                {decision{plan: &compile.Plan{}, before: sound}, nil},
		"drift and a notice that is known": {decision{plan: &compile.Plan{Findings: []v1alpha1.Finding{note}}, before: noticed, written: refs("a")}, []string{"Warning DriftRepaired brought back in line: ConfigMap acme/a"}},
		"a grant that ends is no drift":    {decision{plan: &compile.Plan{Findings: []v1alpha1.Finding{note}}, before: sound, written: refs("a")}, []string{"Normal GrantExpired spec.roles[0]: over"}},
		"a lapse is no drift":              {decision{plan: &compile.Plan{Findings: []v1alpha1.Finding{lapse}}, before: sound, written: refs("a")}, []string{"Warning BAALapsed spec.baa: ended"}},
		"a renewal is no drift":            {decision{plan: &compile.Plan{}, before: lapsed, written: refs("a")}, nil},
	} {
		r, recorder := reconciler(newStore(t))
		r.tell(tenant(), tc.d)
		if diff := cmp.Diff(tc.want, told(recorder)); diff != "" {
			t.Errorf("%s: events (-want +got):\n%s", name, diff)
		}
	}
}

func TestTenantOf(t *testing.T) {
	for owner, want := range map[string][]reconcile.Request{"acme": {requestFor("acme")}, "": nil} {
		obj := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "x", Labels: map[string]string{v1alpha1.LabelTenant: owner}}}
		if diff := cmp.Diff(want, tenantOf(t.Context(), obj)); diff != "" {
			t.Errorf("of tenant %q (-want +got):\n%s", owner, diff)
		}
	}
	if got := tenantOf(t.Context(), &corev1.ConfigMap{}); got != nil {
		t.Errorf("an object without labels wakes %v", got)
	}
}

func TestWhoIsWoken(t *testing.T) {
	strict := fixture.Tenant("birch", func(h *v1alpha1.HIPAATenant) { h.Spec.Profile = "strict" })
	s := newStore(t, fixture.Tenant("acme"), strict, fixture.Tenant("cedar", func(h *v1alpha1.HIPAATenant) { h.Spec.Profile = "default" }))
	r, _ := reconciler(s)
	for name, tc := range map[string]struct {
		got  []reconcile.Request
		want string
	}{
		"a change of the default profile":  {r.usersOfProfile(t.Context(), fixture.Profile("default")), "acme cedar"},
		"a change of another profile":      {r.usersOfProfile(t.Context(), fixture.Profile("strict")), "birch"},
		"a change of a profile nobody has": {r.usersOfProfile(t.Context(), fixture.Profile("spare")), ""},
		"a change of the cluster":          {r.everyTenant(t.Context(), &v1alpha1.HIPAATenant{}), "acme birch cedar"},
	} {
		var names []string
		for _, request := range tc.got {
			names = append(names, request.Name)
		}
		if got := strings.Join(names, " "); got != tc.want {
			t.Errorf("%s wakes %q, want %q", name, got, tc.want)
		}
	}
}

// TestDriftPredicate holds back the echo of the operator's own writes and nothing else.
func TestDriftPredicate(t *testing.T) {
	s := newStore(t)
	r, _ := reconciler(s)
	written := applied(t, r, s)
	drift := r.drift()
	if drift.Create(event.CreateEvent{Object: written}) {
		t.Error("the echo of a create wakes the tenant")
	}
	if !drift.Create(event.CreateEvent{Object: written}) {
		t.Error("what is delivered again does not wake the tenant")
	}
	foreign := written.DeepCopyObject().(client.Object)
	foreign.SetResourceVersion("999")
	written = applied(t, r, s)
	if !drift.Update(event.UpdateEvent{ObjectOld: written, ObjectNew: foreign}) {
		t.Error("a change by somebody else does not wake the tenant")
	}
	if !drift.Delete(event.DeleteEvent{Object: foreign}) {
		t.Error("a deletion does not wake the tenant")
	}
}

// applied writes a config by the applier, each time with another value.
func applied(t *testing.T, r *TenantReconciler, s *store) client.Object {
	t.Helper()
	revision++
	result, err := r.Applier.Apply(t.Context(), onePlan(revision))
	if err != nil || len(result.Written) != 1 {
		t.Fatalf("written %v, error %v", result.Written, err)
	}
	return fetch(t, s, "acme", v1alpha1.ConfigMapConfig, &corev1.ConfigMap{})
}

var revision int

type onePlan int

// Waves is a single config.
func (p onePlan) Waves() [][]runtime.ApplyConfiguration {
	return [][]runtime.ApplyConfiguration{{configOf(int(p))}}
}

// Births is none.
func (onePlan) Births(v1alpha1.ObjectRef) bool { return false }
