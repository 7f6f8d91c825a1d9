package gitops

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/test/cluster"
	"github.com/hipaatenant/hipaa-tenant-operator/test/cluster/process"
)

const fluxNamespace = "flux-system"

var (
	kustomizationKind = schema.GroupVersionKind{Group: "kustomize.toolkit.fluxcd.io", Version: "v1", Kind: "Kustomization"}
	gitRepositoryKind = schema.GroupVersionKind{Group: "source.toolkit.fluxcd.io", Version: "v1", Kind: "GitRepository"}
)

// flux is a real kustomize-controller, as `flux install` runs it, and what stands for source-controller: a server of
// tarballs on loopback, and the status that says where they are.
type flux struct {
	admin   client.Client
	process *process.Process
	server  *artifacts
}

// startFlux installs the definitions of Flux and starts it. It ends with the container that called.
func startFlux(ctx context.Context, c *cluster.Cluster, admin client.Client, dir string) *flux {
	GinkgoHelper()
	installDefinitions(ctx, admin, "github.com/fluxcd/kustomize-controller", "kustomizations")
	installDefinitions(ctx, admin, "github.com/fluxcd/source-controller", "gitrepositories", "ocirepositories", "buckets", "externalartifacts")
	config, err := c.ServiceAccount(ctx, fluxNamespace, "kustomize-controller")
	Expect(err).NotTo(HaveOccurred())
	Expect(admin.Create(ctx, &rbacv1.ClusterRoleBinding{ // as flux install has it
		ObjectMeta: metav1.ObjectMeta{Name: "cluster-reconciler"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
		Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: fluxNamespace, Name: "kustomize-controller"}},
	})).To(Succeed())
	kubeconfig := filepath.Join(dir, "flux.kubeconfig")
	Expect(c.WriteKubeconfig(kubeconfig, config)).To(Succeed())
	metrics, probes := freeAddress(), freeAddress()
	f := &flux{admin: admin, server: serveArtifacts()}
	f.process, err = process.Start(process.Spec{
		Name: "kustomize-controller",
		Command: []string{
			repository("bin", "kustomize-controller"), "--watch-all-namespaces=true", "--log-level=info",
			// Flux waits this long before it looks at an unmet dependency again; 30s by default.
			"--requeue-dependency=2s", "--metrics-addr", metrics, "--health-addr", probes,
			// What this program writes is put back, as what kubectl writes is by default.
			"--override-manager=dashboard",
		},
		Env: append(os.Environ(), "KUBECONFIG="+kubeconfig, "RUNTIME_NAMESPACE="+fluxNamespace),
		Log: filepath.Join(dir, "flux.log"),
	})
	Expect(err).NotTo(HaveOccurred(), "make gitops builds it")
	DeferCleanup(func() {
		if CurrentSpecReport().Failed() {
			GinkgoWriter.Println(f.process.LogTail(8192))
		}
		Expect(f.process.Stop(10 * time.Second)).To(Succeed())
		Expect(f.server.Close()).To(Succeed())
	})
	Eventually(func() (int, error) {
		response, err := http.Get("http://" + probes + "/readyz")
		if err != nil {
			return 0, err
		}
		return response.StatusCode, response.Body.Close()
	}).Should(Equal(http.StatusOK))
	return f
}

func freeAddress() string {
	GinkgoHelper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	Expect(err).NotTo(HaveOccurred())
	defer l.Close()
	return l.Addr().String()
}

// installDefinitions applies CustomResourceDefinitions out of a module that test/crds pins.
func installDefinitions(ctx context.Context, admin client.Client, module string, plurals ...string) {
	GinkgoHelper()
	crds := repository("test", "crds")
	_, err := runs(ctx, "go", "-C", crds, "mod", "download", module)
	Expect(err).NotTo(HaveOccurred())
	dir, err := runs(ctx, "go", "-C", crds, "list", "-m", "-f", "{{.Dir}}", module)
	Expect(err).NotTo(HaveOccurred())
	for _, plural := range plurals {
		files, err := filepath.Glob(filepath.Join(strings.TrimSpace(dir), "config", "crd", "bases", "*_"+plural+".yaml"))
		Expect(err).NotTo(HaveOccurred())
		Expect(files).To(HaveLen(1))
		for _, o := range readFile(files[0]) {
			put(ctx, admin, o)
			Eventually(func() bool { return established(ctx, admin, o.GetName()) }).Should(BeTrue())
		}
	}
}

func established(ctx context.Context, c client.Client, name string) bool {
	crd := &apiextensionsv1.CustomResourceDefinition{}
	if err := c.Get(ctx, client.ObjectKey{Name: name}, crd); err != nil || crd.DeletionTimestamp != nil {
		return false
	}
	for _, condition := range crd.Status.Conditions {
		if condition.Type == apiextensionsv1.Established {
			return condition.Status == apiextensionsv1.ConditionTrue
		}
	}
	return false
}

// push has a GitRepository say that it holds these files now.
func (f *flux) push(ctx context.Context, repository string, files map[string][]byte) {
	GinkgoHelper()
	artifact := f.server.add(repository, files)
	source := &unstructured.Unstructured{}
	source.SetGroupVersionKind(gitRepositoryKind)
	Eventually(func() error {
		if err := f.admin.Get(ctx, client.ObjectKey{Namespace: fluxNamespace, Name: repository}, source); err != nil {
			return err
		}
		now := time.Now().UTC().Format(time.RFC3339)
		source.Object["status"] = map[string]any{
			"observedGeneration": source.GetGeneration(),
			"artifact": map[string]any{
				"url": artifact.url, "path": artifact.path, "digest": "sha256:" + artifact.sha256,
				"revision": "main@sha1:" + artifact.sha256[:40], "lastUpdateTime": now, "size": int64(artifact.size),
			},
			"conditions": []any{map[string]any{
				"type": "Ready", "status": "True", "reason": "Succeeded", "message": "stored artifact",
				"lastTransitionTime": now, "observedGeneration": source.GetGeneration(),
			}},
		}
		return f.admin.Status().Update(ctx, source)
	}).Should(Succeed())
}

// install applies the example files of config/gitops/flux, with shorter times.
func (f *flux) install(ctx context.Context, change func(*unstructured.Unstructured)) {
	GinkgoHelper()
	for _, file := range []string{"tenants.yaml", "operator.yaml"} { // the wrong way round: dependsOn sorts it out
		for _, o := range readFile(repository("config", "gitops", "flux", file)) {
			if o.GetKind() == kustomizationKind.Kind {
				for field, value := range map[string]string{"interval": interval.String(), "retryInterval": "2s", "timeout": timeout.String()} {
					Expect(unstructured.SetNestedField(o.Object, value, "spec", field)).To(Succeed())
				}
			}
			if change != nil {
				change(o)
			}
			put(ctx, f.admin, o)
		}
	}
}

// What tests shorten in the examples.
const (
	interval = 5 * time.Second
	timeout  = 20 * time.Second
)

func (f *flux) kustomization(ctx context.Context, name string) (*unstructured.Unstructured, error) {
	k := &unstructured.Unstructured{}
	k.SetGroupVersionKind(kustomizationKind)
	return k, f.admin.Get(ctx, client.ObjectKey{Namespace: fluxNamespace, Name: name}, k)
}

// says is the Ready condition of a Kustomization at its present generation: status, reason and message.
func (f *flux) says(ctx context.Context, name string) func() string {
	return func() string {
		k, err := f.kustomization(ctx, name)
		if err != nil {
			return err.Error()
		}
		observed, _, _ := unstructured.NestedInt64(k.Object, "status", "observedGeneration")
		conditions, _, _ := unstructured.NestedSlice(k.Object, "status", "conditions")
		for _, c := range conditions {
			if c := c.(map[string]any); c["type"] == "Ready" && (observed == k.GetGeneration() || c["status"] != "True") {
				return fmt.Sprintf("%s/%s: %s", c["status"], c["reason"], c["message"])
			}
		}
		return "nothing yet"
	}
}

// applied is the revision that a Kustomization has applied and found healthy last.
func (f *flux) applied(ctx context.Context, name string) func() string {
	return func() string {
		k, err := f.kustomization(ctx, name)
		if err != nil {
			return err.Error()
		}
		revision, _, _ := unstructured.NestedString(k.Object, "status", "lastAppliedRevision")
		return revision
	}
}

// awaitHealthy waits until a Kustomization is Ready at what was pushed last.
func (f *flux) awaitHealthy(ctx context.Context, name, source string) {
	GinkgoHelper()
	Eventually(func() string { return f.applied(ctx, name)() + " " + f.says(ctx, name)() }).WithTimeout(2 * time.Minute).
		Should(HavePrefix(f.server.revision(source) + " True/ReconciliationSucceeded"))
}
