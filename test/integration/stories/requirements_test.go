package stories

import (
	"fmt"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	"github.com/onsi/ginkgo/v2/types"
	. "github.com/onsi/gomega"

	"github.com/hipaatenant/hipaa-tenant-operator/test/report"
)

// source is a vendor's page.
type source struct {
	file, vendor string
	// rows is how many rows the page has.
	count int
	rows  []requirement
}

// requirement is one row of a page: what it asks for, how it is met here, and what shows it.
type requirement struct {
	row, here string
	shown     []evidence
}

// evidence is a test that shows one side of a row: that the cluster enforces it (E), that it is verified at run time (V),
// or that a named person attests it with a date and an expiry, whose presence and expiry are enforced (T).
type evidence struct {
	class string
	// in is the package of the test; this one unless it is said.
	in string
	// test is the name of a Go test, or the full text of a spec.
	test string
	// missing says what has to be built first; then there is no test.
	missing string
}

const here = "test/integration/stories"

func enforced(spec string) evidence { return evidence{class: "E", in: here, test: spec} }
func verified(spec string) evidence { return evidence{class: "V", in: here, test: spec} }
func attested(spec string) evidence { return evidence{class: "T", in: here, test: spec} }

// elsewhere is a test of another package.
func (e evidence) elsewhere(pkg string) evidence {
	e.in = pkg
	return e
}

// notYet is evidence nobody can give.
func notYet(class, missing string) evidence { return evidence{class: class, missing: missing} }

// name of the test as `go test` would spell it, in one word.
func (e evidence) name() string {
	if e.test == "" {
		return "-"
	}
	return e.in + ":" + strings.ReplaceAll(e.test, " ", "_")
}

// classes of a requirement, as in "E+V".
func (r requirement) classes() string {
	var out []string
	for _, e := range r.shown {
		if !slices.Contains(out, e.class) {
			out = append(out, e.class)
		}
	}
	return strings.Join(out, "+")
}

// met says whether the test it names has passed: in this run, for a test of this suite; a test of another package fails
// the run by itself, so it has to exist.
func (e evidence) met(all types.SpecReports) bool {
	switch e.in {
	case "":
		return false
	case here:
		return slices.ContainsFunc(all, func(s types.SpecReport) bool {
			return s.FullText() == e.test && s.State == types.SpecStatePassed
		})
	}
	return slices.Contains(testsOf(e.in), e.test)
}

// Every row of every page, once for each class it has.
var _ = ReportAfterSuite("requirements", func(r Report) {
	for _, s := range pages {
		for _, row := range s.rows {
			for _, e := range row.shown {
				word := "miss"
				if e.met(r.SpecReports) {
					word = "ok"
				}
				report.Line("requirement: %s %q %s %s %s", s.file, row.row, e.class, e.name(), word)
			}
		}
	}
})

var _ = Describe("the table of requirements", func() {
	It("has every row of every page, each with its evidence", func() {
		for _, s := range pages {
			Expect(s.rows).To(HaveLen(s.count), s.file)
			for _, row := range s.rows {
				Expect(row.shown).NotTo(BeEmpty(), row.row)
				Expect(row.here).NotTo(BeEmpty(), row.row)
			}
		}
	})

	It("names tests that exist", func() {
		var astray []string
		for _, s := range pages {
			for _, row := range s.rows {
				for _, e := range row.shown {
					Expect([]string{e.test, e.missing}).To(ConsistOf("", Not(BeEmpty())), "%s: either a test, or what is missing", row.row)
					if e.test != "" && !slices.Contains(testsOf(e.in), e.test) {
						astray = append(astray, fmt.Sprintf("%s: %s has no test %q", row.row, e.in, e.test))
					}
				}
			}
		}
		Expect(astray).To(BeEmpty())
	})
})
