package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hipaatenant/hipaa-tenant-operator/test/node"
)

// foreigner is the name of pods that ask for a node abroad: one in a tenant's namespace, and one in a namespace that is no tenant's.
const foreigner = "foreigner"

// askAbroad has both pods ask for the node that went abroad, and waits until the one that is no tenant's runs there: as long as it
// may be that no pod can, a tenant's that does not tells nothing.
func (w *world) askAbroad(ctx context.Context, there string) error {
	for _, namespace := range []string{wanderer, metav1.NamespaceDefault} {
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: foreigner}, Spec: restricted(node.PauseImage)}
		pod.Spec.NodeSelector = map[string]string{corev1.LabelTopologyRegion: abroad}
		if err := w.admin.Create(ctx, pod); err != nil {
			return err
		}
	}
	return await(ctx, time.Minute, func(ctx context.Context) error {
		pod, err := w.api.CoreV1().Pods(metav1.NamespaceDefault).Get(ctx, foreigner, metav1.GetOptions{})
		if err == nil && (pod.Spec.NodeName != there || pod.Status.Phase != corev1.PodRunning) {
			err = fmt.Errorf("expected a pod of no tenant that asks for %s to run on %s, found it %s on %q", abroad, there, pod.Status.Phase, pod.Spec.NodeName)
		}
		return err
	})
}

// waitsAbroad says that the tenant's pod was bound to no node, because the scheduler found none, and that whoever binds it past the
// scheduler is refused. It deletes both pods.
func (w *world) waitsAbroad(ctx context.Context, there string) error {
	pods := w.api.CoreV1().Pods(wanderer)
	pod, err := pods.Get(ctx, foreigner, metav1.GetOptions{})
	if err != nil {
		return err
	}
	var scheduled corev1.PodCondition
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodScheduled {
			scheduled = c
		}
	}
	// A scheduler that chooses the node, and is refused by the second policy, gives another reason than one that finds no node.
	if pod.Spec.NodeName != "" || scheduled.Reason != corev1.PodReasonUnschedulable {
		return fmt.Errorf("expected a tenant's pod that asks for %s to wait, because no node suits it, found it %s on node %q, %s: %s",
			abroad, pod.Status.Phase, pod.Spec.NodeName, scheduled.Reason, scheduled.Message)
	}
	fmt.Printf("%s in %s: %s: %s\n", foreigner, wanderer, scheduled.Reason, scheduled.Message)
	err = pods.Bind(ctx, &corev1.Binding{ObjectMeta: metav1.ObjectMeta{Name: foreigner}, Target: corev1.ObjectReference{Kind: "Node", Name: there}}, metav1.CreateOptions{})
	if problem := refusedBy(err, "'hipaatenant-placement-bind'"); problem != nil {
		return fmt.Errorf("a binding of a tenant's pod to %s, which is in %s: %w", there, abroad, problem)
	}
	fmt.Printf("bound to %s by an administrator: %v\n", there, err)
	return errors.Join(
		pods.Delete(ctx, foreigner, metav1.DeleteOptions{}),
		w.api.CoreV1().Pods(metav1.NamespaceDefault).Delete(ctx, foreigner, metav1.DeleteOptions{}),
	)
}
