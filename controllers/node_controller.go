package controllers

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// NodeReconciler counts ready nodes by region.
type NodeReconciler struct {
	Client client.Reader
	State  *ClusterState
}

// Reconcile counts all nodes anew, whichever of them changed.
func (r *NodeReconciler) Reconcile(ctx context.Context, _ ctrl.Request) (ctrl.Result, error) {
	var nodes corev1.NodeList
	if err := r.Client.List(ctx, &nodes); err != nil {
		return ctrl.Result{}, err
	}
	counts := map[string]int{}
	for i := range nodes.Items {
		if region := nodes.Items[i].Labels[corev1.LabelTopologyRegion]; region != "" && usable(&nodes.Items[i]) {
			counts[region]++
		}
	}
	r.State.setReadyNodes(counts)
	return ctrl.Result{}, nil
}

func usable(n *corev1.Node) bool {
	for _, c := range n.Status.Conditions {
		if c.Type == corev1.NodeReady {
			return c.Status == corev1.ConditionTrue && !n.Spec.Unschedulable
		}
	}
	return false
}

// SetupWithManager registers the controller. All nodes share one request, so a burst of node updates is one count.
func (r *NodeReconciler) SetupWithManager(mgr ctrl.Manager) error {
	all := handler.EnqueueRequestsFromMapFunc(func(context.Context, client.Object) []reconcile.Request {
		return []reconcile.Request{{}}
	})
	return ctrl.NewControllerManagedBy(mgr).Named("nodes").WatchesRawSource(startUp{}).Watches(&corev1.Node{}, all).Complete(r)
}

// stripNode keeps of a node what is asked about it: its labels and whether it takes pods.
func stripNode(in any) (any, error) {
	n, ok := in.(*corev1.Node)
	if !ok {
		return in, nil
	}
	n.ManagedFields, n.Annotations = nil, nil
	n.Spec = corev1.NodeSpec{ProviderID: n.Spec.ProviderID, Unschedulable: n.Spec.Unschedulable}
	var ready []corev1.NodeCondition
	for _, c := range n.Status.Conditions {
		if c.Type == corev1.NodeReady {
			ready = append(ready, corev1.NodeCondition{Type: c.Type, Status: c.Status})
		}
	}
	n.Status = corev1.NodeStatus{Conditions: ready}
	return n, nil
}
