package status

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/compile"
)

// tree are the conditions Ready depends on, causes before their consequences.
var tree = []string{
	v1alpha1.ConditionBAAInForce, v1alpha1.ConditionAdmissionEnforced, v1alpha1.ConditionEncryptionReady,
	v1alpha1.ConditionPlacementEnforced, v1alpha1.ConditionNetworkIsolated, v1alpha1.ConditionAccessBound,
	v1alpha1.ConditionConfigDelivered, v1alpha1.ConditionNamespacesReady,
}

// conditionsWith are all of the tree True but some.
func conditionsWith(others ...metav1.Condition) []metav1.Condition {
	var list []metav1.Condition
	for _, kind := range tree {
		list = append(list, condition(kind, yes, v1alpha1.ReasonEnforced, "stands"))
	}
	for _, c := range others {
		meta.SetStatusCondition(&list, c)
	}
	return list
}

// TestBlocking: each condition alone holds Ready back, and of two the cause is told.
func TestBlocking(t *testing.T) {
	if b := blocking(conditionsWith()); b != nil {
		t.Errorf("with all of the tree True %s blocks", b.Type)
	}
	for i, kind := range tree {
		for _, status := range []metav1.ConditionStatus{no, unknown} {
			c := condition(kind, status, v1alpha1.ReasonFailed, "broken")
			if b := blocking(conditionsWith(c)); b == nil || b.Type != kind || b.Message != "broken" {
				t.Errorf("%s=%s: blocking is %v, want it", kind, status, b)
			}
			for _, consequence := range tree[i+1:] {
				if b := blocking(conditionsWith(condition(consequence, no, v1alpha1.ReasonFailed, "too"), c)); b.Type != kind {
					t.Errorf("%s and %s: %s is told, want the cause %s", kind, consequence, b.Type, kind)
				}
			}
		}
		missing := slices.DeleteFunc(conditionsWith(), func(c metav1.Condition) bool { return c.Type == kind })
		if b := blocking(missing); b == nil || b.Type != kind || b.Reason != v1alpha1.ReasonProgressing {
			t.Errorf("without %s: blocking is %v, want it, Progressing", kind, b)
		}
	}
	written := condition(v1alpha1.ConditionNetworkIsolated, unknown, v1alpha1.ReasonPolicyWritten, "not probed")
	if b := blocking(conditionsWith(written)); b != nil {
		t.Errorf("network policies that stand and were not probed block: %v", b)
	}
}

// TestReadyTellsWhy: the reason is the cause's, the message names the condition and quotes it.
func TestReadyTellsWhy(t *testing.T) {
	in := ready()
	in.Keys = Keys{Reason: v1alpha1.ReasonKMSRefused, Message: "permission denied"}
	in.Plan.Gates["acme"] = v1alpha1.GateLocked
	c := meta.FindStatusCondition(Compute(in).Conditions, v1alpha1.ConditionReady)
	if c.Reason != v1alpha1.ReasonKMSRefused || c.Message != "EncryptionReady: permission denied" {
		t.Errorf("Ready is %s: %q", c.Reason, c.Message)
	}
	in = ready()
	in.Plan.Waiting = []string{"HIPAAProfile late", "namespace acme"}
	c = meta.FindStatusCondition(Compute(in).Conditions, v1alpha1.ConditionReady)
	if c.Message != "waiting for HIPAAProfile late; namespace acme" {
		t.Errorf("Ready says %q", c.Message)
	}
	in = ready()
	in.Plan.Findings = []v1alpha1.Finding{
		{Severity: v1alpha1.SeverityError, Code: compile.CodeUnknownChannel, Path: "spec.disabledChannels[0]", Message: "unknown"},
		{Severity: v1alpha1.SeverityWarning, Code: compile.CodeBAAExpiring, Path: "spec.baa", Message: "soon"},
		{Severity: v1alpha1.SeverityError, Code: compile.CodeNamespaceConflict, Path: "spec.namespaces[0].name", Message: "taken"},
	}
	s := Compute(in)
	for _, kind := range []string{v1alpha1.ConditionReady, v1alpha1.ConditionStalled} {
		c = meta.FindStatusCondition(s.Conditions, kind)
		if c.Reason != v1alpha1.ReasonNamespaceConflict || c.Message != "spec.disabledChannels[0]: unknown; spec.namespaces[0].name: taken" {
			t.Errorf("%s is %s: %q; want every error, and the conflict as reason", kind, c.Reason, c.Message)
		}
	}
}

// TestFailuresAreToldInOrder: a status must not change because a map was walked another way.
func TestFailuresAreToldInOrder(t *testing.T) {
	in := ready()
	in.Applied.Failed = map[v1alpha1.ObjectRef]error{}
	for _, name := range []string{"d", "a", "c", "b"} {
		in.Applied.Failed[v1alpha1.ObjectRef{Kind: "ConfigMap", Namespace: "acme", Name: name}] = errors.New("no")
	}
	for range 20 {
		c := meta.FindStatusCondition(Compute(in).Conditions, v1alpha1.ConditionConfigDelivered)
		if want := "acme/a: no; acme/b: no; acme/c: no; acme/d: no"; c.Message != want {
			t.Fatalf("message is %q, want %q", c.Message, want)
		}
	}
}

// TestKept: what was enforced before a plan that is not applied stays as it was reported; nothing is claimed that never was.
func TestKept(t *testing.T) {
	before := Compute(ready())
	kinds := []string{
		v1alpha1.ConditionPlacementEnforced, v1alpha1.ConditionNetworkIsolated, v1alpha1.ConditionEncryptionReady,
		v1alpha1.ConditionAccessBound, v1alpha1.ConditionConfigDelivered,
	}
	for name, change := range map[string]func(*Inputs){
		"invalid":            invalid(compile.CodeRegionNotEligible),
		"remembering failed": func(in *Inputs) { in.Applied, in.Err = nil, errors.New("writing the status: timeout") },
		"waiting for a namespace": func(in *Inputs) {
			in.Plan.Effective, in.Applied, in.Plan.Waiting = nil, nil, []string{"namespace acme"}
		},
	} {
		fresh, provisioned := ready(), ready()
		change(&fresh)
		change(&provisioned)
		provisioned.Tenant.Status, provisioned.Now = before, later
		provisioned.Live = live(v1alpha1.GateOpen)
		for _, kind := range kinds {
			if got, want := shown(Compute(fresh), kind), kind+"=False/"+v1alpha1.ReasonNotProvisioned; got != want {
				t.Errorf("%s, never provisioned: %s, want %s", name, got, want)
			}
			want := meta.FindStatusCondition(before.Conditions, kind)
			if diff := cmp.Diff(want, meta.FindStatusCondition(Compute(provisioned).Conditions, kind)); diff != "" {
				t.Errorf("%s, provisioned before: %s changes (-before +now):\n%s", name, kind, diff)
			}
		}
	}
}

// TestMessagesAreCutBetweenCharacters: half a character would come back from the API server as another text.
func TestMessagesAreCutBetweenCharacters(t *testing.T) {
	for shift := range 4 {
		in := ready()
		in.AdmissionProblems = []string{strings.Repeat("x", shift) + strings.Repeat("€", 500)}
		c := meta.FindStatusCondition(Compute(in).Conditions, v1alpha1.ConditionAdmissionEnforced)
		if !utf8.ValidString(c.Message) || len(c.Message) > MaxText || len(c.Message) < MaxText-4 || !strings.HasSuffix(c.Message, "€...") {
			t.Errorf("shifted by %d: %d bytes, valid %t, ends in %q", shift, len(c.Message), utf8.ValidString(c.Message), c.Message[len(c.Message)-8:])
		}
	}
	in := ready()
	in.AdmissionProblems = []string{strings.Repeat("x", MaxText)}
	if c := meta.FindStatusCondition(Compute(in).Conditions, v1alpha1.ConditionAdmissionEnforced); len(c.Message) != MaxText || strings.HasSuffix(c.Message, "...") {
		t.Errorf("a message of just the limit is cut to %d bytes", len(c.Message))
	}
}

// TestStrippedNamespaceStaysListed: the list is the only memory of whose it is.
func TestStrippedNamespaceStaysListed(t *testing.T) {
	for name, tc := range map[string]struct {
		live   compile.Namespace
		listed bool
	}{
		"labels and facts gone":     {compile.Namespace{UID: "ns-acme"}, true},
		"owner's UID gone":          {compile.Namespace{UID: "ns-acme", Labels: map[string]string{v1alpha1.LabelTenant: "acme"}}, true},
		"another tenant's by now":   {compile.Namespace{UID: "ns-acme", Labels: map[string]string{v1alpha1.LabelTenant: "birch"}}, false},
		"made anew by somebody":     {compile.Namespace{UID: "ns-other"}, false},
		"another tenant's, anew":    {compile.Namespace{UID: "ns-other", Labels: map[string]string{v1alpha1.LabelTenant: "birch"}}, false},
		"it has no UID, nor had it": {compile.Namespace{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			in := ready()
			in.Tenant.Status = Compute(ready())
			invalid(compile.CodeRegionNotEligible)(&in)
			in.Live = map[string]compile.Namespace{"acme": tc.live}
			s := Compute(in)
			if listed := len(s.Namespaces) == 1; listed != tc.listed {
				t.Fatalf("namespaces are %v, want it listed: %t", s.Namespaces, tc.listed)
			}
			if tc.listed && (s.Namespaces[0].UID != "ns-acme" || s.Namespaces[0].Gate != "" || shown(s, v1alpha1.ConditionNamespacesReady) != "NamespacesReady=False/Locked") {
				t.Errorf("namespaces are %v, %s", s.Namespaces, shown(s, v1alpha1.ConditionNamespacesReady))
			}
			in.Tenant.Status = s
			if again := Compute(in); len(again.Namespaces) != len(s.Namespaces) {
				t.Errorf("the next time namespaces are %v", again.Namespaces)
			}
		})
	}
}

// TestRandomLives walks tenants through random reconciles and holds what must be true of every status.
func TestRandomLives(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	seen := map[string]int{}
	for range 400 {
		tenant := ready().Tenant
		now := noon
		for range 12 {
			now = now.Add(time.Duration(1+r.IntN(90)) * time.Second)
			before := *tenant.Status.DeepCopy()
			tenant.Generation += int64(r.IntN(2))
			next, stalled := step(r, tenant, now)
			wellFormed(t, next, tenant.Generation)
			checkLife(t, before, next, now)
			if got := meta.FindStatusCondition(next.Conditions, v1alpha1.ConditionStalled) != nil; got != stalled {
				t.Fatalf("Stalled: %t, want %t", got, stalled)
			}
			if t.Failed() {
				t.FailNow()
			}
			seen[shown(next, v1alpha1.ConditionReady)]++
			tenant.Status = next
		}
	}
	for _, want := range []string{
		"Ready=True/Ready", "Ready=False/Invalid", "Ready=False/Failed", "Ready=False/Waiting", "Ready=False/Progressing",
		"Ready=Unknown/Suspended", "Ready=False/Deleting", "Ready=False/KMSUnreachable", "Ready=False/PoliciesMissing",
	} {
		if seen[want] < 10 {
			t.Errorf("%s was seen %d times, want at least 10: the walk no longer shows what this test is for", want, seen[want])
		}
	}
}

// step is one reconcile of a life: the status it ends with, and whether that must be Stalled.
func step(r *rand.Rand, tenant *v1alpha1.HIPAATenant, now time.Time) (v1alpha1.HIPAATenantStatus, bool) {
	switch r.IntN(12) {
	case 0:
		return Suspend(tenant, now), false
	case 1:
		return Delete(tenant, "stuck", now), false
	case 2:
		return Remember(tenant, nil, now), false
	}
	in := ready()
	in.Tenant, in.Now, in.Live = tenant, now, live(v1alpha1.GateOpen)
	changes := []func(*Inputs){
		func(in *Inputs) { in.Keys = Keys{Reason: v1alpha1.ReasonKMSUnreachable, Message: "away"} },
		func(in *Inputs) { in.Keys = Keys{Reason: v1alpha1.ReasonKMSRefused, Message: "no"} },
		func(in *Inputs) { in.AdmissionProblems = []string{"missing"} },
		func(in *Inputs) {
			in.Plan.Agreement = compile.Verdict{Reason: v1alpha1.ReasonExpired, Message: "ended"}
		},
		func(in *Inputs) { in.Plan.Gates["acme"] = v1alpha1.GateFrozen },
		func(in *Inputs) { in.Applied, in.Err = nil, errors.New("no route") },
		func(in *Inputs) { in.Plan.Effective, in.Applied, in.Plan.Waiting = nil, nil, []string{"a profile"} },
		invalid(compile.CodeUnknownChannel), invalid(compile.CodeUnknownChannel), invalid(compile.CodeNamespaceConflict),
		func(in *Inputs) {
			in.Applied = &Applied{Failed: map[v1alpha1.ObjectRef]error{{Kind: "Secret", Namespace: "acme", Name: "x"}: errors.New("full")}, UIDs: map[v1alpha1.ObjectRef]types.UID{}}
			in.Err = errors.New("full")
		},
	}
	for range r.IntN(3) {
		changes[r.IntN(len(changes))](&in)
	}
	return Compute(in), in.Plan.Invalid()
}

// checkLife compares a status with the one before.
func checkLife(t *testing.T, before, next v1alpha1.HIPAATenantStatus, now time.Time) {
	t.Helper()
	for _, c := range next.Conditions {
		was := meta.FindStatusCondition(before.Conditions, c.Type)
		want := now
		if was != nil && was.Status == c.Status {
			want = was.LastTransitionTime.Time
		}
		if !c.LastTransitionTime.Time.Equal(want) {
			t.Errorf("%s=%s has its last transition at %s, want %s", c.Type, c.Status, c.LastTransitionTime, want)
		}
		if c.Reason == "" || c.Status == "" {
			t.Errorf("%s has no reason or status: %+v", c.Type, c)
		}
	}
	if !meta.IsStatusConditionTrue(next.Conditions, v1alpha1.ConditionReady) {
		return
	}
	for _, kind := range tree {
		got := shown(next, kind)
		if got != fmt.Sprintf("%s=True/%s", kind, meta.FindStatusCondition(next.Conditions, kind).Reason) && got != "NetworkIsolated=Unknown/PolicyWritten" {
			t.Errorf("Ready=True beside %s", got)
		}
	}
}
