package process_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hipaatenant/hipaa-tenant-operator/test/cluster/process"
)

func TestTail(t *testing.T) {
	file := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(file, []byte("first\nsecond\nthird\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for n, want := range map[int64]string{
		100: "first\nsecond\nthird\n",
		19:  "first\nsecond\nthird\n",
		15:  "second\nthird\n",
		8:   "third\n",
		3:   "",
		0:   "",
	} {
		if got := process.Tail(file, n); got != want {
			t.Errorf("the last %d bytes: expected %q, found %q", n, want, got)
		}
	}
	if got := process.Tail(file+".missing", 10); !strings.Contains(got, "no such file") {
		t.Errorf("expected the reason, found %q", got)
	}
}
