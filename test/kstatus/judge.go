// Package kstatus watches the product's objects at every revision and holds them to the kstatus convention, by the library
// that Helm and Flux judge them with: what these tools wait for must never be there too soon, nor fail what can still succeed.
package kstatus

import (
	"fmt"
	"slices"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
)

// heads are the conditions that a status cannot speak without, by kind. A kind that is not listed has no status: it is data
// that others read, and there as soon as it is written.
var heads = map[string]string{
	"HIPAATenant":       v1alpha1.ConditionReady,
	"BusinessAssociate": v1alpha1.ConditionInForce,
	"EmergencyAccess":   v1alpha1.ConditionActive,
}

// revision is an object as one revision has it.
type revision struct {
	object     *unstructured.Unstructured
	verdict    status.Status
	observed   int64 // status.observedGeneration; zero when there is none
	conditions []metav1.Condition
}

func read(o *unstructured.Unstructured) (revision, error) {
	result, err := status.Compute(o)
	if err != nil {
		return revision{}, fmt.Errorf("kstatus cannot read %s %s: %w", o.GetKind(), o.GetName(), err)
	}
	var fields struct {
		Status struct {
			ObservedGeneration int64              `json:"observedGeneration"`
			Conditions         []metav1.Condition `json:"conditions"`
		} `json:"status"`
	}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, &fields); err != nil {
		return revision{}, err
	}
	return revision{o, result.Status, fields.Status.ObservedGeneration, fields.Status.Conditions}, nil
}

func (r revision) true(kind string) bool { return meta.IsStatusConditionTrue(r.conditions, kind) }

// judge says what is wrong with a revision, given the one before it; nil when it is the first.
func judge(before *revision, r revision) []string {
	wrong := slices.Concat(always(r), heading(r))
	if before != nil {
		wrong = append(wrong, since(*before, r)...)
	}
	for i, text := range wrong {
		wrong[i] = fmt.Sprintf("%s %s, generation %d, resourceVersion %s: %s",
			r.object.GetKind(), r.object.GetName(), r.object.GetGeneration(), r.object.GetResourceVersion(), text)
	}
	return wrong
}

// always holds for every kind.
func always(r revision) (wrong []string) {
	complain := func(is bool, text string) {
		if is {
			wrong = append(wrong, text)
		}
	}
	deleted := r.object.GetDeletionTimestamp() != nil
	complain(deleted != (r.verdict == status.TerminatingStatus), fmt.Sprintf("deleted is %t, and kstatus says %s", deleted, r.verdict))
	complain(r.true(v1alpha1.ConditionStalled) && r.true(v1alpha1.ConditionReconciling), "Stalled and Reconciling at once")
	complain(r.true(v1alpha1.ConditionReady) && (r.true(v1alpha1.ConditionStalled) || r.true(v1alpha1.ConditionReconciling)),
		"Ready beside Stalled or Reconciling")
	complain(r.verdict == status.FailedStatus && !r.true(v1alpha1.ConditionStalled), "Failed without Stalled")
	var kinds []string
	for _, c := range r.conditions {
		complain(slices.Contains(kinds, c.Type), "two conditions "+c.Type)
		complain(c.ObservedGeneration > r.observed, fmt.Sprintf("condition %s is of generation %d, the status of %d", c.Type, c.ObservedGeneration, r.observed))
		abnormal := c.Type == v1alpha1.ConditionStalled || c.Type == v1alpha1.ConditionReconciling
		complain(abnormal && c.Status != metav1.ConditionTrue, c.Type+" stands although it is not True")
		kinds = append(kinds, c.Type)
	}
	return wrong
}

// heading holds for kinds with a status: the condition at their head is of the generation that the status speaks of, and
// nothing is done before it was looked at.
func heading(r revision) (wrong []string) {
	kind, has := heads[r.object.GetKind()]
	if !has {
		return nil
	}
	head := meta.FindStatusCondition(r.conditions, kind)
	switch {
	case r.observed == 0:
		wrong = append(wrong, "the status has no observedGeneration, so kstatus takes the object for done")
	case r.observed > 0 && (head == nil || head.ObservedGeneration != r.observed):
		wrong = append(wrong, fmt.Sprintf("observedGeneration is %d, and condition %s is %+v: they were not written at once", r.observed, kind, head))
	}
	if r.verdict != status.CurrentStatus {
		return wrong
	}
	if r.observed != r.object.GetGeneration() {
		wrong = append(wrong, fmt.Sprintf("Current, and observedGeneration is %d", r.observed))
	}
	if kind != v1alpha1.ConditionReady {
		return wrong
	}
	if !r.true(kind) {
		wrong = append(wrong, "Current without Ready")
	}
	for _, c := range r.conditions {
		if c.ObservedGeneration != r.observed {
			wrong = append(wrong, fmt.Sprintf("Current, and condition %s is of generation %d", c.Type, c.ObservedGeneration))
		}
	}
	return wrong
}

// since holds between two revisions of one object.
func since(before, r revision) (wrong []string) {
	if _, has := heads[r.object.GetKind()]; !has || r.object.GetDeletionTimestamp() != nil {
		return nil
	}
	if r.object.GetGeneration() > before.object.GetGeneration() && r.verdict != status.InProgressStatus {
		wrong = append(wrong, fmt.Sprintf("the spec has just changed, and kstatus says %s", r.verdict))
	}
	if r.observed < before.observed {
		wrong = append(wrong, fmt.Sprintf("observedGeneration fell from %d to %d", before.observed, r.observed))
	}
	return wrong
}
