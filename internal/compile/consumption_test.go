package compile

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/test/fixture"
)

// TestConsumption: a pod took the config when it carries its stamp, whatever else it says; one that asked for none is no pass.
func TestConsumption(t *testing.T) {
	tenant := fixture.Tenant("acme", func(t *v1alpha1.HIPAATenant) { t.UID = "u-acme" })
	f := factsFor(fixture.Profile("default"))
	f.Namespaces["acme"] = standing("acme", "u-acme", v1alpha1.GateOpen)
	current := Compile(tenant, f).Config["acme"]
	if fact := factOf(t, Compile(tenant, f), "acme", v1alpha1.AnnotationConfigHash); current == "" || current != fact {
		t.Fatalf("pods should have config %q, and the namespace says %q", current, fact)
	}
	for name, tc := range map[string]struct {
		pod   Pod
		want  Consumption
		codes [2]bool // stale, unknown
	}{
		"the present one":                {Pod{Config: current}, Consumption{}, [2]bool{}},
		"another":                        {Pod{Config: "0"}, Consumption{Stale: 1}, [2]bool{true, false}},
		"another, and it is leaving":     {Pod{Config: "0", Leaving: true}, Consumption{Stale: 1}, [2]bool{true, false}},
		"none":                           {Pod{}, Consumption{Stale: 1}, [2]bool{true, false}},
		"none, as it asked":              {Pod{Uninjected: true}, Consumption{Uninjected: 1}, [2]bool{false, true}},
		"another, and then asked not to": {Pod{Config: "0", Uninjected: true}, Consumption{Stale: 1}, [2]bool{true, false}},
		"the present, and asked not to":  {Pod{Config: current, Uninjected: true}, Consumption{}, [2]bool{}},
		"another, elsewhere":             {Pod{Namespace: "birch", Config: "0"}, Consumption{}, [2]bool{}},
	} {
		tc.pod.Name = "web"
		if tc.pod.Namespace == "" {
			tc.pod.Namespace = "acme"
		}
		f.Pods = []Pod{tc.pod}
		p := Compile(tenant, f)
		if diff := cmp.Diff(tc.want, p.Consumption["acme"]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if got := [2]bool{has(p, CodeConfigStale), has(p, CodeConfigUnknown)}; got != tc.codes {
			t.Errorf("%s: findings %v", name, p.Findings)
		}
	}
}

// TestNoConfigNoConsumption: what nothing stands to be compared with is not judged.
func TestNoConfigNoConsumption(t *testing.T) {
	tenant := fixture.Tenant("acme", func(t *v1alpha1.HIPAATenant) { t.UID, t.Spec.Region = "u-acme", "eu-west-9" })
	f := factsFor(fixture.Profile("default"))
	f.Namespaces["acme"] = standing("acme", "u-acme", v1alpha1.GateLocked)
	f.Pods = []Pod{{Namespace: "acme", Name: "web", Config: "0"}}
	if p := Compile(tenant, f); len(p.Config) != 0 || len(p.Consumption) != 0 || p.Config == nil {
		t.Errorf("without a config: %v, %v", p.Config, p.Consumption)
	}
	f.Profile = nil
	if p := Compile(tenant, f); p.Config != nil || has(p, CodeConfigStale) {
		t.Errorf("without a profile nothing is judged: %v, %v", p.Config, p.Findings)
	}
}
