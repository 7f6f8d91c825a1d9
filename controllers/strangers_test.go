package controllers

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/apply"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/compile"
)

var wide = networkingv1.NetworkPolicySpec{Ingress: []networkingv1.NetworkPolicyIngressRule{{}}}

func policyOf(namespace, name string, labels map[string]string) *networkingv1.NetworkPolicy {
	return &networkingv1.NetworkPolicy{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: name, Labels: labels,
			Annotations: map[string]string{corev1.LastAppliedConfigAnnotation: "{}"},
		},
		Spec: wide,
	}
}

func bindingOf(namespace, name string, labels map[string]string) *rbacv1.RoleBinding {
	return &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: labels},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.GroupKind, Name: "system:authenticated"}},
	}
}

var ownLabel = map[string]string{v1alpha1.LabelManagedBy: v1alpha1.OperatorName}

func TestStripOwnKeepsWhatStrangersOpen(t *testing.T) {
	own, stranger := policyOf("acme", "own", ownLabel), policyOf("acme", "theirs", map[string]string{"team": "x"})
	stranger.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "kubectl", Operation: metav1.ManagedFieldsOperationApply}}
	digest := apply.Digest(own)
	for range 2 { // what is stripped already stays as it is
		if _, err := stripOwn(own); err != nil {
			t.Fatal(err)
		}
		if _, err := stripOwn(stranger); err != nil {
			t.Fatal(err)
		}
		if own.Spec.Ingress != nil || own.ManagedFields[0].Manager != digest {
			t.Errorf("the operator's own is not a digest: %+v", own)
		}
		if diff := cmp.Diff(wide, stranger.Spec); diff != "" || stranger.ManagedFields != nil || stranger.Annotations != nil {
			t.Errorf("want what a stranger opens and nothing else: %s %+v", diff, stranger.ObjectMeta)
		}
	}
	if got, err := stripOwn("x"); got != "x" || err != nil {
		t.Errorf("what is no object: %v, %v", got, err)
	}
}

func TestReadStrangers(t *testing.T) {
	host := map[string]compile.Namespace{"acme": {UID: "ns-acme"}}
	s := newStore(t,
		policyOf("acme", "theirs", nil), policyOf("acme", "own", ownLabel), policyOf("elsewhere", "other", nil),
		bindingOf("acme", "theirs", nil), bindingOf("acme", "own", ownLabel), bindingOf("elsewhere", "other", nil))
	r, _ := reconciler(s)
	f := compile.Facts{Namespaces: host}
	if err := r.readStrangers(t.Context(), tenant(named(false, "acme", "unborn")), &f); err != nil {
		t.Fatal(err)
	}
	want := map[string]compile.Strangers{"acme": {
		Policies: map[string]networkingv1.NetworkPolicySpec{"theirs": wide},
		Subjects: map[string][]rbacv1.Subject{"theirs": {{Kind: rbacv1.GroupKind, Name: "system:authenticated"}}},
		Labelled: map[v1alpha1.ObjectRef]bool{
			{Kind: "NetworkPolicy.networking.k8s.io", Namespace: "acme", Name: "own"}:       true,
			{Kind: "RoleBinding.rbac.authorization.k8s.io", Namespace: "acme", Name: "own"}: true,
		},
	}}
	if diff := cmp.Diff(want, f.Strangers); diff != "" {
		t.Errorf("strangers (-want +got):\n%s", diff)
	}
	r.Client = &unlisted{s}
	if err := r.readStrangers(t.Context(), tenant(named(false, "acme")), &f); err == nil {
		t.Error("what cannot be read was taken for nothing")
	}
}

// TestAnEmergencyAccessIsNoStranger: while people are let in as somebody agreed, the tenant is Ready. What only looks like
// their binding is judged like any other.
func TestAnEmergencyAccessIsNoStranger(t *testing.T) {
	access := func(name, tenant string) *v1alpha1.EmergencyAccess {
		return &v1alpha1.EmergencyAccess{
			ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID("u-" + name)},
			Spec:       v1alpha1.EmergencyAccessSpec{Tenant: v1alpha1.Name(tenant), Role: "Operator"},
		}
	}
	binding := func(name, emergency, owner string) *rbacv1.RoleBinding {
		b := bindingOf("acme", name, map[string]string{v1alpha1.LabelManagedBy: v1alpha1.OperatorName, v1alpha1.LabelEmergency: emergency})
		b.OwnerReferences = []metav1.OwnerReference{{APIVersion: "hipaatenant.dev/v1alpha1", Kind: "EmergencyAccess", Name: emergency, UID: types.UID(owner)}}
		return b
	}
	unlabelled := binding("hipaa-emergency-inc.operator.copy", "inc", "u-inc")
	unlabelled.Labels = map[string]string{v1alpha1.LabelEmergency: "inc"}
	s := newStore(t, access("inc", "acme"), access("foreign", "birch"),
		binding("hipaa-emergency-inc", "inc", "u-inc"), binding("hipaa-emergency-inc.operator", "inc", "u-inc"),
		binding("hipaa-emergency-inc.auditor", "inc", "u-inc"), binding("hipaa-emergency-foreign", "foreign", "u-foreign"),
		binding("hipaa-emergency-gone", "gone", "u-gone"), binding("own", "inc", "u-inc"), unlabelled)
	other := binding("hipaa-emergency-inc", "inc", "u-former")
	other.Namespace = "acme-data"
	if err := s.Create(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	r, _ := reconciler(s)
	f := compile.Facts{Namespaces: map[string]compile.Namespace{"acme": {UID: "ns-acme"}, "acme-data": {UID: "ns-data"}}}
	if err := r.readStrangers(t.Context(), tenant(named(false, "acme", "acme-data")), &f); err != nil {
		t.Fatal(err)
	}
	var labelled []string
	for _, namespace := range []string{"acme", "acme-data"} {
		for ref := range f.Strangers[namespace].Labelled {
			labelled = append(labelled, namespace+" "+ref.Name)
		}
	}
	slices.Sort(labelled)
	want := []string{
		"acme hipaa-emergency-foreign", "acme hipaa-emergency-gone", "acme hipaa-emergency-inc.auditor", "acme own",
		"acme-data hipaa-emergency-inc",
	}
	if diff := cmp.Diff(want, labelled); diff != "" {
		t.Errorf("bindings that pose as the operator's (-want +got):\n%s", diff)
	}
	if len(f.Strangers["acme"].Subjects) != 1 {
		t.Errorf("bindings of others are %v, want the copy alone", f.Strangers["acme"].Subjects)
	}
}

// unlisted is a store whose lists cannot be read.
type unlisted struct{ *store }

func (unlisted) List(context.Context, client.ObjectList, ...client.ListOption) error {
	return errors.New("no informer")
}

// TestConcerned: whoever took the label off, or wrote another one, the tenant whose namespace it is gets to know.
func TestConcerned(t *testing.T) {
	r, _ := reconciler(newStore(t, namespaceOf("acme", "acme", "u-acme", v1alpha1.GateOpen)))
	for name, tc := range map[string]struct {
		namespace, label string
		want             []reconcile.Request
	}{
		"its own":                      {"acme", "acme", []reconcile.Request{requestFor("acme"), requestFor("acme")}},
		"without a label":              {"acme", "", []reconcile.Request{requestFor("acme")}},
		"with another's label":         {"acme", "birch", []reconcile.Request{requestFor("birch"), requestFor("acme")}},
		"outside of tenants":           {"elsewhere", "", nil},
		"outside of tenants, labelled": {"elsewhere", "birch", []reconcile.Request{requestFor("birch")}},
	} {
		labels := map[string]string{}
		if tc.label != "" {
			labels[v1alpha1.LabelTenant] = tc.label
		}
		if diff := cmp.Diff(tc.want, r.concerned(t.Context(), policyOf(tc.namespace, "x", labels))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	ns := namespaceOf("acme", "acme", "u-acme", v1alpha1.GateOpen)
	if diff := cmp.Diff([]reconcile.Request{requestFor("acme")}, r.concerned(t.Context(), ns)); diff != "" {
		t.Errorf("a namespace (-want +got):\n%s", diff)
	}
}
