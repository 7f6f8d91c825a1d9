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

// floorAtRest is the most that the floor is on two cores with little else to do, where targets in seconds are meant as they are. It
// was 0.5 s there.
const floorAtRest = time.Second

// floor is how long this machine takes, as busy as it is now, until a pod that does nothing is Ready on each node.
func (w *world) floor(ctx context.Context) (time.Duration, error) {
	pods := w.api.CoreV1().Pods(metav1.NamespaceDefault)
	began := time.Now()
	for _, n := range w.nodes {
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "floor-" + n.Name}, Spec: restricted(node.PauseImage)}
		pod.Spec.NodeSelector = map[string]string{corev1.LabelHostname: n.Name}
		if _, err := pods.Create(ctx, pod, metav1.CreateOptions{}); err != nil {
			return 0, err
		}
	}
	err := await(ctx, time.Minute, func(ctx context.Context) error {
		for _, n := range w.nodes {
			pod, err := pods.Get(ctx, "floor-"+n.Name, metav1.GetOptions{})
			if err != nil {
				return err
			}
			if !isReady(pod) {
				return fmt.Errorf("pod %s is %s and not Ready", pod.Name, pod.Status.Phase)
			}
		}
		return nil
	})
	took := time.Since(began)
	for _, n := range w.nodes {
		err = errors.Join(err, pods.Delete(ctx, "floor-"+n.Name, metav1.DeleteOptions{}))
	}
	return took, err
}

// scaled is a target in seconds on a machine with this floor: longer where it takes longer for everything, never shorter.
func scaled(target, floor time.Duration) time.Duration {
	return max(target, time.Duration(float64(target)*floor.Seconds()/floorAtRest.Seconds()))
}

func isReady(pod *corev1.Pod) bool {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}
