package apply

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime"
	acapps "k8s.io/client-go/applyconfigurations/apps/v1"
	accore "k8s.io/client-go/applyconfigurations/core/v1"
	acrbac "k8s.io/client-go/applyconfigurations/rbac/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
)

// TestKindsAreSpelledAsRefs: the kind an inventory remembers leads back to the same type of object.
func TestKindsAreSpelledAsRefs(t *testing.T) {
	seen := map[string]bool{}
	for _, obj := range Kinds() {
		obj.SetNamespace("acme")
		obj.SetName("x")
		ref := RefOf(obj)
		gvk, err := apiutil.GVKForObject(obj, scheme.Scheme)
		if err != nil {
			t.Fatal(err)
		}
		if want := strings.TrimSuffix(gvk.Kind+"."+gvk.Group, "."); ref.Kind != want || ref.Namespace != "acme" || ref.Name != "x" {
			t.Errorf("RefOf(%T) = %v, want kind %s, namespace acme, name x", obj, ref, want)
		}
		empty, known := kinds[ref.Kind]
		if !known {
			t.Errorf("kind %s is not known", ref.Kind)
			continue
		}
		if back := RefOf(empty()); back.Kind != ref.Kind {
			t.Errorf("kind %s leads to a %T", ref.Kind, empty())
		}
		seen[ref.Kind] = true
	}
	if len(seen) != len(kinds) {
		t.Errorf("Kinds returns %d kinds, want all %d", len(seen), len(kinds))
	}
}

// TestKindsAreNew: a caller that fills one of them must not fill the next caller's.
func TestKindsAreNew(t *testing.T) {
	for _, obj := range Kinds() {
		obj.SetName("used")
	}
	for _, obj := range Kinds() {
		if obj.GetName() != "" {
			t.Errorf("%T is handed out twice", obj)
		}
	}
}

func TestNewDesired(t *testing.T) {
	want, err := newDesired(aConfigMap("v"))
	if err != nil {
		t.Fatal(err)
	}
	if want.ref != refTo("ConfigMap", "hipaa-config") || want.digest != Digest(want.object) || want.digest == "" {
		t.Errorf("desired is %v with digest %q", want.ref, want.digest)
	}
	if !strings.Contains(string(want.body), `"key":"v"`) {
		t.Errorf("the body does not say what was asked for: %s", want.body)
	}
}

// TestOnlyKnownKindsAreWritten: no template can smuggle in an object of another kind, group or shape.
func TestOnlyKnownKindsAreWritten(t *testing.T) {
	for name, config := range map[string]runtime.ApplyConfiguration{
		"another kind":             accore.Pod("x", "acme"),
		"another kind and group":   acapps.Deployment("x", "acme"),
		"a cluster-wide binding":   acrbac.ClusterRoleBinding("x"),
		"a kind of another group":  accore.Secret("x", "acme").WithAPIVersion("example.com/v1"),
		"a core kind with a group": acrbac.RoleBinding("x", "acme").WithAPIVersion("v1"),
		"no kind":                  &accore.SecretApplyConfiguration{},
		"a shape that is not its":  shape(`{"apiVersion":"v1","kind":"ConfigMap","data":"none"}`),
		"no object":                shape(`[]`),
		"nothing to encode":        unencodable{},
	} {
		w := newWorld(t)
		result, err := w.applier().Apply(t.Context(), plan(wave(config)))
		if err == nil || len(result.Written) != 0 || len(w.calls) != 0 {
			t.Errorf("%s: error %v, written %v, asked %v; want an error and nothing asked", name, err, result.Written, w.calls)
		}
	}
}

// shape is an apply configuration that encodes as it is.
type shape string

func (shape) IsApplyConfiguration() {}

// MarshalJSON returns the text.
func (s shape) MarshalJSON() ([]byte, error) { return []byte(s), nil }

// unencodable is an apply configuration that has no JSON.
type unencodable struct{ C chan int }

func (unencodable) IsApplyConfiguration() {}

func TestOwnedKeys(t *testing.T) {
	for key, want := range map[string]bool{
		v1alpha1.LabelTenant:                      true,
		v1alpha1.LabelManagedBy:                   true,
		v1alpha1.Group + "/anything":              true,
		"pod-security.kubernetes.io/enforce":      true,
		"pod-security.kubernetes.io/warn-version": true,
		"app.kubernetes.io/name":                  false,
		v1alpha1.Group:                            false,
		v1alpha1.Group + ".example/tenant":        false,
		"x." + v1alpha1.Group + "/tenant":         false,
		"kubernetes.io/metadata.name":             false,
		"":                                        false,
	} {
		if got := owned(key); got != want {
			t.Errorf("owned(%q) = %t, want %t", key, got, want)
		}
	}
}
