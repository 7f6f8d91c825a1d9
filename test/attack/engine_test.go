package attack

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

var (
	errRBAC   = apierrors.NewForbidden(schema.GroupResource{Resource: "pods"}, "", fmt.Errorf("%s %q cannot create resource %q", "User", "dev", "pods"))
	errPolicy = errors.New("ValidatingAdmissionPolicy 'hipaatenant-network' with binding 'hipaatenant-network' denied request: 0.0.0.0/0 is too wide")
	errBroken = errors.New("ValidatingAdmissionPolicy 'hipaatenant-network' with binding 'hipaatenant-network' denied request: expression 'x' resulted in error: no such key")
	errGone   = apierrors.NewNotFound(schema.GroupResource{Resource: "pods"}, "web")
)

func object(image string) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{"kind": "Pod", "metadata": map[string]any{"name": "web"}, "spec": map[string]any{"image": image}}}
}

// An engine that takes everything for a refusal would make every table green.
func TestDecide(t *testing.T) {
	row := Attack{By: []refusal{policy("network", "too wide")}}
	tests := map[string]struct {
		trial trial
		want  verdict
		says  string
	}{
		"let through":                            {trial{actor: administrator}, leaked, "it was allowed"},
		"let through, with an effect":            {trial{actor: developer, after: object("a")}, leaked, "which did not before"},
		"let through a subresource, no effect":   {trial{actor: developer, way: way{silent: true}}, refused, ""},
		"let through a subresource, an effect":   {trial{actor: developer, way: way{silent: true}, before: object("a"), after: object("b")}, leaked, "changed"},
		"refused by the policy":                  {trial{actor: administrator, err: errPolicy}, refused, ""},
		"refused by the policy, yet changed":     {trial{actor: administrator, err: errPolicy, before: object("a"), after: object("b")}, leaked, "and yet"},
		"refused by the policy, yet gone":        {trial{actor: administrator, err: errPolicy, before: object("a")}, leaked, "is gone"},
		"refused by a broken policy":             {trial{actor: developer, err: errBroken}, leaked, "a broken policy"},
		"refused by RBAC":                        {trial{actor: developer, err: errRBAC}, refused, ""},
		"refused by RBAC, to an administrator":   {trial{actor: administrator, err: errRBAC}, leaked, "refused, but by RBAC"},
		"not found":                              {trial{actor: developer, err: errGone}, leaked, "refused, but by absence"},
		"not found, where that is to be":         {trial{actor: developer, err: errGone, way: way{also: []refusal{absent()}}}, refused, ""},
		"a failure that has to do with nothing":  {trial{actor: developer, err: errors.New("connection refused")}, leaked, "somebody else"},
		"refused by the policy, in other words":  {trial{actor: administrator, err: errors.New(strings.ReplaceAll(errPolicy.Error(), "too wide", "odd"))}, leaked, "policy network"},
		"nothing given, nothing forgotten":       {trial{}, leaked, "it was allowed"},
		"harmless after all, but the check says": {trial{attack: Attack{By: []refusal{harmless(withoutEffect)}}, before: object("a"), after: object("b")}, leaked, "changed"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if test.trial.attack.By == nil {
				test.trial.attack = row
			}
			got, err := decide(t.Context(), &test.trial)
			if got != test.want || (err == nil) != (test.says == "") || err != nil && !strings.Contains(err.Error(), test.says) {
				t.Errorf("want verdict %d and %q, got %d and %v", test.want, test.says, got, err)
			}
		})
	}
}

// What is lawful goes through in every way, and the engine says so of each.
func TestLawfulRequestsCountAsLeaks(t *testing.T) {
	w := theWorld(t)
	configMap := func(value string) string {
		return "{apiVersion: v1, kind: ConfigMap, metadata: {name: NAME}, data: {a: " + value + "}}"
	}
	result := w.attack(t.Context(), Group{Attacks: []Attack{
		{Name: "lawful", Object: configMap("harm"), From: configMap("none"), By: []refusal{policy("network")}, As: []actor{developer, administrator}, Without: []string{"update into"}},
		{Name: "lawful pods", Object: pod(""), By: []refusal{policy("workload")}, As: []actor{administrator}, Without: []string{"update into"}},
	}})
	if result.refused != 0 || result.repaired != 0 || len(result.leaks) < 35 {
		t.Errorf("want every way to leak, got %d refused, %d repaired, %d leaks: %s", result.refused, result.repaired, len(result.leaks), strings.Join(result.leaks, "\n"))
	}
}

func TestOverlay(t *testing.T) {
	live := fromYAML("{spec: {image: a, dns: default, tolerations: [{key: own}, {key: defaulted}]}, status: {phase: Running}}")
	from := fromYAML("{spec: {image: a, gone: x, tolerations: [{key: own}]}}")
	to := fromYAML("{spec: {image: b, tolerations: [{key: own}, {}]}}")
	want := fromYAML("{spec: {image: b, dns: default, tolerations: [{key: own}, {key: defaulted}, {}]}, status: {phase: Running}}")
	got := overlay(live, from, to)
	if !reflect.DeepEqual(want, got) {
		t.Errorf("want %s, got %s", encode(want), encode(got))
	}
	if patch := mergePatch(live, got.(map[string]any)); !reflect.DeepEqual(merged(live, patch), got) {
		t.Errorf("the merge patch %s does not lead there", encode(patch))
	}
	if got := merged(live, fromYAML("{spec: {dns: null}}")); !takesAway(mergePatch(live, got.(map[string]any))) {
		t.Error("a patch that removes a field is not seen as one")
	}
}

func TestJSONPatch(t *testing.T) {
	a := fromYAML("{metadata: {labels: {a/b: x, c: d}}, list: [1, 2]}")
	b := fromYAML("{metadata: {labels: {a/b: z}, name: web}, list: [1]}")
	got := jsonPatch("", a, b)
	want := map[operation]bool{
		{"replace", "/metadata/labels/a~1b", "z"}: true, {"remove", "/metadata/labels/c", nil}: true, {"add", "/metadata/name", "web"}: true,
	}
	for _, op := range got {
		if op.Path == "/list" && op.Op == "replace" {
			continue
		}
		if !want[op] {
			t.Errorf("unexpected %+v", op)
		}
	}
	if len(got) != 4 {
		t.Errorf("want 4 operations, got %+v", got)
	}
}
