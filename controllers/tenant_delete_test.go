package controllers

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
)

const netpol = "NetworkPolicy.networking.k8s.io"

// leaving is a tenant that is being deleted and remembers one namespace with two policies.
func leaving(change ...func(*v1alpha1.HIPAATenant)) *v1alpha1.HIPAATenant {
	h := tenant(append(change, listing("acme"), remembering(
		v1alpha1.ObjectRef{Kind: "Namespace", Name: "acme"},
		v1alpha1.ObjectRef{Kind: netpol, Namespace: "acme", Name: v1alpha1.PolicyDefaultDeny},
		v1alpha1.ObjectRef{Kind: netpol, Namespace: "acme", Name: v1alpha1.PolicyAllowTenant},
		v1alpha1.ObjectRef{Kind: "Secret", Namespace: "acme", Name: v1alpha1.SecretKeyset},
	))...)
	h.Status.Namespaces[0].Gate = v1alpha1.GateOpen
	h.Finalizers = []string{v1alpha1.Finalizer, "example.com/other"}
	h.DeletionTimestamp = new(metav1.NewTime(noon))
	return h
}

// left is what stands in the namespace of a leaving tenant.
func left(labels map[string]string) []client.Object {
	meta := func(name string) metav1.ObjectMeta {
		return metav1.ObjectMeta{Namespace: "acme", Name: name, Labels: labels}
	}
	return []client.Object{
		&networkingv1.NetworkPolicy{ObjectMeta: meta(v1alpha1.PolicyDefaultDeny)},
		&networkingv1.NetworkPolicy{ObjectMeta: meta(v1alpha1.PolicyAllowTenant)},
		&corev1.Secret{ObjectMeta: meta(v1alpha1.SecretKeyset)},
	}
}

var acmes = map[string]string{v1alpha1.LabelTenant: "acme", v1alpha1.LabelManagedBy: v1alpha1.OperatorName}

func exists(t *testing.T, s *store, namespace, name string, obj client.Object) bool {
	t.Helper()
	err := s.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, obj)
	if err != nil && !apierrors.IsNotFound(err) {
		t.Fatal(err)
	}
	return err == nil
}

// TestDeletionRetains: also of a namespace whose labels were stripped, which must not lose its deny-all policy.
func TestDeletionRetains(t *testing.T) {
	stripped := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "acme", UID: "ns-acme"}}
	for name, ns := range map[string]*corev1.Namespace{"marked": namespaceOf("acme", "acme", "u-acme", v1alpha1.GateOpen), "stripped": stripped} {
		t.Run(name, func(t *testing.T) {
			s := newStore(t, append(left(acmes), ns, leaving())...)
			r, _ := reconciler(s)
			if _, err := r.Reconcile(t.Context(), requestFor("acme")); err != nil {
				t.Fatal(err)
			}
			live := fetch(t, s, "", "acme", &corev1.Namespace{})
			if live.Annotations[v1alpha1.AnnotationAdmission] != string(v1alpha1.GateQuarantined) || live.Labels[v1alpha1.LabelTenant] != "acme" {
				t.Errorf("the namespace has labels %v, annotations %v; want the tenant's mark and a quarantined gate", live.Labels, live.Annotations)
			}
			for policy, want := range map[string]bool{v1alpha1.PolicyDefaultDeny: true, v1alpha1.PolicyAllowTenant: false} {
				if got := exists(t, s, "acme", policy, &networkingv1.NetworkPolicy{}); got != want {
					t.Errorf("%s stands: %t, want %t", policy, got, want)
				}
			}
			if !exists(t, s, "acme", v1alpha1.SecretKeyset, &corev1.Secret{}) {
				t.Error("the keyset is gone")
			}
			if got := fetch(t, s, "", "acme", &v1alpha1.HIPAATenant{}).Finalizers; !cmp.Equal(got, []string{"example.com/other"}) {
				t.Errorf("finalizers are %v, want only the other's", got)
			}
			checkTombstone(t, s)
		})
	}
}

func checkTombstone(t *testing.T, s *store) {
	t.Helper()
	m := fetch(t, s, v1alpha1.OperatorNamespace, "hipaa-tombstone-u-acme", &corev1.ConfigMap{})
	var stone tombstone
	if err := json.Unmarshal([]byte(m.Data["tombstone.json"]), &stone); err != nil {
		t.Fatal(err)
	}
	want := []v1alpha1.NamespaceStatus{{Name: "acme", UID: "ns-acme", Gate: v1alpha1.GateQuarantined}}
	if diff := cmp.Diff(want, stone.Namespaces); diff != "" {
		t.Errorf("namespaces on the tombstone (-want +got):\n%s", diff)
	}
	if stone.Tenant != "acme" || stone.UID != "u-acme" || stone.Outcome != v1alpha1.ShredRetained || !stone.DeletedAt.Time.Equal(noon) || m.Immutable == nil || !*m.Immutable {
		t.Errorf("tombstone %+v, immutable %v", stone, m.Immutable)
	}
}

// TestDeletionLeavesATerminatingNamespaceAlone: Kubernetes removes its policies after its pods.
func TestDeletionLeavesATerminatingNamespaceAlone(t *testing.T) {
	ns := namespaceOf("acme", "acme", "u-acme", v1alpha1.GateQuarantined)
	ns.DeletionTimestamp, ns.Finalizers = new(metav1.NewTime(noon)), []string{"example.com/hold"}
	s := newStore(t, append(left(acmes), ns, leaving())...)
	r, _ := reconciler(s)
	if _, err := r.Reconcile(t.Context(), requestFor("acme")); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"create ConfigMap hipaa-system/hipaa-tombstone-u-acme", "patch HIPAATenant acme"}, s.asked()); diff != "" {
		t.Errorf("writes (-want +got):\n%s", diff)
	}
}

// TestDeletionThatCannotFinish says why and holds on; the annotation lets go without changing anything.
func TestDeletionThatCannotFinish(t *testing.T) {
	for name, line := range map[string]string{
		"the namespace cannot be written": "patch Namespace acme",
		"a policy cannot be deleted":      "delete NetworkPolicy acme/" + v1alpha1.PolicyAllowTenant,
		"the tombstone cannot be written": "create ConfigMap hipaa-system/hipaa-tombstone-u-acme",
	} {
		t.Run(name, func(t *testing.T) {
			s := newStore(t, append(left(acmes), namespaceOf("acme", "acme", "u-acme", v1alpha1.GateOpen), leaving())...)
			s.fail[line] = errors.New("no route")
			r, recorder := reconciler(s)
			if _, err := r.Reconcile(t.Context(), requestFor("acme")); err == nil {
				t.Error("no error, so no other attempt")
			}
			got := fetch(t, s, "", "acme", &v1alpha1.HIPAATenant{})
			c := meta.FindStatusCondition(got.Status.Conditions, v1alpha1.ConditionReady)
			if len(got.Finalizers) != 2 || c == nil || c.Reason != v1alpha1.ReasonDeleting || !strings.Contains(c.Message, "no route") || !strings.Contains(c.Message, "hipaatenant.dev/abandon=u-acme") {
				t.Errorf("finalizers %v, Ready %+v", got.Finalizers, c)
			}
			got.Annotations = map[string]string{v1alpha1.AnnotationAbandon: "u-other"}
			if err := s.Update(t.Context(), got); err != nil {
				t.Fatal(err)
			}
			if _, err := r.Reconcile(t.Context(), requestFor("acme")); err == nil {
				t.Error("another UID lets go of the tenant")
			}
			got = fetch(t, s, "", "acme", &v1alpha1.HIPAATenant{})
			got.Annotations[v1alpha1.AnnotationAbandon] = "u-acme"
			if err := s.Update(t.Context(), got); err != nil {
				t.Fatal(err)
			}
			s.asked()
			if _, err := r.Reconcile(t.Context(), requestFor("acme")); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]string{"patch HIPAATenant acme"}, s.asked()); diff != "" {
				t.Errorf("writes (-want +got):\n%s", diff)
			}
			if events := strings.Join(told(recorder), "\n"); !strings.Contains(events, "Warning Abandoned") {
				t.Errorf("events %q, want one that says it was abandoned", events)
			}
		})
	}
}

func TestDeletionWithoutTheFinalizerNeedsNothing(t *testing.T) {
	subject := leaving()
	subject.Finalizers = []string{"example.com/other"}
	s := newStore(t, subject)
	r, _ := reconciler(s)
	if result, err := r.Reconcile(t.Context(), requestFor("acme")); err != nil || !result.IsZero() || len(s.asked()) != 0 {
		t.Errorf("%v, %v, writes %v; want nothing", result, err, s.writes)
	}
}

// TestTheTombstoneIsMadeOnce: a second attempt finds the first one's and does not fail.
func TestTheTombstoneIsMadeOnce(t *testing.T) {
	s := newStore(t)
	r, _ := reconciler(s)
	subject := leaving()
	for range 2 {
		if err := r.bury(t.Context(), subject, ending{}); err != nil {
			t.Fatal(err)
		}
	}
	var list corev1.ConfigMapList
	if err := s.List(t.Context(), &list); err != nil || len(list.Items) != 1 {
		t.Errorf("%d tombstones, %v; want one", len(list.Items), err)
	}
	if subject.Status.Namespaces[0].Gate != v1alpha1.GateOpen {
		t.Error("burying changed the status of the tenant")
	}
}

// TestBuriedUIDs: what was shredded is never taken over, and neither is what it had taken over itself.
func TestBuriedUIDs(t *testing.T) {
	stone := func(namespace, name, label, text string) *corev1.ConfigMap {
		return &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{v1alpha1.LabelTombstone: label}},
			Data:       map[string]string{"tombstone.json": text},
		}
	}
	s := newStore(t,
		stone(v1alpha1.OperatorNamespace, "a", "acme", `{"tenant":"acme","uid":"u-1","outcome":"Retained"}`),
		stone(v1alpha1.OperatorNamespace, "b", "acme", `{"tenant":"acme","uid":"u-2","outcome":"Unknown"}`),
		stone(v1alpha1.OperatorNamespace, "c", "birch", `{"tenant":"birch","uid":"u-3","outcome":"Retained"}`),
		stone(v1alpha1.OperatorNamespace, "d", "acme", `{"tenant":"birch","uid":"u-4","outcome":"Retained"}`),
		stone(v1alpha1.OperatorNamespace, "e", "acme", `none`),
		stone("elsewhere", "f", "acme", `{"tenant":"acme","uid":"u-5","outcome":"Retained"}`),
		stone(v1alpha1.OperatorNamespace, "g", "acme", `{"tenant":"acme","uid":"u-6","outcome":"Retained"}`),
		stone(v1alpha1.OperatorNamespace, "h", "acme", `{"tenant":"acme","uid":"u-7","outcome":"Shredded","shred":{"formerUIDs":["u-6"]}}`),
		stone(v1alpha1.OperatorNamespace, "i", "acme", `{"tenant":"acme","uid":"u-8","outcome":"WrappedCopiesDeleted"}`),
	)
	r, _ := reconciler(s)
	retained, shredded, err := r.buried(t.Context(), tenant())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"u-1", "u-2"}, retained); diff != "" {
		t.Errorf("UIDs of retained tenants (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"u-7", "u-6", "u-8"}, shredded); diff != "" {
		t.Errorf("UIDs of shredded tenants (-want +got):\n%s", diff)
	}
	r.Live = failingReader{errors.New("no route")}
	if _, _, err := r.buried(t.Context(), tenant()); err == nil {
		t.Error("tombstones cannot be read and there is no error")
	}
}
