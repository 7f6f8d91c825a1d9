// Package oci writes images without a container engine: an archive that holds an OCI image layout, for skopeo, podman and
// containerd (`ctr images import`), and beside it, over the same blobs, what `docker load` reads.
//
// It is written with the standard library alone: an image of one file is a tar, its sum and three small JSON documents, and a
// library for it would be among the operator's requirements.
package oci

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
	"time"
)

// Image is what a container is started from on one platform.
type Image struct {
	// OS and Arch as Go names them, such as linux and amd64.
	OS, Arch string
	// Files are all there is: no shell, no package manager, no directory but theirs.
	Files []File
	// User such as 65532:65532: a number, so that a kubelet can tell without a password file that it is not root.
	User string
	// Entrypoint is the command line.
	Entrypoint []string
	// Labels by key.
	Labels map[string]string
	// Created is the time of the image and of all its files.
	Created time.Time
}

// File of an image. It belongs to root, so that what runs cannot change it.
type File struct {
	// Path from the root, such as manager.
	Path string
	Mode int64
	Text []byte
}

// Archive is what was written.
type Archive struct {
	// Digest by which a cluster names the image, such as sha256:...: that of its manifest, or of the index over several.
	Digest string
	// Text is the archive.
	Text []byte
}

// Reference is the whole name of an image: registry, path and tag, as containerd and Kubernetes spell it.
var Reference = regexp.MustCompile(`^([a-z0-9.-]+\.[a-z0-9-]+|localhost)(:[0-9]+)?(/[a-z0-9]+([._-]+[a-z0-9]+)*)+:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$`)

// Pack makes the archive of an image under its name, with one Image for each platform. The same input gives the same bytes.
func Pack(name string, images ...Image) (Archive, error) {
	if !Reference.MatchString(name) {
		return Archive{}, fmt.Errorf("expected the name of an image with registry and tag, such as registry.example/app:1.0, found %q", name)
	}
	if len(images) == 0 {
		return Archive{}, fmt.Errorf("image %s: expected one platform or more, found none", name)
	}
	p := &packer{name: name, seen: map[string]bool{}}
	var all []descriptor
	for _, i := range images {
		d, err := p.image(i)
		if err != nil {
			return Archive{}, fmt.Errorf("image %s for %s/%s: %w", name, i.OS, i.Arch, err)
		}
		all = append(all, d)
	}
	top := all[0]
	if len(all) > 1 {
		var err error
		if top, err = p.document(typeIndex, index{Version: 2, MediaType: typeIndex, Manifests: all}); err != nil {
			return Archive{}, err
		}
	}
	text, err := p.archive(top)
	return Archive{Digest: top.Digest, Text: text}, err
}

// packer gathers the blobs of an archive.
type packer struct {
	name   string
	blobs  []File
	seen   map[string]bool
	docker []dockerImage
}

// blob is kept under its own sum, once.
func (p *packer) blob(mediaType string, text []byte) descriptor {
	d := descriptor{MediaType: mediaType, Digest: digest(text), Size: int64(len(text))}
	if !p.seen[d.Digest] {
		p.seen[d.Digest] = true
		p.blobs = append(p.blobs, File{blobPath(d.Digest), 0o644, text})
	}
	return d
}

func digest(text []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(text)) }

func blobPath(digest string) string { return path.Join("blobs/sha256", digest[len("sha256:"):]) }

// image adds layer, config and manifest.
func (p *packer) image(i Image) (descriptor, error) {
	layer, err := tarball(i.Files, i.Created)
	if err != nil {
		return descriptor{}, err
	}
	zipped, err := compress(layer)
	if err != nil {
		return descriptor{}, err
	}
	at := i.Created.UTC().Format(time.RFC3339)
	c, err := p.document(typeConfig, config{
		Created: at, Architecture: i.Arch, OS: i.OS,
		Config:  execution{User: i.User, Entrypoint: i.Entrypoint, Labels: i.Labels},
		RootFS:  rootFS{Type: "layers", DiffIDs: []string{digest(layer)}},
		History: []history{{Created: at, CreatedBy: "hack/oci"}},
	})
	if err != nil {
		return descriptor{}, err
	}
	l := p.blob(typeLayer, zipped)
	d, err := p.document(typeManifest, manifest{Version: 2, MediaType: typeManifest, Config: c, Layers: []descriptor{l}})
	if err != nil {
		return descriptor{}, err
	}
	d.Platform = &platform{Architecture: i.Arch, OS: i.OS}
	if len(p.docker) == 0 { // its form knows one platform
		p.docker = []dockerImage{{Config: blobPath(c.Digest), RepoTags: []string{p.name}, Layers: []string{blobPath(l.Digest)}}}
	}
	return d, nil
}

// tarball holds the files in the order given.
func tarball(files []File, when time.Time) ([]byte, error) {
	var out bytes.Buffer
	archive := tar.NewWriter(&out)
	for _, f := range files {
		header := &tar.Header{Typeflag: tar.TypeReg, Name: f.Path, Mode: f.Mode, Size: int64(len(f.Text)), ModTime: when.UTC().Truncate(time.Second)}
		if err := archive.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := archive.Write(f.Text); err != nil {
			return nil, err
		}
	}
	err := archive.Close()
	return out.Bytes(), err
}

func compress(text []byte) ([]byte, error) {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, err := io.Copy(w, bytes.NewReader(text))
	err = errors.Join(err, w.Close())
	return out.Bytes(), err
}
