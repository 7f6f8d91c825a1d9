package kstatus

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"
)

func object(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	o := &unstructured.Unstructured{}
	asJSON, err := yaml.YAMLToJSON([]byte("{apiVersion: hipaatenant.dev/v1alpha1, " + text[1:]))
	if err != nil {
		t.Fatal(err)
	}
	if err := o.UnmarshalJSON(asJSON); err != nil { // numbers as a watch brings them
		t.Fatal(err)
	}
	o.SetUID("tenant")
	o.SetName("acme")
	return o
}

const (
	fresh     = "{kind: HIPAATenant, metadata: {generation: 1}, status: {observedGeneration: -1}}"
	ready     = "{kind: HIPAATenant, metadata: {generation: 1}, status: {observedGeneration: 1, conditions: [{type: Ready, status: 'True', observedGeneration: 1}]}}"
	edited    = "{kind: HIPAATenant, metadata: {generation: 2}, status: {observedGeneration: 1, conditions: [{type: Ready, status: 'True', observedGeneration: 1}]}}"
	working   = "{kind: HIPAATenant, metadata: {generation: 2}, status: {observedGeneration: 2, conditions: [{type: Ready, status: 'False', observedGeneration: 2}, {type: Reconciling, status: 'True', observedGeneration: 2}]}}"
	stalled   = "{kind: HIPAATenant, metadata: {generation: 2}, status: {observedGeneration: 2, conditions: [{type: Ready, status: 'False', observedGeneration: 2}, {type: Stalled, status: 'True', observedGeneration: 2}]}}"
	deleted   = "{kind: HIPAATenant, metadata: {generation: 3, deletionTimestamp: '2026-11-01T00:00:00Z'}, status: {observedGeneration: 2, conditions: [{type: Ready, status: 'False', observedGeneration: 2}]}}"
	associate = "{kind: BusinessAssociate, metadata: {generation: 1}, status: {observedGeneration: 1, conditions: [{type: inForce, status: 'False', observedGeneration: 1}]}}"
	profile   = "{kind: HIPAAProfile, metadata: {generation: 1}}"
)

func TestAGoodLife(t *testing.T) {
	h := newHistory()
	for _, text := range []string{fresh, ready, edited, working, stalled, deleted} {
		h.record(object(t, text))
	}
	for _, text := range []string{associate, profile} {
		o := object(t, text)
		o.SetUID(types.UID(o.GetKind()))
		h.record(o)
	}
	if err := h.Err(); err != nil {
		t.Error(err)
	}
	if got, want := strings.Join(h.Seen("HIPAATenant", "acme"), " "), "InProgress Current InProgress Failed Terminating"; got != want {
		t.Errorf("the life is %s, want %s", got, want)
	}
	if got := h.Line(); got != "kstatus: kinds=3 objects=3 revisions=8 InProgress=3 Failed=1 Current=3 Terminating=1 violations=0" {
		t.Error(got)
	}
}

// TestWhatIsWrong has a revision for each rule, which only that rule tells from a good one.
func TestWhatIsWrong(t *testing.T) {
	for name, tc := range map[string]struct{ before, now, want string }{
		"no observedGeneration":        {"", "{kind: HIPAATenant, metadata: {generation: 1}}", "takes the object for done"},
		"an associate without one":     {"", "{kind: BusinessAssociate, metadata: {generation: 1}}", "takes the object for done"},
		"observed without conditions":  {"", "{kind: EmergencyAccess, metadata: {generation: 1}, status: {observedGeneration: 1}}", "not written at once"},
		"an old head":                  {ready, strings.Replace(edited, "observedGeneration: 1, conditions", "observedGeneration: 2, conditions", 1), "not written at once"},
		"a condition ahead":            {"", strings.Replace(ready, "'True', observedGeneration: 1", "'True', observedGeneration: 2", 1), "is of generation 2"},
		"current without Ready":        {"", strings.Replace(ready, "type: Ready", "type: Steady", 1), "Current without Ready"},
		"an old condition":             {"", strings.Replace(ready, "[", "[{type: AccessBound, status: 'True', observedGeneration: 0}, ", 1), "condition AccessBound is of generation 0"},
		"two of a type":                {"", strings.Replace(ready, "[", "[{type: Ready, status: 'True', observedGeneration: 1}, ", 1), "two conditions Ready"},
		"stalled and reconciling":      {"", strings.Replace(working, "[", "[{type: Stalled, status: 'True', observedGeneration: 2}, ", 1), "Stalled and Reconciling"},
		"ready and reconciling":        {"", strings.Replace(working, "'False'", "'True'", 1), "Ready beside"},
		"Reconciling that is False":    {"", strings.Replace(ready, "[", "[{type: Reconciling, status: 'False', observedGeneration: 1}, ", 1), "although it is not True"},
		"failed with the edit":         {ready, stalled, "the spec has just changed, and kstatus says Failed"},
		"the past comes back":          {working, edited, "observedGeneration fell from 2 to 1"},
		"unreadable":                   {"", "{kind: HIPAATenant, metadata: {generation: 1}, status: {observedGeneration: x}}", "kstatus cannot read"},
		"an edit of a working profile": {"", "{kind: HIPAAProfile, metadata: {generation: 1}, status: {conditions: [{type: Ready, status: 'True'}, {type: Stalled, status: 'True'}]}}", "Ready beside"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHistory()
			if tc.before != "" {
				h.record(object(t, tc.before))
			}
			h.record(object(t, tc.now))
			if err := h.Err(); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("want a complaint with %q, got %v", tc.want, err)
			}
		})
	}
}

func TestAWatchThatEndsIsAFault(t *testing.T) {
	h := newHistory()
	h.fault("a watch ended")
	if h.Err() == nil || !strings.HasSuffix(h.Line(), "violations=1") {
		t.Errorf("%v, %s", h.Err(), h.Line())
	}
}
