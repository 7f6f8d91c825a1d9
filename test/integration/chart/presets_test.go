package chart

import (
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// A preset and a customer's own file give the sample the preset was made of, and a preset alone gives nobody a tenant.
func TestPresetsGiveTheSamples(t *testing.T) {
	samples, err := filepath.Glob(repository(t, "config/samples/vendors/*"))
	must(t, err)
	tenants := 0
	for _, vendor := range samples {
		for _, sample := range directory(t, "config/samples/vendors/"+filepath.Base(vendor)) {
			if sample.GetKind() != "HIPAATenant" {
				continue
			}
			tenants++
			t.Run(sample.GetName(), func(t *testing.T) {
				preset := tenantChart + "/presets/" + sample.GetName() + ".yaml"
				var vendors map[string]any
				must(t, yaml.Unmarshal([]byte(read(t, preset)), &vendors))
				text, err := yaml.Marshal(without(sample.Object["spec"].(map[string]any), vendors))
				must(t, err)
				customer := t.TempDir() + "/customer.yaml"
				write(t, customer, string(text))
				got := render(t, tenantChart, "-f", preset, "-f", customer, "--set=tenant.name="+sample.GetName())[0]
				if at(t, got.Object, "spec") != at(t, sample.Object, "spec") {
					t.Errorf("the chart gave\n%s\nfor\n%s", at(t, got.Object, "spec"), at(t, sample.Object, "spec"))
				}
				for _, own := range []string{"coveredEntity", "securityOfficer", "keyURI", "ipAllowlist", "signatures"} {
					if !strings.Contains(string(text), own) {
						t.Errorf("the preset says %s, which is the customer's", own)
					}
				}
				_, err = helm(t, "template", "release", tenantChart, "-f", preset)
				if err == nil || !strings.Contains(err.Error(), "'coveredEntity'") {
					t.Errorf("expected a refusal of the preset alone that names coveredEntity, found %v", err)
				}
			})
		}
	}
	if tenants < 6 {
		t.Errorf("%d tenants among config/samples/vendors, expected at least 6", tenants)
	}
}

// without is what a has and b has not.
func without(a, b map[string]any) map[string]any {
	out := map[string]any{}
	for key, value := range a {
		below, ok := value.(map[string]any)
		other, too := b[key].(map[string]any)
		switch {
		case ok && too:
			if rest := without(below, other); len(rest) > 0 {
				out[key] = rest
			}
		case !reflect.DeepEqual(value, b[key]):
			out[key] = value
		}
	}
	return out
}
