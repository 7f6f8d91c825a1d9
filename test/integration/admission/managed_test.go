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

	. "github.com/hipaatenant/hipaa-tenant-operator/test/policytest"
)

const byOperator = "labels: {app.kubernetes.io/managed-by: hipaa-tenant-operator, hipaatenant.dev/tenant: acme-health}"

// managed are the objects the operator keeps in a tenant's namespace.
var managed = InOrder(
	Create("{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: hipaa-default-deny, "+byOperator+"}, spec: {podSelector: {}, policyTypes: [Ingress, Egress]}}"),
	Create("{apiVersion: v1, kind: ResourceQuota, metadata: {name: hipaa-quota, "+byOperator+"}, spec: {hard: {pods: 50}}}"),
	Create("{apiVersion: v1, kind: LimitRange, metadata: {name: hipaa-limits, "+byOperator+"}, spec: {limits: [{type: Container, default: {cpu: 500m, memory: 256Mi}}]}}"),
	Create("{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: hipaa-developer, "+byOperator+"}, roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}, subjects: [{apiGroup: rbac.authorization.k8s.io, kind: Group, name: acme-devs}]}"),
	Create("{apiVersion: v1, kind: ConfigMap, metadata: {name: hipaa-config, "+byOperator+"}, data: {HIPAA_TENANT: acme-health}}"),
	Create("{apiVersion: v1, kind: Secret, metadata: {name: hipaa-keyset, "+byOperator+"}, stringData: {keyset.json: '{}'}}"),
	// Whatever its name, the label makes it the operator's.
	Create("{apiVersion: v1, kind: ConfigMap, metadata: {name: extra, "+byOperator+"}, data: {a: b}}"),
)

var (
	given      = []Request{managed}
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

const (
	quotaController     User = "system:serviceaccount:kube-system:resourcequota-controller"
	namespaceController User = "system:serviceaccount:kube-system:namespace-controller"
)

// gone succeeds once the object does not exist.
func gone(object client.Object) Request {
	return func(ctx context.Context, s *Session) error {
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
var managedRows = []Row{
	{Name: "delete the deny-all policy", As: Admin, Given: given, Do: Delete(deny), Want: Refused("tenancy", "NetworkPolicy hipaa-default-deny in namespace", byItAlone, "change HIPAATenant acme-health")},
	{Name: "delete the deny-all policy", Given: given, Do: Delete(deny), Want: Refused("tenancy", byItAlone)},
	{Name: "delete the deny-all policy", As: Application, Given: given, Do: Delete(deny), Want: Refused("tenancy", byItAlone)},
	{Name: "delete all policies at once", Given: given, Do: DeleteAll(deny), Want: Refused("tenancy", byItAlone)},
	{Name: "delete all policies at once", As: Admin, Given: given, Do: DeleteAll(deny), Want: Refused("tenancy", byItAlone)},
	{Name: "delete the deny-all policy of a living namespace", As: namespaceController, Given: given, Do: Delete(deny), Want: Refused("tenancy", byItAlone)},
	{Name: "delete the deny-all policy", As: NetworkPlugin, Given: given, Do: Delete(deny), Want: Refused("tenancy", byItAlone)},
	{Name: "delete the quota", As: Admin, Given: given, Do: Delete(quota), Want: Refused("tenancy", "ResourceQuota hipaa-quota in namespace", byItAlone)},
	{Name: "delete the limits", Given: given, Do: Delete(limits), Want: Refused("tenancy", "LimitRange hipaa-limits", byItAlone)},
	{Name: "delete an access binding", As: Admin, Given: given, Do: Delete(access), Want: Refused("tenancy", "RoleBinding hipaa-developer", byItAlone)},
	{Name: "delete the config", Given: given, Do: Delete(config), Want: Refused("tenancy", "ConfigMap hipaa-config", byItAlone)},
	{Name: "delete the keyset", As: Admin, Given: given, Do: Delete(keyset), Want: Refused("tenancy", "Secret hipaa-keyset", byItAlone)},
	{Name: "delete what is labelled as managed", Given: given, Do: Delete(extra), Want: Refused("tenancy", "ConfigMap extra", byItAlone)},
	{Name: "open the deny-all policy", As: Admin, Given: given, Do: Patch(deny, types.MergePatchType, `{"spec":{"policyTypes":["Ingress"]}}`), Want: Refused("tenancy", byItAlone)},
	{Name: "move the deny-all policy off the pods", Given: given, Do: Apply(netpolNamed("hipaa-default-deny", "podSelector: {matchLabels: {app: nothing}}")), Want: Refused("tenancy", byItAlone)},
	{Name: "raise the quota", Given: given, Do: Patch(quota, types.MergePatchType, `{"spec":{"hard":{"pods":"5000"}}}`), Want: Refused("tenancy", byItAlone)},
	{Name: "count the quota down", As: Admin, Given: given, Do: Update(quota, plenty, "status"), Want: Refused("tenancy", byItAlone)},
	{Name: "count the quota down", Given: given, Do: Update(quota, plenty, "status"), Want: Refused("tenancy", byItAlone)},
	{Name: "count the quota", As: quotaController, Given: given, Do: Update(quota, plenty, "status"), Want: Allowed()},
	{Name: "relabel the quota through its status", As: quotaController, Given: given, Do: Update(quota, func(q *corev1.ResourceQuota) { q.Labels = nil }, "status"), Want: Refused("tenancy", byItAlone)},
	{Name: "raise the quota", As: quotaController, Given: given, Do: Update(quota, plenty, "status"), Want: Allowed()},
	{Name: "change the config", Given: given, Do: Patch(config, types.MergePatchType, `{"data":{"HIPAA_TENANT":"other"}}`), Want: Refused("tenancy", byItAlone)},
	{Name: "change the keyset", As: Admin, Given: given, Do: Patch(keyset, types.MergePatchType, `{"data":null}`), Want: Refused("tenancy", byItAlone)},
	{Name: "add a subject to an access binding", As: Admin, Given: given, Want: Refused("tenancy", byItAlone),
		Do: Patch(access, types.JSONPatchType, `[{"op":"add","path":"/subjects/-","value":{"apiGroup":"rbac.authorization.k8s.io","kind":"User","name":"mallory"}}]`)},
	{Name: "take the managed-by label off", Given: given, Do: Patch(extra, types.MergePatchType, relabelled), Want: Refused("tenancy", byItAlone)},
	{Name: "take the managed-by label off a fixed name", As: Admin, Given: given, Do: Patch(deny, types.MergePatchType, relabelled), Want: Refused("tenancy", byItAlone)},
	{Name: "give the deny-all policy an owner of one's own", Given: given, Do: Patch(deny, types.MergePatchType, adopted), Want: Refused("tenancy", byItAlone)},
	{Name: "give the deny-all policy an owner of one's own", As: NetworkPlugin, Given: given, Do: Patch(deny, types.MergePatchType, adopted), Want: Refused("tenancy", byItAlone)},
	{Name: "finalizer on the deny-all policy", Given: given, Do: Update(deny, finalized), Want: Refused("tenancy", byItAlone)},
	{Name: "finalizer on the deny-all policy", As: NetworkPlugin, Given: given, Do: Update(deny, finalized), Want: Allowed()},
	{Name: "open the deny-all policy", As: NetworkPlugin, Given: given, Do: Patch(deny, types.MergePatchType, `{"spec":{"policyTypes":["Ingress"]}}`), Want: Refused("tenancy", byItAlone)},
	{Name: "annotate the deny-all policy", As: NetworkPlugin, Given: given, Do: Patch(deny, types.MergePatchType, `{"metadata":{"annotations":{"a":"b"}}}`), Want: Refused("tenancy", byItAlone)},
	{Name: "take a reserved name, NetworkPolicy", Do: Create(netpolNamed("hipaa-mine", "")), Want: Refused("tenancy", "NetworkPolicy hipaa-mine", byItAlone, "or use another name and label")},
	{Name: "take a reserved name, generated", Want: Refused("tenancy", byItAlone),
		Do: Create("{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {generateName: hipaa-}, spec: {podSelector: {}}}")},
	{Name: "take a reserved name, ResourceQuota", As: Admin, Do: Create("{apiVersion: v1, kind: ResourceQuota, metadata: {name: hipaa-quota}, spec: {}}"), Want: Refused("tenancy", byItAlone)},
	{Name: "take a reserved name, LimitRange", Do: Create("{apiVersion: v1, kind: LimitRange, metadata: {name: hipaa-limits}, spec: {limits: []}}"), Want: Refused("tenancy", byItAlone)},
	{Name: "take a reserved name, Secret", As: Admin, Do: Create("{apiVersion: v1, kind: Secret, metadata: {name: hipaa-keyset}}"), Want: Refused("tenancy", byItAlone)},
	{Name: "take a reserved name, ConfigMap", Do: Create("{apiVersion: v1, kind: ConfigMap, metadata: {name: hipaa-config}}"), Want: Refused("tenancy", byItAlone)},
	{Name: "label one's own as managed", Do: Create("{apiVersion: v1, kind: ConfigMap, metadata: {name: mine, " + byOperator + "}}"), Want: Refused("tenancy", byItAlone)},
	{Name: "label one's own as managed later", Given: []Request{Create("{apiVersion: v1, kind: ConfigMap, metadata: {name: extra}}")}, Want: Refused("tenancy", byItAlone),
		Do: Patch(extra, types.MergePatchType, `{"metadata":{"labels":{"app.kubernetes.io/managed-by":"hipaa-tenant-operator"}}}`)},
	{Name: "config and secrets of one's own", Do: InOrder(Create("{apiVersion: v1, kind: ConfigMap, metadata: {name: hipaa-forms}}"), Create("{apiVersion: v1, kind: Secret, metadata: {name: hipaa-certificate}}")), Want: Allowed()},
	{Name: "what another tool manages", Do: Create("{apiVersion: v1, kind: ConfigMap, metadata: {name: release, labels: {app.kubernetes.io/managed-by: Helm}}}"), Want: Allowed()},
	{Name: "quota and limits of one's own", As: Admin, Want: Allowed(), Do: InOrder(
		Create("{apiVersion: v1, kind: ResourceQuota, metadata: {name: team}, spec: {hard: {pods: 5}}}"), Create("{apiVersion: v1, kind: LimitRange, metadata: {name: team}, spec: {limits: []}}"))},
	{Name: "everything it manages", As: Operator, Given: given, Want: Allowed(), Do: InOrder(
		Patch(quota, types.MergePatchType, `{"spec":{"hard":{"pods":"60"}}}`), Patch(config, types.MergePatchType, `{"data":{"HIPAA_REGION":"us-east-1"}}`), Delete(extra), Delete(deny))},
}
