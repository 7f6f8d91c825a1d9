package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/admission"
	"github.com/hipaatenant/hipaa-tenant-operator/test/cluster"
	"github.com/hipaatenant/hipaa-tenant-operator/test/operator"
)

// auditPolicy logs what the operator's service account asks for, and nothing of anybody else.
//
//go:embed audit-policy.yaml
var auditPolicy []byte

// world is a cluster that has everything but tenants: kinds, roles, policies that stand and are type-checked, a node,
// profile and associate.
type world struct {
	cluster *cluster.Cluster
	admin   client.Client
	audit   *auditLog
	dir     string
	uid     string // of namespace kube-system
}

func (b *bench) newWorld(ctx context.Context) (*world, error) {
	dir, err := b.folder("world")
	if err != nil {
		return nil, err
	}
	policy, log := filepath.Join(dir, "audit-policy.yaml"), filepath.Join(dir, "audit.log")
	if err := os.WriteFile(policy, auditPolicy, 0o600); err != nil {
		return nil, err
	}
	c, err := cluster.Start(ctx, cluster.Options{
		Dir: filepath.Join(dir, "cluster"), Fsync: b.fsync, ControllerManager: true, Kwok: true,
		APIServerArgs: []string{
			"--audit-policy-file=" + policy, "--audit-log-path=" + log,
			"--audit-log-maxsize=100000", // MB; a log that rotates in between would lose what was not counted yet
		},
	})
	if err != nil {
		return nil, err
	}
	w := &world{cluster: c, audit: &auditLog{path: log}, dir: dir}
	if err := w.furnish(ctx, b); err != nil {
		return nil, errors.Join(err, w.cluster.Stop())
	}
	return w, nil
}

// furnish brings in everything but tenants.
func (w *world) furnish(ctx context.Context, b *bench) (err error) {
	if err := operator.Install(ctx, w.cluster); err != nil {
		return fmt.Errorf("installing the operator's manifests: %w", err)
	}
	if w.admin, err = operator.NewClient(w.cluster.Config()); err != nil {
		return err
	}
	if err := w.cluster.AddNode(ctx, cluster.RegionNodes()[0]); err != nil {
		return err
	}
	if err := w.installPolicies(ctx); err != nil {
		return fmt.Errorf("installing the admission policies: %w", err)
	}
	for _, object := range []client.Object{benchProfile(), benchAssociate()} {
		if err := w.admin.Create(ctx, object); err != nil {
			return err
		}
	}
	system := &corev1.Namespace{}
	if err := w.admin.Get(ctx, client.ObjectKey{Name: metav1.NamespaceSystem}, system); err != nil {
		return err
	}
	w.uid = string(system.UID)
	clientset, err := kubernetes.NewForConfig(w.cluster.Config())
	if err != nil {
		return err
	}
	version, err := clientset.Discovery().ServerVersion()
	if err != nil {
		return err
	}
	b.server = version.GitVersion
	return nil
}

// installPolicies creates the policies as the operator would, and waits until they are type-checked: neither a floor nor
// the operator shall wait for that while the clock runs.
func (w *world) installPolicies(ctx context.Context) error {
	shipped, err := admission.Load(admission.DefaultIdentity)
	if err != nil {
		return err
	}
	for _, object := range shipped {
		if err := w.admin.Create(ctx, object.DeepCopyObject().(client.Object)); err != nil {
			return err
		}
	}
	return wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
		standing, err := w.policies(ctx)
		return len(admission.Compare(shipped, standing)) == 0, err
	})
}

func (w *world) policies(ctx context.Context) ([]admission.Object, error) {
	var (
		policies         admissionv1.ValidatingAdmissionPolicyList
		bindings         admissionv1.ValidatingAdmissionPolicyBindingList
		mutating         admissionv1.MutatingAdmissionPolicyList
		mutatingBindings admissionv1.MutatingAdmissionPolicyBindingList
		out              []admission.Object
	)
	for _, list := range []client.ObjectList{&policies, &bindings, &mutating, &mutatingBindings} {
		if err := w.admin.List(ctx, list); err != nil {
			return nil, err
		}
	}
	for i := range policies.Items {
		out = append(out, &policies.Items[i])
	}
	for i := range bindings.Items {
		out = append(out, &bindings.Items[i])
	}
	for i := range mutating.Items {
		out = append(out, &mutating.Items[i])
	}
	for i := range mutatingBindings.Items {
		out = append(out, &mutatingBindings.Items[i])
	}
	return out, nil
}

// allowAll lets the floors' writer POST Secrets and ConfigMaps, which RBAC cannot limit to a name as it can an apply.
func (w *world) allowAll(ctx context.Context) error {
	return w.admin.Create(ctx, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "bench-floor"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
		Subjects: []rbacv1.Subject{{
			Kind: rbacv1.ServiceAccountKind, Namespace: v1alpha1.OperatorNamespace, Name: v1alpha1.OperatorName,
		}},
	})
}

// postTenants creates the tenants and returns them as the API server answered, in order.
func (w *world) postTenants(ctx context.Context, n, concurrency int) ([]*v1alpha1.HIPAATenant, error) {
	tenants := make([]*v1alpha1.HIPAATenant, n)
	err := parallel(ctx, n, concurrency, func(ctx context.Context, i int) error {
		tenants[i] = benchTenant(tenantName(i))
		return w.admin.Create(ctx, tenants[i])
	})
	return tenants, err
}
