package chart

import (
	"bytes"
	"debug/elf"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/hipaatenant/hipaa-tenant-operator/hack/artifact"
)

// maxImage is a bound for the size of the binary, in bytes.
const maxImage = 48 << 20

// What the image of these tests is built as.
const (
	imageVersion  = "9.8.7-test"
	imageRevision = "0123456789abcdef"
)

// The command of the Dockerfile, run on what .dockerignore lets through, gives one static program that knows its version:
// it runs on nothing, so the image may be empty.
func TestImageBinary(t *testing.T) {
	binary := imageBinary(t)
	file, err := elf.Open(binary)
	must(t, err)
	defer file.Close()
	for _, p := range file.Progs {
		if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
			t.Errorf("the binary has a %v segment, so it needs a loader and libraries", p.Type)
		}
	}
	if file.Section(".symtab") != nil {
		t.Error("the binary is not stripped")
	}
	// A dependency that calls methods by name keeps the linker from dropping any: 20 MB more, a quarter of it in memory.
	if info, err := os.Stat(binary); err != nil || info.Size() > maxImage {
		t.Errorf("the binary has %d bytes, error %v; expected at most %d", info.Size(), err, maxImage)
	}
	out, err := exec.CommandContext(t.Context(), binary, "--version").CombinedOutput()
	must(t, err)
	if got := strings.TrimSpace(string(out)); got != "hipaa-tenant-operator "+imageVersion {
		t.Errorf("--version prints %q", got)
	}
}

// The last stage holds what it must and nothing else, and does not run as root.
func TestImageStages(t *testing.T) {
	stages := strings.Split(read(t, "Dockerfile"), "\nFROM ")
	if len(stages) != 3 {
		t.Fatalf("%d stages, expected one that builds and one that ships", len(stages)-1)
	}
	if !strings.Contains(stages[0], "\nARG BASE=scratch\n") || !strings.Contains(stages[1], "\nARG GOFIPS140=off\n") {
		t.Error("expected BASE=scratch and GOFIPS140=off by default")
	}
	shipped := regexp.MustCompile(`(?m)^(COPY|ADD|RUN|USER|ENTRYPOINT|CMD|SHELL|WORKDIR|ENV|VOLUME|EXPOSE) .*$`).FindAllString(stages[2], -1)
	want := []string{
		"COPY --from=build /out/manager /" + artifact.Program,
		"USER " + artifact.User,
		`ENTRYPOINT ["/` + artifact.Program + `"]`,
	}
	if !strings.HasPrefix(stages[2], "${BASE}\n") || !slices.Equal(shipped, want) {
		t.Errorf("the last stage is\n%s", stages[2])
	}
}

// The Dockerfile and `make image` give the same: the program to the byte, though one is built from a copy elsewhere that has no
// repository, and the labels.
func TestImageWithoutAContainerEngine(t *testing.T) {
	docker, err := os.ReadFile(imageBinary(t))
	must(t, err)
	tags := regexp.MustCompile(`(?m)^BUILDTAGS := (.*)$`).FindStringSubmatch(read(t, "Makefile"))
	if tags == nil {
		t.Fatal("no BUILDTAGS in the Makefile")
	}
	ours, err := artifact.Binary{
		Source: repository(t, ""), Package: "./cmd/" + artifact.Program, OS: "linux", Arch: runtime.GOARCH,
		Version: imageVersion, Revision: imageRevision, Tags: tags[1],
	}.Build(t.Context())
	must(t, err)
	if !bytes.Equal(docker, ours) {
		t.Errorf("the Dockerfile's command gives a program of %d bytes, make image another one of %d", len(docker), len(ours))
	}
	_, last, _ := strings.Cut(read(t, "Dockerfile"), "\nFROM ${BASE}\n")
	labels := map[string]string{}
	for _, found := range regexp.MustCompile(`(?m)^(?:LABEL|     ) (org\.[a-z.]+)="(.*?)"`).FindAllStringSubmatch(last, -1) {
		labels[found[1]] = strings.NewReplacer("${VERSION}", imageVersion, "${REVISION}", imageRevision).Replace(found[2])
	}
	if want := artifact.Labels(imageVersion, imageRevision); !maps.Equal(labels, want) {
		t.Errorf("the Dockerfile has labels %v, make image %v", labels, want)
	}
}

// imageDir holds the program of the image, for all tests of the package.
var imageDir string

func TestMain(m *testing.M) {
	var err error
	if imageDir, err = os.MkdirTemp("", "chart-suite-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	if err := os.RemoveAll(imageDir); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(code)
}

var buildImage sync.Once

// imageBinary does with the shell what the Dockerfile does, once, and returns the program.
func imageBinary(t testing.TB) string {
	t.Helper()
	source, binary := filepath.Join(imageDir, "src"), filepath.Join(imageDir, "manager")
	buildImage.Do(func() {
		command := regexp.MustCompile(`(?m)^RUN (CGO_ENABLED=0 .*\\\n.*)$`).FindStringSubmatch(read(t, "Dockerfile"))
		if command == nil || !strings.Contains(command[1], "-o /out/manager ./cmd/manager") {
			t.Fatal("no RUN line in the Dockerfile that builds /out/manager from ./cmd/manager")
		}
		copyContext(t, source)
		cmd := exec.CommandContext(t.Context(), "sh", "-ec", strings.ReplaceAll(command[1], "/out/manager", binary))
		cmd.Dir = source
		cmd.Env = append(os.Environ(), "TARGETOS=linux", "TARGETARCH=", "VERSION="+imageVersion, "REVISION="+imageRevision, "GOFIPS140=off")
		if text, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("building as the Dockerfile does: %v\n%s", err, text)
		}
	})
	if _, err := os.Stat(binary); err != nil {
		t.Fatalf("the program of the image was not built: %v", err)
	}
	return binary
}

// copyContext copies what .dockerignore lets through. It knows the two forms the file uses: everything but some paths, and
// some names nowhere.
func copyContext(t testing.TB, to string) {
	t.Helper()
	var let, names []string
	everything := false
	for line := range strings.Lines(read(t, ".dockerignore")) {
		switch line = strings.TrimSpace(line); {
		case line == "*":
			everything = true
		case strings.HasPrefix(line, "!"):
			let = append(let, line[1:])
		case strings.HasPrefix(line, "**/"):
			names = append(names, line[3:])
		case line != "" && line[0] != '#':
			t.Fatalf("unexpected line %q in .dockerignore", line)
		}
	}
	if !everything {
		t.Fatal("expected .dockerignore to leave everything out that it does not name")
	}
	ignored := func(name string) bool {
		return slices.ContainsFunc(names, func(n string) bool { ok, err := filepath.Match(n, name); return ok && err == nil })
	}
	root := repository(t, "")
	for _, path := range let {
		must(t, filepath.WalkDir(filepath.Join(root, path), func(file string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case ignored(d.Name()) && d.IsDir():
				return fs.SkipDir
			case ignored(d.Name()) || d.IsDir():
				return nil
			}
			relative, err := filepath.Rel(root, file)
			if err != nil {
				return err
			}
			return copyFile(file, filepath.Join(to, relative))
		}))
	}
}

func copyFile(from, to string) error {
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return os.WriteFile(to, text, 0o644)
}
