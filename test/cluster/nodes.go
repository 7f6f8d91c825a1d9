package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
)

// kwok manages the nodes with this annotation, and no others.
const (
	nodeAnnotation      = "kwok.x-k8s.io/node"
	nodeAnnotationValue = "fake"
)

// nodeTimeout is how long a new node may take to become schedulable.
const nodeTimeout = time.Minute

// nodesAtATime is how many nodes AddNodes makes side by side.
const nodesAtATime = 16

// Node says what a simulated node looks like.
type Node struct {
	// Name is the node's name, and its hostname label.
	Name string
	// Region and Zone become the well-known topology labels when they are set.
	Region, Zone string
	// ProviderID is spec.providerID, such as "aws:///us-east-1a/i-0abc".
	ProviderID string
	// Labels are added, and win over the labels above.
	Labels map[string]string
	// Taints keep pods away that do not tolerate them.
	Taints []corev1.Taint
}

// AddNode makes a node with 32 CPUs, 256 GiB and room for 1000 pods, and waits until pods can be scheduled
// to it. With Options.Kwok it stays ready and runs pods; without, the controller manager (if there is one)
// takes it for lost after 50 s.
func (c *Cluster) AddNode(ctx context.Context, n Node) error { return c.AddNodes(ctx, n) }

// AddNodes does the same for many nodes, side by side.
func (c *Cluster) AddNodes(ctx context.Context, all ...Node) error {
	client, err := kubernetes.NewForConfig(c.admin)
	if err != nil {
		return err
	}
	nodes := client.CoreV1().Nodes()
	creating, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	slots := make(chan struct{}, nodesAtATime)
	for _, n := range all {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			if err := createNode(creating, nodes, n); err != nil {
				cancel(err)
			}
		})
	}
	wg.Wait()
	if err := context.Cause(creating); err != nil {
		return err
	}
	for _, n := range all {
		if err := c.awaitNode(ctx, nodes, n.Name); err != nil {
			return err
		}
	}
	return nil
}

func createNode(ctx context.Context, nodes typedcorev1.NodeInterface, n Node) error {
	if _, err := nodes.Create(ctx, n.object(), metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("create node %s: %w", n.Name, err)
	}
	// A patch, because kwok and the controller manager write to the node from its first moment.
	status, err := json.Marshal(corev1.Node{Status: nodeStatus(n.Name)})
	if err != nil {
		return err
	}
	if _, err := nodes.PatchStatus(ctx, n.Name, status); err != nil {
		return fmt.Errorf("make node %s ready: %w", n.Name, err)
	}
	return nil
}

func (c *Cluster) awaitNode(ctx context.Context, nodes typedcorev1.NodeInterface, name string) error {
	err := wait.PollUntilContextTimeout(ctx, readyInterval, nodeTimeout, true, func(ctx context.Context) (bool, error) {
		return c.untainted(ctx, nodes, name)
	})
	if err != nil {
		return fmt.Errorf("wait until node %s is schedulable: expected no taint %s: %w; see %s", name, corev1.TaintNodeNotReady, err, c.LogPath(ControllerManager))
	}
	return nil
}

// untainted says whether the node has lost the taint that admission gives to every new node. The controller
// manager takes it away from a ready node; where there is none, this does.
func (c *Cluster) untainted(ctx context.Context, nodes typedcorev1.NodeInterface, name string) (bool, error) {
	node, err := nodes.Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return false, err
	}
	notReady := func(t corev1.Taint) bool { return t.Key == corev1.TaintNodeNotReady }
	if !slices.ContainsFunc(node.Spec.Taints, notReady) {
		return true, nil
	}
	if c.opts.ControllerManager {
		return false, nil
	}
	node.Spec.Taints = slices.DeleteFunc(node.Spec.Taints, notReady)
	if _, err = nodes.Update(ctx, node, metav1.UpdateOptions{}); apierrors.IsConflict(err) {
		return false, nil // kwok was faster
	}
	return err == nil, err
}

func (n Node) object() *corev1.Node {
	labels := map[string]string{
		corev1.LabelHostname:   n.Name,
		corev1.LabelOSStable:   "linux",
		corev1.LabelArchStable: "amd64",
	}
	if n.Region != "" {
		labels[corev1.LabelTopologyRegion] = n.Region
	}
	if n.Zone != "" {
		labels[corev1.LabelTopologyZone] = n.Zone
	}
	maps.Copy(labels, n.Labels)
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{
			Name: n.Name, Labels: labels,
			Annotations: map[string]string{nodeAnnotation: nodeAnnotationValue},
		},
		Spec: corev1.NodeSpec{ProviderID: n.ProviderID, Taints: slices.Clone(n.Taints)},
	}
}

func nodeStatus(name string) corev1.NodeStatus {
	capacity := corev1.ResourceList{
		corev1.ResourceCPU:              resource.MustParse("32"),
		corev1.ResourceMemory:           resource.MustParse("256Gi"),
		corev1.ResourcePods:             resource.MustParse("1000"),
		corev1.ResourceEphemeralStorage: resource.MustParse("1Ti"),
	}
	now := metav1.Now()
	return corev1.NodeStatus{
		Capacity:    capacity,
		Allocatable: capacity,
		Addresses:   []corev1.NodeAddress{{Type: corev1.NodeHostName, Address: name}},
		Conditions: []corev1.NodeCondition{{
			Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "KubeletReady", Message: "simulated",
			LastHeartbeatTime: now, LastTransitionTime: now,
		}},
		NodeInfo: corev1.NodeSystemInfo{OperatingSystem: "linux", Architecture: "amd64", KubeletVersion: "kwok"},
	}
}

// RegionNodes returns one node for each region that the samples and the demonstration speak of.
func RegionNodes() []Node {
	var nodes []Node
	for _, region := range []string{"us-east-1", "us-west-2", "eu-west-1"} {
		zone := region + "a"
		nodes = append(nodes, Node{
			Name: "node-" + region, Region: region, Zone: zone,
			ProviderID: "aws:///" + zone + "/i-" + region,
		})
	}
	return nodes
}
