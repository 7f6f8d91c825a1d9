// Package atrest runs the operator on API servers that store Secrets in different ways, and compares what it says with the
// bytes in etcd.
package atrest

import (
	"context"
	"fmt"
	"net/http"
	"os"
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
	"github.com/hipaatenant/hipaa-tenant-operator/test/cluster"
	"github.com/hipaatenant/hipaa-tenant-operator/test/fixture"
	"github.com/hipaatenant/hipaa-tenant-operator/test/operator"
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

var _ = BeforeSuite(func(ctx SpecContext) {
	dir, err := os.MkdirTemp("", "atrest-suite-")
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(os.RemoveAll, dir)
	binary, err = operator.Build(ctx, dir, "-race")
	Expect(err).NotTo(HaveOccurred())
	socket = keyringtest.StartKMSPlugin(GinkgoTB()).Socket
}, NodeTimeout(5*time.Minute))

// bed is a control plane with an operator on it.
type bed struct {
	cluster *cluster.Cluster
	admin   client.Client
	dir     string
	running *operator.Operator
}

// start makes a control plane whose API server has an encryption configuration; none when the text is empty.
func start(ctx context.Context, configuration string) *bed {
	GinkgoHelper()
	b := &bed{dir: GinkgoT().TempDir()}
	var err error
	b.cluster, err = cluster.Start(ctx, cluster.Options{ControllerManager: true, EncryptionConfig: configuration})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() {
		if CurrentSpecReport().Failed() {
			b.cluster.KeepLogs()
		}
		Expect(b.cluster.Stop()).To(Succeed())
	})
	b.admin, err = operator.NewClient(b.cluster.Config())
	Expect(err).NotTo(HaveOccurred())
	Expect(operator.Install(ctx, b.cluster)).To(Succeed())
	Expect(b.admin.Create(ctx, fixture.Profile(v1alpha1.DefaultProfile))).To(Succeed())
	return b
}

// wake is how soon a changed configuration is told: API servers take seconds to start, and a probe that failed is repeated.
const wake = 2 * time.Minute

// restart gives the API server another configuration, as an administrator does.
func (b *bed) restart(ctx context.Context, configuration string) {
	GinkgoHelper()
	Expect(b.cluster.StopComponent(cluster.APIServer)).To(Succeed())
	Expect(b.cluster.SetEncryptionConfig(configuration)).To(Succeed())
	Expect(b.cluster.StartComponent(ctx, cluster.APIServer)).To(Succeed())
}

// operate runs the operator until the spec ends.
func (b *bed) operate(ctx context.Context, o operator.Options) {
	GinkgoHelper()
	var err error
	o.Binary, o.Dir, o.Args = binary, b.dir, append(o.Args, "--leader-elect=false")
	b.running, err = operator.Start(ctx, b.cluster, o)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() {
		if CurrentSpecReport().Failed() {
			GinkgoWriter.Println(b.running.LogTail(8192))
		}
		if b.running.Running() {
			Expect(b.running.Stop(5 * time.Second)).To(Succeed())
		}
	})
}

// populate makes the tenant and a Secret in its namespace.
func (b *bed) populate(ctx context.Context) {
	GinkgoHelper()
	Expect(b.admin.Create(ctx, fixture.Tenant(tenant))).To(Succeed())
	Eventually(b.condition(ctx, v1alpha1.ConditionReady)).Should(HavePrefix("True/Ready"))
	Expect(b.admin.Create(ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: tenant, Name: "database"}, StringData: map[string]string{"password": password},
	})).To(Succeed())
}

// condition is status, reason and message of a condition of the tenant.
func (b *bed) condition(ctx context.Context, kind string) func() string {
	return func() string {
		c := meta.FindStatusCondition(b.tenant(ctx).Status.Conditions, kind)
		if c == nil {
			return "none"
		}
		return fmt.Sprintf("%s/%s: %s", c.Status, c.Reason, c.Message)
	}
}

func (b *bed) tenant(ctx context.Context) *v1alpha1.HIPAATenant {
	GinkgoHelper()
	t := &v1alpha1.HIPAATenant{}
	Expect(b.admin.Get(ctx, client.ObjectKey{Name: tenant}, t)).To(Succeed())
	return t
}

// canary is what the operator last wrote to see how it is stored.
func (b *bed) canary(ctx context.Context) string {
	GinkgoHelper()
	s := &corev1.Secret{}
	Expect(b.admin.Get(ctx, client.ObjectKey{Namespace: v1alpha1.OperatorNamespace, Name: v1alpha1.SecretCanary}, s)).To(Succeed())
	return string(s.Data["canary"])
}

// finding is severity and message of the tenant's finding of that code; empty when it has none.
func (b *bed) finding(ctx context.Context, code string) string {
	GinkgoHelper()
	for _, f := range b.tenant(ctx).Status.Findings {
		if f.Code == code {
			return string(f.Severity) + ": " + f.Message
		}
	}
	return ""
}

// states are the states the operator's metric is 1 for.
func (b *bed) states(ctx context.Context) []string {
	GinkgoHelper()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+b.running.Metrics+"/metrics", http.NoBody)
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
func (b *bed) lies(ctx context.Context, namespace, name string) string {
	GinkgoHelper()
	key := "/registry/secrets/" + namespace + "/" + name
	values, err := b.cluster.Stored(ctx, key)
	Expect(err).NotTo(HaveOccurred())
	Expect(values).To(HaveKey(key))
	raw := string(values[key])
	content := &corev1.Secret{}
	Expect(b.admin.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, content)).To(Succeed())
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
