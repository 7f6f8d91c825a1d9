package apply

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
)

const policies = "NetworkPolicy.networking.k8s.io"

// small is a tenant of one namespace: born locked, denied, given its config, opened.
func small(born bool) waves {
	p := plan(
		wave(aNamespace(v1alpha1.GateLocked)),
		wave(aPolicy("hipaa-default-deny")),
		wave(aConfigMap("v"), aSecret("wrapped")),
		nil,
		wave(aNamespace(v1alpha1.GateOpen)),
	)
	if born {
		p.births = []v1alpha1.ObjectRef{refTo("Namespace", "acme")}
	}
	return p
}

func apply(t *testing.T, a *Applier, p Plan) Result {
	t.Helper()
	r, err := a.Apply(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestApplyWritesWaveByWave(t *testing.T) {
	w := newWorld(t)
	r := apply(t, w.applier(), small(true))
	want := []string{
		"create Namespace /acme", "apply " + policies + " acme/hipaa-default-deny",
		"apply ConfigMap acme/hipaa-config", "apply Secret acme/hipaa-keyset", "apply Namespace /acme",
	}
	if diff := cmp.Diff(want, w.asked()); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	written := []v1alpha1.ObjectRef{
		refTo("Namespace", "acme"), refTo(policies, "hipaa-default-deny"), refTo("ConfigMap", "hipaa-config"), refTo("Secret", "hipaa-keyset"), refTo("Namespace", "acme"),
	}
	if diff := cmp.Diff(written, r.Written); diff != "" {
		t.Errorf("written (-want +got):\n%s", diff)
	}
	for ref, uid := range r.UIDs {
		if got := w.read(ref).GetUID(); got != uid || uid == "" {
			t.Errorf("%v has UID %q, the result says %q", ref, got, uid)
		}
	}
	if len(r.UIDs) != 4 || len(r.Failed) != 0 {
		t.Errorf("result has %d objects and failures %v, want 4 and none", len(r.UIDs), r.Failed)
	}
	if gate := w.read(refTo("Namespace", "acme")).GetAnnotations()[v1alpha1.AnnotationAdmission]; gate != "open" {
		t.Errorf("the gate is %q, want open", gate)
	}
}

// TestApplyWritesNothingTwice: neither with the memory of the first time, nor after a restart, nor while the cache lags.
func TestApplyWritesNothingTwice(t *testing.T) {
	w := newWorld(t)
	first := w.applier()
	was := apply(t, first, plan(small(true).list[4], small(true).list[1], small(true).list[2]))
	w.asked()
	again := plan(small(false).list[4], small(false).list[1], small(false).list[2])
	lagging := map[v1alpha1.ObjectRef]bool{}
	for ref := range was.UIDs {
		lagging[ref] = true
	}
	for name, tc := range map[string]struct {
		applier *Applier
		hidden  map[v1alpha1.ObjectRef]bool
	}{"same process": {first, nil}, "after a restart": {w.applier(), nil}, "the cache lags": {first, lagging}} {
		w.hidden = tc.hidden
		r := apply(t, tc.applier, again)
		if calls := w.asked(); len(r.Written) != 0 || len(calls) != 0 {
			t.Errorf("%s: written %v, asked %v; want nothing", name, r.Written, calls)
		}
		if diff := cmp.Diff(was.UIDs, r.UIDs); diff != "" {
			t.Errorf("%s: UIDs differ from the first time (-first +now):\n%s", name, diff)
		}
	}
}

// TestABirthIsNoTakeOver: what exists is left as it is, and nothing behind it is written.
func TestABirthIsNoTakeOver(t *testing.T) {
	stranger := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "acme", Labels: map[string]string{"team": "x"}}}
	w := newWorld(t, stranger)
	r, err := w.applier().Apply(t.Context(), small(true))
	if !apierrors.IsAlreadyExists(err) {
		t.Errorf("error is %v, want AlreadyExists", err)
	}
	if diff := cmp.Diff([]string{"create Namespace /acme"}, w.asked()); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	if got := w.read(refTo("Namespace", "acme")).GetLabels(); !maps.Equal(got, map[string]string{"team": "x"}) {
		t.Errorf("the namespace has labels %v; want it untouched", got)
	}
	if len(r.UIDs) != 0 || len(r.Written) != 0 || r.Failed[refTo("Namespace", "acme")] == nil {
		t.Errorf("result is %+v; want one failure", r)
	}
}

// TestAFailedWaveIsFinished: independent objects of one wave do not wait for each other, the waves behind it are not begun.
func TestAFailedWaveIsFinished(t *testing.T) {
	broken := errors.New("broken")
	for _, tc := range []struct {
		fails string
		want  []string
	}{
		{"create Namespace /acme", []string{"create Namespace /acme"}},
		{"apply " + policies + " acme/hipaa-default-deny", []string{"create Namespace /acme", "apply " + policies + " acme/hipaa-default-deny"}},
		{"apply ConfigMap acme/hipaa-config", []string{"create Namespace /acme", "apply " + policies + " acme/hipaa-default-deny",
			"apply ConfigMap acme/hipaa-config", "apply Secret acme/hipaa-keyset"}},
		{"apply Namespace /acme", []string{"create Namespace /acme", "apply " + policies + " acme/hipaa-default-deny",
			"apply ConfigMap acme/hipaa-config", "apply Secret acme/hipaa-keyset", "apply Namespace /acme"}},
	} {
		t.Run(tc.fails, func(t *testing.T) {
			w := newWorld(t)
			w.fail[tc.fails] = broken
			a := w.applier()
			r, err := a.Apply(t.Context(), small(true))
			if !errors.Is(err, broken) || len(r.Failed) != 1 {
				t.Errorf("error %v, failed %v; want the one failure", err, r.Failed)
			}
			if diff := cmp.Diff(tc.want, w.asked()); diff != "" {
				t.Errorf("calls (-want +got):\n%s", diff)
			}
			for ref := range r.UIDs {
				if ref.Kind != "Namespace" && r.Failed[ref] != nil {
					t.Errorf("%v failed and stands", ref)
				}
			}
			delete(w.fail, tc.fails)
			apply(t, a, small(w.read(refTo("Namespace", "acme")) == nil))
			if gate := w.read(refTo("Namespace", "acme")).GetAnnotations()[v1alpha1.AnnotationAdmission]; gate != "open" {
				t.Errorf("after the next attempt the gate is %q, want open", gate)
			}
		})
	}
}

func TestErrorsAreNamedAndOrdered(t *testing.T) {
	w := newWorld(t)
	var list []string
	for _, name := range []string{"hipaa-allow-dns", "hipaa-allow-tenant", "hipaa-allow-ingress", "hipaa-allow-gateways", "hipaa-allow-mailbox"} {
		w.fail["apply "+policies+" acme/"+name] = errors.New("broken " + name)
		list = append(list, policies+" acme/"+name+": broken "+name)
	}
	slices.Sort(list)
	for range 10 {
		p := plan(wave(aPolicy("hipaa-allow-dns"), aPolicy("hipaa-allow-tenant"), aPolicy("hipaa-allow-ingress"), aPolicy("hipaa-allow-gateways"), aPolicy("hipaa-allow-mailbox")))
		_, err := w.applier().Apply(t.Context(), p)
		if err == nil || err.Error() != strings.Join(list, "\n") {
			t.Fatalf("error is\n%v\nwant\n%s", err, strings.Join(list, "\n"))
		}
	}
	if err := (Result{}).Err(); err != nil {
		t.Errorf("a result without failures has error %v", err)
	}
}

// TestDriftIsRepaired: what somebody else did to an object costs as many writes as it takes, and is undone.
func TestDriftIsRepaired(t *testing.T) {
	tamper := func(how func(*networkingv1.NetworkPolicy)) func(*world) {
		return func(w *world) {
			obj := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "acme", Name: "hipaa-default-deny"}}
			w.change(obj, func() { how(obj) })
		}
	}
	const one, whole = "apply " + policies + " acme/hipaa-default-deny", "update " + policies + " acme/hipaa-default-deny"
	for _, tc := range []struct {
		name string
		do   func(*world)
		want []string
	}{
		{"a field of ours changed", tamper(func(p *networkingv1.NetworkPolicy) { p.Spec.PolicyTypes = p.Spec.PolicyTypes[:1] }), []string{one}},
		{"a label of ours changed", tamper(func(p *networkingv1.NetworkPolicy) { p.Labels[v1alpha1.LabelTenant] = "birch" }), []string{one}},
		{"all labels removed", tamper(func(p *networkingv1.NetworkPolicy) { p.Labels = nil }), []string{one}},
		{"a rule added", tamper(func(p *networkingv1.NetworkPolicy) { p.Spec.Ingress = []networkingv1.NetworkPolicyIngressRule{{}} }), []string{one, whole}},
		{"a label invented in our name", tamper(func(p *networkingv1.NetworkPolicy) { p.Labels[v1alpha1.Group+"/x"] = "y" }), []string{one, whole}},
		{"deleted", func(w *world) {
			if err := w.store.Delete(w.t.Context(), w.read(refTo(policies, "hipaa-default-deny"))); err != nil {
				w.t.Fatal(err)
			}
		}, []string{one}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t)
			a, p := w.applier(), plan(wave(aPolicy("hipaa-default-deny")))
			apply(t, a, p)
			tamper(func(p *networkingv1.NetworkPolicy) {
				p.Labels["team"], p.Annotations = "x", map[string]string{"note": "x"}
			})(w)
			a.Echo(w.read(refTo(policies, "hipaa-default-deny")))
			w.asked()
			if r := apply(t, a, p); len(r.Written) != 0 || len(w.asked()) != 0 {
				t.Fatalf("metadata of others costs a write: %v", r.Written)
			}
			tc.do(w)
			if gone := w.read(refTo(policies, "hipaa-default-deny")); gone == nil {
				a.Gone(configMapless("hipaa-default-deny"))
			}
			r := apply(t, a, p)
			if diff := cmp.Diff(tc.want, w.asked()); diff != "" || len(r.Written) != 1 {
				t.Errorf("written %v, calls (-want +got):\n%s", r.Written, diff)
			}
			want, err := newDesired(aPolicy("hipaa-default-deny"))
			if err != nil {
				t.Fatal(err)
			}
			live := w.read(want.ref)
			if Digest(live) != want.digest {
				t.Errorf("the object differs from what was asked for: %s", encode(t, live))
			}
			if tc.name != "deleted" && tc.name != "all labels removed" && (live.GetLabels()["team"] != "x" || live.GetAnnotations()["note"] != "x") {
				t.Errorf("metadata of others is lost: %v %v", live.GetLabels(), live.GetAnnotations())
			}
		})
	}
}

func configMapless(name string) *networkingv1.NetworkPolicy {
	return &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "acme", Name: name}}
}

// TestReplaceKeepsWhatBelongsToOthers: owners and finalizers are not the operator's.
func TestReplaceKeepsWhatBelongsToOthers(t *testing.T) {
	config := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "acme", Name: "hipaa-config", Finalizers: []string{"example.com/hold"},
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "v1", Kind: "Pod", Name: "x", UID: "y"}},
			Labels:          map[string]string{"team": "x", v1alpha1.Group + "/old": "x"}, Annotations: map[string]string{"note": "x", v1alpha1.Group + "/old": "x"},
		},
		Data: map[string]string{"key": "old", "extra": "x"},
	}
	w := newWorld(t, config)
	apply(t, w.applier(), plan(wave(aConfigMap("v"))))
	got := w.read(refTo("ConfigMap", "hipaa-config")).(*corev1.ConfigMap)
	want := config.DeepCopy()
	want.Data = map[string]string{"key": "v"}
	want.Labels = map[string]string{"team": "x", v1alpha1.LabelTenant: "acme", v1alpha1.LabelManagedBy: v1alpha1.OperatorName}
	want.Annotations = map[string]string{"note": "x"}
	want.ResourceVersion = got.ResourceVersion
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("object (-want +got):\n%s", diff)
	}
}

// TestAnAPIServerThatKeepsADifference is told by name, not written to for ever.
func TestAnAPIServerThatKeepsADifference(t *testing.T) {
	w := newWorld(t, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "acme", Name: "hipaa-config"}, Immutable: new(true)})
	w.fail["update ConfigMap acme/hipaa-config"] = apierrors.NewInvalid(schema.GroupKind{Kind: "ConfigMap"}, "hipaa-config", nil)
	_, err := w.applier().Apply(t.Context(), plan(wave(aConfigMap("v"))))
	if !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), "removing what others added") {
		t.Errorf("error is %v; want the API server's, and what was tried", err)
	}
	if _, remembered := w.applier().memory.recall(refTo("ConfigMap", "hipaa-config")); remembered {
		t.Error("a write that failed is remembered")
	}
}

// TestAPinnedObjectMustBeTheOneThatWasSeen: a namespace deleted and made anew under the same name is another one.
func TestAPinnedObjectMustBeTheOneThatWasSeen(t *testing.T) {
	live := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name: "acme", UID: "second", Labels: labels, Annotations: map[string]string{v1alpha1.AnnotationAdmission: "open"},
	}}
	for uid, conflict := range map[string]bool{"second": false, "first": true} {
		w := newWorld(t, live.DeepCopy())
		config := aNamespace(v1alpha1.GateOpen)
		config.WithUID("first")
		if uid == "second" {
			config.WithUID("second")
		}
		r, err := w.applier().Apply(t.Context(), plan(wave(config)))
		if apierrors.IsConflict(err) != conflict || (err != nil) != conflict {
			t.Errorf("pinned to %s: error %v, want a conflict: %t", uid, err, conflict)
		}
		if calls := w.asked(); (len(calls) > 0) != conflict || len(r.Written) != 0 {
			t.Errorf("pinned to %s: asked %v, written %v", uid, calls, r.Written)
		}
	}
}

func TestApplyFailsWithTheCache(t *testing.T) {
	w := newWorld(t)
	w.fail["cached get "+policies+" acme/hipaa-default-deny"] = errors.New("no informer")
	_, err := w.applier().Apply(t.Context(), small(true))
	if err == nil || !strings.Contains(err.Error(), "no informer") {
		t.Errorf("error is %v, want that of the cache", err)
	}
	if diff := cmp.Diff([]string{"create Namespace /acme"}, w.asked()); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}
