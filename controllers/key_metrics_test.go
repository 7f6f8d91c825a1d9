package controllers

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/keyringtest"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/local"
)

// TestKeyMetrics: due times and entries that wait to be wrapped anew are shown, and go with the key and with the tenant.
func TestKeyMetrics(t *testing.T) {
	key := func(name string) v1alpha1.KeyStatus {
		return v1alpha1.KeyStatus{Name: name, NextRotation: metav1.Unix(1800000000, 0)}
	}
	noteKeys("metered", keyring.Outcome{Keys: []v1alpha1.KeyStatus{key("a"), key("b")}, Behind: 3})
	if n := testutil.ToFloat64(keysBehind.WithLabelValues("metered")); n != 3 {
		t.Errorf("%v entries behind; want 3", n)
	}
	if at := testutil.ToFloat64(nextRotation.WithLabelValues("metered", "b")); at != 1800000000 {
		t.Errorf("next rotation at %v", at)
	}
	noteKeys("metered", keyring.Outcome{Keys: []v1alpha1.KeyStatus{key("b")}})
	if n, behind := testutil.CollectAndCount(nextRotation), testutil.CollectAndCount(keysBehind); n != 1 || behind != 0 {
		t.Errorf("%d series of due times, %d of entries behind; want 1 and 0", n, behind)
	}
	forgetKeys("metered")
	if n := testutil.CollectAndCount(nextRotation); n != 0 {
		t.Errorf("%d series of a tenant that is gone", n)
	}
}

// TestKMSMetrics: calls are counted by their result, and the circuit of a KMS that does not answer shows as open.
func TestKMSMetrics(t *testing.T) {
	shelf := keyringtest.NewShelf()
	clock := clocktesting.NewFakePassiveClock(noon)
	ring := keyring.New(clock, local.New(shelf, clock))
	watchKMS(ring)
	t.Cleanup(func() { kmsCircuits.ring.Store(nil) })
	request := keyring.Request{
		ClusterUID: "c", Tenant: "acme", TenantUID: "u", KeyURI: "local://acme", RotationPeriod: 720 * 3600e9,
		DataKeys: []string{"default"}, Namespaces: []string{"acme"},
	}
	shows := func(open string) {
		t.Helper()
		want := "# HELP hipaatenant_kms_circuit_open 1 while an endpoint is left alone because it does not answer; 0 while it is asked.\n" +
			"# TYPE hipaatenant_kms_circuit_open gauge\nhipaatenant_kms_circuit_open{endpoint=\"\",provider=\"local\"} " + open + "\n"
		if err := testutil.CollectAndCompare(kmsCircuits, strings.NewReader(want)); err != nil {
			t.Error(err)
		}
	}
	if _, err := ring.Ensure(t.Context(), request); err != nil {
		t.Fatal(err)
	}
	shows("0")
	shelf.Fail = keyring.Errorf(keyring.Unreachable, "away")
	clock.SetTime(noon.Add(3600e9)) // the provider remembers keys for a while
	for range 3 {
		_, _ = ring.Ensure(t.Context(), request)
	}
	shows("1")
	if n := testutil.CollectAndCount(kmsCalls); n < 3 {
		t.Errorf("%d series of calls; want those of describe and wrap that went well, and of describe that did not", n)
	}
}
