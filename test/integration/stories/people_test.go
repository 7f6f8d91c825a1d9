package stories

import (
	"context"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/compile"
	"github.com/hipaatenant/hipaa-tenant-operator/test/cluster"
	"github.com/hipaatenant/hipaa-tenant-operator/test/operator"
)

// inForce is status and reason of an associate's condition.
func inForce(ctx context.Context, name string) func() string {
	return func() string {
		GinkgoHelper()
		a := associate(name)
		Expect(admin.Get(ctx, client.ObjectKeyFromObject(a), a)).To(Succeed())
		c := meta.FindStatusCondition(a.Status.Conditions, v1alpha1.ConditionInForce)
		if c == nil || a.Status.ObservedGeneration != a.Generation {
			return "not yet"
		}
		return string(c.Status) + "/" + c.Reason
	}
}

// events of the whole cluster.
func events(ctx context.Context) func() []eventsv1.Event {
	return func() []eventsv1.Event {
		GinkgoHelper()
		var list eventsv1.EventList
		Expect(admin.List(ctx, &list)).To(Succeed())
		return list.Items
	}
}

// misplace runs a pod on a node of the tenant's region, and moves the node out of it until the spec ends.
func misplace(ctx context.Context, namespace, node string) {
	GinkgoHelper()
	Expect(suite.Cluster.AddNode(ctx, cluster.Node{Name: node, Region: "us-east-1"})).To(Succeed())
	DeferCleanup(func(ctx SpecContext) {
		Expect(admin.Delete(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: node}})).To(Succeed())
		suite.AwaitReady(ctx, namespace)
	})
	p := object(namespace, pod("", "nodeSelector: {kubernetes.io/hostname: "+node+"}"))
	p.SetName(node)
	Eventually(func() error { return admin.Create(ctx, p) }).Should(Succeed())
	DeferCleanup(func(ctx SpecContext) {
		Expect(client.IgnoreNotFound(admin.Delete(ctx, p, client.GracePeriodSeconds(0)))).To(Succeed())
	})
	typed := &corev1.Pod{}
	Eventually(func() string {
		Expect(admin.Get(ctx, client.ObjectKeyFromObject(p), typed)).To(Succeed())
		return typed.Spec.NodeName
	}).Should(Equal(node))
	change(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: node}}, func(n *corev1.Node) { n.Labels[corev1.LabelTopologyRegion] = "eu-west-1" })
}

// expectTLS says that a namespace serves nothing in clear text, and that it can serve with TLS.
func expectTLS(ctx context.Context, namespace string) {
	GinkgoHelper()
	allowed(ctx, namespace, ingress("tls: [{hosts: [app.example], secretName: tls}], "))
	refused(ctx, namespace, ingress(""), "spec.tls")
	refused(ctx, namespace, ingress("tls: [{hosts: [other.example], secretName: tls}], "), "app.example")
}

// expectDelivered says that a new pod takes the present config.
func expectDelivered(ctx context.Context, namespace string) {
	GinkgoHelper()
	p := object(namespace, pod("", ""))
	Expect(admin.Create(ctx, p, client.DryRunAll)).To(Succeed())
	expectInjected(ctx, p)
}

// expectConsumed says that a pod which runs with settings of before is counted until it is made anew.
func expectConsumed(ctx context.Context, name, namespace string, edit func(*v1alpha1.HIPAATenantSpec)) {
	GinkgoHelper()
	run := func() *unstructured.Unstructured {
		p := object(namespace, pod("", "nodeSelector: {topology.kubernetes.io/region: us-east-1}"))
		p.SetName("consumer")
		Eventually(func() error { return admin.Create(ctx, p) }).Should(Succeed())
		DeferCleanup(func(ctx SpecContext) {
			Expect(client.IgnoreNotFound(admin.Delete(ctx, p, client.GracePeriodSeconds(0)))).To(Succeed())
		})
		return p
	}
	stale := func() int32 {
		for _, n := range suite.Tenant(ctx, name).Status.Namespaces {
			if n.Name == namespace {
				return n.StalePods
			}
		}
		return -1
	}
	taken := suite.State(ctx, name, v1alpha1.ConditionConfigDelivered)
	p := run()
	Eventually(taken).Should(Equal("True/" + v1alpha1.ReasonEnforced))
	change(ctx, tenant(name), func(t *v1alpha1.HIPAATenant) { edit(&t.Spec) })
	Eventually(taken, "60s").Should(Equal("True/" + v1alpha1.ReasonConfigStale))
	Expect(stale()).To(BeEquivalentTo(1))
	Eventually(codes(ctx, name)).Should(ContainElement(HavePrefix(compile.CodeConfigStale + " ")))
	Expect(admin.Delete(ctx, p, client.GracePeriodSeconds(0))).To(Succeed())
	Eventually(func() error { return admin.Get(ctx, client.ObjectKeyFromObject(p), p) }).ShouldNot(Succeed())
	run()
	Eventually(taken, "60s").Should(Equal("True/" + v1alpha1.ReasonEnforced))
	Expect(stale()).To(BeZero())
}

// emergency says who asks to be let into which tenant, who may agree, and for how long at most.
type emergency struct {
	tenant          string
	namespaces      []string
	asker, officers string
	most            v1alpha1.Duration
}

func (e emergency) access(name string, duration v1alpha1.Duration) *v1alpha1.EmergencyAccess {
	return &v1alpha1.EmergencyAccess{ObjectMeta: metav1.ObjectMeta{Name: e.tenant + "-" + name}, Spec: v1alpha1.EmergencyAccessSpec{
		Tenant: v1alpha1.Name(e.tenant), Role: "Operator", Reason: "INC-4711 restore the queue", Duration: duration,
	}}
}

var agree = client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"annotations":{"hipaatenant.dev/approve":"true"}}}`))

// expectEmergency says that nobody gets in alone or for too long, that somebody does with another's agreement, and that it ends.
func expectEmergency(ctx context.Context, e emergency) {
	GinkgoHelper()
	asker, officer := person(ctx, e.asker), person(ctx, "officer@"+e.tenant+".example", e.officers)
	in := func() []bool {
		var out []bool
		for _, namespace := range e.namespaces {
			out = append(out, may(ctx, e.asker, nil, namespace, "create pods/exec"), may(ctx, e.asker, nil, namespace, "use emergencyaccesses.hipaatenant.dev"))
		}
		return out
	}
	shut, open := slices.Repeat([]bool{false}, 2*len(e.namespaces)), slices.Repeat([]bool{true}, 2*len(e.namespaces))
	Expect(in()).To(Equal(shut))
	long := e.access("long", "24h")
	Eventually(func() error { return asker.Create(ctx, long) }).Should(Succeed())
	Eventually(func() error { return officer.Patch(ctx, long.DeepCopy(), agree) }).Should(Succeed())
	Eventually(active(ctx, long.Name)).Should(Equal("False/" + v1alpha1.ReasonDenied))

	a := e.access("incident", e.most)
	Expect(asker.Create(ctx, a)).To(Succeed())
	Expect(asker.Patch(ctx, a.DeepCopy(), agree)).To(MatchError(ContainSubstring("cannot approve it")), "one person is not two")
	Expect(in()).To(Equal(shut))
	Expect(officer.Patch(ctx, a.DeepCopy(), agree)).To(Succeed())
	Eventually(active(ctx, a.Name)).Should(Equal("True/" + v1alpha1.ReasonGranted))
	Eventually(in).Should(Equal(open))
	Eventually(suite.State(ctx, e.tenant, v1alpha1.ConditionAccessBound)).Should(Equal("True/"+v1alpha1.ReasonEnforced), "what two people agreed to is no breach")
	Expect(admin.Get(ctx, client.ObjectKeyFromObject(a), a)).To(Succeed())
	Expect(a.Status.RequestedBy).To(Equal(e.asker))
	Expect(a.Status.ApprovedBy).To(Equal("officer@" + e.tenant + ".example"))
	Expect(a.Status.ExpiresAt.Sub(a.Status.ApprovedAt.Time)).To(Equal(e.most.Value()))
	Expect(officer.Delete(ctx, a)).To(Succeed())
	Eventually(in).Should(Equal(shut))
}

// person is somebody who may ask for emergency access, and may agree to it where the profile says so.
func person(ctx context.Context, name string, groups ...string) client.Client {
	GinkgoHelper()
	for _, role := range []string{"requester", "approver"} {
		Expect(client.IgnoreAlreadyExists(admin.Create(ctx, &rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: "stories-" + role + "-" + strings.ReplaceAll(name, "@", "-")},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "hipaatenant-emergency-" + role},
			Subjects:   []rbacv1.Subject{{Kind: rbacv1.UserKind, Name: name}},
		}))).To(Succeed())
	}
	c, err := operator.NewClient(suite.Cluster.User(name, groups...))
	Expect(err).NotTo(HaveOccurred())
	return c
}

// active is status and reason of condition Active.
func active(ctx context.Context, name string) func() string {
	return func() string {
		GinkgoHelper()
		e := &v1alpha1.EmergencyAccess{}
		Expect(admin.Get(ctx, client.ObjectKey{Name: name}, e)).To(Succeed())
		c := meta.FindStatusCondition(e.Status.Conditions, v1alpha1.ConditionActive)
		if c == nil {
			return ""
		}
		return string(c.Status) + "/" + c.Reason
	}
}

// expectAttested says that the tenant's profile requires somebody to vouch for these safeguards, that somebody does, and
// that it is told when nobody does, and when the statement has expired.
func expectAttested(ctx context.Context, name string, citations ...v1alpha1.Citation) {
	GinkgoHelper()
	told := func(ctx context.Context, code string) func() []v1alpha1.Citation {
		return func() []v1alpha1.Citation {
			var out []v1alpha1.Citation
			for _, c := range citations {
				if slices.ContainsFunc(suite.Tenant(ctx, name).Status.Findings, func(f v1alpha1.Finding) bool {
					text := strings.ReplaceAll(f.Message, ",", " ")
					return f.Code == code && f.Severity == v1alpha1.SeverityWarning && strings.Contains(text, " "+string(c)+" ")
				}) {
					out = append(out, c)
				}
			}
			return out
		}
	}
	concerned := func(a v1alpha1.Attestation) bool { return slices.Contains(citations, a.Citation) }
	Expect(told(ctx, compile.CodeAttestationMissing)()).To(BeEmpty())
	Expect(told(ctx, compile.CodeAttestationExpired)()).To(BeEmpty())
	t, profile := tenant(name), &v1alpha1.HIPAAProfile{ObjectMeta: metav1.ObjectMeta{Name: string(suite.Tenant(ctx, name).Spec.Profile)}}
	before := func(list []v1alpha1.Attestation) {
		for i := range list {
			if concerned(list[i]) {
				list[i].On, list[i].ExpiresOn = "2025-03-01", "2026-03-01"
			}
		}
	}
	DeferCleanup(func(ctx SpecContext) { Eventually(told(ctx, compile.CodeAttestationMissing)).Should(BeEmpty()) })
	change(ctx, profile, func(p *v1alpha1.HIPAAProfile) { before(p.Spec.Attestations) })
	change(ctx, t, func(t *v1alpha1.HIPAATenant) { before(t.Spec.Attestations) })
	Eventually(told(ctx, compile.CodeAttestationExpired)).Should(Equal(citations))
	agreement := suite.State(ctx, name, v1alpha1.ConditionBAAInForce)
	Eventually(agreement).Should(Equal("False/"+v1alpha1.ReasonMandatorySettingMissing), "somebody has to vouch")
	change(ctx, profile, func(p *v1alpha1.HIPAAProfile) {
		p.Spec.Attestations = slices.DeleteFunc(p.Spec.Attestations, concerned)
	})
	change(ctx, t, func(t *v1alpha1.HIPAATenant) { t.Spec.Attestations = slices.DeleteFunc(t.Spec.Attestations, concerned) })
	Eventually(told(ctx, compile.CodeAttestationMissing)).Should(Equal(citations))
	Eventually(agreement).Should(Equal("False/" + v1alpha1.ReasonMandatorySettingMissing))
}
