package placement

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/test/cluster"
	pt "github.com/hipaatenant/hipaa-tenant-operator/test/policytest"
)

const (
	tenants = 32
	// shrinking tenants lose all regions but one, half-way.
	shrinking = 4
	// perTenant pods are bare.
	perTenant = 33
	// workers make requests side by side.
	workers = 12
	// patience is how long pods may take to find their places. Seconds are usual on an idle machine.
	patience = 3 * time.Minute
)

// urgent is the priority class of pods that drive others from the small nodes.
const urgent = "urgent"

// world is a cluster with nodes, policies and tenants, and what has happened in it.
type world struct {
	env *pt.Env
	// kube is the administrator, developer has all rights in every tenant's namespace.
	kube, developer kubernetes.Interface
	tenants         []tenant
	history         *history
	hostile         *hostile

	mu sync.Mutex
	// wants are how many pods of a workload must be bound in the end.
	wants map[string]int
	// refused counts the requests of tenants that were refused, as they had to be.
	refused map[string]int
}

// newWorld furnishes a running cluster, which needs all three options.
func newWorld(ctx context.Context, c *cluster.Cluster, d draw) (*world, error) {
	env, err := pt.New(ctx, c)
	if err != nil {
		return nil, err
	}
	w := &world{env: env, wants: map[string]int{}, refused: map[string]int{}}
	if w.kube, err = kube(c.Config()); err != nil {
		return nil, err
	}
	developer, err := env.Config(ctx, pt.Developer, "")
	if err != nil {
		return nil, err
	}
	if w.developer, err = kube(developer); err != nil {
		return nil, err
	}
	if w.hostile, err = newHostile(developer, c.User(string(pt.Scheduler)), d); err != nil {
		return nil, err
	}
	if err := env.Install(ctx, canaries...); err != nil {
		return nil, err
	}
	if err := c.AddNodes(ctx, allNodes()...); err != nil {
		return nil, err
	}
	if err := w.furnish(ctx); err != nil {
		return nil, err
	}
	if err := w.settleTenants(ctx, d); err != nil {
		return nil, err
	}
	w.history, err = follow(ctx, w.kube)
	return w, err
}

// kube is a client that speaks protobuf: it reads each revision of each pod.
func kube(config *rest.Config) (kubernetes.Interface, error) {
	config = rest.CopyConfig(config)
	config.QPS = -1
	config.ContentType, config.AcceptContentTypes = "application/vnd.kubernetes.protobuf", "application/vnd.kubernetes.protobuf,application/json"
	return kubernetes.NewForConfig(config)
}

// canaries say whether the API server has taken up the policies.
var canaries = []pt.Row{
	{Name: "placement-bind", Do: pt.DryRun(pinned), Want: pt.Refused("placement-bind")},
	{Name: "placement", Do: steered, Want: pt.Allowed()},
}

const (
	nobody = "{apiVersion: v1, kind: Pod, metadata: {name: canary}, spec: {schedulerName: nobody, containers: [{name: web, image: example/web}]}}"
	pinned = "{apiVersion: v1, kind: Pod, metadata: {name: canary}, spec: {nodeName: none, containers: [{name: web, image: example/web}]}}"
)

func steered(ctx context.Context, s *pt.Session) error {
	if err := pt.Create(nobody)(ctx, s); err != nil {
		return err
	}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "canary"}}
	if err := s.Get(ctx, pod); err != nil {
		return err
	}
	if pod.Spec.Affinity == nil {
		return errors.New("the pod is not steered")
	}
	return nil
}

// furnish makes what the administrator provides: runtime classes, priorities, and a pod of nobody's tenant in every region.
func (w *world) furnish(ctx context.Context) error {
	objects := []client.Object{
		runtimeClass(poolFast, labelPool, poolFast),
		&schedulingv1.PriorityClass{ObjectMeta: metav1.ObjectMeta{Name: urgent}, Value: 10},
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: anchors}},
	}
	for _, region := range regions {
		objects = append(objects, runtimeClass(runtimeIn(region), labelRegion, region))
	}
	for _, object := range objects {
		if err := w.env.Admin.Create(ctx, object); err != nil {
			return err
		}
	}
	if err := pt.Await(ctx, "the default service account", func(ctx context.Context) error {
		_, err := w.kube.CoreV1().ServiceAccounts(anchors).Get(ctx, "default", metav1.GetOptions{})
		return err
	}); err != nil {
		return err
	}
	for _, region := range append(slices.Clone(regions), nowhere) {
		pod := podOf(tenant{namespace: anchors}, "anchor-"+region, "anchor", corev1.PodSpec{})
		pod.Labels[labelAnchor] = region
		require(&pod.Spec, named(hostOf(region, 1)))
		if _, err := w.kube.CoreV1().Pods(anchors).Create(ctx, pod, metav1.CreateOptions{}); err != nil {
			return err
		}
	}
	return nil
}

func runtimeClass(name, key, value string) *nodev1.RuntimeClass {
	return &nodev1.RuntimeClass{
		ObjectMeta: metav1.ObjectMeta{Name: name}, Handler: name,
		Scheduling: &nodev1.Scheduling{
			NodeSelector: map[string]string{key: value},
			Tolerations:  []corev1.Toleration{{Key: taintFast, Operator: corev1.TolerationOpExists}},
		},
	}
}

// settleTenants makes the tenants: the shrinking ones with three regions, the others with one to three.
func (w *world) settleTenants(ctx context.Context, d draw) error {
	w.tenants = make([]tenant, tenants)
	var steps []step
	for i := range w.tenants {
		n := 1 + d.IntN(3)
		if i < shrinking {
			n = 3
		}
		w.tenants[i] = living(some(d, n, regions)...)
		steps = append(steps, func(ctx context.Context, w *world) (err error) {
			t := &w.tenants[i]
			t.namespace, err = w.env.TenantNamespace(ctx, map[string]string{v1alpha1.AnnotationRegions: strings.Join(t.home, ",")})
			return err
		})
	}
	return w.parallel(ctx, workers, steps)
}

func living(home ...string) tenant {
	foreign := slices.DeleteFunc(slices.Clone(regions), func(r string) bool { return slices.Contains(home, r) })
	return tenant{home: home, foreign: foreign}
}

// want says how many pods of a workload must be bound in the end.
func (w *world) want(workload string, n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.wants[workload] = n
}

func (w *world) countRefused(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.refused[what]++
}

// settle waits until every pod that has a place is in it.
func (w *world) settle(ctx context.Context) error {
	var missing []string
	err := wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, patience, true, func(context.Context) (bool, error) {
		missing = w.missing()
		return len(missing) == 0, w.history.err()
	})
	if err != nil {
		return fmt.Errorf("%d workloads lack pods, such as %s: %w", len(missing), strings.Join(missing[:min(5, len(missing))], "; "), err)
	}
	return nil
}

func (w *world) missing() (missing []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for workload, n := range w.wants {
		if got := w.history.landedOf(workload); got < n {
			missing = append(missing, fmt.Sprintf("%s: want %d pods bound, got %d", workload, n, got))
		}
	}
	slices.Sort(missing)
	return missing
}

// whole checks that the history is complete: it holds every revision that a list shows. A pod made after the list marks
// how far the watch has to have come.
func (w *world) whole(ctx context.Context) error {
	list, err := w.kube.CoreV1().Pods(metav1.NamespaceAll).List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	mark := podOf(tenant{namespace: anchors}, "mark", "mark", corev1.PodSpec{SchedulerName: "nobody"})
	if mark, err = w.kube.CoreV1().Pods(anchors).Create(ctx, mark, metav1.CreateOptions{}); err != nil {
		return err
	}
	if err := pt.Await(ctx, "the mark in the history", func(context.Context) error {
		if !w.history.holds(mark) {
			return errors.Join(errors.New("not seen"), w.history.err())
		}
		return nil
	}); err != nil {
		return err
	}
	for i := range list.Items {
		if pod := &list.Items[i]; !w.history.holds(pod) {
			return fmt.Errorf("revision %s of pod %s/%s is not in the history", pod.ResourceVersion, pod.Namespace, pod.Name)
		}
	}
	return w.history.err()
}
