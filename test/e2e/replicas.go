package main

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
)

// replicas are the operator's two pods, without those that are on their way out. One whose container does not run, or was started
// again, is an error: it crashed, and its figures would be those of its last start.
func (w *world) replicas(ctx context.Context) (pods []corev1.Pod, err error) {
	list, err := w.api.CoreV1().Pods(v1alpha1.OperatorNamespace).List(ctx, metav1.ListOptions{LabelSelector: "app.kubernetes.io/name=" + v1alpha1.OperatorName})
	if err != nil {
		return nil, err
	}
	for _, p := range list.Items {
		if p.DeletionTimestamp != nil {
			continue
		}
		if len(p.Status.ContainerStatuses) != 1 || p.Status.ContainerStatuses[0].State.Running == nil || p.Status.ContainerStatuses[0].RestartCount > 0 {
			return nil, fmt.Errorf("expected one container of pod %s to run since its first start, found %+v", p.Name, p.Status.ContainerStatuses)
		}
		pods = append(pods, p)
	}
	if len(pods) != 2 {
		return nil, fmt.Errorf("expected 2 replicas of the operator, found %d", len(pods))
	}
	return pods, nil
}

// containersOf pods, which a crash or another pod changes.
func containersOf(pods []corev1.Pod) map[string]string {
	all := map[string]string{}
	for i := range pods {
		all[pods[i].Name] = pods[i].Status.ContainerStatuses[0].ContainerID
	}
	return all
}
