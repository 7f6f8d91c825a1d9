package report

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

func TestLinesOfManyWritersAreWhole(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lines")
	t.Setenv(File, path)
	var wait sync.WaitGroup
	for range 100 {
		wait.Go(func() { Line("attack: %s leaked=%d", strings.Repeat("x", 500), 0) })
	}
	wait.Wait()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := slices.Repeat([]string{"attack: " + strings.Repeat("x", 500) + " leaked=0"}, 100)
	if got := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n"); !slices.Equal(want, got) {
		t.Errorf("want 100 whole lines, got %d: %q", len(got), got)
	}
}

func TestLinesThatCannotBeWrittenAreNotLost(t *testing.T) {
	t.Setenv(File, filepath.Join(t.TempDir(), "missing", "lines"))
	defer func() {
		if recover() == nil {
			t.Error("want a panic, the line went nowhere")
		}
	}()
	Line("oracle: packets=1 differences=0")
}
