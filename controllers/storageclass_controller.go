package controllers

import (
	"context"

	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/compile"
)

// StorageClassReconciler judges how storage classes encrypt. The parameters of a class never change, but it can be deleted
// and made anew with others.
type StorageClassReconciler struct {
	Client client.Reader
	State  *ClusterState
}

// Reconcile judges all classes anew, whichever of them changed.
func (r *StorageClassReconciler) Reconcile(ctx context.Context, _ ctrl.Request) (ctrl.Result, error) {
	var list storagev1.StorageClassList
	if err := r.Client.List(ctx, &list, client.UnsafeDisableDeepCopy); err != nil {
		return ctrl.Result{}, err
	}
	classes := make(map[string]compile.StorageClass, len(list.Items))
	for i := range list.Items {
		classes[list.Items[i].Name] = compile.JudgeStorageClass(&list.Items[i])
	}
	r.State.setStorageClasses(classes)
	return ctrl.Result{}, nil
}

// SetupWithManager registers the controller. All classes share one request.
func (r *StorageClassReconciler) SetupWithManager(mgr ctrl.Manager) error {
	all := handler.EnqueueRequestsFromMapFunc(func(context.Context, client.Object) []reconcile.Request {
		return []reconcile.Request{{}}
	})
	return ctrl.NewControllerManagedBy(mgr).Named("storageclasses").WatchesRawSource(startUp{}).
		Watches(&storagev1.StorageClass{}, all).Complete(r)
}

// stripClass keeps of a storage class what is asked about it: who makes its volumes, and with which parameters.
func stripClass(in any) (any, error) {
	c, ok := in.(*storagev1.StorageClass)
	if !ok {
		return in, nil
	}
	return &storagev1.StorageClass{
		ObjectMeta:  metav1.ObjectMeta{Name: c.Name, UID: c.UID, ResourceVersion: c.ResourceVersion},
		Provisioner: c.Provisioner, Parameters: c.Parameters,
	}, nil
}
