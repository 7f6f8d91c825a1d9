package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/admission"
)

// run is what a person sees of a command: its standard output, or the error.
func run(args ...string) (string, error) {
	var out bytes.Buffer
	c := root()
	c.SetOut(&out)
	c.SetErr(&out)
	c.SetArgs(args)
	err := c.Execute()
	return out.String(), err
}

func TestPoliciesPrintsWhatTheOperatorApplies(t *testing.T) {
	const identity = "system:serviceaccount:compliance:operator"
	shipped, err := admission.Load(identity)
	if err != nil {
		t.Fatal(err)
	}
	guard, err := admission.Guard(identity, "argocd")
	if err != nil {
		t.Fatal(err)
	}
	var validating, mutating []admission.Object
	for _, o := range admission.Static(shipped) {
		if admission.Validating(o) {
			validating = append(validating, o)
		} else {
			mutating = append(mutating, o)
		}
	}
	for name, test := range map[string]struct {
		args []string
		want []admission.Object
	}{
		"as in the API":      {nil, shipped},
		"static, guard":      {[]string{"--static", "guard", "--owner", "argocd"}, guard},
		"static, validating": {[]string{"--static=validating"}, validating},
		"static, mutating":   {[]string{"--static=mutating"}, mutating},
	} {
		t.Run(name, func(t *testing.T) {
			text, err := run(append([]string{"policies", "--operator", identity}, test.args...)...)
			if err != nil {
				t.Fatal(err)
			}
			printed, err := admission.Decode([]byte(text))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, printed); diff != "" {
				t.Error(diff)
			}
			if strings.Contains(text, "status:") || strings.Contains(text, "creationTimestamp") {
				t.Error("printed what only a server writes")
			}
		})
	}
}

func TestPoliciesRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"an unknown form":              {[]string{"--static", "all"}, `found "all"`},
		"an owner that counts nowhere": {[]string{"--owner", "argocd"}, "--static guard"},
		"an operator nobody can be":    {[]string{"--operator", "a'b"}, "found \"a'b\""},
		"an owner nobody can be":       {[]string{"--static", "guard", "--owner", ""}, `found ""`},
		"arguments":                    {[]string{"acme"}, `unknown command "acme"`},
	} {
		t.Run(name, func(t *testing.T) {
			text, err := run(append([]string{"policies"}, test.args...)...)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("want an error with %q, got %v", test.want, err)
			}
			if text != "" {
				t.Errorf("printed %q all the same", text)
			}
		})
	}
}

func TestCompletionOffersTheForms(t *testing.T) {
	text, err := run("__complete", "policies", "--static", "")
	if err != nil || !strings.HasPrefix(text, "guard\nvalidating\nmutating\n") {
		t.Errorf("got %q, %v", text, err)
	}
}
