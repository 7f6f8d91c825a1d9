package tenant

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/document"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/keyringtest"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/vault"
	"github.com/hipaatenant/hipaa-tenant-operator/test/bed"
	"github.com/hipaatenant/hipaa-tenant-operator/test/fixture"
	"github.com/hipaatenant/hipaa-tenant-operator/test/operator"
	"github.com/hipaatenant/hipaa-tenant-operator/test/report"
)

// kms is the real transit engine with a proxy in front that can be cut, and that can kill the operator at a request.
type kms struct {
	*proxy
	vault *keyringtest.Vault
	token string
	cut   atomic.Bool
}

func startKMS() *kms {
	GinkgoHelper()
	k := &kms{proxy: &proxy{}, vault: keyringtest.StartVault(GinkgoTB()), token: filepath.Join(world.Dir, "shred-token")}
	Expect(os.WriteFile(k.token, []byte(k.vault.Root), 0o600)).To(Succeed())
	target, err := url.Parse(k.vault.Address)
	Expect(err).NotTo(HaveOccurred())
	reverse := httputil.NewSingleHostReverseProxy(target)
	k.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if k.cut.Load() {
			panic(http.ErrAbortHandler)
		}
		if !strings.Contains(r.URL.Path, "/keys/") {
			reverse.ServeHTTP(w, r) // wrapping and opening changes nothing here
			return
		}
		k.serve(reverse, w, r)
	}))
	DeferCleanup(k.Close)
	return k
}

// run starts the operator anew, with this KMS.
func (k *kms) run(ctx SpecContext, o operator.Options) {
	GinkgoHelper()
	Expect(world.Running.Kill()).To(Succeed())
	o.Args = append(o.Args, "--vault-address", k.URL, "--vault-token-file", k.token)
	start(ctx, o)
}

// opens says whether the keyset of a namespace can be opened with the KMS, and if not, why.
func (k *kms) opens(ctx SpecContext, text []byte) error {
	GinkgoHelper()
	provider, err := vault.New(vault.Config{Address: k.vault.Address, TokenFile: k.token}, clock.RealClock{})
	Expect(err).NotTo(HaveOccurred())
	keyset, err := document.Parse(text)
	Expect(err).NotTo(HaveOccurred())
	for _, e := range keyset.Keys {
		ref, err := e.Ref()
		Expect(err).NotTo(HaveOccurred())
		var b keyring.Binding
		Expect(json.Unmarshal([]byte(e.Binding), &boundTo{&b})).To(Succeed())
		if _, err := provider.Unwrap(ctx, ref, e.Wrapped, b); err != nil {
			return err
		}
	}
	return nil
}

// boundTo reads a binding from its canonical form.
type boundTo struct{ *keyring.Binding }

// UnmarshalJSON takes the members as docs/keyset.md names them.
func (b *boundTo) UnmarshalJSON(text []byte) error {
	var m struct {
		Cluster, Key, Namespace, Secret, Tenant, TenantUID string
		Version                                            int64
	}
	err := json.Unmarshal(text, &m)
	*b.Binding = keyring.Binding{
		ClusterUID: m.Cluster, Key: m.Key, Namespace: m.Namespace, Secret: m.Secret, Tenant: m.Tenant, TenantUID: m.TenantUID, Version: m.Version,
	}
	return err
}

// own makes a tenant Ready that is to be shredded, with a transit key of its name, and returns its keyset.
func (k *kms) own(ctx SpecContext, name, query string) []byte {
	GinkgoHelper()
	k.vault.CreateKey(GinkgoTB(), "transit", name)
	return shreddable(ctx, name, "vault://transit/"+name+query)
}

func shreddable(ctx SpecContext, name, uri string) []byte {
	GinkgoHelper()
	create(ctx, fixture.Tenant(name, func(t *v1alpha1.HIPAATenant) {
		t.Spec.DeletionPolicy, t.Spec.Encryption.KeyURI = v1alpha1.DeletionShred, uri
	}))
	awaitReady(ctx, name)
	return keysetIn(ctx, name)
}

func keysetIn(ctx SpecContext, namespace string) []byte {
	GinkgoHelper()
	secret := &corev1.Secret{}
	Expect(admin.Get(ctx, client.ObjectKey{Namespace: namespace, Name: v1alpha1.SecretKeyset}, secret)).To(Succeed())
	return secret.Data[v1alpha1.KeysetKey]
}

// annotate sets an annotation of a tenant; "UID" stands for its UID.
func annotate(ctx SpecContext, name, key, value string) {
	GinkgoHelper()
	t := get(ctx, name)
	patch := `{"metadata":{"annotations":{"` + key + `":"` + strings.ReplaceAll(value, "UID", string(t.UID)) + `"}}}`
	Expect(admin.Patch(ctx, t, client.RawPatch("application/merge-patch+json", []byte(patch)))).To(Succeed())
}

// wake makes the operator look at a tenant again at once.
func wake(ctx SpecContext, name string) {
	GinkgoHelper()
	annotate(ctx, name, "example.com/woken", "at version "+get(ctx, name).ResourceVersion)
}

// shredOther is a tenant that nobody waits for.
func shredOther(name, uri string) *v1alpha1.HIPAATenant {
	return fixture.Tenant(name, func(t *v1alpha1.HIPAATenant) { t.Spec.Encryption.KeyURI = uri })
}

func remove(ctx SpecContext, name string) {
	GinkgoHelper()
	Expect(admin.Delete(ctx, get(ctx, name))).To(Succeed())
}

// waits is reason and message of Ready while a tenant is deleted.
func waits(ctx SpecContext, name string) func() string {
	return func() string {
		c := bed.Condition(get(ctx, name), v1alpha1.ConditionReady)
		return c.Reason + ": " + c.Message
	}
}

// stone is what a tombstone tells.
type stone struct {
	Outcome string
	Shred   struct {
		Keys []struct{ KeyURI, Outcome, Method, EffectiveAt, Promise string }
	}
}

// ends waits until a tenant is gone, and returns its tombstone.
func ends(ctx SpecContext, t *v1alpha1.HIPAATenant) stone {
	GinkgoHelper()
	Eventually(func() bool {
		return apierrors.IsNotFound(admin.Get(ctx, client.ObjectKeyFromObject(t), &v1alpha1.HIPAATenant{}))
	}, "40s").Should(BeTrue(), func() string { return bed.Describe(get(ctx, t.Name)) })
	m := &corev1.ConfigMap{}
	Expect(admin.Get(ctx, client.ObjectKey{Namespace: v1alpha1.OperatorNamespace, Name: "hipaa-tombstone-" + string(t.UID)}, m)).To(Succeed())
	Expect(m.Immutable).To(HaveValue(BeTrue()))
	var s stone
	Expect(json.Unmarshal([]byte(m.Data["tombstone.json"]), &s)).To(Succeed())
	return s
}

// noKeyset: the copy is gone, the namespace stays, quarantined.
func noKeyset(ctx SpecContext, name string) {
	GinkgoHelper()
	err := admin.Get(ctx, client.ObjectKey{Namespace: name, Name: v1alpha1.SecretKeyset}, &corev1.Secret{})
	Expect(apierrors.IsNotFound(err)).To(BeTrue(), "the keyset stands: %v", err)
	Expect(namespace(ctx, name).Annotations).To(HaveKeyWithValue(v1alpha1.AnnotationAdmission, string(v1alpha1.GateQuarantined)))
}

func shredCase(name, outcome string) { report.Line("keys: shred case=%s outcome=%s ok", name, outcome) }

// permit gives the operator the right to delete keys until the specs that need it are through.
func permit(ctx SpecContext) {
	GinkgoHelper()
	Expect(operator.ApplyDir(ctx, admin, "config/shred")).To(Succeed())
	DeferCleanup(func(ctx SpecContext) {
		meta := metav1.ObjectMeta{Name: v1alpha1.OperatorName + "-shred", Namespace: v1alpha1.OperatorNamespace}
		for _, o := range []client.Object{
			&rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: meta.Name}}, &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: meta.Name}},
			&rbacv1.RoleBinding{ObjectMeta: meta}, &rbacv1.Role{ObjectMeta: meta},
		} {
			Expect(admin.Delete(ctx, o)).To(Succeed())
		}
	})
}
