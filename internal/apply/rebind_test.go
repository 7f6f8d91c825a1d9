package apply

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	acrbac "k8s.io/client-go/applyconfigurations/rbac/v1"
)

const bindings = "RoleBinding." + rbacv1.GroupName

func aBinding() *acrbac.RoleBindingApplyConfiguration {
	return acrbac.RoleBinding("hipaa-auditor", "acme").WithLabels(labels).
		WithRoleRef(acrbac.RoleRef().WithAPIGroup(rbacv1.GroupName).WithKind("ClusterRole").WithName("hipaatenant-auditor")).
		WithSubjects(acrbac.Subject().WithAPIGroup(rbacv1.GroupName).WithKind("Group").WithName("auditors"))
}

// bound is a world in which a binding of a role stands under the name of ours. As a real one it does not take another role.
func bound(t *testing.T, role string) *world {
	w := newWorld(t, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: "acme", Name: "hipaa-auditor"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: "mallory"}},
	})
	w.fail["apply "+bindings+" acme/hipaa-auditor"] = apierrors.NewInvalid(schema.GroupKind{Kind: "RoleBinding"}, "hipaa-auditor", nil)
	return w
}

// TestABindingOfAnotherRoleIsReplaced: it cannot be changed, and as long as it stands it grants what it grants.
func TestABindingOfAnotherRoleIsReplaced(t *testing.T) {
	w := bound(t, "admin")
	r, err := w.applier().Apply(t.Context(), plan(wave(aBinding())))
	if err != nil || len(r.Written) != 1 {
		t.Fatalf("error %v, written %v", err, r.Written)
	}
	got := w.read(refTo(bindings, "hipaa-auditor")).(*rbacv1.RoleBinding)
	if got.RoleRef.Name != "hipaatenant-auditor" || len(got.Subjects) != 1 || got.Subjects[0].Name != "auditors" || got.UID == "uid-1" {
		t.Errorf("the binding is %v of %v, UID %s; want the wanted one, made anew", got.Subjects, got.RoleRef, got.UID)
	}
	const line = bindings + " acme/hipaa-auditor"
	if diff := cmp.Diff([]string{"apply " + line, "get " + line, "delete " + line, "create " + line}, w.asked()); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

// TestARefusalThatIsNotAboutTheRoleStands: nothing is deleted for it.
func TestARefusalThatIsNotAboutTheRoleStands(t *testing.T) {
	w := bound(t, "hipaatenant-auditor")
	if _, err := w.applier().Apply(t.Context(), plan(wave(aBinding()))); !apierrors.IsInvalid(err) {
		t.Errorf("error %v, want the refusal", err)
	}
	other := newWorld(t)
	other.fail["apply ConfigMap acme/hipaa-config"] = apierrors.NewInvalid(schema.GroupKind{Kind: "ConfigMap"}, "hipaa-config", nil)
	if _, err := other.applier().Apply(t.Context(), plan(wave(aConfigMap("v")))); !apierrors.IsInvalid(err) {
		t.Errorf("error %v, want the refusal", err)
	}
	if calls := append(w.asked(), other.asked()...); len(calls) != 3 {
		t.Errorf("calls %v; want two attempts and one look", calls)
	}
}

// TestABindingThatCannotBeTakenAway fails with the reason, and is tried again.
func TestABindingThatCannotBeTakenAway(t *testing.T) {
	for _, call := range []string{"get", "delete", "create"} {
		w, reason := bound(t, "admin"), errors.New("no route")
		w.fail[call+" "+bindings+" acme/hipaa-auditor"] = reason
		if _, err := w.applier().Apply(t.Context(), plan(wave(aBinding()))); !errors.Is(err, reason) {
			t.Errorf("%s: error %v, want %v", call, err, reason)
		}
	}
}
