package apply

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
)

var acme = Parent{Label: v1alpha1.LabelTenant, Value: "acme"}

func child(name, tenant string) *networkingv1.NetworkPolicy {
	p := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "acme", Name: name}}
	if tenant != "" {
		p.Labels = map[string]string{v1alpha1.LabelTenant: tenant}
	}
	return p
}

func TestPrune(t *testing.T) {
	metaOf := func(name string) metav1.ObjectMeta {
		return metav1.ObjectMeta{Namespace: "acme", Name: name, Labels: map[string]string{v1alpha1.LabelTenant: "acme"}}
	}
	for _, tc := range []struct {
		name  string
		stand client.Object
		ref   v1alpha1.ObjectRef
		calls []string
		gone  bool
	}{
		{"a policy", child("hipaa-allow-mailbox", "acme"), refTo(policies, "hipaa-allow-mailbox"),
			[]string{"get " + policies + " acme/hipaa-allow-mailbox", "delete " + policies + " acme/hipaa-allow-mailbox"}, true},
		{"a role binding", &rbacv1.RoleBinding{ObjectMeta: metaOf("hipaa-developer")}, refTo("RoleBinding.rbac.authorization.k8s.io", "hipaa-developer"),
			[]string{"get RoleBinding.rbac.authorization.k8s.io acme/hipaa-developer", "delete RoleBinding.rbac.authorization.k8s.io acme/hipaa-developer"}, true},
		{"what is gone already", nil, refTo(policies, "hipaa-allow-mailbox"), []string{"get " + policies + " acme/hipaa-allow-mailbox"}, true},
		{"what belongs to another parent", child("hipaa-allow-mailbox", "birch"), refTo(policies, "hipaa-allow-mailbox"),
			[]string{"get " + policies + " acme/hipaa-allow-mailbox"}, false},
		{"what belongs to nobody", child("hipaa-allow-mailbox", ""), refTo(policies, "hipaa-allow-mailbox"),
			[]string{"get " + policies + " acme/hipaa-allow-mailbox"}, false},
		{"a namespace", &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "acme", Labels: labels}}, refTo("Namespace", "acme"), nil, false},
		{"a secret", &corev1.Secret{ObjectMeta: metaOf("hipaa-keyset")}, refTo("Secret", "hipaa-keyset"), nil, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t)
			if tc.stand != nil {
				w = newWorld(t, tc.stand)
			}
			survivors, err := w.applier().Prune(t.Context(), []v1alpha1.ObjectRef{tc.ref}, acme)
			if err != nil || len(survivors) != 0 {
				t.Errorf("survivors %v, error %v; want none", survivors, err)
			}
			if diff := cmp.Diff(tc.calls, w.asked()); diff != "" {
				t.Errorf("calls (-want +got):\n%s", diff)
			}
			if gone := w.read(tc.ref) == nil; gone != tc.gone {
				t.Errorf("gone: %t, want %t", gone, tc.gone)
			}
		})
	}
}

// TestPruneForgetsKindsItDoesNotKnow: a newer version may have remembered them.
func TestPruneForgetsKindsItDoesNotKnow(t *testing.T) {
	w := newWorld(t)
	survivors, err := w.applier().Prune(t.Context(), []v1alpha1.ObjectRef{refTo("Widget.example.com", "x")}, acme)
	if err != nil || len(survivors) != 0 || len(w.calls) != 0 {
		t.Errorf("survivors %v, error %v, calls %v; want nothing done", survivors, err, w.calls)
	}
}

// TestPruneKeepsWhatItCouldNotDelete: one that fails does not save the others, and stays remembered.
func TestPruneKeepsWhatItCouldNotDelete(t *testing.T) {
	unreadable, undeletable := errors.New("unreadable"), errors.New("undeletable")
	w := newWorld(t, child("a", "acme"), child("b", "acme"), child("c", "acme"))
	w.fail["get "+policies+" acme/a"] = unreadable
	w.fail["delete "+policies+" acme/b"] = undeletable
	refs := []v1alpha1.ObjectRef{refTo(policies, "a"), refTo(policies, "b"), refTo(policies, "c")}
	survivors, err := w.applier().Prune(t.Context(), refs, acme)
	if diff := cmp.Diff(refs[:2], survivors); diff != "" {
		t.Errorf("survivors (-want +got):\n%s", diff)
	}
	for _, want := range []error{unreadable, undeletable} {
		if !errors.Is(err, want) {
			t.Errorf("error %v does not tell that something is %v", err, want)
		}
	}
	if !strings.Contains(err.Error(), "deleting "+policies+" acme/b: undeletable") {
		t.Errorf("error %v does not name the object", err)
	}
	if w.read(refs[2]) != nil {
		t.Error("the object behind those that failed was not deleted")
	}
}

// TestPruneDeletesOnlyWhatItLookedAt: an object made anew between the look and the deletion is another one.
func TestPruneDeletesOnlyWhatItLookedAt(t *testing.T) {
	w := newWorld(t, child("hipaa-allow-mailbox", "acme"))
	ref := refTo(policies, "hipaa-allow-mailbox")
	stale := &staleReader{Reader: w.live}
	survivors, err := New(w.cache, stale, v1alpha1.OperatorName).Prune(t.Context(), []v1alpha1.ObjectRef{ref}, acme)
	if !apierrors.IsConflict(err) || len(survivors) != 1 || w.read(ref) == nil {
		t.Errorf("survivors %v, error %v; want a conflict, and the new object left alone", survivors, err)
	}
}

// TestPruneForgetsTheWrite: an object that is wanted again later is written, not taken for standing.
func TestPruneForgetsTheWrite(t *testing.T) {
	for name, gone := range map[string]bool{"deleted": false, "gone already": true} {
		w := newWorld(t)
		a, p := w.applier(), plan(wave(aPolicy("hipaa-allow-mailbox")))
		apply(t, a, p)
		ref := refTo(policies, "hipaa-allow-mailbox")
		if gone {
			if err := w.store.Delete(t.Context(), w.read(ref)); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := a.Prune(t.Context(), []v1alpha1.ObjectRef{ref}, acme); err != nil {
			t.Fatal(err)
		}
		if r := apply(t, a, p); len(r.Written) != 1 || w.read(ref) == nil {
			t.Errorf("%s: written %v; want the object back", name, r.Written)
		}
	}
}
