// Package gitops runs Flux and Argo CD's engine against a real control plane with the operator at work: what is in Git becomes
// tenants, is judged healthy when it is, is put back when it drifts, and leaves without taking data with it.
package gitops

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hipaatenant/hipaa-tenant-operator/test/bed"
	"github.com/hipaatenant/hipaa-tenant-operator/test/cluster"
	"github.com/hipaatenant/hipaa-tenant-operator/test/failed"
)

var binary string

func TestGitOps(t *testing.T) {
	RegisterFailHandler(Fail)
	SetDefaultEventuallyTimeout(time.Minute)
	SetDefaultEventuallyPollingInterval(50 * time.Millisecond)
	RunSpecs(t, "gitops")
}

var _ = ReportAfterSuite("failures", failed.Report)

var _ = BeforeSuite(func(ctx SpecContext) { binary = bed.Build(ctx) }, NodeTimeout(5*time.Minute))

// repository returns a path in the checkout.
func repository(elem ...string) string {
	GinkgoHelper()
	// The nearest go.mod is that of this module; the operator's is above it.
	root, err := cluster.RepositoryRoot()
	Expect(err).NotTo(HaveOccurred())
	return filepath.Join(append([]string{root}, elem...)...)
}

// read returns the objects of a manifest.
func read(text []byte) []*unstructured.Unstructured {
	GinkgoHelper()
	var all []*unstructured.Unstructured
	decoder := utilyaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096)
	for {
		o := &unstructured.Unstructured{}
		err := decoder.Decode(o)
		if errors.Is(err, io.EOF) {
			return all
		}
		Expect(err).NotTo(HaveOccurred())
		if len(o.Object) > 0 {
			all = append(all, o)
		}
	}
}

func readFile(path string) []*unstructured.Unstructured {
	GinkgoHelper()
	text, err := os.ReadFile(path)
	Expect(err).NotTo(HaveOccurred())
	return read(text)
}

// put applies an object as an administrator would.
func put(ctx context.Context, c client.Client, o *unstructured.Unstructured) {
	GinkgoHelper()
	Expect(c.Apply(ctx, client.ApplyConfigurationFromUnstructured(o), client.FieldOwner("admin"), client.ForceOwnership)).To(Succeed())
}

// runs a program in the root of the repository and returns what it prints.
func runs(ctx context.Context, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	root, err := cluster.RepositoryRoot()
	if err != nil {
		return "", err
	}
	cmd.Dir = root
	var out, text strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &text
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s %v: %w: %s", name, args, err, text.String())
	}
	return out.String(), nil
}

// seconds since then, as the result lines have them.
func seconds(since time.Time) string { return fmt.Sprintf("%.1fs", time.Since(since).Seconds()) }
