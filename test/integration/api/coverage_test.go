package api_test

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// constraint is something a schema demands of a field.
type constraint struct {
	// path of the field, with [] for every index.
	path string
	// says is what the server's message contains when the constraint refuses a value.
	says string
}

func (c constraint) String() string { return c.path + ": " + c.says }

// refusedBy says whether the constraint is the cause.
func (c constraint) refusedBy(cause metav1.StatusCause) bool {
	return pathOf(cause.Field) == c.path && strings.Contains(cause.Message, c.says)
}

var indexes = regexp.MustCompile(`\[[^\]]*\]`)

// pathOf turns a field of an object into a path of the schema. Rules on the whole object are reported as <nil>.
func pathOf(field string) string {
	if field == "<nil>" {
		return ""
	}
	return indexes.ReplaceAllString(field, "[]")
}

// schemaOf is the schema of the only version of a kind.
func schemaOf(kind string) *apiextensionsv1.JSONSchemaProps {
	return crds[kind].Spec.Versions[0].Schema.OpenAPIV3Schema
}

// walk calls visit for the schema at path and every schema below it.
func walk(schema *apiextensionsv1.JSONSchemaProps, path string, visit func(string, *apiextensionsv1.JSONSchemaProps)) {
	visit(path, schema)
	for name := range schema.Properties {
		property := schema.Properties[name]
		walk(&property, strings.TrimPrefix(path+"."+name, "."), visit)
	}
	if schema.Items != nil && schema.Items.Schema != nil {
		walk(schema.Items.Schema, path+"[]", visit)
	}
}

// constraintsOf are all constraints of a kind but types, which the rows touch by way of example.
func constraintsOf(kind string) []constraint {
	var found []constraint
	walk(schemaOf(kind), "", func(path string, schema *apiextensionsv1.JSONSchemaProps) {
		found = slices.Concat(found, limits(path, schema), lists(path, schema), rules(path, schema))
	})
	return slices.SortedFunc(slices.Values(found), func(a, b constraint) int { return cmp.Compare(a.String(), b.String()) })
}

// limits are constraints on a single value.
func limits(path string, schema *apiextensionsv1.JSONSchemaProps) []constraint {
	var found []constraint
	add := func(says string, args ...any) {
		found = append(found, constraint{path: path, says: fmt.Sprintf(says, args...)})
	}
	if len(schema.Enum) > 0 {
		add("Unsupported value")
	}
	if schema.Pattern != "" {
		add("should match '%s'", schema.Pattern)
	}
	if schema.Format != "" && schema.Type == "string" {
		add("must be of type %s", schema.Format)
	}
	if schema.MinLength != nil {
		add("should be at least %d chars long", *schema.MinLength)
	}
	if schema.MaxLength != nil {
		add("may not be more than %d bytes", *schema.MaxLength)
	}
	if schema.Minimum != nil {
		add("should be greater than or equal to %g", *schema.Minimum)
	}
	if schema.Maximum != nil {
		add("should be less than or equal to %.0f", *schema.Maximum)
	}
	return found
}

// lists are constraints on how many values there are, and which.
func lists(path string, schema *apiextensionsv1.JSONSchemaProps) []constraint {
	var found []constraint
	add := func(path, says string, args ...any) {
		found = append(found, constraint{path: path, says: fmt.Sprintf(says, args...)})
	}
	for _, name := range schema.Required {
		add(strings.TrimPrefix(path+"."+name, "."), "Required value")
	}
	if schema.MinItems != nil {
		add(path, "should have at least %d items", *schema.MinItems)
	}
	if schema.MaxItems != nil {
		add(path, "must have at most %d item", *schema.MaxItems)
	}
	if schema.MinProperties != nil {
		add(path, "should have at least %d properties", *schema.MinProperties)
	}
	if schema.MaxProperties != nil {
		add(path, "must have at most %d item", *schema.MaxProperties)
	}
	if schema.XListType != nil && *schema.XListType != "atomic" {
		add(path+"[]", "Duplicate value")
	}
	return found
}

var quoted = regexp.MustCompile(`'([^']*)'`)

// rules are the CEL rules. A message that is computed is known by its longest constant part.
func rules(path string, schema *apiextensionsv1.JSONSchemaProps) []constraint {
	var found []constraint
	for _, rule := range schema.XValidations {
		says := rule.Message
		for _, part := range quoted.FindAllStringSubmatch(rule.MessageExpression, -1) {
			if len(part[1]) > len(says) {
				says = part[1]
			}
		}
		found = append(found, constraint{path: strings.TrimPrefix(path+rule.FieldPath, "."), says: says})
	}
	return found
}

// unseen are the constraints that none of the causes is about.
func unseen(constraints []constraint, given []metav1.StatusCause) []constraint {
	return slices.DeleteFunc(slices.Clone(constraints), func(c constraint) bool {
		return slices.ContainsFunc(given, c.refusedBy)
	})
}

// unused are the fields of a kind that none of the objects has.
func unused(kind string, objects []object) []string {
	used := map[string]bool{}
	for _, o := range objects {
		fields(o, "", used)
	}
	var found []string
	walk(schemaOf(kind), "", func(path string, _ *apiextensionsv1.JSONSchemaProps) {
		if path != "" && !strings.HasPrefix(path, "metadata") && !used[path] {
			found = append(found, path)
		}
	})
	slices.Sort(found)
	return found
}

// fields notes every path of the value.
func fields(value any, path string, used map[string]bool) {
	used[path] = true
	switch value := value.(type) {
	case object:
		for name, inner := range value {
			fields(inner, strings.TrimPrefix(path+"."+name, "."), used)
		}
	case list:
		for _, inner := range value {
			fields(inner, path+"[]", used)
		}
	}
}

// defaulted are the fields of a kind that the server would fill in.
func defaulted(kind string) []string {
	var found []string
	walk(schemaOf(kind), "", func(path string, schema *apiextensionsv1.JSONSchemaProps) {
		if schema.Default != nil {
			found = append(found, path)
		}
	})
	return found
}
