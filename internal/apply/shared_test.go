package apply

import (
	"fmt"
	"maps"
	"reflect"
	"testing"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
)

func same(a, b map[string]string) bool {
	return reflect.ValueOf(a).Pointer() == reflect.ValueOf(b).Pointer()
}

// TestLabelSets keeps memory flat: the objects of a tenant have one set of labels between them, and labels that others
// make up cannot fill it.
func TestLabelSets(t *testing.T) {
	a, b := shared(maps.Clone(labels)), shared(maps.Clone(labels))
	if !same(a, b) || !maps.Equal(a, labels) {
		t.Errorf("two equal sets stay two, or changed: %v %v", a, b)
	}
	for _, other := range []map[string]string{nil, {}, {v1alpha1.LabelTenant: "birch"}, {v1alpha1.LabelTenant: ""}, {v1alpha1.LabelTenant + "\x00acme": ""}} {
		if got := shared(other); !maps.Equal(got, other) {
			t.Errorf("shared(%v) = %v", other, got)
		}
	}
	for i := range maxLabelSets + 1000 {
		want := map[string]string{v1alpha1.Group + "/made-up": fmt.Sprint(i)}
		if got := shared(want); !maps.Equal(got, want) {
			t.Fatalf("shared(%v) = %v", want, got)
		}
	}
	held := 0
	labelSets.Range(func(any, any) bool { held++; return true })
	if held > maxLabelSets {
		t.Errorf("%d sets are held, want at most %d", held, maxLabelSets)
	}
	want := map[string]string{v1alpha1.LabelTenant: "one too many"}
	if got := shared(want); !maps.Equal(got, want) {
		t.Errorf("with all places taken, shared(%v) = %v", want, got)
	}
}
