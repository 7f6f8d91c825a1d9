package chart

import (
	gocmp "cmp"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/test/cluster"
)

var monitored = []string{"--set=monitoring.serviceMonitor.enabled=true", "--set=monitoring.rules.enabled=true", "--set=monitoring.dashboard.enabled=true"}

// What the chart adds for Prometheus and Grafana is what the kustomize component adds, and each part comes by itself.
func TestMonitoringIsThatOfConfig(t *testing.T) {
	namespace := "--namespace=" + v1alpha1.OperatorNamespace
	without := bare(render(t, operatorChart, namespace))
	with := bare(render(t, operatorChart, append(monitored, namespace)...))
	for name := range without {
		delete(with, name)
	}
	dir := t.TempDir()
	relative, err := filepath.Rel(dir, repository(t, "config/monitoring"))
	must(t, err)
	write(t, filepath.Join(dir, "kustomization.yaml"), "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\ncomponents: ["+relative+"]\n")
	out, err := exec.CommandContext(t.Context(), filepath.Join(gocmp.Or(os.Getenv(cluster.AssetsVariable), repository(t, "bin/k8s")), "kubectl"), "kustomize", dir).Output()
	must(t, err)
	want := bare(decode(t, string(out)))
	for _, objects := range []map[string]any{with, want} {
		data, ok := objects["ConfigMap hipaa-tenant-operator-dashboard"].(map[string]any)["data"].(map[string]any)
		if !ok || len(data) != 1 {
			t.Fatalf("dashboard has %d entries", len(data))
		}
		text, ok := data["hipaa-tenants.json"].(string)
		if !ok || !strings.Contains(text, "{{controller}}") {
			t.Error("the legends of the dashboard are not Grafana's any more")
		}
		data["hipaa-tenants.json"] = strings.TrimSpace(text)
	}
	if diff := cmp.Diff(want, with); len(want) != 3 || diff != "" {
		t.Errorf("%d objects; the chart differs from config/monitoring; run make generate (-config +chart):\n%s", len(want), diff)
	}
	for _, one := range monitored {
		if n := len(render(t, operatorChart, one)); n != len(without)+1 {
			t.Errorf("%s: %d objects, want %d", one, n, len(without)+1)
		}
	}
}

// A release chooses its namespace, its labels and how often it is scraped, and is told when there is nothing to scrape.
func TestMonitoringFollowsTheRelease(t *testing.T) {
	args := append([]string{"--namespace=elsewhere", "--set=monitoring.serviceMonitor.interval=15s", "--set=monitoring.serviceMonitor.labels.release=prom",
		"--set=monitoring.rules.labels.release=prom", "--set=monitoring.dashboard.labels.folder=hipaa"}, monitored...)
	found := 0
	for _, o := range render(t, operatorChart, args...) {
		labels := o.GetLabels()
		switch o.GetKind() + " " + o.GetName() {
		case "ServiceMonitor hipaa-tenant-operator", "PrometheusRule hipaa-tenant-operator":
			if labels["release"] != "prom" || o.GetNamespace() != "elsewhere" || labels["app.kubernetes.io/name"] == "" {
				t.Errorf("%s: labels %v, namespace %s", o.GetKind(), labels, o.GetNamespace())
			}
			found++
		case "ConfigMap hipaa-tenant-operator-dashboard":
			if labels["folder"] != "hipaa" || labels["grafana_dashboard"] != "1" {
				t.Errorf("labels of the dashboard: %v", labels)
			}
			found++
		}
	}
	if found != 3 {
		t.Errorf("%d objects of monitoring", found)
	}
	if _, err := helm(t, "template", "release", operatorChart, monitored[0], "--set=metrics.enabled=false"); err == nil || !strings.Contains(err.Error(), "needs metrics.enabled") {
		t.Errorf("error %v", err)
	}
	if text, err := os.ReadFile(repository(t, operatorChart+"/files/hipaa-tenants.json")); err != nil || len(text) > 900<<10 {
		t.Errorf("the dashboard has %d bytes, error %v: a ConfigMap holds a megabyte", len(text), err)
	}
}
