package extension

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Judge says what a cluster makes of a kind by its CustomResourceDefinition; nil when there is none.
func Judge(k Kind, crd *unstructured.Unstructured) API {
	switch {
	case crd == nil:
		return API{State: Absent}
	case crd.GetDeletionTimestamp() != nil:
		return API{State: Unusable, Why: "it is being deleted"}
	case is(crd, "NamesAccepted", "False"):
		return API{State: Unusable, Why: "its names are taken by another definition"}
	case !is(crd, "Established", "True"):
		return API{State: Absent} // it was just made; no object of it was ever taken
	}
	schema, served := version(k, crd)
	if schema == nil {
		return API{State: Unusable, Why: fmt.Sprintf("it serves %s and not %s", orNothing(served), k.Version)}
	}
	api := API{State: Served}
	for _, field := range fields(k) {
		if has(schema, path(field)) {
			api.Fields = append(api.Fields, field)
		}
	}
	return api
}

func is(crd *unstructured.Unstructured, condition, status string) bool {
	conditions, _, _ := unstructured.NestedSlice(crd.Object, "status", "conditions")
	return slices.ContainsFunc(conditions, func(c any) bool {
		m, ok := c.(map[string]any)
		return ok && m["type"] == condition && m["status"] == status
	})
}

// version is the schema of the kind's version, nil when it is not served, and the versions that are.
func version(k Kind, crd *unstructured.Unstructured) (schema map[string]any, served []string) {
	spec, _ := crd.Object["spec"].(map[string]any)
	versions, _ := spec["versions"].([]any)
	for _, v := range versions {
		m, _ := v.(map[string]any)
		if m["served"] != true {
			continue
		}
		name, _ := m["name"].(string)
		served = append(served, name)
		if name == k.Version {
			holder, _ := m["schema"].(map[string]any)
			schema, _ = holder["openAPIV3Schema"].(map[string]any)
			if schema == nil {
				schema = map[string]any{}
			}
		}
	}
	return schema, served
}

// has follows a path through properties, and through the items of lists.
func has(schema map[string]any, path []string) bool {
	for _, name := range path {
		if items, list := schema["items"].(map[string]any); list {
			schema = items
		}
		properties, _ := schema["properties"].(map[string]any)
		next, found := properties[name].(map[string]any)
		if !found {
			return false
		}
		schema = next
	}
	return true
}

func orNothing(names []string) string {
	if len(names) == 0 {
		return "nothing"
	}
	return strings.Join(names, ", ")
}
