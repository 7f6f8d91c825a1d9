package tenantconfig_test

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	accore "k8s.io/client-go/applyconfigurations/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/compile"
	"github.com/hipaatenant/hipaa-tenant-operator/pkg/tenantconfig"
	"github.com/hipaatenant/hipaa-tenant-operator/test/fixture"
)

func contract(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/application-contract.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// block is the first code of a language behind a text of the page.
func block(t *testing.T, behind, language string) string {
	t.Helper()
	_, rest, found := strings.Cut(contract(t), behind)
	_, code, begun := strings.Cut(rest, "\n```"+language+"\n")
	code, _, ended := strings.Cut(code, "\n```\n")
	if !found || !begun || !ended {
		t.Fatalf("docs/application-contract.md has no %s behind %q", language, behind)
	}
	return code + "\n"
}

// compiled is ConfigMap hipaa-config of the tenant on the page.
func compiled(t *testing.T) map[string]string {
	t.Helper()
	tenant := fixture.Tenant("acme")
	if err := yaml.UnmarshalStrict([]byte(block(t, "This tenant:", "yaml")), &tenant.Spec); err != nil {
		t.Fatal(err)
	}
	plan := compile.Compile(tenant, compile.Facts{
		Profile: fixture.Profile("default"), Keysets: map[string]compile.Keyset{"acme": {Document: []byte("{}")}},
		AdmissionEnforced: true, OperatorNamespace: v1alpha1.OperatorNamespace, Now: time.Date(2026, time.November, 21, 12, 0, 0, 0, time.UTC),
	})
	for _, wave := range plan.Waves() {
		for _, object := range wave {
			if config, ok := object.(*accore.ConfigMapApplyConfiguration); ok {
				return config.Data
			}
		}
	}
	t.Fatalf("no config in the plan: %v", plan.Findings)
	return nil
}

// TestDocumentationShowsWhatIsDelivered: the tenant of the page has the document of the page.
func TestDocumentationShowsWhatIsDelivered(t *testing.T) {
	raw := compiled(t)["hipaa.json"]
	if diff := cmp.Diff(block(t, "under the key `hipaa.json`", "json"), raw); diff != "" {
		t.Errorf("hipaa.json (-page +operator):\n%s", diff)
	}
	if err := validates(t, schema(t), []byte(raw)); err != nil {
		t.Error(err)
	}
}

// TestDocumentationListsEveryVariable compares names both ways.
func TestDocumentationListsEveryVariable(t *testing.T) {
	data := compiled(t)
	delete(data, "hipaa.json")
	var listed []string
	for _, row := range regexp.MustCompile("(?m)^\\| `(HIPAA_[A-Z_]+)` \\|").FindAllStringSubmatch(contract(t), -1) {
		listed = append(listed, row[1])
	}
	slices.Sort(listed)
	if diff := cmp.Diff(listed, slices.Sorted(maps.Keys(data))); diff != "" {
		t.Errorf("variables (-page +operator):\n%s", diff)
	}
}

// TestDocumentationShowsTheSample: what the page says of a pod is what the example's manifest has.
func TestDocumentationShowsTheSample(t *testing.T) {
	manifest, err := os.ReadFile("../../config/samples/tenant-app/deployment.yaml")
	if err != nil {
		t.Fatal(err)
	}
	volume := block(t, "## As a file", "yaml")
	for line := range strings.Lines(volume) {
		if line = strings.TrimSpace(line); !strings.Contains(string(manifest), line) { // test/docs judges how they belong together
			t.Errorf("config/samples/tenant-app/deployment.yaml has no line %q", line)
		}
	}
	if want := "mountPath: " + filepath.Dir(tenantconfig.DefaultFile) + ","; !strings.Contains(volume, want) {
		t.Errorf("the page mounts elsewhere than %q", want)
	}
}

// TestDocumentationShowsThePackage: the page shows the very code that is compiled here.
func TestDocumentationShowsThePackage(t *testing.T) {
	source, err := os.ReadFile("example_test.go")
	if err != nil {
		t.Fatal(err)
	}
	_, body, _ := strings.Cut(string(source), "*tenantconfig.SessionTimer) error {\n")
	body, _, _ = strings.Cut(body, "\n}\n\nvar _ = example")
	want := strings.TrimPrefix(strings.ReplaceAll("\n"+body, "\n\t", "\n"), "\n") + "\n"
	if diff := cmp.Diff(want, block(t, "## In Go", "go")); diff != "" || body == "" {
		t.Errorf("docs/application-contract.md (-example_test.go +page):\n%s", diff)
	}
}

// TestDocumentedPython runs the reader of the page on the document of the page, and on bad ones.
func TestDocumentedPython(t *testing.T) {
	if out, err := exec.Command("python3", "--version").CombinedOutput(); err != nil {
		t.Skipf("this machine has no python3: %v %s", err, out) //nolint:forbidigo // the language is not a requirement of the project
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "hipaa.json")
	document := block(t, "under the key `hipaa.json`", "json")
	program := block(t, "## In Python", "python") + `
import sys
file = sys.argv[1]
good = open(file).read()
s = Settings(file)
assert s.channel_disabled("sms") and not s.channel_disabled("fax")
assert s.field_hidden("agent", "ssn") and not s.field_hidden("agent", "ticketId") and not s.field_hidden("nurse", "ssn")
assert s.idle(0) and not s.idle(100, 999.9) and s.idle(100, 1000) and s.idle(1000, 100)
for bad in ["", good[:50], good.replace("config/v1", "config/v2"), good.replace("900", "-900"), good.replace("user-input", "any"), "[]"]:
    open(file, "w").write(bad)
    s.refresh()
    assert not s.idle(100, 999.9) and s.channel_disabled("sms"), bad
open(file, "w").write(good.replace("900", "300").replace("sms", "fax"))
s.refresh()
assert s.idle(100, 400) and s.channel_disabled("fax") and not s.channel_disabled("sms")
open(file, "w").write("{")
try:
    Settings(file)
except RuntimeError:
    print("ok")
`
	for name, text := range map[string]string{"main.py": program, "hipaa.json": document} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out, err := exec.Command("python3", filepath.Join(dir, "main.py"), file).CombinedOutput()
	if err != nil || !strings.HasSuffix(string(out), "ok\n") || strings.Count(string(out), "the settings in use stay") != 7 {
		t.Errorf("%v\n%s", err, out)
	}
}
