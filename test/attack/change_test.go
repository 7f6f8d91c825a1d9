package attack

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"k8s.io/client-go/kubernetes/scheme"
)

// overlay makes of a live object what the change from one text to another would make of it: defaults and what others
// wrote stay.
func overlay(live, from, to any) any {
	if to, ok := to.(map[string]any); ok {
		was, _ := from.(map[string]any)
		is, _ := live.(map[string]any)
		out := runtime.DeepCopyJSON(is)
		if out == nil {
			out = map[string]any{}
		}
		for k, v := range to {
			if !reflect.DeepEqual(was[k], v) {
				out[k] = overlay(is[k], was[k], v)
			}
		}
		for k := range was {
			if _, stays := to[k]; !stays {
				delete(out, k)
			}
		}
		return out
	}
	if to, ok := to.([]any); ok {
		was, _ := from.([]any)
		is, _ := live.([]any)
		if n := len(was); 0 < n && n < len(to) && reflect.DeepEqual(was, to[:n]) { // something added to a list that others add to
			return slices.Concat(is, to[n:])
		}
		if len(was) != len(to) || len(is) != len(to) {
			return to
		}
		out := slices.Clone(is)
		for i := range to {
			if !reflect.DeepEqual(was[i], to[i]) {
				out[i] = overlay(is[i], was[i], to[i])
			}
		}
		return out
	}
	return to
}

// merged applies a JSON merge patch.
func merged(live, patch any) any {
	p, ok := patch.(map[string]any)
	if !ok {
		return patch
	}
	is, _ := live.(map[string]any)
	out := runtime.DeepCopyJSON(is)
	if out == nil {
		out = map[string]any{}
	}
	for k, v := range p {
		if v == nil {
			delete(out, k)
			continue
		}
		out[k] = merged(out[k], v)
	}
	return out
}

// mergePatch is the JSON merge patch that makes b of a.
func mergePatch(a, b map[string]any) map[string]any {
	out := map[string]any{}
	for k, v := range b {
		if reflect.DeepEqual(a[k], v) {
			continue
		}
		was, ok := a[k].(map[string]any)
		is, okToo := v.(map[string]any)
		if ok && okToo {
			out[k] = mergePatch(was, is)
		} else {
			out[k] = v
		}
	}
	for k := range a {
		if _, stays := b[k]; !stays {
			out[k] = nil
		}
	}
	return out
}

type operation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value,omitempty"`
}

// jsonPatch is the JSON patch (RFC 6902) that makes b of a; lists of different lengths are replaced.
func jsonPatch(path string, a, b any) []operation {
	if reflect.DeepEqual(a, b) {
		return nil
	}
	var out []operation
	was, ok := a.(map[string]any)
	is, okToo := b.(map[string]any)
	if !ok || !okToo {
		return []operation{{"replace", path, b}}
	}
	for k, v := range is {
		at := path + "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(k)
		if old, there := was[k]; there {
			out = append(out, jsonPatch(at, old, v)...)
		} else {
			out = append(out, operation{"add", at, v})
		}
	}
	for k := range was {
		if _, stays := is[k]; !stays {
			out = append(out, operation{Op: "remove", Path: path + "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(k)})
		}
	}
	return out
}

// strategicPatch is the strategic merge patch that makes b of a; false where the kind has none.
func strategicPatch(a, b *unstructured.Unstructured) ([]byte, bool) {
	typed, err := scheme.Scheme.New(a.GroupVersionKind())
	if err != nil {
		return nil, false
	}
	patch, err := strategicpatch.CreateTwoWayMergePatch(encode(a.Object), encode(b.Object), typed)
	return patch, err == nil
}

// takesAway says whether a merge patch removes something. Server-side apply cannot remove what others own.
func takesAway(patch any) bool {
	m, ok := patch.(map[string]any)
	if !ok {
		return patch == nil
	}
	for _, v := range m {
		if takesAway(v) {
			return true
		}
	}
	return false
}

func encode(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // objects come from JSON
	}
	return text
}
