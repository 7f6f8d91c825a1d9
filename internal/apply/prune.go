package apply

import (
	"context"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
)

// Parent is how a child says whose it is.
type Parent struct {
	// Label key.
	Label string
	// Value of the label.
	Value string
}

// Prune deletes the remembered objects that are no longer wanted and returns those that must stay remembered because
// they could not be deleted. An object that is gone, or that belongs to another parent by now, is forgotten.
func (a *Applier) Prune(ctx context.Context, refs []v1alpha1.ObjectRef, parent Parent) ([]v1alpha1.ObjectRef, error) {
	var survivors []v1alpha1.ObjectRef
	var errs []error
	for _, ref := range refs {
		if err := a.pruneOne(ctx, ref, parent); err != nil {
			survivors = append(survivors, ref)
			errs = append(errs, fmt.Errorf("deleting %s %s/%s: %w", ref.Kind, ref.Namespace, ref.Name, err))
		}
	}
	return survivors, errors.Join(errs...)
}

func (a *Applier) pruneOne(ctx context.Context, ref v1alpha1.ObjectRef, parent Parent) error {
	if ref.Kind == "Namespace" || ref.Kind == "Secret" {
		return nil
	}
	obj, known := empty(ref.Kind)
	if !known {
		return nil // written by a version that knew more kinds; it carries the labels that find it
	}
	err := a.live.Get(ctx, client.ObjectKey{Namespace: ref.Namespace, Name: ref.Name}, obj)
	switch {
	case apierrors.IsNotFound(err), meta.IsNoMatchError(err): // of a kind that is not served any more nothing is left
		a.forget(ref)
		return nil
	case err != nil:
		return err
	case obj.GetLabels()[parent.Label] != parent.Value:
		return nil
	}
	uid := obj.GetUID()
	err = a.writer.Delete(ctx, obj, client.Preconditions{UID: &uid})
	if err == nil || apierrors.IsNotFound(err) {
		a.forget(ref)
		return nil
	}
	return err
}

// forget what is known of an object that is gone.
func (a *Applier) forget(ref v1alpha1.ObjectRef) {
	a.memory.forget(ref)
	a.settled.Delete(ref)
}
