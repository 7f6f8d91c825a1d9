package apply

import (
	"context"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
)

// Stands says whether the cache shows an object as the plan writes it. What this process wrote and the cache does not show yet may
// have been deleted since; and one that the plan does not write does not stand.
func (a *Applier) Stands(ctx context.Context, plan Plan, ref v1alpha1.ObjectRef) bool {
	for _, wave := range plan.Waves() {
		for _, config := range wave {
			want, err := newDesired(config)
			if err != nil || want.ref != ref {
				continue
			}
			cached, _ := empty(ref.Kind)
			if a.writer.Get(ctx, client.ObjectKeyFromObject(want.object), cached) != nil {
				return false
			}
			digest, _ := strippedDigest(cached)
			return a.same(want, digest)
		}
	}
	return false
}

// Close deletes objects that the cache shows, the very ones it shows, where they carry the parent's label, and says whether any
// was deleted. It asks nothing before and is no substitute for Prune, which finds whatever is left here, and tells why.
func (a *Applier) Close(ctx context.Context, refs []v1alpha1.ObjectRef, parent Parent) bool {
	closed := false
	for _, ref := range refs {
		obj, known := empty(ref.Kind)
		if !known || a.writer.Get(ctx, client.ObjectKey{Namespace: ref.Namespace, Name: ref.Name}, obj) != nil || obj.GetLabels()[parent.Label] != parent.Value {
			continue
		}
		uid, version := obj.GetUID(), obj.GetResourceVersion()
		if a.writer.Delete(ctx, obj, client.Preconditions{UID: &uid, ResourceVersion: &version}) == nil {
			a.forget(ref)
			closed = true
		}
	}
	return closed
}
