// Package page holds parts of documentation equal to what the code says. A part stands between two lines,
//
//	<!-- begin NAME -->
//	<!-- end NAME -->
//
// and is written anew by the test that holds it, run with -update.
package page

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hipaatenant/hipaa-tenant-operator/test/cluster"
)

var update = flag.Bool("update", false, "write into the documentation what the code says")

// Hold fails the test when the part of a file of the repository is not the text.
func Hold(t testing.TB, file, name, want string) {
	t.Helper()
	text := Read(t, file)
	begin, end := "<!-- begin "+name+" -->\n", "<!-- end "+name+" -->\n"
	before, rest, found := strings.Cut(text, begin)
	got, after, ended := strings.Cut(rest, end)
	if !found || !ended {
		t.Fatalf("expected the lines %q and %q in %s", strings.TrimSpace(begin), strings.TrimSpace(end), file)
	}
	if got == want {
		return
	}
	if *update {
		if err := os.WriteFile(path(t, file), []byte(before+begin+want+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Errorf("%s is not what the code says; write it with -update (-want +got):\n%s", file, cmp.Diff(want, got))
}

// Read returns the text of a file of the repository.
func Read(t testing.TB, file string) string {
	t.Helper()
	text, err := os.ReadFile(path(t, file))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func path(t testing.TB, file string) string {
	t.Helper()
	root, err := cluster.RepositoryRoot()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(root, file)
}
