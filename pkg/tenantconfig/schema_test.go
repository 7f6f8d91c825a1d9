package tenantconfig_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/hipaatenant/hipaa-tenant-operator/pkg/tenantconfig"
)

// node is a schema as the file has it.
type node struct {
	ID          string           `json:"$id"`
	Draft       string           `json:"$schema"`
	Description string           `json:"description"`
	Ref         string           `json:"$ref"`
	Type        string           `json:"type"`
	Const       any              `json:"const"`
	Enum        []any            `json:"enum"`
	Required    []string         `json:"required"`
	Properties  map[string]*node `json:"properties"`
	Items       *node            `json:"items"`
	Defs        map[string]*node `json:"$defs"`
}

func published(t *testing.T) *node {
	t.Helper()
	raw, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	root := &node{}
	if err := json.Unmarshal(raw, root); err != nil {
		t.Fatal(err)
	}
	return root
}

// TestSchemaHasEveryField compares the schema with the Go types, both ways: names, types, and which fields are always there.
func TestSchemaHasEveryField(t *testing.T) {
	root := published(t)
	compare(t, root, root, reflect.TypeFor[tenantconfig.Config](), "")
	if root.ID != "https://hipaatenant.dev/schemas/config.v1.json" || root.Draft != "https://json-schema.org/draft/2020-12/schema" {
		t.Errorf("$id %q, $schema %q", root.ID, root.Draft)
	}
	if root.Properties["schema"].Const != tenantconfig.Schema {
		t.Errorf("the schema is of %v, the package reads %s", root.Properties["schema"].Const, tenantconfig.Schema)
	}
}

func compare(t *testing.T, root, n *node, typ reflect.Type, path string) {
	t.Helper()
	if n.Ref != "" {
		def, found := root.Defs[strings.TrimPrefix(n.Ref, "#/$defs/")]
		if !found {
			t.Fatalf("%s: no %s", path, n.Ref)
		}
		compare(t, root, def, typ, path)
		return
	}
	switch typ.Kind() {
	case reflect.Pointer:
		compare(t, root, n, typ.Elem(), path)
	case reflect.Slice:
		if n.Type != "array" || n.Items == nil {
			t.Fatalf("%s is %q in the schema and a list in Go", path, n.Type)
		}
		compare(t, root, n.Items, typ.Elem(), path+"[]")
	case reflect.Struct:
		compareFields(t, root, n, typ, path)
	case reflect.Int:
		if n.Type != "integer" {
			t.Errorf("%s is %q in the schema and a number in Go", path, n.Type)
		}
	case reflect.String:
		_, constant := n.Const.(string)
		if n.Type != "string" && !constant && len(n.Enum) == 0 {
			t.Errorf("%s is %q in the schema and a string in Go", path, n.Type)
		}
	default:
		t.Errorf("%s: nothing is known of Go's %s", path, typ)
	}
}

func compareFields(t *testing.T, root, n *node, typ reflect.Type, path string) {
	t.Helper()
	known := map[string]bool{}
	for field := range typ.Fields() {
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		known[name] = true
		property, found := n.Properties[name]
		if !found {
			t.Errorf("%s.%s is not in the schema", path, name)
			continue
		}
		if property.Description == "" {
			t.Errorf("%s.%s has no description", path, name)
		}
		if strings.HasSuffix(name, "Seconds") && !strings.HasPrefix(property.Description, "Seconds ") {
			t.Errorf("%s.%s: the description begins with its unit, found %q", path, name, property.Description)
		}
		if slices.Contains(n.Required, name) == (options == "omitempty") {
			t.Errorf("%s.%s: required in the schema %t, omitted when empty in Go %t", path, name, slices.Contains(n.Required, name), options == "omitempty")
		}
		compare(t, root, property, field.Type, path+"."+name)
	}
	for name := range n.Properties {
		if !known[name] {
			t.Errorf("%s.%s is in the schema and not in Go", path, name)
		}
	}
}

// An application that reads its config links nothing of this project's but that, and nothing of anybody else's.
func TestDependencies(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	if deps := strings.Fields(string(out)); len(deps) != 1 {
		t.Errorf("package tenantconfig needs %v; expected the standard library alone", deps)
	}
}
