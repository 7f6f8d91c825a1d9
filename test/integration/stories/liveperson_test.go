package stories

import (
	"encoding/json"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/compile"
	"github.com/hipaatenant/hipaa-tenant-operator/test/bed"
)

var _ = Describe("liveperson-like", func() {
	const name, app, data = "liveperson-like", "liveperson-like-app", "liveperson-like-data"
	BeforeEach(func(ctx SpecContext) { suite.AwaitReady(ctx, name) })

	It("binds persons, never everybody", func(ctx SpecContext) {
		var bindings rbacv1.RoleBindingList
		Expect(admin.List(ctx, &bindings, client.InNamespace(app))).To(Succeed())
		var bound []string
		for i := range bindings.Items {
			for _, s := range bindings.Items[i].Subjects {
				bound = append(bound, bindings.Items[i].RoleRef.Name+" "+s.Kind+" "+s.Name)
			}
		}
		Expect(bound).To(ConsistOf("hipaatenant-developer User jo@lindqvist.example", "hipaatenant-operator User ari@lindqvist.example"))
		Eventually(codes(ctx, name)).Should(ContainElement(compile.CodeGrantExpired+" spec.roles[2]"), "the grant of who left has ended")
		for _, everybody := range []string{"system:authenticated", "system:unauthenticated", "system:serviceaccounts"} {
			refused(ctx, app, roleBinding("{kind: Group, name: '"+everybody+"', apiGroup: rbac.authorization.k8s.io}"), "164.312(a)(2)(i)")
			refusedEdit(ctx, name, func(spec map[string]any) {
				spec["roles"] = []any{map[string]any{"role": "Developer", "subjects": []any{map[string]any{"kind": "Group", "name": everybody}}}}
			}, "164.312(a)(2)(i) asks for unique users")
		}
		refused(ctx, app, roleBinding("{kind: User, name: 'system:anonymous', apiGroup: rbac.authorization.k8s.io}"), "164.312(a)(2)(i)")
	})

	It("lets a person in when another agrees, for a while", func(ctx SpecContext) {
		expectEmergency(ctx, emergency{tenant: name, namespaces: []string{app, data}, asker: "ari@lindqvist.example", officers: "liveperson-like-officers", most: "2h"})
	})

	It("ends idle sessions, and lets tokens live no longer", func(ctx SpecContext) {
		Expect(config(ctx, app)).To(HaveKeyWithValue("HIPAA_SESSION_IDLE_TIMEOUT_SECONDS", "300"))
		expectDelivered(ctx, app)
		another(ctx, name, "liveperson-idle", func(s *v1alpha1.HIPAATenantSpec) { s.SessionTimeout = "11m" })
		stalled(ctx, "liveperson-idle", compile.CodeSessionTimeoutAboveMaximum, "spec.sessionTimeout")
		token := func(seconds int64) error {
			account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: app, Name: "default"}}
			return admin.SubResource("token").Create(ctx, account, &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &seconds}})
		}
		Eventually(func() error { return token(600) }).Should(Succeed(), "ten minutes are the least the API server knows")
		Expect(token(3600)).To(MatchError(ContainSubstring("hipaatenant-workload")))
	})

	It("counts pods that have not taken when a session ends", func(ctx SpecContext) {
		expectConsumed(ctx, name, data, func(s *v1alpha1.HIPAATenantSpec) { s.SessionTimeout = "4m" })
	})

	It("has data keys of its own, wrapped by the KMS", func(ctx SpecContext) {
		for _, namespace := range []string{app, data} {
			secret := &corev1.Secret{}
			Expect(admin.Get(ctx, client.ObjectKey{Namespace: namespace, Name: v1alpha1.SecretKeyset}, secret)).To(Succeed())
			var keyset struct {
				Keys []struct {
					Name, Provider, KeyRef string
					Wrapped                []byte
				}
			}
			Expect(json.Unmarshal(secret.Data[v1alpha1.KeysetKey], &keyset)).To(Succeed())
			Expect(keyset.Keys).To(ConsistOf(HaveField("Name", "records"), HaveField("Name", "transcripts")))
			Expect(keyset.Keys).To(HaveEach(And(HaveField("Provider", "vault"), HaveField("KeyRef", "transit/liveperson-like"),
				HaveField("Wrapped", WithTransform(func(b []byte) string { return string(b) }, HavePrefix("vault:v1:"))))))
			allowed(ctx, namespace, claim("liveperson-like-encrypted"))
			refused(ctx, namespace, claim("liveperson-like-plain"), "storage class")
		}
		Expect(suite.Tenant(ctx, name).Status.Effective.RotationPeriod).To(Equal("720h"))
	})

	It("says what was observed of its keys, its volumes and of etcd", func(ctx SpecContext) {
		Expect(suite.Tenant(ctx, name).Status.Keys).To(HaveLen(2))
		Expect(suite.Tenant(ctx, name).Status.Keys).To(HaveEach(And(HaveField("Provider", "vault"), HaveField("Assurance", v1alpha1.ReasonKMSWrapped))))
		Eventually(func() string {
			return bed.Condition(suite.Tenant(ctx, name), v1alpha1.ConditionEncryptionReady).Message
		}).Should(And(
			HavePrefix("2 data keys wrapped by vault://transit/liveperson-like"), ContainSubstring("Secrets in etcd: ")))
		Eventually(codes(ctx, name)).Should(ContainElements(
			compile.CodeNotEncryptedAtRest+" spec.encryption", compile.CodeStorageClassNotCustomerKey+" spec.encryption.storageClasses"))
		Expect(suite.Metrics(ctx)).To(ContainSubstring("hipaatenant_encryption_at_rest"))
	})

	It("refuses to let anybody edit what guards it", func(ctx SpecContext) {
		meta := metav1.ObjectMeta{Namespace: app, Name: v1alpha1.PolicyDefaultDeny}
		for o, patch := range map[client.Object]string{
			&networkingv1.NetworkPolicy{ObjectMeta: meta}:                                                    `{"spec":{"podSelector":{"matchLabels":{"app":"guarded"}}}}`,
			&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: app, Name: v1alpha1.ConfigMapConfig}}: `{"data":{"HIPAA_SESSION_IDLE_TIMEOUT_SECONDS":"86400"}}`,
			&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: app, Name: v1alpha1.SecretKeyset}}:       `{"data":null}`,
			&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: app}}:                                      `{"metadata":{"annotations":{"hipaatenant.dev/regions":"eu-west-1"}}}`,
		} {
			Expect(admin.Patch(ctx, o, client.RawPatch(types.MergePatchType, []byte(patch)))).To(MatchError(ContainSubstring("hipaatenant-tenancy")), "%T", o)
		}
		Expect(admin.Delete(ctx, &networkingv1.NetworkPolicy{ObjectMeta: meta})).To(MatchError(ContainSubstring("hipaatenant-tenancy")))
		p := object(app, pod("", ""))
		Expect(admin.Create(ctx, p, client.DryRunAll)).To(Succeed())
		expectInjected(ctx, p) // with the hash of the config
	})

	It("is exposed by TLS alone", func(ctx SpecContext) {
		expectTLS(ctx, app)
		refused(ctx, app, "{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {type: NodePort, selector: {app: web}, ports: [{port: 443}]}}", "NodePort")
		o := object(app, "{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {type: LoadBalancer, selector: {app: web}, ports: [{port: 443}]}}")
		Expect(admin.Create(ctx, o, client.DryRunAll)).To(Succeed())
		local, _, err := unstructured.NestedString(o.Object, "spec", "externalTrafficPolicy")
		Expect(err).NotTo(HaveOccurred())
		Expect(local).To(Equal("Local"), "or the client's address is gone before the allowlist is asked")
	})

	It("asks for agreements to be verified again", func(ctx SpecContext) {
		verifiedOn := func(day v1alpha1.Date) func(*v1alpha1.HIPAATenantSpec) {
			return func(s *v1alpha1.HIPAATenantSpec) { s.BAA.ExecutedOn, s.BAA.LastVerifiedOn = "2022-01-15", day }
		}
		another(ctx, name, "liveperson-unverified", verifiedOn("2022-06-01"))
		Eventually(suite.State(ctx, "liveperson-unverified", v1alpha1.ConditionBAAInForce)).Should(Equal("False/" + v1alpha1.ReasonReverificationDue))
		Eventually(suite.State(ctx, "liveperson-unverified", v1alpha1.ConditionReady)).Should(HavePrefix("False/"))
		change(ctx, tenant("liveperson-unverified"), func(t *v1alpha1.HIPAATenant) { verifiedOn("2026-06-01")(&t.Spec) })
		suite.AwaitReady(ctx, "liveperson-unverified")
		refusedEdit(ctx, name, func(spec map[string]any) { delete(spec, "securityOfficer") }, "spec.securityOfficer: Required value")
	})

	It("has a named person vouch for how users prove who they are", func(ctx SpecContext) { expectAttested(ctx, name, "164.312(d)") })
	It("has named persons vouch for facilities, workspaces and workstations", func(ctx SpecContext) {
		expectAttested(ctx, name, "164.310(a)(1)", "164.310(b)", "164.310(c)")
	})
	It("has a named person vouch for risk analysis, training, incidents, contingency and evaluation", func(ctx SpecContext) {
		expectAttested(ctx, name, "164.308(a)(1)(ii)(A)", "164.308(a)(5)", "164.308(a)(6)(ii)", "164.308(a)(7)", "164.308(a)(8)")
	})
	It("has a named person vouch for breach notification", func(ctx SpecContext) {
		expectAttested(ctx, name, "164.404", "164.406", "164.408")
	})
})
