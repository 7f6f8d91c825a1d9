package admission_test

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"strings"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	pt "github.com/hipaatenant/hipaa-tenant-operator/test/policytest"
)

// self is the row's namespace.
var self = &corev1.Namespace{}

const (
	otherTenant = `{"metadata":{"labels":{"hipaatenant.dev/tenant":"other-clinic"}}}`
	noTenant    = `[{"op":"remove","path":"/metadata/labels/hipaatenant.dev~1tenant"}]`
	openGate    = `{"metadata":{"annotations":{"hipaatenant.dev/admission":"open"}}}`
	wideList    = `[{"op":"replace","path":"/metadata/annotations/hipaatenant.dev~1ip-allowlist","value":"0.0.0.0/0"}]`
	privileged  = `{"metadata":{"labels":{"pod-security.kubernetes.io/enforce":"privileged"}}}`
)

func labels(change map[string]string) func(*corev1.Namespace) {
	return func(n *corev1.Namespace) { maps.Copy(n.Labels, change) }
}

func annotations(change map[string]string) func(*corev1.Namespace) {
	return func(n *corev1.Namespace) { maps.Copy(n.Annotations, change) }
}

// keyRows: what ties a namespace to its tenant is written by the operator alone, through every door. On namespaces of no
// tenant too: the next one taken over must not bring facts along.
var keyRows = []pt.Row{
	{Name: "make kube-system a tenant's", As: pt.Operator, Inside: true, Do: pt.Patch(&corev1.Namespace{ObjectMeta: named("kube-system")}, types.MergePatchType, otherTenant),
		Want: pt.Refused("tenancy", "namespace kube-system is the cluster's or the operator's own")},
	{Name: "make its own namespace a tenant's", As: pt.Operator, Inside: true, Do: pt.Patch(&corev1.Namespace{ObjectMeta: named("hipaa-system")}, types.MergePatchType, otherTenant),
		Want: pt.Refused("tenancy", "namespace hipaa-system is the cluster's or the operator's own")},
	{Name: "tenant label changed", Inside: true, Do: pt.Patch(self, types.MergePatchType, otherTenant),
		Want: pt.Refused("tenancy", "hipaatenant.dev/tenant of namespace", "is written by hipaa-tenant-operator alone; change HIPAATenant acme-health")},
	{Name: "tenant label changed", As: pt.Admin, Inside: true, Do: pt.Patch(self, types.StrategicMergePatchType, otherTenant), Want: pt.Refused("tenancy", "hipaatenant.dev/tenant of namespace")},
	{Name: "tenant label changed", As: pt.Application, Inside: true, Do: pt.Patch(self, types.MergePatchType, otherTenant), Want: pt.Refused("tenancy", "hipaatenant.dev/tenant of namespace")},
	{Name: "tenant label changed by update", As: pt.Admin, Inside: true, Do: pt.Update(self, labels(map[string]string{"hipaatenant.dev/tenant": "other-clinic"})), Want: pt.Refused("tenancy", "hipaatenant.dev/tenant of namespace")},
	{Name: "tenant label changed by server-side apply", As: pt.Admin, Inside: true, Do: pt.Apply(`{apiVersion: v1, kind: Namespace, metadata: {name: NAMESPACE, labels: {hipaatenant.dev/tenant: other-clinic}}}`),
		Want: pt.Refused("tenancy", "hipaatenant.dev/tenant of namespace")},
	{Name: "label on a namespace with very many annotations", As: pt.Admin, Given: []pt.Request{pt.As(pt.Admin, pt.Patch(self, types.MergePatchType, veryMany()))},
		Do: pt.Patch(self, types.MergePatchType, `{"metadata":{"labels":{"team":"x"}}}`), Want: pt.Allowed()},
	{Name: "tenant label changed on a namespace with very many annotations", As: pt.Admin, Inside: true, Given: []pt.Request{pt.As(pt.Admin, pt.Patch(self, types.MergePatchType, veryMany()))},
		Do: pt.Patch(self, types.MergePatchType, otherTenant), Want: pt.Refused("tenancy", "hipaatenant.dev/tenant of namespace")},
	{Name: "tenant label changed through status", As: pt.Admin, Inside: true, Do: pt.Patch(self, types.MergePatchType, otherTenant, "status"), Want: pt.Refused("tenancy", "hipaatenant.dev/tenant of namespace")},
	{Name: "tenant label changed through finalize", As: pt.Admin, Inside: true, Do: pt.Update(self, labels(map[string]string{"hipaatenant.dev/tenant": "other-clinic"}), "finalize"), Want: pt.Refused("tenancy", "hipaatenant.dev/tenant of namespace")},
	{Name: "tenant label stripped", Inside: true, Do: pt.Patch(self, types.JSONPatchType, noTenant), Want: pt.Refused("tenancy", "hipaatenant.dev/tenant of namespace")},
	{Name: "tenant label stripped", As: pt.Admin, Inside: true, Do: pt.Patch(self, types.JSONPatchType, noTenant), Want: pt.Refused("tenancy", "hipaatenant.dev/tenant of namespace")},
	{Name: "tenant label stripped through status", As: pt.Developer, Inside: true, Do: pt.Patch(self, types.JSONPatchType, noTenant, "status"), Want: pt.Refused("tenancy", "hipaatenant.dev/tenant of namespace")},
	{Name: "tenant label stripped through finalize", As: pt.Developer, Inside: true, Do: pt.Update(self, func(n *corev1.Namespace) { delete(n.Labels, "hipaatenant.dev/tenant") }, "finalize"),
		Want: pt.Refused("tenancy", "hipaatenant.dev/tenant of namespace")},
	{Name: "gate opened", Facts: gate("locked"), Inside: true, Do: pt.Patch(self, types.MergePatchType, openGate), Want: pt.Refused("tenancy", "hipaatenant.dev/admission of namespace")},
	{Name: "gate opened", As: pt.Admin, Facts: gate("quarantined"), Inside: true, Do: pt.Patch(self, types.MergePatchType, openGate), Want: pt.Refused("tenancy", "hipaatenant.dev/admission of namespace")},
	{Name: "gate opened through status", As: pt.Admin, Facts: gate("locked"), Inside: true, Do: pt.Patch(self, types.MergePatchType, openGate, "status"), Want: pt.Refused("tenancy", "hipaatenant.dev/admission of namespace")},
	{Name: "gate opened through finalize", As: pt.Admin, Facts: gate("locked"), Inside: true, Do: pt.Update(self, annotations(gate("open")), "finalize"), Want: pt.Refused("tenancy", "hipaatenant.dev/admission of namespace")},
	{Name: "fact widened", As: pt.Admin, Inside: true, Do: pt.Patch(self, types.JSONPatchType, wideList), Want: pt.Refused("tenancy", "hipaatenant.dev/ip-allowlist of namespace")},
	{Name: "fact removed", As: pt.Admin, Inside: true, Do: pt.Patch(self, types.MergePatchType, `{"metadata":{"annotations":{"hipaatenant.dev/disabled-ports":null}}}`), Want: pt.Refused("tenancy", "hipaatenant.dev/disabled-ports of namespace")},
	{Name: "several facts", As: pt.Admin, Inside: true, Do: pt.Patch(self, types.MergePatchType, `{"metadata":{"labels":{"hipaatenant.dev/tenant":"y"},"annotations":{"hipaatenant.dev/regions":"eu-west-1","team":"blue"}}}`),
		Want: pt.Refused("tenancy", "hipaatenant.dev/tenant, hipaatenant.dev/regions of namespace")},
	{Name: "eviction of a tenant's pod", As: pt.Operator, Given: []pt.Request{pt.Create(pod(""))}, Do: evict(""), Want: pt.Allowed()},
	{Name: "eviction of a pod of nobody's", As: pt.Operator, Inside: true, Given: []pt.Request{inDefault}, Do: evict("default"),
		Want: pt.Refused("tenancy", "namespace default belongs to no tenant")},
	{Name: "eviction of a pod of nobody's", As: pt.Admin, Given: []pt.Request{inDefault}, Do: evict("default"), Want: pt.Allowed()},
	{Name: "pod security loosened", As: pt.Admin, Do: pt.Patch(self, types.MergePatchType, privileged), Want: pt.Refused("tenancy", "pod-security.kubernetes.io/enforce of namespace")},
	{Name: "pod security version pinned", As: pt.Admin, Do: pt.Patch(self, types.MergePatchType, `{"metadata":{"labels":{"pod-security.kubernetes.io/enforce-version":"v1.20"}}}`), Want: pt.Refused("tenancy", "pod-security.kubernetes.io/enforce-version")},
	{Name: "devices in use by others claimed", As: pt.Admin, Do: pt.Patch(self, types.MergePatchType, `{"metadata":{"labels":{"resource.kubernetes.io/admin-access":"true"}}}`), Want: pt.Refused("tenancy", "resource.kubernetes.io/admin-access of namespace")},
	{Name: "managed-by label stripped", As: pt.Admin, Do: pt.Patch(self, types.MergePatchType, `{"metadata":{"labels":{"app.kubernetes.io/managed-by":null}}}`), Want: pt.Refused("tenancy", "app.kubernetes.io/managed-by of namespace")},
	{Name: "tenant label changed, dry run", As: pt.Admin, Inside: true, Do: dryRunLabel, Want: pt.Refused("tenancy", "hipaatenant.dev/tenant of namespace")},
	{Name: "labels and annotations of one's own", As: pt.Admin, Do: pt.Patch(self, types.MergePatchType, `{"metadata":{"labels":{"team":"blue"},"annotations":{"contact":"ops"}}}`), Want: pt.Allowed()},
	{Name: "labels of one's own", Do: pt.Patch(self, types.MergePatchType, `{"metadata":{"labels":{"team":"blue"}}}`), Want: pt.Allowed()},
	{Name: "facts", As: pt.Operator, Do: pt.Patch(self, types.JSONPatchType, wideList), Want: pt.Allowed()},
	{Name: "a namespace of one's own", As: pt.Admin, Do: pt.Create(`{apiVersion: v1, kind: Namespace, metadata: {generateName: own-, labels: {pod-security.kubernetes.io/enforce: privileged}}}`), Want: pt.Allowed()},
	{Name: "a namespace born as a tenant's", As: pt.Admin, Inside: true, Do: pt.Create(`{apiVersion: v1, kind: Namespace, metadata: {generateName: own-, labels: {hipaatenant.dev/tenant: acme-health}}}`),
		Want: pt.Refused("tenancy", "is written by hipaa-tenant-operator alone; to hand the namespace to a tenant, name it in spec.namespaces of a HIPAATenant, with adopt: true")},
	{Name: "a namespace born with facts", As: pt.Admin, Inside: true, Do: pt.Create(`{apiVersion: v1, kind: Namespace, metadata: {generateName: own-, annotations: {hipaatenant.dev/tenant-uid: "1"}}}`), Want: pt.Refused("tenancy", "hipaatenant.dev/tenant-uid of namespace")},
	{Name: "kube-system made a tenant's", As: pt.Admin, Inside: true, Do: pt.Patch(&corev1.Namespace{ObjectMeta: named("kube-system")}, types.MergePatchType, otherTenant), Want: pt.Refused("tenancy", "namespace kube-system is the cluster's or the operator's own")},
	{Name: "kube-system made a tenant's through status", As: pt.Admin, Inside: true, Do: pt.Patch(&corev1.Namespace{ObjectMeta: named("kube-system")}, types.MergePatchType, otherTenant, "status"), Want: pt.Refused("tenancy", "namespace kube-system is the cluster's or the operator's own")},
	{Name: "pod security of a namespace of no tenant", As: pt.Admin, Do: pt.Patch(&corev1.Namespace{ObjectMeta: named("default")}, types.MergePatchType, privileged), Want: pt.Allowed()},
}

// unmake tries to delete a namespace that others need.
func unmake(name string) pt.Request {
	return func(ctx context.Context, s *pt.Session) error {
		return s.Client.Delete(ctx, &corev1.Namespace{ObjectMeta: named(name)}, client.DryRunAll)
	}
}

// ensure makes a namespace of nobody's, unless it is there.
func ensure(name string) pt.Request {
	return func(ctx context.Context, s *pt.Session) error {
		return client.IgnoreAlreadyExists(s.Client.Create(ctx, &corev1.Namespace{ObjectMeta: named(name)}))
	}
}

func dryRunLabel(ctx context.Context, s *pt.Session) error {
	kube, err := s.Kube()
	if err != nil {
		return err
	}
	_, err = kube.CoreV1().Namespaces().Patch(ctx, s.Namespace, types.MergePatchType, []byte(otherTenant), metav1.PatchOptions{DryRun: []string{metav1.DryRunAll}})
	return err
}

func owned(n *corev1.Namespace) {
	n.OwnerReferences = append(n.OwnerReferences, metav1.OwnerReference{APIVersion: "v1", Kind: "Node", Name: "us-1", UID: "b3a3a3a3-0000-4000-8000-000000000001"})
}

const held = `{"metadata":{"finalizers":["example.com/hold"]}}`

// lifeRows: a tenant's namespace goes when the operator has let go of it, and not before.
var lifeRows = []pt.Row{
	{Name: "owner added", As: pt.Admin, Do: pt.Update(self, owned), Want: pt.Refused("tenancy", "takes no owner; the garbage collector would delete it, with its data")},
	{Name: "owner added", Do: pt.Update(self, owned), Want: pt.Refused("tenancy", "takes no owner")},
	{Name: "owner added through status", As: pt.Admin, Do: pt.Update(self, owned, "status"), Want: pt.Refused("tenancy", "takes no owner")},
	{Name: "owner added through finalize", As: pt.Admin, Do: pt.Update(self, owned, "finalize"), Want: pt.Refused("tenancy", "takes no owner")},
	{Name: "finalizer added", As: pt.Admin, Do: pt.Patch(self, types.MergePatchType, held), Want: pt.Refused("tenancy", "takes no finalizer")},
	{Name: "finalizer added", Do: pt.Patch(self, types.MergePatchType, held), Want: pt.Refused("tenancy", "takes no finalizer")},
	{Name: "finalizer added through finalize", As: pt.Admin, Do: pt.Update(self, func(n *corev1.Namespace) { n.Finalizers = []string{"example.com/hold"} }, "finalize"), Want: pt.Refused("tenancy", "takes no finalizer")},
	{Name: "finalizer of former times removed", As: pt.Admin, Given: []pt.Request{pt.Patch(self, types.MergePatchType, held)}, Do: pt.Patch(self, types.MergePatchType, `{"metadata":{"finalizers":null}}`), Want: pt.Allowed()},
	{Name: "emptying skipped", As: pt.Admin, Do: pt.Update(self, func(n *corev1.Namespace) { n.Spec.Finalizers = nil }, "finalize"), Want: pt.Refused("tenancy", "spec.finalizers of namespace", "is written by the namespace controller")},
	{Name: "emptying skipped", Do: pt.Update(self, func(n *corev1.Namespace) { n.Spec.Finalizers = nil }, "finalize"), Want: pt.Refused("tenancy", "spec.finalizers of namespace")},
	{Name: "finalize without a change", As: pt.Admin, Do: pt.Update(self, func(*corev1.Namespace) {}, "finalize"), Want: pt.Allowed()},
	{Name: "delete while open", As: pt.Admin, Do: pt.Delete(self), Want: pt.Refused("tenancy", "holds data of tenant acme-health and is deleted only while it is quarantined (it is open); take it out of spec.namespaces, or delete HIPAATenant acme-health, first")},
	{Name: "delete while open", Do: pt.Delete(self), Want: pt.Refused("tenancy", "holds data of tenant acme-health")},
	{Name: "delete while locked", As: pt.Admin, Facts: gate("locked"), Do: pt.Delete(self), Want: pt.Refused("tenancy", "(it is locked)")},
	{Name: "delete while frozen", As: pt.Admin, Facts: gate("frozen"), Do: pt.Delete(self), Want: pt.Refused("tenancy", "(it is frozen)")},
	{Name: "delete without a gate", As: pt.Admin, Facts: gate(pt.Without), Do: pt.Delete(self), Want: pt.Refused("tenancy", "(it is without a gate)")},
	{Name: "delete, as the garbage collector", As: "system:serviceaccount:kube-system:generic-garbage-collector", Do: pt.Delete(self), Want: pt.Refused("tenancy", "(it is open)")},
	{Name: "delete while open", As: pt.Operator, Do: pt.Delete(self), Want: pt.Allowed()},
	{Name: "delete the operator's namespace", As: pt.Admin, Inside: true, Do: unmake("hipaa-system"),
		Want: pt.Refused("tenancy", "namespace hipaa-system holds keys of tenants and records of deleted ones, and is not deleted", "delete its admission policies first")},
	{Name: "delete the operator's namespace", As: pt.Operator, Inside: true, Do: unmake("hipaa-system"), Want: pt.Refused("tenancy", "namespace hipaa-system holds keys")},
	{Name: "delete a namespace whose name begins like the operator's", As: pt.Admin, Given: []pt.Request{pt.As(pt.Admin, ensure("hipaa-sys"))}, Do: unmake("hipaa-sys"), Want: pt.Allowed()},
	{Name: "delete while quarantined, down to the last managed object", As: pt.Admin, Facts: gate("quarantined"), Given: []pt.Request{managed},
		Do: pt.InOrder(pt.Delete(self), pt.Eventually("the namespace to be gone", gone(self))), Want: pt.Allowed()},
}

var tenancyTable = pt.Table{Policy: "tenancy", Rows: concat(keyRows, lifeRows, managedRows, roleBindingRows, roleRows, statusRows)}

var _ = tenancyTable.Specs(environment)

// veryMany is nearly as many annotations as the API server takes. Whoever may annotate a namespace must not be able to make
// it cost more to judge than an expression may, or nobody could write it any more.
func veryMany() string {
	var keys []string
	for i := range 30_000 {
		keys = append(keys, fmt.Sprintf(`"a%05d":""`, i))
	}
	return `{"metadata":{"annotations":{` + strings.Join(keys, ",") + `}}}`
}

// evict asks for the eviction of pod web, in the row's namespace unless told another, as a dry run.
func evict(namespace string) pt.Request {
	return func(ctx context.Context, s *pt.Session) error {
		web := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: cmp.Or(namespace, s.Namespace), Name: "web"}}
		return s.Client.SubResource("eviction").Create(ctx, web, &policyv1.Eviction{
			DeleteOptions: &metav1.DeleteOptions{DryRun: []string{metav1.DryRunAll}},
		})
	}
}

// inDefault makes pod web in namespace default, unless another row did.
func inDefault(ctx context.Context, s *pt.Session) error {
	object, err := s.Read(pod(""))
	if err != nil {
		return err
	}
	object.SetNamespace(metav1.NamespaceDefault)
	return client.IgnoreAlreadyExists(s.Env.Admin.Create(ctx, object))
}
