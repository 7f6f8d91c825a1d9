package admission_test

import (
	"context"
	"slices"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	networkingv1 "k8s.io/api/networking/v1"
	"sigs.k8s.io/yaml"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/compile"
	"github.com/hipaatenant/hipaa-tenant-operator/test/fixture"
	pt "github.com/hipaatenant/hipaa-tenant-operator/test/policytest"
)

// The rule for tenants' network policies stands twice: here for those that are written, in the operator for those that stood
// before. What one refuses the other reports.
var _ = Describe("network, as the operator judges what stood before", func() {
	for _, spec := range []string{
		"policyTypes: [Ingress, Egress]",
		"ingress: [{}]",
		"ingress: [{from: []}]",
		"ingress: [{ports: [{port: 443}]}]",
		"egress: [{}]",
		"ingress: [{from: [{podSelector: {}}]}]",
		"ingress: [{from: [{ipBlock: {cidr: 203.0.113.7/32}}]}]",
		"ingress: [{from: [{ipBlock: {cidr: 203.0.113.0/24, except: [203.0.113.0/25]}}]}]",
		"ingress: [{from: [{ipBlock: {cidr: 203.0.112.0/23}}]}]",
		"ingress: [{from: [{ipBlock: {cidr: 0.0.0.0/0, except: [0.0.0.0/1]}}]}]",
		"ingress: [{from: [{ipBlock: {cidr: '2001:db8:12:3::/64'}}]}]",
		"ingress: [{from: [{ipBlock: {cidr: '::/0'}}]}]",
		"ingress: [{from: [{podSelector: {}}]}, {from: [{ipBlock: {cidr: 10.0.0.0/8}}]}]",
		"ingress: [{from: [{namespaceSelector: {}}]}]",
		"ingress: [{from: [{namespaceSelector: {matchLabels: {hipaatenant.dev/tenant: acme-health}}}]}]",
		"ingress: [{from: [{namespaceSelector: {matchLabels: {hipaatenant.dev/tenant: other-clinic}}}]}]",
		"egress: [{to: [{namespaceSelector: {matchExpressions: [{key: team, operator: Exists}]}}]}]",
		"egress: [{to: [{ipBlock: {cidr: 198.51.100.7/32}}], ports: [{port: 443}]}]",
		"egress: [{to: [{ipBlock: {cidr: 198.51.100.7/32}}]}]",
		"egress: [{to: [{ipBlock: {cidr: 198.51.100.7/32}}], ports: [{port: https}]}]",
		"egress: [{to: [{ipBlock: {cidr: 203.0.113.7/32}}], ports: [{port: 443}]}]",
		"egress: [{to: [{ipBlock: {cidr: 169.254.169.254/32}}], ports: [{port: 80}]}]",
		"egress: [{to: [{podSelector: {}}], ports: [{port: 2775}]}]",
		"egress: [{to: [{podSelector: {}}], ports: [{port: 2775, protocol: SCTP}]}]",
		"egress: [{to: [{podSelector: {}}], ports: [{port: 2000, endPort: 3000}]}]",
		"egress: [{to: [{podSelector: {}}], ports: [{port: 5060, protocol: UDP}]}]",
		"egress: [{to: [{podSelector: {}}]}]",
	} {
		It("agrees on "+spec, func(ctx context.Context) {
			want := pt.Allowed()
			if reported(spec) {
				want = pt.Refused("network")
			}
			Expect(env.Try(ctx, pt.Row{Do: pt.DryRun(netpolNamed("x", spec)), Want: want})).To(Succeed())
		})
	}
})

// reported says whether the operator names the policy. The tenant has the facts of policytest.Facts.
func reported(spec string) bool {
	GinkgoHelper()
	var policy networkingv1.NetworkPolicySpec
	Expect(yaml.UnmarshalStrict([]byte("{"+spec+"}"), &policy)).To(Succeed())
	t := fixture.Tenant(pt.Tenant, func(t *v1alpha1.HIPAATenant) {
		t.Spec.IPAllowlist = []v1alpha1.CIDR{"203.0.113.0/24", "2001:db8:12::/48"}
		t.Spec.BusinessAssociates = []v1alpha1.Name{"clearing"}
		t.Spec.DisabledChannels = []v1alpha1.Name{"sms"}
	})
	profile := fixture.Profile(v1alpha1.DefaultProfile, func(p *v1alpha1.HIPAAProfile) {
		p.Spec.Channels = []v1alpha1.Channel{{Name: "sms", Ports: []v1alpha1.Port{{Port: 2775, Protocol: "TCP"}, {Port: 5060, Protocol: "UDP"}}}}
	})
	found := compile.NewStrangers()
	found.Policies["x"] = policy
	plan := compile.Compile(t, compile.Facts{
		Profile: profile,
		Associates: map[string]*v1alpha1.BusinessAssociate{"clearing": fixture.Associate("clearing", func(a *v1alpha1.BusinessAssociate) {
			a.Spec.Endpoints[0].CIDRs = []v1alpha1.CIDR{"198.51.100.0/24"}
		})},
		Namespaces:        map[string]compile.Namespace{pt.Tenant: {UID: "ns", Labels: map[string]string{v1alpha1.LabelTenant: pt.Tenant}}},
		Keysets:           map[string]compile.Keyset{pt.Tenant: {Document: []byte("{}")}},
		Strangers:         map[string]compile.Strangers{pt.Tenant: found},
		AdmissionEnforced: true,
		Now:               time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC),
	})
	Expect(plan.Writable()).To(BeTrue(), "findings: %v, waiting: %v", plan.Findings, plan.Waiting)
	return slices.ContainsFunc(plan.Findings, func(f v1alpha1.Finding) bool { return f.Code == compile.CodeNetworkPolicyTooWide })
}
