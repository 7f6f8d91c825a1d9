// Package api_test puts accepted and refused objects of every kind in front of a real API server.
//
// A row changes one field of an object that has every field set, and says what the server must answer. The rows are
// data; coverage_test.go walks the schemas and fails while any constraint in them has never refused anything.
package api_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/test/cluster"
	"github.com/hipaatenant/hipaa-tenant-operator/test/failed"
)

const (
	startTimeout     = 2 * time.Minute
	establishTimeout = 30 * time.Second
	pollInterval     = 100 * time.Millisecond
)

var (
	plane *cluster.Cluster
	// kube refuses unknown fields instead of dropping them, so a misspelt field in a row cannot pass as accepted.
	kube client.Client
	// crds are the definitions as shipped in config/crd, by kind.
	crds map[string]*apiextensionsv1.CustomResourceDefinition
	root string
)

func TestAPI(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "api")
}

var _ = ReportAfterSuite("failures", failed.Report)

var _ = BeforeSuite(func(ctx context.Context) {
	var err error
	root, err = cluster.RepositoryRoot()
	Expect(err).NotTo(HaveOccurred())
	plane, err = cluster.Start(ctx, cluster.Options{Log: GinkgoWriter})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() { Expect(plane.Stop()).To(Succeed()) })

	scheme := runtime.NewScheme()
	Expect(v1alpha1.AddToScheme(scheme)).To(Succeed())
	Expect(apiextensionsv1.AddToScheme(scheme)).To(Succeed())
	config := plane.Config()
	config.QPS = -1 // hundreds of rows follow one another; nobody else uses this server
	plain, err := client.New(config, client.Options{Scheme: scheme})
	Expect(err).NotTo(HaveOccurred())
	kube = client.WithFieldValidation(plain, metav1.FieldValidationStrict)

	crds, err = readCRDs(filepath.Join(root, "config", "crd"))
	Expect(err).NotTo(HaveOccurred())
	for _, crd := range crds {
		Expect(kube.Create(ctx, crd.DeepCopy())).To(Succeed(), crd.Name)
	}
	for _, crd := range crds {
		Eventually(established).WithContext(ctx).WithArguments(crd.Name).
			WithTimeout(establishTimeout).WithPolling(pollInterval).Should(BeTrue(), crd.Name)
	}
}, NodeTimeout(startTimeout))

var _ = AfterSuite(func() {
	fmt.Printf("api rows: accept=%d reject=%d\n", accepted, refused)
})

// readCRDs reads the definitions in dir, by kind.
func readCRDs(dir string) (map[string]*apiextensionsv1.CustomResourceDefinition, error) {
	files, err := filepath.Glob(filepath.Join(dir, v1alpha1.Group+"_*.yaml"))
	if err != nil {
		return nil, err
	}
	found := map[string]*apiextensionsv1.CustomResourceDefinition{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		crd := &apiextensionsv1.CustomResourceDefinition{}
		if err := yaml.UnmarshalStrict(text, crd); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		found[crd.Spec.Names.Kind] = crd
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("expected custom resource definitions in %s, found none", dir)
	}
	return found, nil
}

// established says whether the server serves the definition and has no complaint about its schema.
func established(ctx context.Context, name string) (bool, error) {
	crd := &apiextensionsv1.CustomResourceDefinition{}
	if err := kube.Get(ctx, client.ObjectKey{Name: name}, crd); err != nil {
		return false, err
	}
	served := false
	for _, condition := range crd.Status.Conditions {
		switch condition.Type {
		case apiextensionsv1.Established:
			served = condition.Status == apiextensionsv1.ConditionTrue
		case apiextensionsv1.NonStructuralSchema:
			return false, fmt.Errorf("%s: %s", name, condition.Message)
		}
	}
	return served, nil
}
