package main

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
)

// What a replica may take when nothing happens in a cluster of twenty tenants.
const (
	mostMemory = 64 << 20 // bytes
	mostCPU    = 0.020    // cores
)

// idle is how long it is looked at.
const idle = time.Minute

// usage of a container, as its kubelet tells everybody who asks for metrics.
type usage struct {
	memory float64 // working set, bytes
	cpu    float64 // seconds since the start
	at     time.Time
}

// budget measures what the operator takes while nothing happens.
func (w *world) budget(ctx context.Context) (string, error) {
	if err := w.addTenants(ctx, clinics()...); err != nil {
		return "", err
	}
	if err := w.employ(ctx, clinics()...); err != nil {
		return "", err
	}
	// What the last change still causes is not idleness.
	if err := pause(ctx, idle/2); err != nil {
		return "", err
	}
	memory, cpu, err := w.idleness(ctx)
	if err != nil {
		return "", err
	}
	figures := fmt.Sprintf("tenants=%d restarts=0 memory=%.1fMiB cpu=%.1fm", len(clinics()), memory/(1<<20), cpu*1000)
	if memory > mostMemory || cpu > mostCPU {
		return figures, fmt.Errorf("%w: expected at most %d MiB and %.0f millicores", errTarget, mostMemory>>20, mostCPU*1000)
	}
	return figures, nil
}

// idleness is what the more demanding replica takes in a while. Both have to be the same containers before and after: a processor's
// time begins at 0 with each start.
func (w *world) idleness(ctx context.Context) (memory, cpu float64, err error) {
	pods, err := w.replicas(ctx)
	if err != nil {
		return 0, 0, err
	}
	before := map[string]usage{}
	for i := range pods {
		if before[pods[i].Name], err = w.usage(ctx, pods[i].Spec.NodeName, pods[i].Name); err != nil {
			return 0, 0, err
		}
	}
	if err := pause(ctx, idle); err != nil {
		return 0, 0, err
	}
	for i := range pods {
		now, err := w.usage(ctx, pods[i].Spec.NodeName, pods[i].Name)
		if err != nil {
			return 0, 0, err
		}
		cores, err := now.since(before[pods[i].Name])
		if err != nil {
			return 0, 0, fmt.Errorf("pod %s: %w", pods[i].Name, err)
		}
		fmt.Printf("%s: %.1f MiB, %.1f millicores over %s\n", pods[i].Name, now.memory/(1<<20), cores*1000, short(now.at.Sub(before[pods[i].Name].at)))
		memory, cpu = max(memory, now.memory), max(cpu, cores)
	}
	after, err := w.replicas(ctx)
	if err == nil && !maps.Equal(containersOf(pods), containersOf(after)) {
		err = fmt.Errorf("expected the same containers after %s, %v, found %v", idle, containersOf(pods), containersOf(after))
	}
	return memory, cpu, err
}

// since is how many cores were in use on average.
func (u usage) since(was usage) (cores float64, err error) {
	if u.cpu < was.cpu || !u.at.After(was.at) {
		return 0, fmt.Errorf("expected processor time to grow with time, found %.3f s at %s after %.3f s at %s: the container was started again, or nobody measures it",
			u.cpu, u.at.Format(time.TimeOnly), was.cpu, was.at.Format(time.TimeOnly))
	}
	return (u.cpu - was.cpu) / u.at.Sub(was.at).Seconds(), nil
}

// usage asks a node's kubelet.
func (w *world) usage(ctx context.Context, nodeName, pod string) (usage, error) {
	text, err := w.api.CoreV1().RESTClient().Get().AbsPath("/api/v1/nodes/" + nodeName + "/proxy/metrics/resource").DoRaw(ctx)
	if err != nil {
		return usage{}, err
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(text))
	if err != nil {
		return usage{}, err
	}
	var u usage
	for name, to := range map[string]*float64{"container_memory_working_set_bytes": &u.memory, "container_cpu_usage_seconds_total": &u.cpu} {
		m := find(families[name], map[string]string{"namespace": v1alpha1.OperatorNamespace, "pod": pod})
		if m == nil {
			return usage{}, fmt.Errorf("the kubelet of %s has no %s of pod %s", nodeName, name, pod)
		}
		*to = m.GetGauge().GetValue() + m.GetCounter().GetValue()
		u.at = time.UnixMilli(m.GetTimestampMs())
	}
	return u, nil
}

// find the series with these labels.
func find(family *dto.MetricFamily, labels map[string]string) *dto.Metric {
	for _, m := range family.GetMetric() {
		matching := 0
		for _, l := range m.GetLabel() {
			if labels[l.GetName()] == l.GetValue() {
				matching++
			}
		}
		if matching == len(labels) {
			return m
		}
	}
	return nil
}

// pause lets time go by, which is what idleness is measured over.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
