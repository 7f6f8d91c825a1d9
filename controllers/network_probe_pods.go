package controllers

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/netprobe"
)

// Ends of the probe, as LabelNetworkProbe names them.
const (
	endTarget = "target"
	endClient = "client"
)

// probeUser is not root, like the operator.
const probeUser = 65532

// probePod is what both ends have in common. It asks for nothing: no token, no right, no file to write, next to no memory.
func (p *NetworkProbe) probePod(end, run string, args ...string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: p.Namespace, Name: "hipaa-network-probe-" + end + "-" + run,
			Labels: map[string]string{
				v1alpha1.LabelManagedBy: v1alpha1.OperatorName, v1alpha1.LabelNetworkProbe: end,
				"sidecar.istio.io/inject": "false", // a mesh would answer in place of the target
			},
			Annotations: map[string]string{"linkerd.io/inject": "disabled", "cluster-autoscaler.kubernetes.io/safe-to-evict": "true"},
		},
		Spec: corev1.PodSpec{
			ServiceAccountName: v1alpha1.AccountNetworkProbe, AutomountServiceAccountToken: new(false), EnableServiceLinks: new(false),
			RestartPolicy: corev1.RestartPolicyNever, ActiveDeadlineSeconds: new(int64(runTimeout / time.Second)),
			TerminationGracePeriodSeconds: new(int64(1)), NodeSelector: map[string]string{corev1.LabelOSStable: "linux"},
			SecurityContext: &corev1.PodSecurityContext{
				RunAsNonRoot: new(true), RunAsUser: new(int64(probeUser)), RunAsGroup: new(int64(probeUser)),
				SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
			},
			Containers: []corev1.Container{{
				Name: "probe", Image: p.Image, ImagePullPolicy: corev1.PullIfNotPresent, Args: append([]string{"probe"}, args...),
				TerminationMessagePolicy: corev1.TerminationMessageFallbackToLogsOnError,
				Resources: corev1.ResourceRequirements{
					Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("10m"), corev1.ResourceMemory: resource.MustParse("32Mi")},
					Limits:   corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("200m"), corev1.ResourceMemory: resource.MustParse("64Mi")},
				},
				SecurityContext: &corev1.SecurityContext{
					AllowPrivilegeEscalation: new(false), ReadOnlyRootFilesystem: new(true),
					Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
				},
			}},
		},
	}
}

// prefer has a pod run on a node, where one is named and takes it. Elsewhere a run tells something, too.
func prefer(pod *corev1.Pod, node string) {
	if node == "" {
		return
	}
	if pod.Spec.Affinity == nil {
		pod.Spec.Affinity = &corev1.Affinity{}
	}
	pod.Spec.Affinity.NodeAffinity = &corev1.NodeAffinity{PreferredDuringSchedulingIgnoredDuringExecution: []corev1.PreferredSchedulingTerm{{
		Weight: 100,
		Preference: corev1.NodeSelectorTerm{MatchFields: []corev1.NodeSelectorRequirement{{
			Key: metav1.ObjectNameField, Operator: corev1.NodeSelectorOpIn, Values: []string{node},
		}}},
	}}}
}

// target listens. It is ready once it does so on all ports: the one that is asked comes last.
func (p *NetworkProbe) target(run, node string) *corev1.Pod {
	pod := p.probePod(endTarget, run, "listen", "--run="+run)
	prefer(pod, node)
	pod.Spec.Containers[0].ReadinessProbe = &corev1.Probe{
		ProbeHandler:  corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromInt32(int32(netprobe.Allowed.Port()))}},
		PeriodSeconds: 1,
	}
	return pod
}

// client connects, from the node that is named, or else from another one than the target's where there is one: plug-ins that
// enforce nothing between nodes may do so on one.
func (p *NetworkProbe) client(run string, target *corev1.Pod, node string) *corev1.Pod {
	pod := p.probePod(endClient, run, "connect", "--run="+run)
	for _, a := range target.Status.PodIPs {
		pod.Spec.Containers[0].Args = append(pod.Spec.Containers[0].Args, a.IP)
	}
	if node == "" || node != target.Spec.NodeName {
		pod.Spec.Affinity = &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{
			PreferredDuringSchedulingIgnoredDuringExecution: []corev1.WeightedPodAffinityTerm{{
				Weight: 100,
				PodAffinityTerm: corev1.PodAffinityTerm{
					TopologyKey:   corev1.LabelHostname,
					LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{v1alpha1.LabelNetworkProbe: endTarget}},
				},
			}},
		}}
	}
	prefer(pod, node)
	return pod
}

// await follows a pod until it is as wanted, or something is in the way.
func (p *NetworkProbe) await(ctx context.Context, pod *corev1.Pod, done func(*corev1.Pod) (bool, error)) (*corev1.Pod, error) {
	last := pod
	for {
		is := false
		seen, err := p.get(ctx, pod)
		if err == nil {
			seen, is, err = p.follow(ctx, seen, done)
		}
		switch {
		case is:
			return seen, nil
		case ctx.Err() != nil:
			return nil, p.late(ctx, last)
		case err != nil:
			return nil, err
		}
		last = seen
		select {
		case <-ctx.Done():
		case <-time.After(watchPause):
		}
	}
}

// get reads this very pod.
func (p *NetworkProbe) get(ctx context.Context, pod *corev1.Pod) (*corev1.Pod, error) {
	seen, err := p.API.CoreV1().Pods(p.Namespace).Get(ctx, pod.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) || (err == nil && seen.UID != pod.UID) {
		return nil, p.gone(pod)
	}
	return seen, err
}

// follow watches a pod until it is as wanted, something is in the way, or the watch ends.
func (p *NetworkProbe) follow(ctx context.Context, pod *corev1.Pod, done func(*corev1.Pod) (bool, error)) (*corev1.Pod, bool, error) {
	if is, err := done(pod); is || err != nil {
		return pod, is, err
	}
	w, err := p.API.CoreV1().Pods(p.Namespace).Watch(ctx, metav1.SingleObject(pod.ObjectMeta))
	if err != nil {
		return pod, false, nil //nolint:nilerr // too old a version, or no answer: the next get tells
	}
	defer w.Stop()
	for {
		var e watch.Event
		select {
		case <-ctx.Done():
			return pod, false, nil
		case e = <-w.ResultChan():
		}
		seen, ok := e.Object.(*corev1.Pod)
		switch {
		case !ok:
			return pod, false, nil // it ended, or failed
		case seen.UID != pod.UID:
			continue
		case e.Type == watch.Deleted:
			return pod, false, p.gone(pod)
		}
		pod = seen
		if is, err := done(seen); is || err != nil {
			return seen, is, err
		}
	}
}

func (p *NetworkProbe) gone(pod *corev1.Pod) error {
	return obstacle{fmt.Sprintf("somebody deleted the probe's pods in namespace %s while they ran", p.Namespace), "pod " + pod.Name}
}

func (p *NetworkProbe) late(ctx context.Context, pod *corev1.Pod) error {
	detail := []string{fmt.Sprintf("pod %s is %s", pod.Name, pod.Status.Phase)}
	for _, c := range pod.Status.Conditions {
		if c.Status != corev1.ConditionTrue && c.Message != "" {
			detail = append(detail, fmt.Sprintf("%s: %s", c.Type, c.Message))
		}
	}
	return obstacle{fmt.Sprintf("the probe's pods did not come to an end: %v", context.Cause(ctx)) + p.more(), strings.Join(detail, "; ")}
}

// listens says that the target can be connected to.
func (p *NetworkProbe) listens(pod *corev1.Pod) (bool, error) {
	if err := p.hindered(pod); err != nil {
		return false, err
	}
	if pod.Status.Phase == corev1.PodFailed || pod.Status.Phase == corev1.PodSucceeded {
		return false, obstacle{"the probe's target ended before it was connected to" + p.more(), howEnded(pod).String()}
	}
	ready := slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
	return ready && len(pod.Status.PodIPs) > 0, nil
}

// ended says that the client is through.
func (p *NetworkProbe) ended(pod *corev1.Pod) (bool, error) {
	if pod.Status.Phase == corev1.PodFailed || pod.Status.Phase == corev1.PodSucceeded {
		return true, nil
	}
	return false, p.hindered(pod)
}

// imageReasons are those a kubelet gives for an image it cannot run.
var imageReasons = []string{"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError", "RegistryUnavailable", "SignatureValidationFailed"}

// startReasons are those it gives for a container it cannot start.
var startReasons = []string{"CreateContainerConfigError", "CreateContainerError", "RunContainerError", "PreCreateHookError"}

// hindered says what keeps a pod from running, as soon as somebody says so. No time is spent on hoping: the probe is run again
// soon.
func (p *NetworkProbe) hindered(pod *corev1.Pod) error {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse && c.Reason == corev1.PodReasonUnschedulable {
			return obstacle{"the probe's pods cannot be scheduled" + p.more(), c.Message}
		}
	}
	for _, s := range pod.Status.ContainerStatuses {
		waiting := s.State.Waiting
		switch {
		case waiting == nil:
		case slices.Contains(imageReasons, waiting.Reason):
			return obstacle{"the image of the probe's pods cannot be pulled" + p.more(), waiting.Reason + ": " + waiting.Message}
		case slices.Contains(startReasons, waiting.Reason):
			return obstacle{"the probe's pods cannot be started" + p.more(), waiting.Reason + ": " + waiting.Message}
		}
	}
	return nil
}

// podEnd is how a pod ended.
type podEnd struct{ reason, message string }

func (e podEnd) String() string { return e.reason + ": " + e.message }

func howEnded(pod *corev1.Pod) podEnd {
	for _, s := range pod.Status.ContainerStatuses {
		if t := s.State.Terminated; t != nil {
			return podEnd{fmt.Sprintf("pod %s, %s, exit code %d", pod.Status.Reason, t.Reason, t.ExitCode), t.Message}
		}
	}
	return podEnd{fmt.Sprintf("pod %s %s", pod.Status.Phase, pod.Status.Reason), pod.Status.Message}
}
