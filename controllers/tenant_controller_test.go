package controllers

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/compile"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/status"
)

func TestNext(t *testing.T) {
	written := []v1alpha1.ObjectRef{{Kind: "Namespace", Name: "acme"}}
	for name, tc := range map[string]struct {
		plan    compile.Plan
		keys    string
		written []v1alpha1.ObjectRef
		want    time.Duration
	}{
		"nothing to wait for":              {compile.Plan{}, "", nil, 0},
		"a fact is missing":                {compile.Plan{Waiting: []string{"x"}}, "", nil, retryWaiting},
		"the KMS is away":                  {compile.Plan{}, v1alpha1.ReasonKMSUnreachable, nil, retryWaiting},
		"the KMS says no":                  {compile.Plan{}, v1alpha1.ReasonKMSRefused, nil, retryRefused},
		"a namespace is somebody else's":   {compile.Plan{Findings: []v1alpha1.Finding{{Code: compile.CodeNamespaceConflict}}}, "", nil, retryRefused},
		"a keyset is foreign":              {compile.Plan{}, v1alpha1.ReasonForeignKeyMaterial, nil, 0},
		"something was written":            {compile.Plan{}, "", written, confirmAfter},
		"a date lies far ahead":            {compile.Plan{Next: noon.Add(48 * time.Hour)}, "", nil, atMost},
		"a date is upon us":                {compile.Plan{Next: noon.Add(time.Millisecond)}, "", nil, atLeast},
		"a date is past":                   {compile.Plan{Next: noon.Add(-time.Hour)}, "", nil, time.Second},
		"a date comes before the retry":    {compile.Plan{Next: noon.Add(3 * time.Second), Waiting: []string{"x"}}, "", nil, 3 * time.Second},
		"the retry comes before a date":    {compile.Plan{Next: noon.Add(time.Hour), Waiting: []string{"x"}}, "", nil, retryWaiting},
		"the confirmation before a no":     {compile.Plan{}, v1alpha1.ReasonKMSRefused, written, confirmAfter},
		"the confirmation before the date": {compile.Plan{Next: noon.Add(time.Hour)}, "", written, confirmAfter},
	} {
		r, _ := reconciler(newStore(t))
		d := decision{plan: &tc.plan, written: tc.written, inputs: status.Inputs{Keys: status.Keys{Reason: tc.keys}}}
		if diff := cmp.Diff(ctrl.Result{RequeueAfter: tc.want}, r.next(d)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestRetriable(t *testing.T) {
	terminating := apierrors.NewForbidden(schema.GroupResource{Resource: "secrets"}, "x", errors.New("terminating"))
	terminating.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: corev1.NamespaceTerminatingCause}}
	plain := errors.New("no route")
	for name, tc := range map[string]struct{ err, want error }{
		"none":                               {nil, nil},
		"another":                            {plain, plain},
		"a namespace terminates":             {terminating, nil},
		"a namespace terminates, explained":  {fmt.Errorf("writing: %w", errors.Join(terminating)), nil},
		"forbidden, but not for terminating": {apierrors.NewForbidden(schema.GroupResource{}, "x", plain), apierrors.NewForbidden(schema.GroupResource{}, "x", plain)},
	} {
		if got := retriable(tc.err); fmt.Sprint(got) != fmt.Sprint(tc.want) {
			t.Errorf("%s: retriable = %v, want %v", name, got, tc.want)
		}
	}
}

func TestUnion(t *testing.T) {
	a, b, c := v1alpha1.ObjectRef{Kind: "Namespace", Name: "a"}, v1alpha1.ObjectRef{Kind: "Namespace", Name: "b"}, v1alpha1.ObjectRef{Kind: "Secret", Namespace: "a", Name: "x"}
	first := make([]v1alpha1.ObjectRef, 0, 10)
	first = append(first, c, a)
	if diff := cmp.Diff([]v1alpha1.ObjectRef{a, b, c}, union(first, []v1alpha1.ObjectRef{b, a})); diff != "" {
		t.Errorf("union (-want +got):\n%s", diff)
	}
	if got := union(nil, nil); len(got) != 0 {
		t.Errorf("union of nothing = %v", got)
	}
	if !slices.Equal(first, []v1alpha1.ObjectRef{c, a}) || first[:3][2] != (v1alpha1.ObjectRef{}) {
		t.Errorf("union changed its argument: %v", first[:3])
	}
}

// TestStaleViewsAreNotActedUpon: a cache that has not seen the last status write would have it repeated.
func TestStaleViewsAreNotActedUpon(t *testing.T) {
	for _, tc := range []struct {
		last, seen string
		want       bool
	}{{"", "7", false}, {"7", "7", false}, {"7", "8", false}, {"8", "7", true}, {"10", "9", true}, {"9", "10", false}, {"8", "x", false}} {
		r, _ := reconciler(newStore(t))
		subject := tenant()
		subject.ResourceVersion = tc.seen
		if tc.last != "" {
			r.lastWrites.Store(subject.UID, tc.last)
		}
		if got := r.stale(subject); got != tc.want {
			t.Errorf("written at %q, seen at %q: stale = %t, want %t", tc.last, tc.seen, got, tc.want)
		}
	}
	s := newStore(t, tenant())
	r, _ := reconciler(s)
	r.lastWrites.Store(tenant().UID, "999999")
	result, err := r.Reconcile(t.Context(), requestFor("acme"))
	if err != nil || result.RequeueAfter != retryStale || len(s.asked()) != 0 {
		t.Errorf("a stale view: %v, %v, writes %v; want another look soon and no write", result, err, s.writes)
	}
}

func TestStatusIsWrittenOnlyWhenItChanges(t *testing.T) {
	s := newStore(t, tenant())
	r, _ := reconciler(s)
	subject := fetch(t, s, "", "acme", &v1alpha1.HIPAATenant{})
	wanted := status.Suspend(subject, noon)
	for i, want := range []int{1, 0} {
		if err := r.writeStatus(t.Context(), subject, wanted); err != nil {
			t.Fatal(err)
		}
		if got := s.asked(); len(got) != want {
			t.Errorf("attempt %d: writes %v, want %d", i, got, want)
		}
	}
	if last, _ := r.lastWrites.Load(subject.UID); last != subject.ResourceVersion || r.stale(subject) {
		t.Errorf("the write at %s is remembered as %v", subject.ResourceVersion, last)
	}
	s.fail["update status HIPAATenant acme"] = errors.New("no route")
	if err := r.writeStatus(t.Context(), subject, v1alpha1.HIPAATenantStatus{}); err == nil || err.Error() != "writing the status: no route" {
		t.Errorf("error is %v", err)
	}
}

func TestFinalizerIsAddedOnce(t *testing.T) {
	s := newStore(t, tenant())
	r, _ := reconciler(s)
	subject := fetch(t, s, "", "acme", &v1alpha1.HIPAATenant{})
	stale := subject.DeepCopy()
	for _, want := range []int{1, 0} {
		if err := r.ensureFinalizer(t.Context(), subject); err != nil {
			t.Fatal(err)
		}
		if got := s.asked(); len(got) != want || !controllerutil.ContainsFinalizer(fetch(t, s, "", "acme", &v1alpha1.HIPAATenant{}), v1alpha1.Finalizer) {
			t.Errorf("writes %v, want %d and the finalizer in place", got, want)
		}
	}
	if err := r.ensureFinalizer(t.Context(), stale); !apierrors.IsConflict(err) {
		t.Errorf("a stale view of the tenant gives %v, want a conflict", err)
	}
}

// TestNothingIsSaidBeforeTheClusterIsKnown: neither written nor reported.
func TestNothingIsSaidBeforeTheClusterIsKnown(t *testing.T) {
	s := newStore(t, tenant())
	r, _ := reconciler(s)
	r.State = NewClusterState()
	result, err := r.Reconcile(t.Context(), requestFor("acme"))
	if err != nil || !result.IsZero() || len(s.asked()) != 0 {
		t.Errorf("%v, %v, writes %v; want nothing", result, err, s.writes)
	}
}

func TestATenantThatIsGoneNeedsNothing(t *testing.T) {
	s := newStore(t)
	r, _ := reconciler(s)
	if result, err := r.Reconcile(t.Context(), requestFor("acme")); err != nil || !result.IsZero() || len(s.asked()) != 0 {
		t.Errorf("%v, %v, writes %v; want nothing", result, err, s.writes)
	}
}

// TestReconcileOfTenantsThatAreNotApplied: the status says why, nothing but the tenant is written, and a watch or a
// requeue brings it back.
func TestReconcileOfTenantsThatAreNotApplied(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*v1alpha1.HIPAATenant)
		others []client.Object
		reason string
		after  time.Duration
		writes []string
	}{
		"suspended": {func(h *v1alpha1.HIPAATenant) { h.Spec.Suspend = true }, nil, v1alpha1.ReasonSuspended, 0,
			[]string{"update status HIPAATenant acme"}},
		"no profile": {nil, nil, v1alpha1.ReasonWaiting, retryWaiting,
			[]string{"patch HIPAATenant acme", "update status HIPAATenant acme"}},
		"a region that is not eligible": {func(h *v1alpha1.HIPAATenant) { h.Spec.Region = "eu-west-1" },
			[]client.Object{defaultProfile()}, v1alpha1.ReasonInvalid, 0, []string{"patch HIPAATenant acme", "update status HIPAATenant acme"}},
		"another tenant's namespace": {nil, []client.Object{defaultProfile(), namespaceOf("acme", "birch", "u-birch", v1alpha1.GateOpen)},
			v1alpha1.ReasonNamespaceConflict, retryRefused, []string{"patch HIPAATenant acme", "update status HIPAATenant acme"}},
	} {
		t.Run(name, func(t *testing.T) {
			subject := tenant()
			if tc.change != nil {
				tc.change(subject)
			}
			s := newStore(t, append(tc.others, subject)...)
			r, _ := reconciler(s)
			result, err := r.Reconcile(t.Context(), requestFor("acme"))
			if err != nil {
				t.Fatal(err)
			}
			got := fetch(t, s, "", "acme", &v1alpha1.HIPAATenant{})
			ready := meta.FindStatusCondition(got.Status.Conditions, v1alpha1.ConditionReady)
			if ready == nil || ready.Reason != tc.reason || ready.Status == metav1.ConditionTrue {
				t.Errorf("Ready is %+v, want reason %s", ready, tc.reason)
			}
			if diff := cmp.Diff(tc.writes, s.asked()); diff != "" {
				t.Errorf("writes (-want +got):\n%s", diff)
			}
			dated := tc.after == 0 && result.RequeueAfter == atMost // the end of the agreement
			if result.RequeueAfter != tc.after && !dated {
				t.Errorf("looks again after %s, want %s", result.RequeueAfter, tc.after)
			}
			if _, err := r.Reconcile(t.Context(), requestFor("acme")); err != nil || len(s.asked()) != 0 {
				t.Errorf("the second time: %v, writes %v; want none", err, s.writes)
			}
		})
	}
}

// TestAConflictIsNoError: somebody else wrote at the same time, and the next attempt sees what.
func TestAConflictIsNoError(t *testing.T) {
	conflict := apierrors.NewConflict(schema.GroupResource{Resource: "hipaatenants"}, "acme", errors.New("changed"))
	for line, want := range map[string]error{
		"update status HIPAATenant acme": nil,
		"patch HIPAATenant acme":         nil,
	} {
		s := newStore(t, tenant())
		r, _ := reconciler(s)
		s.fail[line] = conflict
		if result, err := r.Reconcile(t.Context(), requestFor("acme")); !errors.Is(err, want) || result.RequeueAfter != retryStale {
			t.Errorf("%s conflicts: %v, %v; want another look after %s", line, result, err, retryStale)
		}
		s.fail[line] = errors.New("no route")
		if _, err := r.Reconcile(t.Context(), requestFor("acme")); err == nil {
			t.Errorf("%s fails: no error", line)
		}
	}
}
