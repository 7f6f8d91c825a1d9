package admission_test

import (
	"context"
	"errors"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	pt "github.com/hipaatenant/hipaa-tenant-operator/test/policytest"
)

const byOperator = "labels: {app.kubernetes.io/managed-by: hipaa-tenant-operator, hipaatenant.dev/tenant: acme-health}"

// managed are the objects the operator keeps in a tenant's namespace.
var managed = pt.InOrder(
	pt.Create("{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: hipaa-default-deny, "+byOperator+"}, spec: {podSelector: {}, policyTypes: [Ingress, Egress]}}"),
	pt.Create("{apiVersion: v1, kind: ResourceQuota, metadata: {name: hipaa-quota, "+byOperator+"}, spec: {hard: {pods: 50}}}"),
	pt.Create("{apiVersion: v1, kind: LimitRange, metadata: {name: hipaa-limits, "+byOperator+"}, spec: {limits: [{type: Container, default: {cpu: 500m, memory: 256Mi}}]}}"),
	pt.Create("{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: hipaa-developer, "+byOperator+"}, roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}, subjects: [{apiGroup: rbac.authorization.k8s.io, kind: Group, name: acme-devs}]}"),
	pt.Create("{apiVersion: v1, kind: ConfigMap, metadata: {name: hipaa-config, "+byOperator+"}, data: {HIPAA_TENANT: acme-health}}"),
	pt.Create("{apiVersion: v1, kind: Secret, metadata: {name: hipaa-keyset, "+byOperator+"}, stringData: {keyset.json: '{}'}}"),
	// Whatever its name, the label makes it the operator's.
	pt.Create("{apiVersion: v1, kind: ConfigMap, metadata: {name: extra, "+byOperator+"}, data: {a: b}}"),
)

var (
	given      = []pt.Request{managed}
	deny       = &networkingv1.NetworkPolicy{ObjectMeta: named("hipaa-default-deny")}
	quota      = &corev1.ResourceQuota{ObjectMeta: named("hipaa-quota")}
	limits     = &corev1.LimitRange{ObjectMeta: named("hipaa-limits")}
	access     = &rbacv1.RoleBinding{ObjectMeta: named("hipaa-developer")}
	config     = &corev1.ConfigMap{ObjectMeta: named("hipaa-config")}
	keyset     = &corev1.Secret{ObjectMeta: named("hipaa-keyset")}
	extra      = &corev1.ConfigMap{ObjectMeta: named("extra")}
	byItAlone  = "is managed by hipaa-tenant-operator for tenant acme-health"
	relabelled = `{"metadata":{"labels":{"app.kubernetes.io/managed-by":"me"}}}`
	adopted    = `{"metadata":{"ownerReferences":[{"apiVersion":"v1","kind":"ConfigMap","name":"mine","uid":"c3a3a3a3-0000-4000-8000-000000000001"}]}}`
)

// lingering is a pod that holds a terminating namespace.
var lingering = pod("", "finalizers: [example.com/hold]")

const (
	quotaController     pt.User = "system:serviceaccount:kube-system:resourcequota-controller"
	namespaceController pt.User = "system:serviceaccount:kube-system:namespace-controller"
)

// gone succeeds once the object does not exist.
func gone(object client.Object) pt.Request {
	return func(ctx context.Context, s *pt.Session) error {
		target := object.DeepCopyObject().(client.Object)
		target.SetNamespace(s.Namespace)
		if _, ok := target.(*corev1.Namespace); ok {
			target.SetNamespace("")
			target.SetName(s.Namespace)
		}
		err := s.Env.Admin.Get(ctx, client.ObjectKeyFromObject(target), target)
		if apierrors.IsNotFound(err) {
			return nil
		}
		return errors.Join(errors.New("it is still there"), err)
	}
}

func finalized(p *networkingv1.NetworkPolicy) {
	p.Finalizers = append(p.Finalizers, "networking.example.com/rules")
}

func plenty(q *corev1.ResourceQuota) {
	q.Status.Used = corev1.ResourceList{corev1.ResourcePods: resource.MustParse("0")}
}

// managedRows: the operator's objects are created, changed and deleted by it alone.
var managedRows = []pt.Row{
	{Name: "delete the deny-all policy", As: pt.Admin, Given: given, Do: pt.Delete(deny), Want: pt.Refused("tenancy", "NetworkPolicy hipaa-default-deny in namespace", byItAlone, "change HIPAATenant acme-health")},
	{Name: "delete the deny-all policy", Given: given, Do: pt.Delete(deny), Want: pt.Refused("tenancy", byItAlone)},
	{Name: "delete the deny-all policy", As: pt.Application, Given: given, Do: pt.Delete(deny), Want: pt.Refused("tenancy", byItAlone)},
	{Name: "delete all policies at once", Given: given, Do: pt.DeleteAll(deny), Want: pt.Refused("tenancy", byItAlone)},
	{Name: "delete all policies at once", As: pt.Admin, Given: given, Do: pt.DeleteAll(deny), Want: pt.Refused("tenancy", byItAlone)},
	{Name: "delete the deny-all policy of a living namespace", As: namespaceController, Given: given, Do: pt.Delete(deny), Want: pt.Refused("tenancy", byItAlone)},
	{Name: "delete the deny-all policy of a terminating namespace while a pod runs", As: pt.Admin, Inside: true, Given: []pt.Request{managed, pt.Create(lingering), pt.Delete(self)},
		Do: pt.Delete(deny), Want: pt.Refused("tenancy", byItAlone)},
	{Name: "delete the deny-all policy", As: pt.NetworkPlugin, Given: given, Do: pt.Delete(deny), Want: pt.Refused("tenancy", byItAlone)},
	{Name: "delete the quota", As: pt.Admin, Given: given, Do: pt.Delete(quota), Want: pt.Refused("tenancy", "ResourceQuota hipaa-quota in namespace", byItAlone)},
	{Name: "delete the limits", Given: given, Do: pt.Delete(limits), Want: pt.Refused("tenancy", "LimitRange hipaa-limits", byItAlone)},
	{Name: "delete an access binding", As: pt.Admin, Given: given, Do: pt.Delete(access), Want: pt.Refused("tenancy", "RoleBinding hipaa-developer", byItAlone)},
	{Name: "delete the config", Given: given, Do: pt.Delete(config), Want: pt.Refused("tenancy", "ConfigMap hipaa-config", byItAlone)},
	{Name: "delete the keyset", As: pt.Admin, Given: given, Do: pt.Delete(keyset), Want: pt.Refused("tenancy", "Secret hipaa-keyset", byItAlone)},
	{Name: "delete what is labelled as managed", Given: given, Do: pt.Delete(extra), Want: pt.Refused("tenancy", "ConfigMap extra", byItAlone)},
	{Name: "open the deny-all policy", As: pt.Admin, Given: given, Do: pt.Patch(deny, types.MergePatchType, `{"spec":{"policyTypes":["Ingress"]}}`), Want: pt.Refused("tenancy", byItAlone)},
	{Name: "move the deny-all policy off the pods", Given: given, Do: pt.Apply(netpolNamed("hipaa-default-deny", "podSelector: {matchLabels: {app: nothing}}")), Want: pt.Refused("tenancy", byItAlone)},
	{Name: "raise the quota", Given: given, Do: pt.Patch(quota, types.MergePatchType, `{"spec":{"hard":{"pods":"5000"}}}`), Want: pt.Refused("tenancy", byItAlone)},
	{Name: "count the quota down", As: pt.Admin, Given: given, Do: pt.Update(quota, plenty, "status"), Want: pt.Refused("tenancy", byItAlone)},
	{Name: "count the quota down", Given: given, Do: pt.Update(quota, plenty, "status"), Want: pt.Refused("tenancy", byItAlone)},
	{Name: "count the quota", As: quotaController, Given: given, Do: pt.Update(quota, plenty, "status"), Want: pt.Allowed()},
	{Name: "relabel the quota through its status", As: quotaController, Given: given, Do: pt.Update(quota, func(q *corev1.ResourceQuota) { q.Labels = nil }, "status"), Want: pt.Refused("tenancy", byItAlone)},
	{Name: "change the config", Given: given, Do: pt.Patch(config, types.MergePatchType, `{"data":{"HIPAA_TENANT":"other"}}`), Want: pt.Refused("tenancy", byItAlone)},
	{Name: "write the keyset as it is", As: pt.Admin, Given: given, Do: pt.Update(keyset, func(*corev1.Secret) {}), Want: pt.Allowed()},
	{Name: "write the keyset as it is", Given: given, Do: pt.Update(keyset, func(*corev1.Secret) {}), Want: pt.Refused("tenancy", "Secret hipaa-keyset", byItAlone)},
	{Name: "write the deny-all policy as it is", As: pt.Admin, Given: given, Do: pt.Update(deny, func(*networkingv1.NetworkPolicy) {}), Want: pt.Allowed()},
	{Name: "annotate the keyset", As: pt.Admin, Given: given, Do: pt.Update(keyset, func(s *corev1.Secret) { s.Annotations = map[string]string{"a": "b"} }), Want: pt.Refused("tenancy", byItAlone)},
	{Name: "give the keyset a finalizer", As: pt.Admin, Given: given, Do: pt.Update(keyset, func(s *corev1.Secret) { s.Finalizers = []string{"example.com/hold"} }), Want: pt.Refused("tenancy", byItAlone)},
	{Name: "change the keyset", As: pt.Admin, Given: given, Do: pt.Patch(keyset, types.MergePatchType, `{"data":null}`), Want: pt.Refused("tenancy", byItAlone)},
	{Name: "add a subject to an access binding", As: pt.Admin, Given: given, Want: pt.Refused("tenancy", byItAlone),
		Do: pt.Patch(access, types.JSONPatchType, `[{"op":"add","path":"/subjects/-","value":{"apiGroup":"rbac.authorization.k8s.io","kind":"User","name":"mallory"}}]`)},
	{Name: "take the managed-by label off", Given: given, Do: pt.Patch(extra, types.MergePatchType, relabelled), Want: pt.Refused("tenancy", byItAlone)},
	{Name: "take the managed-by label off a fixed name", As: pt.Admin, Given: given, Do: pt.Patch(deny, types.MergePatchType, relabelled), Want: pt.Refused("tenancy", byItAlone)},
	{Name: "give the deny-all policy an owner of one's own", Given: given, Do: pt.Patch(deny, types.MergePatchType, adopted), Want: pt.Refused("tenancy", byItAlone)},
	{Name: "give the deny-all policy an owner of one's own", As: pt.NetworkPlugin, Given: given, Do: pt.Patch(deny, types.MergePatchType, adopted), Want: pt.Refused("tenancy", byItAlone)},
	{Name: "finalizer on the deny-all policy", Given: given, Do: pt.Update(deny, finalized), Want: pt.Refused("tenancy", byItAlone)},
	{Name: "finalizer on the deny-all policy", As: pt.NetworkPlugin, Given: given, Do: pt.Update(deny, finalized), Want: pt.Allowed()},
	{Name: "open the deny-all policy", As: pt.NetworkPlugin, Given: given, Do: pt.Patch(deny, types.MergePatchType, `{"spec":{"policyTypes":["Ingress"]}}`), Want: pt.Refused("tenancy", byItAlone)},
	{Name: "annotate the deny-all policy", As: pt.NetworkPlugin, Given: given, Do: pt.Patch(deny, types.MergePatchType, `{"metadata":{"annotations":{"a":"b"}}}`), Want: pt.Refused("tenancy", byItAlone)},
	{Name: "take a reserved name, NetworkPolicy", Do: pt.Create(netpolNamed("hipaa-mine", "")), Want: pt.Refused("tenancy", "NetworkPolicy hipaa-mine", byItAlone, "or use another name and label")},
	{Name: "take a reserved name, generated", Want: pt.Refused("tenancy", byItAlone),
		Do: pt.Create("{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {generateName: hipaa-}, spec: {podSelector: {}}}")},
	{Name: "take a reserved name, ResourceQuota", As: pt.Admin, Do: pt.Create("{apiVersion: v1, kind: ResourceQuota, metadata: {name: hipaa-quota}, spec: {}}"), Want: pt.Refused("tenancy", byItAlone)},
	{Name: "take a reserved name, LimitRange", Do: pt.Create("{apiVersion: v1, kind: LimitRange, metadata: {name: hipaa-limits}, spec: {limits: []}}"), Want: pt.Refused("tenancy", byItAlone)},
	{Name: "take a reserved name, Secret", As: pt.Admin, Do: pt.Create("{apiVersion: v1, kind: Secret, metadata: {name: hipaa-keyset}}"), Want: pt.Refused("tenancy", byItAlone)},
	{Name: "take a reserved name, ConfigMap", Do: pt.Create("{apiVersion: v1, kind: ConfigMap, metadata: {name: hipaa-config}}"), Want: pt.Refused("tenancy", byItAlone)},
	{Name: "label one's own as managed", Do: pt.Create("{apiVersion: v1, kind: ConfigMap, metadata: {name: mine, " + byOperator + "}}"), Want: pt.Refused("tenancy", byItAlone)},
	{Name: "label one's own as managed later", Given: []pt.Request{pt.Create("{apiVersion: v1, kind: ConfigMap, metadata: {name: extra}}")}, Want: pt.Refused("tenancy", byItAlone),
		Do: pt.Patch(extra, types.MergePatchType, `{"metadata":{"labels":{"app.kubernetes.io/managed-by":"hipaa-tenant-operator"}}}`)},
	{Name: "config and secrets of one's own", Do: pt.InOrder(pt.Create("{apiVersion: v1, kind: ConfigMap, metadata: {name: hipaa-forms}}"), pt.Create("{apiVersion: v1, kind: Secret, metadata: {name: hipaa-certificate}}")), Want: pt.Allowed()},
	{Name: "what another tool manages", Do: pt.Create("{apiVersion: v1, kind: ConfigMap, metadata: {name: release, labels: {app.kubernetes.io/managed-by: Helm}}}"), Want: pt.Allowed()},
	{Name: "quota and limits of one's own", As: pt.Admin, Want: pt.Allowed(), Do: pt.InOrder(
		pt.Create("{apiVersion: v1, kind: ResourceQuota, metadata: {name: team}, spec: {hard: {pods: 5}}}"), pt.Create("{apiVersion: v1, kind: LimitRange, metadata: {name: team}, spec: {limits: []}}"))},
	{Name: "everything it manages", As: pt.Operator, Given: given, Want: pt.Allowed(), Do: pt.InOrder(
		pt.Patch(quota, types.MergePatchType, `{"spec":{"hard":{"pods":"60"}}}`), pt.Patch(config, types.MergePatchType, `{"data":{"HIPAA_REGION":"us-east-1"}}`), pt.Delete(extra), pt.Delete(deny))},
}
