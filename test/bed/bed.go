// Package bed is what suites share that run the operator on a control plane of their own: the start of both, their end with
// the spec or container that began them, and what is asked of tenants most.
package bed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/gomega"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/test/cluster"
	"github.com/hipaatenant/hipaa-tenant-operator/test/operator"
)

// goodbye is how long a running operator may take to end when it is told to.
const goodbye = 15 * time.Second

// Bed is a control plane with the operator's types and rights, and the operator while it runs.
type Bed struct {
	// Cluster is the control plane.
	Cluster *cluster.Cluster
	// Admin may do everything.
	Admin client.Client
	// Dir is for the files of whoever began.
	Dir string
	// Running is the operator that was started last; nil before Operate.
	Running *operator.Operator
}

// Build compiles the operator for a suite, with the race detector as the suites themselves are, and returns the path.
func Build(ctx context.Context) string {
	ginkgo.GinkgoHelper()
	dir, err := os.MkdirTemp("", "suite-")
	gomega.Expect(err).NotTo(gomega.HaveOccurred())
	ginkgo.DeferCleanup(os.RemoveAll, dir)
	binary, err := operator.Build(ctx, dir, "-race")
	gomega.Expect(err).NotTo(gomega.HaveOccurred())
	return binary
}

// Start makes a control plane and installs the operator's types and rights on it. All of it, an operator that runs by then
// included, ends with the spec, container or suite that called.
func Start(ctx context.Context, o cluster.Options) *Bed {
	ginkgo.GinkgoHelper()
	b := &Bed{Dir: ginkgo.GinkgoT().TempDir()}
	var err error
	b.Cluster, err = cluster.Start(ctx, o)
	gomega.Expect(err).NotTo(gomega.HaveOccurred())
	ginkgo.DeferCleanup(func() {
		b.KeepOnFailure()
		if b.Running != nil && b.Running.Running() {
			gomega.Expect(b.Running.Stop(goodbye)).To(gomega.Succeed())
		}
		gomega.Expect(b.Cluster.Stop()).To(gomega.Succeed())
	})
	b.Admin, err = operator.NewClient(b.Cluster.Config())
	gomega.Expect(err).NotTo(gomega.HaveOccurred())
	gomega.Expect(operator.Install(ctx, b.Cluster)).To(gomega.Succeed())
	return b
}

// KeepOnFailure keeps and shows what tells why a spec failed. Suites whose control plane outlives a spec call it after each.
func (b *Bed) KeepOnFailure() {
	if !ginkgo.CurrentSpecReport().Failed() {
		return
	}
	b.Cluster.KeepLogs()
	if b.Running != nil {
		ginkgo.GinkgoWriter.Println(b.Running.LogTail(8192))
	}
}

// Operate starts the operator, as the only replica. One that ran before must have ended.
func (b *Bed) Operate(ctx context.Context, o operator.Options) {
	ginkgo.GinkgoHelper()
	if o.Dir == "" {
		o.Dir = filepath.Join(b.Dir, "operator")
		gomega.Expect(os.MkdirAll(o.Dir, 0o700)).To(gomega.Succeed())
	}
	o.Args = append(o.Args, "--leader-elect=false")
	var err error
	b.Running, err = operator.Start(ctx, b.Cluster, o)
	gomega.Expect(err).NotTo(gomega.HaveOccurred())
}

// AwaitTypeChecks waits until the admission policies stand and the controller manager has type-checked them all, for which it may
// take its time.
func (b *Bed) AwaitTypeChecks(ctx context.Context) {
	ginkgo.GinkgoHelper()
	gomega.Eventually(func() ([]string, error) {
		var list admissionv1.ValidatingAdmissionPolicyList
		err := b.Admin.List(ctx, &list)
		if err == nil && len(list.Items) == 0 {
			err = errors.New("there are no policies")
		}
		var unchecked []string
		for i := range list.Items {
			if list.Items[i].Status.ObservedGeneration < list.Items[i].Generation {
				unchecked = append(unchecked, list.Items[i].Name)
			}
		}
		return unchecked, err
	}).WithTimeout(2 * time.Minute).WithPolling(250 * time.Millisecond).Should(gomega.BeEmpty())
}

// Metrics are what the operator's metrics say.
func (b *Bed) Metrics(ctx context.Context) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+b.Running.Metrics+"/metrics", http.NoBody)
	if err != nil {
		return "", err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return string(text), err
}

// Tenant as it is now.
func (b *Bed) Tenant(ctx context.Context, name string) *v1alpha1.HIPAATenant {
	ginkgo.GinkgoHelper()
	t := &v1alpha1.HIPAATenant{}
	gomega.Expect(b.Admin.Get(ctx, client.ObjectKey{Name: name}, t)).To(gomega.Succeed())
	return t
}

// Change edits a tenant's spec, however often the operator writes its status in between.
func (b *Bed) Change(ctx context.Context, name string, edit func(*v1alpha1.HIPAATenant)) {
	ginkgo.GinkgoHelper()
	gomega.Eventually(func() error {
		t := b.Tenant(ctx, name)
		edit(t)
		return b.Admin.Update(ctx, t)
	}).Should(gomega.Succeed())
}

// State is status and reason of a condition at the tenant's present generation, as in "True/Ready"; "/" before there is one.
func (b *Bed) State(ctx context.Context, name, kind string) func() string {
	return func() string {
		c := Condition(b.Tenant(ctx, name), kind)
		return string(c.Status) + "/" + c.Reason
	}
}

// AwaitReady waits until a tenant is Ready, and returns it.
func (b *Bed) AwaitReady(ctx context.Context, name string) *v1alpha1.HIPAATenant {
	ginkgo.GinkgoHelper()
	gomega.Eventually(b.State(ctx, name, v1alpha1.ConditionReady)).Should(gomega.Equal("True/"+v1alpha1.ReasonReady), func() string {
		return name + " says:" + Describe(b.Tenant(ctx, name))
	})
	return b.Tenant(ctx, name)
}

// Condition of a tenant's present generation; empty when there is none.
func Condition(t *v1alpha1.HIPAATenant, kind string) metav1.Condition {
	c := meta.FindStatusCondition(t.Status.Conditions, kind)
	if c == nil || t.Status.ObservedGeneration != t.Generation {
		return metav1.Condition{}
	}
	return *c
}

// Describe lists a tenant's conditions, a line each.
func Describe(t *v1alpha1.HIPAATenant) string {
	var text strings.Builder
	for _, c := range t.Status.Conditions {
		fmt.Fprintf(&text, "\n%s=%s %s: %s", c.Type, c.Status, c.Reason, c.Message)
	}
	return text.String()
}
