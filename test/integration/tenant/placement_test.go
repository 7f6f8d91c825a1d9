package tenant

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/compile"
	"github.com/hipaatenant/hipaa-tenant-operator/test/bed"
	"github.com/hipaatenant/hipaa-tenant-operator/test/cluster"
	"github.com/hipaatenant/hipaa-tenant-operator/test/fixture"
)

// foundWithin is how soon a pod or volume outside is told of after what put it there: three times the promise, because other
// suites share the cores. How long it took is in the report.
const foundWithin = 15 * time.Second

const (
	misplaced = "False/" + v1alpha1.ReasonPodsMisplaced
	placed    = "True/" + v1alpha1.ReasonEnforced
)

var _ = Describe("pods that are no longer where they may be", Ordered, func() {
	const name, node = "drifter", "drifting"
	var pods []string

	BeforeAll(func(ctx SpecContext) {
		addNode(ctx, cluster.Node{Name: node, Region: fixture.Region})
		create(ctx, fixture.Tenant(name))
		awaitReady(ctx, name)
		deploy(ctx, deployment(name, "web", 3, onNode(node)))
		pods = podNames(ctx, name, node)
		Expect(pods).To(HaveLen(3))
		Expect(state(ctx, name, v1alpha1.ConditionPlacementEnforced)()).To(Equal(placed))
	})

	It("are found when their node is relabelled, and forgotten when it is labelled back", func(ctx SpecContext) {
		expectSoon(ctx, "a relabelled node", name, misplaced, func() { label(ctx, node, "eu-west-1") })
		f := findingOf(ctx, name, compile.CodePodsMisplaced)
		Expect(f.Message).To(ContainSubstring("3 in all: %s/%s on node %s (region eu-west-1)", name, pods[0], node))
		Expect(bed.Condition(get(ctx, name), v1alpha1.ConditionReady).Reason).To(Equal(v1alpha1.ReasonPodsMisplaced))
		Eventually(events(ctx, name)).Should(ContainElement(compile.CodePodsMisplaced))
		Expect(world.Metrics(ctx)).To(ContainSubstring(`hipaatenant_misplaced_pods{tenant="%s"} 3`, name))
		expectSoon(ctx, "a node labelled back", name, placed, func() { label(ctx, node, fixture.Region) })
		awaitReady(ctx, name)
		Expect(world.Metrics(ctx)).NotTo(ContainSubstring(`hipaatenant_misplaced_pods{tenant="%s"}`, name))
	})

	It("are found when their node loses its label, and their tenant is not written to again and again", func(ctx SpecContext) {
		expectSoon(ctx, "a node without its label", name, misplaced, func() { label(ctx, node, "") })
		Expect(findingOf(ctx, name, compile.CodePodsMisplaced).Message).To(ContainSubstring("no region label"))
		stood := get(ctx, name).ResourceVersion
		deploy(ctx, deployment(name, "bystanders", 3, onNode("node-us-east-1")))
		touch(ctx, name)
		touched := get(ctx, name).ResourceVersion
		Expect(touched).NotTo(Equal(stood))
		Consistently(func() string { return get(ctx, name).ResourceVersion }, "2s", "200ms").Should(Equal(touched))
	})

	It("are known after a restart of the operator, which writes nothing", func(ctx SpecContext) {
		Expect(world.Running.Kill()).To(Succeed())
		stood := get(ctx, name).ResourceVersion
		startOperator(ctx)
		Eventually(world.Metrics).WithContext(ctx).Should(ContainSubstring(`hipaatenant_misplaced_pods{tenant="%s"} 3`, name))
		Consistently(func() string { return get(ctx, name).ResourceVersion }, "2s", "200ms").Should(Equal(stood))
	})

	It("are found by an operator that was away when it happened", func(ctx SpecContext) {
		label(ctx, node, fixture.Region)
		awaitReady(ctx, name)
		Expect(world.Running.Kill()).To(Succeed())
		label(ctx, node, "eu-west-1")
		startOperator(ctx)
		expectSoon(ctx, "a node relabelled while the operator was away", name, misplaced, func() {})
	})

	It("are forgotten when they are gone", func(ctx SpecContext) {
		expectSoon(ctx, "pods deleted", name, placed, func() {
			Expect(admin.Delete(ctx, &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: name, Name: "web"}})).To(Succeed())
		})
		awaitReady(ctx, name)
	})
})

var _ = Describe("pods in a region that is no longer allowed", func() {
	It("are found when the tenant gives it up", func(ctx SpecContext) {
		create(ctx, fixture.Tenant("retreating", failover))
		awaitReady(ctx, "retreating")
		deploy(ctx, deployment("retreating", "web", 2, onNode("node-us-west-2")))
		expectSoon(ctx, "a tenant that gave up a region", "retreating", misplaced, func() {
			change(ctx, "retreating", func(t *v1alpha1.HIPAATenant) { t.Spec.FailoverRegions = nil })
		})
		Expect(podNames(ctx, "retreating", "node-us-west-2")).To(HaveLen(2), "Report evicts nobody")
	})

	It("are found when it leaves the profile", func(ctx SpecContext) {
		profile := fixture.Profile("shrinking")
		Expect(admin.Create(ctx, profile)).To(Succeed())
		create(ctx, fixture.Tenant("left-over", failover, of("shrinking")))
		awaitReady(ctx, "left-over")
		deploy(ctx, deployment("left-over", "web", 2, onNode("node-us-west-2")))
		expectSoon(ctx, "a region that left the profile", "left-over", misplaced, func() {
			profile.Spec.Regions = profile.Spec.Regions[:1]
			Expect(admin.Update(ctx, profile)).To(Succeed())
		})
		Expect(state(ctx, "left-over", v1alpha1.ConditionReady)()).To(Equal("False/" + v1alpha1.ReasonInvalid))
	})
})

var _ = Describe("a node whose label and providerID name two regions", func() {
	It("is trusted by nobody", func(ctx SpecContext) {
		const name, node = "doubting", "two-faced"
		create(ctx, fixture.Tenant(name))
		awaitReady(ctx, name)
		expectEventually := func(check func() bool) { Eventually(check, foundWithin).Should(BeTrue()) }
		addNode(ctx, cluster.Node{Name: node, Region: fixture.Region, ProviderID: "aws:///eu-west-1a/i-0f1e2d3c"})
		expectEventually(func() bool { return hasFinding(ctx, name, compile.CodeNodeRegionDisputed) })
		Expect(findingOf(ctx, name, compile.CodeNodeRegionDisputed).Message).To(ContainSubstring("%s (label says us-east-1, providerID eu-west-1)", node))
		Expect(state(ctx, name, v1alpha1.ConditionReady)()).To(Equal("True/Ready"), "no pod of the tenant is on it")
		expectSoon(ctx, "a pod on a node nobody trusts", name, misplaced, func() {
			deploy(ctx, deployment(name, "web", 1, onNode(node)))
		})
		Expect(world.Metrics(ctx)).To(ContainSubstring("hipaatenant_disputed_nodes 1"))
		expectSoon(ctx, "a label corrected", name, misplaced, func() { label(ctx, node, "eu-west-1") })
		expectEventually(func() bool { return !hasFinding(ctx, name, compile.CodeNodeRegionDisputed) })
	})
})

var _ = Describe("volumes", func() {
	It("are found outside the regions of the tenant that claims them", func(ctx SpecContext) {
		const name = "hoarder"
		create(ctx, fixture.Tenant(name))
		awaitReady(ctx, name)
		expectSoon(ctx, "a volume in another region", name, "False/"+v1alpha1.ReasonVolumesOutsideRegions, func() {
			Expect(admin.Create(ctx, volume("abroad", name, "eu-west-1b"))).To(Succeed())
			Expect(admin.Create(ctx, volume("at-home", name, "us-east-1b"))).To(Succeed())
			Expect(admin.Create(ctx, volume("anywhere", name, ""))).To(Succeed())
		})
		Expect(findingOf(ctx, name, compile.CodeVolumesOutsideRegions).Message).To(
			ContainSubstring("1 in all: abroad of claim %s/abroad (region eu-west-1)", name))
		Eventually(func() bool { return hasFinding(ctx, name, compile.CodeVolumeRegionUnknown) }).Should(BeTrue())
		Expect(findingOf(ctx, name, compile.CodeVolumeRegionUnknown).Message).To(HaveSuffix(": anywhere"))
		expectSoon(ctx, "the volume gone", name, placed, func() {
			Expect(admin.Delete(ctx, volume("abroad", name, ""))).To(Succeed())
		})
		awaitReady(ctx, name)
	})
})

// expectSoon does something and waits, as long as was promised, for a tenant to say what became of its placement.
func expectSoon(ctx context.Context, what, tenant, want string, do func()) {
	GinkgoHelper()
	expectTold(what, state(ctx, tenant, v1alpha1.ConditionPlacementEnforced), want, do)
}

// expectTold does something and waits, as long as was promised, for what is said of it.
func expectTold(what string, said func() string, want string, do func()) {
	GinkgoHelper()
	began := time.Now()
	do()
	Eventually(said, foundWithin).Should(Equal(want), what)
	AddReportEntry("told of "+what+" after", time.Since(began).Round(10*time.Millisecond), ReportEntryVisibilityAlways)
}

func findingOf(ctx context.Context, tenant, code string) v1alpha1.Finding {
	GinkgoHelper()
	t := get(ctx, tenant)
	for _, f := range t.Status.Findings {
		if f.Code == code {
			return f
		}
	}
	Fail(fmt.Sprintf("no finding %s in %v", code, t.Status.Findings))
	return v1alpha1.Finding{}
}

func hasFinding(ctx context.Context, tenant, code string) bool {
	for _, f := range get(ctx, tenant).Status.Findings {
		if f.Code == code {
			return true
		}
	}
	return false
}

func failover(t *v1alpha1.HIPAATenant) {
	t.Spec.FailoverRegions = []v1alpha1.Region{fixture.FailoverRegion}
}

func of(profile v1alpha1.Name) func(*v1alpha1.HIPAATenant) {
	return func(t *v1alpha1.HIPAATenant) { t.Spec.Profile = profile }
}

// addNode makes a node that goes away with the spec, or the container, it is made in.
func addNode(ctx context.Context, n cluster.Node) {
	GinkgoHelper()
	Expect(world.Cluster.AddNode(ctx, n)).To(Succeed())
	DeferCleanup(func(ctx SpecContext) {
		Expect(client.IgnoreNotFound(admin.Delete(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: n.Name}}))).To(Succeed())
	})
}

// label sets the region label of a node; empty removes it.
func label(ctx context.Context, node, region string) {
	GinkgoHelper()
	value := any(region)
	if region == "" {
		value = nil
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"labels": map[string]any{corev1.LabelTopologyRegion: value}}})
	Expect(err).NotTo(HaveOccurred())
	Expect(admin.Patch(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: node}}, client.RawPatch(types.MergePatchType, patch))).To(Succeed())
}

// onNode wants a pod on one node and no other.
func onNode(node string) func(*corev1.PodSpec) {
	return func(s *corev1.PodSpec) { s.NodeSelector = map[string]string{corev1.LabelHostname: node} }
}

func podTemplate(app string, change ...func(*corev1.PodSpec)) corev1.PodTemplateSpec {
	t := corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": app}}, Spec: corev1.PodSpec{
		SecurityContext: &corev1.PodSecurityContext{
			RunAsNonRoot: new(true), SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
		},
		Containers: []corev1.Container{{
			Name: "web", Image: "registry.example/web:1",
			Resources: corev1.ResourceRequirements{
				Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("10m"), corev1.ResourceMemory: resource.MustParse("8Mi")},
				Limits:   corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("20m"), corev1.ResourceMemory: resource.MustParse("16Mi")},
			},
			SecurityContext: &corev1.SecurityContext{
				AllowPrivilegeEscalation: new(false), Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
			},
		}},
	}}
	for _, c := range change {
		c(&t.Spec)
	}
	return t
}

func deployment(namespace, app string, replicas int32, change ...func(*corev1.PodSpec)) *appsv1.Deployment {
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: app},
		Spec: appsv1.DeploymentSpec{
			Replicas: new(replicas), Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": app}}, Template: podTemplate(app, change...),
		},
	}
}

// deploy makes a Deployment and waits until its pods run.
func deploy(ctx context.Context, d *appsv1.Deployment) {
	GinkgoHelper()
	Expect(admin.Create(ctx, d)).To(Succeed())
	Eventually(func() int32 {
		Expect(admin.Get(ctx, client.ObjectKeyFromObject(d), d)).To(Succeed())
		return d.Status.ReadyReplicas
	}).Should(Equal(*d.Spec.Replicas))
}

// podsOf are the pods of a namespace that are not on their way out.
func podsOf(ctx context.Context, namespace string) []corev1.Pod {
	GinkgoHelper()
	var list corev1.PodList
	Expect(admin.List(ctx, &list, client.InNamespace(namespace))).To(Succeed())
	var pods []corev1.Pod
	for _, p := range list.Items {
		if p.DeletionTimestamp == nil {
			pods = append(pods, p)
		}
	}
	return pods
}

// podNames are the pods of a namespace on a node, in order.
func podNames(ctx context.Context, namespace, node string) []string {
	GinkgoHelper()
	var names []string
	for _, p := range podsOf(ctx, namespace) {
		if p.Spec.NodeName == node {
			names = append(names, p.Name)
		}
	}
	return names
}

func volume(name, namespace, zone string) *corev1.PersistentVolume {
	v := &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.PersistentVolumeSpec{
			Capacity: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}, AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimRetain,
			PersistentVolumeSource:        corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{Driver: "ebs.csi.aws.com", VolumeHandle: name}},
			ClaimRef:                      &corev1.ObjectReference{Namespace: namespace, Name: name},
		},
	}
	if zone != "" {
		v.Spec.NodeAffinity = &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
			MatchExpressions: []corev1.NodeSelectorRequirement{{Key: "topology.ebs.csi.aws.com/zone", Operator: corev1.NodeSelectorOpIn, Values: []string{zone}}},
		}}}}
	}
	return v
}
