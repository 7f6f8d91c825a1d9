package artifact

import (
	"cmp"
	"context"
	"os"
	"path/filepath"
)

// stamps is where programs keep what they are told of themselves.
const stamps = "github.com/hipaatenant/hipaa-tenant-operator/internal/buildinfo."

// Binary is a program to compile, static.
type Binary struct {
	// Source is a directory of its module: where `go build` is run. Empty means the working directory.
	Source string
	// Package such as ./cmd/manager.
	Package string
	// OS and Arch it runs on, as Go names them.
	OS, Arch string
	// Version it says it is; empty where it says none.
	Version string
	// Revision it says it was built from; empty where it says none. Go is not let ask git: a build that sees no repository,
	// such as one in a container, gives the same bytes.
	Revision string
	// Tags of the build, separated by commas.
	Tags string
	// FIPS is GOFIPS140 of the build, such as certified; empty means off.
	FIPS string
}

// Build compiles it. Of the environment and of the place, nothing gets into the program: neither paths nor GOFLAGS.
func (b Binary) Build(ctx context.Context) ([]byte, error) {
	dir, err := os.MkdirTemp("", "build-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	out := filepath.Join(dir, "out")
	env := []string{
		"CGO_ENABLED=0", "GOOS=" + b.OS, "GOARCH=" + b.Arch, "GOFIPS140=" + cmp.Or(b.FIPS, "off"),
		"GOFLAGS=-buildvcs=false", "GOAMD64=v1", "GOARM64=v8.0", "GOEXPERIMENT=", "GOWORK=off",
	}
	flags := "-s -w -X " + stamps + "release=" + b.Version + " -X " + stamps + "revision=" + b.Revision
	if _, err := Command(ctx, b.Source, env, "go", "build", "-trimpath", "-tags", b.Tags, "-ldflags", flags, "-o", out, b.Package); err != nil {
		return nil, err
	}
	return os.ReadFile(out)
}
