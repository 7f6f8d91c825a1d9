package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestWhatIsAsked: nothing is built for a line that cannot be meant.
func TestWhatIsAsked(t *testing.T) {
	for _, args := range [][]string{{}, {"-version="}, {"-version=0.2.0", "more"}, {"-speed=1"}} {
		if err := run(t.Context(), args); err == nil {
			t.Errorf("%q: expected an error", args)
		}
	}
	t.Setenv("SOURCE_DATE_EPOCH", "today")
	if err := run(t.Context(), []string{"-version=0.2.0"}); err == nil || !strings.Contains(err.Error(), `found "today"`) {
		t.Errorf("error %v", err)
	}
}

func TestWrite(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	if err := write(dir, map[string][]byte{"a": []byte("text")}); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(filepath.Join(dir, "a")); err != nil || string(text) != "text" {
		t.Errorf("%q, error %v", text, err)
	}
	if err := write(filepath.Join(dir, "a"), map[string][]byte{"b": nil}); err == nil {
		t.Error("expected an error for a directory that is a file")
	}
}
