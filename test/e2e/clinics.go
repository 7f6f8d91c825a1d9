package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/test/fixture"
	"github.com/hipaatenant/hipaa-tenant-operator/test/node"
)

// clinics are the other tenants: enough for what an operator in use takes.
func clinics() (all []string) {
	for i := range 20 {
		all = append(all, fmt.Sprintf("clinic-%02d", i+1))
	}
	return all
}

// addTenants makes tenants that are not there yet, and waits until all are Ready.
func (w *world) addTenants(ctx context.Context, names ...string) error {
	if err := w.createTenants(ctx, names...); err != nil {
		return err
	}
	return w.awaitTenants(ctx, names...)
}

func (w *world) createTenants(ctx context.Context, names ...string) error {
	for _, name := range names {
		tenant := fixture.Tenant(name, func(t *v1alpha1.HIPAATenant) { t.Spec.DisabledChannels = []v1alpha1.Name{"sms"} })
		if err := w.admin.Create(ctx, tenant); err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("create tenant %s: %w", name, err)
		}
	}
	return nil
}

func (w *world) awaitTenants(ctx context.Context, names ...string) error {
	return await(ctx, 2*time.Minute, func(ctx context.Context) error {
		waiting, err := w.notReady(ctx, names...)
		if err == nil && len(waiting) > 0 {
			err = fmt.Errorf("not Ready: %s", strings.Join(waiting, ", "))
		}
		return err
	})
}

// notReady are those of the tenants that are not Ready at their present generation.
func (w *world) notReady(ctx context.Context, names ...string) ([]string, error) {
	var list v1alpha1.HIPAATenantList
	if err := w.admin.List(ctx, &list); err != nil {
		return nil, err
	}
	ready := map[string]bool{}
	for i := range list.Items {
		t := &list.Items[i]
		ready[t.Name] = t.Status.ObservedGeneration == t.Generation && meta.IsStatusConditionTrue(t.Status.Conditions, v1alpha1.ConditionReady)
	}
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return ready[name] }), nil
}

// employ gives every tenant a workload, and waits until each runs.
func (w *world) employ(ctx context.Context, tenants ...string) error {
	for _, name := range tenants {
		if err := w.admin.Create(ctx, workload(name)); err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("workload of %s: %w", name, err)
		}
	}
	return await(ctx, 3*time.Minute, func(ctx context.Context) error {
		for _, name := range tenants {
			d := &appsv1.Deployment{}
			if err := w.admin.Get(ctx, client.ObjectKey{Namespace: name, Name: "portal"}, d); err != nil {
				return err
			}
			if d.Status.ReadyReplicas != 1 {
				return fmt.Errorf("the workload of %s does not run: %+v", name, d.Status.Conditions)
			}
		}
		return nil
	})
}

// workload of a tenant that runs, and nothing more.
func workload(tenant string) *appsv1.Deployment {
	labels := map[string]string{"app": "portal"}
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: tenant, Name: "portal"},
		Spec: appsv1.DeploymentSpec{
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: restricted(node.PauseImage)},
		},
	}
}

// restricted is a pod of one container that pod security level restricted lets in.
func restricted(image string) corev1.PodSpec {
	return corev1.PodSpec{
		AutomountServiceAccountToken:  new(false),
		TerminationGracePeriodSeconds: new(int64(1)),
		SecurityContext: &corev1.PodSecurityContext{
			RunAsNonRoot: new(true), RunAsUser: new(int64(65532)), SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
		},
		Containers: []corev1.Container{{
			Name: "app", Image: image, ImagePullPolicy: corev1.PullNever,
			SecurityContext: &corev1.SecurityContext{AllowPrivilegeEscalation: new(false), Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}}},
		}},
	}
}

// life is what tells that a container went on: a restart has another.
type life struct {
	id       string
	restarts int32
}

// lives of the containers of all tenants' pods.
func (w *world) lives(ctx context.Context, tenants ...string) (map[string]life, error) {
	all := map[string]life{}
	for _, name := range tenants {
		pods, err := w.api.CoreV1().Pods(name).List(ctx, metav1.ListOptions{})
		if err != nil {
			return nil, err
		}
		for i := range pods.Items {
			for _, c := range pods.Items[i].Status.ContainerStatuses {
				all[name+"/"+pods.Items[i].Name+"/"+c.Name] = life{c.ContainerID, c.RestartCount}
			}
		}
	}
	return all, nil
}

// livedOn counts the containers that do not live on, which none must do.
func (w *world) livedOn(ctx context.Context, before map[string]life, tenants ...string) (figures string, err error) {
	now, err := w.lives(ctx, tenants...)
	if err != nil {
		return "", err
	}
	var gone []string
	for name, l := range before {
		if now[name] != l {
			gone = append(gone, name)
		}
	}
	slices.Sort(gone)
	figures = fmt.Sprintf(" restarted=%d", len(gone))
	if len(gone) > 0 {
		err = fmt.Errorf("containers were restarted: %s", strings.Join(gone, ", "))
	}
	return figures, err
}
