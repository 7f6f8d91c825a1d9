package chart

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// version of the project, which the Makefile names and binaries and packages carry.
func version(t testing.TB) string {
	t.Helper()
	found := regexp.MustCompile(`(?m)^VERSION \?= (\d+\.\d+\.\d+)$`).FindStringSubmatch(read(t, "Makefile"))
	if found == nil {
		t.Fatal("expected a line VERSION ?= with three numbers in the Makefile, found none")
	}
	return found[1]
}

// One version is released: whoever follows a document, installs a chart or applies config/default gets the same operator.
func TestOneVersion(t *testing.T) {
	want := version(t)
	for _, chart := range []string{operatorChart, tenantChart} {
		var c struct{ Version, AppVersion string }
		must(t, yaml.Unmarshal([]byte(read(t, chart+"/Chart.yaml")), &c))
		if c.Version != want || c.AppVersion != want {
			t.Errorf("%s is version %s with appVersion %s, expected %s as in the Makefile", chart, c.Version, c.AppVersion, want)
		}
	}
	// An image of the operator, a value that picks one, or the tag that a GitOps tool follows.
	named := regexp.MustCompile(`(?:hipaa-tenant-operator:|hipaa-tenant-operator-image_|image\.tag=|\bVERSION=|tag: v|targetRevision: v)(\d+\.\d+\.\d+)`)
	pages, err := filepath.Glob(repository(t, "docs/*.md"))
	must(t, err)
	root := repository(t, "") + "/"
	files := []string{"config/manager/deployment.yaml", operatorChart + "/Chart.yaml", "Dockerfile", "README.md",
		"config/gitops/flux/operator.yaml", "config/gitops/argocd/applications/operator.yaml"}
	for i, file := range append(files, pages...) {
		file = strings.TrimPrefix(file, root)
		found := named.FindAllStringSubmatch(read(t, file), -1)
		if len(found) == 0 && i < len(files) {
			t.Errorf("expected %s to name version %s, found none", file, want)
		}
		if i := slices.IndexFunc(found, func(m []string) bool { return m[1] != want }); i >= 0 {
			t.Errorf("%s says %s, expected version %s as in the Makefile", file, found[i][0], want)
		}
	}
}
