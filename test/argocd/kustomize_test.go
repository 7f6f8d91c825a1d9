package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// settingsFile is argocd-cm with the component of config/gitops/argocd, rendered by kubectl over one that has a setting already.
func settingsFile(t *testing.T) string {
	t.Helper()
	component, err := filepath.Abs("../../config/gitops/argocd")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	relative, err := filepath.Rel(dir, component)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"kustomization.yaml": "resources: [argocd-cm.yaml]\ncomponents: [" + relative + "]\n",
		"argocd-cm.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: argocd-cm, namespace: argocd, labels: {app.kubernetes.io/part-of: argocd}}\n" +
			"data: {resource.customizations.health.example.com_Kind: \"return {}\"}\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	rendered, err := exec.CommandContext(t.Context(), "../../bin/k8s/kubectl", "kustomize", dir).Output()
	if err != nil {
		t.Fatalf("kubectl kustomize: %v (make cluster-bin builds kubectl)", err)
	}
	out := filepath.Join(dir, "rendered.yaml")
	if err := os.WriteFile(out, rendered, 0o600); err != nil {
		t.Fatal(err)
	}
	return out
}
