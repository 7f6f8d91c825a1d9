package main

import (
	"context"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	dto "github.com/prometheus/client_model/go"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
)

func TestQuantile(t *testing.T) {
	hundred := make([]float64, 100)
	for i := range hundred {
		hundred[99-i] = float64(i + 1)
	}
	for _, tc := range []struct {
		values []float64
		part   float64
		want   float64
	}{
		{[]float64{7}, 0.5, 7},
		{[]float64{7}, 0.99, 7},
		{[]float64{3, 1, 2}, 0.5, 2},
		{[]float64{3, 1, 2}, 0.9, 3},
		{hundred, 0.5, 50},
		{hundred, 0.99, 99},
		{hundred, 0, 1},
	} {
		if got := quantile(tc.values, tc.part); got != tc.want {
			t.Errorf("quantile %v of %v: %v; expected %v", tc.part, tc.values, got, tc.want)
		}
	}
	if got := quantile(nil, 0.5); !math.IsNaN(got) {
		t.Errorf("quantile of nothing: %v; expected NaN", got)
	}
}

// site is a measured one. It adds this much over a namespace of nobody.
func site(tenants int, added, beside float64) admissionSite {
	return admissionSite{Tenants: tenants, Added: spread{P50: added, P99: 10 * added}, Beside: spread{P50: beside}}
}

func TestAdmissionFigures(t *testing.T) {
	foil := site(1000, 5, 5)
	foil.Foil = true
	r := &admissionResult{Sites: []admissionSite{site(1, 0.2, 0.25), site(1000, 0.3, 0.26), site(10000, 0.31, 0.3), foil}}
	var got []string
	for _, f := range r.figures() {
		got = append(got, f.line())
	}
	want := []string{
		"bench: admission-p50@1 0.2 ms target <=0.3 ok",
		"bench: admission-p99@1 2 ms target <=2 ok",
		"bench: admission-p50@1000 0.3 ms target <=0.3 ok",
		"bench: admission-p99@1000 3 ms target <=2 miss",
		"bench: admission-p50@10000 0.31 ms target <=0.3 miss",
		"bench: admission-p99@10000 3.1 ms target <=2 miss",
		"bench: admission-ratio@10000 1.2 ratio target <=1.10 miss",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("figures (-want +got):\n%s", diff)
	}
	if got := (&admissionResult{Sites: r.Sites[2:]}).figures(); len(got) != 2 {
		t.Errorf("%v; expected no ratio of one number of tenants, and nothing of the foil", got)
	}
	if text := r.text(); !strings.Contains(text, "1000 tenants, a binding each") || !strings.Contains(text, "| 0.31 ") {
		t.Errorf("expected the foil and every site in\n%s", text)
	}
}

// Only times of the same round are compared: the machine was alike busy for both.
func TestEvaluate(t *testing.T) {
	courts := []*court{{tenants: 1}, {tenants: 10, bound: boundOnce}, {tenants: 10, bound: boundToEach}}
	dry := times{
		{0, ofNobody}: {1, 2, 9}, {0, again}: {1, 3, 9},
		{1, ofNobody}: {1, 2, 10}, {1, ofTenant}: {2, 4, 12},
		{2, ofNobody}: {4, 5, 12}, {2, ofTenant}: {8, 9, 16},
	}
	got := evaluate(courts, dry, dry)
	want := &admissionResult{
		Floor: spread{2, 9, 9}, Noise: spread{0, 1, 1},
		Sites: []admissionSite{
			{Tenants: 10, Added: spread{2, 3, 3}, Fastest: 1, Beside: spread{2, 2, 2}, Others: spread{0, 1, 1}, Stored: spread{2, 3, 3}},
			{Tenants: 10, Foil: true, Added: spread{7, 7, 7}, Fastest: 7, Beside: spread{4, 4, 4}, Others: spread{3, 3, 3}, Stored: spread{7, 7, 7}},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("result (-want +got):\n%s", diff)
	}
}

// The foil does what the policies do, by one binding for each tenant; policies that look at no pod are bound as they ship.
func TestFoilBindsEachTenant(t *testing.T) {
	once, err := (&court{tenants: 3, bound: boundOnce}).policies()
	if err != nil {
		t.Fatal(err)
	}
	foil, err := (&court{tenants: 3, bound: boundToEach}).policies()
	if err != nil {
		t.Fatal(err)
	}
	names := func(list []client.Object) map[string]int {
		counts := map[string]int{}
		for _, object := range list {
			switch b := object.(type) {
			case *admissionv1.ValidatingAdmissionPolicyBinding:
				counts[b.Spec.PolicyName]++
			case *admissionv1.MutatingAdmissionPolicyBinding:
				counts[b.Spec.PolicyName]++
			}
		}
		return counts
	}
	want := names(once)
	for _, policy := range []string{"hipaatenant-placement", "hipaatenant-placement-bind", "hipaatenant-storage", "hipaatenant-workload"} {
		want[policy] = 3
	}
	if diff := cmp.Diff(want, names(foil)); diff != "" {
		t.Errorf("bindings by policy (-want +got):\n%s", diff)
	}
	floor, err := (&court{tenants: 3}).policies()
	if err != nil || len(floor) > 0 {
		t.Errorf("%d objects in the floor, error %v; expected none", len(floor), err)
	}
}

// The namespaces differ in the label that makes them a tenant's, and in nothing else that costs time.
func TestNamed(t *testing.T) {
	model, err := tenantNamespace(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if model.Annotations[v1alpha1.AnnotationAdmission] != string(v1alpha1.GateOpen) || model.Annotations[v1alpha1.AnnotationRegions] == "" {
		t.Errorf("annotations %v; expected an open gate and regions", model.Annotations)
	}
	tenant, nobody := named(model, "a", "b"), named(model, "a", "")
	if tenant.Labels[v1alpha1.LabelTenant] != "b" {
		t.Errorf("labels %v; expected those of tenant b", tenant.Labels)
	}
	delete(tenant.Labels, v1alpha1.LabelTenant)
	if diff := cmp.Diff(tenant, nobody); diff != "" {
		t.Errorf("nobody's namespace differs (-tenant +nobody):\n%s", diff)
	}
}

func TestPluginSeconds(t *testing.T) {
	metric := func(name, operation string, sum float64) *dto.Metric {
		return &dto.Metric{
			Label:     []*dto.LabelPair{{Name: new("name"), Value: &name}, {Name: new("operation"), Value: &operation}},
			Histogram: &dto.Histogram{SampleSum: &sum},
		}
	}
	got := pluginSeconds(&dto.MetricFamily{Metric: []*dto.Metric{
		metric("A", "CREATE", 1), metric("A", "CREATE", 2), metric("A", "UPDATE", 4), metric("B", "CREATE", 8),
	}})
	if diff := cmp.Diff(map[string]float64{"A": 3, "B": 8}, got); diff != "" {
		t.Errorf("seconds (-want +got):\n%s", diff)
	}
}
