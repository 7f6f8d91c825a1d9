package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/test/node"
	"github.com/hipaatenant/hipaa-tenant-operator/test/walls"
)

// verdictWithin is how soon a change of the network has to be noticed: probes are ten seconds apart, each takes half a minute at
// most, and good news after bad counts the second time.
const verdictWithin = 3 * time.Minute

// probe has the operator find out that CNI's bridge enforces nothing, and then that iptables does, which stay for the stories
// that follow. Real packets are sent each time: the operator must say what they show.
func (w *world) probe(ctx context.Context) (string, error) {
	stranger := clinics()[0]
	if err := errors.Join(w.addTenants(ctx, stranger), w.employ(ctx, stranger)); err != nil {
		return "", err
	}
	if err := w.isolated(ctx, "Unknown/"+v1alpha1.ReasonPolicyWritten); err != nil {
		return "", fmt.Errorf("without the probe: %w", err)
	}
	if _, err := w.shell(ctx, w.helm("upgrade", w.Built.Present, "--set networkProbe.enabled=true --set networkProbe.interval=10s")); err != nil {
		return "", err
	}
	without, err := w.noticed(ctx, "False/"+v1alpha1.ReasonPluginDoesNotEnforce, []string{"NetworkIsolated", "Ready"}, func() error {
		return w.reaches(ctx, stranger, true)
	})
	if err != nil {
		return "", fmt.Errorf("on CNI's bridge: %w", err)
	}
	if _, err := w.shell(ctx, "kubectl get events -A --field-selector reason=PluginDoesNotEnforce -o custom-columns=TYPE:.type,OBJECT:.involvedObject.name,MESSAGE:.message"); err != nil {
		return "", err
	}
	figures := fmt.Sprintf("plugin_does_not_enforce_after=%.0fs", without.Seconds())
	if _, err := walls.Start(context.WithoutCancel(ctx), w.cluster.Config(), w.nodes[0].Namespace(), w.nodes[1].Namespace()); err != nil {
		return figures, err
	}
	with, err := w.noticed(ctx, "True/"+v1alpha1.ReasonVerified, []string{"NetworkIsolated", "Ready"}, func() error {
		return errors.Join(w.reaches(ctx, stranger, false), w.reachesVault(ctx))
	})
	if err != nil {
		return figures, fmt.Errorf("behind walls: %w", err)
	}
	return figures + fmt.Sprintf(" verified_after=%.0fs", with.Seconds()), nil
}

// noticed shows by packets how things are, waits until the operator says so of the tenant, shows these conditions, and returns how
// long that took.
func (w *world) noticed(ctx context.Context, want string, conditions []string, shown func() error) (time.Duration, error) {
	began := time.Now()
	if err := await(ctx, 10*time.Second, func(context.Context) error { return shown() }); err != nil {
		return 0, err
	}
	if err := await(ctx, verdictWithin, func(ctx context.Context) error { return w.isolated(ctx, want) }); err != nil {
		return 0, err
	}
	took := time.Since(began)
	for _, c := range conditions {
		line := fmt.Sprintf(`kubectl get hipaatenant acme-health -o jsonpath='{range .status.conditions[?(@.type=="%s")]}{.type}={.status} {.reason}: {.message}{"\n"}{end}'`, c)
		if _, err := w.shell(ctx, line); err != nil {
			return took, err
		}
	}
	return took, nil
}

// isolated compares condition NetworkIsolated of the tenant.
func (w *world) isolated(ctx context.Context, want string) error {
	t := &v1alpha1.HIPAATenant{}
	if err := w.admin.Get(ctx, client.ObjectKey{Name: acme}, t); err != nil {
		return err
	}
	c := meta.FindStatusCondition(t.Status.Conditions, v1alpha1.ConditionNetworkIsolated)
	if c == nil || string(c.Status)+"/"+c.Reason != want {
		return fmt.Errorf("expected NetworkIsolated %s, found %+v", want, c)
	}
	return nil
}

// reaches says whether a pod of another tenant gets through to the application, which no policy allows.
func (w *world) reaches(ctx context.Context, stranger string, want bool) error {
	application, err := w.appPod(ctx)
	if err != nil {
		return err
	}
	pods, err := w.api.CoreV1().Pods(stranger).List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	if len(pods.Items) != 1 {
		return fmt.Errorf("expected one pod of %s, found %d", stranger, len(pods.Items))
	}
	return w.connects(ctx, &pods.Items[0], net.JoinHostPort(application.Status.PodIP, strconv.Itoa(appPort)), want)
}

// reachesVault says that the application gets through to the vendor it may reach, and to nothing else there.
func (w *world) reachesVault(ctx context.Context) error {
	application, err := w.appPod(ctx)
	if err != nil {
		return err
	}
	return errors.Join(
		w.connects(ctx, application, strings.TrimPrefix(w.vault.Address, "https://"), true),
		w.connects(ctx, application, net.JoinHostPort(node.Gateway, strconv.Itoa(w.cluster.Port())), false),
	)
}

// connects opens a connection from a pod's network.
func (w *world) connects(ctx context.Context, pod *corev1.Pod, address string, want bool) error {
	n, err := w.nodeOf(pod)
	if err != nil {
		return err
	}
	found, err := n.Connects(ctx, pod, address)
	if err == nil && found != want {
		err = fmt.Errorf("expected a connection from %s/%s to %s: %t, found %t", pod.Namespace, pod.Name, address, want, found)
	}
	return err
}
