package failed

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/onsi/ginkgo/v2/types"

	"github.com/hipaatenant/hipaa-tenant-operator/test/report"
)

func TestFailuresAreALineEach(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lines")
	t.Setenv(report.File, path)
	at := func(message string) types.Failure {
		return types.Failure{Message: message, Location: types.CodeLocation{FileName: "x/some_test.go", LineNumber: 7}}
	}
	Report(types.Report{SuiteDescription: "tenant", SpecReports: types.SpecReports{
		{LeafNodeText: "passes", State: types.SpecStatePassed},
		{LeafNodeText: "is skipped", State: types.SpecStateSkipped},
		{ContainerHierarchyTexts: []string{"drift"}, LeafNodeText: "is repaired", State: types.SpecStateFailed, Failure: at("Expected\n    <int>: 1\nto equal\n    <int>: 2")},
		{LeafNodeText: "ends", State: types.SpecStateTimedout, Failure: at(strings.Repeat("é", longest))},
		{LeafNodeType: types.NodeTypeBeforeSuite, State: types.SpecStatePanicked, Failure: types.Failure{Message: "Test Panicked", ForwardedPanic: "nil map"}},
	}})
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := `failed: tenant "drift is repaired" some_test.go:7 failed: Expected <int>: 1 to equal <int>: 2
failed: tenant "ends" some_test.go:7 timedout: ` + strings.Repeat("é", longest/2) + `...
failed: tenant "BeforeSuite" .:0 panicked: Test Panicked nil map
`
	if got := string(text); got != want {
		t.Errorf("want\n%sgot\n%s", want, got)
	}
}
