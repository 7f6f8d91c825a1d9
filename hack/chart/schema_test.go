package main

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"
)

func TestConvert(t *testing.T) {
	for _, row := range []struct{ name, in, want string }{
		{"text keeps its limits", `{type: string, minLength: 1, maxLength: 3, pattern: "^a"}`, `{type: string, minLength: 1, maxLength: 3, pattern: "^a"}`},
		{"number keeps its limits", `{type: integer, minimum: 1, maximum: 9, format: int32}`, `{type: integer, minimum: 1, maximum: 9}`},
		{"enum", `{type: string, enum: [a, b]}`, `{type: string, enum: [a, b]}`},
		{"description", `{type: boolean, description: what it is}`, `{type: boolean, description: what it is}`},
		{"a format Helm reads otherwise is left out", `{type: string, format: duration}`, `{type: string}`},
		{"rules in CEL are left out", `{type: string, x-kubernetes-validations: [{rule: "self != ''"}]}`, `{type: string}`},
		{
			"an object is closed, at every level",
			`{type: object, required: [a], properties: {a: {type: object, properties: {b: {type: string}}}}}`,
			`{type: object, required: [a], additionalProperties: false, properties: {a: {type: object, additionalProperties: false, properties: {b: {type: string}}}}}`,
		},
		{"a map is not", `{type: object, minProperties: 1, maxProperties: 2, additionalProperties: {type: string}}`, `{type: object, minProperties: 1, maxProperties: 2, additionalProperties: {type: string}}`},
		{"a list", `{type: array, minItems: 1, maxItems: 2, items: {type: string}, x-kubernetes-list-type: atomic}`, `{type: array, minItems: 1, maxItems: 2, items: {type: string}}`},
		{"a set has no equal items", `{type: array, items: {type: string}, x-kubernetes-list-type: set}`, `{type: array, uniqueItems: true, items: {type: string}}`},
		{"objects in a list are closed", `{type: array, items: {type: object, properties: {a: {type: string}}}}`, `{type: array, items: {type: object, additionalProperties: false, properties: {a: {type: string}}}}`},
		{"a quantity", `{anyOf: [{type: integer}, {type: string}], pattern: "^[0-9]", x-kubernetes-int-or-string: true}`, `{anyOf: [{type: integer}, {type: string}], pattern: "^[0-9]"}`},
	} {
		t.Run(row.name, func(t *testing.T) {
			got, err := convert(parse(t, row.in))
			if err != nil {
				t.Fatal(err)
			}
			var want map[string]any
			if err := yaml.Unmarshal([]byte(row.want), &want); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, plain(t, got)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A schema without a type takes anything: better no chart than one that checks less than it seems to.
func TestConvertRefusesWhatHasNoType(t *testing.T) {
	for _, row := range []struct{ in, path string }{
		{`{description: x}`, "expected a type"},
		{`{type: object, properties: {a: {description: x}}}`, "a: expected a type"},
		{`{type: array, items: {description: x}}`, "items: expected a type"},
		{`{type: object, additionalProperties: {description: x}}`, "additionalProperties: expected a type"},
	} {
		_, err := convert(parse(t, row.in))
		if err == nil || !strings.HasPrefix(err.Error(), row.path) {
			t.Errorf("%s: expected an error that begins with %q, found %v", row.in, row.path, err)
		}
	}
}

// Every field of the spec is a value of the same name, and beside them stand only the chart's own.
func TestTenantSchemaMirrorsTheSpec(t *testing.T) {
	spec, err := tenantSpec(repository)
	if err != nil {
		t.Fatal(err)
	}
	text, err := tenantSchema(repository)
	if err != nil {
		t.Fatal(err)
	}
	var schema struct {
		Properties           map[string]any
		Required             []string
		AdditionalProperties *bool
	}
	if err := json.Unmarshal(text, &schema); err != nil {
		t.Fatal(err)
	}
	want := slices.Sorted(slices.Values(slices.Concat(slices.Collect(maps.Keys(spec.Properties)), []string{"global", "tenant"})))
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(schema.Properties))); diff != "" {
		t.Errorf("values (-spec +schema): %s", diff)
	}
	if diff := cmp.Diff(append([]string{"tenant"}, spec.Required...), schema.Required); diff != "" {
		t.Errorf("required (-spec +schema): %s", diff)
	}
	if schema.AdditionalProperties == nil || *schema.AdditionalProperties {
		t.Error("unknown values are taken")
	}
}

// A field of the spec with the name of one of the chart's own values would be hidden by it.
func TestTenantSchemaRefusesHiddenFields(t *testing.T) {
	root := with(t, "config/crd", "")
	definition := `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: hipaatenants.hipaatenant.dev}
spec: {versions: [{name: v1alpha1, storage: true, schema: {openAPIV3Schema: {type: object, properties: {spec: SPEC}}}}]}
`
	for _, row := range []struct{ spec, words string }{
		{`{type: object, properties: {tenant: {type: string}}}`, "spec.tenant of HIPAATenant has the name of a value of the chart"},
		{`{type: object}`, "expected properties in the spec of HIPAATenant, found none"},
	} {
		crd := file{"config/crd/hipaatenant.dev_hipaatenants.yaml", []byte(strings.Replace(definition, "SPEC", row.spec, 1))}
		if err := write(root, []file{crd}); err != nil {
			t.Fatal(err)
		}
		if _, err := tenantSchema(root); err == nil || !strings.Contains(err.Error(), row.words) {
			t.Errorf("%s: expected %q, found %v", row.spec, row.words, err)
		}
	}
	if err := write(root, []file{{path: "config/crd/hipaatenant.dev_hipaatenants.yaml"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := tenantSchema(root); err == nil || !strings.Contains(err.Error(), "expected a definition with a stored version") {
		t.Errorf("without a definition: %v", err)
	}
}

func parse(t *testing.T, text string) apiextensionsv1.JSONSchemaProps {
	t.Helper()
	var out apiextensionsv1.JSONSchemaProps
	if err := yaml.UnmarshalStrict([]byte(text), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// plain is a value as JSON decodes it.
func plain(t *testing.T, value any) map[string]any {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	var out map[string]any
	if err := json.Unmarshal(text, &out); err != nil {
		t.Fatal(err)
	}
	return out
}
