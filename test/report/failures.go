package report

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/onsi/ginkgo/v2/types"
)

// longest is how many bytes of a failure's message are shown: its reason stands first, a dump of objects after it.
const longest = 600

// Failures reports each spec, and each part around the specs, that failed, with where and why. Suites hand it to
// ginkgo's ReportAfterSuite: of a long run the end is what people see, and what ginkgo says of a failure stands far above it.
func Failures(r types.Report) {
	for i := range r.SpecReports {
		s := &r.SpecReports[i]
		if s.State.Is(types.SpecStateFailureStates) {
			Line("%s", failure(r.SuiteDescription, s))
		}
	}
}

func failure(suite string, s *types.SpecReport) string {
	name := s.FullText()
	if name == "" {
		name = s.LeafNodeType.String()
	}
	message := []byte(strings.Join(strings.Fields(s.Failure.Message+" "+s.Failure.ForwardedPanic), " "))
	if len(message) > longest {
		message = append(message[:longest:longest], "..."...)
	}
	at := s.Failure.Location
	return fmt.Sprintf("failed: %s %q %s:%d %s: %s", suite, name, filepath.Base(at.FileName), at.LineNumber, s.State, strings.ToValidUTF8(string(message), ""))
}
