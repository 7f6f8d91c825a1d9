package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/hipaatenant/hipaa-tenant-operator/test/cluster"
)

// full is shared by the tests that only look; each of them works in a namespace of its own.
var full *cluster.Cluster

func TestMain(m *testing.M) {
	if os.Getenv(childVariable) != "" {
		os.Exit(runChild())
	}
	os.Exit(runTests(m))
}

func runTests(m *testing.M) int {
	var err error
	full, err = cluster.Start(context.Background(), cluster.Options{
		ControllerManager: true, Scheduler: true, Kwok: true, AuditLog: true, Log: os.Stderr,
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := m.Run()
	if code != 0 {
		full.KeepLogs()
		fmt.Fprintln(os.Stderr, "logs kept in", full.Dir())
	}
	if err := full.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if _, err := os.Stat(full.Dir()); code == 0 && !os.IsNotExist(err) {
		fmt.Fprintf(os.Stderr, "expected Stop to remove %s, found %v\n", full.Dir(), err)
		return 1
	}
	return code
}

func client(t *testing.T, cfg *rest.Config) *kubernetes.Clientset {
	t.Helper()
	c, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func namespace(t *testing.T, name string) {
	t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if _, err := client(t, full.Config()).CoreV1().Namespaces().Create(t.Context(), ns, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// eventually asks until check says nil, and fails the test with its last answer after the deadline.
func eventually(t *testing.T, deadline time.Duration, check func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := check()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("after %s still: %v", deadline, err)
		case <-tick.C:
		}
	}
}

func TestConfigMapRoundTrip(t *testing.T) {
	namespace(t, "round-trip")
	maps := client(t, full.Config()).CoreV1().ConfigMaps("round-trip")
	cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "a"}, Data: map[string]string{"k": "v"}}
	if _, err := maps.Create(t.Context(), cm, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	got, err := maps.Get(t.Context(), "a", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got.Data["k"] != "v" {
		t.Errorf("expected k=v, found %v", got.Data)
	}
}

func TestServerVersion(t *testing.T) {
	v, err := client(t, full.Config()).Discovery().ServerVersion()
	if err != nil {
		t.Fatal(err)
	}
	if v.Major != "1" || v.Minor != "37" || !strings.HasPrefix(v.GitVersion, "v1.37.") {
		t.Errorf("expected version 1.37, found %s (%s.%s)", v.GitVersion, v.Major, v.Minor)
	}
}

func TestNodeRunsPods(t *testing.T) {
	nodes := []cluster.Node{
		{Name: "east", Region: "us-east-1", Zone: "us-east-1a", ProviderID: "aws:///us-east-1a/i-1", Labels: map[string]string{"tier": "a"}},
		{Name: "west", Region: "us-west-2"},
	}
	for _, n := range nodes {
		if err := full.AddNode(t.Context(), n); err != nil {
			t.Fatal(err)
		}
	}
	c := client(t, full.Config())
	east, err := c.CoreV1().Nodes().Get(t.Context(), "east", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if east.Labels[corev1.LabelTopologyRegion] != "us-east-1" || east.Labels[corev1.LabelTopologyZone] != "us-east-1a" ||
		east.Labels["tier"] != "a" || east.Spec.ProviderID != "aws:///us-east-1a/i-1" {
		t.Errorf("node east lacks what was asked for: labels %v, provider id %q", east.Labels, east.Spec.ProviderID)
	}
	namespace(t, "workload")
	if _, err := c.AppsV1().Deployments("workload").Create(t.Context(), deployment(3, "us-east-1"), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, 20*time.Second, func() error { return podsRunOn(t, c, "workload", 3, "east") })
	if err := c.CoreV1().Namespaces().Delete(t.Context(), "workload", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, 30*time.Second, func() error {
		ns, err := c.CoreV1().Namespaces().Get(t.Context(), "workload", metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("expected namespace workload to be gone, found %v (%w)", ns.Status, err)
	})
}

func deployment(replicas int32, region string) *appsv1.Deployment {
	labels := map[string]string{"app": "web"}
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "web"},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas,
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec: corev1.PodSpec{
					// The namespace controller waits for half of this before it looks again.
					TerminationGracePeriodSeconds: new(int64),
					NodeSelector:                  map[string]string{corev1.LabelTopologyRegion: region},
					InitContainers:                []corev1.Container{{Name: "init", Image: "init"}},
					Containers:                    []corev1.Container{{Name: "web", Image: "web"}},
				},
			},
		},
	}
}

func podsRunOn(t *testing.T, c *kubernetes.Clientset, ns string, want int, node string) error {
	pods, err := c.CoreV1().Pods(ns).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		return err
	}
	running := 0
	for _, p := range pods.Items {
		if p.Status.Phase == corev1.PodRunning && p.Spec.NodeName == node && p.Status.PodIP != "" {
			running++
		}
	}
	if running != want || len(pods.Items) != want {
		return fmt.Errorf("expected %d pods running on %s, found %d of %d", want, node, running, len(pods.Items))
	}
	return nil
}

func TestSignalStopsAndContinues(t *testing.T) {
	for _, step := range []struct {
		signal syscall.Signal
		state  string
	}{{syscall.SIGSTOP, ") T "}, {syscall.SIGCONT, ") S "}} {
		if err := full.Signal(cluster.Scheduler, step.signal); err != nil {
			t.Fatal(err)
		}
		eventually(t, 10*time.Second, func() error {
			stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", full.PIDs()[cluster.Scheduler]))
			if err == nil && !strings.Contains(string(stat), step.state) {
				err = fmt.Errorf("expected state %q after %s, found %s", step.state, step.signal, stat)
			}
			return err
		})
	}
	if err := full.Signal("kubelet", syscall.SIGCONT); err == nil {
		t.Error("expected an error for an unknown component, found none")
	}
}

func TestComponentsRestartOnTheirPorts(t *testing.T) {
	namespace(t, "restart")
	c := client(t, full.Config())
	before := full.PIDs()
	for _, name := range []string{cluster.Scheduler, cluster.APIServer} {
		if err := full.StopComponent(name); err != nil {
			t.Fatal(err)
		}
		if _, running := full.PIDs()[name]; running {
			t.Fatalf("expected %s to be stopped", name)
		}
		if err := syscall.Kill(before[name], 0); !errors.Is(err, syscall.ESRCH) {
			t.Fatalf("expected no process %d of %s, found %v", before[name], name, err)
		}
		if err := full.StartComponent(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.CoreV1().Namespaces().Get(t.Context(), "restart", metav1.GetOptions{}); err != nil {
		t.Errorf("expected the data to survive the restart: %v", err)
	}
	if err := full.StartComponent(t.Context(), cluster.Scheduler); err == nil || !strings.Contains(err.Error(), "running already") {
		t.Errorf("expected a second start to be refused, found %v", err)
	}
	for _, call := range []func(string) error{
		full.StopComponent,
		func(name string) error { return full.StartComponent(t.Context(), name) },
	} {
		if err := call("kubelet"); err == nil {
			t.Error("expected an error for an unknown component, found none")
		}
	}
}
