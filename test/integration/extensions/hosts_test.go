package extensions

import (
	"encoding/json"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/compile"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/extension"
	"github.com/hipaatenant/hipaa-tenant-operator/test/fixture"
)

// ciliumWanted opens hosts on TCP port 443.
func ciliumWanted(fqdns string) string {
	return `{"endpointSelector":{},"egress":[{"toEndpoints":[{"matchLabels":{"k8s:io.kubernetes.pod.namespace":"kube-system","k8s:k8s-app":"kube-dns"}}],
		"toPorts":[{"ports":[{"port":"53","protocol":"TCP"},{"port":"53","protocol":"UDP"}],"rules":{"dns":[{"matchPattern":"*"}]}}]},
		{"toFQDNs":` + fqdns + `,"toPorts":[{"ports":[{"port":"443","protocol":"TCP"}]}]}],
		"egressDeny":[{"toCIDR":["169.254.0.0/16","fd00:ec2::/32","fe80::/10"]}]}`
}

// clusterWanted closes metadata ranges for tenant hosts, and has further rules.
func clusterWanted(accepts string) string {
	return `{"tier":"Admin","priority":100,"subject":{"namespaces":{"matchLabels":{"hipaatenant.dev/tenant":"hosts"},
		"matchExpressions":[{"key":"kubernetes.io/metadata.name","operator":"In","values":["hosts"]}]}},
		"egress":[{"name":"never","action":"Deny","to":[{"networks":["169.254.0.0/16","fd00:ec2::/32","fe80::/10"]}]}` + accepts + `]}`
}

const accepts = `,{"name":"hosts-1","action":"Accept","to":[{"domainNames":["*.files.vendor.example","api.vendor.example"]}],
	"protocols":[{"tcp":{"destinationPort":{"number":443}}}]}`

var _ = Describe("host names of vendors", Ordered, func() {
	const (
		name    = "hosts"
		cluster = "hipaa-hosts"
	)
	cilium := func(ctx SpecContext) func() any {
		return spec(ctx, extension.CiliumNetworkPolicy, name, v1alpha1.ExtensionAllowHosts)
	}
	clusterPolicy := func(ctx SpecContext) func() any { return spec(ctx, extension.ClusterNetworkPolicy, "", cluster) }
	equal := func(text string) OmegaMatcher {
		var want any
		Expect(json.Unmarshal([]byte(text), &want)).To(Succeed())
		return Equal(normal(want))
	}
	agreement := func(ctx SpecContext, expires v1alpha1.Date) {
		GinkgoHelper()
		Eventually(func() error {
			a := &v1alpha1.BusinessAssociate{}
			Expect(admin.Get(ctx, client.ObjectKey{Name: "vendor"}, a)).To(Succeed())
			a.Spec.BAA.ExpiresOn = expires
			return admin.Update(ctx, a)
		}).Should(Succeed())
	}

	It("stay closed where nothing can express them", func(ctx SpecContext) {
		Expect(admin.Create(ctx, fixture.Associate("vendor", func(a *v1alpha1.BusinessAssociate) {
			a.Spec.Endpoints[0].CIDRs, a.Spec.Endpoints[0].Hosts = nil, []v1alpha1.Host{"api.vendor.example", "*.files.vendor.example"}
		}))).To(Succeed())
		Expect(admin.Create(ctx, fixture.Tenant(name, func(t *v1alpha1.HIPAATenant) { t.Spec.BusinessAssociates = []v1alpha1.Name{"vendor"} }))).To(Succeed())
		awaitReady(ctx, name)
		Expect(finding(ctx, name, compile.CodeHostsNotExpressible)()).To(Equal("Warning"))
	})

	It("stay closed where ClusterNetworkPolicy has no names, which denies all the same", func(ctx SpecContext) {
		crd := definitionOf(extension.ClusterNetworkPolicy, "config/crd/standard/policy.networking.k8s.io_clusternetworkpolicies.yaml")
		Expect(admin.Create(ctx, crd)).To(Succeed())
		Eventually(func() error {
			_, err := objects.Resource(resource(extension.ClusterNetworkPolicy)).List(ctx, listOptions)
			return err
		}).Should(Succeed())
		Eventually(clusterPolicy(ctx)).Should(equal(clusterWanted("")))
		Eventually(finding(ctx, name, compile.CodeHostsNotExpressible)).Should(Equal("Warning"))
		uninstall(ctx, extension.ClusterNetworkPolicy)
	})

	It("are opened once an API comes that can express them", func(ctx SpecContext) {
		install(ctx, extension.CiliumNetworkPolicy, extension.ClusterNetworkPolicy)
		Eventually(cilium(ctx)).Should(equal(ciliumWanted(`[{"matchPattern":"*.files.vendor.example"},{"matchName":"api.vendor.example"}]`)))
		Eventually(clusterPolicy(ctx)).Should(equal(clusterWanted(accepts)))
		Eventually(finding(ctx, name, compile.CodeHostsNotExpressible)).Should(BeEmpty())
		Expect(awaitReady(ctx, name).Status.Effective.BusinessAssociates).To(ConsistOf("vendor"))
	})

	It("are opened by nobody else, and by the operator for namespaces of one tenant alone", func(ctx SpecContext) {
		widen := func(c dynamic.Interface, name, spec string) error {
			_, err := c.Resource(resource(extension.ClusterNetworkPolicy)).Patch(ctx, name, types.ApplyPatchType, []byte(`{"apiVersion":"policy.networking.k8s.io/v1alpha2",
				"kind":"ClusterNetworkPolicy","metadata":{"name":"`+name+`","labels":{"app.kubernetes.io/managed-by":"hipaa-tenant-operator"}},"spec":`+spec+`}`),
				metav1.PatchOptions{FieldManager: "test", Force: new(true), DryRun: []string{metav1.DryRunAll}})
			return err
		}
		everybody := `{"tier":"Admin","priority":0,"subject":{"namespaces":{}},"egress":[{"action":"Accept","to":[{"networks":["0.0.0.0/0"]}]}]}`
		Expect(widen(objects, cluster, everybody)).To(MatchError(ContainSubstring("managed by hipaa-tenant-operator")))
		config, err := world.Cluster.ServiceAccount(ctx, v1alpha1.OperatorNamespace, v1alpha1.OperatorName)
		Expect(err).NotTo(HaveOccurred())
		stolen, err := dynamic.NewForConfig(config)
		Expect(err).NotTo(HaveOccurred())
		Expect(widen(stolen, cluster, everybody)).To(MatchError(ContainSubstring("is not one that hipaa-tenant-operator writes")))
		Expect(widen(stolen, "open", clusterWanted(accepts))).To(MatchError(ContainSubstring("is not one that hipaa-tenant-operator writes")))
		Expect(widen(stolen, cluster, clusterWanted(accepts))).To(Succeed())
	})

	It("are put back after somebody else widened them", func(ctx SpecContext) {
		tearDownGuard(ctx, extension.CiliumNetworkPolicy, name, v1alpha1.ExtensionAllowHosts)
		_, err := objects.Resource(resource(extension.CiliumNetworkPolicy)).Namespace(name).Patch(ctx, v1alpha1.ExtensionAllowHosts,
			types.MergePatchType, []byte(`{"spec":{"egress":[{"toEntities":["world"]}]},"specs":[{"endpointSelector":{},"egress":[{"toEntities":["world"]}]}]}`), metav1.PatchOptions{})
		Expect(err).NotTo(HaveOccurred())
		_, err = objects.Resource(resource(extension.ClusterNetworkPolicy)).Patch(ctx, cluster,
			types.MergePatchType, []byte(`{"spec":{"priority":0,"egress":[{"action":"Accept","to":[{"networks":["0.0.0.0/0"]}]}]}}`), metav1.PatchOptions{})
		Expect(err).NotTo(HaveOccurred())
		Eventually(cilium(ctx)).Should(equal(ciliumWanted(`[{"matchPattern":"*.files.vendor.example"},{"matchName":"api.vendor.example"}]`)))
		Eventually(clusterPolicy(ctx)).Should(equal(clusterWanted(accepts)))
		Expect(object(ctx, extension.CiliumNetworkPolicy, name, v1alpha1.ExtensionAllowHosts).Object).NotTo(HaveKey("specs"))
		Expect(object(ctx, extension.ClusterNetworkPolicy, "", cluster).GetLabels()).To(HaveKeyWithValue(v1alpha1.LabelTenant, name))
	})

	It("of a disabled channel are closed, and opened again with it", func(ctx SpecContext) {
		profile := func(hosts ...v1alpha1.Host) {
			GinkgoHelper()
			Eventually(func() error {
				p := &v1alpha1.HIPAAProfile{}
				Expect(admin.Get(ctx, client.ObjectKey{Name: v1alpha1.DefaultProfile}, p)).To(Succeed())
				p.Spec.Channels[0].Hosts = hosts
				return admin.Update(ctx, p)
			}).Should(Succeed())
		}
		profile("a.files.vendor.example")
		change(ctx, name, func(t *v1alpha1.HIPAATenant) { t.Spec.DisabledChannels = []v1alpha1.Name{"sms"} })
		Eventually(cilium(ctx)).Should(equal(ciliumWanted(`[{"matchName":"api.vendor.example"}]`)))
		Eventually(finding(ctx, name, compile.CodeEndpointSubtracted)).Should(Equal("Warning"))
		change(ctx, name, func(t *v1alpha1.HIPAATenant) { t.Spec.DisabledChannels = nil })
		Eventually(cilium(ctx)).Should(equal(ciliumWanted(`[{"matchPattern":"*.files.vendor.example"},{"matchName":"api.vendor.example"}]`)))
	})

	It("are closed when the agreement ends, also while the spec cannot be honoured, and opened when it is renewed", func(ctx SpecContext) {
		agreement(ctx, "2026-02-01")
		Eventually(cilium(ctx)).Should(BeNil())
		Eventually(clusterPolicy(ctx)).Should(equal(clusterWanted("")))
		agreement(ctx, fixture.Expires)
		Eventually(cilium(ctx)).ShouldNot(BeNil())
		awaitReady(ctx, name)
		change(ctx, name, func(t *v1alpha1.HIPAATenant) { t.Spec.Region = "eu-nowhere-1" })
		Eventually(state(ctx, name, v1alpha1.ConditionReady)).Should(Equal("False/" + v1alpha1.ReasonInvalid))
		Expect(cilium(ctx)()).To(equal(ciliumWanted(`[{"matchPattern":"*.files.vendor.example"},{"matchName":"api.vendor.example"}]`)))
		agreement(ctx, "2026-02-01")
		Eventually(cilium(ctx)).Should(BeNil())
		Eventually(clusterPolicy(ctx)).Should(equal(clusterWanted("")))
		change(ctx, name, func(t *v1alpha1.HIPAATenant) { t.Spec.Region = fixture.Region })
		agreement(ctx, fixture.Expires)
		Eventually(clusterPolicy(ctx)).Should(equal(clusterWanted(accepts)))
	}, NodeTimeout(2*time.Minute))

	It("go with their API, without an error, and the deny tier with the tenant", func(ctx SpecContext) {
		uninstall(ctx, extension.CiliumNetworkPolicy)
		Eventually(remembered(ctx, name)).ShouldNot(ContainElement(ContainSubstring("Cilium")))
		awaitReady(ctx, name)
		Expect(admin.Delete(ctx, get(ctx, name))).To(Succeed())
		Eventually(clusterPolicy(ctx)).Should(BeNil())
		Expect(errorsLogged()).To(BeZero())
		uninstall(ctx, extension.ClusterNetworkPolicy)
	})
})

// normal is what a client of the API server reads: whole numbers are integers.
func normal(v any) any {
	switch x := v.(type) {
	case map[string]any:
		for k := range x {
			x[k] = normal(x[k])
		}
	case []any:
		for i := range x {
			x[i] = normal(x[i])
		}
	case float64:
		return int64(x)
	}
	return v
}
