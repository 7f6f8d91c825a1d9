// Package admission_test puts lawful and unlawful requests in front of the admission policies on a real control plane,
// with controllers, a scheduler and simulated nodes. A policy is one YAML file in config/admission and one table here.
package admission_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/hipaatenant/hipaa-tenant-operator/test/cluster"
	"github.com/hipaatenant/hipaa-tenant-operator/test/failed"
	pt "github.com/hipaatenant/hipaa-tenant-operator/test/policytest"
)

const startTimeout = 4 * time.Minute

// env is the control plane all rows share; each row has a namespace of its own.
var env *pt.Env

func environment() *pt.Env { return env }

// tables are the policies', in the order of their files.
var tables = []pt.Table{configTable, emergencyTable, exposureTable, networkTable, placementTable, placementBindTable, storageTable, tenancyTable, workloadTable}

func TestAdmission(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "admission")
}

var _ = ReportAfterSuite("failures", failed.Report)

var _ = BeforeSuite(func(ctx context.Context) {
	log.SetLogger(GinkgoLogr) // warnings of the API server
	c, err := cluster.Start(ctx, cluster.Options{ControllerManager: true, Scheduler: true, Kwok: true, Log: GinkgoWriter})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() { Expect(c.Stop()).To(Succeed()) })
	for _, node := range []cluster.Node{
		{Name: "us-1", Region: "us-east-1"}, {Name: "west-1", Region: "us-west-2"}, {Name: "eu-1", Region: "eu-west-1"}, {Name: "bare-1"},
	} {
		Expect(c.AddNode(ctx, node)).To(Succeed())
	}
	env, err = pt.New(ctx, c)
	Expect(err).NotTo(HaveOccurred())
	Expect(env.InstallForeignTypes(ctx)).To(Succeed())
	for _, object := range emergencyWriters {
		Expect(env.Admin.Create(ctx, object)).To(Succeed())
	}
	var canaries []pt.Row
	for _, table := range tables {
		canaries = append(canaries, table.Canary())
	}
	Expect(env.Install(ctx, canaries...)).To(Succeed())
}, NodeTimeout(startTimeout))

var _ = AfterSuite(func() {
	allowed, refused := pt.Count(append(tables, lawfulTable)...)
	fmt.Printf("\nadmission rows: allow=%d refuse=%d\n", allowed, refused)
	if *mutate {
		fmt.Printf("mutants: made=%d noticed=%d\n", mutants.made, mutants.noticed)
	}
})

// pod is a pod nobody schedules, so that it stays as the row left it. Both arguments are YAML in flow style, appended to
// spec and metadata.
func pod(spec string, metadata ...string) string {
	return fmt.Sprintf("{apiVersion: v1, kind: Pod, metadata: {name: web%s}, spec: {schedulerName: nobody, containers: [{name: web, image: example/web}]%s}}",
		more(metadata...), more(spec))
}

func more(parts ...string) string {
	if text := strings.Join(parts, ", "); text != "" {
		return ", " + text
	}
	return ""
}
