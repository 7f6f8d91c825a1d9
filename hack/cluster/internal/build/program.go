// Package build builds the programs of the test control plane from their Go modules into one directory, and
// leaves alone what is there already.
package build

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/hipaatenant/hipaa-tenant-operator/test/cluster"
)

// Program is one thing to build.
type Program struct {
	// Name is the file name of the result.
	Name string
	// Module is the nested module that pins the version, as a path below the repository's root.
	Module string
	// Package is the import path of the program's main package.
	Package string
	// Source is the module whose version is the program's version.
	Source string
}

const (
	kubernetesModule = "hack/cluster/kubernetes"
	kubernetesSource = "k8s.io/kubernetes"
)

// Programs lists what the test control plane needs, quickest first, so that a broken setup shows early.
func Programs() []Program {
	return []Program{
		{cluster.Etcd, "hack/cluster/etcd", "go.etcd.io/etcd/server/v3", "go.etcd.io/etcd/server/v3"},
		kubernetes("kubectl"),
		kubernetes(cluster.Scheduler),
		kubernetes(cluster.APIServer),
		kubernetes(cluster.ControllerManager),
		{cluster.Kwok, "hack/tools/kwok", "sigs.k8s.io/kwok/cmd/kwok", "sigs.k8s.io/kwok"},
	}
}

// Kubelet is the program that only tests on a real node need.
func Kubelet() Program { return kubernetes("kubelet") }

func kubernetes(name string) Program {
	return Program{name, kubernetesModule, kubernetesSource + "/cmd/" + name, kubernetesSource}
}

// version reads the version of Source from the nested module's go.mod, the one place where it is spelled.
func (p Program) version(ctx context.Context, root string) (string, error) {
	dir := filepath.Join(root, p.Module)
	cmd := exec.CommandContext(ctx, "go", "mod", "edit", "-json")
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("read %s: %w: %s", filepath.Join(dir, "go.mod"), err, stderr.String())
	}
	var mod struct {
		Require []struct{ Path, Version string }
	}
	if err := json.Unmarshal(out, &mod); err != nil {
		return "", fmt.Errorf("read %s: %w", filepath.Join(dir, "go.mod"), err)
	}
	for _, r := range mod.Require {
		if r.Path == p.Source {
			return r.Version, nil
		}
	}
	return "", fmt.Errorf("expected %s to require %s, found no such line; add it with `go get -tool %s@VERSION` in that directory",
		filepath.Join(dir, "go.mod"), p.Source, p.Package)
}

// linkFlags strips debugging data, and gives Kubernetes the version that its release builds carry: clients
// parse the answer of /version, and fail on an empty one.
func (p Program) linkFlags(version string) (string, error) {
	const strip = "-s -w"
	if p.Source != kubernetesSource {
		return strip, nil
	}
	parts := strings.SplitN(strings.TrimPrefix(version, "v"), ".", 3)
	if len(parts) != 3 {
		return "", fmt.Errorf("expected the version of %s to look like v1.2.3, found %q; correct %s/go.mod", p.Source, version, p.Module)
	}
	flags := []string{strip}
	for _, v := range [][2]string{
		{"gitVersion", version}, {"gitMajor", parts[0]}, {"gitMinor", parts[1]},
		{"gitTreeState", "clean"}, {"buildDate", "2026-01-01T00:00:00Z"},
	} {
		flags = append(flags, fmt.Sprintf("-X k8s.io/component-base/version.%s=%s", v[0], v[1]))
	}
	return strings.Join(flags, " "), nil
}

// stamp says what a build of the program depends on. A result with another stamp is built again.
func (p Program) stamp(root, version string) (string, error) {
	flags, err := p.linkFlags(version)
	if err != nil {
		return "", err
	}
	hash := sha256.New()
	for _, name := range []string{"go.mod", "go.sum"} {
		text, err := os.ReadFile(filepath.Join(root, p.Module, name))
		if err != nil {
			return "", err
		}
		hash.Write(text)
	}
	return fmt.Sprintf("%s %s\n%s %s/%s\n%s\n%x\n", p.Source, version, runtime.Version(), runtime.GOOS, runtime.GOARCH, flags, hash.Sum(nil)), nil
}
