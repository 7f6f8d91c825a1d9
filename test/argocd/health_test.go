package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/argoproj/argo-cd/gitops-engine/pkg/health"
	"github.com/argoproj/argo-cd/v3/pkg/apis/application/v1alpha1"
	"github.com/argoproj/argo-cd/v3/util/lua"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

const (
	customizations = "../../config/gitops/argocd/hipaatenant.dev"
	// update is the variable that has the tables of expected health written anew, to be read before they are committed.
	update = "HIPAA_UPDATE_TESTDATA"
)

// healthTests is health_test.yaml of a kind, in the format of Argo CD's own customizations.
type healthTests struct {
	Tests []healthTest `json:"tests"`
}

type healthTest struct {
	HealthStatus health.HealthStatus `json:"healthStatus"`
	InputPath    string              `json:"inputPath"`
}

// TestHealth runs every script on what the operator wrote, as Argo CD runs it: with its libraries closed.
func TestHealth(t *testing.T) {
	for _, kind := range []string{"HIPAATenant", "HIPAAProfile", "BusinessAssociate", "EmergencyAccess"} {
		dir := filepath.Join(customizations, kind)
		got := judgeAll(t, dir)
		want := healthTests{}
		if os.Getenv(update) != "" {
			writeYAML(t, filepath.Join(dir, "health_test.yaml"), got)
		}
		readYAML(t, filepath.Join(dir, "health_test.yaml"), &want)
		if len(want.Tests) == 0 || len(got.Tests) != len(want.Tests) {
			t.Errorf("%s: %d files in testdata, %d in health_test.yaml", kind, len(got.Tests), len(want.Tests))
		}
		for _, g := range got.Tests {
			state := strings.TrimSuffix(filepath.Base(g.InputPath), ".yaml")
			report("argo: health kind=%s state=%s health=%s message=%q", kind, state, g.HealthStatus.Status, g.HealthStatus.Message)
			i := slices.IndexFunc(want.Tests, func(w healthTest) bool { return w.InputPath == g.InputPath })
			if i < 0 || want.Tests[i] != g {
				t.Errorf("%s: %s is %+v, not as health_test.yaml says", kind, g.InputPath, g.HealthStatus)
			}
			// The name of a file says what Argo CD must make of it: a table written anew cannot change that.
			if prefix := strings.ToLower(string(g.HealthStatus.Status)) + "_"; !strings.HasPrefix(state, prefix) {
				t.Errorf("%s: %s is judged %s, want the state its name begins with", kind, g.InputPath, g.HealthStatus.Status)
			}
		}
	}
}

func judgeAll(t *testing.T, dir string) (all healthTests) {
	t.Helper()
	script, err := os.ReadFile(filepath.Join(dir, "health.lua"))
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "testdata", "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		o := &unstructured.Unstructured{}
		readYAML(t, file, &o.Object)
		verdict, err := lua.VM{}.ExecuteHealthLua(o, string(script))
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		all.Tests = append(all.Tests, healthTest{*verdict, filepath.Join("testdata", filepath.Base(file))})
	}
	return all
}

// TestSettings renders argocd-cm as the example does and has Argo CD read its own settings back.
func TestSettings(t *testing.T) {
	overrides, err := resourceOverrides(t.Context(), settingsFile(t))
	if err != nil {
		t.Fatal(err)
	}
	if overrides["example.com/Kind"].HealthLua == "" {
		t.Error("what argocd-cm had before is gone")
	}
	for _, kind := range []string{"HIPAATenant", "HIPAAProfile", "BusinessAssociate", "EmergencyAccess"} {
		script, err := os.ReadFile(filepath.Join(customizations, kind, "health.lua"))
		if err != nil {
			t.Fatal(err)
		}
		override := overrides["hipaatenant.dev/"+kind]
		if override.HealthLua != string(script) {
			t.Errorf("%s: Argo CD reads %q, want the script of the file", kind, override.HealthLua)
		}
		if override.UseOpenLibs {
			t.Errorf("%s: the script needs no libraries", kind)
		}
	}
}

// TestApplications reads the examples by Argo CD's types.
func TestApplications(t *testing.T) {
	files, err := filepath.Glob("../../config/gitops/argocd/applications/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d examples, %v", len(files), err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		app := &v1alpha1.Application{}
		if err := yaml.UnmarshalStrict(text, app); err != nil {
			t.Errorf("%s: %v", file, err)
		}
		if app.Kind != "Application" || app.Spec.Destination.Name == "" && app.Spec.Destination.Server == "" {
			t.Errorf("%s is a %s with destination %+v", file, app.Kind, app.Spec.Destination)
		}
	}
}

func readYAML(t *testing.T, file string, into any) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err == nil {
		err = yaml.Unmarshal(text, into)
	}
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

func writeYAML(t *testing.T, file string, value any) {
	t.Helper()
	text, err := yaml.Marshal(value)
	if err == nil {
		err = os.WriteFile(file, text, 0o644)
	}
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

// report appends a line to the file that `make gitops` prints, as package test/report of the operator does.
func report(format string, args ...any) {
	line := fmt.Sprintf(format, args...) + "\n"
	path := os.Getenv("HIPAA_TEST_LINES")
	if path == "" {
		fmt.Print(line)
		return
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err == nil {
		_, err = f.WriteString(line)
	}
	if err != nil {
		panic(err)
	}
	if err := f.Close(); err != nil {
		panic(err)
	}
}
