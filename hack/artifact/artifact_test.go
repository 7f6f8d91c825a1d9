package artifact

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	path := filepath.Join(dir, name)
	must(t, os.MkdirAll(filepath.Dir(path), 0o750))
	must(t, os.WriteFile(path, []byte(text), 0o600))
}

// repository with one commit, of a program that prints what it was told.
func repository(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "repository")
	write(t, dir, "go.mod", "module github.com/hipaatenant/hipaa-tenant-operator\n\ngo 1.26.0\n")
	write(t, dir, "internal/buildinfo/buildinfo.go", "package buildinfo\n\nvar release, revision string\n\nfunc Told() string { return release + \" \" + revision }\n")
	write(t, dir, "cmd/manager/main.go", "package main\n\nimport \"github.com/hipaatenant/hipaa-tenant-operator/internal/buildinfo\"\n\nfunc main() { println(buildinfo.Told()) }\n")
	date := []string{"GIT_AUTHOR_DATE=2026-11-22T12:00:00Z", "GIT_COMMITTER_DATE=2026-11-22T12:00:00Z"}
	for _, line := range []string{"init -q", "add .", "-c user.name=a -c user.email=a@b.c commit -q -m one"} {
		_, err := Command(t.Context(), dir, date, "git", strings.Fields(line)...)
		must(t, err)
	}
	return dir
}

// TestACommitIsOne: time and name are the commit's, and a change on top of it shows.
func TestACommitIsOne(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "")
	dir := repository(t)
	when, err := CommitTime(t.Context(), dir)
	if want := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC); err != nil || !when.Equal(want) {
		t.Errorf("%v, error %v; expected %v", when, err, want)
	}
	clean, err := Revision(t.Context(), dir)
	if err != nil || len(clean) != 40 {
		t.Errorf("revision %q, error %v", clean, err)
	}
	write(t, dir, "new.go", "package main\n")
	if dirty, err := Revision(t.Context(), dir); err != nil || dirty != clean+"-dirty" {
		t.Errorf("with a change: revision %q, error %v", dirty, err)
	}
	there := filepath.Join(t.TempDir(), "there")
	must(t, Checkout(t.Context(), dir, clean, there))
	if _, err := os.Stat(filepath.Join(there, "cmd", "manager", "main.go")); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(there, "new.go")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what is not committed was checked out, error %v", err)
	}
	t.Setenv("SOURCE_DATE_EPOCH", "1000")
	if when, err := CommitTime(t.Context(), dir); err != nil || when.Unix() != 1000 {
		t.Errorf("%v, error %v", when, err)
	}
	t.Setenv("SOURCE_DATE_EPOCH", "today")
	if _, err := CommitTime(t.Context(), dir); err == nil || !strings.Contains(err.Error(), `expected seconds since 1970, found "today"`) {
		t.Errorf("error %v", err)
	}
}

func TestACommitThatIsNotThere(t *testing.T) {
	err := Checkout(t.Context(), repository(t), strings.Repeat("0", 40), filepath.Join(t.TempDir(), "there"))
	if !errors.Is(err, ErrNoCommit) || !strings.Contains(err.Error(), "fetch the whole history") || !strings.Contains(err.Error(), "fatal: ") {
		t.Errorf("error %v", err)
	}
	// What git cannot open is no clone without the commit, and git says what it is.
	err = Checkout(t.Context(), t.TempDir(), strings.Repeat("0", 40), filepath.Join(t.TempDir(), "there"))
	if err == nil || errors.Is(err, ErrNoCommit) || !strings.Contains(err.Error(), "not a git repository") {
		t.Errorf("error %v", err)
	}
}

// TestTheSameProgram comes of a repository, of a bare tree elsewhere, and under settings of whoever builds it.
func TestTheSameProgram(t *testing.T) {
	dir := repository(t)
	commit, err := Revision(t.Context(), dir)
	must(t, err)
	tree := filepath.Join(t.TempDir(), "a", "tree")
	must(t, os.MkdirAll(filepath.Dir(tree), 0o750))
	must(t, Checkout(t.Context(), dir, commit, tree))
	build := func(source, version string) []byte {
		t.Helper()
		text, err := Binary{Source: source, Package: "./cmd/manager", OS: runtime.GOOS, Arch: runtime.GOARCH, Version: version, Revision: commit}.Build(t.Context())
		must(t, err)
		return text
	}
	one := build(dir, "1.0.0")
	t.Setenv("GOFLAGS", "-ldflags=-X=main.x=1 -race")
	t.Setenv("GOAMD64", "v3")
	t.Setenv("CGO_ENABLED", "1")
	if !bytes.Equal(one, build(tree, "1.0.0")) {
		t.Error("two builds of one commit differ")
	}
	program := filepath.Join(t.TempDir(), "program")
	must(t, os.WriteFile(program, build(tree, "1.0.1"), 0o700))
	if said, err := exec.CommandContext(t.Context(), program).CombinedOutput(); err != nil || string(said) != "1.0.1 "+commit+"\n" {
		t.Errorf("the program says %q, error %v", said, err)
	}
	if _, err := (Binary{Source: tree, Package: "./none", OS: "linux", Arch: "amd64"}).Build(t.Context()); err == nil || !strings.Contains(err.Error(), "none") {
		t.Errorf("error %v", err)
	}
}

// TestLinked lists what was linked, a module that was replaced by what stands for it.
func TestLinked(t *testing.T) {
	all := linked(&debug.BuildInfo{GoVersion: "go1.26.0 X:nocoverageredesign", Deps: []*debug.Module{
		{Path: "example.com/a", Version: "v1.0.0", Sum: "h1:x"},
		{Path: "example.com/b", Version: "v1.0.0", Replace: &debug.Module{Path: "example.com/fork", Version: "v2.0.0"}},
	}})
	if len(all) != 3 || all[0].Name != "stdlib" || all[0].Version != "1.26.0" || all[0].Type != "library" || all[0].PURL != "pkg:golang/stdlib@1.26.0" || all[1].PURL != "pkg:golang/example.com/a@v1.0.0" || all[1].Properties[0].Value != "h1:x" || all[2].Name != "example.com/fork" {
		t.Errorf("%+v", all)
	}
}

// TestBills tell of these very bytes: their sum, and the modules in them.
func TestBills(t *testing.T) {
	self, err := os.Executable()
	must(t, err)
	binary, err := os.ReadFile(self)
	must(t, err)
	when := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	text, err := Bill("manager", "0.2.0", when, binary)
	must(t, err)
	var b bill
	must(t, json.Unmarshal(text, &b))
	sum := fmt.Sprintf("%x", sha256.Sum256(binary))
	if b.Metadata.Timestamp != "2026-11-22T12:00:00Z" || b.Metadata.Component.Name != "manager" || b.Metadata.Component.Hashes[0].Content != sum || b.Components[0].Version != strings.Fields(strings.TrimPrefix(runtime.Version(), "go"))[0] {
		t.Errorf("%+v", b)
	}
	digest := "sha256:" + strings.Repeat("a", 64)
	text, err = ImageBill("registry.example:5000/team/app:0.2.0", digest, when, "manager", binary)
	must(t, err)
	must(t, json.Unmarshal(text, &b))
	whole, program := b.Metadata.Component, b.Components[0]
	if whole.Type != "container" || whole.Version != digest || whole.Name != "registry.example:5000/team/app" ||
		whole.PURL != "pkg:oci/app@sha256%3A"+strings.Repeat("a", 64)+"?arch="+runtime.GOARCH+"&repository_url=registry.example:5000/team/app&tag=0.2.0" {
		t.Errorf("%+v", whole)
	}
	if program.Name != "manager" || program.Version != "0.2.0" || program.Hashes[0].Content != sum || b.Components[1].Name != "stdlib" {
		t.Errorf("%+v", b.Components)
	}
	if _, err := Bill("manager", "0.2.0", when, []byte("no program")); err == nil || !strings.Contains(err.Error(), "reading what manager was built from") {
		t.Errorf("error %v", err)
	}
}

// TestTheSameImage comes of two trees of a commit, on both architectures, and each bill is of the program that is in it.
func TestTheSameImage(t *testing.T) {
	dir := repository(t)
	commit, err := Revision(t.Context(), dir)
	must(t, err)
	tree := filepath.Join(t.TempDir(), "tree")
	must(t, Checkout(t.Context(), dir, commit, tree))
	o := OperatorImage{
		Name: Repository + ":1.0.0", Architectures: []string{"amd64", "arm64"}, When: time.Unix(1000, 0),
		Binary: Binary{Source: dir, Version: "1.0.0", Revision: commit},
	}
	one, err := o.Make(t.Context())
	must(t, err)
	o.Binary.Source = tree
	two, err := o.Make(t.Context())
	if err != nil || !bytes.Equal(one.Text, two.Text) || one.Digest != two.Digest {
		t.Errorf("two images of one commit differ: %s and %s, error %v", one.Digest, two.Digest, err)
	}
	files := two.Files("1.0.0")
	if len(files) != 3 || !bytes.Equal(files["hipaa-tenant-operator-image_1.0.0.tar"], one.Text) {
		t.Errorf("%d files", len(files))
	}
	references := map[string]bool{}
	for _, arch := range o.Architectures {
		var b bill
		must(t, json.Unmarshal(files["hipaa-tenant-operator-image_1.0.0_linux_"+arch+".cdx.json"], &b))
		program, err := Binary{Source: tree, Package: "./cmd/manager", OS: "linux", Arch: arch, Version: "1.0.0", Revision: commit}.Build(t.Context())
		must(t, err)
		if b.Metadata.Component.Version != one.Digest || b.Components[0].Hashes[0].Content != fmt.Sprintf("%x", sha256.Sum256(program)) {
			t.Errorf("%s: %+v %+v", arch, b.Metadata.Component, b.Components[0])
		}
		references[b.Metadata.Component.Reference] = true
	}
	if len(references) != len(o.Architectures) {
		t.Errorf("expected each bill to say which architecture it is about, found %v", references)
	}
	o.Architectures = []string{"amd64", "amd64"}
	if _, err := o.Make(t.Context()); err == nil || !strings.Contains(err.Error(), "expected every architecture once") {
		t.Errorf("error %v", err)
	}
}
