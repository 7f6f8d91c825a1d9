package main

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/apply"
)

func stored(name string) *v1alpha1.HIPAATenant {
	t := benchTenant(name)
	t.UID, t.Generation, t.ResourceVersion = types.UID("6b0f3a52-9f3c-4b57-9d0e-6f4b1c0f1a2b"), 1, "7"
	return t
}

// The floor writes the end state: an open namespace first, each object once, and a status that says Ready.
func TestDraw(t *testing.T) {
	drawn, err := newDrawer("cluster-uid").draw(t.Context(), stored(tenantName(7)))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[v1alpha1.ObjectRef]bool{}
	for i, config := range drawn.objects {
		object, _, err := typed(config)
		if err != nil {
			t.Fatal(err)
		}
		ref := apply.RefOf(object)
		if seen[ref] {
			t.Errorf("%v is written twice", ref)
		}
		seen[ref] = true
		if ref.Namespace != "" && ref.Namespace != "bench-00007" {
			t.Errorf("%v is not in the tenant's namespace", ref)
		}
		if i == 0 && (ref.Kind != "Namespace" || object.GetAnnotations()[v1alpha1.AnnotationAdmission] != string(v1alpha1.GateOpen)) {
			t.Errorf("first %v with annotations %v; expected the namespace, its gate open", ref, object.GetAnnotations())
		}
		if secret, ok := object.(*corev1.Secret); ok && len(secret.Data[v1alpha1.KeysetKey]) < 500 {
			t.Errorf("a keyset of %d bytes; expected one of real size", len(secret.Data[v1alpha1.KeysetKey]))
		}
	}
	ready := stored(tenantName(7))
	ready.Status = drawn.status
	if len(seen) != objectsPerTenant || !isReady(ready) || len(drawn.status.Inventory) != objectsPerTenant {
		t.Errorf("%d objects, %d in the inventory, conditions %v; expected %d, and Ready", len(seen), len(drawn.status.Inventory), drawn.status.Conditions, objectsPerTenant)
	}
}

func TestDrawRefusesAnotherTenant(t *testing.T) {
	tenant := stored(tenantName(1))
	tenant.Spec.BusinessAssociates = nil
	if _, err := newDrawer("cluster-uid").draw(t.Context(), tenant); err == nil || !strings.Contains(err.Error(), "expected 14 objects") {
		t.Errorf("error %v; expected that one policy is missing", err)
	}
}

func TestIsReady(t *testing.T) {
	drawn, err := newDrawer("cluster-uid").draw(t.Context(), stored(tenantName(1)))
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name   string
		change func(*v1alpha1.HIPAATenant)
		want   bool
	}{
		{"ready", func(*v1alpha1.HIPAATenant) {}, true},
		{"not looked at", func(t *v1alpha1.HIPAATenant) { t.Status = v1alpha1.HIPAATenantStatus{} }, false},
		{"older generation", func(t *v1alpha1.HIPAATenant) { t.Generation = 2 }, false},
		{"not ready", func(t *v1alpha1.HIPAATenant) {
			for i := range t.Status.Conditions {
				t.Status.Conditions[i].Status = "False"
			}
		}, false},
	} {
		tenant := stored(tenantName(1))
		tenant.Status = *drawn.status.DeepCopy()
		tc.change(tenant)
		if got := isReady(tenant); got != tc.want {
			t.Errorf("%s: ready %t; expected %t", tc.name, got, tc.want)
		}
	}
}

func TestReadiness(t *testing.T) {
	drawn, err := newDrawer("cluster-uid").draw(t.Context(), stored(tenantName(1)))
	if err != nil {
		t.Fatal(err)
	}
	r := &readiness{want: 2, all: make(chan struct{}), ready: map[string]bool{}}
	see := func(name string, ready bool) {
		tenant := stored(name)
		if ready {
			tenant.Status = drawn.status
		}
		r.see(tenant)
	}
	for _, step := range []struct {
		name  string
		ready bool
		want  bool
	}{
		{"bench-1", true, false},
		{"bench-1", true, false},
		{"bench-1", false, false},
		{"bench-2", true, false},
		{warmUp, true, false},
		{"bench-1", true, true},
	} {
		see(step.name, step.ready)
		done := false
		select {
		case <-r.all:
			done = true
		default:
		}
		if done != step.want {
			t.Errorf("after %s, ready %t: all ready %t; expected %t", step.name, step.ready, done, step.want)
		}
	}
	if err := r.await(t.Context(), t.Logf); err != nil {
		t.Error(err)
	}
}

func TestAwaitNamesATenantThatIsNotReady(t *testing.T) {
	r := &readiness{want: 2, all: make(chan struct{}), ready: map[string]bool{}}
	r.see(stored("bench-1"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.await(ctx, t.Logf); err == nil || !strings.Contains(err.Error(), "0 of 2") || !strings.Contains(err.Error(), "bench-1") {
		t.Errorf("error %v; expected how many are ready, and one that is not", err)
	}
}

// The comparison after a run sees every kind of difference it is there for.
func TestSameObject(t *testing.T) {
	policy := func(spec networkingv1.NetworkPolicySpec) client.Object {
		p := &networkingv1.NetworkPolicy{Spec: spec}
		p.Name, p.Labels = "hipaa-default-deny", map[string]string{v1alpha1.LabelTenant: "a"}
		return p
	}
	keyset := func(n int) client.Object {
		return &corev1.Secret{Data: map[string][]byte{v1alpha1.KeysetKey: make([]byte, n)}}
	}
	ingress := networkingv1.NetworkPolicySpec{PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress}}
	for _, tc := range []struct {
		name      string
		want, got client.Object
		same      bool
	}{
		{"same", policy(ingress), policy(ingress), true},
		{"other body", policy(ingress), policy(networkingv1.NetworkPolicySpec{}), false},
		{"keyset of nearly the same length", keyset(1000), keyset(1049), true},
		{"keyset of another length", keyset(1000), keyset(1051), false},
	} {
		if err := sameObject(tc.want, tc.got); (err == nil) != tc.same {
			t.Errorf("%s: %v; expected same %t", tc.name, err, tc.same)
		}
	}
}

func TestParallel(t *testing.T) {
	for _, workers := range []int{1, 3, 100} {
		var running, most, calls atomic.Int64
		done := make([]bool, 50)
		err := parallel(t.Context(), len(done), workers, func(_ context.Context, i int) error {
			now := running.Add(1)
			for m := most.Load(); now > m && !most.CompareAndSwap(m, now); m = most.Load() {
				continue
			}
			calls.Add(1)
			done[i] = true
			running.Add(-1)
			return nil
		})
		if err != nil || calls.Load() != 50 || slices.Contains(done, false) || most.Load() > int64(workers) {
			t.Errorf("%d workers: %d calls, %d at a time, error %v; expected 50 and no more than there are workers", workers, calls.Load(), most.Load(), err)
		}
	}
}

func TestParallelEndsAtTheFirstError(t *testing.T) {
	broken := errors.New("broken")
	var calls atomic.Int64
	err := parallel(t.Context(), 1000, 1, func(_ context.Context, i int) error {
		calls.Add(1)
		if i == 3 {
			return broken
		}
		return nil
	})
	if !errors.Is(err, broken) || calls.Load() != 4 {
		t.Errorf("%d calls, error %v; expected 4, and the error of the last", calls.Load(), err)
	}
}
