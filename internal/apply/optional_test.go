package apply

import (
	"errors"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/extension"
)

var guardRef = v1alpha1.ObjectRef{Kind: extension.SecurityPolicy.String(), Namespace: "acme", Name: "hipaa-allowlist"}

// aGuard is an object of an optional kind.
func aGuard(action string) *extension.Object {
	return extension.New(extension.SecurityPolicy, extension.Metadata{Name: guardRef.Name, Namespace: guardRef.Namespace, Labels: labels},
		map[string]any{"authorization": map[string]any{"defaultAction": action}})
}

// guard is the object as a store holds it.
func guard(t *testing.T, w *world) *unstructured.Unstructured {
	t.Helper()
	obj, _ := empty(guardRef.Kind)
	obj.SetNamespace(guardRef.Namespace)
	obj.SetName(guardRef.Name)
	if err := w.store.Get(t.Context(), client.ObjectKeyFromObject(obj), obj); err != nil {
		t.Fatal(err)
	}
	return obj.(*unstructured.Unstructured)
}

// TestOptionalKindsAreWrittenLikeOthers: once, again when they drifted, and stripped in the cache.
func TestOptionalKindsAreWrittenLikeOthers(t *testing.T) {
	w := newWorld(t)
	a := w.applier()
	for i, want := range []int{1, 0} {
		r, err := a.Apply(t.Context(), plan(wave(aGuard("Deny"))))
		if err != nil || len(r.Written) != want || r.UIDs[guardRef] == "" || len(r.Refused) != 0 {
			t.Errorf("attempt %d: %+v, %v; want %d written", i, r, err, want)
		}
	}
	live := guard(t, w)
	if RefOf(live) != guardRef {
		t.Errorf("it is called %v", RefOf(live))
	}
	for what, damage := range map[string]any{
		"changed":        map[string]any{"authorization": map[string]any{"defaultAction": "Allow"}},
		"added to":       map[string]any{"authorization": map[string]any{"defaultAction": "Deny", "rules": []any{"all"}}},
		"taken out":      map[string]any{},
		"of another one": map[string]any{"cors": map[string]any{}},
	} {
		live = guard(t, w)
		live.Object["spec"] = damage
		if err := w.store.Update(t.Context(), live); err != nil {
			t.Fatal(err)
		}
		r, err := a.Apply(t.Context(), plan(wave(aGuard("Deny"))))
		got := guard(t, w).Object["spec"]
		if err != nil || len(r.Written) != 1 || !holds(got, map[string]any{"authorization": map[string]any{"defaultAction": "Deny"}}) || !holds(map[string]any{"authorization": map[string]any{"defaultAction": "Deny"}}, got) {
			t.Errorf("%s: it is %v (%v)", what, got, err)
		}
	}
	stripped := guard(t, w)
	digest := Digest(stripped)
	if _, err := Strip(stripped); err != nil || stripped.Object["spec"] != nil {
		t.Errorf("stripped it holds %v (%v)", stripped.Object, err)
	}
	if kept, is := strippedDigest(stripped); !is || kept != digest {
		t.Errorf("the digest of the stripped object is %q, want %q", kept, digest)
	}
}

// TestARefusedOptionalObjectHoldsNothingUp: it is told apart, later waves are written, and there is no error. A conflict says
// nothing of the object, and is tried again like any.
func TestARefusedOptionalObjectHoldsNothingUp(t *testing.T) {
	w := newWorld(t)
	line := "apply " + guardRef.Kind + " acme/hipaa-allowlist"
	w.fail[line] = errors.New("the webhook says no")
	r, err := w.applier().Apply(t.Context(), plan(wave(aGuard("Deny")), wave(aConfigMap("v"))))
	if err != nil || r.Refused[guardRef] == nil || len(r.Failed) != 0 || len(r.Written) != 1 {
		t.Errorf("%+v, %v; want the object refused and the next wave written", r, err)
	}
	w.fail[line] = apierrors.NewConflict(schema.GroupResource{}, "x", errors.New("somebody was faster"))
	if r, err = w.applier().Apply(t.Context(), plan(wave(aGuard("Deny")))); !apierrors.IsConflict(r.Failed[guardRef]) || err == nil {
		t.Errorf("%+v, %v; want a conflict", r, err)
	}
}

// TestWhatDoesNotGoTogetherIsReplaced: where the API server finds what is added by somebody else at odds with ours, an apply,
// which leaves that where it is, is refused for ever.
func TestWhatDoesNotGoTogetherIsReplaced(t *testing.T) {
	w := newWorld(t)
	a := w.applier()
	if _, err := a.Apply(t.Context(), plan(wave(aGuard("Deny")))); err != nil {
		t.Fatal(err)
	}
	live := guard(t, w)
	live.Object["spec"].(map[string]any)["other"] = "x"
	if err := w.store.Update(t.Context(), live); err != nil {
		t.Fatal(err)
	}
	w.fail["apply "+guardRef.Kind+" acme/hipaa-allowlist"] = apierrors.NewInvalid(schema.GroupKind{}, "x", nil)
	if r, err := a.Apply(t.Context(), plan(wave(aGuard("Deny")))); err != nil || len(r.Refused) != 0 || guard(t, w).Object["spec"].(map[string]any)["other"] != nil {
		t.Errorf("%+v, %v: %v", r, err, guard(t, w).Object)
	}
}

// TestDefaultsOfOtherReleasesAreTaken for what was wanted, once nothing of others is left; what takes away or changes is not.
func TestDefaultsOfOtherReleasesAreTaken(t *testing.T) {
	a := newWorld(t).applier()
	want, err := newDesired(aGuard("Deny"))
	if err != nil {
		t.Fatal(err)
	}
	answered := func(spec map[string]any) *unstructured.Unstructured {
		u := want.object.DeepCopyObject().(*unstructured.Unstructured)
		u.Object["spec"] = spec
		return u
	}
	for what, spec := range map[string]map[string]any{
		"changed": {"authorization": map[string]any{"defaultAction": "Allow"}}, "gone": {"mergeType": "x"}, "another shape": {"authorization": "Deny"},
	} {
		if a.settle(want, answered(spec)) {
			t.Errorf("%s: taken for what was wanted", what)
		}
	}
	filled := answered(map[string]any{"mergeType": "x", "authorization": map[string]any{"defaultAction": "Deny"}})
	if a.same(want, Digest(filled)) || !a.settle(want, filled) || !a.same(want, Digest(filled)) {
		t.Error("a default that was filled in is not taken for what was wanted, or before it was looked at")
	}
	if other, _ := newDesired(aGuard("Allow")); a.same(other, Digest(filled)) {
		t.Error("what was settled for one spec counts for another")
	}
	a.forget(want.ref)
	if a.same(want, Digest(filled)) {
		t.Error("what was settled outlives the object")
	}
}

func TestHolds(t *testing.T) {
	list := []any{map[string]any{"a": int64(1)}}
	for name, row := range map[string]struct {
		live, want any
		ok         bool
	}{
		"equal":          {list, list, true},
		"a field more":   {[]any{map[string]any{"a": int64(1), "b": "x"}}, list, true},
		"a field less":   {[]any{map[string]any{}}, list, false},
		"an entry more":  {append([]any{}, list[0], list[0]), list, false},
		"an entry less":  {[]any{}, list, false},
		"another number": {[]any{map[string]any{"a": int64(2)}}, list, false},
		"no list":        {"x", list, false},
	} {
		if holds(row.live, row.want) != row.ok {
			t.Errorf("%s: holds is %t", name, !row.ok)
		}
	}
}

// TestPruningWhatWentWithItsAPI forgets it. That cannot be told from the error of one that could not be asked.
func TestPruningWhatWentWithItsAPI(t *testing.T) {
	w := newWorld(t)
	line := "get " + guardRef.Kind + " acme/hipaa-allowlist"
	parent := Parent{Label: v1alpha1.LabelTenant, Value: "acme"}
	for err, stays := range map[error]bool{
		&meta.NoKindMatchError{GroupKind: schema.GroupKind{Kind: "SecurityPolicy"}}: false,
		apierrors.NewNotFound(schema.GroupResource{}, "x"):                          false,
		apierrors.NewServiceUnavailable("x"):                                        true,
	} {
		w.fail[line] = err
		left, failed := w.applier().Prune(t.Context(), []v1alpha1.ObjectRef{guardRef}, parent)
		if (len(left) == 1) != stays || (failed != nil) != stays {
			t.Errorf("%v: left %v, error %v", err, left, failed)
		}
	}
}
