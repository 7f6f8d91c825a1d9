package controllers

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

func node(name, region string, conditions ...corev1.NodeCondition) *corev1.Node {
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if region != "" {
		n.Labels = map[string]string{corev1.LabelTopologyRegion: region}
	}
	n.Status.Conditions = conditions
	return n
}

func is(kind corev1.NodeConditionType, status corev1.ConditionStatus) corev1.NodeCondition {
	return corev1.NodeCondition{Type: kind, Status: status, Reason: "x", Message: "x"}
}

var readyNow = is(corev1.NodeReady, corev1.ConditionTrue)

func TestUsable(t *testing.T) {
	for name, tc := range map[string]struct {
		node *corev1.Node
		want bool
	}{
		"ready":               {node("a", "", readyNow), true},
		"ready, among others": {node("a", "", is(corev1.NodeMemoryPressure, corev1.ConditionTrue), readyNow), true},
		"not ready":           {node("a", "", is(corev1.NodeReady, corev1.ConditionFalse)), false},
		"unknown":             {node("a", "", is(corev1.NodeReady, corev1.ConditionUnknown)), false},
		"never reported":      {node("a", ""), false},
		"says other things":   {node("a", "", is(corev1.NodeDiskPressure, corev1.ConditionTrue)), false},
	} {
		if got := usable(tc.node); got != tc.want {
			t.Errorf("%s: usable = %t, want %t", name, got, tc.want)
		}
		cordoned := tc.node.DeepCopy()
		cordoned.Spec.Unschedulable = true
		if usable(cordoned) {
			t.Errorf("%s and cordoned: usable", name)
		}
		stripped, err := stripNode(tc.node.DeepCopy())
		if err != nil || usable(stripped.(*corev1.Node)) != tc.want {
			t.Errorf("%s: the stripped node is judged otherwise (%v)", name, err)
		}
	}
}

func TestStripNode(t *testing.T) {
	n := node("a", "us-east-1", is(corev1.NodeMemoryPressure, corev1.ConditionTrue), readyNow)
	n.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "kubelet"}}
	n.Annotations = map[string]string{"a": "b"}
	n.ResourceVersion = "7"
	n.Spec = corev1.NodeSpec{ProviderID: "aws:///x", Unschedulable: true, PodCIDR: "10.0.0.0/24", Taints: []corev1.Taint{{Key: "x"}}}
	n.Status.Capacity = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("4")}
	n.Status.Images = []corev1.ContainerImage{{Names: []string{"x"}}}
	want := node("a", "us-east-1", corev1.NodeCondition{Type: corev1.NodeReady, Status: corev1.ConditionTrue})
	want.ResourceVersion = "7"
	want.Spec = corev1.NodeSpec{ProviderID: "aws:///x", Unschedulable: true}
	for range 2 { // what is stripped already stays as it is
		got, err := stripNode(n)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(text(t, want), text(t, got)); diff != "" {
			t.Errorf("stripped node (-want +got):\n%s", diff)
		}
	}
	gone := cache.DeletedFinalStateUnknown{Key: "a"}
	if got, err := stripNode(gone); err != nil || got != any(gone) {
		t.Errorf("stripNode(%v) = %v, %v; want it untouched", gone, got, err)
	}
}

func text(t *testing.T, v any) string {
	t.Helper()
	out, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func nodeReconciler(c client.Reader) *NodeReconciler {
	state := NewClusterState()
	return &NodeReconciler{Client: c, State: state, Placement: placementOver(c, state)}
}

func TestNodesAreCountedByRegion(t *testing.T) {
	cordoned := node("cordoned", "us-east-1", readyNow)
	cordoned.Spec.Unschedulable = true
	s := newStore(t, node("a", "us-east-1", readyNow), node("b", "us-east-1", readyNow), node("c", "us-west-2", readyNow),
		node("d", "eu-west-1", is(corev1.NodeReady, corev1.ConditionFalse)), node("e", "", readyNow), cordoned)
	r := nodeReconciler(s)
	if _, err := r.Reconcile(t.Context(), ctrl.Request{}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]int{"us-east-1": 2, "us-west-2": 1}, r.State.Nodes().Ready); diff != "" {
		t.Errorf("ready nodes (-want +got):\n%s", diff)
	}
	r = nodeReconciler(newStore(t))
	if _, err := r.Reconcile(t.Context(), ctrl.Request{}); err != nil || r.State.Nodes() == nil {
		t.Errorf("a cluster without nodes: %v, %v; want none, known", r.State.Nodes(), err)
	}
}

func TestNodesThatCannotBeListedStayUnknown(t *testing.T) {
	r := nodeReconciler(failingReader{fmt.Errorf("no informer")})
	if _, err := r.Reconcile(t.Context(), ctrl.Request{}); err == nil || r.State.Nodes() != nil {
		t.Errorf("error %v, nodes %v; want the error and nothing known", err, r.State.Nodes())
	}
}
