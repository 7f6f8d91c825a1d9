package admission_test

import (
	"context"
	"encoding/json"
	"fmt"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	pt "github.com/hipaatenant/hipaa-tenant-operator/test/policytest"
)

// Two persons who may write EmergencyAccesses, their status too: the policy has to be what refuses.
const (
	ana pt.User = "ana@acme.example"
	ben pt.User = "ben@acme.example"
)

var emergencyWriters = []client.Object{
	&rbacv1.ClusterRole{ObjectMeta: named("test-emergency"), Rules: []rbacv1.PolicyRule{{
		APIGroups: []string{v1alpha1.Group}, Resources: []string{"emergencyaccesses", "emergencyaccesses/status"},
		Verbs: []string{"create", "get", "update", "patch", "delete"},
	}}},
	&rbacv1.ClusterRoleBinding{
		ObjectMeta: named("test-emergency"),
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "test-emergency"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.UserKind, Name: string(ana)}, {Kind: rbacv1.UserKind, Name: string(ben)}},
	},
}

// asking asks for an EmergencyAccess named as the row's namespace, with these annotations.
func asking(annotations ...string) string {
	return fmt.Sprintf("{apiVersion: hipaatenant.dev/v1alpha1, kind: EmergencyAccess, metadata: {name: NAMESPACE, annotations: {note: x%s}}, "+
		"spec: {tenant: acme-health, role: Operator, reason: INC-4711 claims queue, duration: 1h}}", more(annotations...))
}

// mark writes an annotation of the row's EmergencyAccess; an empty value takes it off.
func mark(key, value string) pt.Request {
	return func(ctx context.Context, s *pt.Session) error {
		var v any
		if value != "" {
			v = value
		}
		body, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": map[string]any{key: v}}})
		if err != nil {
			return err
		}
		return s.Client.Patch(ctx, &v1alpha1.EmergencyAccess{ObjectMeta: named(s.Namespace)}, client.RawPatch(types.MergePatchType, body))
	}
}

// prolong writes the status.
func prolong(ctx context.Context, s *pt.Session) error {
	return s.Client.Status().Patch(ctx, &v1alpha1.EmergencyAccess{ObjectMeta: named(s.Namespace)},
		client.RawPatch(types.MergePatchType, []byte(`{"status":{"expiresAt":"2099-01-01T00:00:00Z"}}`)))
}

// carries fails unless the annotation of the row's EmergencyAccess has this value.
func carries(key, value string) pt.Request {
	return func(ctx context.Context, s *pt.Session) error {
		e := &v1alpha1.EmergencyAccess{}
		if err := s.Env.Admin.Get(ctx, client.ObjectKey{Name: s.Namespace}, e); err != nil {
			return err
		}
		if found := e.Annotations[key]; found != value {
			return fmt.Errorf("annotation %s is %q, want %q", key, found, value)
		}
		return nil
	}
}

func remove(ctx context.Context, s *pt.Session) error {
	return s.Client.Delete(ctx, &v1alpha1.EmergencyAccess{ObjectMeta: named(s.Namespace)})
}

var (
	ask        = pt.As(ana, pt.Create(asking()))
	approve    = pt.As(ben, mark(v1alpha1.AnnotationApprove, "true"))
	askedByAna = carries(v1alpha1.AnnotationRequestedBy, string(ana))
	agreedBen  = carries(v1alpha1.AnnotationApprovedBy, string(ben))
	unapproved = pt.InOrder(carries(v1alpha1.AnnotationApprovedBy, ""), carries(v1alpha1.AnnotationApprovedByGroups, ""))
)

var emergencyRows = []pt.Row{
	{Name: "ask", As: ana, Do: pt.InOrder(ask, askedByAna, unapproved), Want: pt.Allowed()},
	{Name: "ask in the name of another", As: ana, Do: pt.InOrder(pt.Create(asking("hipaatenant.dev/requested-by: "+string(ben))), askedByAna), Want: pt.Allowed()},
	{Name: "ask, with somebody's approval but not approved", As: ana, Do: pt.InOrder(pt.Create(asking("hipaatenant.dev/approved-by: "+string(ben), "hipaatenant.dev/approved-by-groups: security-officers")), unapproved), Want: pt.Allowed()},
	{Name: "ask by server-side apply", As: ana, Do: pt.InOrder(pt.Apply(asking("hipaatenant.dev/requested-by: "+string(ben))), askedByAna), Want: pt.Allowed()},
	{Name: "ask, approved already", As: ana, Inside: true, Do: pt.Create(asking(`hipaatenant.dev/approve: "true"`)), Want: pt.Refused("emergency", "carries hipaatenant.dev/approve", "let an approver set")},
	{Name: "ask, approved with another word", As: ana, Inside: true, Do: pt.Create(asking(`hipaatenant.dev/approve: "yes"`)), Want: pt.Refused("emergency", "carries hipaatenant.dev/approve")},
	{Name: "ask as a service account", As: pt.Operator, Inside: true, Do: pt.Create(asking()), Want: pt.Refused("emergency", "is not a person (45 CFR 164.312(a)(2)(i))")},
	{Name: "approve", As: ben, Do: pt.InOrder(ask, mark(v1alpha1.AnnotationApprove, "true"), agreedBen, askedByAna), Want: pt.Allowed()},
	{Name: "approve in the name of another", As: ben, Do: pt.InOrder(ask, mark(v1alpha1.AnnotationApprovedBy, "cleo@acme.example"), unapproved,
		mark(v1alpha1.AnnotationApprove, "true"), mark(v1alpha1.AnnotationApprovedBy, "cleo@acme.example"), agreedBen), Want: pt.Allowed()},
	{Name: "approve with groups of others", As: ben, Do: pt.InOrder(ask, approve, mark(v1alpha1.AnnotationApprovedByGroups, "security-officers"), carries(v1alpha1.AnnotationApprovedByGroups, "system:authenticated")), Want: pt.Allowed()},
	{Name: "approve by server-side apply", As: ben, Do: pt.InOrder(ask, pt.Apply(asking(`hipaatenant.dev/approve: "true"`)), agreedBen), Want: pt.Allowed()},
	{Name: "approve what one asked for", As: ana, Inside: true, Do: pt.InOrder(ask, mark(v1alpha1.AnnotationApprove, "true")), Want: pt.Refused("emergency", "cannot approve it", "a second person")},
	{Name: "say another asked, and approve", As: ana, Inside: true, Do: pt.InOrder(ask, mark(v1alpha1.AnnotationRequestedBy, string(ben)), askedByAna, mark(v1alpha1.AnnotationApprove, "true")), Want: pt.Refused("emergency", "cannot approve it")},
	{Name: "take an approval back", As: ben, Inside: true, Do: pt.InOrder(ask, approve, mark(v1alpha1.AnnotationApprove, "")), Want: pt.Refused("emergency", "stays as it is", "delete the object")},
	{Name: "approve a second time", As: "cleo@acme.example", Inside: true, Do: pt.InOrder(ask, approve, pt.As(ana, mark(v1alpha1.AnnotationApprove, "yes"))), Want: pt.Refused("emergency", "stays as it is")},
	{Name: "annotate what is approved", As: ana, Do: pt.InOrder(ask, approve, mark("note", "y"), agreedBen), Want: pt.Allowed()},
	{Name: "prolong by status", As: ana, Inside: true, Do: pt.InOrder(ask, approve, prolong), Want: pt.Refused("emergency", "written by the operator alone")},
	{Name: "write the status", As: pt.Operator, Do: pt.InOrder(ask, approve, prolong), Want: pt.Allowed()},
	{Name: "end the access", As: ana, Do: pt.InOrder(ask, approve, remove), Want: pt.Allowed()},
}

var emergencyTable = pt.Table{Policy: "emergency", Rows: emergencyRows}

var _ = emergencyTable.Specs(environment)

// What refuses forged stamps while nothing stamps. The other rows cannot tell: the stamp is put right before it is judged.
var _ = Describe("emergency without its MutatingAdmissionPolicy", Serial, func() {
	BeforeEach(func(ctx SpecContext) {
		binding := &admissionv1.MutatingAdmissionPolicyBinding{ObjectMeta: named("hipaatenant-emergency")}
		Expect(env.Admin.Delete(ctx, binding)).To(Succeed())
		DeferCleanup(func(ctx SpecContext) {
			Expect(env.Restore(ctx, "hipaatenant-emergency")).To(Succeed())
		})
	})

	for _, row := range []pt.Row{
		{Name: "ask in the name of another", As: ana, Do: pt.Create(asking("hipaatenant.dev/requested-by: " + string(ben))),
			Want: pt.Refused("emergency", "it must be "+string(ana))},
		{Name: "approve in the name of another", As: ben,
			Do:   pt.InOrder(pt.As(ana, pt.Create(asking("hipaatenant.dev/requested-by: "+string(ana)))), mark(v1alpha1.AnnotationApprovedBy, "cleo@acme.example")),
			Want: pt.Refused("emergency", "stays as it is")},
		{Name: "approve without a stamp", As: ben,
			Do:   pt.InOrder(pt.As(ana, pt.Create(asking("hipaatenant.dev/requested-by: "+string(ana)))), mark(v1alpha1.AnnotationApprove, "true")),
			Want: pt.Refused("emergency", "it must be "+string(ben))},
		{Name: "approve with groups of others", As: ben,
			Do: pt.InOrder(pt.As(ana, pt.Create(asking("hipaatenant.dev/requested-by: "+string(ana)))),
				pt.Apply(asking("hipaatenant.dev/requested-by: "+string(ana), `hipaatenant.dev/approve: "true"`, "hipaatenant.dev/approved-by: "+string(ben), "hipaatenant.dev/approved-by-groups: security-officers"))),
			Want: pt.Refused("emergency", "and groups of theirs")},
		{Name: "change who asked", As: ben,
			Do:   pt.InOrder(pt.As(ana, pt.Create(asking("hipaatenant.dev/requested-by: "+string(ana)))), mark(v1alpha1.AnnotationRequestedBy, "cleo@acme.example")),
			Want: pt.Refused("emergency", "it must be "+string(ana))},
	} {
		It("refuses to "+row.Name, func(ctx SpecContext) {
			Expect(pt.Await(ctx, "the API server to stop stamping", func(ctx context.Context) error { return env.Try(ctx, row) })).To(Succeed())
		})
	}
})
