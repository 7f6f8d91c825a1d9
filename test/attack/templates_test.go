package attack

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// templates are the objects of every kind that makes pods like this one.
func templates(pod *unstructured.Unstructured) []*unstructured.Unstructured {
	template := func(restart string) map[string]any {
		copied := pod.DeepCopy()
		meta := copied.Object["metadata"].(map[string]any)
		delete(meta, "name")
		delete(meta, "namespace")
		spec := copied.Object["spec"].(map[string]any)
		delete(spec, "restartPolicy")
		if restart != "" {
			spec["restartPolicy"] = restart
		}
		return map[string]any{"metadata": meta, "spec": spec}
	}
	selector := map[string]any{"matchLabels": map[string]any{ours: pod.GetName()}}
	job := map[string]any{"template": template("Never"), "backoffLimit": int64(0)}
	meta := map[string]any{"labels": map[string]any{ours: pod.GetName()}}
	specs := []struct {
		version, kind string
		spec          map[string]any
	}{
		{"apps/v1", "Deployment", map[string]any{"selector": selector, "template": template("")}},
		{"apps/v1", "ReplicaSet", map[string]any{"selector": selector, "template": template("")}},
		{"apps/v1", "StatefulSet", map[string]any{"selector": selector, "template": template(""), "serviceName": "none"}},
		{"apps/v1", "DaemonSet", map[string]any{"selector": selector, "template": template("")}},
		{"v1", "ReplicationController", map[string]any{"selector": selector["matchLabels"], "template": template("")}},
		{"batch/v1", "Job", job},
		{"batch/v1", "CronJob", map[string]any{"schedule": "* * * * *", "jobTemplate": map[string]any{"metadata": meta, "spec": job}}},
	}
	var out []*unstructured.Unstructured
	for _, s := range specs {
		o := &unstructured.Unstructured{Object: map[string]any{"apiVersion": s.version, "kind": s.kind, "spec": s.spec}}
		o.SetName(pod.GetName())
		o.SetNamespace(pod.GetNamespace())
		label(o, pod.GetName())
		out = append(out, o.DeepCopy())
	}
	return out
}

// podPatience is how long controllers may take to make pods of a template, and the scheduler to place them.
const podPatience = 45 * time.Second

// judgePods judges a template that was let through by what becomes of its pods: none may come to be, or they are harmless.
func (t *trial) judgePods(ctx context.Context, accepted []refusal) (verdict, error) {
	if err := t.hurryCronJob(ctx); err != nil {
		return leaked, err
	}
	for _, r := range t.attack.By {
		if r.check != nil {
			if err := r.check(ctx, t); err != nil {
				return leaked, err
			}
			return refused, nil
		}
	}
	err := wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, podPatience, true, func(ctx context.Context) (bool, error) {
		if pods, err := t.pods(ctx); err != nil || len(pods) > 0 {
			return false, errors.Join(err, fmt.Errorf("%d pods came to be", len(pods)))
		}
		return slices.ContainsFunc(t.w.events.messages("FailedCreate", t.name), func(message string) bool {
			return slices.ContainsFunc(accepted, func(r refusal) bool { return r.matches(eventError(message)) })
		}), nil
	})
	if err != nil {
		return leaked, fmt.Errorf("the template was let through, and no controller was refused its pods: %w; %v", err, t.w.events.messages("FailedCreate", t.name))
	}
	return refused, nil
}

// eventError makes of a controller's event the error it tells of. The status did not come along, its words did.
type eventError string

func (e eventError) Error() string { return string(e) }

// hurryCronJob makes the CronJob controller believe it slept through some minutes.
func (t *trial) hurryCronJob(ctx context.Context) error {
	if t.way.target.GetKind() != "CronJob" {
		return nil
	}
	past := time.Now().Add(-5 * time.Minute).UTC().Format(time.RFC3339)
	patch := client.RawPatch("application/merge-patch+json", []byte(`{"status":{"lastScheduleTime":"`+past+`"}}`))
	return t.w.admin.Status().Patch(ctx, t.way.target.DeepCopy(), patch)
}

func (t *trial) pods(ctx context.Context) ([]corev1.Pod, error) {
	list := &corev1.PodList{}
	err := t.w.admin.List(ctx, list, client.InNamespace(attacked), client.MatchingLabels{ours: t.name})
	return list.Items, err
}

// staysInside: every pod of the attempt ends up on a node in the tenant's regions, or the scheduler finds none for it.
func staysInside(ctx context.Context, t *trial) error {
	return t.settle(ctx, func(pod *corev1.Pod) (bool, error) {
		if pod.Spec.NodeName == "" {
			return nowhere(pod), nil
		}
		region, err := t.w.regionOf(ctx, pod.Spec.NodeName)
		if err == nil && !eligible[region] {
			err = fmt.Errorf("pod %s runs on node %s in region %q", pod.Name, pod.Spec.NodeName, region)
		}
		return err == nil, err
	})
}

// nowhere says whether the scheduler looked at a pod and found no node for it.
func nowhere(pod *corev1.Pod) bool {
	return slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodScheduled && (c.Reason == corev1.PodReasonUnschedulable || c.Reason == corev1.PodReasonSchedulingGated)
	})
}

// settle waits until the attempt has pods and every one of them passes.
func (t *trial) settle(ctx context.Context, passes func(*corev1.Pod) (bool, error)) error {
	var waiting []string
	err := wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, podPatience, true, func(ctx context.Context) (bool, error) {
		pods, err := t.pods(ctx)
		if err != nil || len(pods) == 0 {
			return false, err
		}
		waiting = nil
		for i := range pods {
			ok, err := passes(&pods[i])
			if err != nil {
				return false, err
			}
			if !ok {
				waiting = append(waiting, fmt.Sprintf("%s: %+v", pods[i].Name, pods[i].Status.Conditions))
			}
		}
		return len(waiting) == 0, nil
	})
	if err != nil {
		return fmt.Errorf("%w; pods: %s; %s", err, strings.Join(waiting, ", "), t.w.events.messages("FailedCreate", t.name))
	}
	return nil
}
