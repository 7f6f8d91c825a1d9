package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/test/fixture"
)

const (
	// wanderer is a tenant whose pod is on a node that goes abroad; its profile is its own.
	wanderer = "wanderer"
	abroad   = "eu-west-1"
	// toldWithin is how soon a pod on a foreign node is told of.
	toldWithin = 5 * time.Second
)

// misplaced moves a node to a foreign region under a running pod: it is told of, and, once the profile says so, evicted. Its
// replacement runs at home, and a new pod that asks for the node abroad waits.
func (w *world) misplaced(ctx context.Context) (string, error) {
	pod, err := w.settleWanderer(ctx)
	if err != nil {
		return "", err
	}
	from := pod.Spec.NodeName
	figures, err := w.goAbroad(ctx, pod)
	return figures, errors.Join(err, w.bringHome(ctx, from))
}

// goAbroad does it to a pod's node.
func (w *world) goAbroad(ctx context.Context, pod *corev1.Pod) (string, error) {
	from, moved := pod.Spec.NodeName, time.Now()
	if _, err := w.shell(ctx, "kubectl label node "+from+" topology.kubernetes.io/region="+abroad+" --overwrite"); err != nil {
		return "", err
	}
	err := w.awaitPlacement(ctx, v1alpha1.ReasonPodsMisplaced, 30*time.Second)
	told := time.Since(moved)
	if err != nil {
		return "", err
	}
	figures := fmt.Sprintf("told_after=%.1fs", told.Seconds())
	if err := w.askAbroad(ctx, from); err != nil {
		return figures, err
	}
	if err := errors.Join(w.stays(ctx, pod), w.waitsAbroad(ctx, from)); err != nil {
		return figures, err
	}
	figures += " new_pod=waits"
	if _, err := w.shell(ctx, "kubectl get hipaatenant "+wanderer+" && kubectl get events -n default --field-selector involvedObject.name="+wanderer+" -o custom-columns=REASON:.reason,MESSAGE:.message | tail -3"); err != nil {
		return figures, err
	}
	evict := time.Now()
	if _, err := w.shell(ctx, `kubectl patch hipaaprofile `+wanderer+` --type=merge -p '{"spec":{"placement":{"onMisplaced":"Evict"}}}'`); err != nil {
		return figures, err
	}
	replaced, err := w.portalOf(ctx, wanderer, func(p *corev1.Pod) bool { return p.UID != pod.UID })
	figures += fmt.Sprintf(" replaced_after=%.1fs", time.Since(evict).Seconds())
	if err != nil {
		return figures, err
	}
	figures += fmt.Sprintf(" from=%s to=%s", from, replaced.Spec.NodeName)
	if replaced.Spec.NodeName == from {
		return figures, fmt.Errorf("expected the replacement on another node than %s", from)
	}
	if err := w.awaitPlacement(ctx, v1alpha1.ReasonEnforced, 30*time.Second); err != nil {
		return figures, err
	}
	if told > toldWithin {
		err = fmt.Errorf("%w: expected it to be told within %s", errTarget, toldWithin)
	}
	return figures, err
}

// settleWanderer makes the tenant, with a pod on the first node.
func (w *world) settleWanderer(ctx context.Context) (*corev1.Pod, error) {
	first, second := w.nodes[0].Name, w.nodes[1].Name
	for _, o := range []client.Object{
		fixture.Profile(wanderer),
		fixture.Tenant(wanderer, func(t *v1alpha1.HIPAATenant) { t.Spec.Profile = wanderer }),
	} {
		if err := w.admin.Create(ctx, o); err != nil && !apierrors.IsAlreadyExists(err) {
			return nil, err
		}
	}
	if err := w.awaitTenants(ctx, wanderer); err != nil {
		return nil, err
	}
	if _, err := w.shell(ctx, "kubectl cordon "+second); err != nil {
		return nil, err
	}
	err := w.employ(ctx, wanderer)
	_, uncordon := w.shell(ctx, "kubectl uncordon "+second)
	if err := errors.Join(err, uncordon); err != nil {
		return nil, err
	}
	return w.portalOf(ctx, wanderer, func(p *corev1.Pod) bool { return p.Spec.NodeName == first })
}

// portalOf waits until a tenant's workload has one pod that is as wanted, and runs.
func (w *world) portalOf(ctx context.Context, tenant string, wanted func(*corev1.Pod) bool) (pod *corev1.Pod, err error) {
	err = await(ctx, time.Minute, func(ctx context.Context) error {
		var list corev1.PodList
		if err := w.admin.List(ctx, &list, client.InNamespace(tenant), client.MatchingLabels{"app": "portal"}); err != nil {
			return err
		}
		if len(list.Items) != 1 {
			return fmt.Errorf("expected one pod of %s, found %d", tenant, len(list.Items))
		}
		pod = &list.Items[0]
		if !wanted(pod) || pod.Status.Phase != corev1.PodRunning || pod.DeletionTimestamp != nil {
			return fmt.Errorf("expected pod %s to run where it must, found it %s on %q", pod.Name, pod.Status.Phase, pod.Spec.NodeName)
		}
		return nil
	})
	return pod, err
}

// awaitPlacement waits until the tenant says so about its pods.
func (w *world) awaitPlacement(ctx context.Context, reason string, limit time.Duration) error {
	return await(ctx, limit, func(ctx context.Context) error {
		t := &v1alpha1.HIPAATenant{}
		if err := w.admin.Get(ctx, client.ObjectKey{Name: wanderer}, t); err != nil {
			return err
		}
		c := meta.FindStatusCondition(t.Status.Conditions, v1alpha1.ConditionPlacementEnforced)
		if c == nil || c.Reason != reason {
			return fmt.Errorf("expected %s of %s to say %s, found %+v", v1alpha1.ConditionPlacementEnforced, wanderer, reason, c)
		}
		return nil
	})
}

// stays says that a pod which is only told of is left alone.
func (w *world) stays(ctx context.Context, pod *corev1.Pod) error {
	if err := pause(ctx, 10*time.Second); err != nil {
		return err
	}
	now := &corev1.Pod{}
	if err := w.admin.Get(ctx, client.ObjectKeyFromObject(pod), now); err != nil {
		return err
	}
	if now.UID != pod.UID || now.DeletionTimestamp != nil || now.Status.ContainerStatuses[0].RestartCount > 0 {
		return fmt.Errorf("expected pod %s to be left alone while the profile says Report, found %+v", pod.Name, now.Status)
	}
	return nil
}

// bringHome gives a node its region back, and waits until nobody is misplaced any more.
func (w *world) bringHome(ctx context.Context, name string) error {
	if _, err := w.shell(ctx, "kubectl label node "+name+" topology.kubernetes.io/region="+home+" --overwrite"); err != nil {
		return err
	}
	return await(ctx, time.Minute, func(ctx context.Context) error {
		var list v1alpha1.HIPAATenantList
		if err := w.admin.List(ctx, &list); err != nil {
			return err
		}
		for i := range list.Items {
			if meta.IsStatusConditionFalse(list.Items[i].Status.Conditions, v1alpha1.ConditionPlacementEnforced) {
				return fmt.Errorf("%s still says that its pods are misplaced", list.Items[i].Name)
			}
		}
		return nil
	})
}
