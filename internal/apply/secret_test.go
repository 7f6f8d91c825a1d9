package apply

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// A Secret nobody saw is made without force by an owner of this process alone; one that was seen, at its version, is
// written like everything else.
func TestSecretsAreNotForced(t *testing.T) {
	a, b := New(nil, nil, "o"), New(nil, nil, "o")
	if a.maker == b.maker || a.maker == a.owner {
		t.Errorf("makers %q and %q: another process must conflict", a.maker, b.maker)
	}
	unseen, seen := &corev1.Secret{}, &corev1.Secret{}
	seen.ResourceVersion = "7"
	for name, c := range map[string]struct {
		object client.Object
		owner  string
		force  bool
	}{
		"Secret nobody saw": {unseen, a.maker, false},
		"Secret seen":       {seen, a.owner, true},
		"ConfigMap":         {&corev1.ConfigMap{}, a.owner, true},
	} {
		t.Run(name, func(t *testing.T) {
			o := (&client.PatchOptions{}).ApplyOptions(a.options(desired{ref: RefOf(c.object), object: c.object}))
			if forced := o.Force != nil && *o.Force; o.FieldManager != c.owner || forced != c.force {
				t.Errorf("owner %q, force %v; want %q, %v", o.FieldManager, forced, c.owner, c.force)
			}
		})
	}
}
