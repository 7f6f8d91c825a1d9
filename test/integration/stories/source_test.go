package stories

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/hipaatenant/hipaa-tenant-operator/test/cluster"
)

var parsed sync.Map // package -> []string

// testsOf are the tests that the source of a package declares: Go tests by name, specs by their full text. A spec whose
// text is computed is not among them.
func testsOf(pkg string) []string {
	GinkgoHelper()
	if known, found := parsed.Load(pkg); found {
		return known.([]string)
	}
	root, err := cluster.RepositoryRoot()
	Expect(err).NotTo(HaveOccurred())
	files, err := filepath.Glob(filepath.Join(root, pkg, "*_test.go"))
	Expect(err).NotTo(HaveOccurred())
	var names []string
	for _, file := range files {
		tree, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		Expect(err).NotTo(HaveOccurred())
		names = append(names, testsIn(tree)...)
	}
	slices.Sort(names)
	parsed.Store(pkg, names)
	return names
}

func testsIn(tree *ast.File) []string {
	var names []string
	for _, d := range tree.Decls {
		f, isFunc := d.(*ast.FuncDecl)
		if isFunc && f.Recv == nil && strings.HasPrefix(f.Name.Name, "Test") && f.Name.Name != "TestMain" {
			names = append(names, f.Name.Name)
		}
	}
	return append(names, specsIn(tree, nil)...)
}

// specsIn are the specs below a node whose containers have these texts.
func specsIn(node ast.Node, texts []string) []string {
	var names []string
	ast.Inspect(node, func(n ast.Node) bool {
		call, isCall := n.(*ast.CallExpr)
		if !isCall || n == node {
			return true
		}
		function, isName := call.Fun.(*ast.Ident)
		text, known := literal(call)
		if !isName || !known {
			return true
		}
		switch full := append(slices.Clone(texts), text); function.Name {
		case "It", "Specify":
			names = append(names, strings.Join(full, " "))
		case "Describe", "Context", "When":
			names = append(names, specsIn(call, full)...)
			return false
		}
		return true
	})
	return names
}

// literal is the first argument of a call, when it is a string without anything computed.
func literal(call *ast.CallExpr) (string, bool) {
	if len(call.Args) == 0 {
		return "", false
	}
	l, isLiteral := call.Args[0].(*ast.BasicLit)
	if !isLiteral || l.Kind != token.STRING {
		return "", false
	}
	text, err := strconv.Unquote(l.Value)
	return text, err == nil
}
