package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/test/node"
)

// releaseOf finds the operator's chart in a source tree, and its version.
func releaseOf(source string) (release, error) {
	r := release{Chart: filepath.Join(source, "charts", v1alpha1.OperatorName)}
	if _, err := os.Stat(r.Chart); err != nil {
		r.Chart = filepath.Join(source, "charts", "hipaa-tenant-operator")
	}
	text, err := os.ReadFile(filepath.Join(r.Chart, "Chart.yaml"))
	if err != nil {
		return release{}, err
	}
	var chart struct{ AppVersion string }
	err = yaml.Unmarshal(text, &chart)
	r.Version = chart.AppVersion
	return r, err
}

// readyWithin is how soon after its start a replica has to be Ready, on a machine at rest.
const readyWithin = 5 * time.Second

// install installs the chart of this version, or finds it installed by the upgrade.
func (w *world) install(ctx context.Context) (string, error) {
	// How long a replica takes to be Ready is to be its own time, and not that of a kubelet that does not look yet.
	if err := errors.Join(w.prepareInstall(ctx), pause(ctx, time.Until(w.probing))); err != nil {
		return "", err
	}
	if _, err := w.shell(ctx, w.helm("upgrade --install", w.Built.Present)); err != nil {
		return "", err
	}
	if _, err := w.shell(ctx, "kubectl -n hipaa-system rollout status deployment/hipaa-tenant-operator --timeout=60s"); err != nil {
		return "", err
	}
	if _, err := w.shell(ctx, "kubectl -n hipaa-system get pods -o wide"); err != nil {
		return "", err
	}
	pods, err := w.replicas(ctx)
	if err != nil {
		return "", err
	}
	var slowest time.Duration
	nodes := map[string]bool{}
	for i := range pods {
		took, err := readyAfter(&pods[i])
		if err != nil {
			return "", err
		}
		slowest = max(slowest, took)
		nodes[pods[i].Spec.NodeName] = true
	}
	floor, err := w.floor(ctx)
	if err != nil {
		return "", err
	}
	// Both times are whole seconds, so what took four and a half may read as five and a half.
	limit := scaled(readyWithin, floor) + time.Second
	figures := fmt.Sprintf("replicas=%d nodes=%d restarts=0 ready_after=%.0fs floor=%.1fs", len(pods), len(nodes), slowest.Seconds(), floor.Seconds())
	if len(nodes) != 2 || slowest > limit {
		return figures, fmt.Errorf("%w: expected 2 replicas on 2 nodes, Ready within %s of their start", errTarget, short(limit))
	}
	return figures, nil
}

// prepareInstall makes the operator's namespace, as docs/getting-started.md does, and the values of the chart.
func (w *world) prepareInstall(ctx context.Context) error {
	values, err := yaml.Marshal(map[string]any{
		"networkPolicy": map[string]any{
			"kubernetesAPITo":    peers(node.Gateway),
			"kubernetesAPIPorts": []int{w.cluster.Port()},
			"vaultTo":            peers(node.Gateway),
		},
		"vault": map[string]any{
			"address":        w.vault.Address,
			"kubernetesRole": v1alpha1.OperatorName,
			"caSecret":       map[string]any{"name": vaultCA},
		},
	})
	if err != nil {
		return err
	}
	if err := os.WriteFile(w.valuesFile(), values, 0o600); err != nil {
		return err
	}
	for _, line := range []string{
		"kubectl create namespace hipaa-system",
		fmt.Sprintf("kubectl -n hipaa-system create secret generic %s --from-file=ca.crt=%s", vaultCA, w.vault.CAFile),
	} {
		if _, err := w.ask(ctx, line+" --dry-run=client -o yaml | kubectl apply -f -"); err != nil {
			return err
		}
	}
	_, err = w.shell(ctx, "kubectl label namespace hipaa-system pod-security.kubernetes.io/enforce=restricted")
	return err
}

// peers of a network policy at one address.
func peers(address string) []any {
	return []any{map[string]any{"ipBlock": map[string]any{"cidr": address + "/32"}}}
}

func (w *world) valuesFile() string { return filepath.Join(w.Dir, "operator.yaml") }

// helm is the command line that brings a version of the operator.
func (w *world) helm(verb string, r release, flags ...string) string {
	return fmt.Sprintf("helm %s hipaa %s -n hipaa-system -f %s %s | sed '/^NOTES:/,$d'", verb, r.Chart, w.valuesFile(), strings.Join(flags, " "))
}

// readyAfter is how long after the start of its container a pod was Ready. Both times are whole seconds.
func readyAfter(pod *corev1.Pod) (time.Duration, error) {
	for _, c := range pod.Status.Conditions {
		if running := pod.Status.ContainerStatuses[0].State.Running; c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue && running != nil {
			return c.LastTransitionTime.Sub(running.StartedAt.Time), nil
		}
	}
	return 0, errors.New("pod " + pod.Name + " is not Ready")
}
