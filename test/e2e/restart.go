package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hipaatenant/hipaa-tenant-operator/test/node"
)

// restart kills kubelet and container runtime of the application's node, and starts them again.
func (w *world) restart(ctx context.Context) (string, error) {
	tenants := clinics()[:5]
	if err := errors.Join(w.addTenants(ctx, tenants...), w.employ(ctx, tenants...)); err != nil {
		return "", err
	}
	application, err := w.appPod(ctx)
	if err != nil {
		return "", err
	}
	all := append([]string{acmeApp}, tenants...)
	before, err := w.lives(ctx, all...)
	if err != nil {
		return "", err
	}
	n := w.nodes[1]
	var back time.Duration
	figures, err := w.besieged(ctx, tenants, func(ctx context.Context) (err error) {
		if err := errors.Join(n.StopComponent(node.Kubelet), n.StopComponent(node.Containerd)); err != nil {
			return err
		}
		fmt.Printf("killed kubelet and containerd of %s\n", n.Name)
		without := errors.Join(pause(ctx, linger), w.kept(ctx, application))
		if back, err = revive(ctx, n); err != nil || without != nil {
			return errors.Join(err, without)
		}
		return errors.Join(pause(ctx, linger), w.kept(ctx, application))
	})
	figures = fmt.Sprintf("ready_again_after=%.1fs containers=%d %s", back.Seconds(), len(before), figures)
	if err != nil {
		return figures, err
	}
	restarted, err := w.livedOn(ctx, before, all...)
	return figures + restarted, errors.Join(err, w.awaitTenants(ctx, tenants...))
}

// revive starts container runtime and kubelet again, and returns how long the node took to be Ready.
func revive(ctx context.Context, n *node.Node) (time.Duration, error) {
	began := time.Now()
	for _, name := range []string{node.Containerd, node.Kubelet} {
		if err := n.StartComponent(ctx, name); err != nil {
			return 0, err
		}
	}
	err := n.AwaitReady(ctx, began)
	return time.Since(began), err
}
