package chart

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

func write(t testing.TB, path, text string) {
	t.Helper()
	must(t, os.WriteFile(path, []byte(text), 0o600))
}

// Every value is in the README's table with its default, and the table has no other. Where the default is long, the table
// says it in words.
func TestReadmeListsTheValues(t *testing.T) {
	inWords := []string{"networkPolicy.metricsFrom", "networkPolicy.dnsTo"}
	for _, chart := range []string{operatorChart, tenantChart} {
		var values map[string]any
		must(t, yaml.Unmarshal([]byte(read(t, chart+"/values.yaml")), &values))
		want := map[string]string{}
		leaves(t, values, "", want)
		got := table(t, read(t, chart+"/README.md"))
		for _, value := range inWords {
			if want[value] != "" && got[value] != "" {
				want[value] = got[value]
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s/README.md (-values.yaml +README.md):\n%s", chart, diff)
		}
	}
}

// leaves are the values without further names below them, by path.
func leaves(t *testing.T, values map[string]any, prefix string, out map[string]string) {
	t.Helper()
	for key, value := range values {
		if below, ok := value.(map[string]any); ok && len(below) > 0 {
			leaves(t, below, prefix+key+".", out)
			continue
		}
		text, err := json.Marshal(value)
		must(t, err)
		out[prefix+key] = "`" + string(text) + "`"
	}
}

// table are the first two columns of the rows whose first is code. The third says what the value means.
func table(t *testing.T, text string) map[string]string {
	t.Helper()
	out := map[string]string{}
	for line := range strings.Lines(text) {
		columns := strings.Split(strings.TrimSuffix(strings.TrimSpace(line), " |"), " | ")
		value, ok := strings.CutPrefix(columns[0], "| `")
		if !ok {
			continue
		}
		if len(columns) != 3 || columns[2] == "" {
			t.Errorf("expected value, default and meaning, found %q: say in values.yaml what it means", line)
			continue
		}
		out[strings.TrimSuffix(value, "`")] = columns[1]
	}
	return out
}

// What is shown to people who look for the chart is what it installs.
func TestArtifactHubAnnotations(t *testing.T) {
	var chart struct {
		AppVersion  string
		Annotations map[string]string
	}
	must(t, yaml.Unmarshal([]byte(read(t, operatorChart+"/Chart.yaml")), &chart))
	objects := render(t, operatorChart)

	var images []struct{ Image string }
	must(t, yaml.Unmarshal([]byte(chart.Annotations["artifacthub.io/images"]), &images))
	if image := podOf(t, objects).Containers[0].Image; len(images) != 1 || images[0].Image != image || !strings.HasSuffix(image, ":"+chart.AppVersion) {
		t.Errorf("annotated %v for appVersion %s, installed %s", images, chart.AppVersion, image)
	}

	var definitions []struct{ Kind, Version, Name string }
	must(t, yaml.Unmarshal([]byte(chart.Annotations["artifacthub.io/crds"]), &definitions))
	var want, got []string
	for _, d := range definitions {
		got = append(got, d.Kind+" "+d.Version+" "+d.Name)
	}
	for _, o := range objects {
		if o.GetKind() == "CustomResourceDefinition" {
			want = append(want, name(t, o, "spec", "names", "kind")+" v1alpha1 "+o.GetName())
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("definitions (-installed +annotated):\n%s", diff)
	}

	var examples []map[string]any
	must(t, yaml.Unmarshal([]byte(chart.Annotations["artifacthub.io/crdsExamples"]), &examples))
	samples := directory(t, "config/samples")
	kinds := map[string]bool{}
	for _, example := range examples {
		o := unstructured.Unstructured{Object: example}
		kinds[o.GetKind()] = true
		if diff := cmp.Diff(find(t, samples, o.GetKind(), o.GetName()).Object, plain(t, example)); diff != "" {
			t.Errorf("example %s %s (-config/samples +annotated):\n%s", o.GetKind(), o.GetName(), diff)
		}
	}
	if len(kinds) != len(definitions) {
		t.Errorf("examples of %d kinds, expected one of each of %d", len(kinds), len(definitions))
	}
}

// plain is a value as JSON has it, as objects of a cluster are.
func plain(t *testing.T, value map[string]any) map[string]any {
	t.Helper()
	text, err := json.Marshal(value)
	must(t, err)
	var o unstructured.Unstructured
	must(t, o.UnmarshalJSON(text))
	return o.Object
}

// People decide by these whether to take a chart, and whether to upgrade it.
func TestChartsSayWhatChanged(t *testing.T) {
	for _, name := range []string{operatorChart, tenantChart} {
		var chart struct{ Annotations map[string]string }
		must(t, yaml.Unmarshal([]byte(read(t, name+"/Chart.yaml")), &chart))
		for _, key := range []string{"category", "license", "prerelease", "links", "changes", "containsSecurityUpdates"} {
			if chart.Annotations["artifacthub.io/"+key] == "" {
				t.Errorf("%s: no annotation artifacthub.io/%s", name, key)
			}
		}
		var changes []struct{ Kind, Description string }
		must(t, yaml.UnmarshalStrict([]byte(chart.Annotations["artifacthub.io/changes"]), &changes))
		security := false
		for _, c := range changes {
			if !slices.Contains([]string{"added", "changed", "deprecated", "removed", "fixed", "security"}, c.Kind) || c.Description == "" {
				t.Errorf("%s: change %+v", name, c)
			}
			security = security || c.Kind == "security"
		}
		if said := chart.Annotations["artifacthub.io/containsSecurityUpdates"] == "true"; said != security {
			t.Errorf("%s: containsSecurityUpdates is %t, and changes of kind security are there: %t", name, said, security)
		}
	}
}

// PROJECT knows the kinds of the API.
func TestProjectListsTheKinds(t *testing.T) {
	var project struct {
		Repo      string
		Resources []struct{ Domain, Group, Kind, Path, Version string }
	}
	must(t, yaml.Unmarshal([]byte(read(t, "PROJECT")), &project))
	var got, want []string
	for _, r := range project.Resources {
		if r.Group != "" || r.Path != project.Repo+"/api/"+r.Version {
			t.Errorf("resource %+v", r)
		}
		got = append(got, r.Kind+"."+r.Domain)
	}
	for _, o := range directory(t, "config/crd") {
		want = append(want, name(t, o, "spec", "names", "kind")+"."+name(t, o, "spec", "group"))
	}
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("kinds (-config/crd +PROJECT):\n%s", diff)
	}
}

// name returns a field that is text.
func name(t *testing.T, o *unstructured.Unstructured, path ...string) string {
	t.Helper()
	text, _, err := unstructured.NestedString(o.Object, path...)
	must(t, err)
	return text
}
