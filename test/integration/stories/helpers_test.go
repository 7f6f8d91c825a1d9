package stories

import (
	"context"
	"fmt"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/test/bed"
)

// codes are the codes of the tenant's findings, with the field each speaks of.
func codes(ctx context.Context, name string) func() []string {
	return func() []string {
		var out []string
		for _, f := range suite.Tenant(ctx, name).Status.Findings {
			out = append(out, f.Code+" "+f.Path)
		}
		return out
	}
}

// another is a tenant like one of the stories, under a name and with a key of its own.
func another(ctx context.Context, like, name string, edits ...func(*v1alpha1.HIPAATenantSpec)) *v1alpha1.HIPAATenant {
	GinkgoHelper()
	t := &v1alpha1.HIPAATenant{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: suite.Tenant(ctx, like).Spec}
	t.Spec.Namespaces = nil
	t.Spec.Encryption.KeyURI = "vault://transit/" + name
	vault.CreateKey(GinkgoTB(), "transit", name)
	for _, edit := range edits {
		edit(&t.Spec)
	}
	Expect(admin.Create(ctx, t)).To(Succeed())
	return t
}

// change edits an object, however often somebody else writes to it in between, and takes the edit back when the spec ends.
func change[T client.Object](ctx context.Context, o T, edit func(T)) {
	GinkgoHelper()
	Expect(admin.Get(ctx, client.ObjectKeyFromObject(o), o)).To(Succeed())
	before := o.DeepCopyObject().(T)
	DeferCleanup(func(ctx SpecContext) {
		Eventually(func() error {
			if err := admin.Get(ctx, client.ObjectKeyFromObject(o), o); err != nil {
				return client.IgnoreNotFound(err)
			}
			before.SetResourceVersion(o.GetResourceVersion())
			return admin.Update(ctx, before.DeepCopyObject().(T))
		}).Should(Succeed())
	})
	Eventually(func() error {
		if err := admin.Get(ctx, client.ObjectKeyFromObject(o), o); err != nil {
			return err
		}
		edit(o)
		return admin.Update(ctx, o)
	}).Should(Succeed())
}

func associate(name string) *v1alpha1.BusinessAssociate {
	return &v1alpha1.BusinessAssociate{ObjectMeta: metav1.ObjectMeta{Name: name}}
}

func tenant(name string) *v1alpha1.HIPAATenant {
	return &v1alpha1.HIPAATenant{ObjectMeta: metav1.ObjectMeta{Name: name}}
}

// stalled waits until a tenant is found at fault, and says that nothing was made for it.
func stalled(ctx context.Context, name, code, path string) {
	GinkgoHelper()
	Eventually(suite.State(ctx, name, v1alpha1.ConditionStalled)).Should(HavePrefix("True/"))
	Eventually(codes(ctx, name)).Should(ContainElement(code + " " + path))
	Expect(bed.Condition(suite.Tenant(ctx, name), v1alpha1.ConditionReady).Status).To(Equal(metav1.ConditionFalse))
	Expect(apierrors.IsNotFound(admin.Get(ctx, client.ObjectKey{Name: name}, &corev1.Namespace{}))).To(BeTrue(), "no namespace")
}

// object reads YAML.
func object(namespace, text string) *unstructured.Unstructured {
	GinkgoHelper()
	o := &unstructured.Unstructured{}
	Expect(yaml.Unmarshal([]byte(text), &o.Object)).To(Succeed(), text)
	o.SetNamespace(namespace)
	return o
}

// refused says that the API server refuses an object in these words, whoever brings it: the cluster's administrator does.
func refused(ctx context.Context, namespace, text, words string) {
	GinkgoHelper()
	Eventually(func() error { return admin.Create(ctx, object(namespace, text), client.DryRunAll) }).
		Should(MatchError(ContainSubstring(words)), text)
}

// allowed says that it takes an object.
func allowed(ctx context.Context, namespace, text string) {
	GinkgoHelper()
	Eventually(func() error { return admin.Create(ctx, object(namespace, text), client.DryRunAll) }).Should(Succeed(), text)
}

// refusedEdit says that the API server refuses to have a tenant's spec edited like this, in all of these words.
func refusedEdit(ctx context.Context, name string, edit func(spec map[string]any), words ...string) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		o := object("", "{apiVersion: hipaatenant.dev/v1alpha1, kind: HIPAATenant, metadata: {name: "+name+"}}")
		g.Expect(admin.Get(ctx, client.ObjectKeyFromObject(o), o)).To(Succeed())
		edit(o.Object["spec"].(map[string]any))
		err := admin.Update(ctx, o, client.DryRunAll)
		for _, w := range words {
			g.Expect(err).To(MatchError(ContainSubstring(w)))
		}
	}).Should(Succeed())
}

// inside is a part of an object.
func inside(o map[string]any, path ...string) map[string]any {
	for _, p := range path {
		o = o[p].(map[string]any)
	}
	return o
}

// pod is a pod that nothing is wrong with but what is added to its labels and spec, YAML in flow style.
func pod(labels, spec string) string {
	return fmt.Sprintf("{apiVersion: v1, kind: Pod, metadata: {name: probe, labels: {app: probe%s}}, spec: {securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}, "+
		"containers: [{name: web, image: example/web, securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}}]%s}}", after(labels), after(spec))
}

// networkPolicy is one of a tenant's own, with this rule.
func networkPolicy(rules string) string {
	return "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: own}, spec: {podSelector: {}, " + rules + "}}"
}

func after(text string) string {
	if text == "" {
		return ""
	}
	return ", " + text
}

// opened is what a network policy of a namespace lets out, or in, sorted: "198.51.100.0/28 TCP/443". Nothing when there is no such policy.
func opened(ctx context.Context, namespace, name string) func() []string {
	return func() []string {
		GinkgoHelper()
		p := &networkingv1.NetworkPolicy{}
		if err := admin.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, p); err != nil {
			Expect(client.IgnoreNotFound(err)).To(Succeed())
			return nil
		}
		Expect(p.Spec.PolicyTypes).To(HaveLen(2), "every policy states both types")
		var out []string
		for _, r := range p.Spec.Ingress {
			out = append(out, peers(r.From, r.Ports)...)
		}
		for _, r := range p.Spec.Egress {
			out = append(out, peers(r.To, r.Ports)...)
		}
		slices.Sort(out)
		return out
	}
}

func peers(list []networkingv1.NetworkPolicyPeer, ports []networkingv1.NetworkPolicyPort) []string {
	var out []string
	for _, peer := range list {
		text := "pods"
		if peer.IPBlock != nil {
			text = peer.IPBlock.CIDR
		}
		for _, port := range ports {
			text += fmt.Sprintf(" %s/%s", *port.Protocol, port.Port.String())
		}
		out = append(out, text)
	}
	return out
}

// config is what workloads of a namespace are told: the flat keys, and hipaa.json.
func config(ctx context.Context, namespace string) map[string]string {
	GinkgoHelper()
	c := &corev1.ConfigMap{}
	Expect(admin.Get(ctx, client.ObjectKey{Namespace: namespace, Name: v1alpha1.ConfigMapConfig}, c)).To(Succeed())
	return c.Data
}

// facts are what admission policies judge a namespace by.
func facts(ctx context.Context, namespace string) func() map[string]string {
	return func() map[string]string {
		GinkgoHelper()
		n := &corev1.Namespace{}
		Expect(admin.Get(ctx, client.ObjectKey{Name: namespace}, n)).To(Succeed())
		return n.Annotations
	}
}

// may says whether a person may do something in a namespace, such as "create deployments.apps" or "create pods/exec".
func may(ctx context.Context, user string, groups []string, namespace, what string) bool {
	GinkgoHelper()
	verb, resource, _ := strings.Cut(what, " ")
	resource, group, _ := strings.Cut(resource, ".")
	resource, subresource, _ := strings.Cut(resource, "/")
	review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User: user, Groups: groups, ResourceAttributes: &authorizationv1.ResourceAttributes{
			Namespace: namespace, Verb: verb, Group: group, Resource: resource, Subresource: subresource,
		},
	}}
	Expect(admin.Create(ctx, review)).To(Succeed())
	return review.Status.Allowed
}

// expectBoundTo says that a pod which fits everywhere by its own spec is led to one node of the tenant's regions, and that
// a binding to any other node is refused.
func expectBoundTo(ctx context.Context, namespace string, node string, others ...string) {
	GinkgoHelper()
	p := object(namespace, pod("", "schedulerName: nobody"))
	p.SetName("bound")
	Expect(admin.Create(ctx, p)).To(Succeed())
	DeferCleanup(func(ctx SpecContext) {
		Expect(client.IgnoreNotFound(admin.Delete(ctx, p, client.GracePeriodSeconds(0)))).To(Succeed())
	})
	typed := &corev1.Pod{}
	Expect(admin.Get(ctx, client.ObjectKeyFromObject(p), typed)).To(Succeed())
	terms := typed.Spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms
	Expect(terms).To(HaveEach(HaveField("MatchExpressions", ContainElement(And(
		HaveField("Key", corev1.LabelTopologyRegion), HaveField("Operator", corev1.NodeSelectorOpIn),
		HaveField("Values", strings.Split(facts(ctx, namespace)()[v1alpha1.AnnotationRegions], ","))))))) // terms are ORed: each needs it
	bind := func(to string) error {
		return admin.SubResource("binding").Create(ctx, typed.DeepCopy(), &corev1.Binding{Target: corev1.ObjectReference{Kind: "Node", Name: to}})
	}
	for _, other := range others {
		Expect(bind(other)).To(MatchError(ContainSubstring("hipaatenant-placement-bind")), other)
	}
	Expect(bind(node)).To(Succeed())
}

// expectInjected says that every container of a pod takes its environment from the tenant's config, and that the pod says which.
func expectInjected(ctx context.Context, p *unstructured.Unstructured) {
	GinkgoHelper()
	typed := &corev1.Pod{}
	Expect(runtime.DefaultUnstructuredConverter.FromUnstructured(p.Object, typed)).To(Succeed())
	for _, c := range slices.Concat(typed.Spec.InitContainers, typed.Spec.Containers) {
		Expect(c.EnvFrom).To(ContainElement(HaveField("ConfigMapRef.Name", v1alpha1.ConfigMapConfig)), c.Name)
	}
	hash := facts(ctx, p.GetNamespace())()[v1alpha1.AnnotationConfigHash]
	Expect(hash).NotTo(BeEmpty())
	Expect(p.GetAnnotations()).To(HaveKeyWithValue(v1alpha1.AnnotationConfigHash, hash))
}
