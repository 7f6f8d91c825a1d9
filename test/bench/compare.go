package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/apply"
)

// sizeTolerance is how much a keyset or a status may differ in length: keys and times are never alike.
const sizeTolerance = 0.05

// compare says that the operator made of a tenant exactly what a floor makes of it. If it did not, the two would not be
// comparable.
func (s *stage) compare(ctx context.Context, name string) error {
	live := &v1alpha1.HIPAATenant{}
	if err := s.admin.Get(ctx, client.ObjectKey{Name: name}, live); err != nil {
		return err
	}
	fresh := live.DeepCopy()
	fresh.Status = v1alpha1.HIPAATenantStatus{}
	drawn, err := newDrawer(s.uid).draw(ctx, fresh)
	if err != nil {
		return err
	}
	var differences []error
	for _, config := range drawn.objects {
		want, _, err := typed(config)
		if err != nil {
			return err
		}
		got := want.DeepCopyObject().(client.Object)
		if err := s.admin.Get(ctx, client.ObjectKeyFromObject(want), got); err != nil {
			return err
		}
		differences = append(differences, sameObject(want, got))
	}
	if n := len(live.Status.Inventory); n != objectsPerTenant {
		differences = append(differences, fmt.Errorf("inventory: expected %d objects, found %d", objectsPerTenant, n))
	}
	wantStatus, err := json.Marshal(drawn.status)
	if err != nil {
		return err
	}
	gotStatus, err := json.Marshal(live.Status)
	if err != nil {
		return err
	}
	differences = append(differences, sameSize("status", len(wantStatus), len(gotStatus)))
	if err := errors.Join(differences...); err != nil {
		return fmt.Errorf("the floors do not write what the operator writes of tenant %s: %w", name, err)
	}
	return nil
}

func sameObject(want, got client.Object) error {
	ref := apply.RefOf(want)
	title := fmt.Sprintf("%s %s/%s", ref.Kind, ref.Namespace, ref.Name)
	if secret, ok := want.(*corev1.Secret); ok {
		return sameSize(title, len(secret.Data[v1alpha1.KeysetKey]), len(got.(*corev1.Secret).Data[v1alpha1.KeysetKey]))
	}
	if apply.Digest(want) != apply.Digest(got) {
		return fmt.Errorf("%s differs", title)
	}
	return nil
}

func sameSize(title string, want, got int) error {
	if math.Abs(float64(want-got)) > sizeTolerance*float64(want) {
		return fmt.Errorf("%s: expected about %d bytes, found %d", title, want, got)
	}
	return nil
}
