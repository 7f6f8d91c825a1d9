package apply

import (
	"context"
	"errors"
	"fmt"

	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// rebind takes away a RoleBinding that stands under a name of ours and binds another role, and makes the wanted one. The role
// of a binding cannot be changed, so a write is refused as long as the old one stands, and with it what it grants. Anything
// else that is refused stays refused.
func (a *Applier) rebind(ctx context.Context, want desired, role rbacv1.RoleRef, refusal error) (standing, error) {
	live := &rbacv1.RoleBinding{}
	if err := a.live.Get(ctx, client.ObjectKeyFromObject(want.object), live); err != nil {
		return standing{}, errors.Join(refusal, err)
	}
	if live.RoleRef == role {
		return standing{}, refusal
	}
	uid, version := live.GetUID(), live.GetResourceVersion()
	if err := a.writer.Delete(ctx, live, client.Preconditions{UID: &uid, ResourceVersion: &version}); err != nil {
		return standing{}, fmt.Errorf("taking away a binding of %s %s: %w", live.RoleRef.Kind, live.RoleRef.Name, err)
	}
	return a.create(ctx, want)
}
