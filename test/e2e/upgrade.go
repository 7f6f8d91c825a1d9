package main

import (
	"context"
	"errors"
	"fmt"
	"time"
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
		if err := w.awaitTenants(ctx, clinics()...); err != nil {
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
