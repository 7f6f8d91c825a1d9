package apply

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
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

// TestNoKeysetBehindALostOne: where a namespace has got another keyset meanwhile, the others must not get this one. What is
// no Secret is written all the same.
func TestNoKeysetBehindALostOne(t *testing.T) {
	w := newWorld(t)
	lost := aSecret("k2").WithName("hipaa-first").WithUID("u-before")
	apply(t, w.applier(), plan(wave(aSecret("k1").WithName("hipaa-first"))))
	w.asked()
	r, err := w.applier().Apply(t.Context(), plan(wave(lost, aSecret("k2"), aConfigMap("v"))))
	if !apierrors.IsConflict(err) || len(r.Failed) != 1 {
		t.Errorf("error %v, failed %v; want the one conflict", err, r.Failed)
	}
	if diff := cmp.Diff([]string{"apply Secret acme/hipaa-first", "apply ConfigMap acme/hipaa-config"}, w.asked()); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	if got := w.read(refTo("Secret", "hipaa-keyset")); got != nil {
		t.Errorf("%s was written", got.GetName())
	}
}
