package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hipaatenant/hipaa-tenant-operator/hack/artifact"
)

// charts are packed by helm, which checks them, and then again, because helm writes the time of day into them.
func (r *release) charts(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "charts-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	for _, name := range []string{"hipaa-tenant-operator", "hipaa-tenant"} {
		if _, err := artifact.Command(ctx, "", nil, r.helm, "package", "charts/"+name, "-d", dir); err != nil {
			return err
		}
		file := fmt.Sprintf("%s-%s.tgz", name, r.version)
		packed, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			return fmt.Errorf("expected chart %s in version %s: %w", name, r.version, err)
		}
		entries, err := untar(packed)
		if err != nil {
			return err
		}
		text, err := tarball(entries, r.when)
		if err := errors.Join(err, r.write(file, text)); err != nil {
			return err
		}
	}
	return nil
}

// manifest installs the operator with kubectl apply --server-side -f.
func (r *release) manifest(ctx context.Context) error {
	text, err := artifact.Command(ctx, "", nil, r.kubectl, "kustomize", "config/default")
	if err != nil {
		return err
	}
	if image := r.imageName(); !bytes.Contains(text, []byte(image+"\n")) {
		return fmt.Errorf("expected image %s in config/default: one version is released", image)
	}
	return r.write("install.yaml", text)
}

func (r *release) imageName() string { return artifact.Repository + ":" + r.version }

// image is one archive for all platforms, and a bill of materials for each.
func (r *release) image(ctx context.Context) error {
	made, err := artifact.OperatorImage{
		Name: r.imageName(), Architectures: []string{"amd64", "arm64"}, When: r.when,
		Binary: artifact.Binary{Version: r.version, Revision: r.revision, Tags: r.tags},
	}.Make(ctx)
	if err != nil {
		return err
	}
	files := made.Files(r.version)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := r.write(name, files[name]); err != nil {
			return err
		}
	}
	return nil
}

// platform the command line is built for.
type platform struct{ os, arch string }

var platforms = []platform{{"darwin", "amd64"}, {"darwin", "arm64"}, {"linux", "amd64"}, {"linux", "arm64"}, {"windows", "amd64"}}

func (p platform) binary() string {
	if p.os == "windows" {
		return "kubectl-hipaa.exe"
	}
	return "kubectl-hipaa"
}

func (p platform) archive(version string) string {
	extension := "tar.gz"
	if p.os == "windows" {
		extension = "zip"
	}
	return fmt.Sprintf("kubectl-hipaa_%s_%s_%s.%s", version, p.os, p.arch, extension)
}

// commandLines are archives with the binary and the licence, and the manifest by which krew finds them.
func (r *release) commandLines(ctx context.Context) error {
	licence, err := os.ReadFile("LICENSE")
	if err != nil {
		return err
	}
	sums := map[platform]string{}
	for _, p := range platforms {
		binary, err := r.build(ctx, p, "./cmd/kubectl-hipaa")
		if err != nil {
			return err
		}
		pack := tarball
		if p.os == "windows" {
			pack = zipfile
		}
		text, err := pack([]entry{{p.binary(), 0o755, binary}, {"LICENSE", 0o644, licence}}, r.when)
		if err := errors.Join(err, r.write(p.archive(r.version), text)); err != nil {
			return err
		}
		sums[p] = sum(text)
	}
	return r.write("hipaa.yaml", krew(r.version, sums))
}

func sum(text []byte) string { return fmt.Sprintf("%x", sha256.Sum256(text)) }

// build compiles a command for a platform.
func (r *release) build(ctx context.Context, p platform, path string) ([]byte, error) {
	return artifact.Binary{Package: path, OS: p.os, Arch: p.arch, Version: r.version, Revision: r.revision, Tags: r.tags}.Build(ctx)
}

const krewHead = `apiVersion: krew.googlecontainertools.github.com/v1alpha2
kind: Plugin
metadata:
  name: hipaa
spec:
  version: v%[1]s
  homepage: https://github.com/hipaatenant/hipaa-tenant-operator
  shortDescription: Work with HIPAA tenants
  description: |
    Beside hipaa-tenant-operator: prints its admission policies, says which data keys
    of a tenant open, and asks for, approves and ends emergency access.
  platforms:
`

const krewPlatform = `    - selector:
        matchLabels: {os: %[2]s, arch: %[3]s}
      uri: https://github.com/hipaatenant/hipaa-tenant-operator/releases/download/v%[1]s/%[4]s
      sha256: %[5]s
      bin: %[6]s
`

// krew is the manifest of the plugin.
func krew(version string, sums map[platform]string) []byte {
	var out strings.Builder
	fmt.Fprintf(&out, krewHead, version)
	for _, p := range platforms {
		fmt.Fprintf(&out, krewPlatform, version, p.os, p.arch, p.archive(version), sums[p], p.binary())
	}
	return []byte(out.String())
}

// checksums of all files, in the form of sha256sum.
func (r *release) checksums(context.Context) error {
	var out strings.Builder
	for _, name := range slices.Sorted(slices.Values(r.files)) {
		text, err := os.ReadFile(filepath.Join(r.out, name))
		if err != nil {
			return err
		}
		fmt.Fprintf(&out, "%s  %s\n", sum(text), name)
	}
	return r.write("SHA256SUMS", []byte(out.String()))
}
