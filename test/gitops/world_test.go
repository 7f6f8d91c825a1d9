package gitops

import (
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/local"
	"github.com/hipaatenant/hipaa-tenant-operator/pkg/keyset"
	"github.com/hipaatenant/hipaa-tenant-operator/pkg/keyset/localkeys"
	"github.com/hipaatenant/hipaa-tenant-operator/test/bed"
	"github.com/hipaatenant/hipaa-tenant-operator/test/cluster"
	"github.com/hipaatenant/hipaa-tenant-operator/test/operator"
)

// Repositories of the story, by the names that config/gitops/flux gives them.
const (
	operatorSource = "hipaa-tenant-operator"
	tenantSource   = "flux-system"
)

// The tenants of the samples, and what they have.
const (
	acme, birch = "acme-health", "birch-clinic"
)

var namespaces = map[string][]string{acme: {"acme-health-app", "acme-health-data"}, birch: {birch}}

// world is a control plane without the operator, and Flux on it.
type world struct {
	*bed.Bed
	*flux
	platform, tenants map[string][]byte // what the tenants' repository holds
	kept              map[string]string // what must never go
}

func newWorld(ctx context.Context) *world {
	GinkgoHelper()
	c, err := cluster.Start(ctx, cluster.Options{ControllerManager: true, Scheduler: true, Kwok: true})
	Expect(err).NotTo(HaveOccurred())
	w := &world{Bed: &bed.Bed{Cluster: c, Dir: GinkgoT().TempDir()}, kept: map[string]string{}}
	DeferCleanup(func() {
		w.KeepOnFailure()
		w.stopOperator()
		Expect(c.Stop()).To(Succeed())
	})
	w.Admin, err = operator.NewClient(c.Config())
	Expect(err).NotTo(HaveOccurred())
	for _, n := range cluster.RegionNodes() {
		Expect(c.AddNode(ctx, n)).To(Succeed())
	}
	w.flux = startFlux(ctx, c, w.Admin, w.Dir)
	w.platform = files("config/samples", "00-profile.yaml", "10-associate-aws.yaml", "11-associate-clearinghouse.yaml")
	w.tenants = files("config/samples", "20-tenant-acme-health.yaml", "21-tenant-birch-clinic.yaml")
	return w
}

// deliver applies the examples and pushes both repositories.
func (w *world) deliver(ctx context.Context) {
	GinkgoHelper()
	source := readFile(repository("config", "gitops", "flux", "operator.yaml"))[0].DeepCopy()
	source.SetName(tenantSource) // flux bootstrap makes it
	put(ctx, w.Admin, source)
	w.install(ctx, nil)
	w.push(ctx, operatorSource, tree("config", "crd", "manager", "rbac", "default"))
	w.pushTenants(ctx)
}

func (w *world) pushTenants(ctx context.Context) {
	GinkgoHelper()
	all := map[string][]byte{}
	for dir, files := range map[string]map[string][]byte{"platform": w.platform, "tenants": w.tenants} {
		all[dir+"/README.md"] = []byte(dir)
		for name, text := range files {
			all[dir+"/"+name] = text
		}
	}
	w.push(ctx, tenantSource, all)
}

// operate starts the operator, under the service account that Flux made.
func (w *world) operate(ctx context.Context) {
	GinkgoHelper()
	Eventually(func() error {
		return w.Admin.Get(ctx, client.ObjectKey{Namespace: v1alpha1.OperatorNamespace, Name: v1alpha1.OperatorName}, &corev1.ServiceAccount{})
	}).Should(Succeed())
	w.Operate(ctx, operator.Options{Binary: binary})
	w.AwaitTypeChecks(ctx)
}

func (w *world) stopOperator() {
	GinkgoHelper()
	if w.Running != nil && w.Running.Running() {
		Expect(w.Running.Kill()).To(Succeed())
	}
}

// store puts data into every namespace of the tenants and remembers it, with the namespaces, their keysets and the keys
// that wrap them.
func (w *world) store(ctx context.Context) {
	GinkgoHelper()
	for _, all := range namespaces {
		for _, ns := range all {
			Expect(w.Admin.Create(ctx, &corev1.ConfigMap{
				ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "ledger"}, Data: map[string]string{"claims": "17"},
			})).To(Succeed())
		}
	}
	w.kept = w.data(ctx)
	Expect(w.kept).To(HaveLen(3*3 + 2))
}

// data is what stands of namespaces, data, keysets and wrapping keys, by name: the UID, and a digest of what is in it.
func (w *world) data(ctx context.Context) map[string]string {
	GinkgoHelper()
	found := map[string]string{}
	note := func(o client.Object, content any) {
		name := fmt.Sprintf("%T %s/%s", o, o.GetNamespace(), o.GetName())
		if o.GetDeletionTimestamp() == nil {
			found[name] = fmt.Sprintf("%s %x", o.GetUID(), sha256.Sum256(fmt.Append(nil, content)))
		}
	}
	for tenant, all := range namespaces {
		kek := &corev1.Secret{}
		if w.have(ctx, client.ObjectKey{Namespace: v1alpha1.OperatorNamespace, Name: local.SecretPrefix + tenant}, kek) {
			note(kek, kek.Data)
		}
		for _, name := range all {
			ns, ledger, wrapped := &corev1.Namespace{}, &corev1.ConfigMap{}, &corev1.Secret{}
			if w.have(ctx, client.ObjectKey{Name: name}, ns) {
				note(ns, nil)
			}
			if w.have(ctx, client.ObjectKey{Namespace: name, Name: "ledger"}, ledger) {
				note(ledger, ledger.Data)
			}
			if w.have(ctx, client.ObjectKey{Namespace: name, Name: v1alpha1.SecretKeyset}, wrapped) {
				note(wrapped, dataKeys(ctx, wrapped, localkeys.Unwrapper{tenant: kek.Data["kek"]}))
			}
		}
	}
	return found
}

// dataKeys opens every data key of a keyset. A tenant that is made anew has them wrapped anew, because they are bound to its UID:
// what must stay is what they open with.
func dataKeys(ctx context.Context, s *corev1.Secret, kms keyset.Unwrapper) []string {
	GinkgoHelper()
	d, err := keyset.Parse(s.Data[v1alpha1.KeysetKey])
	Expect(err).NotTo(HaveOccurred())
	var keys []string
	for _, e := range d.Entries {
		key, err := d.Unwrap(ctx, kms, e.Name, e.Version)
		Expect(err).NotTo(HaveOccurred())
		keys = append(keys, fmt.Sprintf("%s %d %x", e.Name, e.Version, key))
	}
	return keys
}

func (w *world) have(ctx context.Context, key client.ObjectKey, o client.Object) bool {
	GinkgoHelper()
	err := w.Admin.Get(ctx, key, o)
	Expect(client.IgnoreNotFound(err)).To(Succeed())
	return err == nil
}

// lost counts the namespaces that went, and expects that nothing else did.
func (w *world) lost(ctx context.Context) int {
	GinkgoHelper()
	now, gone := w.data(ctx), 0
	for name := range w.kept {
		if _, stands := now[name]; !stands && strings.HasPrefix(name, "*v1.Namespace") {
			gone++
		}
	}
	Expect(now).To(Equal(w.kept))
	return gone
}

// gates of a tenant's namespaces.
func (w *world) gates(ctx context.Context, tenant string) func() map[string]v1alpha1.Gate {
	return func() map[string]v1alpha1.Gate {
		found := map[string]v1alpha1.Gate{}
		for _, name := range namespaces[tenant] {
			ns := &corev1.Namespace{}
			if w.have(ctx, client.ObjectKey{Name: name}, ns) {
				found[name] = v1alpha1.Gate(ns.Annotations[v1alpha1.AnnotationAdmission])
			}
		}
		return found
	}
}

func all(tenant string, gate v1alpha1.Gate) map[string]v1alpha1.Gate {
	want := map[string]v1alpha1.Gate{}
	for _, name := range namespaces[tenant] {
		want[name] = gate
	}
	return want
}

// gone says whether a tenant is not there any more.
func (w *world) gone(ctx context.Context, tenant string) func() bool {
	return func() bool {
		return apierrors.IsNotFound(w.Admin.Get(ctx, client.ObjectKey{Name: tenant}, &v1alpha1.HIPAATenant{}))
	}
}

// files of a directory of the repository, by name.
func files(dir string, names ...string) map[string][]byte {
	GinkgoHelper()
	found := map[string][]byte{}
	for _, name := range names {
		text, err := os.ReadFile(repository(dir, name))
		Expect(err).NotTo(HaveOccurred())
		found[name] = text
	}
	return found
}

// tree has all manifests of directories, by path.
func tree(parent string, dirs ...string) map[string][]byte {
	GinkgoHelper()
	found := map[string][]byte{}
	for _, dir := range dirs {
		paths, err := filepath.Glob(repository(parent, dir, "*.yaml"))
		Expect(err).NotTo(HaveOccurred())
		Expect(paths).NotTo(BeEmpty())
		for _, path := range paths {
			text, err := os.ReadFile(path)
			Expect(err).NotTo(HaveOccurred())
			found[strings.TrimPrefix(path, repository()+"/")] = text
		}
	}
	return found
}

// without is the files but one.
func without(files map[string][]byte, name string) map[string][]byte {
	GinkgoHelper()
	Expect(files).To(HaveKey(name))
	rest := maps.Clone(files)
	delete(rest, name)
	return rest
}

// edited is the files with a change of one.
func edited(files map[string][]byte, name, from, to string) map[string][]byte {
	GinkgoHelper()
	Expect(string(files[name])).To(ContainSubstring(from))
	changed := maps.Clone(files)
	changed[name] = []byte(strings.Replace(string(files[name]), from, to, 1))
	return changed
}
