package admission

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admissionregistration/v1"
)

func TestStaticNamesAndReferencesCarryTheSuffix(t *testing.T) {
	objects := shipped(t)
	static := Static(objects)
	if diff := cmp.Diff(names(shipped(t)), names(objects)); diff != "" {
		t.Errorf("the originals changed: %s", diff)
	}
	for i, o := range static {
		if want := objects[i].GetName() + StaticSuffix; o.GetName() != want {
			t.Errorf("want name %s, got %s", want, o.GetName())
		}
	}
	for _, o := range static {
		if policy := policyOf(o); policy != "" && policy != o.GetName() {
			t.Errorf("binding %s names policy %s", o.GetName(), policy)
		}
	}
}

func policyOf(o Object) string {
	switch b := o.(type) {
	case *admissionv1.ValidatingAdmissionPolicyBinding:
		return b.Spec.PolicyName
	case *admissionv1.MutatingAdmissionPolicyBinding:
		return b.Spec.PolicyName
	}
	return ""
}

func TestGuardExemptsItsKeepersAndNobodyElse(t *testing.T) {
	objects, err := Guard("system:serviceaccount:compliance:operator", "argocd")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{
		"ValidatingAdmissionPolicy hipaatenant-guard.static.k8s.io", "ValidatingAdmissionPolicyBinding hipaatenant-guard.static.k8s.io",
	}, names(objects)); diff != "" {
		t.Error(diff)
	}
	text := expressions(objects)
	if !strings.Contains(text, "['system:serviceaccount:compliance:operator', 'argocd']") || strings.Contains(text, DefaultIdentity) {
		t.Errorf("exempt are others than the two keepers: %s", text)
	}
	if problem := checkPair(objects[0], objects[1]); problem != "" {
		t.Error(problem)
	}
}

func TestGuardRefusesNamesThatEndTheLiteral(t *testing.T) {
	for _, keepers := range [][]string{nil, {""}, {DefaultIdentity, "x'] || true || ['"}} {
		if _, err := Guard(keepers...); err == nil || !strings.Contains(err.Error(), DefaultIdentity) {
			t.Errorf("%q: want an error that gives an example, got %v", keepers, err)
		}
	}
}

func TestValidating(t *testing.T) {
	for _, o := range shipped(t) {
		if got, want := Validating(o), strings.Contains(kindOf(o), "Validating"); got != want {
			t.Errorf("%s: want %v, got %v", kindOf(o), want, got)
		}
	}
}
