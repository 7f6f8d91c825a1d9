// Package failed says at the end of a run which specs failed: what ginkgo says of them stands hundreds of lines above it.
package failed

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/onsi/ginkgo/v2/types"

	"github.com/hipaatenant/hipaa-tenant-operator/test/report"
)

// longest is how many bytes of a failure's message are shown: its reason stands first, a dump of objects after it.
const longest = 600

// Report writes a result line for each spec, and each part around the specs, that failed, with where and why. Suites hand it to
// ginkgo's ReportAfterSuite.
func Report(r types.Report) {
	for i := range r.SpecReports {
		s := &r.SpecReports[i]
		if s.State.Is(types.SpecStateFailureStates) {
			report.Line("%s", failure(r.SuiteDescription, s))
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
