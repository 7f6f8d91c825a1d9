package keyset_test

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const (
	module    = "github.com/hipaatenant/hipaa-tenant-operator/"
	providers = module + "internal/keyring/"
	below     = module + "pkg/keyset/"
)

// own lists what each package may need of this project's own, besides what document needs.
var own = map[string][]string{
	"awskeys":   {providers + "awskms", providers + "wire"},
	"azurekeys": {providers + "azurekeyvault", providers + "wire"},
	"gcpkeys":   {providers + "gcpkms", providers + "wire"},
	"kmsv2keys": {providers + "kmsv2", providers + "wire"},
	"localkeys": nil,
	"vaultkeys": {providers + "vault", providers + "wire"},
}

// An application links the client of its own KMS and no other; nor what an operator needs to talk to a cluster.
func TestDependencies(t *testing.T) {
	if deps := strangers(t, "."); len(deps) > 0 {
		t.Errorf("package keyset needs %v; expected the standard library alone", deps)
	}
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !e.IsDir() || e.Name() == "testdata" {
			continue
		}
		allowed, listed := own[e.Name()]
		if !listed {
			t.Errorf("package %s is not listed in this test", e.Name())
		}
		for _, dep := range strangers(t, "./"+e.Name()) {
			provider := strings.HasPrefix(dep, providers) && !slices.Contains(allowed, dep)
			if provider || heavy(dep, e.Name()) {
				t.Errorf("package %s needs %s", e.Name(), dep)
			}
		}
	}
}

// heavy are the clients of clusters and of each cloud, which only that cloud's package may need.
func heavy(dep, of string) bool {
	for prefix, only := range map[string]string{
		"k8s.io/client-go": "", "sigs.k8s.io/controller-runtime": "", "k8s.io/apiserver": "", "k8s.io/kms": "kmsv2keys",
		"github.com/aws/": "awskeys", "github.com/Azure/": "azurekeys", "cloud.google.com/": "gcpkeys",
	} {
		if strings.HasPrefix(dep, prefix) && of != only {
			return true
		}
	}
	return false
}

// strangers are the packages a package needs that are neither the standard library's nor part of the document.
func strangers(t *testing.T, path string) []string {
	t.Helper()
	out, err := exec.Command("go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", path).Output()
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(strings.Fields(string(out)), func(dep string) bool {
		return dep == providers+"document" || dep == strings.TrimSuffix(below, "/") || strings.HasPrefix(dep, below)
	})
}
