package tenant

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/hipaatenant/hipaa-tenant-operator/api/v1alpha1"
	"github.com/hipaatenant/hipaa-tenant-operator/test/cluster"
	"github.com/hipaatenant/hipaa-tenant-operator/test/fixture"
)

var _ = Describe("what people see who operate it", func() {
	It("serves the metrics that are documented, named by convention, and no others of its own", func(ctx SpecContext) {
		create(ctx, fixture.Tenant("metered"))
		awaitReady(ctx, "metered")
		text, err := world.Metrics(ctx)
		Expect(err).NotTo(HaveOccurred())
		parser := expfmt.NewTextParser(model.UTF8Validation)
		families, err := parser.TextToMetricFamilies(strings.NewReader(text))
		Expect(err).NotTo(HaveOccurred())

		page, err := os.ReadFile(repositoryFile("docs/metrics.md"))
		Expect(err).NotTo(HaveOccurred())
		documented := map[string]string{}
		for _, row := range regexp.MustCompile("(?m)^\\| `(\\w+)` \\| (\\w+) \\|").FindAllStringSubmatch(string(page), -1) {
			documented[row[1]] = row[2]
		}
		own := 0
		for name, family := range families {
			kind := strings.ToLower(family.GetType().String())
			if strings.HasPrefix(name, "hipaatenant_") {
				Expect(documented).To(HaveKeyWithValue(name, kind))
				Expect(family.GetHelp()).NotTo(BeEmpty(), name)
				own++
			} else if documented[name] != "" {
				Expect(documented[name]).To(Equal(kind), name)
			}
		}
		Expect(own).To(BeNumerically(">", 10))
		for name := range documented {
			if name == "leader_election_master_status" {
				continue // this operator runs with --leader-elect=false
			}
			if !strings.HasPrefix(name, "hipaatenant_") {
				Expect(families).To(HaveKey(name), "docs/metrics.md lists it, and nobody serves it")
			}
		}
		for _, name := range []string{
			`hipaatenant_tenants{reason="Ready"}`, `hipaatenant_baa_expiry_timestamp_seconds{tenant="metered"}`,
			`hipaatenant_data_key_next_rotation_timestamp_seconds{key="default",tenant="metered"}`, `hipaatenant_apply_duration_seconds_count{result="written"}`,
			`hipaatenant_build_info{`, `hipaatenant_admission_policies_altered 0`,
		} {
			Expect(text).To(ContainSubstring("\n" + name))
		}
		Expect(text).NotTo(ContainSubstring(`hipaatenant_tenant_unready{reason="Ready"`))
		Expect(ownProblems(text)).To(BeEmpty())
	})

	It("says that a tenant is stalled until it is not", func(ctx SpecContext) {
		series := func(want string) func() (string, error) {
			return func() (string, error) {
				text, err := world.Metrics(ctx)
				if !strings.Contains(text, "\n"+want) {
					return text, err
				}
				return "found", err
			}
		}
		t := fixture.Tenant("metered-bad")
		t.Spec.Region = "eu-nowhere-1"
		create(ctx, t)
		Eventually(series(`hipaatenant_tenant_stalled{tenant="metered-bad"} 1`)).Should(Equal("found"))
		Expect(series(`hipaatenant_tenant_unready{reason="Invalid",tenant="metered-bad"} 1`)()).To(Equal("found"))
		change(ctx, "metered-bad", func(t *v1alpha1.HIPAATenant) { t.Spec.Region = fixture.Tenant("x").Spec.Region })
		awaitReady(ctx, "metered-bad")
		Eventually(func() (string, error) { return world.Metrics(ctx) }).ShouldNot(ContainSubstring(`tenant="metered-bad"} 1` + "\n"))
	})

	It("logs objects with a level, a time and a message, and a tenant and a reconcile in each line of the tenants' controller", func(ctx SpecContext) {
		Expect(world.Running.Kill()).To(Succeed())
		startOperator(ctx, "--zap-log-level=5") // tells the end of every reconcile
		DeferCleanup(func(ctx SpecContext) {
			Expect(world.Running.Kill()).To(Succeed())
			startOperator(ctx)
		})
		create(ctx, fixture.Tenant("logged"))
		awaitReady(ctx, "logged")
		of := map[any]bool{}
		lines := strings.Split(strings.TrimSpace(world.Running.LogTail(4<<20)), "\n")
		Expect(len(lines)).To(BeNumerically(">", 5))
		for _, line := range lines {
			var fields map[string]any
			Expect(json.Unmarshal([]byte(line), &fields)).To(Succeed(), line)
			Expect(fields).To(And(HaveKey("level"), HaveKey("msg")), line)
			_, err := time.Parse(time.RFC3339, fmt.Sprint(fields["ts"]))
			Expect(err).NotTo(HaveOccurred(), line)
			if fields["controller"] == "tenants" && fields["reconcileID"] != nil {
				Expect(fields).To(HaveKey("tenant"), line)
				of[fields["tenant"]] = true
			}
		}
		Expect(of).To(HaveKey("logged"))
	})
})

// ownProblems are what promlint finds of the operator's own metrics.
func ownProblems(text string) []promlint.Problem {
	GinkgoHelper()
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	Expect(err).NotTo(HaveOccurred())
	var own []promlint.Problem
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, "hipaatenant_") {
			own = append(own, p)
		}
	}
	return own
}

func repositoryFile(path string) string {
	GinkgoHelper()
	root, err := cluster.RepositoryRoot()
	Expect(err).NotTo(HaveOccurred())
	return filepath.Join(root, path)
}
