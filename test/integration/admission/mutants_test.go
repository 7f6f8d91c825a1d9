package admission_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/admission"
	pt "github.com/hipaatenant/hipaa-tenant-operator/test/policytest"
)

// mutant is a policy without one of its parts.
type mutant struct {
	name   string
	policy admission.Object
	// lost is the text of the part, in which rows that notice find their words again.
	lost string
}

// savesTime are conditions that change nothing but the cost: what they let go, the validations would allow.
var savesTime = map[string][]string{
	"hipaatenant-exposure":       {"load-balancer-now-or-before", "not-an-endpoint-controller"},
	"hipaatenant-placement":      {"always"},
	"hipaatenant-placement-bind": {"not-an-ordinary-pod"},
	"hipaatenant-storage":        {"not-a-pod-with-ordinary-volumes", "something-judged-changes"},
	"hipaatenant-tenancy":        {"not-an-ordinary-object"},
	"hipaatenant-workload":       {"something-judged-changes"},
}

// secondLine are validations of what a mutating policy has put right already, by their message. Rows cannot tell; a spec of
// its own takes the mutating policy away.
var secondLine = map[string][]string{
	"hipaatenant-emergency": {
		"annotation hipaatenant.dev/requested-by says who asked, and is stamped by the API server alone",
		"annotations hipaatenant.dev/approved-by and approved-by-groups say who approved, and are stamped by the API server alone",
	},
}

// constraints of a policy; nil for bindings.
func constraints(object admission.Object) *admissionv1.MatchResources {
	switch policy := object.(type) {
	case *admissionv1.ValidatingAdmissionPolicy:
		return policy.Spec.MatchConstraints
	case *admissionv1.MutatingAdmissionPolicy:
		return policy.Spec.MatchConstraints
	}
	return nil
}

// mutantsOf lack one validation, mutation, condition, resource, or operation each.
func mutantsOf(policy admission.Object) []mutant {
	return slices.Concat(withoutValidations(policy), withoutConditions(policy), withoutMatches(policy))
}

func withoutValidations(object admission.Object) []mutant {
	var list []mutant
	switch policy := object.(type) {
	case *admissionv1.ValidatingAdmissionPolicy:
		for i, v := range policy.Spec.Validations {
			if slices.Contains(secondLine[policy.Name], v.Message) {
				continue
			}
			m := policy.DeepCopy()
			m.Spec.Validations = slices.Delete(m.Spec.Validations, i, i+1)
			list = append(list, mutant{fmt.Sprintf("%s without validation %d (%s)", policy.Name, i, v.Message), m, v.Message + " " + v.MessageExpression})
		}
	case *admissionv1.MutatingAdmissionPolicy:
		for i := range policy.Spec.Mutations {
			m := policy.DeepCopy()
			m.Spec.Mutations = slices.Delete(m.Spec.Mutations, i, i+1)
			list = append(list, mutant{fmt.Sprintf("%s without mutation %d", policy.Name, i), m, ""})
		}
	}
	return list
}

func withoutConditions(object admission.Object) []mutant {
	var list []mutant
	add := func(copied admission.Object, conditions *[]admissionv1.MatchCondition, i int) {
		lost := (*conditions)[i]
		*conditions = slices.Delete(*conditions, i, i+1)
		if !slices.Contains(savesTime[object.GetName()], lost.Name) {
			list = append(list, mutant{fmt.Sprintf("%s without condition %s", object.GetName(), lost.Name), copied, lost.Name})
		}
	}
	switch policy := object.(type) {
	case *admissionv1.ValidatingAdmissionPolicy:
		for i := range policy.Spec.MatchConditions {
			m := policy.DeepCopy()
			add(m, &m.Spec.MatchConditions, i)
		}
	case *admissionv1.MutatingAdmissionPolicy:
		for i := range policy.Spec.MatchConditions {
			m := policy.DeepCopy()
			add(m, &m.Spec.MatchConditions, i)
		}
	}
	return list
}

func withoutMatches(policy admission.Object) []mutant {
	var list []mutant
	for i, rule := range constraints(policy).ResourceRules {
		for j, resource := range rule.Resources {
			m := policy.DeepCopyObject().(admission.Object)
			change := &constraints(m).ResourceRules[i]
			change.Resources = slices.Delete(change.Resources, j, j+1)
			list = append(list, mutant{fmt.Sprintf("%s without resource %s of rule %d", policy.GetName(), resource, i), m, resource})
		}
		for j, operation := range rule.Operations {
			m := policy.DeepCopyObject().(admission.Object)
			change := &constraints(m).ResourceRules[i]
			change.Operations = slices.Delete(change.Operations, j, j+1)
			list = append(list, mutant{fmt.Sprintf("%s without operation %s of rule %d", policy.GetName(), operation, i), m, strings.Join(rule.Resources, " ")})
		}
	}
	// A rule without resources or operations is one the API server would not take; it goes as a whole.
	for _, m := range list {
		constraints(m.policy).ResourceRules = slices.DeleteFunc(constraints(m.policy).ResourceRules, func(r admissionv1.NamedRuleWithOperations) bool {
			return len(r.Resources) == 0 || len(r.Operations) == 0
		})
	}
	return slices.DeleteFunc(list, func(m mutant) bool { return len(constraints(m.policy).ResourceRules) == 0 })
}

// likelyFirst puts rows first that have words in common with what was lost.
func (m mutant) likelyFirst(a, b pt.Row) int { return cmp.Compare(m.likeness(b), m.likeness(a)) }

func (m mutant) likeness(row pt.Row) int {
	lost := strings.ToLower(m.lost)
	score := 0
	for word := range strings.FieldsSeq(strings.ToLower(row.Want.Says() + " " + row.Name)) {
		if len(word) > 3 && strings.Contains(lost, strings.Trim(word, ",;:.()")) {
			score++
		}
	}
	return score
}
