package controllers

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/compile"
)

// NodeReconciler surveys in which regions nodes are, and which of them take pods.
type NodeReconciler struct {
	Client    client.Reader
	State     *ClusterState
	Placement *Placement
}

// Reconcile surveys all nodes anew, whichever of them changed.
func (r *NodeReconciler) Reconcile(ctx context.Context, _ ctrl.Request) (ctrl.Result, error) {
	var nodes corev1.NodeList
	if err := r.Client.List(ctx, &nodes, client.UnsafeDisableDeepCopy); err != nil {
		return ctrl.Result{}, err
	}
	list := make([]compile.Node, len(nodes.Items))
	for i := range nodes.Items {
		list[i] = compile.Node{Name: nodes.Items[i].Name, Region: regionOf(&nodes.Items[i]), Ready: usable(&nodes.Items[i])}
	}
	survey := compile.NewSurvey(list)
	disputed := 0
	for _, names := range survey.Disputed {
		disputed += len(names)
	}
	disputedNodes.Set(float64(disputed))
	return ctrl.Result{}, r.Placement.nodesMoved(ctx, r.State.setNodes(survey))
}

func regionOf(n *corev1.Node) compile.NodeRegion {
	return compile.JudgeNode(n.Labels[corev1.LabelTopologyRegion], n.Spec.ProviderID)
}

func usable(n *corev1.Node) bool {
	for _, c := range n.Status.Conditions {
		if c.Type == corev1.NodeReady {
			return c.Status == corev1.ConditionTrue && !n.Spec.Unschedulable
		}
	}
	return false
}

// SetupWithManager registers the controller. All nodes share one request, so a burst of node updates is one survey.
func (r *NodeReconciler) SetupWithManager(mgr ctrl.Manager) error {
	all := handler.EnqueueRequestsFromMapFunc(func(context.Context, client.Object) []reconcile.Request {
		return []reconcile.Request{{}}
	})
	return ctrl.NewControllerManagedBy(mgr).Named("nodes").WatchesRawSource(startUp{}).
		Watches(&corev1.Node{}, all, builder.WithPredicates(nodeChanged())).Complete(r)
}

// nodeChanged lets through what makes a difference to the survey, and holds back the heartbeats.
func nodeChanged() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		before, ok := e.ObjectOld.(*corev1.Node)
		after, still := e.ObjectNew.(*corev1.Node)
		return !ok || !still || regionOf(before) != regionOf(after) || usable(before) != usable(after)
	}}
}

// stripNode keeps of a node what is asked about it: its region, and whether it takes pods.
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
