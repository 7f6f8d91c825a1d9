package placement

import (
	"strconv"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
)

// told is a history of what follows: each object gets the next resourceVersion.
func told(objects ...metav1.Object) *history {
	h := newHistory()
	for i, o := range objects {
		o.SetResourceVersion(strconv.Itoa(i + 1))
		switch o := o.(type) {
		case *corev1.Node:
			h.record(o)
		case *corev1.Namespace:
			h.record(o)
		case *corev1.Pod:
			h.record(o)
		}
	}
	return h
}

func aNode(name, region string) *corev1.Node {
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{corev1.LabelTopologyRegion: region}}}
}

func aNamespace(regions string) *corev1.Namespace {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name: "acme", Labels: map[string]string{v1alpha1.LabelTenant: "acme"}, Annotations: map[string]string{v1alpha1.AnnotationRegions: regions},
	}}
}

func aPod(node, region string) *corev1.Pod {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "acme", Name: "web", UID: "1"}, Spec: corev1.PodSpec{NodeName: node}}
	if region != "" {
		pod.Labels = map[string]string{corev1.LabelTopologyRegion: region}
	}
	return pod
}

func inNamespace(pod *corev1.Pod, namespace string, uid types.UID) *corev1.Pod {
	pod.Namespace, pod.UID = namespace, uid
	return pod
}

func TestOracle(t *testing.T) {
	us, eu := aNode("us-1", "us-east-1"), aNode("eu-1", "eu-west-1")
	for name, c := range map[string]struct {
		history *history
		judged  int
		outside int
	}{
		"never bound":                 {told(us, aNamespace("us-east-1"), aPod("", ""), aPod("", "")), 1, 0},
		"bound inside":                {told(us, aNamespace("us-east-1,us-west-2"), aPod("", ""), aPod("us-1", "us-east-1"), aPod("us-1", "us-east-1")), 1, 0},
		"bound outside":               {told(us, eu, aNamespace("us-east-1"), aPod("", ""), aPod("eu-1", "eu-west-1")), 1, 1},
		"bound outside, then deleted": {told(eu, aNamespace("us-east-1"), aPod("", ""), aPod("eu-1", "eu-west-1"), inNamespace(aPod("", ""), "acme", "2")), 2, 1},
		"a label that lies":           {told(eu, aNamespace("us-east-1"), aPod("", ""), aPod("eu-1", "us-east-1")), 1, 1},
		"a label that is missing":     {told(us, aNamespace("us-east-1"), aPod("us-1", "")), 1, 1},
		"a label that changes":        {told(us, aNamespace("us-east-1"), aPod("us-1", "us-east-1"), aPod("us-1", "us-west-2")), 1, 1},
		"moved outside":               {told(us, eu, aNamespace("us-east-1"), aPod("us-1", "us-east-1"), aPod("eu-1", "eu-west-1")), 1, 1},
		"a node without region":       {told(aNode("bare", ""), aNamespace("us-east-1"), aPod("bare", "")), 1, 1},
		"a node that never was":       {told(aNamespace("us-east-1"), aPod("ghost", "us-east-1")), 1, 1},
		"a node that came later":      {told(aNamespace("us-east-1"), aPod("us-1", "us-east-1"), us), 1, 1},
		"no region allowed":           {told(us, aNamespace(""), aPod("us-1", "us-east-1")), 1, 1},
		"no region, nowhere":          {told(aNode("bare", ""), aNamespace(""), aPod("bare", "")), 1, 1},
		"bound, then regions fewer":   {told(us, aNamespace("us-east-1"), aPod("us-1", "us-east-1"), aNamespace("us-west-2"), aPod("us-1", "us-east-1")), 1, 0},
		"regions fewer, then bound":   {told(us, aNamespace("us-east-1"), aPod("", ""), aNamespace("us-west-2"), aPod("us-1", "us-east-1")), 1, 1},
		"relabelled, then bound":      {told(aNode("n", "us-east-1"), aNode("n", "eu-west-1"), aNamespace("us-east-1"), aPod("n", "us-east-1")), 1, 1},
		"bound, then relabelled":      {told(aNode("n", "us-east-1"), aNamespace("us-east-1"), aPod("n", "us-east-1"), aNode("n", "eu-west-1"), aPod("n", "us-east-1")), 1, 0},
		"nobody's tenant": {told(eu, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "plain"}}, aNamespace("us-east-1"),
			inNamespace(aPod("eu-1", "eu-west-1"), "plain", "2"), aPod("", "")), 1, 0},
		"a namespace that nobody saw": {told(us, aPod("us-1", "us-east-1")), 1, 1},
	} {
		if judged, outside := c.history.outside(); judged != c.judged || len(outside) != c.outside {
			t.Errorf("%s: want %d of %d pods outside, got %d of %d: %v", name, c.outside, c.judged, len(outside), judged, outside)
		}
	}
}

func TestHistoryHoldsWhatWasSeen(t *testing.T) {
	seen, after := aPod("", ""), aPod("us-1", "us-east-1")
	h := told(seen)
	after.ResourceVersion = "2"
	if !h.holds(seen) || h.holds(after) {
		t.Errorf("want the first revision alone, got first=%t second=%t", h.holds(seen), h.holds(after))
	}
}
