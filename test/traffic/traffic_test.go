package traffic

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/yaml"

	"github.com/hipaatenant/hipaa-tenant-operator/test/cluster"
)

func TestJudge(t *testing.T) {
	refused := func(policy string) error {
		return apierrors.NewForbidden(schema.GroupResource{Resource: "pods"}, "web", errors.New("ValidatingAdmissionPolicy 'hipaatenant-"+policy+"' denied request"))
	}
	for _, row := range []struct {
		name, policy string
		err          error
		want         verdict
	}{
		{"forbidden and refused", "network", refused("network"), asMeant},
		{"forbidden and done", "network", nil, amiss},
		{"forbidden and refused by another", "network", refused("storage"), elsewhere},
		{"forbidden and refused by one whose name begins alike", "placement", refused("placement-bind"), elsewhere},
		{"forbidden and refused by the quota", "storage", apierrors.NewForbidden(schema.GroupResource{}, "x", errors.New("exceeded quota")), elsewhere},
		{"forbidden and malformed", "storage", apierrors.NewInvalid(schema.GroupKind{}, "x", nil), elsewhere},
		{"forbidden of something that is gone", "tenancy", apierrors.NewNotFound(schema.GroupResource{}, "x"), unclear},
		{"forbidden, and nobody answers", "tenancy", errors.New("connection refused"), unclear},
		{"lawful and done", "", nil, asMeant},
		{"lawful and refused", "", refused("network"), amiss},
		{"lawful, and nobody answers", "", errors.New("connection refused"), unclear},
	} {
		if got := (Request{Policy: row.policy}).judge(row.err); got != row.want {
			t.Errorf("%s: %v, expected %v", row.name, got, row.want)
		}
	}
}

// Requests are objects, and every class of policy but the one on emergency access, which is new, refuses one.
func TestRequests(t *testing.T) {
	classes := map[string]bool{}
	for _, q := range slices.Concat(Forbidden, Lawful) {
		var o unstructured.Unstructured
		if err := yaml.Unmarshal([]byte(q.Object), &o.Object); err != nil || o.GetKind() == "" || o.GetName() == "" {
			t.Errorf("%s: %v, %v", q.Name, o.Object, err)
		}
		classes[q.Policy] = true
	}
	root, err := cluster.RepositoryRoot()
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(root, "config/admission/*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		class := strings.TrimSuffix(filepath.Base(f), ".yaml")
		if class != "emergency" && class != "placement" && !classes[class] { // placement changes pods, and refuses none
			t.Errorf("no request that policy %s refuses", class)
		}
	}
}

// Every request is made in every namespace, what passes is counted, and a time without refusals is told.
func TestTraffic(t *testing.T) {
	policies := errors.New("ValidatingAdmissionPolicy 'hipaatenant-network' with binding 'hipaatenant-network' denied request")
	seen := map[string]int{}
	c := interceptor.NewClient(fake.NewClientBuilder().Build(), interceptor.Funcs{
		Create: func(_ context.Context, _ client.WithWatch, o client.Object, _ ...client.CreateOption) error {
			seen[o.GetNamespace()+"/"+o.GetName()]++
			if o.GetName() == "let-through" {
				return nil
			}
			return apierrors.NewForbidden(schema.GroupResource{}, o.GetName(), policies)
		},
	})
	of := func(name string) Request {
		return Request{Name: name, Policy: "network", Object: "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: " + name + "}}"}
	}
	traffic := New(c, []Request{of("refused"), of("let-through")}, "a", "b")
	for range 8 {
		traffic.one(t.Context())
	}
	for _, key := range []string{"a/refused", "a/let-through", "b/refused", "b/let-through"} {
		if seen[key] != 2 {
			t.Errorf("%s was tried %d times, expected 2", key, seen[key])
		}
	}
	traffic.last = time.Now().Add(-time.Hour)
	if got := traffic.Take(); got.Tried != 8 || got.Amiss != 4 || got.Unclear != 0 || len(got.Notes) != 4 || got.Gap < time.Hour ||
		got.Met["refused"] != 4 || got.Met["let-through"] != 0 {
		t.Errorf("%+v; expected 8 requests, 4 of them let through and told of, 4 refused, and an hour without a refusal", got)
	}
	if got := traffic.Take(); got.Tried != 0 || got.Amiss != 0 || got.Met["refused"] != 0 {
		t.Errorf("%+v is counted twice", got)
	}
}

// Each way in which counts show nothing, or show the contrary, is told; so is a request that never met its policy.
func TestProblem(t *testing.T) {
	met := map[string]int{"a": 499, "b": 1}
	for _, row := range []struct {
		name, want string
		counts     Counts
	}{
		{"all as meant", "", Counts{Tried: 500, Met: met}},
		{"one in a hundred unclear", "", Counts{Tried: 500, Unclear: 5, Met: met}},
		{"more unclear", "6 of 500 requests were neither", Counts{Tried: 500, Unclear: 6, Met: met}},
		{"one of few unclear", "1 of 99 requests were neither", Counts{Tried: 99, Unclear: 1, Met: met}},
		{"one passed", "1 of 500 requests had the opposite answer", Counts{Tried: 500, Amiss: 1, Met: met}},
		{"one refused by another", "1 of 500 requests were refused by something else", Counts{Tried: 500, Elsewhere: 1, Met: met}},
		{"one never met", `request "b" never`, Counts{Tried: 500, Met: map[string]int{"a": 500, "b": 0}}},
		{"nothing tried", `request "a" never`, New(nil, []Request{{Name: "a"}}).Take()},
	} {
		err := row.counts.Problem()
		if row.want == "" && err != nil || row.want != "" && (err == nil || !strings.Contains(err.Error(), row.want)) {
			t.Errorf("%s: %v, expected %q", row.name, err, row.want)
		}
	}
}
