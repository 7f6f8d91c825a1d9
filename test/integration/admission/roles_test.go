package admission_test

import (
	"context"
	"fmt"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/test/fixture"
	. "github.com/hipaatenant/hipaa-tenant-operator/test/policytest"
)

const rbacGroup = "apiGroup: rbac.authorization.k8s.io"

// roleBinding names these subjects, YAML in flow style.
func roleBinding(subjects string) string {
	return fmt.Sprintf("{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: own}, roleRef: {%s, kind: ClusterRole, name: view}, subjects: [%s]}", rbacGroup, subjects)
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

var roleBindingRows = []Row{
	{Name: "role for a person", Do: Create(roleBinding(user("jo@acme.example"))), Want: Allowed()},
	{Name: "role for a group", Do: Create(roleBinding(group("acme-devs"))), Want: Allowed()},
	{Name: "role for an account of the namespace", Do: Create(roleBinding(account("NAMESPACE", "app"))), Want: Allowed()},
	{Name: "role for an account of the namespace, by user name", Do: Create(roleBinding(user("system:serviceaccount:NAMESPACE:app"))), Want: Allowed()},
	{Name: "role for nobody", Do: Create(roleBinding("")), Want: Allowed()},
	{Name: "role for the anonymous user", Do: Create(roleBinding(user("system:anonymous"))), Want: Refused("tenancy", "RoleBinding own names system:anonymous", nobody)},
	{Name: "role for everybody without a login", Do: Create(roleBinding(group("system:unauthenticated"))), Want: Refused("tenancy", "system:unauthenticated", nobody)},
	{Name: "role for everybody with a login", As: Admin, Do: Create(roleBinding(group("system:authenticated"))), Want: Refused("tenancy", "system:authenticated", nobody)},
	{Name: "role for every service account", Do: Create(roleBinding(group("system:serviceaccounts"))), Want: Refused("tenancy", "system:serviceaccounts", nobody)},
	{Name: "role for every service account of a namespace", Do: Create(roleBinding(group("system:serviceaccounts:kube-system"))), Want: Refused("tenancy", "system:serviceaccounts:kube-system", nobody)},
	{Name: "role for two, one of them everybody", Do: Create(roleBinding(user("jo@acme.example") + ", " + group("system:authenticated"))), Want: Refused("tenancy", "names system:authenticated, ")},
	{Name: "role for everybody", As: Operator, Do: Create(roleBinding(group("system:authenticated"))), Want: Refused("tenancy", nobody)},
	{Name: "role for an account of another namespace", Do: Create(roleBinding(account("other-clinic", "app"))), Want: Refused("tenancy", "RoleBinding own names other-clinic/app", foreign, "name it in spec.roles of HIPAATenant acme-health")},
	{Name: "role for an account of another namespace", As: Admin, Do: Create(roleBinding(account("kube-system", "default"))), Want: Refused("tenancy", "names kube-system/default", foreign)},
	{Name: "role for an account of another namespace, by user name", Do: Create(roleBinding(user("system:serviceaccount:other-clinic:app"))), Want: Refused("tenancy", "system:serviceaccount:other-clinic:app", foreign)},
	{Name: "role for an account of a namespace that begins alike", Do: Create(roleBinding(user("system:serviceaccount:NAMESPACE-2:app"))), Want: Refused("tenancy", foreign)},
	{Name: "role for an account of another namespace", As: Operator, Do: Create(roleBinding(account("ci", "deployer"))), Want: Allowed()},
	{Name: "everybody added to a role", Given: []Request{Create(roleBinding(user("jo@acme.example")))}, Want: Refused("tenancy", nobody),
		Do: Patch(own, types.JSONPatchType, `[{"op":"add","path":"/subjects/-","value":{"apiGroup":"rbac.authorization.k8s.io","kind":"Group","name":"system:authenticated"}}]`)},
	{Name: "foreign account added to a role, server-side apply", Given: []Request{Create(roleBinding(user("jo@acme.example")))}, Do: Apply(roleBinding(account("other-clinic", "app"))), Want: Refused("tenancy", foreign)},
	{Name: "label of a role that names a foreign account", Given: []Request{Create(roleBinding(account("ci", "deployer")))}, Do: Patch(own, types.MergePatchType, `{"metadata":{"labels":{"a":"b"}}}`), Want: Allowed()},
	{Name: "role for everybody taken back", Given: []Request{Create(roleBinding(account("ci", "deployer")))}, Do: Delete(own), Want: Allowed()},
}

// forRow names a cluster-scoped object after the row's namespace.
func forRow(object client.Object, request func(client.Object) Request) Request {
	return func(ctx context.Context, s *Session) error {
		copied := object.DeepCopyObject().(client.Object)
		copied.SetName(s.Namespace)
		return request(copied)(ctx, s)
	}
}

func create(object client.Object) Request {
	return func(ctx context.Context, s *Session) error { return s.Client.Create(ctx, object) }
}

func patchWith(body string, subresource ...string) func(client.Object) Request {
	return func(object client.Object) Request { return Patch(object, types.MergePatchType, body, subresource...) }
}

var (
	aTenant     = fixture.Tenant("acme")
	finalTenant = fixture.Tenant("acme", func(t *v1alpha1.HIPAATenant) { t.Finalizers = []string{v1alpha1.Finalizer} })
	anAssociate = fixture.Associate("clearing")
	theTenant   = []Request{forRow(aTenant, create)}
	finalGiven  = []Request{forRow(finalTenant, create)}
	theVendor   = []Request{forRow(anAssociate, create)}
)

const (
	ready      = `{"status":{"conditions":[{"type":"Ready","status":"True","reason":"Ready","message":"","lastTransitionTime":"2026-01-01T00:00:00Z"}]}}`
	inForce    = `{"status":{"conditions":[{"type":"inForce","status":"True","reason":"InForce","message":"","lastTransitionTime":"2026-01-01T00:00:00Z"}]}}`
	unfinal    = `{"metadata":{"finalizers":null}}`
	final      = `{"metadata":{"finalizers":["hipaatenant.dev/finalizer"]}}`
	foreground = `{"metadata":{"finalizers":["hipaatenant.dev/finalizer","example.com/backup"]}}`
)

// statusRows: what the operator found is written by it alone.
var statusRows = []Row{
	{Name: "status of a tenant", As: Admin, Inside: true, Given: theTenant, Do: forRow(aTenant, patchWith(ready, "status")), Want: Refused("tenancy", "status of HIPAATenant", "is written by the operator alone")},
	{Name: "status of a tenant", As: Operator, Given: theTenant, Do: forRow(aTenant, patchWith(ready, "status")), Want: Allowed()},
	{Name: "status of an associate", As: Admin, Inside: true, Given: theVendor, Do: forRow(anAssociate, patchWith(inForce, "status")), Want: Refused("tenancy", "status of BusinessAssociate", "is written by the operator alone")},
	{Name: "status of an associate", As: Operator, Given: theVendor, Do: forRow(anAssociate, patchWith(inForce, "status")), Want: Allowed()},
	{Name: "finalizer of a tenant stripped", As: Admin, Inside: true, Given: finalGiven, Do: forRow(aTenant, patchWith(unfinal)), Want: Refused("tenancy", "finalizer hipaatenant.dev/finalizer of HIPAATenant", "set annotation hipaatenant.dev/abandon: ")},
	{Name: "finalizer of a tenant put on", As: Admin, Inside: true, Given: theTenant, Do: forRow(aTenant, patchWith(final)), Want: Refused("tenancy", "finalizer hipaatenant.dev/finalizer of HIPAATenant")},
	{Name: "another finalizer of a tenant", As: Admin, Given: finalGiven, Do: forRow(aTenant, patchWith(foreground)), Want: Allowed()},
	{Name: "finalizer of a tenant", As: Operator, Given: finalGiven, Do: forRow(aTenant, patchWith(unfinal)), Want: Allowed()},
	{Name: "spec of a tenant", As: Admin, Given: finalGiven, Do: forRow(aTenant, patchWith(`{"spec":{"sessionTimeout":"10m"}}`)), Want: Allowed()},
	{Name: "spec of an associate", As: Admin, Given: theVendor, Do: forRow(anAssociate, patchWith(`{"spec":{"displayName":"Clearing"}}`)), Want: Allowed()},
}
