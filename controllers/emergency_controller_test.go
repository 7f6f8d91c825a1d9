package controllers

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/apply"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/audit"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/compile"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/extension"
	"github.com/hipaatenant/hipaa-tenant-operator/test/fixture"
)

// siege is an access to tenant acme that ben approved, and what is needed to grant it.
type siege struct {
	*EmergencyReconciler
	store    *store
	recorder *events.FakeRecorder
	taken    []audit.Record
}

func besieged(t *testing.T, objects ...client.Object) *siege {
	t.Helper()
	e := &v1alpha1.EmergencyAccess{
		ObjectMeta: metav1.ObjectMeta{Name: "inc", UID: "u-inc", CreationTimestamp: metav1.NewTime(noon), Annotations: map[string]string{
			v1alpha1.AnnotationRequestedBy: "ana", v1alpha1.AnnotationApprove: "true", v1alpha1.AnnotationApprovedBy: "ben",
		}},
		Spec: v1alpha1.EmergencyAccessSpec{Tenant: "acme", Role: "Operator", Reason: "INC-4711 claims", Duration: "1h"},
	}
	profile := fixture.Profile("default", func(p *v1alpha1.HIPAAProfile) {
		p.Spec.EmergencyAccess = &v1alpha1.EmergencyAccessRules{MaxDuration: "2h", Approvers: []v1alpha1.Subject{{Kind: "User", Name: "ben"}}}
	})
	s := &siege{store: newStore(t, append([]client.Object{e, profile, tenant(), namespaceOf("acme-app", "acme", "u-acme", v1alpha1.GateOpen),
		namespaceOf("acme-old", "acme", "u-former", v1alpha1.GateQuarantined), namespaceOf("birch", "birch", "u-birch", v1alpha1.GateOpen)}, objects...)...)}
	s.recorder = events.NewFakeRecorder(100)
	state := NewClusterState()
	state.setAdmission([]string{})
	state.setNodes(&compile.Survey{})
	state.setStorageClasses(map[string]compile.StorageClass{})
	state.setExtensions(map[string]extension.API{})
	s.EmergencyReconciler = &EmergencyReconciler{
		Client: s.store, Live: s.store, Applier: apply.New(s.store.cached(), s.store, v1alpha1.OperatorName), State: state,
		Recorder: s.recorder, Clock: clocktesting.NewFakePassiveClock(noon.Add(time.Minute)),
		Audit: func(_ context.Context, r audit.Record) { s.taken = append(s.taken, r) },
	}
	return s
}

func (s *siege) reconcile(t *testing.T) (time.Duration, error) {
	t.Helper()
	result, err := s.Reconcile(t.Context(), requestFor("inc"))
	return result.RequeueAfter, err
}

func (s *siege) access(t *testing.T) *v1alpha1.EmergencyAccess {
	t.Helper()
	return fetch(t, s.store, "", "inc", &v1alpha1.EmergencyAccess{})
}

func (s *siege) bound(t *testing.T) []string {
	t.Helper()
	var list rbacv1.RoleBindingList
	if err := s.store.List(t.Context(), &list); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, b := range list.Items {
		names = append(names, b.Namespace+"/"+b.Name)
	}
	slices.Sort(names)
	return names
}

func (s *siege) actions() (out []string) {
	for _, r := range s.taken {
		out = append(out, r.Action+" by "+r.Actor)
	}
	return out
}

var granted = []string{"acme-app/hipaa-emergency-inc", "acme-app/hipaa-emergency-inc.operator"}

func TestEmergencyBeginsAndEnds(t *testing.T) {
	s := besieged(t)
	again, err := s.reconcile(t)
	if err != nil || again != time.Hour {
		t.Fatalf("looks again after %s, %v; want at the end, in 1h", again, err)
	}
	if diff := cmp.Diff([]string{
		"update status EmergencyAccess inc", "patch RoleBinding acme-app/hipaa-emergency-inc.operator", "patch RoleBinding acme-app/hipaa-emergency-inc",
		"update status EmergencyAccess inc",
	}, s.store.asked()); diff != "" {
		t.Errorf("the end is written before access is granted (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(granted, s.bound(t)); diff != "" {
		t.Errorf("neither of another tenant nor of a former one (-want +got):\n%s", diff)
	}
	if again, err := s.reconcile(t); err != nil || again != time.Hour || len(s.store.asked()) != 0 {
		t.Errorf("the second time: %s, %v; want no writes", again, err)
	}
	s.Clock = clocktesting.NewFakePassiveClock(noon.Add(time.Hour + time.Minute))
	if again, err := s.reconcile(t); err != nil || again != 0 || len(s.bound(t)) != 0 {
		t.Errorf("at its end: %s, %v, bound %v; want nothing left to do", again, err, s.bound(t))
	}
	if e := s.access(t); e.Status.EndedAt == nil || meta.IsStatusConditionTrue(e.Status.Conditions, v1alpha1.ConditionActive) {
		t.Errorf("status %+v; want ended", e.Status)
	}
	s.Clock = clocktesting.NewFakePassiveClock(noon)
	if _, err := s.reconcile(t); err != nil || len(s.bound(t)) != 0 {
		t.Errorf("on a clock that went back: %v, bound %v; want it to stay over", err, s.bound(t))
	}
	if diff := cmp.Diff([]string{"EmergencyAccessGranted by ben", "EmergencyAccessEnded by hipaa-tenant-operator"}, s.actions()); diff != "" {
		t.Errorf("audit (-want +got):\n%s", diff)
	}
	if told := strings.Join(told(s.recorder), "\n"); !strings.Contains(told, "EmergencyAccessGranted tenant acme: ana is let in") {
		t.Errorf("events:\n%s", told)
	}
}

// A crash between two writes must not prolong the access.
func TestEmergencyIsNotProlongedByACrash(t *testing.T) {
	for _, line := range []string{"patch RoleBinding acme-app/hipaa-emergency-inc.operator", "patch RoleBinding acme-app/hipaa-emergency-inc"} {
		s := besieged(t)
		s.store.fail[line] = errors.New("power cut")
		if _, err := s.reconcile(t); err == nil {
			t.Fatalf("%s: want an error", line)
		}
		until := s.access(t).Status.ExpiresAt
		delete(s.store.fail, line)
		s.Clock = clocktesting.NewFakePassiveClock(noon.Add(31 * time.Minute))
		again, err := s.reconcile(t)
		if err != nil || again != 30*time.Minute || !s.access(t).Status.ExpiresAt.Equal(until) {
			t.Errorf("%s: half an hour later it looks again after %s, %v; want what is left, 30m", line, again, err)
		}
	}
}

// An access that fails in one namespace, however often, ends in the others when its time is over.
func TestEmergencyThatFailsEndsOnTime(t *testing.T) {
	s := besieged(t, namespaceOf("acme-full", "acme", "u-acme", v1alpha1.GateOpen))
	s.store.fail["patch RoleBinding acme-full/hipaa-emergency-inc"] = errors.New("exceeded quota")
	backoff := emergencyBackoff()
	for range 100 {
		if _, err := s.reconcile(t); err == nil || len(s.bound(t)) == 0 {
			t.Fatalf("%v, bound %v; want some, and an error", err, s.bound(t))
		}
		if after := backoff.When(requestFor("inc")); after > latest {
			t.Fatalf("tried again after %s; want at most %s", after, latest)
		}
	}
	s.Clock = clocktesting.NewFakePassiveClock(noon.Add(time.Hour + time.Minute))
	if _, err := s.reconcile(t); err != nil || len(s.bound(t)) != 0 {
		t.Errorf("at its end: %v, bound %v; want nothing left", err, s.bound(t))
	}
}

func TestEmergencyWaitsForTheAdmissionPolicies(t *testing.T) {
	s := besieged(t)
	s.State.setAdmission([]string{"ValidatingAdmissionPolicy hipaatenant-emergency: Missing"})
	again, err := s.reconcile(t)
	if err != nil || again != unguarded || len(s.bound(t)) != 0 || s.access(t).Status.ApprovedAt != nil {
		t.Errorf("%s, %v, bound %v; want nothing granted on stamps that may be forged", again, err, s.bound(t))
	}
	s.State.setAdmission([]string{})
	if _, err := s.reconcile(t); err != nil || len(s.bound(t)) != 2 {
		t.Errorf("afterwards: %v, bound %v; want it granted", err, s.bound(t))
	}
	s.State.setAdmission([]string{"ValidatingAdmissionPolicy hipaatenant-emergency: Missing"})
	if _, err := s.reconcile(t); err != nil || len(s.bound(t)) != 2 {
		t.Errorf("%v, bound %v; want a granted access to stay", err, s.bound(t))
	}
}

func TestEmergencyIsRevokedByDeletion(t *testing.T) {
	foreign := &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: "birch", Name: "own", Labels: map[string]string{v1alpha1.LabelEmergency: "inc"}}}
	s := besieged(t, foreign)
	if _, err := s.reconcile(t); err != nil {
		t.Fatal(err)
	}
	if err := s.store.Delete(t.Context(), s.access(t)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.reconcile(t); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"birch/own"}, s.bound(t)); diff != "" {
		t.Errorf("what only carries the label is left alone (-want +got):\n%s", diff)
	}
	if got := s.actions(); len(got) != 2 || !strings.HasPrefix(got[1], "EmergencyAccessRevoked") {
		t.Errorf("audit %v; want granted, revoked", got)
	}
}

// The garbage collector may be the first to take the bindings of a deleted access.
func TestEmergencyRevocationIsRecordedAnyway(t *testing.T) {
	s := besieged(t)
	if _, err := s.reconcile(t); err != nil {
		t.Fatal(err)
	}
	for _, o := range []client.Object{s.access(t), &rbacv1.RoleBinding{}} {
		var err error
		if o.GetName() == "" {
			err = s.store.DeleteAllOf(t.Context(), o, client.InNamespace("acme-app"))
		} else {
			err = s.store.Delete(t.Context(), o)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if _, err := s.reconcile(t); err != nil {
			t.Fatal(err)
		}
	}
	if got := s.taken; len(got) != 2 || got[1].Action != "EmergencyAccessRevoked" || got[1].Tenant != "acme" || !strings.Contains(got[1].Reason, "let in ana") {
		t.Errorf("audit %+v; want granted, and revoked once", got)
	}
}

// A namespace that left the tenant is left by the access as well.
func TestEmergencyFollowsTheNamespaces(t *testing.T) {
	s := besieged(t)
	if _, err := s.reconcile(t); err != nil {
		t.Fatal(err)
	}
	gone := namespaceOf("acme-app", "birch", "u-birch", v1alpha1.GateOpen)
	if err := s.store.Update(t.Context(), gone); err != nil {
		t.Fatal(err)
	}
	if err := s.store.Create(t.Context(), namespaceOf("acme-new", "acme", "u-acme", v1alpha1.GateOpen)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.reconcile(t); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"acme-new/hipaa-emergency-inc", "acme-new/hipaa-emergency-inc.operator"}, s.bound(t)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := s.access(t).Status.Namespaces; !slices.Equal(got, []v1alpha1.Name{"acme-new"}) {
		t.Errorf("status.namespaces %v", got)
	}
}
