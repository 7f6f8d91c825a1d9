package atrest

import (
	"fmt"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/compile"
	"github.com/hipaatenant/hipaa-tenant-operator/test/cluster"
	"github.com/hipaatenant/hipaa-tenant-operator/test/operator"
	"github.com/hipaatenant/hipaa-tenant-operator/test/report"
)

// Encryption configurations without a KMS.
const (
	header      = "apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources:\n"
	aescbcFirst = header + "- {resources: [secrets], providers: [" + aescbc + ", {identity: {}}]}\n"
	configMaps  = header + "- {resources: [configmaps], providers: [" + aescbc + ", {identity: {}}]}\n"
	aescbc      = "{aescbc: {keys: [{name: one, secret: MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=}]}}"
)

func fixed(text string) func(socket string) string { return func(string) string { return text } }

// variant is a way to configure an API server, and what must be said of it.
type variant struct {
	name                     string
	configuration            func(socket string) string
	condition, code, message string
	state, etcd              string
}

var _ = DescribeTable("an API server", func(ctx SpecContext, v variant) {
	ok := "miss"
	said := ""
	DeferCleanup(func() {
		report.Line("keys: at-rest variant=%s condition=%s etcd=%s %s", v.name, said, v.etcd, ok)
	})
	b := start(ctx, v.configuration(socket))
	b.Operate(ctx, operator.Options{Binary: binary})
	b.populate(ctx)
	Eventually(b.condition(ctx, v1alpha1.ConditionEncryptionReady)).Should(HavePrefix(v.condition + ": "))
	text := b.condition(ctx, v1alpha1.ConditionEncryptionReady)()
	said, _, _ = strings.Cut(text, ":")
	Expect(text).To(ContainSubstring(v.message))
	Expect(b.finding(ctx, v.code)).To(ContainSubstring(v.message))
	Expect(b.states(ctx)).To(ConsistOf(v.state))
	Expect(b.condition(ctx, v1alpha1.ConditionReady)()).To(HavePrefix("True/Ready"))
	for _, secret := range [][2]string{{tenant, "database"}, {tenant, v1alpha1.SecretKeyset}, {v1alpha1.OperatorNamespace, v1alpha1.SecretCanary}} {
		Expect(b.lies(ctx, secret[0], secret[1])).To(Equal(v.etcd), fmt.Sprint(secret))
	}
	ok = "ok"
},
	func(v variant) string { return "with " + v.name },
	Entry(nil, variant{
		"kmsv2", cluster.KMSFirst, "True/SoftwareKey", compile.CodeEncryptedAtRest,
		"observed: writes of Secrets by 1 of 1 API servers used KMS v2 provider test; no plaintext was read", "kms", "encrypted",
	}),
	Entry(nil, variant{
		"identity-first", cluster.IdentityFirst, "False/NotEncryptedAtRest", compile.CodeNotEncryptedAtRest,
		"observed: 1 of 1 API servers writes Secrets to etcd in plaintext (identity is the first provider)", "not_encrypted", "plaintext",
	}),
	Entry(nil, variant{
		"none", fixed(""), "False/NotEncryptedAtRest", compile.CodeNotEncryptedAtRest,
		"observed: 1 of 1 API servers writes Secrets to etcd in plaintext (no encryption configuration)", "not_encrypted", "plaintext",
	}),
	Entry(nil, variant{
		"secrets-not-named", fixed(configMaps), "False/NotEncryptedAtRest", compile.CodeNotEncryptedAtRest,
		"(the encryption configuration does not name Secrets)", "not_encrypted", "plaintext",
	}),
	Entry(nil, variant{
		"aescbc", fixed(aescbcFirst), "True/SoftwareKey", compile.CodeAtRestWithoutKMS,
		"observed: writes of Secrets by 1 of 1 API servers used aescbc (a key in a file of the API server, no KMS); no plaintext was read", "other_provider", "encrypted",
	}),
)
