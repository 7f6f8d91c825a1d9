package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
)

// visit is one request to a court.
type visit struct {
	court *court
	pod   *corev1.Pod
	made  bool
}

func (c *court) visit(k kind, round int) *visit {
	namespace := nobodys
	if k == ofTenant {
		namespace = tenantName(0)
	}
	return &visit{court: c, pod: benchPod(namespace, fmt.Sprintf("web-%d-%05d", k, round))}
}

func (v *visit) create(ctx context.Context, dryRun ...string) (*corev1.Pod, error) {
	return v.court.kube.CoreV1().Pods(v.pod.Namespace).Create(ctx, v.pod, metav1.CreateOptions{DryRun: dryRun})
}

// dryRun takes the request through everything but the storage.
func (v *visit) dryRun(ctx context.Context) error {
	_, err := v.create(ctx, metav1.DryRunAll)
	return err
}

// store creates the pod.
func (v *visit) store(ctx context.Context) error {
	v.made = true
	_, err := v.create(ctx)
	return err
}

// tidy removes what was stored, so that every round finds the same.
func (v *visit) tidy(ctx context.Context) error {
	if !v.made {
		return nil
	}
	return v.court.kube.CoreV1().Pods(v.pod.Namespace).Delete(ctx, v.pod.Name, metav1.DeleteOptions{GracePeriodSeconds: new(int64(0))})
}

// benchPod is a pod as a Deployment makes them: one container with probes and limits, under the restricted standard.
func benchPod(namespace, name string) *corev1.Pod {
	probe := &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/healthz", Port: intstr.FromInt32(8080)}}}
	limits := corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("250m"), corev1.ResourceMemory: resource.MustParse("256Mi")}
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace, Labels: map[string]string{"app": "web", "pod-template-hash": "5d4f8c7b9"}},
		Spec: corev1.PodSpec{
			AutomountServiceAccountToken: new(false),
			SecurityContext: &corev1.PodSecurityContext{
				RunAsNonRoot: new(true), SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
			},
			Containers: []corev1.Container{{
				Name: "web", Image: "registry.example/web:1.0", ReadinessProbe: probe, LivenessProbe: probe,
				Ports:     []corev1.ContainerPort{{Name: "http", ContainerPort: 8080}},
				Env:       []corev1.EnvVar{{Name: "LOG_LEVEL", Value: "info"}, {Name: "PORT", Value: "8080"}},
				Resources: corev1.ResourceRequirements{Requests: limits, Limits: limits},
				SecurityContext: &corev1.SecurityContext{
					AllowPrivilegeEscalation: new(false), Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
				},
			}},
		},
	}
}

// inside reads how long the API server itself says a tenant's pod takes in its plug-ins.
func (c *court) inside(ctx context.Context, site *admissionSite) error {
	before, err := c.histograms(ctx)
	if err != nil {
		return err
	}
	for round := range histogramRequests {
		if err := c.visit(ofTenant, round).dryRun(ctx); err != nil {
			return err
		}
	}
	after, err := c.histograms(ctx)
	if err != nil {
		return err
	}
	mean := func(plugin string) float64 { return (after[plugin] - before[plugin]) / histogramRequests * 1000 }
	site.Mutating, site.Validating = mean("MutatingAdmissionPolicy"), mean("ValidatingAdmissionPolicy")
	for plugin := range after {
		site.Everything += mean(plugin)
	}
	return nil
}

// histograms are the seconds spent in each admission plug-in on creations so far.
func (c *court) histograms(ctx context.Context) (map[string]float64, error) {
	text, err := c.kube.RESTClient().Get().AbsPath("/metrics").Stream(ctx)
	if err != nil {
		return nil, err
	}
	defer text.Close()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(text)
	if err != nil {
		return nil, fmt.Errorf("expected metrics in the Prometheus text format: %w", err)
	}
	const name = "apiserver_admission_controller_admission_duration_seconds"
	if families[name] == nil {
		return nil, fmt.Errorf("expected the API server to serve metric %s", name)
	}
	return pluginSeconds(families[name]), nil
}

// pluginSeconds adds up the time of creations, by plug-in.
func pluginSeconds(family *dto.MetricFamily) map[string]float64 {
	sums := map[string]float64{}
	for _, m := range family.GetMetric() {
		labels := map[string]string{}
		for _, l := range m.GetLabel() {
			labels[l.GetName()] = l.GetValue()
		}
		if labels["operation"] == string(admissionv1.Create) {
			sums[labels["name"]] += m.GetHistogram().GetSampleSum()
		}
	}
	return sums
}

const (
	// largest is a namespace with as many networks in its facts as a tenant may have.
	largest = "largest"
	// mostNetworks is that number, and how many blocks the largest NetworkPolicy names each way.
	mostNetworks = 64
	// networkRounds are fewer than those of pods: the difference is many times larger than the noise.
	networkRounds = 200
)

func networks(format string) []string {
	list := make([]string, mostNetworks)
	for i := range list {
		list[i] = fmt.Sprintf(format, i)
	}
	return list
}

// addLargest makes the namespace with the longest facts.
func (c *court) addLargest(ctx context.Context, like *corev1.Namespace) error {
	namespace := named(like, largest, largest)
	list := strings.Join(networks("2001:db8:1%02x::/48"), ",")
	namespace.Annotations[v1alpha1.AnnotationIPAllowlist], namespace.Annotations[v1alpha1.AnnotationEgress] = list, list
	return c.admin.Create(ctx, namespace)
}

// largestPolicy names blocks that lie in the last of the networks, so that each is compared with all of them.
func largestPolicy(namespace string) *networkingv1.NetworkPolicy {
	var peers []networkingv1.NetworkPolicyPeer
	for _, block := range networks("2001:db8:13f:1234:5678:9abc:def0:%x/128") {
		peers = append(peers, networkingv1.NetworkPolicyPeer{IPBlock: &networkingv1.IPBlock{CIDR: block}})
	}
	port := intstr.FromInt32(443)
	return &networkingv1.NetworkPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: "largest", Namespace: namespace},
		Spec: networkingv1.NetworkPolicySpec{
			PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress},
			Ingress:     []networkingv1.NetworkPolicyIngressRule{{From: peers}},
			Egress:      []networkingv1.NetworkPolicyEgressRule{{To: peers, Ports: []networkingv1.NetworkPolicyPort{{Port: &port}}}},
		},
	}
}

// networks compares the largest NetworkPolicy in a tenant's namespace with the same in one of nobody's.
func (c *court) networks(ctx context.Context) (spread, error) {
	measured := map[string][]float64{}
	for range networkRounds {
		for _, namespace := range []string{largest, nobodys} {
			began := time.Now()
			if err := c.admin.Create(ctx, largestPolicy(namespace), client.DryRunAll); err != nil {
				return spread{}, err
			}
			measured[namespace] = append(measured[namespace], time.Since(began).Seconds()*1000)
		}
	}
	return spreadOf(less(measured[largest], measured[nobodys])), nil
}
