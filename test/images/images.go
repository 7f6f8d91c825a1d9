// Package images makes the images of tests on real nodes: the operator of this tree and of an earlier commit, the sample
// applications, a toolbox, and the pause image. Each is one static Go program on nothing, made by Go alone, without a container engine and
// without the network.
package images

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/hipaatenant/hipaa-tenant-operator/hack/artifact"
	"github.com/hipaatenant/hipaa-tenant-operator/hack/oci"
	"github.com/hipaatenant/hipaa-tenant-operator/test/cluster"
)

// Spec of an image.
type Spec struct {
	// Name with registry and tag, such as hipaa.test/tenant-app:1. Nothing is asked of the registry.
	Name string
	// Source is a directory of the program's module: of this repository (the default), of a module within, or of another commit.
	Source string
	// Package of the program, such as ./config/samples/tenant-app.
	Package string
	// Version the program says it is, where it says one.
	Version string
	// User it runs as, where the pod does not say. Default: 65532:65532.
	User string
}

// Image is what Build made.
type Image struct {
	// Path of the archive, for `ctr -n k8s.io images import`.
	Path string
	// Name of the image, as it is imported, and Digest it has.
	Name, Digest string
}

// grpcnotrace leaves gRPC's request tracing out, as the Makefile does.
const tags = "grpcnotrace"

// created is when every image of a test was made: the same program is the same image.
var created = time.Unix(0, 0)

// Build compiles the program for this machine and writes the image into a directory. The program is the file /NAME of the
// image, where NAME is the last part of its package, and the entrypoint.
func Build(ctx context.Context, dir string, s Spec) (Image, error) {
	if s.Source == "" {
		root, err := cluster.RepositoryRoot()
		if err != nil {
			return Image{}, err
		}
		s.Source = root
	}
	binary, err := artifact.Binary{
		Source: s.Source, Package: s.Package, OS: "linux", Arch: runtime.GOARCH, Version: s.Version, Tags: tags,
	}.Build(ctx)
	if err != nil {
		return Image{}, fmt.Errorf("image %s: %w", s.Name, err)
	}
	program := filepath.Base(s.Package)
	archive, err := oci.Pack(s.Name, oci.Image{
		OS: "linux", Arch: runtime.GOARCH, User: cmp.Or(s.User, artifact.User), Entrypoint: []string{"/" + program},
		Files: []oci.File{{Path: program, Mode: 0o755, Text: binary}}, Created: created,
	})
	if err != nil {
		return Image{}, err
	}
	file := strings.NewReplacer("/", "_", ":", "_").Replace(s.Name) + ".tar"
	made := Image{Path: filepath.Join(dir, file), Name: s.Name, Digest: archive.Digest}
	return made, errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(made.Path, archive.Text, 0o644))
}

// Previous is the commit that was version 0.1.0 of the operator.
const Previous = "3d018e897656209ece031badda7133f48c9383d8"

// Operator of this tree.
func Operator(name, version string) Spec {
	return Spec{Name: name, Package: "./cmd/manager", Version: version}
}

// OperatorOf is the operator of another commit, whose tree artifact.Checkout wrote into a directory.
func OperatorOf(name, version, source string) Spec {
	return Spec{Name: name, Package: "./cmd/manager", Version: version, Source: source}
}

// Sample application of config/samples, such as tenant-app or keyset-consumer.
func Sample(name, application string) Spec {
	return Spec{Name: name, Package: "./config/samples/" + application}
}

// Pause is what a container runtime keeps a pod's namespaces open with: containerd's sandbox_image.
func Pause(name string) Spec {
	return Spec{Name: name, Package: "./test/images/pause", User: "65535:65535"}
}

// Toolbox is for whoever reaches into a container, and for what has to run somewhere: see its program.
func Toolbox(name string) Spec {
	return Spec{Name: name, Package: "./test/images/toolbox"}
}
