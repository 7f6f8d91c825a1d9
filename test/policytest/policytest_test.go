package policytest

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
)

// A helper that says yes to everything would make every table green.
func TestOutcomes(t *testing.T) {
	var (
		byNetwork = errors.New("ValidatingAdmissionPolicy 'hipaatenant-network' with binding 'hipaatenant-network' denied request: 0.0.0.0/0 is too wide")
		byOthers  = errors.New("ValidatingAdmissionPolicy 'hipaatenant-tenancy' with binding 'hipaatenant-tenancy' denied request: 0.0.0.0/0 is too wide")
		byRBAC    = errors.New(`pods is forbidden: User "dev" cannot create resource "pods"`)
		broken    = errors.New("ValidatingAdmissionPolicy 'hipaatenant-network' with binding 'hipaatenant-network' denied request: expression 'x' resulted in error: no such key")
		mutating  = errors.New("MutatingAdmissionPolicy 'hipaatenant-placement' with binding 'hipaatenant-placement' denied request: no such key")
	)
	tests := map[string]struct {
		want Outcome
		err  error
		says string
	}{
		"allowed":                            {want: Allowed()},
		"allowed, but refused":               {want: Allowed(), err: byNetwork, says: "want it allowed, got: Validating"},
		"allowed, but RBAC":                  {want: Allowed(), err: byRBAC, says: "want it allowed, got: pods is forbidden"},
		"refused":                            {want: Refused("network", "0.0.0.0/0", "too wide"), err: byNetwork},
		"refused, but allowed":               {want: Refused("network"), says: "want it refused by network, but it was allowed"},
		"refused, but by another policy":     {want: Refused("network"), err: byOthers, says: "want it refused by network, got"},
		"refused, but by RBAC":               {want: Refused("network"), err: byRBAC, says: "want it refused by network, got"},
		"refused, in other words":            {want: Refused("network", "too wide", "spec.ipAllowlist"), err: byNetwork, says: `want "spec.ipAllowlist" in the message`},
		"refused, because the policy is bad": {want: Refused("network", "too wide"), err: broken, says: `want "too wide" in the message`},
		"unhindered":                         {want: Unhindered()},
		"unhindered, failing otherwise":      {want: Unhindered(), err: byRBAC},
		"unhindered, but refused":            {want: Unhindered(), err: byNetwork, says: "want no policy to refuse it"},
		"unhindered, but a mutation failed":  {want: Unhindered(), err: mutating, says: "want no policy to refuse it"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			err := test.want.Check(test.err)
			if (err == nil) != (test.says == "") || err != nil && !strings.Contains(err.Error(), test.says) {
				t.Errorf("want error %q, got %v", test.says, err)
			}
		})
	}
}

func TestFacts(t *testing.T) {
	facts := Facts(map[string]string{v1alpha1.AnnotationAdmission: "locked", v1alpha1.AnnotationRegions: Without, v1alpha1.AnnotationEgress: ""})
	if got := facts[v1alpha1.AnnotationAdmission]; got != "locked" {
		t.Errorf("changed fact: want locked, got %q", got)
	}
	if _, there := facts[v1alpha1.AnnotationRegions]; there {
		t.Error("a fact that was left out is there")
	}
	if value, there := facts[v1alpha1.AnnotationEgress]; !there || value != "" {
		t.Errorf("an empty fact must stay, got %q", value)
	}
	if want, got := 10, len(Facts(nil)); want != got {
		t.Errorf("every fact is always present: want %d, got %d", want, got)
	}
}

func TestCanaryAndCount(t *testing.T) {
	refused := Table{Policy: "network", Rows: []Row{{Name: "a", Want: Allowed()}, {Name: "b", Want: Refused("tenancy")}, {Name: "c", Want: Refused("network")}}}
	changed := Table{Policy: "placement", Rows: []Row{{Name: "d", Want: Allowed()}, {Name: "e", Want: Unhindered()}}}
	if diff := cmp.Diff([]string{"c", "d"}, []string{refused.Canary().Name, changed.Canary().Name}); diff != "" {
		t.Error(diff)
	}
	if allow, refuse := Count(refused, changed); allow != 3 || refuse != 2 {
		t.Errorf("want 3 allowed and 2 refused, got %d and %d", allow, refuse)
	}
}

func TestInOrderStopsAtTheFirstFailure(t *testing.T) {
	var made []string
	step := func(name string, err error) Request {
		return func(context.Context, *Session) error {
			made = append(made, name)
			return err
		}
	}
	failure := errors.New("no")
	if err := InOrder(step("a", nil), step("b", failure), step("c", nil))(t.Context(), nil); !errors.Is(err, failure) {
		t.Errorf("want %v, got %v", failure, err)
	}
	if diff := cmp.Diff([]string{"a", "b"}, made); diff != "" {
		t.Error(diff)
	}
}
