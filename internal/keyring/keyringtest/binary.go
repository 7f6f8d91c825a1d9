package keyringtest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// binary is a server of the tests, built from a module of its own.
type binary struct {
	// name in bin/, and source, a folder of test/.
	name, source string
	// note says what it is and how long building takes.
	note string
	// cgo tells whether the build needs a C compiler.
	cgo string
}

// path returns the program, built anew when it is missing or older than its sources. A lock lets test processes that
// run side by side build it once.
func (b binary) path(t testing.TB) string {
	t.Helper()
	root := moduleRoot(t)
	source, file := filepath.Join(root, "test", b.source), filepath.Join(root, "bin", b.name)
	must(t, os.MkdirAll(filepath.Dir(file), 0o755))
	lock, err := os.OpenFile(file+".lock", os.O_CREATE|os.O_RDWR, 0o644)
	must(t, err)
	defer func() { _ = lock.Close() }()
	must(t, syscall.Flock(int(lock.Fd()), syscall.LOCK_EX))
	if upToDate(t, file, source) {
		return file
	}
	began := time.Now()
	fmt.Fprintf(os.Stderr, "building bin/%s (%s)\n", b.name, b.note)
	build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", file+".new", ".")
	build.Dir = source
	build.Env = append(os.Environ(), "CGO_ENABLED="+b.cgo)
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building bin/%s in test/%s: %v\n%s", b.name, b.source, err, out)
	}
	must(t, os.Rename(file+".new", file))
	fmt.Fprintf(os.Stderr, "built bin/%s in %s\n", b.name, time.Since(began).Round(time.Second))
	return file
}

// plainEnvironment leaves out GODEBUG: the servers are not built for what it may ask of the tests, such as fips140=only.
func plainEnvironment() []string {
	return slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "GODEBUG=") })
}

// upToDate compares times of change, as make does.
func upToDate(t testing.TB, binary, source string) bool {
	built, err := os.Stat(binary)
	if err != nil {
		return false
	}
	entries, err := os.ReadDir(source)
	must(t, err)
	for _, e := range entries {
		info, err := e.Info()
		must(t, err)
		if info.ModTime().After(built.ModTime()) {
			return false
		}
	}
	return true
}

// moduleRoot is the nearest directory above the test that holds go.mod.
func moduleRoot(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	must(t, err)
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if filepath.Dir(dir) == dir {
			t.Fatal("no go.mod above the working directory of the test")
		}
		dir = filepath.Dir(dir)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
