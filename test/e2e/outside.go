package main

import (
	"context"
	"errors"
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
	// refused by a message with these words.
	refused string
	change  func(*corev1.Pod)
}

func outsiders() []outsider {
	return []outsider{
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
	for _, o := range outsiders() {
		if err := w.intrude(ctx, o); err != nil {
			return "", err
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
	figures := fmt.Sprintf("tried=%d refused=%d started=%d", len(outsiders()), len(outsiders()), started)
	if started > 0 {
		return figures, errors.New("containers of pods outside the rules were started")
	}
	return figures, nil
}

// intrude tries to run a pod.
func (w *world) intrude(ctx context.Context, o outsider) error {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "outside-" + o.name}, Spec: restricted(node.PauseImage)}
	o.change(pod)
	_, err := w.api.CoreV1().Pods(acmeApp).Create(ctx, pod, metav1.CreateOptions{})
	if problem := refusedBy(err, o.refused); problem != nil {
		return fmt.Errorf("%s: %w", o.name, problem)
	}
	fmt.Printf("%s: %v\n", o.name, err)
	return nil
}

// refusedBy says that an answer is a refusal with these words; nil when it is.
func refusedBy(err error, words string) error {
	switch {
	case err == nil:
		return fmt.Errorf("expected a refusal by %s, found it done", words)
	case !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), words):
		return fmt.Errorf("expected a refusal by %s, found %w", words, err)
	}
	return nil
}
