package build

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hipaatenant/hipaa-tenant-operator/test/cluster"
)

func TestProgramsOfThisRepositoryHaveVersions(t *testing.T) {
	root, err := cluster.RepositoryRoot()
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		cluster.Etcd: "v3.6.", cluster.Kwok: "v0.8.", cluster.APIServer: "v1.37.", cluster.ControllerManager: "v1.37.",
		cluster.Scheduler: "v1.37.", "kubectl": "v1.37.", "kubelet": "v1.37.",
	}
	programs := append(Programs(), Kubelet())
	if len(programs) != len(want) {
		t.Errorf("expected %d programs, found %d", len(want), len(programs))
	}
	for _, p := range programs {
		version, err := p.version(t.Context(), root)
		if err != nil {
			t.Error(err)
			continue
		}
		if want[p.Name] == "" || !strings.HasPrefix(version, want[p.Name]) {
			t.Errorf("%s: expected a version %s*, found %s", p.Name, want[p.Name], version)
		}
	}
}

func TestVersionFails(t *testing.T) {
	root := t.TempDir()
	p := Program{Name: "x", Module: "m", Package: "example.com/source/cmd/x", Source: "example.com/source"}
	if _, err := p.version(t.Context(), root); err == nil {
		t.Error("expected an error without the module's directory, found none")
	}
	if err := os.Mkdir(filepath.Join(root, "m"), 0o700); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"module example.com/m\n": "expected " + filepath.Join(root, "m", "go.mod") + " to require example.com/source",
		"what\n":                 "unknown directive",
	} {
		if err := os.WriteFile(filepath.Join(root, "m", "go.mod"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := p.version(t.Context(), root); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("go.mod %q: expected an error with %q, found %v", text, want, err)
		}
	}
}

func TestLinkFlags(t *testing.T) {
	const v = " -X k8s.io/component-base/version."
	for _, tc := range []struct {
		name, version, want string
		program             Program
	}{
		{"other program", "v3.6.16", "-s -w", Program{Source: "go.etcd.io/etcd/server/v3"}},
		{"kubernetes", "v1.37.1", "-s -w" + v + "gitVersion=v1.37.1" + v + "gitMajor=1" + v + "gitMinor=37" +
			v + "gitTreeState=clean" + v + "buildDate=2026-01-01T00:00:00Z", kubernetes("kubectl")},
		{"kubernetes before its release", "v1.38.0-rc.0", "-s -w" + v + "gitVersion=v1.38.0-rc.0" + v + "gitMajor=1" + v + "gitMinor=38" +
			v + "gitTreeState=clean" + v + "buildDate=2026-01-01T00:00:00Z", kubernetes("kubectl")},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := tc.program.linkFlags(tc.version)
			if err != nil {
				t.Fatal(err)
			}
			if got != tc.want {
				t.Errorf("expected %s\nfound %s", tc.want, got)
			}
		})
	}
	if _, err := kubernetes("kubectl").linkFlags("main"); err == nil {
		t.Error("expected a version without numbers to be refused, found no error")
	}
}
