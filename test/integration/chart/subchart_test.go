package chart

import (
	"os"
	"path/filepath"
	"testing"

	"sigs.k8s.io/yaml"
)

// A parent chart hands values down under the chart's name, and global to everybody. Both charts must take that, and give what
// they give alone.
func TestAsSubcharts(t *testing.T) {
	parent := t.TempDir()
	for _, chart := range []string{operatorChart, tenantChart} {
		must(t, os.CopyFS(filepath.Join(parent, "charts", filepath.Base(chart)), os.DirFS(repository(t, chart))))
	}
	write(t, parent+"/Chart.yaml", "{apiVersion: v2, name: parent, version: 1.0.0}")
	var acme map[string]any
	must(t, yaml.Unmarshal([]byte(read(t, acmeValues)), &acme))
	values, err := yaml.Marshal(map[string]any{
		"global":                map[string]any{"imageRegistry": "mirror.example", "deeper": map[string]any{"still": true}},
		"hipaa-tenant":          acme,
		"hipaa-tenant-operator": map[string]any{"replicas": 3},
	})
	must(t, err)
	write(t, parent+"/values.yaml", string(values))

	got := render(t, parent, "--namespace=elsewhere")
	alone := append(render(t, operatorChart, "--namespace=elsewhere"), render(t, tenantChart, "--namespace=elsewhere", "-f", acmeValues)...)
	if len(got) != len(alone) {
		t.Errorf("%d objects as subcharts, %d alone", len(got), len(alone))
	}
	if found := at(t, find(t, got, "Deployment", "hipaa-tenant-operator").Object, "spec.replicas"); found != "3" {
		t.Errorf("replicas are %s, expected 3 as the parent says", found)
	}
	if found := at(t, find(t, got, "HIPAATenant", "acme-health").Object, "spec.global"); found != "null" {
		t.Errorf("global reached the spec of the tenant: %s", found)
	}
}
