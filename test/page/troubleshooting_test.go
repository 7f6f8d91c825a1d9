package page

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// constants whose names begin with a prefix, in a file of the repository, by value.
func constants(t *testing.T, file, prefix string) map[string]bool {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), path(t, filepath.FromSlash(file)), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	ast.Inspect(parsed, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		for i, name := range spec.Names {
			literal, ok := spec.Values[i].(*ast.BasicLit)
			if !ok || !strings.HasPrefix(name.Name, prefix) {
				continue
			}
			value, err := strconv.Unquote(literal.Value)
			if err != nil {
				t.Fatal(err)
			}
			found[value] = true
		}
		return true
	})
	if len(found) < 20 {
		t.Fatalf("found %d constants %s* in %s", len(found), prefix, file)
	}
	return found
}

// TestEveryReasonAndCodeIsExplained: docs/troubleshooting.md has one section for each reason of a condition and each code of a
// finding, with what to do, and none for what is never said.
func TestEveryReasonAndCodeIsExplained(t *testing.T) {
	said := constants(t, "api/v1alpha1/conditions.go", "Reason")
	for code := range constants(t, "internal/compile/codes.go", "Code") {
		said[code] = true
	}
	text := Read(t, "docs/troubleshooting.md")
	headings := regexp.MustCompile(`(?m)^### (.*)$`).FindAllStringSubmatchIndex(text, -1)
	explained := map[string]bool{}
	for i, h := range headings {
		name, end := text[h[2]:h[3]], len(text)
		if i+1 < len(headings) {
			end = headings[i+1][0]
		}
		if explained[name] || !said[name] {
			t.Errorf("%s: explained twice, or no reason and no code", name)
		}
		explained[name] = true
		if body := text[h[1]:end]; !strings.Contains(body, "\nDo: ") {
			t.Errorf("%s: nothing is said to do", name)
		}
	}
	for name := range said {
		if !explained[name] {
			t.Errorf("%s has no section in docs/troubleshooting.md", name)
		}
	}
}
