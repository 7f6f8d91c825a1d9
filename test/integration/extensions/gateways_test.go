package extensions

import (
	"context"
	"encoding/json"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/compile"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/extension"
	"github.com/hipaatenant/hipaa-tenant-operator/test/fixture"
)

var gatewayKinds = []extension.Kind{extension.SecurityPolicy, extension.ClientTrafficPolicy, extension.AuthorizationPolicy, extension.PeerAuthentication}

// wanted are the objects of tenant in its one namespace, as name and whole spec: a field more would be a default the operator
// knows nothing of, a field less was pruned.
func wanted(tenant string, cidrs ...string) map[extension.Kind][2]string {
	list, _ := json.Marshal(cidrs)
	routes := `[{"group":"gateway.networking.k8s.io","kind":"Gateway"},{"group":"gateway.networking.k8s.io","kind":"HTTPRoute"},
		{"group":"gateway.networking.k8s.io","kind":"GRPCRoute"},{"group":"gateway.networking.k8s.io","kind":"TCPRoute"}]`
	return map[extension.Kind][2]string{
		extension.SecurityPolicy: {v1alpha1.ExtensionAllowlist, `{"targetSelectors":` + routes + `,"authorization":{"defaultAction":"Deny",
			"rules":[{"name":"hipaa-allowlist","action":"Allow","principal":{"clientCIDRs":` + string(list) + `}}]}}`},
		extension.ClientTrafficPolicy: {v1alpha1.ExtensionClientIP,
			`{"targetSelectors":[{"group":"gateway.networking.k8s.io","kind":"Gateway"}],"clientIPDetection":{"directSourceIP":{}}}`},
		extension.AuthorizationPolicy: {v1alpha1.ExtensionAllowlist, `{"action":"ALLOW","rules":[{"from":[{"source":{"namespaces":["` + tenant + `"]}}]},
			{"from":[{"source":{"ipBlocks":` + string(list) + `}}]},
			{"from":[{"source":{"namespaces":["edge"],"remoteIpBlocks":` + string(list) + `}}]}]}`},
		extension.PeerAuthentication: {v1alpha1.ExtensionStrictMTLS, `{"mtls":{"mode":"STRICT"}}`},
	}
}

func expectStanding(ctx context.Context, tenant string, cidrs ...string) {
	GinkgoHelper()
	for k, w := range wanted(tenant, cidrs...) {
		var want any
		Expect(json.Unmarshal([]byte(w[1]), &want)).To(Succeed())
		Eventually(spec(ctx, k, tenant, w[0])).Should(Equal(want), k.String())
	}
}

// closed is what stands of SecurityPolicy and AuthorizationPolicy where nobody is let in.
func expectClosed(ctx context.Context, tenant string) {
	GinkgoHelper()
	Eventually(spec(ctx, extension.AuthorizationPolicy, tenant, v1alpha1.ExtensionAllowlist)).Should(Equal(map[string]any{"action": "ALLOW"}))
	Eventually(func() any {
		u := object(ctx, extension.SecurityPolicy, tenant, v1alpha1.ExtensionAllowlist)
		return u.Object["spec"].(map[string]any)["authorization"]
	}).Should(Equal(map[string]any{"defaultAction": "Deny"}))
}

// counter sums a metric of the tenants' controller; -1 while it serves none.
func counter(ctx context.Context, name string) float64 {
	GinkgoHelper()
	text, err := world.Metrics(ctx)
	if err != nil {
		return -1
	}
	sum := 0.0
	for _, line := range regexp.MustCompile(`(?m)^`+name+`\{[^}]*controller="tenants"[^}]*\} (\S+)$`).FindAllStringSubmatch(text, -1) {
		v, err := strconv.ParseFloat(line[1], 64)
		Expect(err).NotTo(HaveOccurred())
		sum += v
	}
	return sum
}

const (
	reconciles = "controller_runtime_reconcile_total"
	failures   = "controller_runtime_reconcile_errors_total"
)

// expectQuiet waits until nothing is reconciled any more; a loop would never be quiet.
func expectQuiet(ctx context.Context) {
	GinkgoHelper()
	last := -1.0
	Eventually(func() bool {
		now := counter(ctx, reconciles)
		still := now > 0 && now == last
		last = now
		return still
	}).WithTimeout(90 * time.Second).WithPolling(12 * time.Second).Should(BeTrue()) // what was written is looked at again after 10 seconds
}

func errorsLogged() int {
	GinkgoHelper()
	text, err := os.ReadFile(world.Running.Log)
	Expect(err).NotTo(HaveOccurred())
	return strings.Count(string(text), "Reconciler error")
}

var _ = Describe("gateways and the mesh", Ordered, func() {
	const name = "gw"

	It("costs a finding and nothing else where no API is served", func(ctx SpecContext) {
		Expect(admin.Create(ctx, fixture.Tenant(name))).To(Succeed())
		awaitReady(ctx, name)
		Expect(finding(ctx, name, compile.CodeGatewaysUnguarded)()).To(Equal("Info"))
		Expect(remembered(ctx, name)()).To(BeEmpty())
		Expect(errorsLogged()).To(BeZero())
	})

	It("is written once the API comes, without a restart", func(ctx SpecContext) {
		install(ctx, gatewayKinds...)
		expectStanding(ctx, name, fixture.Allowlist)
		awaitReady(ctx, name)
		Eventually(finding(ctx, name, compile.CodeGatewaysUnguarded)).Should(BeEmpty())
		Expect(remembered(ctx, name)()).To(HaveLen(len(gatewayKinds)))
		Expect(errorsLogged()).To(BeZero())
	})

	It("follows the allowlist, and back byte for byte", func(ctx SpecContext) {
		before := map[string]any{}
		for k, w := range wanted(name) {
			before[k.String()] = spec(ctx, k, name, w[0])()
		}
		change(ctx, name, func(t *v1alpha1.HIPAATenant) {
			t.Spec.IPAllowlist = []v1alpha1.CIDR{"198.51.100.0/24", "2001:db8:12::/48"}
		})
		expectStanding(ctx, name, "198.51.100.0/24", "2001:db8:12::/48")
		change(ctx, name, func(t *v1alpha1.HIPAATenant) { t.Spec.IPAllowlist = []v1alpha1.CIDR{fixture.Allowlist} })
		for k, w := range wanted(name) {
			Eventually(spec(ctx, k, name, w[0])).Should(Equal(before[k.String()]))
		}
	})

	It("is changed by nobody else while the policies stand, not even an administrator", func(ctx SpecContext) {
		for k, w := range wanted(name) {
			resource := objects.Resource(resource(k)).Namespace(name)
			_, err := resource.Patch(ctx, w[0], types.MergePatchType, []byte(damages[k]), metav1.PatchOptions{})
			Expect(err).To(MatchError(ContainSubstring("managed by hipaa-tenant-operator")), k.String())
			Expect(resource.Delete(ctx, w[0], metav1.DeleteOptions{})).To(MatchError(ContainSubstring("managed by hipaa-tenant-operator")), k.String())
		}
	})

	It("is put back after somebody else changed, widened or deleted it", func(ctx SpecContext) {
		tearDownGuard(ctx, extension.PeerAuthentication, name, v1alpha1.ExtensionStrictMTLS)
		for k, w := range wanted(name) {
			resource := objects.Resource(resource(k)).Namespace(name)
			for _, damage := range []string{`{"metadata":{"labels":{"hipaatenant.dev/tenant":"other"}}}`, damages[k]} {
				By(k.String() + " " + damage)
				_, err := resource.Patch(ctx, w[0], types.MergePatchType, []byte(damage), metav1.PatchOptions{})
				Expect(err).NotTo(HaveOccurred())
				expectStanding(ctx, name, fixture.Allowlist)
				Eventually(func() map[string]string { return object(ctx, k, name, w[0]).GetLabels() }).Should(HaveKeyWithValue(v1alpha1.LabelTenant, name))
			}
			By(k.String() + " deleted")
			Expect(resource.Delete(ctx, w[0], metav1.DeleteOptions{})).To(Succeed())
			expectStanding(ctx, name, fixture.Allowlist)
		}
	})

	It("is left alone when a controller writes its status, and after a restart", func(ctx SpecContext) {
		expectQuiet(ctx)
		before := counter(ctx, reconciles)
		_, err := objects.Resource(resource(extension.AuthorizationPolicy)).Namespace(name).Patch(ctx, v1alpha1.ExtensionAllowlist,
			types.MergePatchType, []byte(`{"status":{"observedGeneration":"1"}}`), metav1.PatchOptions{}, "status")
		Expect(err).NotTo(HaveOccurred())
		Consistently(func() float64 { return counter(ctx, reconciles) }, "2s").Should(Equal(before))
		versions := map[string]string{}
		for k, w := range wanted(name) {
			versions[k.String()] = object(ctx, k, name, w[0]).GetResourceVersion()
		}
		Expect(world.Running.Kill()).To(Succeed())
		startOperator(ctx)
		expectQuiet(ctx)
		for k, w := range wanted(name) {
			Expect(object(ctx, k, name, w[0]).GetResourceVersion()).To(Equal(versions[k.String()]), k.String())
		}
	}, NodeTimeout(5*time.Minute))

	It("says so when the API server takes no such object, and holds nothing else up", func(ctx SpecContext) {
		refusal := refuseAll(extension.SecurityPolicy)
		for _, o := range refusal {
			Expect(admin.Create(ctx, o)).To(Succeed())
		}
		awaitRefusal(ctx)
		Expect(admin.Create(ctx, fixture.Tenant("gw-refused"))).To(Succeed())
		Eventually(state(ctx, "gw-refused", v1alpha1.ConditionNetworkIsolated)).Should(Equal("False/" + v1alpha1.ReasonExtensionRefused))
		Expect(finding(ctx, "gw-refused", compile.CodeExtensionRefused)()).To(Equal("Warning"))
		Expect(get(ctx, "gw-refused").Status.Namespaces).To(HaveExactElements(HaveField("Gate", v1alpha1.GateOpen)))
		Eventually(spec(ctx, extension.AuthorizationPolicy, "gw-refused", v1alpha1.ExtensionAllowlist)).ShouldNot(BeNil())
		for _, o := range refusal {
			Expect(admin.Delete(ctx, o)).To(Succeed())
		}
		// The operator tries again within a minute, and the API server forgets a policy within seconds.
		Eventually(state(ctx, "gw-refused", v1alpha1.ConditionReady)).WithTimeout(100 * time.Second).Should(Equal("True/Ready"))
		expectStanding(ctx, "gw-refused", fixture.Allowlist)
		Expect(errorsLogged()).To(BeZero())
	}, NodeTimeout(5*time.Minute))

	It("closes everything for a tenant that is deleted", func(ctx SpecContext) {
		Expect(admin.Delete(ctx, get(ctx, "gw-refused"))).To(Succeed())
		expectClosed(ctx, "gw-refused")
	})

	It("forgets what went with its API, without an error", func(ctx SpecContext) {
		uninstall(ctx, gatewayKinds...)
		awaitReady(ctx, name)
		Eventually(remembered(ctx, name)).Should(BeEmpty())
		Eventually(finding(ctx, name, compile.CodeGatewaysUnguarded)).Should(Equal("Info"))
		expectQuiet(ctx)
		Expect(counter(ctx, failures)).To(BeZero())
		Expect(errorsLogged()).To(BeZero())
	}, NodeTimeout(5*time.Minute))

	It("is written again when the API comes back", func(ctx SpecContext) {
		install(ctx, gatewayKinds...)
		expectStanding(ctx, name, fixture.Allowlist)
		awaitReady(ctx, name)
	})
})

// tearDownGuard removes the admission policy that keeps others from managed objects, until the spec ends. The object is
// what it is probed with.
func tearDownGuard(ctx context.Context, k extension.Kind, tenant, name string) {
	GinkgoHelper()
	Expect(world.Running.Kill()).To(Succeed())
	startOperator(ctx, "--admission-policies=verify")
	DeferCleanup(func(ctx SpecContext) {
		Expect(world.Running.Kill()).To(Succeed())
		startOperator(ctx)
		Eventually(state(ctx, tenant, v1alpha1.ConditionAdmissionEnforced)).Should(Equal("True/" + v1alpha1.ReasonEnforced))
	})
	Expect(admin.Delete(ctx, &admissionv1.ValidatingAdmissionPolicyBinding{ObjectMeta: metav1.ObjectMeta{Name: "hipaatenant-tenancy"}})).To(Succeed())
	Eventually(func() error { // the API server forgets it within seconds
		_, err := objects.Resource(resource(k)).Namespace(tenant).Patch(ctx, name,
			types.MergePatchType, []byte(`{"metadata":{"labels":{"hipaatenant.dev/tenant":"x"}}}`), metav1.PatchOptions{DryRun: []string{metav1.DryRunAll}})
		return err
	}).Should(Succeed())
}

// damages widen the objects, as merge patches.
var damages = map[extension.Kind]string{
	extension.SecurityPolicy:      `{"spec":{"authorization":{"defaultAction":"Allow"}}}`,
	extension.ClientTrafficPolicy: `{"spec":{"clientIPDetection":{"directSourceIP":null,"xForwardedFor":{"numTrustedHops":2}}}}`,
	extension.AuthorizationPolicy: `{"spec":{"rules":[{}]}}`,
	extension.PeerAuthentication:  `{"spec":{"mtls":{"mode":"PERMISSIVE"}}}`,
}

// refuseAll is an admission policy that takes no object of a kind.
func refuseAll(k extension.Kind) []client.Object {
	meta := metav1.ObjectMeta{Name: "test-refuse"}
	return []client.Object{
		&admissionv1.ValidatingAdmissionPolicy{ObjectMeta: meta, Spec: admissionv1.ValidatingAdmissionPolicySpec{
			MatchConstraints: &admissionv1.MatchResources{ResourceRules: []admissionv1.NamedRuleWithOperations{{RuleWithOperations: admissionv1.RuleWithOperations{
				Operations: []admissionv1.OperationType{admissionv1.Create, admissionv1.Update},
				Rule:       admissionv1.Rule{APIGroups: []string{k.Group}, APIVersions: []string{"*"}, Resources: []string{k.Resource}},
			}}}},
			Validations: []admissionv1.Validation{{Expression: "false", Message: "refused by the test"}},
		}},
		&admissionv1.ValidatingAdmissionPolicyBinding{ObjectMeta: meta, Spec: admissionv1.ValidatingAdmissionPolicyBindingSpec{
			PolicyName: meta.Name, ValidationActions: []admissionv1.ValidationAction{admissionv1.Deny},
		}},
	}
}

// awaitRefusal waits until the API server enforces it.
func awaitRefusal(ctx context.Context) {
	GinkgoHelper()
	Eventually(func() error {
		_, err := objects.Resource(resource(extension.SecurityPolicy)).Namespace("default").Patch(ctx, "probe", types.ApplyPatchType,
			[]byte(`{"apiVersion":"gateway.envoyproxy.io/v1alpha1","kind":"SecurityPolicy","metadata":{"name":"probe"},"spec":{"targetSelectors":[{"group":"gateway.networking.k8s.io","kind":"HTTPRoute"}]}}`),
			metav1.PatchOptions{FieldManager: "test", DryRun: []string{metav1.DryRunAll}})
		return err
	}).Should(MatchError(ContainSubstring("refused by the test")))
}
