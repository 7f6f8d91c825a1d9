// Command image makes the operator's image, and bills of materials beside it, without a container engine:
//
//	go run ./hack/image -version 0.2.0 -out dist
//
// The archive is an OCI image layout that `docker load` reads as well; docs/image.md says what takes it. The same commit gives the
// same digest, whoever runs it: times are that of the commit, and nothing of the machine gets in. It is run in the root of the
// repository, by `make image`.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hipaatenant/hipaa-tenant-operator/hack/artifact"
	"github.com/hipaatenant/hipaa-tenant-operator/test/program"
)

func main() { program.Main("image", run) }

func run(ctx context.Context, args []string) error {
	var b artifact.Binary
	f := flag.NewFlagSet("image", flag.ContinueOnError)
	f.StringVar(&b.Version, "version", "", "version the operator says it is, such as 0.2.0")
	f.StringVar(&b.Tags, "tags", "", "build tags")
	f.StringVar(&b.FIPS, "fips", "off", "GOFIPS140 of the build: off, or certified")
	name := f.String("name", "", "name of the image with registry and tag (default "+artifact.Repository+":VERSION)")
	architectures := f.String("arch", "amd64", "architectures, separated by commas: amd64, arm64")
	out := f.String("out", "dist", "directory to write to")
	if err := f.Parse(args); err != nil {
		return err
	}
	if b.Version == "" || f.NArg() > 0 {
		return fmt.Errorf("expected -version and no other words, found %q and %q", b.Version, f.Args())
	}
	when, err := artifact.CommitTime(ctx, "")
	if err != nil {
		return err
	}
	if b.Revision, err = artifact.Revision(ctx, ""); err != nil {
		return err
	}
	o := artifact.OperatorImage{Name: cmp.Or(*name, artifact.Repository+":"+b.Version), Binary: b, Architectures: strings.Split(*architectures, ","), When: when}
	made, err := o.Make(ctx)
	if err != nil {
		return err
	}
	fmt.Printf("image:  %s\ndigest: %s\nbuilt:  from commit %s\n", o.Name, made.Digest, b.Revision)
	return write(*out, made.Files(b.Version))
}

func write(dir string, files map[string][]byte) error {
	err := os.MkdirAll(dir, 0o755)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		path := filepath.Join(dir, name)
		err = errors.Join(err, os.WriteFile(path, files[name], 0o644))
		fmt.Printf("wrote:  %s, %d bytes\n", path, len(files[name]))
	}
	return err
}
