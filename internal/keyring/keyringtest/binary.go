package keyringtest

import (
	"testing"

	"github.com/hipaatenant/hipaa-tenant-operator/test/aside" //nolint:depguard // nothing that ships imports keyringtest
)

// path returns a program of the tests, built if need be.
func path(t testing.TB, p aside.Program) string {
	t.Helper()
	file, err := p.Path()
	must(t, err)
	return file
}

// moduleRoot is the nearest directory above the test that holds go.mod.
func moduleRoot(t testing.TB) string {
	t.Helper()
	dir, err := aside.Root()
	must(t, err)
	return dir
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
