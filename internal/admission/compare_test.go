package admission

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// accepted are the shipped objects as an API server holds them once all is well: no kind, and a status.
func accepted(t *testing.T) []Object {
	t.Helper()
	live := shipped(t)
	for _, o := range live {
		o.SetGeneration(3)
		o.SetLabels(map[string]string{"team": "platform"})
		switch o := o.(type) {
		case *admissionv1.ValidatingAdmissionPolicy:
			o.TypeMeta = metav1.TypeMeta{}
			o.Status.ObservedGeneration = 3
			o.Status.TypeChecking = &admissionv1.TypeChecking{}
		case *admissionv1.MutatingAdmissionPolicy:
			o.TypeMeta = metav1.TypeMeta{}
		}
	}
	return live
}

func find[T Object](t *testing.T, objects []Object, name string) T {
	t.Helper()
	for _, o := range objects {
		if typed, ok := o.(T); ok && o.GetName() == name {
			return typed
		}
	}
	t.Fatalf("no object %s", name)
	panic("unreachable")
}

func drop(objects []Object, kind, name string) []Object {
	return slices.DeleteFunc(objects, func(o Object) bool { return kindOf(o) == kind && o.GetName() == name })
}

func TestCompare(t *testing.T) {
	const network, placement = "hipaatenant-network", "hipaatenant-placement"
	tests := map[string]struct {
		change func(t *testing.T, live []Object) []Object
		want   []Problem
	}{
		"as shipped": {change: func(_ *testing.T, live []Object) []Object { return live }},
		"in another order, among others": {change: func(_ *testing.T, live []Object) []Object {
			slices.Reverse(live)
			return append(live, &admissionv1.ValidatingAdmissionPolicy{ObjectMeta: metav1.ObjectMeta{Name: "somebody-elses"}})
		}},
		"binding gone": {
			change: func(_ *testing.T, live []Object) []Object {
				return drop(live, "ValidatingAdmissionPolicyBinding", network)
			},
			want: []Problem{{"ValidatingAdmissionPolicyBinding", network, Missing, "it does not exist"}},
		},
		"policy going": {
			change: func(t *testing.T, live []Object) []Object {
				now := metav1.Now()
				find[*admissionv1.MutatingAdmissionPolicy](t, live, placement).DeletionTimestamp = &now
				return live
			},
			want: []Problem{{"MutatingAdmissionPolicy", placement, Missing, "it is being deleted"}},
		},
		"expression replaced": {
			change: func(t *testing.T, live []Object) []Object {
				find[*admissionv1.ValidatingAdmissionPolicy](t, live, network).Spec.Validations[2].Expression = "true"
				return live
			},
			want: []Problem{{"ValidatingAdmissionPolicy", network, Altered,
				`spec.validations[2].expression: expected "variables.ingress.all(r, r.?from.orValue([]).size() > 0)", found "true"`}},
		},
		"validation removed": {
			change: func(t *testing.T, live []Object) []Object {
				p := find[*admissionv1.ValidatingAdmissionPolicy](t, live, network)
				p.Spec.Validations = p.Spec.Validations[1:]
				return live
			},
			want: []Problem{{"ValidatingAdmissionPolicy", network, Altered, "spec.validations: expected 11 items, found 10"}},
		},
		"field added": {
			change: func(t *testing.T, live []Object) []Object {
				find[*admissionv1.MutatingAdmissionPolicyBinding](t, live, placement).Spec.MatchResources = &admissionv1.MatchResources{}
				return live
			},
			want: []Problem{{"MutatingAdmissionPolicyBinding", placement, Altered, "spec.matchResources: expected nothing, found {}"}},
		},
		"field removed": {
			change: func(t *testing.T, live []Object) []Object {
				find[*admissionv1.ValidatingAdmissionPolicy](t, live, network).Spec.FailurePolicy = nil
				return live
			},
			want: []Problem{{"ValidatingAdmissionPolicy", network, Altered, `spec.failurePolicy: expected "Fail", found nothing`}},
		},
		"not looked at yet": {
			change: func(t *testing.T, live []Object) []Object {
				find[*admissionv1.ValidatingAdmissionPolicy](t, live, network).Status.ObservedGeneration = 2
				return live
			},
			want: []Problem{{"ValidatingAdmissionPolicy", network, NotAccepted, "generation 3 is not type-checked yet (the last one was 2)"}},
		},
		"looked at in a former life": {
			change: func(t *testing.T, live []Object) []Object {
				find[*admissionv1.ValidatingAdmissionPolicy](t, live, network).Status.ObservedGeneration = 7
				return live
			},
		},
		"found faulty": {
			change: func(t *testing.T, live []Object) []Object {
				find[*admissionv1.ValidatingAdmissionPolicy](t, live, network).Status.TypeChecking.ExpressionWarnings =
					[]admissionv1.ExpressionWarning{{FieldRef: "spec.validations[0]", Warning: "undefined field\n"}, {FieldRef: "spec.validations[4]", Warning: "no overload"}}
				return live
			},
			want: []Problem{{"ValidatingAdmissionPolicy", network, NotAccepted, "spec.validations[0]: undefined field; spec.validations[4]: no overload"}},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, Compare(shipped(t), test.change(t, accepted(t)))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Every shipped object counts: an empty cluster lacks them all, in the order they are applied.
func TestCompareWithAnEmptyCluster(t *testing.T) {
	problems := Compare(shipped(t), nil)
	var got []string
	for _, p := range problems {
		got = append(got, p.Kind+" "+p.Name)
	}
	if diff := cmp.Diff(names(shipped(t)), got); diff != "" {
		t.Error(diff)
	}
	if want, got := "MutatingAdmissionPolicy hipaatenant-emergency: Missing: it does not exist", problems[0].String(); got != want {
		t.Errorf("want %q, got %q", want, got)
	}
}

func TestDifference(t *testing.T) {
	list := func(items ...any) any { return items }
	object := func(name string, value any) any { return map[string]any{name: value} }
	tests := map[string]struct {
		want, got any
		where     string
	}{
		"same":               {object("a", list("x", int64(1))), object("a", list("x", int64(1))), ""},
		"both absent":        {nil, nil, ""},
		"other kind of item": {object("a", "x"), object("a", list("x")), `spec.a: expected "x", found ["x"]`},
		"object for a list":  {list("x"), object("a", "x"), `spec: expected ["x"], found {"a":"x"}`},
		"list for an object": {object("a", "x"), list("x"), `spec: expected {"a":"x"}, found ["x"]`},
		"first of several":   {map[string]any{"a": "1", "b": "2"}, map[string]any{"a": "3", "b": "4"}, `spec.a: expected "1", found "3"`},
		"inside a list":      {list("x", "y"), list("x", "z"), `spec[1]: expected "y", found "z"`},
		"long values":        {strings.Repeat("x", 200), "y", `spec: expected "` + strings.Repeat("x", 119) + `..., found "y"`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if where := difference("spec", test.want, test.got); where != test.where {
				t.Errorf("want %q, got %q", test.where, where)
			}
		})
	}
}

func TestFindGoesByKindAndName(t *testing.T) {
	p := Problem{Kind: "ValidatingAdmissionPolicyBinding", Name: "hipaatenant-network"}
	if got := Find(shipped(t), p); got == nil || kindOf(got) != p.Kind || got.GetName() != p.Name {
		t.Errorf("want %s %s, got %v", p.Kind, p.Name, got)
	}
	p.Name = "somebody-elses"
	if got := Find(shipped(t), p); got != nil {
		t.Errorf("want nothing, got %s", got.GetName())
	}
}
