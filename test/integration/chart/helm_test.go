package chart

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"

	"github.com/hipaatenant/hipaa-tenant-operator/test/cluster"
)

// Paths in the repository.
const (
	operatorChart = "charts/hipaa-tenant-operator"
	tenantChart   = "charts/hipaa-tenant"
	acmeValues    = "charts/hipaa-tenant/ci/acme.yaml"
)

// repository returns the path of a file of the repository.
func repository(t testing.TB, path string) string {
	t.Helper()
	root, err := cluster.RepositoryRoot()
	must(t, err)
	return filepath.Join(root, path)
}

func read(t testing.TB, path string) string {
	t.Helper()
	text, err := os.ReadFile(repository(t, path))
	must(t, err)
	return string(text)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// helm runs the real helm in the root of the repository, with settings and caches of its own, and returns what it printed.
func helm(t testing.TB, args ...string) (string, error) {
	t.Helper()
	home := t.TempDir()
	cmd := exec.CommandContext(t.Context(), helmBinary(t), args...)
	cmd.Dir = repository(t, "")
	cmd.Env = append(os.Environ(), "HELM_CACHE_HOME="+home, "HELM_CONFIG_HOME="+home, "HELM_DATA_HOME="+home)
	var out, problem bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problem
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("helm %v: %w\n%s%s", args, err, problem.String(), out.String())
	}
	return out.String(), nil
}

// render returns the manifests of a chart, without a cluster.
func render(t testing.TB, chart string, args ...string) []*unstructured.Unstructured {
	t.Helper()
	out, err := helm(t, append([]string{"template", "release", chart}, args...)...)
	must(t, err)
	return decode(t, out)
}

func decode(t testing.TB, text string) []*unstructured.Unstructured {
	t.Helper()
	var objects []*unstructured.Unstructured
	for decoder := utilyaml.NewYAMLOrJSONDecoder(bytes.NewReader([]byte(text)), 4096); ; {
		o := &unstructured.Unstructured{}
		switch err := decoder.Decode(o); {
		case errors.Is(err, io.EOF):
			return objects
		case err != nil:
			t.Fatal(err)
		case len(o.Object) > 0:
			objects = append(objects, o)
		}
	}
}

var buildHelm sync.Once

// helmBinary returns bin/helm, built as `make bin/helm` does when it is missing or older than the module that pins it.
func helmBinary(t testing.TB) string {
	t.Helper()
	binary, module := repository(t, "bin/helm"), repository(t, "hack/tools/helm")
	buildHelm.Do(func() {
		if newer(t, binary, filepath.Join(module, "go.mod")) && newer(t, binary, filepath.Join(module, "go.sum")) {
			return
		}
		began := time.Now()
		fmt.Fprintln(os.Stderr, "building bin/helm: about 4 minutes on two cores the first time")
		cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", binary+".new", "tool")
		cmd.Dir, cmd.Env = module, append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("building bin/helm in hack/tools/helm: %v\n%s", err, out)
		}
		must(t, os.Rename(binary+".new", binary))
		fmt.Fprintf(os.Stderr, "built bin/helm in %s\n", time.Since(began).Round(time.Second))
	})
	return binary
}

// newer compares times of change, as make does.
func newer(t testing.TB, file, source string) bool {
	built, err := os.Stat(file)
	if errors.Is(err, os.ErrNotExist) {
		return false
	}
	must(t, err)
	origin, err := os.Stat(source)
	must(t, err)
	return !built.ModTime().Before(origin.ModTime())
}
