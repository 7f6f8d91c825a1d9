package admission

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// Reason says what is wrong with a live policy or binding.
type Reason string

const (
	// Missing: it does not exist, or is being deleted.
	Missing Reason = "Missing"
	// Altered: its spec is not the shipped one.
	Altered Reason = "Altered"
	// NotAccepted: the control plane has not type-checked it in its present form, or found faults with it.
	NotAccepted Reason = "NotAccepted"
)

// Problem is one policy or binding that does not stand as shipped.
type Problem struct {
	// Kind and Name of the object.
	Kind, Name string
	// Reason it counts as a problem.
	Reason Reason
	// Detail says what was found, in words.
	Detail string
}

// String is the problem in one line.
func (p Problem) String() string {
	return fmt.Sprintf("%s %s: %s: %s", p.Kind, p.Name, p.Reason, p.Detail)
}

// Compare tells how live differs from shipped, in the order of shipped. Live objects that were not shipped are left
// alone: further policies and bindings can only refuse more. Labels and annotations are not compared.
func Compare(shipped, live []Object) []Problem {
	byKey := make(map[[2]string]Object, len(live))
	for _, object := range live {
		byKey[key(object)] = object
	}
	var problems []Problem
	for _, want := range shipped {
		if reason, detail := judge(want, byKey[key(want)]); reason != "" {
			problems = append(problems, Problem{Kind: kindOf(want), Name: want.GetName(), Reason: reason, Detail: detail})
		}
	}
	return problems
}

func key(object Object) [2]string { return [2]string{kindOf(object), object.GetName()} }

func judge(want, got Object) (Reason, string) {
	switch {
	case got == nil:
		return Missing, "it does not exist"
	case got.GetDeletionTimestamp() != nil:
		return Missing, "it is being deleted"
	}
	if where := compareSpecs(want, got); where != "" {
		return Altered, where
	}
	if policy, ok := got.(*admissionv1.ValidatingAdmissionPolicy); ok {
		if fault := faults(policy); fault != "" {
			return NotAccepted, fault
		}
	}
	return "", ""
}

// faults reads what the controller manager's type checker said. Mutating policies have no such status. A generation above
// the policy's own was checked of a deleted policy of the same name: the checker was slower than who made it anew, and does
// not look again. The specs are the same, or the policy counts as altered.
func faults(policy *admissionv1.ValidatingAdmissionPolicy) string {
	if policy.Status.ObservedGeneration < policy.Generation {
		return fmt.Sprintf("generation %d is not type-checked yet (the last one was %d)", policy.Generation, policy.Status.ObservedGeneration)
	}
	if policy.Status.TypeChecking == nil || len(policy.Status.TypeChecking.ExpressionWarnings) == 0 {
		return ""
	}
	warnings := make([]string, 0, len(policy.Status.TypeChecking.ExpressionWarnings))
	for _, w := range policy.Status.TypeChecking.ExpressionWarnings {
		warnings = append(warnings, w.FieldRef+": "+strings.TrimSpace(w.Warning))
	}
	return strings.Join(warnings, "; ")
}

// compareSpecs works on plain JSON values, in which an absent list and an empty one are the same.
func compareSpecs(want, got Object) string {
	wanted, err := runtime.DefaultUnstructuredConverter.ToUnstructured(want)
	if err != nil {
		return err.Error()
	}
	found, err := runtime.DefaultUnstructuredConverter.ToUnstructured(got)
	if err != nil {
		return err.Error()
	}
	return difference("spec", wanted["spec"], found["spec"])
}

// difference names the first place where two JSON values differ, and what stands there; empty when they are the same.
func difference(path string, want, got any) string {
	switch want := want.(type) {
	case map[string]any:
		if got, ok := got.(map[string]any); ok {
			return differentField(path, want, got)
		}
	case []any:
		if got, ok := got.([]any); ok {
			return differentItem(path, want, got)
		}
	default:
		if want == got {
			return ""
		}
	}
	return fmt.Sprintf("%s: expected %s, found %s", path, brief(want), brief(got))
}

func differentField(path string, want, got map[string]any) string {
	names := slices.Concat(slices.Collect(maps.Keys(want)), slices.Collect(maps.Keys(got)))
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		if where := difference(path+"."+name, want[name], got[name]); where != "" {
			return where
		}
	}
	return ""
}

func differentItem(path string, want, got []any) string {
	if len(want) != len(got) {
		return fmt.Sprintf("%s: expected %d items, found %d", path, len(want), len(got))
	}
	for i := range want {
		if where := difference(fmt.Sprintf("%s[%d]", path, i), want[i], got[i]); where != "" {
			return where
		}
	}
	return ""
}

// brief keeps a message readable: expressions are long.
func brief(value any) string {
	if value == nil {
		return "nothing"
	}
	var text strings.Builder
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false) // < and > are common in expressions
	if err := encoder.Encode(value); err != nil {
		return err.Error()
	}
	const limit = 120
	line := strings.TrimSpace(text.String())
	if len(line) > limit {
		return line[:limit] + "..."
	}
	return line
}
