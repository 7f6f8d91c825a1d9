package gitops

import (
	"context"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/test/report"
)

const (
	acmeFile, birchFile = "20-tenant-acme-health.yaml", "21-tenant-birch-clinic.yaml"
)

// The example files of config/gitops/flux at work, but for their times: Flux looks every 5 seconds and gives up a health
// check after 20.
var _ = Describe("Flux", Ordered, func() {
	var w *world
	var healthy, failed, drift, child, rolled string

	BeforeAll(func(ctx SpecContext) { w = newWorld(ctx) }, NodeTimeout(3*time.Minute))
	AfterEach(func() { w.KeepOnFailure() })

	// awaitTenants waits until Flux has applied what was pushed last, found it healthy, and both tenants are Ready.
	awaitTenants := func(ctx context.Context) {
		GinkgoHelper()
		w.awaitHealthy(ctx, "hipaa-tenants", tenantSource)
		for tenant := range namespaces {
			w.AwaitReady(ctx, tenant)
		}
	}

	It("brings the operator before the tenants, and calls them healthy only when they are", func(ctx SpecContext) {
		w.deliver(ctx)
		began := time.Now()
		Eventually(w.says(ctx, "hipaa-tenants")).Should(ContainSubstring("DependencyNotReady"))
		w.awaitHealthy(ctx, "hipaa-operator", operatorSource)
		// The operator's pods are only there in name: nobody has looked at an associate yet.
		Eventually(func() error { return w.Admin.Get(ctx, client.ObjectKey{Name: "aws"}, &v1alpha1.BusinessAssociate{}) }).Should(Succeed())
		Consistently(w.says(ctx, "hipaa-platform"), "3s").ShouldNot(HavePrefix("True"))
		Expect(w.says(ctx, "hipaa-tenants")()).To(ContainSubstring("DependencyNotReady"))
		w.operate(ctx)
		awaitTenants(ctx)
		healthy = seconds(began)
		for tenant := range namespaces {
			Eventually(w.gates(ctx, tenant)).Should(Equal(all(tenant, v1alpha1.GateOpen)))
		}
		w.store(ctx)
	})

	It("fails at once on a tenant whose spec cannot be honoured, and recovers with it", func(ctx SpecContext) {
		sound := w.tenants
		w.tenants = edited(sound, birchFile, "sessionTimeout: 10m", "sessionTimeout: 8h")
		began := time.Now()
		w.pushTenants(ctx)
		Eventually(w.says(ctx, "hipaa-tenants")).Should(And(HavePrefix("False/HealthCheckFailed"), ContainSubstring("HIPAATenant/birch-clinic status: 'Failed'")))
		failed = seconds(began)
		Expect(w.lost(ctx)).To(BeZero())
		w.tenants = sound
		w.pushTenants(ctx)
		awaitTenants(ctx)
	})

	It("puts back what somebody edits in a tenant", func(ctx SpecContext) {
		const network = `[{"op":"add","path":"/spec/ipAllowlist/-","value":"192.0.2.0/24"}]`
		began := time.Now()
		_, err := runs(ctx, w.Cluster.Kubectl(), "--kubeconfig", w.Cluster.Kubeconfig(), "patch", "hipaatenant", acme, "--type=json", "-p", network)
		Expect(err).NotTo(HaveOccurred())
		Eventually(w.allowlist(ctx, acme)).Should(HaveLen(3))
		Eventually(w.allowlist(ctx, acme)).Should(HaveLen(2))
		drift = seconds(began)
		w.edit(ctx, acme, "dashboard", func(t *v1alpha1.HIPAATenant) { t.Spec.IPAllowlist = append(t.Spec.IPAllowlist, "192.0.2.0/24") })
		Eventually(w.allowlist(ctx, acme)).Should(HaveLen(3))
		Eventually(w.allowlist(ctx, acme)).Should(HaveLen(2), "Flux was told about this manager of fields")
		w.edit(ctx, acme, "intruder", func(t *v1alpha1.HIPAATenant) { t.Spec.SessionTimeout = "14m" })
		Eventually(func() v1alpha1.Duration { return w.Tenant(ctx, acme).Spec.SessionTimeout }).Should(BeEquivalentTo("15m"))
		awaitTenants(ctx)
	})

	// Server-side apply lets every manager have entries of its own in a list that is a set.
	It("does not put back what an unknown program adds to a list", func(ctx SpecContext) {
		w.edit(ctx, acme, "intruder", func(t *v1alpha1.HIPAATenant) { t.Spec.IPAllowlist = append(t.Spec.IPAllowlist, "192.0.2.0/24") })
		Eventually(w.allowlist(ctx, acme)).Should(HaveLen(3))
		Consistently(w.allowlist(ctx, acme), 2*interval).Should(HaveLen(3))
		w.edit(ctx, acme, "intruder", func(t *v1alpha1.HIPAATenant) { t.Spec.IPAllowlist = t.Spec.IPAllowlist[:2] })
		awaitTenants(ctx)
	})

	It("leaves to the operator what somebody edits in a tenant's objects", func(ctx SpecContext) {
		ns := namespaces[birch][0]
		quota := &corev1.ResourceQuota{}
		Expect(w.Admin.Get(ctx, client.ObjectKey{Namespace: ns, Name: "hipaa-quota"}, quota)).To(Succeed())
		edit := client.RawPatch(types.MergePatchType, []byte(`{"spec":{"hard":{"pods":"5000"}}}`))
		err := w.Admin.Patch(ctx, quota.DeepCopy(), edit)
		Expect(err).To(MatchError(ContainSubstring("hipaatenant-tenancy")), "an administrator is refused while the policies stand")
		w.stopOperator()
		w.unguard(ctx)
		Eventually(func() error { return w.Admin.Patch(ctx, quota.DeepCopy(), edit) }).Should(Succeed(), "nothing guards it now")
		began := time.Now()
		w.operate(ctx)
		Eventually(func(g Gomega) {
			now := &corev1.ResourceQuota{}
			g.Expect(w.Admin.Get(ctx, client.ObjectKeyFromObject(quota), now)).To(Succeed())
			g.Expect(now.Spec.Hard.Pods().Value()).To(Equal(quota.Spec.Hard.Pods().Value()))
		}).Should(Succeed())
		child = seconds(began)
		awaitTenants(ctx)
	})

	It("rolls out a change", func(ctx SpecContext) {
		w.tenants = edited(w.tenants, acmeFile, "sessionTimeout: 15m", "sessionTimeout: 5m")
		began := time.Now()
		w.pushTenants(ctx)
		awaitTenants(ctx)
		rolled = seconds(began)
		Expect(w.Tenant(ctx, acme).Status.Effective.SessionTimeout).To(BeEquivalentTo("5m"))
	})

	It("prunes a tenant: its namespaces are quarantined and kept, and taken back when it returns", func(ctx SpecContext) {
		sound := w.tenants
		w.tenants = without(sound, birchFile)
		began := time.Now()
		w.pushTenants(ctx)
		Eventually(w.gone(ctx, birch)).Should(BeTrue())
		pruned := seconds(began)
		Eventually(w.gates(ctx, birch)).Should(Equal(all(birch, v1alpha1.GateQuarantined)))
		w.awaitHealthy(ctx, "hipaa-tenants", tenantSource)
		report.Line("flux: interval=%s applied healthy_after=%s refused_after=%s drift_corrected_after=%s child_corrected_after=%s rolled_out_after=%s pruned_after=%s namespaces_lost=%d",
			interval, healthy, failed, drift, child, rolled, pruned, w.lost(ctx))
		w.tenants = sound
		began = time.Now()
		w.pushTenants(ctx)
		awaitTenants(ctx)
		Eventually(w.gates(ctx, birch)).Should(Equal(all(birch, v1alpha1.GateOpen)))
		report.Line("flux: returned healthy_after=%s namespaces_lost=%d", seconds(began), w.lost(ctx))
	})

	It("prunes while the operator is away: nothing hangs, the tenant waits, and refusals stand", func(ctx SpecContext) {
		sound := w.tenants
		w.tenants = without(sound, birchFile)
		w.stopOperator()
		w.pushTenants(ctx)
		began := time.Now()
		w.awaitHealthy(ctx, "hipaa-tenants", tenantSource)
		after := seconds(began)
		t := w.Tenant(ctx, birch)
		Expect(t.DeletionTimestamp).NotTo(BeNil())
		Expect(t.Finalizers).To(ContainElement(v1alpha1.Finalizer))
		Expect(w.Admin.Delete(ctx, &corev1.Namespace{ObjectMeta: meta(birch)})).To(MatchError(ContainSubstring("is deleted only while it is quarantined")))
		Expect(w.lost(ctx)).To(BeZero())
		w.operate(ctx)
		Eventually(w.gone(ctx, birch)).Should(BeTrue())
		Eventually(w.gates(ctx, birch)).Should(Equal(all(birch, v1alpha1.GateQuarantined)))
		report.Line("flux: pruned operator=down flux_ready_after=%s tenant=Terminating until=operator namespaces_lost=%d", after, w.lost(ctx))
		w.tenants = sound
		w.pushTenants(ctx)
		awaitTenants(ctx)
	})

	It("prunes a tenant that the operator never saw, without waiting for anybody", func(ctx SpecContext) {
		sound := w.tenants
		w.stopOperator()
		w.tenants = edited(sound, birchFile, "name: birch-clinic\n", "name: cedar-clinic\n")
		w.tenants["22-tenant-cedar.yaml"] = w.tenants[birchFile]
		w.tenants[birchFile] = sound[birchFile]
		w.pushTenants(ctx)
		Eventually(w.gone(ctx, "cedar-clinic")).Should(BeFalse())
		Eventually(w.says(ctx, "hipaa-tenants")).WithTimeout(2 * timeout).Should(And(HavePrefix("False/HealthCheckFailed"), ContainSubstring("InProgress")))
		w.tenants = sound
		began := time.Now()
		w.pushTenants(ctx)
		Eventually(w.gone(ctx, "cedar-clinic")).Should(BeTrue())
		report.Line("flux: pruned finalizer=none after=%s namespaces_lost=%d", seconds(began), w.lost(ctx))
		w.operate(ctx)
		awaitTenants(ctx)
	})

	It("restores definitions that somebody deletes, and the tenants with them", func(ctx SpecContext) {
		for _, state := range []string{"up", "down"} {
			if state == "down" {
				w.stopOperator()
			}
			uids := map[string]types.UID{}
			for tenant := range namespaces {
				uids[tenant] = w.Tenant(ctx, tenant).UID
			}
			began := time.Now()
			w.deleteDefinitions(ctx)
			if state == "down" {
				Eventually(func() bool { return w.Tenant(ctx, acme).DeletionTimestamp != nil }).Should(BeTrue())
				Expect(w.lost(ctx)).To(BeZero())
				w.operate(ctx)
			}
			for tenant, uid := range uids {
				Eventually(func() bool {
					t := &v1alpha1.HIPAATenant{}
					return w.Admin.Get(ctx, client.ObjectKey{Name: tenant}, t) == nil && t.UID != uid
				}).WithTimeout(3*time.Minute).Should(BeTrue(), "a tenant made anew")
			}
			awaitTenants(ctx)
			for tenant := range namespaces {
				Eventually(w.gates(ctx, tenant)).Should(Equal(all(tenant, v1alpha1.GateOpen)))
			}
			report.Line("flux: definitions deleted first operator=%s healthy_again_after=%s namespaces_lost=%d", state, seconds(began), w.lost(ctx))
		}
	})

	It("leaves everything as it is when its Kustomizations are deleted", func(ctx SpecContext) {
		w.deleteKustomizations(ctx)
		for tenant := range namespaces {
			w.AwaitReady(ctx, tenant)
		}
		report.Line("flux: kustomizations deleted policy=Orphan tenants_deleted=0 namespaces_lost=%d", w.lost(ctx))
	})

	It("deletes everything at once when it is told to: nothing is lost, nothing hangs, and it all comes back", func(ctx SpecContext) {
		for _, policy := range []string{"Delete", "WaitForTermination"} {
			w.install(ctx, deletionPolicy(policy))
			w.awaitHealthy(ctx, "hipaa-operator", operatorSource)
			awaitTenants(ctx)
			w.stopOperator() // its Deployment and its rights go in no order
			began := time.Now()
			w.deleteKustomizations(ctx)
			after := seconds(began)
			waiting := 0
			for tenant := range namespaces {
				if w.Tenant(ctx, tenant).DeletionTimestamp != nil {
					waiting++
				}
			}
			Expect(waiting).To(Equal(2), "they wait for the operator")
			report.Line("flux: kustomizations deleted policy=%s operator=gone flux_done_after=%s tenants_waiting=%d namespaces_lost=%d", policy, after, waiting, w.lost(ctx))
			began = time.Now()
			w.install(ctx, deletionPolicy(policy))
			w.awaitHealthy(ctx, "hipaa-operator", operatorSource)
			w.operate(ctx)
			for tenant := range namespaces {
				Eventually(w.deleting(ctx, tenant)).WithTimeout(2 * time.Minute).Should(BeFalse())
			}
			awaitTenants(ctx)
			report.Line("flux: installed again policy=%s healthy_after=%s namespaces_lost=%d", policy, seconds(began), w.lost(ctx))
		}
	})
})
