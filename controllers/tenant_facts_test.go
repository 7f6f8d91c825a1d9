package controllers

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/compile"
	"github.com/hipaatenant/hipaa-tenant-operator/test/fixture"
)

func named(adopt bool, names ...v1alpha1.Name) func(*v1alpha1.HIPAATenant) {
	return func(t *v1alpha1.HIPAATenant) {
		for _, name := range names {
			t.Spec.Namespaces = append(t.Spec.Namespaces, v1alpha1.TenantNamespace{Name: name, Adopt: adopt})
		}
	}
}

func remembering(refs ...v1alpha1.ObjectRef) func(*v1alpha1.HIPAATenant) {
	return func(t *v1alpha1.HIPAATenant) { t.Status.Inventory = append(t.Status.Inventory, refs...) }
}

func listing(names ...string) func(*v1alpha1.HIPAATenant) {
	return func(t *v1alpha1.HIPAATenant) {
		for _, name := range names {
			t.Status.Namespaces = append(t.Status.Namespaces, v1alpha1.NamespaceStatus{Name: name, UID: types.UID("ns-" + name)})
		}
	}
}

func TestNamespacesOf(t *testing.T) {
	ns := func(name string) v1alpha1.ObjectRef { return v1alpha1.ObjectRef{Kind: "Namespace", Name: name} }
	for name, tc := range map[string]struct {
		tenant *v1alpha1.HIPAATenant
		want   []string
	}{
		"its own name":                   {tenant(), []string{"acme"}},
		"those it names":                 {tenant(named(false, "b", "a")), []string{"a", "b"}},
		"those it names and remembers":   {tenant(named(false, "b"), remembering(ns("b"), ns("old"))), []string{"b", "old"}},
		"only namespaces are namespaces": {tenant(remembering(v1alpha1.ObjectRef{Kind: "Secret", Namespace: "x", Name: "y"})), []string{"acme"}},
	} {
		if diff := cmp.Diff(tc.want, namespacesOf(tc.tenant)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestExpected(t *testing.T) {
	for name, tc := range map[string]struct {
		tenant *v1alpha1.HIPAATenant
		want   bool
	}{
		"seen for the first time": {tenant(named(false, "a")), false},
		"to be adopted":           {tenant(named(true, "a")), true},
		"another to be adopted":   {tenant(named(true, "b"), named(false, "a")), false},
		"written to before":       {tenant(listing("a")), true},
		"another written to":      {tenant(listing("b")), false},
		"only remembered":         {tenant(remembering(v1alpha1.ObjectRef{Kind: "Namespace", Name: "a"})), false},
	} {
		if got := expected(tc.tenant, "a"); got != tc.want {
			t.Errorf("%s: expected = %t, want %t", name, got, tc.want)
		}
	}
}

func TestNamespaceFact(t *testing.T) {
	ns := namespaceOf("acme", "acme", "u-acme", v1alpha1.GateOpen)
	want := compile.Namespace{
		UID:    "ns-acme",
		Labels: map[string]string{v1alpha1.LabelTenant: "acme", v1alpha1.LabelManagedBy: v1alpha1.OperatorName},
		Facts:  map[string]string{v1alpha1.AnnotationTenantUID: "u-acme", v1alpha1.AnnotationAdmission: "open"},
	}
	if diff := cmp.Diff(want, namespaceFact(ns)); diff != "" {
		t.Errorf("fact (-want +got):\n%s", diff)
	}
	ns.DeletionTimestamp, want.Terminating = new(metav1.NewTime(noon)), true
	if diff := cmp.Diff(want, namespaceFact(ns)); diff != "" {
		t.Errorf("of one that terminates (-want +got):\n%s", diff)
	}
}

// TestNamespacesAreReadWhereTheAnswerIsTrue: the cache holds only labelled namespaces, and its absence proves nothing of
// one that may exist without its label.
func TestNamespacesAreReadWhereTheAnswerIsTrue(t *testing.T) {
	bare := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "acme", UID: "ns-acme", Labels: map[string]string{"team": "x"}}}
	marked := namespaceOf("acme", "acme", "u-acme", v1alpha1.GateOpen)
	for name, tc := range map[string]struct {
		live   *corev1.Namespace
		tenant *v1alpha1.HIPAATenant
		from   source
		found  bool
		owner  string
	}{
		"labelled":            {marked, tenant(), cached, true, "acme"},
		"labelled, read live": {marked, tenant(), live, true, "acme"},
		"unlabelled and unheard of: taken for new": {bare, tenant(), cached, false, ""},
		"unlabelled and unheard of, read live":     {bare, tenant(), live, true, ""},
		"unlabelled, to be adopted":                {bare, tenant(named(true, "acme")), cached, true, ""},
		"unlabelled, written to before":            {bare, tenant(listing("acme")), cached, true, ""},
		"absent":                                   {nil, tenant(listing("acme")), cached, false, ""},
		"absent, read live":                        {nil, tenant(), live, false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStore(t)
			if tc.live != nil {
				s = newStore(t, tc.live.DeepCopy())
			}
			r, _ := reconciler(s)
			got, err := r.readNamespaces(t.Context(), tc.tenant, tc.from)
			if err != nil {
				t.Fatal(err)
			}
			n, found := got["acme"]
			if found != tc.found || n.Tenant() != tc.owner || found && n.UID != "ns-acme" {
				t.Errorf("found %t, %+v; want %t, owner %q", found, n, tc.found, tc.owner)
			}
		})
	}
}

// TestALiveReadOwesNothingToTheCache: a label that was stripped since must not shine through.
func TestALiveReadOwesNothingToTheCache(t *testing.T) {
	s := newStore(t, namespaceOf("acme", "acme", "u-acme", v1alpha1.GateOpen))
	r, _ := reconciler(s)
	bare := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "acme", UID: "ns-acme"}}
	r.Live = overwriting{newStore(t, bare)}
	got, err := r.readNamespaces(t.Context(), tenant(), live)
	if err != nil || got["acme"].Tenant() != "" || len(got["acme"].Facts) != 0 {
		t.Errorf("%+v, %v; want a namespace without marks", got["acme"], err)
	}
}

func TestReadFacts(t *testing.T) {
	strict := fixture.Profile("strict", func(p *v1alpha1.HIPAAProfile) { p.Spec.Gateways = []v1alpha1.PeerPods{{Namespace: "edge"}} })
	s := newStore(t, defaultProfile(), strict, fixture.Associate("clearing"), fixture.Associate("aws"))
	r, _ := reconciler(s)
	f, err := r.readFacts(t.Context(), tenant(), cached)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"kube-system", "kube-system", "edge"}, f.SharedNamespaces); diff != "" {
		t.Errorf("namespaces of all profiles (-want +got):\n%s", diff)
	}
	if f.Profile == nil || f.Profile.Name != "default" || len(f.Associates) != 2 || f.Associates["aws"].Name != "aws" {
		t.Errorf("profile %v, associates %v", f.Profile, f.Associates)
	}
	if !f.AdmissionEnforced || f.Nodes.Ready[fixture.Region] != 1 || f.OperatorNamespace != v1alpha1.OperatorNamespace || !f.Now.Equal(noon) {
		t.Errorf("facts %+v", f)
	}
	r.State.setAdmission([]string{"missing"})
	if f, err = r.readFacts(t.Context(), tenant(func(h *v1alpha1.HIPAATenant) { h.Spec.Profile = "late" }), cached); err != nil || f.Profile != nil || f.AdmissionEnforced {
		t.Errorf("profile %v, enforced %t, %v; want neither", f.Profile, f.AdmissionEnforced, err)
	}
	r.Live = failingReader{errors.New("no route")}
	if _, err := r.readFacts(t.Context(), tenant(named(true, "acme")), cached); err == nil {
		t.Error("the API server cannot be read and there is no error: what is not known would be taken for absent")
	}
}
