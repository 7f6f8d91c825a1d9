// Package atrest runs the operator on API servers that store Secrets in different ways, and compares what it says with the
// bytes in etcd.
package atrest

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/keyringtest"
	"github.com/hipaatenant/hipaa-tenant-operator/test/bed"
	"github.com/hipaatenant/hipaa-tenant-operator/test/cluster"
	"github.com/hipaatenant/hipaa-tenant-operator/test/failed"
	"github.com/hipaatenant/hipaa-tenant-operator/test/fixture"
)

// tenant is looked at in every variant, and has a Secret of its own.
const tenant = "acme"

// password is what the tenant's own Secret holds.
const password = "correct horse battery staple"

var (
	binary string
	socket string // of a KMS v2 plugin
)

func TestAtRest(t *testing.T) {
	RegisterFailHandler(Fail)
	SetDefaultEventuallyTimeout(2 * time.Minute) // other suites run at the same time
	SetDefaultEventuallyPollingInterval(50 * time.Millisecond)
	RunSpecs(t, "encryption at rest")
}

var _ = ReportAfterSuite("failures", failed.Report)

var _ = BeforeSuite(func(ctx SpecContext) {
	binary = bed.Build(ctx)
	socket = keyringtest.StartKMSPlugin(GinkgoTB()).Socket
}, NodeTimeout(5*time.Minute))

// world is a control plane with an operator, and a tenant.
type world struct{ *bed.Bed }

// start makes a control plane whose API server has an encryption configuration; none when the text is empty.
func start(ctx context.Context, configuration string) *world {
	GinkgoHelper()
	b := &world{bed.Start(ctx, cluster.Options{ControllerManager: true, EncryptionConfig: configuration})}
	Expect(b.Admin.Create(ctx, fixture.Profile(v1alpha1.DefaultProfile))).To(Succeed())
	return b
}

// wake is how soon a changed configuration is told: API servers take seconds to start, and a probe that failed is repeated.
const wake = 2 * time.Minute

// restart gives the API server another configuration, as an administrator does.
func (b *world) restart(ctx context.Context, configuration string) {
	GinkgoHelper()
	Expect(b.Cluster.StopComponent(cluster.APIServer)).To(Succeed())
	Expect(b.Cluster.SetEncryptionConfig(configuration)).To(Succeed())
	Expect(b.Cluster.StartComponent(ctx, cluster.APIServer)).To(Succeed())
}

// populate makes the tenant and a Secret in its namespace.
func (b *world) populate(ctx context.Context) {
	GinkgoHelper()
	Expect(b.Admin.Create(ctx, fixture.Tenant(tenant))).To(Succeed())
	Eventually(b.condition(ctx, v1alpha1.ConditionReady)).Should(HavePrefix("True/Ready"))
	Expect(b.Admin.Create(ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: tenant, Name: "database"}, StringData: map[string]string{"password": password},
	})).To(Succeed())
}

// condition is status, reason and message of a condition of the tenant.
func (b *world) condition(ctx context.Context, kind string) func() string {
	return func() string {
		c := meta.FindStatusCondition(b.Tenant(ctx, tenant).Status.Conditions, kind)
		if c == nil {
			return "none"
		}
		return fmt.Sprintf("%s/%s: %s", c.Status, c.Reason, c.Message)
	}
}

// canary is what the operator last wrote to see how it is stored.
func (b *world) canary(ctx context.Context) string {
	GinkgoHelper()
	s := &corev1.Secret{}
	Expect(b.Admin.Get(ctx, client.ObjectKey{Namespace: v1alpha1.OperatorNamespace, Name: v1alpha1.SecretCanary}, s)).To(Succeed())
	return string(s.Data["canary"])
}

// finding is severity and message of the tenant's finding of that code; empty when it has none.
func (b *world) finding(ctx context.Context, code string) string {
	GinkgoHelper()
	for _, f := range b.Tenant(ctx, tenant).Status.Findings {
		if f.Code == code {
			return string(f.Severity) + ": " + f.Message
		}
	}
	return ""
}

// states are the states the operator's metric is 1 for.
func (b *world) states(ctx context.Context) []string {
	GinkgoHelper()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+b.Running.Metrics+"/metrics", http.NoBody)
	Expect(err).NotTo(HaveOccurred())
	response, err := http.DefaultClient.Do(request)
	Expect(err).NotTo(HaveOccurred())
	defer response.Body.Close()
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(response.Body)
	Expect(err).NotTo(HaveOccurred())
	var states []string
	for _, m := range families["hipaatenant_encryption_at_rest"].GetMetric() {
		if m.GetGauge().GetValue() == 1 {
			states = append(states, labelOf(m))
		}
	}
	return states
}

func labelOf(m *dto.Metric) string { return m.GetLabel()[0].GetValue() }

// lies says how a Secret lies in etcd: its content in plaintext, or behind the prefix of a transformer.
func (b *world) lies(ctx context.Context, namespace, name string) string {
	GinkgoHelper()
	key := "/registry/secrets/" + namespace + "/" + name
	values, err := b.Cluster.Stored(ctx, key)
	Expect(err).NotTo(HaveOccurred())
	Expect(values).To(HaveKey(key))
	raw := string(values[key])
	content := &corev1.Secret{}
	Expect(b.Admin.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, content)).To(Succeed())
	Expect(content.Data).NotTo(BeEmpty())
	readable := false
	for _, value := range content.Data {
		readable = readable || strings.Contains(raw, string(value))
	}
	switch {
	case readable && strings.HasPrefix(raw, "k8s\x00"):
		return "plaintext"
	case !readable && strings.HasPrefix(raw, "k8s:enc:"):
		return "encrypted"
	}
	return fmt.Sprintf("%.40q", raw)
}
