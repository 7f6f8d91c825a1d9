package admission

import (
	"encoding/json"
	"io/fs"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	policies "github.com/hipaatenant/hipaa-tenant-operator/config/admission"
)

const (
	policyText = `
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: b}
spec:
  validations:
    - expression: request.userInfo.username == 'system:serviceaccount:hipaa-system:hipaa-tenant-operator'
`
	bindingText = `
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: b}
spec: {policyName: b}
`
	mutatingText = `
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicyBinding
metadata: {name: a}
spec: {policyName: a}
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicy
metadata: {name: a}
`
)

func shipped(t *testing.T) []Object {
	t.Helper()
	objects, err := Load(DefaultIdentity)
	if err != nil {
		t.Fatal(err)
	}
	return objects
}

func names(objects []Object) []string {
	var list []string
	for _, o := range objects {
		list = append(list, kindOf(o)+" "+o.GetName())
	}
	return list
}

func TestLoadOrdersByNameAndPolicyFirst(t *testing.T) {
	files := fstest.MapFS{
		"one.yaml":  {Data: []byte(bindingText + "---" + policyText)},
		"two.yaml":  {Data: []byte(mutatingText)},
		"README.md": {Data: []byte("not a policy")},
	}
	objects, err := load(files, DefaultIdentity)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"MutatingAdmissionPolicy a", "MutatingAdmissionPolicyBinding a",
		"ValidatingAdmissionPolicy b", "ValidatingAdmissionPolicyBinding b",
	}
	if diff := cmp.Diff(want, names(objects)); diff != "" {
		t.Error(diff)
	}
}

func TestLoadRefusesWhatIsNotAPolicy(t *testing.T) {
	tests := map[string]struct{ text, want string }{
		"another kind":     {"apiVersion: v1\nkind: ConfigMap\n", `found kind "ConfigMap" of "v1"`},
		"another version":  {strings.ReplaceAll(policyText, "/v1", "/v1beta1"), `of "admissionregistration.k8s.io/v1beta1"`},
		"a misspelt field": {strings.ReplaceAll(policyText, "validations", "validation"), `unknown field "validation"`},
		"a field twice":    {policyText + "kind: ValidatingAdmissionPolicy\n", "already set"},
		"not YAML":         {"kind: [", "did not find expected"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := load(fstest.MapFS{"one.yaml": {Data: []byte(test.text)}}, DefaultIdentity)
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "one.yaml") {
				t.Errorf("want an error about one.yaml with %q, got %v", test.want, err)
			}
		})
	}
}

func TestIdentity(t *testing.T) {
	tests := map[string]struct {
		identity string
		ok       bool
	}{
		"default":               {DefaultIdentity, true},
		"another namespace":     {"system:serviceaccount:compliance:operator", true},
		"certificate":           {"hipaa-operator", true},
		"identity provider":     {"https://idp.example#ops", false},
		"e-mail":                {"ops@example.com", true},
		"empty":                 {"", false},
		"ends the literal":      {"x' || 'a' == 'a", false},
		"ends the line":         {"x\ny", false},
		"starts with a hyphen":  {"-x", false},
		"longer than any name":  {strings.Repeat("x", 255), false},
		"as long as it can get": {strings.Repeat("x", 254), true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			objects, err := Load(test.identity)
			if (err == nil) != test.ok {
				t.Fatalf("accepted: want %v, got error %v", test.ok, err)
			}
			if test.ok && !strings.Contains(expressions(objects), "'"+test.identity+"'") {
				t.Errorf("no policy exempts %s", test.identity)
			}
			if test.identity != DefaultIdentity && strings.Contains(expressions(objects), DefaultIdentity) {
				t.Error("the default identity is still exempt")
			}
		})
	}
}

// expressions are all strings of all specs.
func expressions(objects []Object) string {
	var text strings.Builder
	for _, o := range objects {
		if p, ok := o.(*admissionv1.ValidatingAdmissionPolicy); ok {
			for _, v := range p.Spec.Variables {
				text.WriteString(v.Expression)
			}
			for _, m := range p.Spec.MatchConditions {
				text.WriteString(m.Expression)
			}
		}
	}
	return text.String()
}

// The rules every policy keeps, so that adding one is adding one file.
func TestEveryFileIsPoliciesWithTheirBindings(t *testing.T) {
	files, err := fs.Glob(policies.Files, "*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no policy files: %v", err)
	}
	for _, file := range files {
		t.Run(file, func(t *testing.T) {
			text, err := fs.ReadFile(policies.Files, file)
			if err != nil {
				t.Fatal(err)
			}
			objects, err := Decode(text)
			if err != nil {
				t.Fatal(err)
			}
			// A name is unique within a kind, so at most a mutating and a validating one.
			if kinds := kindsOf(objects); len(objects)%2 != 0 || len(kinds) != len(objects) {
				t.Fatalf("want a policy and a binding of each kind, got %v", names(objects))
			}
			name := "hipaatenant-" + strings.TrimSuffix(file, ".yaml")
			for _, o := range objects {
				if o.GetName() != name {
					t.Errorf("%s: want name %s", kindOf(o), name)
				}
				want := map[string]string{v1alpha1.LabelManagedBy: v1alpha1.OperatorName}
				if diff := cmp.Diff(want, o.GetLabels()); diff != "" {
					t.Errorf("%s: labels: %s", kindOf(o), diff)
				}
			}
			for pair := range slices.Chunk(objects, 2) {
				if err := checkPair(pair[0], pair[1]); err != "" {
					t.Error(err)
				}
			}
		})
	}
}

func kindsOf(objects []Object) map[string]bool {
	kinds := map[string]bool{}
	for _, o := range objects {
		kinds[kindOf(o)] = true
	}
	return kinds
}

// checkPair looks for what would let a request through unseen, or make the live object differ from the file.
func checkPair(policy, binding Object) string {
	switch p := policy.(type) {
	case *admissionv1.ValidatingAdmissionPolicy:
		b, ok := binding.(*admissionv1.ValidatingAdmissionPolicyBinding)
		switch {
		case !ok || b.Spec.PolicyName != p.Name:
			return "the binding is not the policy's"
		case !reflect.DeepEqual(b.Spec.ValidationActions, []admissionv1.ValidationAction{admissionv1.Deny}):
			return "the binding must deny, and nothing else"
		case b.Spec.MatchResources != nil || b.Spec.ParamRef != nil || p.Spec.ParamKind != nil:
			return "the binding must not narrow the policy, nor take parameters"
		case p.Spec.FailurePolicy == nil || *p.Spec.FailurePolicy != admissionv1.Fail:
			return "failurePolicy must be Fail"
		}
		for _, v := range p.Spec.Validations {
			if v.Message == "" || v.Reason == nil || *v.Reason != metav1.StatusReasonForbidden {
				return "a validation needs a message and reason Forbidden: " + v.Expression
			}
		}
		return checkMatch(p.Spec.MatchConstraints)
	case *admissionv1.MutatingAdmissionPolicy:
		b, ok := binding.(*admissionv1.MutatingAdmissionPolicyBinding)
		switch {
		case !ok || b.Spec.PolicyName != p.Name:
			return "the binding is not the policy's"
		case b.Spec.MatchResources != nil || b.Spec.ParamRef != nil || p.Spec.ParamKind != nil:
			return "the binding must not narrow the policy, nor take parameters"
		case p.Spec.FailurePolicy == nil || *p.Spec.FailurePolicy != admissionv1.Fail:
			return "failurePolicy must be Fail"
		case p.Spec.ReinvocationPolicy != admissionv1.IfNeededReinvocationPolicy:
			return "reinvocationPolicy must be IfNeeded: a webhook may undo what we did"
		}
		return checkMatch(p.Spec.MatchConstraints)
	}
	return "the first document must be a policy"
}

func checkMatch(m *admissionv1.MatchResources) string {
	if m == nil || m.MatchPolicy == nil || *m.MatchPolicy != admissionv1.Equivalent {
		return "matchPolicy must be Equivalent: Exact is passed by through another API version"
	}
	if m.NamespaceSelector == nil || m.ObjectSelector == nil {
		return "state both selectors, empty ones too: the API server fills them in"
	}
	if len(m.ObjectSelector.MatchLabels)+len(m.ObjectSelector.MatchExpressions) > 0 {
		return "an objectSelector goes by labels the requester writes"
	}
	for _, r := range m.ResourceRules {
		if r.Scope == nil || *r.Scope == admissionv1.AllScopes {
			return "state the scope of every rule"
		}
		for _, resource := range r.Resources {
			if strings.Contains(resource, "*") && resource != "*/*" {
				return "name resources and subresources, or take all by */*: * does not cover subresources"
			}
		}
	}
	return ""
}

// TestEveryFactIsGuarded: what the policies read from a namespace is written by the operator alone.
func TestEveryFactIsGuarded(t *testing.T) {
	guard := ""
	read := map[string]bool{}
	for _, o := range shipped(t) {
		text, err := json.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range regexp.MustCompile(`'hipaatenant\.dev/[a-z-]+'`).FindAllString(string(text), -1) {
			read[key] = true
		}
		if p, ok := o.(*admissionv1.ValidatingAdmissionPolicy); ok {
			for _, v := range p.Spec.Variables {
				if v.Name == "guardedKeys" {
					guard = v.Expression
				}
			}
		}
	}
	elsewhere := []string{ // on pods, HIPAATenants and EmergencyAccesses
		v1alpha1.LabelChannel, v1alpha1.AnnotationInjectConfig, v1alpha1.Finalizer,
		v1alpha1.AnnotationApprove, v1alpha1.AnnotationRequestedBy, v1alpha1.AnnotationApprovedBy, v1alpha1.AnnotationApprovedByGroups,
	}
	for key := range read {
		if !strings.Contains(guard, key) && !slices.Contains(elsewhere, strings.Trim(key, "'")) {
			t.Errorf("policies read %s, and anybody may write it on a namespace: add it to guardedKeys of tenancy", key)
		}
	}
	for _, key := range []string{v1alpha1.LabelTenant, v1alpha1.AnnotationAdmission, v1alpha1.AnnotationTenantUID, v1alpha1.AnnotationConfigHash} {
		if !strings.Contains(guard, "'"+key+"'") {
			t.Errorf("%s is not guarded", key)
		}
	}
}
