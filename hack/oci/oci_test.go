package oci

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"
)

var when = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

const name = "registry.example:5000/team/app:1.0"

func image(arch string) Image {
	return Image{OS: "linux", Arch: arch, User: "65532:65532", Entrypoint: []string{"/app"}, Created: when,
		Labels: map[string]string{"b": "2", "a": "1"}, Files: []File{{"app", 0o755, []byte("program for " + arch)}}}
}

func pack(t *testing.T, images ...Image) (Archive, map[string][]byte) {
	t.Helper()
	a, err := Pack(name, images...)
	if err != nil {
		t.Fatal(err)
	}
	return a, content(t, a.Text, time.Unix(0, 0))
}

// content of a tarball whose entries all belong to root and have one time.
func content(t *testing.T, text []byte, at time.Time) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	for archive := tar.NewReader(bytes.NewReader(text)); ; {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Typeflag != tar.TypeReg || h.Uid+h.Gid != 0 || h.Uname+h.Gname != "" || !h.ModTime.Equal(at) || files[h.Name] != nil {
			t.Errorf("unexpected entry %+v", h)
		}
		if files[h.Name], err = io.ReadAll(archive); err != nil {
			t.Fatal(err)
		}
	}
}

func read(t *testing.T, text []byte, into any) {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
}

// blob follows a descriptor, which has to tell the truth.
func blob(t *testing.T, files map[string][]byte, d descriptor, mediaType string) []byte {
	t.Helper()
	text, found := files[blobPath(d.Digest)]
	if !found || d.MediaType != mediaType || d.Size != int64(len(text)) || d.Digest != digest(text) {
		t.Fatalf("descriptor %+v of %d bytes, expected a %s", d, len(text), mediaType)
	}
	return text
}

// TestOnePlatform follows index, manifest, config and layer to the program, as those do who import it.
func TestOnePlatform(t *testing.T) {
	a, files := pack(t, image("amd64"))
	if string(files["oci-layout"]) != `{"imageLayoutVersion":"1.0.0"}` || len(files) != 6 {
		t.Errorf("%d files, oci-layout %s", len(files), files["oci-layout"])
	}
	var all index
	read(t, files["index.json"], &all)
	if len(all.Manifests) != 1 || all.Version != 2 || all.MediaType != typeIndex {
		t.Fatalf("%+v", all)
	}
	top := all.Manifests[0]
	if top.Digest != a.Digest || top.Annotations[annotationName] != name || top.Annotations[annotationTag] != "1.0" || *top.Platform != (platform{"amd64", "linux"}) {
		t.Errorf("%+v, digest %s", top, a.Digest)
	}
	verify(t, files, top, "amd64")
	var docker []dockerImage
	read(t, files["manifest.json"], &docker)
	var m manifest
	read(t, blob(t, files, top, typeManifest), &m)
	if len(docker) != 1 || !slices.Equal(docker[0].RepoTags, []string{name}) || docker[0].Config != blobPath(m.Config.Digest) || !slices.Equal(docker[0].Layers, []string{blobPath(m.Layers[0].Digest)}) {
		t.Errorf("%+v", docker)
	}
}

// verify looks at manifest, config and layer of a platform.
func verify(t *testing.T, files map[string][]byte, d descriptor, arch string) {
	t.Helper()
	var m manifest
	read(t, blob(t, files, d, typeManifest), &m)
	var c config
	read(t, blob(t, files, m.Config, typeConfig), &c)
	if m.Version != 2 || m.MediaType != typeManifest || len(m.Layers) != 1 {
		t.Fatalf("%+v", m)
	}
	if c.OS != "linux" || c.Architecture != arch || c.Created != "2026-11-22T12:00:00Z" || c.Config.User != "65532:65532" || !slices.Equal(c.Config.Entrypoint, []string{"/app"}) || c.Config.Labels["a"] != "1" {
		t.Errorf("%+v", c)
	}
	unzipped, err := gzip.NewReader(bytes.NewReader(blob(t, files, m.Layers[0], typeLayer)))
	if err != nil {
		t.Fatal(err)
	}
	layer, err := io.ReadAll(unzipped)
	if err != nil || !slices.Equal(c.RootFS.DiffIDs, []string{digest(layer)}) || c.RootFS.Type != "layers" || !unzipped.ModTime.IsZero() || unzipped.Name != "" {
		t.Errorf("%+v, the layer has %s, gzip tells %+v, error %v", c.RootFS, digest(layer), unzipped.Header, err)
	}
	if inside := content(t, layer, when); len(inside) != 1 || string(inside["app"]) != "program for "+arch {
		t.Errorf("the layer holds %q", inside)
	}
}

// TestPlatforms are told apart by an index, and the digest is the index's.
func TestPlatforms(t *testing.T) {
	a, files := pack(t, image("amd64"), image("arm64"))
	var all, both index
	read(t, files["index.json"], &all)
	read(t, blob(t, files, all.Manifests[0], typeIndex), &both)
	if len(all.Manifests) != 1 || all.Manifests[0].Digest != a.Digest || len(both.Manifests) != 2 {
		t.Fatalf("%+v %+v", all, both)
	}
	for i, arch := range []string{"amd64", "arm64"} {
		if *both.Manifests[i].Platform != (platform{arch, "linux"}) || both.Manifests[i].Annotations != nil {
			t.Errorf("%+v", both.Manifests[i])
		}
		verify(t, files, both.Manifests[i], arch)
	}
	var docker []dockerImage
	if read(t, files["manifest.json"], &docker); len(docker) != 1 {
		t.Errorf("%+v: docker load knows one platform", docker)
	}
}

// TestTheSameBytes come of the same input, whatever the zone of the clock; and other ones of another.
func TestTheSameBytes(t *testing.T) {
	one, _ := pack(t, image("amd64"))
	again := image("amd64")
	again.Created = when.In(time.FixedZone("here", 3600)).Add(time.Millisecond)
	if other, _ := pack(t, again); !bytes.Equal(one.Text, other.Text) {
		t.Error("two runs differ")
	}
	for what, change := range map[string]func(*Image){
		"file":       func(i *Image) { i.Files[0].Text = []byte("another") },
		"mode":       func(i *Image) { i.Files[0].Mode = 0o555 },
		"user":       func(i *Image) { i.User = "1:1" },
		"entrypoint": func(i *Image) { i.Entrypoint = []string{"/b"} },
		"label":      func(i *Image) { i.Labels["a"] = "3" },
		"time":       func(i *Image) { i.Created = when.Add(time.Hour) },
	} {
		i := image("amd64")
		change(&i)
		if other, err := Pack(name, i); err != nil || other.Digest == one.Digest {
			t.Errorf("another %s, and the digest stays, error %v", what, err)
		}
	}
}

func TestNames(t *testing.T) {
	for _, bad := range []string{"", "app", "app:1", "registry.example/app", "registry.example/App:1", "registry.example/app:", "registry.example/app@sha256:0", " registry.example/app:1"} {
		if _, err := Pack(bad, image("amd64")); err == nil || !strings.Contains(err.Error(), "expected the name of an image with registry and tag") {
			t.Errorf("%q: error %v", bad, err)
		}
	}
	for _, good := range []string{"hipaa.test/pause:1", "localhost:5000/a:b", "ghcr.io/hipaatenant/hipaa-tenant-operator:0.2.0"} {
		if _, err := Pack(good, image("amd64")); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	if _, err := Pack(name); err == nil || !strings.Contains(err.Error(), "expected one platform or more") {
		t.Errorf("no platform: error %v", err)
	}
}
