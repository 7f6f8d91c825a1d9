package admission_test

import (
	"context"
	"fmt"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/test/fixture"
	pt "github.com/hipaatenant/hipaa-tenant-operator/test/policytest"
)

const rbacGroup = "apiGroup: rbac.authorization.k8s.io"

// roleBinding names these subjects, YAML in flow style.
func roleBinding(subjects string) string {
	return fmt.Sprintf("{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: own}, roleRef: {%s, kind: ClusterRole, name: view}, subjects: [%s]}", rbacGroup, subjects)
}

// ofOperator is a roleBinding under a name the operator may use.
func ofOperator(subjects string) string {
	return strings.Replace(roleBinding(subjects), "name: own", "name: hipaa-own", 1)
}

// boundTo binds a ClusterRole to a person.
func boundTo(role string) string {
	return strings.Replace(roleBinding(user("jo@acme.example")), "name: view", "name: "+role, 1)
}

// role grants by these rules, YAML in flow style.
func role(rules string) string {
	return "{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: own}, rules: [" + rules + "]}"
}

func rule(verbs, groups, resources string) string {
	return fmt.Sprintf("{verbs: [%s], apiGroups: [%s], resources: [%s]}", verbs, groups, resources)
}

func user(name string) string  { return "{" + rbacGroup + ", kind: User, name: '" + name + "'}" }
func group(name string) string { return "{" + rbacGroup + ", kind: Group, name: '" + name + "'}" }
func account(namespace, name string) string {
	return "{kind: ServiceAccount, name: " + name + ", namespace: " + namespace + "}"
}

var (
	own     = &rbacv1.RoleBinding{ObjectMeta: named("own")}
	foreign = "which is not a service account of namespace"
	nobody  = "which is not one identified user (45 CFR 164.312(a)(2)(i))"
)

var roleBindingRows = []pt.Row{
	{Name: "role for a person", Do: pt.Create(roleBinding(user("jo@acme.example"))), Want: pt.Allowed()},
	{Name: "role for a group", Do: pt.Create(roleBinding(group("acme-devs"))), Want: pt.Allowed()},
	{Name: "role for an account of the namespace", Do: pt.Create(roleBinding(account("NAMESPACE", "app"))), Want: pt.Allowed()},
	{Name: "role for an account of the namespace, by user name", Do: pt.Create(roleBinding(user("system:serviceaccount:NAMESPACE:app"))), Want: pt.Allowed()},
	{Name: "role for nobody", Do: pt.Create(roleBinding("")), Want: pt.Allowed()},
	{Name: "role for the anonymous user", Do: pt.Create(roleBinding(user("system:anonymous"))), Want: pt.Refused("tenancy", "RoleBinding own names system:anonymous", nobody)},
	{Name: "role for everybody without a login", Do: pt.Create(roleBinding(group("system:unauthenticated"))), Want: pt.Refused("tenancy", "system:unauthenticated", nobody)},
	{Name: "role for everybody with a login", As: pt.Admin, Do: pt.Create(roleBinding(group("system:authenticated"))), Want: pt.Refused("tenancy", "system:authenticated", nobody)},
	{Name: "role for every service account", Do: pt.Create(roleBinding(group("system:serviceaccounts"))), Want: pt.Refused("tenancy", "system:serviceaccounts", nobody)},
	{Name: "role for every service account of this namespace", Do: pt.Create(roleBinding(group("system:serviceaccounts:NAMESPACE"))), Want: pt.Allowed()},
	{Name: "role for every service account of a namespace", Do: pt.Create(roleBinding(group("system:serviceaccounts:kube-system"))), Want: pt.Refused("tenancy", "system:serviceaccounts:kube-system", nobody)},
	{Name: "role for two, one of them everybody", Do: pt.Create(roleBinding(user("jo@acme.example") + ", " + group("system:authenticated"))), Want: pt.Refused("tenancy", "names system:authenticated, ")},
	{Name: "role for everybody", As: pt.Operator, Inside: true, Do: pt.Create(ofOperator(group("system:authenticated"))), Want: pt.Refused("tenancy", nobody)},
	{Name: "role for an account of another namespace", Do: pt.Create(roleBinding(account("other-clinic", "app"))), Want: pt.Refused("tenancy", "RoleBinding own names other-clinic/app", foreign, "name it in spec.roles of HIPAATenant acme-health")},
	{Name: "role for an account of another namespace", As: pt.Admin, Do: pt.Create(roleBinding(account("kube-system", "default"))), Want: pt.Refused("tenancy", "names kube-system/default", foreign)},
	{Name: "role for an account of another namespace, by user name", Do: pt.Create(roleBinding(user("system:serviceaccount:other-clinic:app"))), Want: pt.Refused("tenancy", "system:serviceaccount:other-clinic:app", foreign)},
	{Name: "role for an account of a namespace that begins alike", Do: pt.Create(roleBinding(user("system:serviceaccount:NAMESPACE-2:app"))), Want: pt.Refused("tenancy", foreign)},
	{Name: "role for an account of another namespace", As: pt.Operator, Do: pt.Create(ofOperator(account("ci", "deployer"))), Want: pt.Allowed()},
	{Name: "role for kubelets", Do: pt.Create(roleBinding(group("system:nodes"))), Want: pt.Refused("tenancy", "RoleBinding own names system:nodes, which is an identity of the cluster itself; name people, their groups, or service accounts")},
	{Name: "role for administrators of the cluster", As: pt.Admin, Do: pt.Create(roleBinding(group("system:masters"))), Want: pt.Refused("tenancy", "system:masters, which is an identity of the cluster")},
	{Name: "role for a component of the cluster", As: pt.Application, Do: pt.Apply(roleBinding(user("system:kube-scheduler"))), Want: pt.Refused("tenancy", "system:kube-scheduler, which is an identity of the cluster")},
	{Name: "role for a person whose name begins alike", Do: pt.Create(roleBinding(user("systemadmin@acme.example"))), Want: pt.Allowed()},
	{Name: "everything, by cluster-admin", As: pt.Admin, Do: pt.Create(boundTo("cluster-admin")), Want: pt.Refused("tenancy", "RoleBinding own binds cluster-admin, which holds what an approved EmergencyAccess is for", "name the subject in spec.roles of HIPAATenant acme-health")},
	{Name: "everything, by cluster-admin", Do: pt.DryRun(boundTo("cluster-admin")), Want: pt.Refused("tenancy", "binds cluster-admin")},
	{Name: "what an EmergencyAccess grants", As: pt.Admin, Do: pt.Create(boundTo("hipaatenant-emergency")), Want: pt.Refused("tenancy", "RoleBinding own binds hipaatenant-emergency")},
	{Name: "what an EmergencyAccess grants", As: pt.Operator, Do: pt.Create(strings.Replace(ofOperator(user("jo@acme.example")), "name: view", "name: hipaatenant-emergency", 1)), Want: pt.Allowed()},
	{Name: "role under a name of the tenant's", As: pt.Operator, Inside: true, Do: pt.Create(roleBinding(user("jo@acme.example"))), Want: pt.Refused("tenancy", "RoleBinding own in namespace", "is not one that hipaa-tenant-operator writes")},
	{Name: "role where nobody is a tenant", As: pt.Operator, Inside: true, Do: pt.Create(strings.Replace(ofOperator(user("jo@acme.example")), "name: hipaa-own", "name: hipaa-own, namespace: default", 1)),
		Want: pt.Refused("tenancy", "RoleBinding hipaa-own in namespace default is not one that hipaa-tenant-operator writes")},
	{Name: "a built-in role", As: pt.Admin, Do: pt.Create(boundTo("edit")), Want: pt.Allowed()},
	{Name: "everybody added to a role", Given: []pt.Request{pt.As(pt.Admin, pt.Create(roleBinding(user("jo@acme.example"))))}, Want: pt.Refused("tenancy", nobody),
		Do: pt.Patch(own, types.JSONPatchType, `[{"op":"add","path":"/subjects/-","value":{"apiGroup":"rbac.authorization.k8s.io","kind":"Group","name":"system:authenticated"}}]`)},
	{Name: "foreign account added to a role, server-side apply", Given: []pt.Request{pt.As(pt.Admin, pt.Create(roleBinding(user("jo@acme.example"))))}, Do: pt.Apply(roleBinding(account("other-clinic", "app"))), Want: pt.Refused("tenancy", foreign)},
	{Name: "label of a role that names a foreign account", Given: []pt.Request{formerly(roleBinding(account("ci", "deployer")))}, Do: pt.Patch(own, types.MergePatchType, `{"metadata":{"labels":{"a":"b"}}}`), Want: pt.Allowed()},
	{Name: "role for everybody taken back", Given: []pt.Request{formerly(roleBinding(account("ci", "deployer")))}, Do: pt.Delete(own), Want: pt.Allowed()},
}

// roleRows: no Role leads to more than it grants.
var roleRows = []pt.Row{
	{Name: "Role of an application", Do: pt.Create(role(rule("'*'", "''", "configmaps, pods") + ", " + rule("get, list", "'*'", "'*'"))), Want: pt.Allowed()},
	{Name: "Role for tokens and secrets", Do: pt.Create(role(rule("create", "''", "serviceaccounts/token") + ", " + rule("get", "''", "secrets"))), Want: pt.Allowed()},
	{Name: "Role with which an EmergencyAccess is not needed", Do: pt.Create(role(rule("use", "hipaatenant.dev", "emergencyaccesses"))),
		Want: pt.Refused("tenancy", "Role own grants use on emergencyaccesses.hipaatenant.dev, with which tenant acme-health could grant itself any other right")},
	{Name: "Role with which an EmergencyAccess is not needed", As: pt.Application, Do: pt.Apply(role(rule("get", "''", "pods") + ", " + rule("'*'", "hipaatenant.dev", "'*'"))), Want: pt.Refused("tenancy", "grants use on emergencyaccesses.hipaatenant.dev")},
	{Name: "Role of an approved EmergencyAccess", As: pt.Operator, Do: pt.Create(role(rule("use", "hipaatenant.dev", "emergencyaccesses"))), Want: pt.Allowed()},
	{Name: "Role for everything", As: pt.Admin, Do: pt.Create(role(rule("'*'", "'*'", "'*'"))),
		Want: pt.Refused("tenancy", "escalate on roles.rbac.authorization.k8s.io, bind on roles.rbac.authorization.k8s.io, bind on clusterroles.rbac.authorization.k8s.io, impersonate on serviceaccounts", "list the verbs and resources that are needed instead of *")},
	{Name: "Role that may grow", Do: pt.Create(role(rule("escalate", "rbac.authorization.k8s.io", "roles"))), Want: pt.Refused("tenancy", "grants escalate on roles.rbac")},
	{Name: "Role that binds others", Do: pt.Create(role(rule("bind", "rbac.authorization.k8s.io", "clusterroles"))), Want: pt.Refused("tenancy", "grants bind on clusterroles.rbac")},
	{Name: "Role that is somebody else", Do: pt.Create(role(rule("impersonate", "''", "serviceaccounts"))), Want: pt.Refused("tenancy", "grants impersonate on serviceaccounts")},
	{Name: "Role that is somebody else, within limits", Do: pt.DryRun(role(rule("'impersonate-on:user-info:list'", "''", "pods"))), Want: pt.Refused("tenancy", "grants impersonate on serviceaccounts")},
	{Name: "Role widened", Given: []pt.Request{pt.Create(role(rule("get", "''", "pods")))}, Want: pt.Refused("tenancy", "grants bind on roles.rbac"),
		Do: pt.Patch(&rbacv1.Role{ObjectMeta: named("own")}, types.JSONPatchType, `[{"op":"add","path":"/rules/-","value":{"verbs":["bind"],"apiGroups":["rbac.authorization.k8s.io"],"resources":["roles"]}}]`)},
	{Name: "label of a Role of former times", Given: []pt.Request{formerly(role(rule("'*'", "'*'", "'*'")))}, Do: pt.Patch(&rbacv1.Role{ObjectMeta: named("own")}, types.MergePatchType, `{"metadata":{"labels":{"a":"b"}}}`), Want: pt.Allowed()},
}

// forRow names a cluster-scoped object after the row's namespace.
func forRow(object client.Object, request func(client.Object) pt.Request) pt.Request {
	return func(ctx context.Context, s *pt.Session) error {
		copied := object.DeepCopyObject().(client.Object)
		copied.SetName(s.Namespace)
		return request(copied)(ctx, s)
	}
}

func create(object client.Object) pt.Request {
	return func(ctx context.Context, s *pt.Session) error { return s.Client.Create(ctx, object) }
}

func patchWith(body string, subresource ...string) func(client.Object) pt.Request {
	return func(object client.Object) pt.Request {
		return pt.Patch(object, types.MergePatchType, body, subresource...)
	}
}

var (
	aTenant     = fixture.Tenant("acme")
	finalTenant = fixture.Tenant("acme", func(t *v1alpha1.HIPAATenant) { t.Finalizers = []string{v1alpha1.Finalizer} })
	anAssociate = fixture.Associate("clearing")
	theTenant   = []pt.Request{forRow(aTenant, create)}
	finalGiven  = []pt.Request{forRow(finalTenant, create)}
	theVendor   = []pt.Request{forRow(anAssociate, create)}
)

const (
	ready      = `{"status":{"conditions":[{"type":"Ready","status":"True","reason":"Ready","message":"","lastTransitionTime":"2026-01-01T00:00:00Z"}]}}`
	inForce    = `{"status":{"conditions":[{"type":"inForce","status":"True","reason":"InForce","message":"","lastTransitionTime":"2026-01-01T00:00:00Z"}]}}`
	unfinal    = `{"metadata":{"finalizers":null}}`
	final      = `{"metadata":{"finalizers":["hipaatenant.dev/finalizer"]}}`
	foreground = `{"metadata":{"finalizers":["hipaatenant.dev/finalizer","example.com/backup"]}}`
)

// statusRows: what the operator found is written by it alone.
var statusRows = []pt.Row{
	{Name: "status of a tenant", As: pt.Admin, Inside: true, Given: theTenant, Do: forRow(aTenant, patchWith(ready, "status")), Want: pt.Refused("tenancy", "status of HIPAATenant", "is written by the operator alone")},
	{Name: "status of a tenant", As: pt.Operator, Given: theTenant, Do: forRow(aTenant, patchWith(ready, "status")), Want: pt.Allowed()},
	{Name: "status of an associate", As: pt.Admin, Inside: true, Given: theVendor, Do: forRow(anAssociate, patchWith(inForce, "status")), Want: pt.Refused("tenancy", "status of BusinessAssociate", "is written by the operator alone")},
	{Name: "status of an associate", As: pt.Operator, Given: theVendor, Do: forRow(anAssociate, patchWith(inForce, "status")), Want: pt.Allowed()},
	{Name: "finalizer of a tenant stripped", As: pt.Admin, Inside: true, Given: finalGiven, Do: forRow(aTenant, patchWith(unfinal)), Want: pt.Refused("tenancy", "finalizer hipaatenant.dev/finalizer of HIPAATenant", "set annotation hipaatenant.dev/abandon: ")},
	{Name: "finalizer of a tenant put on", As: pt.Admin, Inside: true, Given: theTenant, Do: forRow(aTenant, patchWith(final)), Want: pt.Refused("tenancy", "finalizer hipaatenant.dev/finalizer of HIPAATenant")},
	{Name: "another finalizer of a tenant", As: pt.Admin, Given: finalGiven, Do: forRow(aTenant, patchWith(foreground)), Want: pt.Allowed()},
	{Name: "finalizer of a tenant", As: pt.Operator, Given: finalGiven, Do: forRow(aTenant, patchWith(unfinal)), Want: pt.Allowed()},
	{Name: "spec of a tenant", As: pt.Admin, Given: finalGiven, Do: forRow(aTenant, patchWith(`{"spec":{"sessionTimeout":"10m"}}`)), Want: pt.Allowed()},
	{Name: "spec of an associate", As: pt.Admin, Given: theVendor, Do: forRow(anAssociate, patchWith(`{"spec":{"displayName":"Clearing"}}`)), Want: pt.Allowed()},
}
