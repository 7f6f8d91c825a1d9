package build

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// bench is a repository with one nested module that has the programs "one" and "two".
type bench struct {
	t    *testing.T
	root string
	log  syncBuffer
}

type syncBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

// take returns what was written since the last call.
func (b *syncBuffer) take() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	text := b.text.String()
	b.text.Reset()
	return text
}

var (
	one = Program{"one", "tools", "example.com/tools/one", "example.com/source"}
	two = Program{"two", "tools", "example.com/tools/two", "example.com/source"}
)

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{t: t, root: t.TempDir()}
	b.write("tools/go.mod", goMod("v1.2.3"))
	b.write("tools/go.sum", "")
	b.write("tools/source/go.mod", "module example.com/source\n")
	b.write("tools/one/main.go", "package main\n\nfunc main() { println(\"one\") }\n")
	b.write("tools/two/main.go", "package main\n\nfunc main() { println(\"two\") }\n")
	return b
}

func goMod(version string) string {
	return "module example.com/tools\n\ngo 1.26.0\n\nrequire example.com/source " + version +
		"\n\nreplace example.com/source => ./source\n"
}

func (b *bench) write(path, text string) {
	b.t.Helper()
	path = filepath.Join(b.root, path)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) path(name string) string { return filepath.Join(b.root, "bin", name) }

func (b *bench) build(ctx context.Context, programs ...Program) (string, error) {
	err := Builder{Root: b.root, Out: filepath.Join(b.root, "bin"), Log: &b.log, Interval: time.Millisecond}.Build(ctx, programs)
	return b.log.take(), err
}

func (b *bench) mustBuild(programs ...Program) string {
	b.t.Helper()
	log, err := b.build(b.t.Context(), programs...)
	if err != nil {
		b.t.Fatal(err)
	}
	return log
}

func (b *bench) run(name string) string {
	b.t.Helper()
	out, err := exec.CommandContext(b.t.Context(), b.path(name)).CombinedOutput()
	if err != nil {
		b.t.Fatal(err)
	}
	return string(out)
}

func TestBuildShowsProgress(t *testing.T) {
	b := newBench(t)
	log := b.mustBuild(one, two)
	for _, want := range []string{
		"building 2 of 2 programs", "[1/2] one v1.2.3: building", "[1/2] one: done after",
		"[2/2] two v1.2.3: building", "[2/2] two: done after", "built 2 of 2 programs in",
	} {
		if !strings.Contains(log, want) {
			t.Errorf("expected %q in\n%s", want, log)
		}
	}
	if ticks := strings.Count(log, "\n[1/2] one: ") - 1; ticks < 1 {
		t.Errorf("expected the elapsed time while one is built, found\n%s", log)
	}
	if got := b.run("one") + b.run("two"); got != "one\ntwo\n" {
		t.Errorf("expected the programs to run, found %q", got)
	}
	if _, err := os.Stat(b.path(".building")); !os.IsNotExist(err) {
		t.Errorf("expected the working directory to be removed, found %v", err)
	}
}

func TestBuildOnlyWhatIsNeeded(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(b *bench)
		want   string
	}{
		{"nothing changed", func(*bench) {}, ""},
		{"other version", func(b *bench) { b.write("tools/go.mod", goMod("v1.2.4")) }, "building 2 of 2"},
		{"other checksums", func(b *bench) { b.write("tools/go.sum", "\n") }, "building 2 of 2"},
		{"program missing", func(b *bench) { b.remove("two") }, "building 1 of 2"},
		{"stamp missing", func(b *bench) { b.remove(".stamps/two") }, "building 1 of 2"},
		{"not executable", func(b *bench) { b.chmod("two", 0o600) }, "building 1 of 2"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newBench(t)
			b.mustBuild(one, two)
			tc.change(b)
			log := b.mustBuild(one, two)
			if tc.want == "" && log != "" || !strings.HasPrefix(log, tc.want) {
				t.Errorf("expected %q, found %q", tc.want, log)
			}
			if got := b.run("two"); got != "two\n" {
				t.Errorf("expected two to run, found %q", got)
			}
			if again := b.mustBuild(one, two); again != "" {
				t.Errorf("expected nothing to be left to do, found %q", again)
			}
		})
	}
}

func (b *bench) remove(name string) {
	b.t.Helper()
	if err := os.Remove(b.path(name)); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) chmod(name string, mode os.FileMode) {
	b.t.Helper()
	if err := os.Chmod(b.path(name), mode); err != nil {
		b.t.Fatal(err)
	}
}

func TestBuildFailure(t *testing.T) {
	b := newBench(t)
	b.write("tools/two/main.go", "package main\n\nfunc main() { undefinedThing() }\n")
	_, err := b.build(t.Context(), one, two)
	if err == nil || !strings.Contains(err.Error(), "build two: exit status 1") || !strings.Contains(err.Error(), "undefined: undefinedThing") {
		t.Errorf("expected the compiler's words, found %v", err)
	}
	if got := b.run("one"); got != "one\n" {
		t.Errorf("expected what was complete to stay, found %q", got)
	}
	if _, err := os.Stat(b.path("two")); !os.IsNotExist(err) {
		t.Errorf("expected no program of a failed build, found %v", err)
	}
	b.write("tools/two/main.go", "package main\n\nfunc main() { println(\"two\") }\n")
	if log := b.mustBuild(one, two); !strings.HasPrefix(log, "building 1 of 2") {
		t.Errorf("expected only the failed program to be built again, found %q", log)
	}
}

func TestBuildCancelled(t *testing.T) {
	b := newBench(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.build(ctx, one); !errors.Is(err, context.Canceled) {
		t.Errorf("expected a cancelled build to say so, found %v", err)
	}
	if _, err := os.Stat(b.path("one")); !os.IsNotExist(err) {
		t.Errorf("expected no program, found %v", err)
	}
}

func TestCheck(t *testing.T) {
	b := newBench(t)
	b.mustBuild(one)
	if err := Check(filepath.Join(b.root, "bin"), []Program{one}); err != nil {
		t.Error(err)
	}
	err := Check(filepath.Join(b.root, "bin"), []Program{one, two})
	if err == nil || !strings.Contains(err.Error(), "no executable two;") || !strings.Contains(err.Error(), "KUBEBUILDER_ASSETS=") {
		t.Errorf("expected the missing program and the variable to be named, found %v", err)
	}
}
