package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/admission"
)

// upgrade installs the chart of the previous version, gives it twenty tenants with running workloads, and upgrades it to this one.
func (w *world) upgrade(ctx context.Context) (string, error) {
	const rollout = "kubectl -n hipaa-system rollout status deployment/hipaa-tenant-operator --timeout=120s && kubectl -n hipaa-system get pods -o wide"
	if err := w.prepareInstall(ctx); err != nil {
		return "", err
	}
	for _, line := range []string{w.helm("install", w.Built.Previous), rollout} {
		if _, err := w.shell(ctx, line); err != nil {
			return "", err
		}
	}
	if err := errors.Join(w.ceiling(ctx), w.addTenants(ctx, clinics()...), w.employ(ctx, clinics()...)); err != nil {
		return "", err
	}
	before, err := w.lives(ctx, clinics()...)
	if err != nil {
		return "", err
	}
	var took time.Duration
	figures, err := w.besieged(ctx, clinics(), func(ctx context.Context) error {
		began := time.Now()
		for _, line := range []string{w.helm("upgrade", w.Built.Present), rollout} {
			if _, err := w.shell(ctx, line); err != nil {
				return err
			}
		}
		if err := w.succeeded(ctx, clinics()...); err != nil {
			return err
		}
		took = time.Since(began)
		return pause(ctx, linger)
	})
	figures = fmt.Sprintf("from=%s to=%s tenants=%d pods=%d ready_after=%.1fs %s",
		w.Built.Previous.Version, w.Built.Present.Version, len(clinics()), len(before), took.Seconds(), figures)
	if err != nil {
		return figures, err
	}
	restarted, err := w.livedOn(ctx, before, clinics()...)
	return figures + restarted, errors.Join(err, w.awaitTenants(ctx, clinics()...))
}

// succeeded waits until a pod of this version leads, the policies are those it brings, and it has seen to every tenant. That a tenant
// is Ready tells nothing: the previous version wrote so, and nothing about the tenant changed. Therefore each one's spec does, by what
// concerns no pod.
func (w *world) succeeded(ctx context.Context, tenants ...string) error {
	err := await(ctx, time.Minute, func(ctx context.Context) error {
		leader, err := w.leader(ctx)
		if err != nil {
			return err
		}
		if want, found := operatorImage+":"+w.Built.Present.Version, leader.Spec.Containers[0].Image; found != want {
			return fmt.Errorf("expected the leader to run %s, found that %s runs %s", want, leader.Name, found)
		}
		return w.policiesStand(ctx)
	})
	if err != nil {
		return err
	}
	for _, name := range tenants {
		patch := client.RawPatch(types.MergePatchType, []byte(`{"spec":{"coveredEntity":{"contact":"office@`+name+`.example"}}}`))
		if err := w.admin.Patch(ctx, &v1alpha1.HIPAATenant{ObjectMeta: metav1.ObjectMeta{Name: name}}, patch); err != nil {
			return err
		}
	}
	return w.awaitTenants(ctx, tenants...)
}

// policiesStand compares the policies that are in force with those of this version.
func (w *world) policiesStand(ctx context.Context) error {
	shipped, err := admission.Load(admission.DefaultIdentity)
	if err != nil {
		return err
	}
	var live []admission.Object
	for _, want := range shipped {
		blank, err := w.admin.Scheme().New(want.GetObjectKind().GroupVersionKind())
		if err != nil {
			return err
		}
		found := blank.(admission.Object) // shipped ones are, and it is of the same kind
		if err := w.admin.Get(ctx, client.ObjectKeyFromObject(want), found); err != nil {
			return err
		}
		live = append(live, found)
	}
	if problems := admission.Compare(shipped, live); len(problems) > 0 {
		return fmt.Errorf("expected the policies of version %s, found %d problems, such as %s", w.Built.Present.Version, len(problems), problems[0])
	}
	return nil
}
