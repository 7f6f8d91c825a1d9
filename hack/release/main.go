// Command release makes what a version is published as, into a directory: both charts, the install manifest, the
// image, the command line for every platform, its manifest for krew, bills of materials, and checksums of all of it.
//
//	go run ./hack/release -version 0.2.0 -out dist
//
// The same commit gives the same bytes, whoever runs it: times are that of the commit, owners are nobody, names are sorted. It is
// run in the root of the repository, by `make release`.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"github.com/hipaatenant/hipaa-tenant-operator/hack/artifact"
	"github.com/hipaatenant/hipaa-tenant-operator/test/program"
)

func main() { program.Main("release", run) }

// release is one version being made.
type release struct {
	version, out  string
	helm, kubectl string
	tags          string
	revision      string
	when          time.Time // of every entry of every archive
	files         []string  // made so far, by name in out
}

var semantic = regexp.MustCompile(`^[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?$`)

func run(ctx context.Context, args []string) error {
	r := &release{}
	f := flag.NewFlagSet("release", flag.ContinueOnError)
	f.StringVar(&r.version, "version", "", "version to publish, such as 0.2.0")
	f.StringVar(&r.out, "out", "dist", "directory to write to; what is in it is removed")
	f.StringVar(&r.helm, "helm", "bin/helm", "helm")
	f.StringVar(&r.kubectl, "kubectl", "bin/k8s/kubectl", "kubectl")
	f.StringVar(&r.tags, "tags", "", "build tags")
	if err := f.Parse(args); err != nil {
		return err
	}
	if !semantic.MatchString(r.version) {
		return fmt.Errorf("expected -version such as 0.2.0, found %q", r.version)
	}
	var err error
	if r.when, err = artifact.CommitTime(ctx, "."); err != nil {
		return err
	}
	if r.revision, err = artifact.Revision(ctx, "."); err != nil {
		return err
	}
	if err := errors.Join(os.RemoveAll(r.out), os.MkdirAll(r.out, 0o755)); err != nil {
		return err
	}
	for _, step := range []func(context.Context) error{r.charts, r.manifest, r.image, r.commandLines, r.materials, r.checksums} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	for _, name := range r.files {
		fmt.Println(filepath.Join(r.out, name))
	}
	return nil
}

// write adds a file to the release.
func (r *release) write(name string, text []byte) error {
	r.files = append(r.files, name)
	return os.WriteFile(filepath.Join(r.out, name), text, 0o644)
}
