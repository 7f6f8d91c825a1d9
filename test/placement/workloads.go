package placement

import (
	"context"
	"encoding/json"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	pt "github.com/hipaatenant/hipaa-tenant-operator/test/policytest"
)

// podOf is a pod, and the template of one.
func podOf(t tenant, name, class string, spec corev1.PodSpec) *corev1.Pod {
	if len(spec.Containers) == 0 {
		spec.Containers = []corev1.Container{{Name: "web", Image: "example/web"}}
	}
	return &corev1.Pod{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{
			Namespace: t.namespace, Name: name,
			Labels: map[string]string{labelClass: class, labelMade: "created", labelWorkload: t.namespace + "." + name},
		},
		Spec: spec,
	}
}

// shaped is a pod of a class.
func shaped(d draw, t tenant, name string, c class) *corev1.Pod {
	pod := podOf(t, name, c.name, corev1.PodSpec{})
	garnish(d, t, &pod.Spec)
	c.shape(d, t, &pod.Spec)
	return pod
}

// barePods of a tenant: lawful classes in turn, and a stray one for every sixth. The turn begins where the last tenant's
// has ended.
func barePods(d draw, t tenant, turn, n int) []step {
	var steps []step
	for i := turn; i < turn+n; i++ {
		c := lawful[i%len(lawful)]
		if i%6 == 5 {
			c = stray[(i/6)%len(stray)]
		}
		pod := shaped(d, t, fmt.Sprintf("bare-%d", i), c)
		made := pick(d, []string{"created", "generated", "applied"})
		bait := d.IntN(4) == 0
		steps = append(steps, func(ctx context.Context, w *world) error {
			made, err := w.make(ctx, made, pod)
			if err != nil {
				return err
			}
			if c.fate == bound {
				w.want(pod.Labels[labelWorkload], 1)
			}
			if bait {
				w.hostile.offer(prey{t, made.Name, c.fate == never, 1})
			}
			return nil
		})
	}
	return steps
}

// make creates a pod in one of the ways there are.
func (w *world) make(ctx context.Context, made string, pod *corev1.Pod) (*corev1.Pod, error) {
	pod.Labels[labelMade] = made
	pods := w.developer.CoreV1().Pods(pod.Namespace)
	switch made {
	case "generated":
		pod.GenerateName, pod.Name = pod.Name+"-", ""
	case "applied":
		body, err := json.Marshal(pod)
		if err != nil {
			return nil, err
		}
		return pods.Patch(ctx, pod.Name, types.ApplyPatchType, body, metav1.PatchOptions{FieldManager: "placement"})
	}
	return pods.Create(ctx, pod, metav1.CreateOptions{})
}

// controlled are workloads whose pods a controller makes.
func controlled(d draw, t tenant) []step {
	c := pick(d, lawful)
	if d.IntN(8) == 0 {
		c = pick(d, stray)
	}
	return []step{deployment(d, t, "deployment-0", c), deployment(d, t, "deployment-1", pick(d, lawful)), statefulSet(d, t), job(d, t)}
}

// template is that of a controller's pods.
func template(d draw, t tenant, name, made string, c class) (corev1.PodTemplateSpec, *metav1.LabelSelector) {
	pod := shaped(d, t, name, c)
	pod.Labels[labelMade] = made
	return corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: pod.Labels}, Spec: pod.Spec},
		metav1.SetAsLabelSelector(map[string]string{labelWorkload: pod.Labels[labelWorkload]})
}

func deployment(d draw, t tenant, name string, c class) step {
	pods, selector := template(d, t, name, "deployment", c)
	replicas := int32(4 + d.IntN(5))
	return func(ctx context.Context, w *world) error {
		if c.fate == bound {
			w.want(pods.Labels[labelWorkload], int(replicas))
		}
		_, err := w.developer.AppsV1().Deployments(t.namespace).Create(ctx, &appsv1.Deployment{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Spec:       appsv1.DeploymentSpec{Replicas: &replicas, Selector: selector, Template: pods},
		}, metav1.CreateOptions{})
		return err
	}
}

func statefulSet(d draw, t tenant) step {
	const name = "statefulset"
	pods, selector := template(d, t, name, name, pick(d, lawful))
	replicas := int32(2 + d.IntN(4))
	policy := pick(d, []appsv1.PodManagementPolicyType{appsv1.OrderedReadyPodManagement, appsv1.ParallelPodManagement})
	return func(ctx context.Context, w *world) error {
		w.want(pods.Labels[labelWorkload], int(replicas))
		_, err := w.developer.AppsV1().StatefulSets(t.namespace).Create(ctx, &appsv1.StatefulSet{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Spec:       appsv1.StatefulSetSpec{Replicas: &replicas, Selector: selector, Template: pods, PodManagementPolicy: policy},
		}, metav1.CreateOptions{})
		return err
	}
}

func job(d draw, t tenant) step {
	const name = "job"
	pods, _ := template(d, t, name, name, pick(d, lawful))
	pods.Spec.RestartPolicy = corev1.RestartPolicyNever
	completions := int32(3 + d.IntN(4))
	return func(ctx context.Context, w *world) error {
		w.want(pods.Labels[labelWorkload], int(completions))
		_, err := w.developer.BatchV1().Jobs(t.namespace).Create(ctx, &batchv1.Job{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Spec:       batchv1.JobSpec{Completions: &completions, Parallelism: ptr.To[int32](3), Template: pods},
		}, metav1.CreateOptions{})
		return err
	}
}

// daemonSet wants a pod on every fast node, everywhere: its controller does not know what the tenant may use.
func daemonSet(t tenant) step {
	const name = "daemonset"
	pod := podOf(t, name, name, corev1.PodSpec{})
	pod.Labels[labelMade] = name
	selectNodes(&pod.Spec, labelPool, poolFast)
	tolerate(&pod.Spec)
	atHome := 0
	for i := range nodesPerRegion {
		if pool(i) == poolFast {
			atHome += len(t.home)
		}
	}
	return func(ctx context.Context, w *world) error {
		w.want(pod.Labels[labelWorkload], atHome)
		_, err := w.developer.AppsV1().DaemonSets(t.namespace).Create(ctx, &appsv1.DaemonSet{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Spec: appsv1.DaemonSetSpec{
				Selector: metav1.SetAsLabelSelector(map[string]string{labelWorkload: pod.Labels[labelWorkload]}),
				Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: pod.Labels}, Spec: pod.Spec},
			},
		}, metav1.CreateOptions{})
		return err
	}
}

// ownerless pods are left to the hostile scheduler.
func ownerless(t tenant, prefix string, n int) []step {
	var steps []step
	for i := range n {
		pod := podOf(t, fmt.Sprintf("%s-%d", prefix, i), "nobody", corev1.PodSpec{SchedulerName: "nobody"})
		steps = append(steps, func(ctx context.Context, w *world) error {
			if _, err := w.make(ctx, "created", pod); err != nil {
				return err
			}
			w.hostile.offer(prey{t, pod.Name, false, 5})
			return nil
		})
	}
	return steps
}

// pinnedPods name their node themselves, at home or not, and are refused.
func pinnedPods(d draw, t tenant, n int) []step {
	var steps []step
	for i := range n {
		pod := podOf(t, fmt.Sprintf("pinned-%d", i), "pinned", corev1.PodSpec{NodeName: hostIn(d, pick(d, regions))})
		steps = append(steps, func(ctx context.Context, w *world) error {
			_, err := w.make(ctx, "created", pod)
			if err := pt.Refused("placement-bind", "spec.nodeName is").Check(err); err != nil {
				return err
			}
			w.countRefused("spec.nodeName at create")
			return nil
		})
	}
	return steps
}

// competing pods need most of a small node.
func competing(t tenant, name, priority string) step {
	pod := podOf(t, name, name, corev1.PodSpec{PriorityClassName: priority, Containers: container("20")})
	selectNodes(&pod.Spec, labelPool, poolSmall)
	return func(ctx context.Context, w *world) error {
		_, err := w.make(ctx, "created", pod)
		return err
	}
}

func container(cpu string) []corev1.Container {
	return []corev1.Container{{Name: "web", Image: "example/web", Resources: corev1.ResourceRequirements{
		Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu)},
	}}}
}

// resized is a pod that grows before it is let go: kwok's nodes resize nothing that runs.
func resized(d draw, t tenant) (create, resize step) {
	create, lift := gatedPod(d, t, "resized", gate{
		class: class{"resized", bound, func(_ draw, _ tenant, s *corev1.PodSpec) { s.Containers = container("10m") }},
		lift:  lawful[0].shape,
	})
	return create, func(ctx context.Context, w *world) error {
		const patch = `{"spec":{"containers":[{"name":"web","resources":{"requests":{"cpu":"20m"}}}]}}`
		_, err := w.developer.CoreV1().Pods(t.namespace).Patch(ctx, "resized", types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{}, "resize")
		if err != nil {
			return err
		}
		return lift(ctx, w)
	}
}
