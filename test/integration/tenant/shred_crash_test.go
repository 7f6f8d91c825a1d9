package tenant

import (
	"fmt"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/test/operator"
)

// The operator is killed at every write of a shred and at every request that changes something in the KMS, before it
// arrives and after it was done. Started again, it must finish, and report no more than was done.
var _ = Describe("an operator killed in the middle of a shred", Ordered, func() {
	var (
		k     *kms
		front *proxy
		o     operator.Options
	)

	// shredded deletes a tenant that is Ready and confirmed, and checks the end of it.
	shredded := func(ctx SpecContext, name string, killed func()) {
		GinkgoHelper()
		copied, t := keysetIn(ctx, name), get(ctx, name)
		remove(ctx, name)
		killed()
		s := ends(ctx, t)
		Expect(s.Outcome).To(Equal("Shredded"))
		Expect(s.Shred.Keys).To(ConsistOf(And(HaveField("EffectiveAt", Not(BeEmpty())), HaveField("Method", ContainSubstring("transit key")))))
		noKeyset(ctx, name)
		Expect(k.opens(ctx, copied)).NotTo(Succeed())
	}
	confirmed := func(ctx SpecContext, name string) {
		GinkgoHelper()
		k.own(ctx, name, own)
		annotate(ctx, name, v1alpha1.AnnotationConfirmShred, "UID")
	}

	BeforeAll(func(ctx SpecContext) {
		permit(ctx)
		var err error
		front, err = newProxy(world.Cluster.Config())
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(front.Close)
		k, o = startKMS(), operator.Options{Proxy: front.URL, ProxyCA: front.ca()}
		k.run(ctx, o)
		awaitLook(ctx)
		DeferCleanup(func(ctx SpecContext) {
			Expect(world.Running.Kill()).To(Succeed())
			startOperator(ctx)
		})
	})

	It("is followed by one that finishes", func(ctx SpecContext) {
		confirmed(ctx, "shred-reference")
		front.killAt(0, before, nil)
		k.killAt(0, before, nil)
		shredded(ctx, "shred-reference", func() {})
		writes, asked := front.count(), k.count()
		first := slices.IndexFunc(writes, func(w string) bool { return strings.HasSuffix(w, "/status") })
		Expect(first).To(BeNumerically(">", 0), "quarantine comes before the first word of a shred:\n%s", strings.Join(writes, "\n"))
		Expect(asked).To(HaveLen(2), "allow the deletion, delete: %v", asked)
		kills := 0
		kill := func(p *proxy, n int, when moment, at string) {
			By(fmt.Sprintf("killing at %s, %s", at, when))
			kills++
			name := fmt.Sprintf("shred-killed-%d", kills)
			confirmed(ctx, name)
			dead, victim := make(chan error, 1), world.Running
			p.killAt(n, when, func() { dead <- victim.Kill() })
			shredded(ctx, name, func() {
				Eventually(dead).Should(Receive(Succeed()))
				p.killAt(0, before, nil)
				k.run(ctx, o)
			})
		}
		for _, when := range []moment{before, committed} {
			for n := first + 1; n <= len(writes); n++ {
				kill(front, n, when, writes[n-1])
			}
			for n := 1; n <= len(asked); n++ {
				kill(k.proxy, n, when, asked[n-1])
			}
		}
		shredCase(fmt.Sprintf("killed-%d-times", kills), "Shredded")
	})
})
