package extension

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// crd serves a version with domainNames three lists deep, unless it is changed.
func crd(t *testing.T, change func(map[string]any)) *unstructured.Unstructured {
	t.Helper()
	text := `{"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","metadata":{"name":"clusternetworkpolicies.policy.networking.k8s.io"},
		"spec":{"versions":[{"name":"v1alpha1","served":false},{"name":"v1alpha2","served":true,"schema":{"openAPIV3Schema":{"properties":{"spec":{"properties":
		{"egress":{"type":"array","items":{"properties":{"to":{"type":"array","items":{"properties":{"domainNames":{"type":"array"}}}}}}}}}}}}}]},
		"status":{"conditions":[{"type":"NamesAccepted","status":"True"},{"type":"Established","status":"True"}]}}`
	u := &unstructured.Unstructured{}
	if err := json.Unmarshal([]byte(text), u); err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(u.Object)
	}
	return u
}

func versionOf(o map[string]any, i int) map[string]any {
	return o["spec"].(map[string]any)["versions"].([]any)[i].(map[string]any)
}

func TestJudge(t *testing.T) {
	k := ClusterNetworkPolicy
	for name, row := range map[string]struct {
		crd  *unstructured.Unstructured
		want API
	}{
		"none":   {nil, API{State: Absent}},
		"served": {crd(t, nil), API{State: Served, Fields: []string{FieldDomainNames}}},
		"without the field": {crd(t, func(o map[string]any) {
			versionOf(o, 1)["schema"] = map[string]any{"openAPIV3Schema": map[string]any{"properties": map[string]any{"spec": map[string]any{}}}}
		}), API{State: Served}},
		"without a schema": {crd(t, func(o map[string]any) { delete(versionOf(o, 1), "schema") }), API{State: Served}},
		"not this version": {crd(t, func(o map[string]any) { versionOf(o, 0)["served"], versionOf(o, 1)["served"] = true, false }),
			API{State: Unusable, Why: "it serves v1alpha1 and not v1alpha2"}},
		"no version": {crd(t, func(o map[string]any) { delete(o, "spec") }), API{State: Unusable, Why: "it serves nothing and not v1alpha2"}},
		"not established": {crd(t, func(o map[string]any) {
			o["status"].(map[string]any)["conditions"].([]any)[1].(map[string]any)["status"] = "False"
		}), API{State: Absent}},
		"names taken": {crd(t, func(o map[string]any) {
			o["status"].(map[string]any)["conditions"].([]any)[0].(map[string]any)["status"] = "False"
		}), API{State: Unusable, Why: "its names are taken by another definition"}},
		"new":   {crd(t, func(o map[string]any) { delete(o, "status") }), API{State: Absent}},
		"going": {going(crd(t, nil)), API{State: Unusable, Why: "it is being deleted"}},
	} {
		got := Judge(k, row.crd)
		if diff := cmp.Diff(row.want, got); diff != "" || !got.Equal(row.want) {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if got.Has(FieldDomainNames) != (name == "served") {
			t.Errorf("%s: has domainNames: %t", name, got.Has(FieldDomainNames))
		}
	}
}

func going(u *unstructured.Unstructured) *unstructured.Unstructured {
	at := metav1.NewTime(time.Unix(1, 0))
	u.SetDeletionTimestamp(&at)
	return u
}

func TestKindsAreFoundByName(t *testing.T) {
	for _, k := range Kinds() {
		if found, ok := ByName(k.String()); !ok || found != k {
			t.Errorf("%s leads to %v", k, found)
		}
	}
	if _, ok := ByName("NetworkPolicy.networking.k8s.io"); ok {
		t.Error("NetworkPolicy is found among the optional kinds; every cluster serves it")
	}
	if SecurityPolicy.String() != "SecurityPolicy.gateway.envoyproxy.io" || SecurityPolicy.CRD() != "securitypolicies.gateway.envoyproxy.io" {
		t.Errorf("SecurityPolicy is spelled %s, its definition %s", SecurityPolicy, SecurityPolicy.CRD())
	}
}

func TestEqual(t *testing.T) {
	a := API{State: Served, Fields: []string{"x"}}
	for _, b := range []API{{}, {State: Served}, {State: Served, Fields: []string{"y"}}, {State: Served, Fields: []string{"x"}, Why: "z"}} {
		if a.Equal(b) || b.Equal(a) {
			t.Errorf("%+v equals %+v", a, b)
		}
	}
}

func TestNewObject(t *testing.T) {
	text, err := json.Marshal(New(PeerAuthentication, Metadata{Name: "n", Namespace: "s", Labels: map[string]string{"a": "b"}}, map[string]string{"c": "d"}))
	want := `{"apiVersion":"security.istio.io/v1","kind":"PeerAuthentication","metadata":{"name":"n","namespace":"s","labels":{"a":"b"}},"spec":{"c":"d"}}`
	if err != nil || string(text) != want {
		t.Errorf("%s (%v), want %s", text, err, want)
	}
}
