package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/test/node"
)

// outsider is a pod that a tenant must not have.
type outsider struct {
	name string
	// refused by a message with these words; empty for one that is let in and must never start.
	refused string
	change  func(*corev1.Pod)
}

func outsiders() []outsider {
	return []outsider{
		{"another-region", "", func(p *corev1.Pod) {
			p.Spec.NodeSelector = map[string]string{corev1.LabelTopologyRegion: "eu-west-1"}
		}},
		{"past-the-scheduler", "hipaatenant-placement-bind", func(p *corev1.Pod) { p.Spec.NodeName = "node-a" }},
		{"disabled-channel", "hipaatenant-workload", func(p *corev1.Pod) { p.Labels = map[string]string{v1alpha1.LabelChannel: "sms"} }},
		{"every-taint", "hipaatenant-workload", func(p *corev1.Pod) {
			p.Spec.Tolerations = []corev1.Toleration{{Operator: corev1.TolerationOpExists}}
		}},
		{"node-critical", "hipaatenant-workload", func(p *corev1.Pod) { p.Spec.PriorityClassName = "system-node-critical" }},
		{"node-network", "violates PodSecurity", func(p *corev1.Pod) { p.Spec.HostNetwork = true }},
		{"privileged", "violates PodSecurity", func(p *corev1.Pod) {
			p.Spec.Containers[0].SecurityContext.Privileged, p.Spec.Containers[0].SecurityContext.AllowPrivilegeEscalation = new(true), new(true)
		}},
		{"nodes-disk", "violates PodSecurity", func(p *corev1.Pod) {
			p.Spec.Volumes = []corev1.Volume{{Name: "disk", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/"}}}}
		}},
	}
}

// outside tries to run pods that no tenant may have, as a cluster administrator, whom no role refuses anything. None may have a
// container on any node, neither at once nor later.
func (w *world) outside(ctx context.Context) (string, error) {
	refused := 0
	for _, o := range outsiders() {
		err := w.intrude(ctx, o)
		if err != nil {
			return "", err
		}
		if o.refused != "" {
			refused++
		}
	}
	// Time enough for a scheduler and a kubelet, which start what they may within a second or two.
	if err := pause(ctx, 10*time.Second); err != nil {
		return "", err
	}
	if _, err := w.shell(ctx, "kubectl -n acme-health-app get pods -o wide"); err != nil {
		return "", err
	}
	started := 0
	for _, n := range w.nodes {
		all, err := n.Containers(ctx)
		if err != nil {
			return "", err
		}
		if !strings.Contains(all, acmeApp) && n == w.nodes[1] {
			return "", fmt.Errorf("node %s does not even know the application, so nothing is told by its list", n.Name)
		}
		started += strings.Count(all, "outside-")
	}
	figures := fmt.Sprintf("tried=%d refused=%d waiting=%d started=%d", len(outsiders()), refused, len(outsiders())-refused, started)
	if started > 0 {
		return figures, fmt.Errorf("containers of pods outside the rules were started")
	}
	return figures, w.stillWaits(ctx, "outside-another-region")
}

// intrude tries to run a pod.
func (w *world) intrude(ctx context.Context, o outsider) error {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "outside-" + o.name}, Spec: restricted(node.PauseImage)}
	o.change(pod)
	_, err := w.api.CoreV1().Pods(acmeApp).Create(ctx, pod, metav1.CreateOptions{})
	switch {
	case o.refused == "" && err != nil:
		return fmt.Errorf("%s: expected it to be let in, and to wait: %w", o.name, err)
	case o.refused == "":
		return nil
	case !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), o.refused):
		return fmt.Errorf("%s: expected a refusal by %s, found %w", o.name, o.refused, err)
	}
	fmt.Printf("%s: %v\n", o.name, err)
	return nil
}

// stillWaits says that a pod was bound to no node, and deletes it.
func (w *world) stillWaits(ctx context.Context, name string) error {
	pods := w.api.CoreV1().Pods(acmeApp)
	pod, err := pods.Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	if pod.Spec.NodeName != "" || pod.Status.Phase != corev1.PodPending {
		return fmt.Errorf("a pod that asks for another region is %s on node %q", pod.Status.Phase, pod.Spec.NodeName)
	}
	return pods.Delete(ctx, name, metav1.DeleteOptions{})
}
