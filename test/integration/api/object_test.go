package api_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// object is a manifest before the server has seen it. It may be wrong in ways a typed object cannot be.
type object = map[string]any

// list is a JSON array.
type list = []any

// change makes an object better or worse.
type change func(object)

// absent as a value removes the field.
type absent struct{}

// variant is the full object of a kind, and a form of it where two of its fields exclude each other.
type variant struct {
	name    string
	kind    string
	prepare change
}

var (
	tenant         = variant{name: "tenant", kind: "HIPAATenant"}
	passwordTenant = variant{name: "tenant with password", kind: "HIPAATenant", prepare: all(
		set("spec.authentication.sso", absent{}),
		set("spec.authentication.password", object{"minLength": 14, "maxAge": "2160h", "history": 12, "mfa": "Required"}),
	)}
	oidcTenant = variant{name: "tenant with OIDC", kind: "HIPAATenant", prepare: set("spec.authentication.sso",
		object{"protocol": "OIDC", "issuerURL": "https://idp.acme.example"})}
	profile   = variant{name: "profile", kind: "HIPAAProfile"}
	associate = variant{name: "associate", kind: "BusinessAssociate"}
	emergency = variant{name: "emergency", kind: "EmergencyAccess"}
)

// object reads the variant anew.
func (v variant) object() (object, error) {
	text, err := os.ReadFile(filepath.Join("testdata", strings.ToLower(v.kind)+".yaml"))
	if err != nil {
		return nil, err
	}
	full := object{}
	if err := yaml.UnmarshalStrict(text, &full); err != nil {
		return nil, err
	}
	if v.prepare != nil {
		v.prepare(full)
	}
	return full, nil
}

// all makes changes one after the other.
func all(changes ...change) change {
	return func(o object) {
		for _, c := range changes {
			c(o)
		}
	}
}

var pathSegment = regexp.MustCompile(`[^.\[\]]+`)

// set gives the field at path a value. The path is written as the server writes it, such as
// spec.roles[0].subjects[0].name; everything above the last part must exist.
func set(path string, value any) change {
	return func(o object) {
		segments := pathSegment.FindAllString(path, -1)
		var parent any = o
		for _, segment := range segments[:len(segments)-1] {
			parent = child(parent, segment, path)
		}
		last := segments[len(segments)-1]
		switch parent := parent.(type) {
		case object:
			if _, remove := value.(absent); remove {
				delete(parent, last)
				return
			}
			parent[last] = fresh(value)
		case list:
			parent[index(last, len(parent), path)] = fresh(value)
		}
	}
}

// fresh copies a value, so that what one row does to it does not reach the next.
func fresh(value any) any {
	switch value := value.(type) {
	case object:
		copied := object{}
		for name, inner := range value {
			copied[name] = fresh(inner)
		}
		return copied
	case list:
		copied := make(list, 0, len(value))
		for _, inner := range value {
			copied = append(copied, fresh(inner))
		}
		return copied
	default:
		return value
	}
}

func child(parent any, segment, path string) any {
	switch parent := parent.(type) {
	case object:
		if found, ok := parent[segment]; ok {
			return found
		}
	case list:
		return parent[index(segment, len(parent), path)]
	}
	panic(fmt.Sprintf("row for %s: expected the full object to have %q, found nothing; correct the path or testdata", path, segment))
}

func index(segment string, length int, path string) int {
	n, err := strconv.Atoi(segment)
	if err != nil || n >= length {
		panic(fmt.Sprintf("row for %s: expected an index below %d, found %q", path, length, segment))
	}
	return n
}

// sendable turns the manifest into what a client sends.
func sendable(o object) (*unstructured.Unstructured, error) {
	text, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	sent := &unstructured.Unstructured{}
	return sent, sent.UnmarshalJSON(text)
}

// text is a string of n letters.
func text(n int) string { return strings.Repeat("a", n) }

// times is a list of n values.
func times(n int, value func(i int) any) list {
	values := make(list, 0, n)
	for i := range n {
		values = append(values, value(i))
	}
	return values
}

// numbered makes distinct strings from a format with one number.
func numbered(format string) func(int) any {
	return func(i int) any { return fmt.Sprintf(format, i) }
}

// same makes equal values.
func same(value any) func(int) any { return func(int) any { return value } }

// named makes distinct objects: rest, with field made from a format with one number.
func named(field, format string, rest object) func(int) any {
	return func(i int) any {
		o := maps.Clone(rest)
		o[field] = fmt.Sprintf(format, i)
		return o
	}
}
