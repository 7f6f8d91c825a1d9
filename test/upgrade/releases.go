package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"sigs.k8s.io/yaml"

	"github.com/hipaatenant/hipaa-tenant-operator/hack/artifact"
	"github.com/hipaatenant/hipaa-tenant-operator/test/operator"
)

// release is a version of the operator with its chart.
type release struct {
	version, chart, binary string
}

// previousRelease builds chart and operator of a commit in a directory.
func previousRelease(ctx context.Context, root, commit, dir string) (release, error) {
	source := filepath.Join(dir, "previous")
	if err := artifact.Checkout(ctx, root, commit, source); err != nil {
		return release{}, err
	}
	binary := filepath.Join(dir, "previous-manager")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-tags=grpcnotrace", "-o", binary, "./cmd/manager")
	build.Dir, build.Env = source, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return release{}, fmt.Errorf("building the operator of %s: %w\n%s", commit, err, out)
	}
	return describe(source, binary)
}

// presentRelease is what stands in the repository.
func presentRelease(ctx context.Context, root, dir string) (release, error) {
	binary, err := operator.Build(ctx, dir)
	if err != nil {
		return release{}, err
	}
	return describe(root, binary)
}

// describe finds the chart of a source tree, and its version.
func describe(source, binary string) (release, error) {
	r := release{binary: binary, chart: filepath.Join(source, "charts", "hipaa-tenant-operator")}
	text, err := os.ReadFile(filepath.Join(r.chart, "Chart.yaml"))
	if err != nil {
		return release{}, err
	}
	var chart struct{ AppVersion string }
	if err := yaml.Unmarshal(text, &chart); err != nil {
		return release{}, err
	}
	r.version = chart.AppVersion
	return r, nil
}
