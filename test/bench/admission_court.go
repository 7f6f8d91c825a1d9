package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/admission"
	"github.com/hipaatenant/hipaa-tenant-operator/test/cluster"
	"github.com/hipaatenant/hipaa-tenant-operator/test/operator"
)

// court is an API server with so many tenant namespaces and policies bound in one way. No controllers run beside it.
type court struct {
	tenants int
	bound   bound
	cluster *cluster.Cluster
	admin   client.Client
	kube    *kubernetes.Clientset
	version string
}

// bound is a way to bind the policies.
type bound int

const (
	unbound bound = iota
	// boundOnce is how the policies ship: one binding each, for any number of tenants.
	boundOnce
	// boundToEach is the foil: every policy that looks at pods has one binding for each tenant, selected by its label.
	boundToEach
)

const (
	// nobodys is a namespace that differs from a tenant's in one thing: the label that makes it a tenant's.
	nobodys = "nobody"
	// setupWorkers write at a time while a court is prepared.
	setupWorkers = 16
	// inForce bounds the wait for the policies. Thousands of bindings take the API server seconds.
	inForce = 2 * time.Minute
)

// openCourts returns the floor first, then the policies as they ship in the order of the options, then the foils. What it
// has opened is returned with an error too.
func (b *bench) openCourts(ctx context.Context) ([]*court, error) {
	plans := []court{{tenants: 1}}
	for _, n := range b.namespaces {
		plans = append(plans, court{tenants: n, bound: boundOnce})
	}
	for _, n := range b.foils {
		plans = append(plans, court{tenants: n, bound: boundToEach})
	}
	var courts []*court
	for _, plan := range plans {
		c, err := b.openCourt(ctx, plan)
		if c.cluster != nil {
			courts = append(courts, c)
		}
		if err != nil {
			return courts, fmt.Errorf("%d tenant namespaces: %w", plan.tenants, err)
		}
	}
	return courts, nil
}

func (b *bench) openCourt(ctx context.Context, plan court) (*court, error) {
	c := &plan
	dir, err := b.folder("admission")
	if err != nil {
		return c, err
	}
	began := time.Now()
	if c.cluster, err = cluster.Start(ctx, cluster.Options{Dir: filepath.Join(dir, "cluster"), Fsync: b.fsync}); err != nil {
		return c, err
	}
	config := rest.CopyConfig(c.cluster.Config())
	config.ContentType, config.QPS = runtime.ContentTypeProtobuf, -1
	if c.admin, err = operator.NewClient(config); err != nil {
		return c, err
	}
	if c.kube, err = kubernetes.NewForConfig(config); err != nil {
		return c, err
	}
	version, err := c.kube.Discovery().ServerVersion()
	if err != nil {
		return c, err
	}
	c.version = version.GitVersion
	if err := c.furnish(ctx); err != nil {
		return c, err
	}
	b.say("%d tenant namespaces, %d policies and bindings, in %s", c.tenants, c.policyObjects(), time.Since(began).Round(time.Second))
	return c, nil
}

// furnish brings in the namespaces first: once the policies stand, nobody but the operator writes facts.
func (c *court) furnish(ctx context.Context) error {
	model, err := tenantNamespace(ctx)
	if err != nil {
		return err
	}
	err = parallel(ctx, c.tenants, setupWorkers, func(ctx context.Context, i int) error {
		return c.admin.Create(ctx, named(model, tenantName(i), tenantName(i)))
	})
	if err != nil {
		return err
	}
	if err := c.admin.Create(ctx, named(model, nobodys, "")); err != nil {
		return err
	}
	for _, namespace := range []string{tenantName(0), nobodys} {
		account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default", Namespace: namespace}}
		if err := c.admin.Create(ctx, account); err != nil {
			return err
		}
	}
	if err := c.addLargest(ctx, model); err != nil {
		return err
	}
	objects, err := c.policies()
	if err != nil {
		return err
	}
	err = parallel(ctx, len(objects), setupWorkers, func(ctx context.Context, i int) error { return c.admin.Create(ctx, objects[i]) })
	if err != nil || c.bound == unbound {
		return err
	}
	return c.awaitPolicies(ctx)
}

// tenantNamespace is the namespace the operator makes of the representative tenant.
func tenantNamespace(ctx context.Context) (*corev1.Namespace, error) {
	tenant := benchTenant(tenantName(0))
	tenant.UID, tenant.Generation, tenant.ResourceVersion = "6b0f3a52-9f3c-4b57-9d0e-6f4b1c0f1a2b", 1, "1"
	drawn, err := newDrawer("bench").draw(ctx, tenant)
	if err != nil {
		return nil, err
	}
	object, _, err := typed(drawn.objects[0])
	if err != nil {
		return nil, err
	}
	namespace, ok := object.(*corev1.Namespace)
	if !ok {
		return nil, fmt.Errorf("expected the namespace to be written first, found %T", object)
	}
	return namespace, nil
}

// named is the namespace under another name, of another tenant; of nobody if that is empty.
func named(model *corev1.Namespace, name, tenant string) *corev1.Namespace {
	namespace := model.DeepCopy()
	namespace.Name = name
	namespace.Labels[v1alpha1.LabelTenant] = tenant
	if tenant == "" {
		delete(namespace.Labels, v1alpha1.LabelTenant)
	}
	return namespace
}

// policies are the shipped objects, as they are bound here.
func (c *court) policies() ([]client.Object, error) {
	shipped, err := admission.Load(admission.DefaultIdentity)
	if err != nil || c.bound == unbound {
		return nil, err
	}
	var list []client.Object
	perTenant := map[string]bool{}
	for _, object := range shipped {
		if c.bound == boundToEach && matchesPods(object) {
			perTenant[object.GetName()] = true
		}
	}
	for _, object := range shipped {
		if bindings := c.bindings(object); bindings != nil && perTenant[object.GetName()] {
			list = append(list, bindings...)
			continue
		}
		list = append(list, object.(client.Object))
	}
	return list, nil
}

// policyObjects is how many there are; none when they cannot be read, which furnish has told before.
func (c *court) policyObjects() int {
	list, err := c.policies()
	if err != nil {
		return 0
	}
	return len(list)
}

// matchesPods says whether a policy is asked when a pod is created.
func matchesPods(object admission.Object) bool {
	var match *admissionv1.MatchResources
	switch p := object.(type) {
	case *admissionv1.ValidatingAdmissionPolicy:
		match = p.Spec.MatchConstraints
	case *admissionv1.MutatingAdmissionPolicy:
		match = p.Spec.MatchConstraints
	default:
		return false
	}
	return slices.ContainsFunc(match.ResourceRules, func(rule admissionv1.NamedRuleWithOperations) bool {
		return slices.Contains(rule.Resources, "pods")
	})
}

// bindings are one for each tenant in place of one for all; nil of a policy.
func (c *court) bindings(object admission.Object) []client.Object {
	var list []client.Object
	for i := range c.tenants {
		name := fmt.Sprintf("%s-%05d", object.GetName(), i)
		match := &admissionv1.MatchResources{
			NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{v1alpha1.LabelTenant: tenantName(i)}},
			ObjectSelector:    &metav1.LabelSelector{},
		}
		switch b := object.DeepCopyObject().(type) {
		case *admissionv1.ValidatingAdmissionPolicyBinding:
			b.Name, b.Spec.MatchResources = name, match
			list = append(list, b)
		case *admissionv1.MutatingAdmissionPolicyBinding:
			b.Name, b.Spec.MatchResources = name, match
			list = append(list, b)
		}
	}
	return list
}

var errNotInForce = errors.New("expected a pod to be placed and one with a node name to be refused")

// awaitPolicies waits until a pod is placed, and one that names its node is refused.
func (c *court) awaitPolicies(ctx context.Context) error {
	last := errNotInForce
	err := wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, inForce, true, func(ctx context.Context) (bool, error) {
		v := c.visit(ofTenant, 0)
		placed, err := v.create(ctx, metav1.DryRunAll)
		if err != nil {
			last = err
			return false, nil
		}
		v.pod.Spec.NodeName = "anywhere"
		_, err = v.create(ctx, metav1.DryRunAll)
		return err != nil && placed.Spec.Affinity != nil, nil
	})
	if err != nil {
		return fmt.Errorf("waiting for the policies: %w: %w", err, last)
	}
	return nil
}
