package tenant

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/apply"
	"github.com/hipaatenant/hipaa-tenant-operator/test/fixture"
	"github.com/hipaatenant/hipaa-tenant-operator/test/operator"
)

// The operator is killed at every write of a creation: before the write reaches the API server, and after it was
// committed but before the answer came. Started again, it must end where an undisturbed run ends.
var _ = Describe("an operator killed at any write of a creation", Ordered, func() {
	var (
		front     *proxy
		writes    []string
		reference map[v1alpha1.ObjectRef]string
	)

	subject := func(name string) *v1alpha1.HIPAATenant {
		return fixture.Tenant(name, func(t *v1alpha1.HIPAATenant) {
			t.Spec.Roles = []v1alpha1.RoleGrant{{Role: "Auditor", Subjects: []v1alpha1.Subject{{Kind: "User", Name: "pat@acme.example"}}}}
			t.Spec.Encryption.KeyURI = "local://crash"
		})
	}

	BeforeAll(func(ctx SpecContext) {
		var err error
		front, err = newProxy(world.Cluster.Config())
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(front.Close)
		Expect(world.Running.Kill()).To(Succeed())
		start(ctx, operator.Options{Proxy: front.URL, ProxyCA: front.ca()})
		awaitLook(ctx)
		DeferCleanup(func(ctx SpecContext) {
			Expect(world.Running.Kill()).To(Succeed())
			startOperator(ctx)
		})
	})

	It("writes so many times when nothing disturbs it", func(ctx SpecContext) {
		create(ctx, subject("crash-warm")) // makes the software key, which later tenants share
		awaitReady(ctx, "crash-warm")
		front.killAt(0, before, nil)
		create(ctx, subject("crash-reference"))
		reference = normalized(ctx, "crash-reference")
		writes = ofCreation(front.count(), "crash-reference")
		AddReportEntry("writes of one creation", strings.Join(writes, "\n"))
		Expect(writes).To(HaveLen(len(reference)+4), "objects, finalizer, remembered inventory, opened gate, status:\n%s", strings.Join(writes, "\n"))
	})

	It("ends in the same state wherever it is killed", func(ctx SpecContext) {
		for n := 1; n <= len(writes); n++ {
			for i, when := range []moment{before, committed} {
				name := fmt.Sprintf("crash-%d-%d", n, i)
				By(fmt.Sprintf("killing at write %d of %d (%s), %s", n, len(writes), writes[n-1], when))
				dead := make(chan error, 1)
				victim := world.Running
				front.killAt(n, when, func() { dead <- victim.Kill() })
				create(ctx, subject(name))
				Eventually(dead).Should(Receive(Succeed()))
				front.killAt(0, before, nil)
				start(ctx, operator.Options{Proxy: front.URL, ProxyCA: front.ca()})
				Expect(normalized(ctx, name)).To(Equal(reference))
			}
		}
	})
})

// ofCreation keeps the writes of one tenant's creation: an operator that has just started still writes for others.
func ofCreation(writes []string, tenant string) []string {
	born := false
	return slices.DeleteFunc(writes, func(line string) bool {
		birth := line == "POST /api/v1/namespaces" && !born // the name is in the body
		born = born || birth
		return !birth && !strings.Contains(line, "/"+tenant)
	})
}

// normalized waits until a tenant is Ready and returns what stands of it as digests, with everything that names this
// one tenant written alike.
func normalized(ctx SpecContext, name string) map[v1alpha1.ObjectRef]string {
	GinkgoHelper()
	t := awaitReady(ctx, name)
	hash := namespace(ctx, name).Annotations[v1alpha1.AnnotationConfigHash]
	alike := strings.NewReplacer(name, "tenant", string(t.UID), "uid", hash, "hash")
	out := map[v1alpha1.ObjectRef]string{}
	inventory(ctx, t, func(ref v1alpha1.ObjectRef, o client.Object) {
		text, err := json.Marshal(o)
		Expect(err).NotTo(HaveOccurred())
		if _, secret := o.(*corev1.Secret); secret {
			text = []byte("{}") // no two keysets are alike
		}
		same, ok := reflect.TypeAssert[client.Object](reflect.New(reflect.TypeOf(o).Elem()))
		Expect(ok).To(BeTrue())
		Expect(json.Unmarshal([]byte(alike.Replace(string(text))), same)).To(Succeed())
		ref.Namespace, ref.Name = alike.Replace(ref.Namespace), alike.Replace(ref.Name)
		out[ref] = apply.Digest(same)
	})
	Expect(out).NotTo(BeEmpty())
	return out
}
