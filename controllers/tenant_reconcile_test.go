package controllers

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/keyringtest"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/local"
	"github.com/hipaatenant/hipaa-tenant-operator/test/fixture"
)

// keyed is a reconciler that can make software keys.
func keyed(s *store) (*TenantReconciler, *keyringtest.Shelf) {
	r, _ := reconciler(s)
	keys := keyringtest.NewShelf()
	clock := clocktesting.NewFakePassiveClock(noon)
	r.Keys = keyring.New(clock, local.New(keys, clock))
	return r, keys
}

func run(t *testing.T, r *TenantReconciler, s *store) *v1alpha1.HIPAATenant {
	t.Helper()
	if err := whole(t, r); err != nil {
		t.Fatal(err)
	}
	return fetch(t, s, "", "acme", &v1alpha1.HIPAATenant{})
}

// whole reconciles the tenant, and goes on where it let the closings of others go first.
func whole(t *testing.T, r *TenantReconciler) error {
	t.Helper()
	for {
		result, err := r.Reconcile(t.Context(), requestFor("acme"))
		if err != nil || result.Priority == nil {
			return err
		}
	}
}

func reasonOf(h *v1alpha1.HIPAATenant, kind string) string {
	if c := meta.FindStatusCondition(h.Status.Conditions, kind); c != nil {
		return string(c.Status) + "/" + c.Reason
	}
	return ""
}

// TestReconcile: remembered before it is written, denied before it is opened, and quiet once it stands.
func TestReconcile(t *testing.T) {
	s := newStore(t, defaultProfile(), tenant())
	r, _ := keyed(s)
	got := run(t, r, s)
	if reasonOf(got, v1alpha1.ConditionReady) != "True/Ready" {
		t.Fatalf("Ready is %s: %v", reasonOf(got, v1alpha1.ConditionReady), got.Status.Conditions)
	}
	want := []string{
		"patch HIPAATenant acme", "update status HIPAATenant acme", "create Namespace acme",
		"patch NetworkPolicy acme/hipaa-default-deny", "patch ResourceQuota acme/hipaa-quota", "patch LimitRange acme/hipaa-limits",
		"patch NetworkPolicy acme/hipaa-allow-tenant", "patch NetworkPolicy acme/hipaa-allow-dns", "patch NetworkPolicy acme/hipaa-allow-ingress",
		"patch Secret acme/hipaa-keyset", "patch ConfigMap acme/hipaa-config", "patch Namespace acme", "update status HIPAATenant acme",
	}
	if diff := cmp.Diff(want, s.asked()); diff != "" {
		t.Errorf("writes (-want +got):\n%s", diff)
	}
	run(t, r, s)
	fresh, _ := keyed(s)
	run(t, fresh, s)
	if got := s.asked(); len(got) != 0 {
		t.Errorf("the second time, and after a restart, writes are %v; want none", got)
	}
}

// TestDriftIsRepairedAndTold also where the tenant itself did not change.
func TestDriftIsRepairedAndTold(t *testing.T) {
	s := newStore(t, defaultProfile(), tenant())
	r, _ := keyed(s)
	run(t, r, s)
	s.asked()
	deny := fetch(t, s, "acme", v1alpha1.PolicyDefaultDeny, &networkingv1.NetworkPolicy{})
	deny.Spec.Ingress = []networkingv1.NetworkPolicyIngressRule{{}}
	if err := s.Update(t.Context(), deny); err != nil {
		t.Fatal(err)
	}
	s.asked()
	fresh, _ := keyed(s)
	recorder := events.NewFakeRecorder(10)
	fresh.Recorder = recorder
	if got := run(t, fresh, s); reasonOf(got, v1alpha1.ConditionReady) != "True/Ready" {
		t.Errorf("Ready is %s", reasonOf(got, v1alpha1.ConditionReady))
	}
	if deny = fetch(t, s, "acme", v1alpha1.PolicyDefaultDeny, deny); len(deny.Spec.Ingress) != 0 {
		t.Errorf("the rule is still there: %v", deny.Spec.Ingress)
	}
	if diff := cmp.Diff([]string{"Warning DriftRepaired brought back in line: " + netpol + " acme/hipaa-default-deny"}, told(recorder)); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

// TestANamespaceThatExistsIsNotTakenOver although the cache, which holds labelled ones only, took it for absent.
func TestANamespaceThatExistsIsNotTakenOver(t *testing.T) {
	bystander := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "acme", UID: "ns-acme", Labels: map[string]string{"team": "x"}}}
	s := newStore(t, defaultProfile(), tenant(), bystander)
	r, _ := keyed(s)
	got := run(t, r, s)
	if reasonOf(got, v1alpha1.ConditionStalled) != "True/"+v1alpha1.ReasonNamespaceConflict {
		t.Errorf("Stalled is %q, Ready %q", reasonOf(got, v1alpha1.ConditionStalled), reasonOf(got, v1alpha1.ConditionReady))
	}
	if diff := cmp.Diff(map[string]string{"team": "x"}, fetch(t, s, "", "acme", &corev1.Namespace{}).Labels); diff != "" {
		t.Errorf("labels of the namespace (-want +got):\n%s", diff)
	}
	for _, write := range s.asked() {
		if !strings.Contains(write, "HIPAATenant") && write != "create Namespace acme" {
			t.Errorf("%s, although the namespace is somebody else's", write)
		}
	}
}

// TestKeysThatCannotBeMade leave the new namespace locked, and the tenant resumes by itself.
func TestKeysThatCannotBeMade(t *testing.T) {
	s := newStore(t, defaultProfile(), tenant())
	r, keys := keyed(s)
	keys.Fail = keyring.Errorf(keyring.Refused, "the shelf is locked")
	result, err := r.Reconcile(t.Context(), requestFor("acme"))
	if err != nil || result.RequeueAfter != confirmAfter {
		t.Errorf("looks again after %s, %v", result.RequeueAfter, err)
	}
	if result, err = r.Reconcile(t.Context(), requestFor("acme")); err != nil || result.RequeueAfter != retryRefused {
		t.Errorf("when nothing is left to write it looks again after %s, %v; want %s", result.RequeueAfter, err, retryRefused)
	}
	got := fetch(t, s, "", "acme", &v1alpha1.HIPAATenant{})
	if reasonOf(got, v1alpha1.ConditionEncryptionReady) != "False/"+v1alpha1.ReasonKMSRefused || got.Status.Namespaces[0].Gate != v1alpha1.GateLocked {
		t.Errorf("EncryptionReady %s, namespaces %v", reasonOf(got, v1alpha1.ConditionEncryptionReady), got.Status.Namespaces)
	}
	if exists(t, s, "acme", v1alpha1.SecretKeyset, &corev1.Secret{}) {
		t.Error("a keyset was written although none could be made")
	}
	keys.Fail = nil
	if got = run(t, r, s); reasonOf(got, v1alpha1.ConditionReady) != "True/Ready" || got.Status.Namespaces[0].Gate != v1alpha1.GateOpen {
		t.Errorf("with the shelf open Ready is %s, namespaces %v", reasonOf(got, v1alpha1.ConditionReady), got.Status.Namespaces)
	}
}

// TestAWriteThatFails is told, retried, and nothing behind its wave is begun.
func TestAWriteThatFails(t *testing.T) {
	s := newStore(t, defaultProfile(), tenant())
	r, _ := keyed(s)
	s.fail["patch NetworkPolicy acme/hipaa-default-deny"] = errors.New("no route")
	if _, err := r.Reconcile(t.Context(), requestFor("acme")); err == nil {
		t.Error("no error, so no other attempt")
	}
	for _, write := range s.asked() {
		if strings.Contains(write, "hipaa-allow") || write == "patch Namespace acme" {
			t.Errorf("%s, although the deny-all policy does not stand", write)
		}
	}
	got := fetch(t, s, "", "acme", &v1alpha1.HIPAATenant{})
	for kind, want := range map[string]string{
		v1alpha1.ConditionReady: "False/" + v1alpha1.ReasonFailed, v1alpha1.ConditionReconciling: "True/" + v1alpha1.ReasonFailed,
		v1alpha1.ConditionNetworkIsolated: "False/" + v1alpha1.ReasonFailed, v1alpha1.ConditionNamespacesReady: "False/" + v1alpha1.ReasonLocked,
	} {
		if reason := reasonOf(got, kind); reason != want {
			t.Errorf("%s is %s, want %s", kind, reason, want)
		}
	}
	delete(s.fail, "patch NetworkPolicy acme/hipaa-default-deny")
	if got = run(t, r, s); reasonOf(got, v1alpha1.ConditionReady) != "True/Ready" {
		t.Errorf("at the next attempt Ready is %s", reasonOf(got, v1alpha1.ConditionReady))
	}
}

// TestWhatIsNoLongerWantedIsRemoved, and what could not be removed stays remembered.
func TestWhatIsNoLongerWantedIsRemoved(t *testing.T) {
	s := newStore(t, defaultProfile(), tenant(func(h *v1alpha1.HIPAATenant) {
		h.Spec.Roles = []v1alpha1.RoleGrant{{Role: "Auditor", Subjects: []v1alpha1.Subject{{Kind: "Group", Name: "auditors"}}}}
	}))
	r, _ := keyed(s)
	got := run(t, r, s)
	got.Spec.Roles = nil
	got.Generation++
	if err := s.Update(t.Context(), got); err != nil {
		t.Fatal(err)
	}
	auditor := v1alpha1.ObjectRef{Kind: "RoleBinding.rbac.authorization.k8s.io", Namespace: "acme", Name: "hipaa-auditor"}
	remembered := func(h *v1alpha1.HIPAATenant) bool { return slices.Contains(h.Status.Inventory, auditor) }
	s.asked()
	s.fail["delete RoleBinding acme/hipaa-auditor"] = errors.New("no route")
	if _, err := r.Reconcile(t.Context(), requestFor("acme")); err == nil || !remembered(fetch(t, s, "", "acme", &v1alpha1.HIPAATenant{})) {
		t.Errorf("error %v; want one, and the binding remembered", err)
	}
	delete(s.fail, "delete RoleBinding acme/hipaa-auditor")
	if got = run(t, r, s); remembered(got) || reasonOf(got, v1alpha1.ConditionReady) != "True/Ready" {
		t.Errorf("inventory %v, Ready %s", got.Status.Inventory, reasonOf(got, v1alpha1.ConditionReady))
	}
}

// TestAGrantEndsByItself: at its date, without a change of the spec. Those that go on keep their binding, and it is told as what
// it is.
func TestAGrantEndsByItself(t *testing.T) {
	group := func(name string) []v1alpha1.Subject { return []v1alpha1.Subject{{Kind: "Group", Name: name}} }
	s := newStore(t, defaultProfile(), tenant(func(h *v1alpha1.HIPAATenant) {
		h.Spec.Roles = []v1alpha1.RoleGrant{
			{Role: "Developer", Subjects: group("devs")}, {Role: "Developer", Subjects: group("interns"), ExpiresOn: "2026-11-23"},
			{Role: "Auditor", Subjects: group("auditors"), ExpiresOn: "2026-11-23"},
		}
	}))
	r, _ := keyed(s)
	clock := r.Clock.(*clocktesting.FakePassiveClock)
	recorder := r.Recorder.(*events.FakeRecorder)
	run(t, r, s)
	end := v1alpha1.Date("2026-11-23").Time()
	clock.SetTime(end.Add(-time.Second))
	result, err := r.Reconcile(t.Context(), requestFor("acme"))
	if err != nil || result.RequeueAfter > time.Second || !exists(t, s, "acme", "hipaa-auditor", &rbacv1.RoleBinding{}) {
		t.Errorf("a second before the end: looked at again after %s, %v; want the bindings to stand until then", result.RequeueAfter, err)
	}
	told(recorder)
	clock.SetTime(end)
	run(t, r, s)
	developers := fetch(t, s, "acme", "hipaa-developer", &rbacv1.RoleBinding{})
	if len(developers.Subjects) != 1 || developers.Subjects[0].Name != "devs" || exists(t, s, "acme", "hipaa-auditor", &rbacv1.RoleBinding{}) {
		t.Errorf("at the end: developers %v; want those without an end, and no auditors", developers.Subjects)
	}
	want := []string{
		"Normal GrantExpired spec.roles[1]: the grant of Developer expired on 2026-11-23 and is not bound",
		"Normal GrantExpired spec.roles[2]: the grant of Auditor expired on 2026-11-23 and is not bound",
	}
	if diff := cmp.Diff(want, told(recorder)); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

// TestAnAttestationEndsByItself: the tenant is looked at again when it does, and told.
func TestAnAttestationEndsByItself(t *testing.T) {
	profile := fixture.Profile("default", func(p *v1alpha1.HIPAAProfile) {
		p.Spec.BAA = &v1alpha1.BAARules{WarnBefore: "24h"}
		p.Spec.RequiredAttestations = []v1alpha1.RequiredAttestation{{Citation: "164.310(a)(1)", Reason: "no cluster sees a door", ReviewedOn: "2026-05-01"}}
		p.Spec.Attestations = []v1alpha1.Attestation{{Citation: "164.310(a)(1)", Statement: "guarded", By: "Ira Bloom", On: "2026-03-01", ExpiresOn: "2026-11-23"}}
	})
	s := newStore(t, profile, tenant())
	r, _ := keyed(s)
	clock, recorder := r.Clock.(*clocktesting.FakePassiveClock), r.Recorder.(*events.FakeRecorder)
	run(t, r, s)
	for _, at := range []struct {
		date v1alpha1.Date
		want string
	}{
		{"2026-11-22", "Warning AttestationExpiring profile spec.attestations[0].expiresOn: the attestation of 164.310(a)(1) by Ira Bloom expires on 2026-11-23"},
		{"2026-11-23", "Warning AttestationExpired profile spec.attestations[0].expiresOn: the attestation of 164.310(a)(1) by Ira Bloom expired on 2026-11-23"},
	} {
		clock.SetTime(at.date.Time().Add(-time.Second))
		told(recorder)
		if result, err := r.Reconcile(t.Context(), requestFor("acme")); err != nil || result.RequeueAfter == 0 || result.RequeueAfter > time.Second {
			t.Errorf("a second before %s: looked at again after %s, %v", at.date, result.RequeueAfter, err)
		}
		if early := told(recorder); len(early) > 0 {
			t.Errorf("a second before %s: told %v", at.date, early)
		}
		clock.SetTime(at.date.Time())
		run(t, r, s)
		if got := told(recorder); len(got) != 1 || !strings.HasPrefix(got[0], at.want) {
			t.Errorf("on %s: told %v, want %s", at.date, got, at.want)
		}
	}
}
