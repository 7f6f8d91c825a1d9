package controllers

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/handler"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
)

// TestClosingsComeFirst: when the last vendor's agreement ends its policy goes before anything else is done, and the rest waits
// behind the closings of other tenants. The end is the same as if all had been done at once.
func TestClosingsComeFirst(t *testing.T) {
	s, r := sociable(t, v1alpha1.LapseAlert)
	r.Clock = clocktesting.NewFakePassiveClock(v1alpha1.Date("2031-01-01").Time())
	result, err := r.Reconcile(t.Context(), requestFor("acme"))
	if err != nil || result.RequeueAfter == 0 || result.Priority == nil || *result.Priority != handler.LowPriority {
		t.Fatalf("after the closing it goes on %+v, %v; want soon, and behind others", result, err)
	}
	if diff := cmp.Diff([]string{"delete NetworkPolicy acme/" + v1alpha1.PolicyAllowAssociates}, s.asked()); diff != "" {
		t.Errorf("writes (-want +got):\n%s", diff)
	}
	got := run(t, r, s)
	if cidrs := got.Status.Effective.BusinessAssociates; len(cidrs) != 0 {
		t.Errorf("effective are %v", cidrs)
	}
	for _, ref := range got.Status.Inventory {
		if ref.Name == v1alpha1.PolicyAllowAssociates {
			t.Errorf("%v is remembered, and gone", ref)
		}
	}
	s.asked()
	run(t, r, s)
	if more := s.asked(); len(more) != 0 {
		t.Errorf("once it is done, writes are %v; want none", more)
	}
}

// TestNothingIsClosedFirstWithoutDenyAll: without a policy that denies, the last one that allows may be all that isolates.
func TestNothingIsClosedFirstWithoutDenyAll(t *testing.T) {
	for name, harm := range map[string]func(*store, *networkingv1.NetworkPolicy) error{
		"removed": func(s *store, deny *networkingv1.NetworkPolicy) error { return s.Delete(t.Context(), deny) },
		"altered": func(s *store, deny *networkingv1.NetworkPolicy) error {
			deny.Spec.PodSelector = metav1.LabelSelector{MatchLabels: map[string]string{"app": "none"}}
			return s.Update(t.Context(), deny)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, r := sociable(t, v1alpha1.LapseAlert)
			if err := harm(s, fetch(t, s, "acme", v1alpha1.PolicyDefaultDeny, &networkingv1.NetworkPolicy{})); err != nil {
				t.Fatal(err)
			}
			s.asked()
			r.Clock = clocktesting.NewFakePassiveClock(v1alpha1.Date("2031-01-01").Time())
			if result, err := r.Reconcile(t.Context(), requestFor("acme")); err != nil || result.Priority != nil {
				t.Fatalf("it goes on %+v, %v", result, err)
			}
			writes := s.asked()
			for i, write := range writes {
				if write == "delete NetworkPolicy acme/"+v1alpha1.PolicyAllowAssociates && i < 1 {
					t.Errorf("it is closed before deny-all stands again: %v", writes)
				}
			}
			if cidrs := egressOf(t, s); len(cidrs) != 0 {
				t.Errorf("in the end egress is open to %v", cidrs)
			}
		})
	}
}
