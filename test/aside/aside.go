// Package aside builds the programs of tests that are modules of their own, so that what they need never reaches the
// operator's go.mod.
package aside

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Program is built from a module of its own.
type Program struct {
	// Name in bin/, and Source, a folder of test/.
	Name, Source string
	// Note says what it is and how long building takes.
	Note string
	// CGO is 1 when the build needs a C compiler, and 0 when not.
	CGO string
}

// Path returns the program, built anew when it is missing or older than its sources. A lock lets processes that run side by
// side build it once.
func (p Program) Path() (string, error) {
	root, err := Root()
	if err != nil {
		return "", err
	}
	source, file := filepath.Join(root, "test", p.Source), filepath.Join(root, "bin", p.Name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return "", err
	}
	lock, err := os.OpenFile(file+".lock", os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return "", err
	}
	defer func() { _ = lock.Close() }()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return "", err
	}
	if fresh, err := upToDate(file, source); fresh || err != nil {
		return file, err
	}
	return file, p.build(source, file)
}

func (p Program) build(source, file string) error {
	began := time.Now()
	fmt.Fprintf(os.Stderr, "building bin/%s (%s)\n", p.Name, p.Note)
	build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", file+".new", ".")
	build.Dir = source
	build.Env = append(os.Environ(), "CGO_ENABLED="+p.CGO)
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("building bin/%s in test/%s: %w\n%s", p.Name, p.Source, err, out)
	}
	if err := os.Rename(file+".new", file); err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "built bin/%s in %s\n", p.Name, time.Since(began).Round(time.Second))
	return nil
}

// Environment leaves out GODEBUG: the programs are not built for what it may ask of the tests, such as fips140=only.
func Environment() []string {
	return slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "GODEBUG=") })
}

// upToDate compares times of change, as make does.
func upToDate(program, source string) (bool, error) {
	built, err := os.Stat(program)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	entries, err := os.ReadDir(source)
	if err != nil {
		return false, err
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || info.ModTime().After(built.ModTime()) {
			return false, err
		}
	}
	return true, nil
}

// Root is the nearest directory above the working directory that holds go.mod.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		if filepath.Dir(dir) == dir {
			return "", errors.New("expected to run inside a checkout, found no go.mod above the working directory")
		}
		dir = filepath.Dir(dir)
	}
}
