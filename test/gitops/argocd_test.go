package gitops

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/apply"
	"github.com/hipaatenant/hipaa-tenant-operator/test/bed"
	"github.com/hipaatenant/hipaa-tenant-operator/test/cluster"
	"github.com/hipaatenant/hipaa-tenant-operator/test/operator"
	"github.com/hipaatenant/hipaa-tenant-operator/test/report"
)

// Argo CD's packages apply, compare and judge; the command in test/argocd calls them. What is in Git must be in sync with
// what is live after the operator has done its part, or Argo CD would fight it for ever.
var _ = Describe("Argo CD", Ordered, func() {
	var w *bed.Bed
	manifests := map[string]string{} // file by mode

	BeforeAll(func(ctx SpecContext) {
		w = bed.Start(ctx, cluster.Options{ControllerManager: true, Scheduler: true, Kwok: true})
		for _, n := range cluster.RegionNodes() {
			Expect(w.Cluster.AddNode(ctx, n)).To(Succeed())
		}
		w.Operate(ctx, operator.Options{Binary: binary})
		w.AwaitTypeChecks(ctx)
		samples := files("config/samples", "00-profile.yaml", "10-associate-aws.yaml", "11-associate-clearinghouse.yaml", acmeFile, birchFile)
		manifests["client"] = writeManifests(w.Dir, "client.yaml", slices.Collect(maps.Values(samples))...)
		chart, err := runs(ctx, repository("bin", "helm"), "template", "cedar", "charts/hipaa-tenant", "-f", "charts/hipaa-tenant/ci/acme.yaml",
			"--set", "tenant.name=cedar-health", "--set", "tenant.confirmPrune=true", "--set-json", `namespaces=[{"name":"cedar-health"}]`,
			"--set", "encryption.keyURI=local://cedar-health")
		Expect(err).NotTo(HaveOccurred())
		associate := bytes.ReplaceAll(samples["11-associate-clearinghouse.yaml"], []byte("name: clearinghouse"), []byte("name: courier"))
		manifests["server"] = writeManifests(w.Dir, "server.yaml", []byte(chart), associate)
	}, NodeTimeout(3*time.Minute))
	AfterEach(func() { w.KeepOnFailure() })

	engine := func(ctx context.Context, mode, command, file string) []verdict {
		GinkgoHelper()
		args := []string{"-kubeconfig", w.Cluster.Kubeconfig(), "-settings", settings(ctx, w)}
		if mode == "server" {
			args = append(args, "-server-side")
		}
		out, err := runs(ctx, repository("bin", "argocd-engine"), append(args, command, file)...)
		Expect(err).NotTo(HaveOccurred())
		return verdicts(out)
	}
	tenants := map[string][]string{"client": {acme, birch}, "server": {"cedar-health"}}

	for _, mode := range []string{"client", "server"} {
		It("finds nothing to do once the operator has reconciled, applying on the side of the "+mode, func(ctx SpecContext) {
			engine(ctx, mode, "apply", manifests[mode])
			for _, tenant := range tenants[mode] {
				w.AwaitReady(ctx, tenant)
			}
			different, unhealthy, objects := 0, 0, 0
			for _, comparison := range []string{"client", "server"} {
				Eventually(func() []verdict { return engine(ctx, comparison, "compare", manifests[mode]) }).
					Should(HaveEach(HaveField("Health", "Healthy")))
				for _, v := range engine(ctx, comparison, "compare", manifests[mode]) {
					objects++
					if !v.Synced {
						different++
						AddReportEntry(v.Kind+" "+v.Name, v.Diff)
					}
					if v.Health != "Healthy" {
						unhealthy++
					}
				}
			}
			report.Line("argo: applied=%s-side comparisons=%d different=%d unhealthy=%d", mode, objects, different, unhealthy)
			Expect(different).To(BeZero())
			Expect(unhealthy).To(BeZero())
		})

		It("changes nothing when it applies once more on the side of the "+mode, func(ctx SpecContext) {
			before := map[string]int64{}
			for _, tenant := range tenants[mode] {
				before[tenant] = w.Tenant(ctx, tenant).Generation
			}
			engine(ctx, mode, "apply", manifests[mode])
			for _, tenant := range tenants[mode] {
				Expect(w.Tenant(ctx, tenant).Generation).To(Equal(before[tenant]))
			}
		})
	}

	It("sees that somebody edits a tenant", func(ctx SpecContext) {
		w.Change(ctx, birch, func(t *v1alpha1.HIPAATenant) { t.Spec.SessionTimeout = "5m" })
		for _, comparison := range []string{"client", "server"} {
			Expect(engine(ctx, comparison, "compare", manifests["client"])).To(ContainElement(And(HaveField("Name", birch), HaveField("Synced", false))))
		}
		engine(ctx, "client", "apply", manifests["client"])
		w.AwaitReady(ctx, birch)
		Expect(engine(ctx, "client", "compare", manifests["client"])).To(HaveEach(HaveField("Synced", true)))
	})

	It("does not take what the operator made for its own", func(ctx SpecContext) {
		children, claimed := 0, 0
		for _, tenant := range slices.Concat(tenants["client"], tenants["server"]) {
			for _, ref := range w.Tenant(ctx, tenant).Status.Inventory {
				o := child(ctx, w.Admin, ref)
				children++
				for key := range o.GetAnnotations() {
					if strings.HasPrefix(key, "argocd.argoproj.io/") || strings.HasPrefix(key, "kubectl.kubernetes.io/last-applied") {
						claimed++
					}
				}
				if _, labelled := o.GetLabels()["app.kubernetes.io/instance"]; labelled {
					claimed++
				}
			}
		}
		report.Line("argo: children=%d claimed=%d", children, claimed)
		Expect(children).To(BeNumerically(">", 30))
		Expect(claimed).To(BeZero())
	})
})

// verdict of the command in test/argocd.
type verdict struct {
	Kind, Name, Diff, Health, Message string
	Synced                            bool
}

func verdicts(out string) []verdict {
	GinkgoHelper()
	var all []verdict
	for line := range strings.Lines(out) {
		v := verdict{}
		Expect(json.Unmarshal([]byte(line), &v)).To(Succeed())
		all = append(all, v)
	}
	return all
}

// settings renders argocd-cm as the component of config/gitops/argocd has it.
func settings(ctx context.Context, w *bed.Bed) string {
	GinkgoHelper()
	rendered := filepath.Join(w.Dir, "argocd-cm.yaml")
	if _, err := os.Stat(rendered); err == nil {
		return rendered
	}
	dir := filepath.Join(w.Dir, "settings")
	Expect(os.MkdirAll(dir, 0o700)).To(Succeed())
	component, err := filepath.Rel(dir, repository("config", "gitops", "argocd"))
	Expect(err).NotTo(HaveOccurred())
	Expect(os.WriteFile(filepath.Join(dir, "kustomization.yaml"), []byte("resources: [cm.yaml]\ncomponents: ["+component+"]\n"), 0o600)).To(Succeed())
	Expect(os.WriteFile(filepath.Join(dir, "cm.yaml"), []byte("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: argocd-cm, namespace: argocd}\n"), 0o600)).To(Succeed())
	text, err := runs(ctx, w.Cluster.Kubectl(), "kustomize", dir)
	Expect(err).NotTo(HaveOccurred())
	Expect(os.WriteFile(rendered, []byte(text), 0o600)).To(Succeed())
	return rendered
}

func writeManifests(dir, name string, documents ...[]byte) string {
	GinkgoHelper()
	path := filepath.Join(dir, name)
	Expect(os.WriteFile(path, bytes.Join(documents, []byte("\n---\n")), 0o600)).To(Succeed())
	return path
}

// child reads an object of an inventory.
func child(ctx context.Context, c client.Client, ref v1alpha1.ObjectRef) client.Object {
	GinkgoHelper()
	for _, o := range apply.Kinds() {
		o.SetName(ref.Name)
		o.SetNamespace(ref.Namespace)
		if apply.RefOf(o) == ref {
			Expect(c.Get(ctx, client.ObjectKeyFromObject(o), o)).To(Succeed())
			return o
		}
	}
	Fail("no kind for " + ref.Kind)
	return nil
}
