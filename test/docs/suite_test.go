// Package docs reads the documentation as its readers do: every command of every page is run, in order, by the real kubectl
// and helm against a real control plane with the real operator; every YAML is judged by the API server or the chart's schema;
// every link is followed. What cannot be run here says why on its page.
package docs

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/hipaatenant/hipaa-tenant-operator/test/failed"
	"github.com/hipaatenant/hipaa-tenant-operator/test/report"
)

func TestDocs(t *testing.T) {
	RegisterFailHandler(Fail)
	SetDefaultEventuallyTimeout(30 * time.Second)
	SetDefaultEventuallyPollingInterval(50 * time.Millisecond)
	RunSpecs(t, "docs")
}

var _ = ReportAfterSuite("failures", failed.Report)

// One container, because all pages share a cluster.
var _ = Describe("the documentation", Ordered, ContinueOnFailure, func() {
	all := pages()
	var (
		reader *world
		count  struct{ commands, run, skipped, yaml, valid int }
	)
	BeforeAll(func(ctx SpecContext) { reader = newWorld(ctx) }, NodeTimeout(5*time.Minute))
	AfterEach(func() {
		if CurrentSpecReport().Failed() {
			reader.keepOnFailure()
		}
	})
	AfterAll(func() {
		report.Line("docs: pages=%d commands=%d run=%d skipped=%d yaml=%d valid=%d",
			len(all), count.commands, count.run, count.skipped, count.yaml, count.valid)
		Expect(count.run).To(BeNumerically(">", count.skipped), "what is not run has to be the exception")
	})

	for _, p := range inOrder(all) {
		It("runs the commands of "+p.path, func(ctx SpecContext) {
			shell := reader.begin(ctx, p)
			for _, b := range p.blocks {
				Expect(save(shell, b)).To(Succeed())
				if !b.shell() {
					continue
				}
				commands := len(b.commands())
				count.commands += commands
				if b.directives[notRun] != "" {
					count.skipped += commands
					continue
				}
				Expect(shell.block(ctx, b, reader.identity(b)...)).To(Succeed(), b.at)
				count.run += commands
			}
		}, NodeTimeout(5*time.Minute))
	}

	It("takes every YAML", func(ctx SpecContext) {
		j := judge{shell: reader.begin(ctx, &page{path: "all"})}
		var problems []string
		for _, p := range all {
			for _, b := range p.blocks {
				if b.language != "yaml" {
					continue
				}
				if count.yaml++; b.directives[notRun] != "" {
					continue
				}
				if err := j.validate(ctx, b); err != nil {
					problems = append(problems, fmt.Sprintf("%s: %v", b.at, err))
					continue
				}
				count.valid++
			}
		}
		Expect(problems).To(BeEmpty(), strings.Join(problems, "\n"))
	}, NodeTimeout(2*time.Minute))
})

// Pages that show JSON show JSON.
func TestJSON(t *testing.T) {
	for _, p := range pages() {
		for _, b := range p.blocks {
			if b.language != "json" {
				continue
			}
			if err := validJSON(b.code); err != nil {
				t.Errorf("%s: %v", b.at, err)
			}
		}
	}
}

// inOrder puts pages that begin with an empty cluster first, so that the cluster is emptied as seldom as can be, and leaves
// out those with nothing to run.
func inOrder(all []*page) []*page {
	var empty, others []*page
	for _, p := range all {
		commands := 0
		for _, b := range p.blocks {
			if b.shell() {
				commands++
			}
		}
		switch {
		case commands == 0:
		case p.begins == emptyCluster:
			empty = append(empty, p)
		default:
			others = append(others, p)
		}
	}
	return append(empty, others...)
}

// save writes a block that is a file.
func save(s *shell, b *block) error {
	if b.directives[file] == "" {
		return nil
	}
	return os.WriteFile(filepath.Join(s.dir, b.directives[file]), []byte(b.code), 0o600)
}

// compile runs what makes a program, in the repository.
func compile(ctx context.Context, name string, args ...string) {
	GinkgoHelper()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = root()
	text, err := cmd.CombinedOutput()
	Expect(err).NotTo(HaveOccurred(), string(text))
}
