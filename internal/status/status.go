// Package status turns what was decided and done into the status of a HIPAATenant. It is pure: one function per
// condition, all of them computed together and written once.
package status

import (
	"maps"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/compile"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/netprobe"
)

// Inputs is what one reconcile knows at its end.
type Inputs struct {
	// Tenant as it was read.
	Tenant *v1alpha1.HIPAATenant
	// Plan that was made.
	Plan *compile.Plan
	// Live namespaces, as they were before the plan was applied.
	Live map[string]compile.Namespace
	// Keys of the tenant.
	Keys Keys
	// AdmissionProblems are the admission policies that are not as shipped; empty when all stand.
	AdmissionProblems []string
	// Network is whether the network plug-in enforces policies; nil before anything was said of it.
	Network *netprobe.Verdict
	// Applied is what was written; nil when the plan was not applied.
	Applied *Applied
	// Inventory to remember.
	Inventory []v1alpha1.ObjectRef
	// Err is what went wrong besides single objects; it is retried.
	Err error
	// Now is the time of transitions.
	Now time.Time
}

// Keys is the outcome for the tenant's data keys.
type Keys struct {
	// Statuses of the keys that stand; nil when they could not be read.
	Statuses []v1alpha1.KeyStatus
	// Reason the keys could not be made, one of the KMS and key reasons; empty when all is well.
	Reason string
	// Message that goes with Reason.
	Message string
	// Asked says that the KMS was asked about the key since the operator started, and Region is what it said; empty when
	// it does not tell.
	Asked  bool
	Region string
}

// Applied is what an apply did.
type Applied struct {
	// UIDs of the objects that stand as wanted.
	UIDs map[v1alpha1.ObjectRef]types.UID
	// Failed objects, and why.
	Failed map[v1alpha1.ObjectRef]error
}

// clean says that every object of the plan stands.
func (a *Applied) clean() bool { return a != nil && len(a.Failed) == 0 }

// honoured says that the spec was resolved and that all of it stands. What was applied may also be a plan that only narrows.
func (in Inputs) honoured() bool { return in.Plan.Writable() && in.Applied.clean() }

// Compute is the status to write.
func Compute(in Inputs) v1alpha1.HIPAATenantStatus {
	s := *in.Tenant.Status.DeepCopy()
	s.ObservedGeneration = in.Tenant.Generation
	s.Inventory = in.Inventory
	s.Findings = in.Plan.Findings
	switch {
	case in.honoured():
		s.Effective = in.Plan.Effective
	case in.Plan.Kept != nil && in.Applied.clean():
		s.Effective = in.Plan.Kept
	}
	if in.Keys.Statuses != nil {
		s.FormerKeys = formerKeys(in.Tenant.Status, in.Keys.Statuses)
		s.Keys = in.Keys.Statuses
	}
	s.Namespaces = namespaces(in)
	for _, condition := range []func(Inputs, v1alpha1.HIPAATenantStatus) metav1.Condition{
		namespacesReady, baaInForce, admissionEnforced, placementEnforced,
		networkIsolated, encryptionReady, accessBound, configDelivered,
	} {
		set(&s, in, condition(in, s))
	}
	conclude(&s, in)
	return s
}

// Remember is the status to write before the first write of a plan: what is about to be written must not be forgotten
// when the process dies. Nothing in it says more than that work has begun.
func Remember(t *v1alpha1.HIPAATenant, inventory []v1alpha1.ObjectRef, now time.Time) v1alpha1.HIPAATenantStatus {
	s := *t.Status.DeepCopy()
	s.Inventory = inventory
	in := Inputs{Tenant: t, Now: now}
	s.ObservedGeneration = t.Generation
	set(&s, in, condition(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonProgressing, "the tenant is being brought in line with its spec"))
	set(&s, in, condition(v1alpha1.ConditionReconciling, metav1.ConditionTrue, v1alpha1.ReasonProgressing, "the tenant is being brought in line with its spec"))
	meta.RemoveStatusCondition(&s.Conditions, v1alpha1.ConditionStalled)
	return s
}

// Suspend is the status of a tenant that is not reconciled: what was enforced stays, and nothing vouches for it. An agreement
// that was in force may end meanwhile, or a network policy go, and nobody would see.
func Suspend(t *v1alpha1.HIPAATenant, now time.Time) v1alpha1.HIPAATenantStatus {
	s := *t.Status.DeepCopy()
	s.ObservedGeneration = t.Generation
	in := Inputs{Tenant: t, Now: now}
	set(&s, in, condition(v1alpha1.ConditionReady, metav1.ConditionUnknown, v1alpha1.ReasonSuspended,
		"spec.suspend is true: what was enforced stays enforced, changes and drift are not looked at"))
	if c := meta.FindStatusCondition(s.Conditions, v1alpha1.ConditionBAAInForce); c != nil && c.Status == metav1.ConditionTrue {
		set(&s, in, condition(c.Type, metav1.ConditionUnknown, v1alpha1.ReasonSuspended, "spec.suspend is true: its dates are not looked at; before that it was "+c.Message))
	}
	if c := meta.FindStatusCondition(s.Conditions, v1alpha1.ConditionNetworkIsolated); c != nil && c.Status == metav1.ConditionTrue {
		set(&s, in, condition(c.Type, metav1.ConditionUnknown, v1alpha1.ReasonSuspended, "spec.suspend is true: nobody sees to it that the network policies stand"))
	}
	meta.RemoveStatusCondition(&s.Conditions, v1alpha1.ConditionReconciling)
	meta.RemoveStatusCondition(&s.Conditions, v1alpha1.ConditionStalled)
	return s
}

// Delete is the status of a tenant whose finalizer cannot finish yet.
func Delete(t *v1alpha1.HIPAATenant, message string, now time.Time) v1alpha1.HIPAATenantStatus {
	return Hold(t, v1alpha1.ReasonDeleting, message, now)
}

// namespaces lists what the tenant has, by name, with the gates in place.
func namespaces(in Inputs) []v1alpha1.NamespaceStatus {
	listed := liveNamespaces(in)
	if in.Applied != nil {
		for ref, uid := range in.Applied.UIDs {
			if ref.Kind == "Namespace" {
				listed[ref.Name] = v1alpha1.NamespaceStatus{Name: ref.Name, UID: uid, Gate: gateOf(in, ref.Name)}
			}
		}
	}
	for name, n := range listed {
		n.StalePods, n.UninjectedPods = podsByConfig(in, name)
		listed[name] = n
	}
	return slices.SortedFunc(maps.Values(listed), func(a, b v1alpha1.NamespaceStatus) int { return strings.Compare(a.Name, b.Name) })
}

// podsByConfig counts the pods of a namespace that did not take the config; as before, where that was not judged.
func podsByConfig(in Inputs, namespace string) (stale, uninjected int32) {
	if in.Plan.Config != nil {
		c := in.Plan.Consumption[namespace]
		return c.Stale, c.Uninjected
	}
	for _, was := range in.Tenant.Status.Namespaces {
		if was.Name == namespace {
			return was.StalePods, was.UninjectedPods
		}
	}
	return 0, 0
}

// liveNamespaces are the tenant's namespaces as they were before the plan was applied. One whose labels were stripped
// stays listed, without a gate, because only this list tells that it is the tenant's.
func liveNamespaces(in Inputs) map[string]v1alpha1.NamespaceStatus {
	listed := map[string]v1alpha1.NamespaceStatus{}
	for _, was := range in.Tenant.Status.Namespaces {
		if n, exists := in.Live[was.Name]; exists && n.UID == was.UID && (n.Tenant() == "" || n.Tenant() == in.Tenant.Name) {
			listed[was.Name] = v1alpha1.NamespaceStatus{Name: was.Name, UID: was.UID}
		}
	}
	for name, n := range in.Live {
		if n.Tenant() == in.Tenant.Name && n.TenantUID() == in.Tenant.UID {
			listed[name] = v1alpha1.NamespaceStatus{Name: name, UID: n.UID, Gate: n.Gate()}
		}
	}
	return listed
}

// gateOf is the gate of a namespace that was written to: the planned one once every wave is through, and before that the
// one the first wave wrote.
func gateOf(in Inputs, name string) v1alpha1.Gate {
	if in.Applied.clean() {
		return in.Plan.Gates[name]
	}
	return in.Plan.FirstGates[name]
}

func condition(kind string, status metav1.ConditionStatus, reason, message string) metav1.Condition {
	return metav1.Condition{Type: kind, Status: status, Reason: reason, Message: message}
}

// MaxText, in bytes, keeps messages of conditions readable and below their limit of 32768 characters. For notes of events it is
// the API server's own limit: it refuses a longer one, and the event is lost.
const MaxText = 1024

// Cut returns a text that people can read, of MaxText bytes at most. A character is never cut in half, and bytes that are none are
// left out: the API server would replace them by three bytes each, and a status would differ from what was computed for ever.
func Cut(text string) string {
	text = strings.ToValidUTF8(text, "")
	if len(text) <= MaxText {
		return text
	}
	const more = "..."
	return strings.ToValidUTF8(text[:MaxText-len(more)], "") + more
}

func set(s *v1alpha1.HIPAATenantStatus, in Inputs, c metav1.Condition) {
	if c.Type == "" {
		return // the condition keeps the value it has
	}
	c.Message = Cut(c.Message)
	c.ObservedGeneration = in.Tenant.Generation
	c.LastTransitionTime = metav1.NewTime(in.Now)
	meta.SetStatusCondition(&s.Conditions, c)
}
