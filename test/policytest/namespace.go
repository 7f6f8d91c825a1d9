package policytest

import (
	"context"
	"fmt"
	"maps"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
)

// Tenant is the name of the tenant all namespaces of the tests belong to.
const Tenant = "acme-health"

// Without as the value of a fact leaves the fact out.
const Without = "\x00"

// Facts of an ordinary tenant whose gate is open, changed by changes.
func Facts(changes map[string]string) map[string]string {
	facts := map[string]string{
		v1alpha1.AnnotationAdmission:        string(v1alpha1.GateOpen),
		v1alpha1.AnnotationRegions:          "us-east-1,us-west-2",
		v1alpha1.AnnotationIPAllowlist:      "203.0.113.0/24,2001:db8:12::/48",
		v1alpha1.AnnotationEgress:           "198.51.100.0/24",
		v1alpha1.AnnotationDisabledChannels: "sms,acd-email",
		v1alpha1.AnnotationDisabledPorts:    "TCP/2775,UDP/5060",
		v1alpha1.AnnotationStorageClasses:   "encrypted-gp3",
		v1alpha1.AnnotationSessionTimeout:   "900",
		v1alpha1.AnnotationConfigHash:       "0123abcd",
		v1alpha1.AnnotationTenantUID:        "a3a3a3a3-0000-4000-8000-000000000001",
	}
	maps.Copy(facts, changes)
	maps.DeleteFunc(facts, func(_, value string) bool { return value == Without })
	return facts
}

// TenantNamespace makes a namespace as the operator does, with the developers' rights and the application's account in it.
// Pod security is left at baseline, so that the policies are what refuses.
func (e *Env) TenantNamespace(ctx context.Context, changes map[string]string) (string, error) {
	return e.namespace(ctx, Facts(changes), map[string]string{
		v1alpha1.LabelTenant:                 Tenant,
		v1alpha1.LabelManagedBy:              v1alpha1.OperatorName,
		"pod-security.kubernetes.io/enforce": "baseline",
	})
}

// PlainNamespace is the same for nobody's tenant.
func (e *Env) PlainNamespace(ctx context.Context) (string, error) {
	return e.namespace(ctx, nil, nil)
}

func (e *Env) namespace(ctx context.Context, facts, labels map[string]string) (string, error) {
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "acme-", Annotations: facts, Labels: labels}}
	if err := e.Operator.Create(ctx, ns); err != nil {
		return "", err
	}
	account := &corev1.ServiceAccount{ObjectMeta: objectMeta(applicationName)}
	binding := &rbacv1.RoleBinding{
		ObjectMeta: objectMeta("developers"),
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: everythingRole},
		Subjects: []rbacv1.Subject{
			{APIGroup: rbacv1.GroupName, Kind: rbacv1.GroupKind, Name: developers},
			{Kind: rbacv1.ServiceAccountKind, Name: applicationName, Namespace: ns.Name},
		},
	}
	for _, object := range []client.Object{account, binding} {
		object.SetNamespace(ns.Name)
		if err := e.Admin.Create(ctx, object); err != nil {
			return "", fmt.Errorf("create %s in %s: %w", object.GetName(), ns.Name, err)
		}
	}
	if err := e.awaitNamespace(ctx, ns.Name); err != nil {
		return "", err
	}
	return ns.Name, nil
}

// awaitNamespace waits for what pods need, and until the authorizer knows the developers.
func (e *Env) awaitNamespace(ctx context.Context, namespace string) error {
	developer, err := e.client(ctx, Developer, namespace)
	if err != nil {
		return err
	}
	right := &authorizationv1.ResourceAttributes{Namespace: namespace, Verb: "create", Resource: "pods"}
	if err := e.awaitRight(ctx, developer, right); err != nil {
		return err
	}
	return Await(ctx, "the default service account", func(ctx context.Context) error {
		return e.Admin.Get(ctx, client.ObjectKey{Namespace: namespace, Name: "default"}, &corev1.ServiceAccount{})
	})
}

// SetFacts changes facts of a namespace, as the operator. The API server's policies see them a moment later.
func (e *Env) SetFacts(ctx context.Context, namespace string, changes map[string]string) error {
	ns := &corev1.Namespace{}
	if err := e.Admin.Get(ctx, client.ObjectKey{Name: namespace}, ns); err != nil {
		return err
	}
	before := ns.DeepCopy()
	if ns.Annotations == nil {
		ns.Annotations = map[string]string{}
	}
	maps.Copy(ns.Annotations, changes)
	maps.DeleteFunc(ns.Annotations, func(_, value string) bool { return value == Without })
	return e.Operator.Patch(ctx, ns, client.MergeFrom(before))
}
