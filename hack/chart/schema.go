package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
)

// ownValues are the onboarding chart's values beside the spec.
var ownValues = map[string]any{
	"global": map[string]any{"type": "object", "description": "Shared with other charts by a parent chart. Not read."},
	"tenant": map[string]any{
		"type":                 "object",
		"description":          "The object around the spec.",
		"additionalProperties": false,
		"required":             []string{"name", "keep", "confirmPrune", "annotations"},
		"properties": map[string]any{
			"name": map[string]any{
				"type": "string", "maxLength": 40, "pattern": "^([a-z]([-a-z0-9]*[a-z0-9])?)?$",
				"description": "Name of the HIPAATenant. Empty means the release's name.",
			},
			"keep":         map[string]any{"type": "boolean", "description": "Leave the tenant when the release is uninstalled."},
			"confirmPrune": map[string]any{"type": "boolean", "description": "Let Argo CD ask before it prunes or deletes the tenant."},
			"annotations": map[string]any{
				"type": "object", "additionalProperties": map[string]any{"type": "string"},
				"description": "Further annotations of the HIPAATenant.",
			},
		},
	},
}

// tenantSchema is the schema of the onboarding chart's values: the spec of a HIPAATenant as its definition states it, at
// the top, and ownValues. Unknown names are refused at every level, which the API server would drop with a warning. Rules
// in CEL have no place in JSON schema; the API server checks them when the tenant is applied.
func tenantSchema(root string) ([]byte, error) {
	spec, err := tenantSpec(root)
	if err != nil {
		return nil, err
	}
	schema, err := convert(spec)
	if err != nil {
		return nil, err
	}
	schema["$schema"] = "http://json-schema.org/draft-07/schema#"
	schema["title"] = "Values of chart hipaa-tenant, generated from the definition of HIPAATenant by `make generate`"
	schema["required"] = append([]string{"tenant"}, spec.Required...)
	properties, ok := schema["properties"].(map[string]any)
	if !ok {
		return nil, errors.New("expected properties in the spec of HIPAATenant, found none")
	}
	for name, value := range ownValues {
		if properties[name] != nil {
			return nil, fmt.Errorf("spec.%s of HIPAATenant has the name of a value of the chart: the value must be renamed", name)
		}
		properties[name] = value
	}
	text, err := json.MarshalIndent(schema, "", "  ")
	return append(text, '\n'), err
}

// tenantSpec returns the schema of spec in the definition of HIPAATenant.
func tenantSpec(root string) (apiextensionsv1.JSONSchemaProps, error) {
	file := filepath.Join(root, "config", "crd", v1alpha1.Group+"_hipaatenants.yaml")
	objects, err := decode(file)
	if err != nil {
		return apiextensionsv1.JSONSchemaProps{}, err
	}
	for _, o := range objects {
		var crd apiextensionsv1.CustomResourceDefinition
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, &crd); err != nil {
			return apiextensionsv1.JSONSchemaProps{}, err
		}
		for _, v := range crd.Spec.Versions {
			if v.Storage && v.Schema != nil && v.Schema.OpenAPIV3Schema != nil {
				return v.Schema.OpenAPIV3Schema.Properties["spec"], nil
			}
		}
	}
	return apiextensionsv1.JSONSchemaProps{}, fmt.Errorf("expected a definition with a stored version in %s, found none", file)
}

// convert turns the schema of a definition into plain JSON schema. What a definition says in a way of its own is said in
// the standard's: a closed object, a set.
func convert(in apiextensionsv1.JSONSchemaProps) (map[string]any, error) {
	closed := len(in.Properties) > 0
	uniqueItems := in.XListType != nil && *in.XListType == "set"
	if in.Type == "" && !in.XIntOrString {
		return nil, errors.New("expected a type in every schema, found one without")
	}
	// Everything that reads the same in both; the rest has no meaning for Helm.
	kept := apiextensionsv1.JSONSchemaProps{
		Type: in.Type, Description: in.Description, Enum: in.Enum, Pattern: in.Pattern, UniqueItems: uniqueItems,
		MinLength: in.MinLength, MaxLength: in.MaxLength, Minimum: in.Minimum, Maximum: in.Maximum,
		MinItems: in.MinItems, MaxItems: in.MaxItems, MinProperties: in.MinProperties, MaxProperties: in.MaxProperties,
		Required: in.Required, AnyOf: in.AnyOf,
	}
	text, err := json.Marshal(kept)
	if err != nil {
		return nil, err
	}
	out := map[string]any{}
	if err := json.Unmarshal(text, &out); err != nil {
		return nil, err
	}
	if closed {
		out["additionalProperties"] = false
	}
	return out, children(in, out)
}

// children converts the schemas inside a schema.
func children(in apiextensionsv1.JSONSchemaProps, out map[string]any) error {
	properties := map[string]any{}
	for name, child := range in.Properties {
		converted, err := convert(child)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		properties[name] = converted
	}
	if len(properties) > 0 {
		out["properties"] = properties
	}
	if in.Items != nil && in.Items.Schema != nil {
		items, err := convert(*in.Items.Schema)
		if err != nil {
			return fmt.Errorf("items: %w", err)
		}
		out["items"] = items
	}
	if in.AdditionalProperties != nil && in.AdditionalProperties.Schema != nil {
		values, err := convert(*in.AdditionalProperties.Schema)
		if err != nil {
			return fmt.Errorf("additionalProperties: %w", err)
		}
		out["additionalProperties"] = values
	}
	return nil
}
