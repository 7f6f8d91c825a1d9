package stories

import (
	"context"
	"fmt"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/compile"
	"github.com/hipaatenant/hipaa-tenant-operator/test/bed"
	"github.com/hipaatenant/hipaa-tenant-operator/test/fixture"
)

// mistaken is the tenant, and its namespace, that the mistakes are about.
const mistaken = "mistaken"

// mistakes are what people write. Each is answered in words, and opens nothing that was not open before.
var mistakes = []struct {
	what string
	make func(ctx context.Context) (answer func() string)
	says []string
}{
	{"an unknown channel", edited(func(s *v1alpha1.HIPAATenantSpec) { s.DisabledChannels = append(s.DisabledChannels, "pager") }),
		[]string{compile.CodeUnknownChannel + " spec.disabledChannels[0]: channel pager is not in the catalogue of profile liveperson-like"}},
	{"an unknown associate", edited(func(s *v1alpha1.HIPAATenantSpec) { s.BusinessAssociates = append(s.BusinessAssociates, "ghost") }),
		[]string{"Waiting", "BusinessAssociate ghost, named in spec.businessAssociates[1]"}},
	{"associates that are each other's subcontractors", vendorEdited(func(a *v1alpha1.BusinessAssociate) { a.Spec.Subcontractors = []v1alpha1.Name{"mistaken-other"} }),
		[]string{compile.CodeAssociateNotInForce + " spec.businessAssociates[0]: egress to mistaken-vendor stays closed", "cycle through mistaken-vendor"}},
	{"an associate that is its own subcontractor", vendorRefused(func(a *v1alpha1.BusinessAssociate) { a.Spec.Subcontractors = []v1alpha1.Name{"mistaken-vendor"} }),
		[]string{"subcontractors must not contain the associate itself, mistaken-vendor"}},
	{"an agreement that has ended", edited(func(s *v1alpha1.HIPAATenantSpec) { s.BAA.LastVerifiedOn, s.BAA.ExpiresOn = "", "2026-02-01" }),
		[]string{compile.CodeBAALapsed + " spec.baa: the agreement ended on 2026-02-01"}},
	{"an agreement that ends before it begins", specRefused(func(s *v1alpha1.HIPAATenantSpec) { s.BAA.LastVerifiedOn, s.BAA.ExpiresOn = "", "2020-02-01" }),
		[]string{"expiresOn 2020-02-01 must be after executedOn 2024-01-15"}},
	{"an agreement of an associate that has ended", vendorEdited(func(a *v1alpha1.BusinessAssociate) {
		a.Spec.BAA.LastVerifiedOn, a.Spec.BAA.ExpiresOn = "", "2026-02-01"
	}),
		[]string{compile.CodeAssociateNotInForce + " spec.businessAssociates[0]: egress to mistaken-vendor stays closed", "ended on 2026-02-01"}},
	{"a grant that has expired", edited(func(s *v1alpha1.HIPAATenantSpec) { s.Roles[1].ExpiresOn = "2026-02-01" }),
		[]string{compile.CodeGrantExpired + " spec.roles[1]", "expired on 2026-02-01"}},
	{"an attestation that has expired", edited(func(s *v1alpha1.HIPAATenantSpec) {
		s.Attestations[0].On, s.Attestations[0].ExpiresOn = "2025-02-01", "2026-02-01"
	}),
		[]string{compile.CodeAttestationExpired + " spec.attestations[0].expiresOn", "expired on 2026-02-01"}},
	{"an attestation that expires before it is made", specRefused(func(s *v1alpha1.HIPAATenantSpec) { s.Attestations[0].ExpiresOn = "2020-02-01" }),
		[]string{"expiresOn 2020-02-01 must be after on 2026-03-01"}},
	{"an approver who asked", selfApproved,
		[]string{"Policy 'hipaatenant-emergency'", "ana@mistaken.example asked for EmergencyAccess", "cannot approve it"}},
	{"an emergency above the profile's maximum", asked("3h"), []string{"False/Denied", "duration 3h is above emergencyAccess.maxDuration 2h"}},
	{"an emergency above any maximum", asked("25h"), []string{"duration must be between 1m and 24h"}},
	{"a role for anonymous", specRefused(func(s *v1alpha1.HIPAATenantSpec) {
		s.Roles[0].Subjects = []v1alpha1.Subject{{Kind: "User", Name: "system:anonymous"}}
	}), []string{"164.312(a)(2)(i) asks for unique users, never everybody or anonymous"}},
	{"a role for everybody", specRefused(func(s *v1alpha1.HIPAATenantSpec) {
		s.Roles[0].Subjects = []v1alpha1.Subject{{Kind: "Group", Name: "system:unauthenticated"}}
	}), []string{"164.312(a)(2)(i) asks for unique users, never everybody or anonymous"}},
	{"a binding of one's own for anonymous", func(ctx context.Context) func() string {
		return func() string {
			return fmt.Sprint(admin.Create(ctx, object(mistaken, roleBinding("{kind: User, name: 'system:anonymous', apiGroup: rbac.authorization.k8s.io}"))))
		}
	}, []string{"Policy 'hipaatenant-tenancy'", "system:anonymous, which is not one identified user (45 CFR 164.312(a)(2)(i))"}},
}

var _ = Describe("a mistake", Ordered, ContinueOnFailure, func() {
	var before openings
	BeforeAll(func(ctx SpecContext) {
		for _, name := range []string{"mistaken-vendor", "mistaken-other"} {
			Expect(admin.Create(ctx, fixture.Associate(name))).To(Succeed())
		}
		change(ctx, associate("mistaken-other"), func(a *v1alpha1.BusinessAssociate) { a.Spec.Subcontractors = []v1alpha1.Name{"mistaken-vendor"} })
		suite.AwaitReady(ctx, "liveperson-like")
		another(ctx, "liveperson-like", mistaken, func(s *v1alpha1.HIPAATenantSpec) { s.BusinessAssociates = []v1alpha1.Name{"mistaken-vendor"} })
		suite.AwaitReady(ctx, mistaken)
		before = standing(ctx)
		Expect(before.open).To(ContainElements("gate open", "hipaa-allow-associates for <none> 198.51.100.0/25 TCP/443"))
	})

	for _, m := range mistakes {
		It("is answered in words, and loosens nothing: "+m.what, func(ctx SpecContext) {
			Eventually(standing).WithContext(ctx).Should(Equal(before), "the mistake before this one is mended")
			suite.AwaitReady(ctx, mistaken)
			answer := m.make(ctx)
			for _, words := range m.says {
				Eventually(answer).Should(ContainSubstring(words))
			}
			Consistently(func() []string { return standing(ctx).beyond(before) }, "300ms", "50ms").Should(BeEmpty(), "what is open now, and was not before")
		})
	}
})

// edited makes the mistake in the tenant's spec; the status answers.
func edited(edit func(*v1alpha1.HIPAATenantSpec)) func(context.Context) func() string {
	return func(ctx context.Context) func() string {
		change(ctx, tenant(mistaken), func(t *v1alpha1.HIPAATenant) { edit(&t.Spec) })
		return statusOf(ctx)
	}
}

// vendorEdited makes it in the spec of a vendor the tenant reaches.
func vendorEdited(edit func(*v1alpha1.BusinessAssociate)) func(context.Context) func() string {
	return func(ctx context.Context) func() string {
		change(ctx, associate("mistaken-vendor"), edit)
		return statusOf(ctx)
	}
}

// specRefused makes it in the tenant's spec; the API server answers.
func specRefused(edit func(*v1alpha1.HIPAATenantSpec)) func(context.Context) func() string {
	return func(ctx context.Context) func() string {
		return func() string {
			t := suite.Tenant(ctx, mistaken)
			edit(&t.Spec)
			return fmt.Sprint(admin.Update(ctx, t))
		}
	}
}

func vendorRefused(edit func(*v1alpha1.BusinessAssociate)) func(context.Context) func() string {
	return func(ctx context.Context) func() string {
		return func() string {
			a := associate("mistaken-vendor")
			Expect(admin.Get(ctx, client.ObjectKeyFromObject(a), a)).To(Succeed())
			edit(a)
			return fmt.Sprint(admin.Update(ctx, a))
		}
	}
}

// asked asks for emergency access, with an officer's agreement.
func asked(duration v1alpha1.Duration) func(context.Context) func() string {
	return func(ctx context.Context) func() string {
		e := emergency{tenant: mistaken}
		asker, officer := person(ctx, "ana@mistaken.example"), person(ctx, "kim@mistaken.example", "liveperson-like-officers")
		a := e.access("asked", duration)
		if err := asker.Create(ctx, a); err != nil {
			return err.Error
		}
		DeferCleanup(func(ctx SpecContext) { Expect(admin.Delete(ctx, a)).To(Succeed()) })
		Expect(officer.Patch(ctx, a.DeepCopy(), agree)).To(Succeed())
		return func() string {
			Expect(admin.Get(ctx, client.ObjectKeyFromObject(a), a)).To(Succeed())
			text := active(ctx, a.Name)()
			for _, c := range a.Status.Conditions {
				text += " " + c.Message
			}
			return text
		}
	}
}

func selfApproved(ctx context.Context) func() string {
	asker := person(ctx, "ana@mistaken.example", "liveperson-like-officers")
	a := emergency{tenant: mistaken}.access("alone", "1h")
	Eventually(func() error { return asker.Create(ctx, a) }).Should(Succeed())
	DeferCleanup(func(ctx SpecContext) { Expect(admin.Delete(ctx, a)).To(Succeed()) })
	return func() string { return fmt.Sprint(asker.Patch(ctx, a.DeepCopy(), agree)) }
}

// statusOf is what the tenant says of its present spec: why it is not Ready, and the findings.
func statusOf(ctx context.Context) func() string {
	return func() string {
		t := suite.Tenant(ctx, mistaken)
		ready := bed.Condition(t, v1alpha1.ConditionReady)
		lines := []string{string(ready.Status) + "/" + ready.Reason + " " + ready.Message}
		for _, f := range t.Status.Findings {
			lines = append(lines, f.Code+" "+f.Path+": "+f.Message)
		}
		return strings.Join(lines, "\n")
	}
}

// openings are what a namespace lets through, and what it keeps shut by name.
type openings struct{ open, shut []string }

// beyond is what is open here and was not before, and what was shut before and is not any more.
func (o openings) beyond(before openings) []string {
	more := slices.DeleteFunc(slices.Clone(o.open), func(s string) bool { return slices.Contains(before.open, s) })
	return append(more, slices.DeleteFunc(slices.Clone(before.shut), func(s string) bool { return slices.Contains(o.shut, s) })...)
}

// standing reads them from everything that stands in the tenant's namespace, whoever made it.
func standing(ctx context.Context) openings {
	GinkgoHelper()
	o := openings{}
	add := func(to *[]string, what string, list ...string) {
		for _, one := range list {
			*to = append(*to, what+" "+one)
		}
	}
	annotations := facts(ctx, mistaken)()
	for _, fact := range []string{v1alpha1.AnnotationRegions, v1alpha1.AnnotationIPAllowlist, v1alpha1.AnnotationEgress, v1alpha1.AnnotationStorageClasses} {
		add(&o.open, fact, strings.FieldsFunc(annotations[fact], func(c rune) bool { return c == ',' })...)
	}
	for _, fact := range []string{v1alpha1.AnnotationDisabledChannels, v1alpha1.AnnotationDisabledPorts} {
		add(&o.shut, fact, strings.FieldsFunc(annotations[fact], func(c rune) bool { return c == ',' })...)
	}
	add(&o.open, v1alpha1.AnnotationSessionTimeout, annotations[v1alpha1.AnnotationSessionTimeout])
	if annotations[v1alpha1.AnnotationAdmission] == string(v1alpha1.GateOpen) {
		add(&o.open, "gate", "open")
	}
	var policies networkingv1.NetworkPolicyList
	var bindings rbacv1.RoleBindingList
	var roles rbacv1.RoleList
	for _, list := range []client.ObjectList{&policies, &bindings, &roles} {
		Expect(admin.List(ctx, list, client.InNamespace(mistaken))).To(Succeed())
	}
	for i := range policies.Items {
		p := &policies.Items[i]
		add(&o.open, p.Name+" for "+metav1.FormatLabelSelector(&p.Spec.PodSelector), opened(ctx, mistaken, p.Name)()...)
		add(&o.shut, p.Name, fmt.Sprint(p.Spec.PolicyTypes))
	}
	o.shut = slices.DeleteFunc(o.shut, func(s string) bool { return strings.HasPrefix(s, "hipaa-allow-") }) // a policy that is gone opens nothing
	for i := range bindings.Items {
		for _, s := range bindings.Items[i].Subjects {
			add(&o.open, bindings.Items[i].RoleRef.Name, s.Kind+" "+s.Namespace+"/"+s.Name)
		}
	}
	for i := range roles.Items {
		add(&o.open, "role", roles.Items[i].Name)
	}
	quota := &corev1.ResourceQuota{}
	Expect(admin.Get(ctx, client.ObjectKey{Namespace: mistaken, Name: v1alpha1.QuotaName}, quota)).To(Succeed())
	add(&o.shut, "quota", fmt.Sprint(quota.Spec.Hard))
	return o
}
