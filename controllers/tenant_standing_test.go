package controllers

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/compile"
	"github.com/hipaatenant/hipaa-tenant-operator/test/fixture"
)

// sociable is a tenant that stands, with egress to two vendors, of which labs until a day, and a grant that ends as well.
func sociable(t *testing.T, lapse v1alpha1.LapseAction) (*store, *TenantReconciler) {
	t.Helper()
	vendorAt := func(name string, cidr v1alpha1.CIDR, until v1alpha1.Date) client.Object {
		return fixture.Associate(name, func(a *v1alpha1.BusinessAssociate) {
			a.Spec.BAA.ExpiresOn = until
			a.Spec.Endpoints[0].CIDRs = []v1alpha1.CIDR{cidr}
		})
	}
	profile := defaultProfile()
	profile.Spec.BAA = &v1alpha1.BAARules{OnLapse: lapse}
	s := newStore(t, profile, vendorAt("clearing", "198.51.100.0/25", "2030-01-01"), vendorAt("labs", "198.51.100.128/25", "2026-11-24"),
		tenant(func(h *v1alpha1.HIPAATenant) {
			h.Spec.BusinessAssociates = []v1alpha1.Name{"clearing", "labs"}
			h.Spec.Roles = []v1alpha1.RoleGrant{
				{Role: "Developer", Subjects: []v1alpha1.Subject{{Kind: "Group", Name: "acme-devs"}}},
				{Role: "Developer", Subjects: []v1alpha1.Subject{{Kind: "User", Name: "contractor"}}, ExpiresOn: "2026-11-24"},
			}
		}))
	r, _ := keyed(s)
	if got := run(t, r, s); reasonOf(got, v1alpha1.ConditionReady) != "True/Ready" {
		t.Fatalf("Ready is %s: %v", reasonOf(got, v1alpha1.ConditionReady), got.Status.Conditions)
	}
	s.asked()
	return s, r
}

// mistaken gives the tenant a timeout that its profile does not permit.
func mistaken(t *testing.T, s *store) { retimed(t, s, "30m") }

func retimed(t *testing.T, s *store, timeout v1alpha1.Duration) {
	t.Helper()
	h := fetch(t, s, "", "acme", &v1alpha1.HIPAATenant{})
	h.Spec.SessionTimeout = timeout
	h.Generation++
	if err := s.Update(t.Context(), h); err != nil {
		t.Fatal(err)
	}
	s.asked()
}

// picture is everything in the tenant's namespace that opens something, and its facts.
func picture(t *testing.T, s *store) map[string]any {
	t.Helper()
	out := map[string]any{"facts": fetch(t, s, "", "acme", &corev1.Namespace{}).Annotations}
	var policies networkingv1.NetworkPolicyList
	var bindings rbacv1.RoleBindingList
	for _, list := range []client.ObjectList{&policies, &bindings} {
		if err := s.List(t.Context(), list, client.InNamespace("acme")); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range policies.Items {
		out[p.Name] = p.Spec
	}
	for _, b := range bindings.Items {
		out[b.Name] = b.Subjects
	}
	return out
}

func egressOf(t *testing.T, s *store) []string {
	t.Helper()
	policy := &networkingv1.NetworkPolicy{}
	if err := s.Get(t.Context(), client.ObjectKey{Namespace: "acme", Name: v1alpha1.PolicyAllowAssociates}, policy); err != nil {
		if !apierrors.IsNotFound(err) {
			t.Fatal(err)
		}
		return nil
	}
	var cidrs []string
	for _, rule := range policy.Spec.Egress {
		for _, to := range rule.To {
			cidrs = append(cidrs, to.IPBlock.CIDR)
		}
	}
	return cidrs
}

// TestLapsesWhileTheSpecCannotBeHonoured close what they must, are told, are quiet afterwards, and everything is as it was
// once the spec is right and the agreements are renewed.
func TestLapsesWhileTheSpecCannotBeHonoured(t *testing.T) {
	s, r := sociable(t, v1alpha1.LapseFreeze)
	stood := picture(t, s)
	mistaken(t, s)
	if got := run(t, r, s); reasonOf(got, v1alpha1.ConditionStalled) != "True/"+v1alpha1.ReasonInvalid {
		t.Fatalf("Stalled is %s", reasonOf(got, v1alpha1.ConditionStalled))
	}
	if diff := cmp.Diff(stood, picture(t, s)); diff != "" {
		t.Errorf("a mistake in the spec alone changes what stands (-want +got):\n%s", diff)
	}
	s.asked()
	r.Clock = clocktesting.NewFakePassiveClock(v1alpha1.Date("2026-11-24").Time())
	got := run(t, r, s)
	want := []string{
		"patch Namespace acme", "patch NetworkPolicy acme/" + v1alpha1.PolicyAllowAssociates, "patch RoleBinding acme/hipaa-developer", "update status HIPAATenant acme",
	}
	if diff := cmp.Diff(want, s.asked()); diff != "" {
		t.Errorf("writes (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"198.51.100.0/25"}, egressOf(t, s)); diff != "" {
		t.Errorf("egress (-want +got):\n%s", diff)
	}
	if fact := fetch(t, s, "", "acme", &corev1.Namespace{}).Annotations[v1alpha1.AnnotationEgress]; fact != "198.51.100.0/25" {
		t.Errorf("the egress fact is %q", fact)
	}
	if subjects := fetch(t, s, "acme", "hipaa-developer", &rbacv1.RoleBinding{}).Subjects; len(subjects) != 1 || subjects[0].Name != "acme-devs" {
		t.Errorf("bound are %v, although the contractor's grant ended", subjects)
	}
	if diff := cmp.Diff([]string{"clearing"}, got.Status.Effective.BusinessAssociates); diff != "" {
		t.Errorf("effective associates (-want +got):\n%s", diff)
	}
	if reasonOf(got, v1alpha1.ConditionStalled) != "True/"+v1alpha1.ReasonInvalid || reasonOf(got, v1alpha1.ConditionReady) != "False/"+v1alpha1.ReasonInvalid {
		t.Errorf("Stalled is %s, Ready %s", reasonOf(got, v1alpha1.ConditionStalled), reasonOf(got, v1alpha1.ConditionReady))
	}
	for _, code := range []string{compile.CodeSessionTimeoutAboveMaximum, compile.CodeAssociateNotInForce, compile.CodeKeptMeanwhile} {
		if !slices.ContainsFunc(got.Status.Findings, func(f v1alpha1.Finding) bool { return f.Code == code }) {
			t.Errorf("no finding %s among %v", code, got.Status.Findings)
		}
	}
	fresh, _ := keyed(s)
	fresh.Clock = r.Clock
	run(t, r, s)
	run(t, fresh, s)
	if more := s.asked(); len(more) != 0 {
		t.Errorf("once it is done, and after a restart, writes are %v; want none", more)
	}
	r.Clock = clocktesting.NewFakePassiveClock(noon) // as if both had been renewed
	run(t, r, s)
	if diff := cmp.Diff([]string{"198.51.100.0/25"}, egressOf(t, s)); diff != "" {
		t.Errorf("what a renewal opens while the spec cannot be honoured (-want +got):\n%s", diff)
	}
	retimed(t, s, fixture.SessionTimeout)
	if got := run(t, r, s); reasonOf(got, v1alpha1.ConditionReady) != "True/Ready" {
		t.Errorf("Ready is %s", reasonOf(got, v1alpha1.ConditionReady))
	}
	if diff := cmp.Diff(stood, picture(t, s)); diff != "" {
		t.Errorf("after the renewal things are not as they were (-want +got):\n%s", diff)
	}
}

// TestIsolationWhileTheSpecCannotBeHonoured prunes what opens, and nothing else.
func TestIsolationWhileTheSpecCannotBeHonoured(t *testing.T) {
	s, r := sociable(t, v1alpha1.LapseIsolate)
	stood := picture(t, s)
	mistaken(t, s)
	r.Clock = clocktesting.NewFakePassiveClock(v1alpha1.Date(fixture.Expires).Time())
	got := run(t, r, s)
	var names []string
	for name := range picture(t, s) {
		if strings.HasPrefix(name, "hipaa-") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	if diff := cmp.Diff([]string{v1alpha1.PolicyAllowDNS, v1alpha1.PolicyDefaultDeny, "hipaa-developer"}, names); diff != "" {
		t.Errorf("what is left (-want +got):\n%s", diff)
	}
	if facts := fetch(t, s, "", "acme", &corev1.Namespace{}).Annotations; facts[v1alpha1.AnnotationAdmission] != string(v1alpha1.GateQuarantined) ||
		facts[v1alpha1.AnnotationEgress]+facts[v1alpha1.AnnotationIPAllowlist] != "" {
		t.Errorf("facts %v", facts)
	}
	if reasonOf(got, v1alpha1.ConditionNamespacesReady) != "False/"+v1alpha1.ReasonQuarantined {
		t.Errorf("NamespacesReady is %s", reasonOf(got, v1alpha1.ConditionNamespacesReady))
	}
	for _, ref := range got.Status.Inventory {
		if ref.Name == v1alpha1.PolicyAllowTenant {
			t.Errorf("%v is remembered, and gone", ref)
		}
	}
	r.Clock = clocktesting.NewFakePassiveClock(noon)
	retimed(t, s, fixture.SessionTimeout)
	run(t, r, s)
	if diff := cmp.Diff(stood, picture(t, s)); diff != "" {
		t.Errorf("after the renewal things are not as they were (-want +got):\n%s", diff)
	}
}

// TestAFailureElsewhereKeepsNothingOpen: what ended closes although another object cannot be written, and is remembered as
// gone; what could not be written is not given up.
func TestAFailureElsewhereKeepsNothingOpen(t *testing.T) {
	for name, lapse := range map[string]v1alpha1.LapseAction{"the last vendor": v1alpha1.LapseAlert, "the tenant, isolated": v1alpha1.LapseIsolate} {
		t.Run(name, func(t *testing.T) {
			s, r := sociable(t, lapse)
			r.Clock = clocktesting.NewFakePassiveClock(v1alpha1.Date("2031-01-01").Time())
			s.fail["patch ConfigMap acme/"+v1alpha1.ConfigMapConfig] = errors.New("a webhook is down")
			s.fail["patch RoleBinding acme/hipaa-developer"] = errors.New("a webhook is down")
			h := fetch(t, s, "", "acme", &v1alpha1.HIPAATenant{})
			h.Spec.Application = &v1alpha1.Application{CallRecording: "Manual"}
			h.Generation++
			if lapse == v1alpha1.LapseIsolate {
				h.Spec.BAA.ExpiresOn = "2030-01-01"
			}
			if err := s.Update(t.Context(), h); err != nil {
				t.Fatal(err)
			}
			if err := whole(t, r); err == nil {
				t.Fatal("the failure is not told")
			}
			if cidrs := egressOf(t, s); len(cidrs) != 0 {
				t.Errorf("egress is open to %v, although no agreement is in force", cidrs)
			}
			got := fetch(t, s, "", "acme", &v1alpha1.HIPAATenant{})
			remembers := func(kind, name string) bool {
				return slices.Contains(got.Status.Inventory, v1alpha1.ObjectRef{Kind: kind, Namespace: "acme", Name: name})
			}
			if remembers("NetworkPolicy.networking.k8s.io", v1alpha1.PolicyAllowAssociates) {
				t.Error("the policy is remembered, and gone")
			}
			for kind, name := range map[string]string{
				"ConfigMap": v1alpha1.ConfigMapConfig, "Secret": v1alpha1.SecretKeyset, "RoleBinding.rbac.authorization.k8s.io": "hipaa-developer",
				"NetworkPolicy.networking.k8s.io": v1alpha1.PolicyDefaultDeny,
			} {
				if !remembers(kind, name) {
					t.Errorf("%s %s is forgotten", kind, name)
				}
			}
			if tenantOpen := picture(t, s)[v1alpha1.PolicyAllowTenant] != nil; tenantOpen != (lapse == v1alpha1.LapseAlert) {
				t.Errorf("the tenant's pods may talk to each other: %t", tenantOpen)
			}
		})
	}
}

// TestAFailureElsewhereKeepsNothingWide: of a policy and of a binding that stay, what ended goes although something written before
// them cannot be; the next attempt writes nothing more, and once the failure is gone everything stands.
func TestAFailureElsewhereKeepsNothingWide(t *testing.T) {
	for _, fails := range []string{"patch ConfigMap acme/" + v1alpha1.ConfigMapConfig, "patch ResourceQuota acme/" + v1alpha1.QuotaName} {
		t.Run(fails, func(t *testing.T) {
			s, r := sociable(t, v1alpha1.LapseAlert)
			r.Clock = clocktesting.NewFakePassiveClock(v1alpha1.Date("2026-11-24").Time())
			s.fail[fails] = errors.New("a webhook is down")
			h := fetch(t, s, "", "acme", &v1alpha1.HIPAATenant{})
			h.Spec.Application = &v1alpha1.Application{CallRecording: "Manual"}
			h.Spec.Quota = &v1alpha1.Quota{Pods: 7}
			h.Generation++
			if err := s.Update(t.Context(), h); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				s.asked()
				if err := whole(t, r); err == nil || !strings.Contains(err.Error(), "a webhook is down") {
					t.Fatalf("the failure is not told: %v", err)
				}
				if cidrs := egressOf(t, s); !slices.Equal(cidrs, []string{"198.51.100.0/25"}) {
					t.Errorf("egress is open to %v; want clearing alone", cidrs)
				}
				if subjects := fetch(t, s, "acme", "hipaa-developer", &rbacv1.RoleBinding{}).Subjects; len(subjects) != 1 || subjects[0].Name != "acme-devs" {
					t.Errorf("bound are %v, although the contractor's grant ended", subjects)
				}
			}
			if again := slices.DeleteFunc(s.asked(), func(w string) bool { return w == fails }); len(again) != 0 {
				t.Errorf("the second attempt writes %v; want what fails alone", again)
			}
			delete(s.fail, fails)
			if got := run(t, r, s); reasonOf(got, v1alpha1.ConditionReady) != "True/Ready" {
				t.Errorf("Ready is %s", reasonOf(got, v1alpha1.ConditionReady))
			}
		})
	}
}

// TestATenantsOwnPoliciesAreToldWhileTheSpecCannotBeHonoured: one that reaches a vendor whose agreement ended is told until it is
// gone.
func TestATenantsOwnPoliciesAreToldWhileTheSpecCannotBeHonoured(t *testing.T) {
	s, r := sociable(t, v1alpha1.LapseAlert)
	own := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "acme", Name: "own"}, Spec: networkingv1.NetworkPolicySpec{
		Egress: []networkingv1.NetworkPolicyEgressRule{{To: []networkingv1.NetworkPolicyPeer{{IPBlock: &networkingv1.IPBlock{CIDR: "198.51.100.128/28"}}}}},
	}}
	if err := s.Create(t.Context(), own); err != nil {
		t.Fatal(err)
	}
	mistaken(t, s)
	isolated := func(want string) {
		t.Helper()
		if got := reasonOf(run(t, r, s), v1alpha1.ConditionNetworkIsolated); got != want {
			t.Errorf("NetworkIsolated is %s, want %s", got, want)
		}
	}
	isolated("Unknown/" + v1alpha1.ReasonPolicyWritten)
	r.Clock = clocktesting.NewFakePassiveClock(v1alpha1.Date("2026-11-24").Time())
	isolated("False/" + v1alpha1.ReasonNetworkPolicyTooWide)
	if err := s.Delete(t.Context(), own); err != nil {
		t.Fatal(err)
	}
	isolated("Unknown/" + v1alpha1.ReasonPolicyWritten)
}

// TestWithoutDenyAllNothingIsTakenAway: the last policy to go would open everything.
func TestWithoutDenyAllNothingIsTakenAway(t *testing.T) {
	s, r := sociable(t, v1alpha1.LapseIsolate)
	deny := &networkingv1.NetworkPolicy{}
	if err := s.Delete(t.Context(), fetch(t, s, "acme", v1alpha1.PolicyDefaultDeny, deny)); err != nil {
		t.Fatal(err)
	}
	r.Applier.Gone(deny)
	s.fail["patch NetworkPolicy acme/"+v1alpha1.PolicyDefaultDeny] = errors.New("a webhook is down")
	r.Clock = clocktesting.NewFakePassiveClock(v1alpha1.Date(fixture.Expires).Time())
	s.asked()
	if _, err := r.Reconcile(t.Context(), requestFor("acme")); err == nil {
		t.Fatal("the failure is not told")
	}
	if writes := s.asked(); slices.ContainsFunc(writes, func(w string) bool { return strings.HasPrefix(w, "delete") }) {
		t.Errorf("writes are %v; want none that deletes", writes)
	}
}

// TestNothingIsClosedOnTheWordOfTheCache: it may not show a profile or a vendor that is there.
func TestNothingIsClosedOnTheWordOfTheCache(t *testing.T) {
	s, r := sociable(t, v1alpha1.LapseAlert)
	stood := picture(t, s)
	c := r.Client
	r.Client = interceptor.NewClient(s.cached(), interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
			if p, profile := obj.(*v1alpha1.HIPAAProfile); profile {
				return notFound(p)
			}
			return c.Get(ctx, key, obj, opts...)
		},
	})
	run(t, r, s)
	if diff := cmp.Diff(stood, picture(t, s)); diff != "" {
		t.Errorf("the cache does not show the profile, and things change (-want +got):\n%s", diff)
	}
	r.Client = c
	if err := s.Delete(t.Context(), defaultProfile()); err != nil {
		t.Fatal(err)
	}
	got := run(t, r, s)
	if reasonOf(got, v1alpha1.ConditionReady) != "False/"+v1alpha1.ReasonWaiting {
		t.Errorf("Ready is %s", reasonOf(got, v1alpha1.ConditionReady))
	}
	if cidrs := egressOf(t, s); len(cidrs) != 0 {
		t.Errorf("the profile is gone, and egress is open to %v", cidrs)
	}
	if got := fetch(t, s, "", "acme", &corev1.Namespace{}).Annotations[v1alpha1.AnnotationRegions]; got != "" {
		t.Errorf("the profile is gone, and regions are %q", got)
	}
	if err := s.Create(t.Context(), defaultProfile()); err != nil {
		t.Fatal(err)
	}
	run(t, r, s)
	if diff := cmp.Diff(stood, picture(t, s)); diff != "" {
		t.Errorf("the profile is back, and things are not as they were (-want +got):\n%s", diff)
	}
}

// TestStandingIsReadOnce for each version, while the spec cannot be honoured.
func TestStandingIsReadOnce(t *testing.T) {
	s, r := sociable(t, v1alpha1.LapseAlert)
	mistaken(t, s)
	var asked []string
	r.Live = interceptor.NewClient(s.WithWatch, interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
			asked = append(asked, key.Name)
			return c.Get(ctx, key, obj, opts...)
		},
	})
	run(t, r, s)
	if diff := cmp.Diff([]string{v1alpha1.PolicyAllowAssociates, "hipaa-developer"}, asked); diff != "" {
		t.Errorf("asked for (-want +got):\n%s", diff)
	}
	asked = nil
	run(t, r, s)
	if len(asked) != 0 {
		t.Errorf("the second time it is asked for %v", asked)
	}
	policy := fetch(t, s, "acme", v1alpha1.PolicyAllowAssociates, &networkingv1.NetworkPolicy{})
	policy.Spec.Egress = append(policy.Spec.Egress, networkingv1.NetworkPolicyEgressRule{})
	if err := s.Update(t.Context(), policy); err != nil {
		t.Fatal(err)
	}
	run(t, r, s)
	if cidrs := egressOf(t, s); len(asked) == 0 || len(cidrs) != 0 {
		t.Errorf("somebody opened everything: asked for %v, egress is open to %v; want a policy of an unknown form given up", asked, cidrs)
	}
	retimed(t, s, fixture.SessionTimeout)
	run(t, r, s)
	if _, kept := r.standing.Load("acme"); kept {
		t.Error("bodies are kept although the spec is honoured")
	}
}
