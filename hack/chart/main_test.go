package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const repository = "../.."

// The files in the repository are the ones config/ gives.
func TestGeneratedFilesAreUpToDate(t *testing.T) {
	if err := run([]string{"-root", repository, "-check"}); err != nil {
		t.Error(err)
	}
}

// Writing and checking agree, and a check finds what somebody edited or deleted, and changes nothing.
func TestCheck(t *testing.T) {
	files, err := generate(repository)
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	for _, f := range files {
		if err := os.MkdirAll(filepath.Join(root, filepath.Dir(f.path)), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := write(root, files); err != nil {
		t.Fatal(err)
	}
	if err := compare(root, files); err != nil {
		t.Fatalf("what was just written: %v", err)
	}
	edited, deleted := files[0].path, files[1].path
	if err := os.WriteFile(filepath.Join(root, edited), []byte("edited"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(root, deleted)); err != nil {
		t.Fatal(err)
	}
	err = compare(root, files)
	if err == nil {
		t.Fatal("neither the edited nor the deleted file was found")
	}
	for _, words := range []string{edited, deleted, "run `make generate`"} {
		if !strings.Contains(err.Error(), words) {
			t.Errorf("the error does not say %q: %v", words, err)
		}
	}
	if strings.Contains(err.Error(), files[2].path) {
		t.Errorf("the error blames an unchanged file: %v", err)
	}
	if text, err := os.ReadFile(filepath.Join(root, edited)); err != nil || string(text) != "edited" {
		t.Errorf("the check wrote %q, %v", text, err)
	}
}

func TestGenerateIsDeterministic(t *testing.T) {
	first, err := generate(repository)
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		again, err := generate(repository)
		if err != nil {
			t.Fatal(err)
		}
		for i := range first {
			if string(first[i].text) != string(again[i].text) {
				t.Fatalf("%s differs from run to run", first[i].path)
			}
		}
	}
}

func TestOutsideTheRepository(t *testing.T) {
	err := run([]string{"-root", t.TempDir()})
	if err == nil || !strings.Contains(err.Error(), "expected manifests in config/crd, found none: is ") {
		t.Errorf("expected an error that asks for the root of the repository, found %v", err)
	}
}
