package extensions

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	. "github.com/onsi/gomega"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/extension"
	"github.com/hipaatenant/hipaa-tenant-operator/test/cluster"
)

// files hold the definitions, by the module that publishes them.
var files = map[extension.Kind]struct{ module, file string }{
	extension.SecurityPolicy:      {"github.com/envoyproxy/gateway", "charts/gateway-helm/charts/crds/crds/generated/gateway.envoyproxy.io_securitypolicies.yaml"},
	extension.ClientTrafficPolicy: {"github.com/envoyproxy/gateway", "charts/gateway-helm/charts/crds/crds/generated/gateway.envoyproxy.io_clienttrafficpolicies.yaml"},
	extension.AuthorizationPolicy: {"istio.io/api", "kubernetes/customresourcedefinitions.gen.yaml"},
	extension.PeerAuthentication:  {"istio.io/api", "kubernetes/customresourcedefinitions.gen.yaml"},
	extension.CiliumNetworkPolicy: {"github.com/cilium/cilium", "pkg/k8s/apis/cilium.io/client/crds/v2/ciliumnetworkpolicies.yaml"},
	// The experimental channel, which alone knows domainNames.
	extension.ClusterNetworkPolicy: {"sigs.k8s.io/network-policy-api", "config/crd/experimental/policy.networking.k8s.io_clusternetworkpolicies.yaml"},
}

// modules returns the directories of the modules that test/crds pins. Once they are in the module cache no network is needed.
func modules(ctx context.Context) (map[string]string, error) {
	root, err := cluster.RepositoryRoot()
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(root, "test", "crds")
	var pins struct {
		Require []struct{ Path, Version string }
	}
	if err := goCommand(ctx, dir, func(d *json.Decoder) error { return d.Decode(&pins) }, "mod", "edit", "-json"); err != nil {
		return nil, err
	}
	args := []string{"mod", "download", "-json"}
	for _, r := range pins.Require {
		args = append(args, r.Path+"@"+r.Version)
	}
	dirs := map[string]string{}
	return dirs, goCommand(ctx, dir, func(d *json.Decoder) error {
		for {
			var m struct{ Path, Dir, Error string }
			switch err := d.Decode(&m); {
			case errors.Is(err, io.EOF):
				return nil
			case err != nil:
				return err
			case m.Error != "":
				return errors.New(m.Error)
			}
			dirs[m.Path] = m.Dir
		}
	}, args...)
}

func goCommand(ctx context.Context, dir string, read func(*json.Decoder) error, args ...string) error {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "GOFLAGS=-mod=mod", "GOWORK=off")
	var out, text bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &text
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("go %v in %s: %w: %s%s", args, dir, err, text.String(), out.String())
	}
	return read(json.NewDecoder(&out))
}

// definitionOf reads the definition of a kind out of a file of its module; the pinned one when none is named.
func definitionOf(k extension.Kind, file string) *apiextensionsv1.CustomResourceDefinition {
	if file == "" {
		file = files[k].file
	}
	f, err := os.Open(filepath.Join(published[files[k].module], file))
	Expect(err).NotTo(HaveOccurred())
	defer f.Close()
	for decoder := utilyaml.NewYAMLOrJSONDecoder(f, 4096); ; {
		crd := &apiextensionsv1.CustomResourceDefinition{}
		Expect(decoder.Decode(crd)).To(Succeed(), "looking for %s in %s", k.CRD(), file)
		if crd.Name == k.CRD() {
			return crd
		}
	}
}

// install installs the definitions of kinds, as the projects publish them.
func install(ctx context.Context, kinds ...extension.Kind) {
	for _, k := range kinds {
		Expect(admin.Create(ctx, definitionOf(k, ""))).To(Succeed())
	}
	for _, k := range kinds {
		Eventually(func() error {
			_, err := objects.Resource(resource(k)).List(ctx, listOptions)
			return err
		}).Should(Succeed())
	}
}

// uninstall deletes the definitions of kinds and waits until they, and all objects with them, are gone.
func uninstall(ctx context.Context, kinds ...extension.Kind) {
	for _, k := range kinds {
		crd := &apiextensionsv1.CustomResourceDefinition{}
		crd.Name = k.CRD()
		Expect(client.IgnoreNotFound(admin.Delete(ctx, crd))).To(Succeed())
		Expect(wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
			err := admin.Get(ctx, client.ObjectKeyFromObject(crd), crd)
			return err != nil, client.IgnoreNotFound(err)
		})).To(Succeed())
	}
}
