package attack

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// restrictedContainer is the security context the level restricted asks for.
const restrictedContainer = "securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}"

// pod is a pod that nothing is wrong with but what is added to its spec and metadata, YAML in flow style.
func pod(spec string, metadata ...string) string { return podWith("", spec, metadata...) }

// podWith also adds to the container.
func podWith(container, spec string, metadata ...string) string {
	return fmt.Sprintf("{apiVersion: v1, kind: Pod, metadata: {name: NAME%s}, spec: {securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}, "+
		"containers: [{name: web, image: example/web, %s%s}]%s}}", more(metadata...), restrictedContainer, more(container), more(spec))
}

// unsafePod has this container alone, with no security context of ours.
func unsafePod(container, spec string) string {
	return fmt.Sprintf("{apiVersion: v1, kind: Pod, metadata: {name: NAME}, spec: {securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}, "+
		"containers: [{name: web, image: example/web%s}]%s}}", more(container), more(spec))
}

// waiting is a pod nobody schedules.
var waiting = pod("schedulerName: nobody")

func more(parts ...string) string {
	if text := strings.Join(slices.DeleteFunc(slices.Clone(parts), func(p string) bool { return p == "" }), ", "); text != "" {
		return ", " + text
	}
	return ""
}

// regionLabelIsTrue: what a bound pod says about its region is what its node says.
func regionLabelIsTrue(ctx context.Context, t *trial) error {
	return t.settle(ctx, func(pod *corev1.Pod) (bool, error) {
		if pod.Spec.NodeName == "" {
			return nowhere(pod), nil
		}
		region, err := t.w.regionOf(ctx, pod.Spec.NodeName)
		if label := pod.Labels[corev1.LabelTopologyRegion]; err == nil && (label != region || !eligible[region]) {
			err = fmt.Errorf("pod %s on node %s in %q says it is in %q", pod.Name, pod.Spec.NodeName, region, label)
		}
		return err == nil, err
	})
}

// configDelivered: every container takes its environment from the tenant's config, which must exist.
func configDelivered(ctx context.Context, t *trial) error {
	return t.settle(ctx, func(pod *corev1.Pod) (bool, error) {
		for _, c := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
			if !slices.ContainsFunc(c.EnvFrom, func(e corev1.EnvFromSource) bool {
				return e.ConfigMapRef != nil && e.ConfigMapRef.Name == "hipaa-config" && e.Prefix == "" && (e.ConfigMapRef.Optional == nil || !*e.ConfigMapRef.Optional)
			}) {
				return false, fmt.Errorf("container %s of pod %s does without the tenant's config: %v", c.Name, pod.Name, c.EnvFrom)
			}
		}
		return true, nil
	})
}

// withoutEffect: the request was let through and changed nothing.
func withoutEffect(_ context.Context, t *trial) error { return errorOf(t.difference()) }
