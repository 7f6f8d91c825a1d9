package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"
)

var when = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// TestArchivesAreReproducible: whatever the order, the machine and the hour, the bytes are the same, and tell none of them.
func TestArchivesAreReproducible(t *testing.T) {
	entries := []entry{{"kubectl-hipaa", 0o755, []byte("binary")}, {"LICENSE", 0o644, []byte("text")}}
	for name, pack := range map[string]func([]entry, time.Time) ([]byte, error){"tar": tarball, "zip": zipfile} {
		one, err := pack(entries, when)
		other, otherErr := pack([]entry{entries[1], entries[0]}, when.In(time.FixedZone("here", 3600)))
		if err := errors.Join(err, otherErr); err != nil || !bytes.Equal(one, other) {
			t.Errorf("%s: two runs differ, error %v", name, err)
		}
		if later, err := pack(entries, when.Add(time.Hour)); err != nil || bytes.Equal(one, later) {
			t.Errorf("%s: the time is not that of the commit, error %v", name, err)
		}
	}
	if entries[0].name != "kubectl-hipaa" {
		t.Error("the caller's entries were sorted")
	}
}

func TestTarball(t *testing.T) {
	text, err := tarball([]entry{{"b", 0o755, []byte("bb")}, {"a", 0o644, []byte("a")}}, when)
	if err != nil {
		t.Fatal(err)
	}
	unzipped, err := gzip.NewReader(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if !unzipped.ModTime.IsZero() || unzipped.Name != "" {
		t.Errorf("gzip tells %v %q", unzipped.ModTime, unzipped.Name)
	}
	archive := tar.NewReader(unzipped)
	for _, want := range []entry{{"a", 0o644, []byte("a")}, {"b", 0o755, []byte("bb")}} {
		h, err := archive.Next()
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(archive)
		if err != nil || h.Name != want.name || h.Mode != want.mode || string(content) != string(want.text) || !h.ModTime.Equal(when) || h.Uid+h.Gid != 0 || h.Uname+h.Gname != "" {
			t.Errorf("%+v %q, error %v", h, content, err)
		}
	}
	back, err := untar(text)
	if err != nil || len(back) != 2 || back[1].name != "b" {
		t.Errorf("read back %v, error %v", back, err)
	}
}

func TestZipfile(t *testing.T) {
	text, err := zipfile([]entry{{"kubectl-hipaa.exe", 0o755, []byte("binary")}}, when)
	if err != nil {
		t.Fatal(err)
	}
	archive, err := zip.NewReader(bytes.NewReader(text), int64(len(text)))
	if err != nil || len(archive.File) != 1 || archive.File[0].Name != "kubectl-hipaa.exe" || !archive.File[0].Modified.Equal(when) {
		t.Errorf("%+v, error %v", archive, err)
	}
}

// TestKrew: the manifest names each archive as it is called, with its own sum.
func TestKrew(t *testing.T) {
	sums := map[platform]string{}
	for _, p := range platforms {
		sums[p] = sum([]byte(p.os + p.arch))
	}
	var plugin struct {
		Metadata struct{ Name string }
		Spec     struct {
			Version   string
			Platforms []struct {
				Selector         struct{ MatchLabels map[string]string }
				URI, SHA256, Bin string
			}
		}
	}
	if err := yaml.UnmarshalStrict(krew("0.2.0", sums), &struct{}{}); err == nil {
		t.Fatal("the manifest is empty")
	}
	if err := yaml.Unmarshal(krew("0.2.0", sums), &plugin); err != nil {
		t.Fatal(err)
	}
	if plugin.Metadata.Name != "hipaa" || plugin.Spec.Version != "v0.2.0" || len(plugin.Spec.Platforms) != len(platforms) {
		t.Errorf("%+v", plugin)
	}
	for _, p := range plugin.Spec.Platforms {
		of := platform{p.Selector.MatchLabels["os"], p.Selector.MatchLabels["arch"]}
		if p.SHA256 != sums[of] || len(p.SHA256) != 64 || !strings.HasSuffix(p.URI, "/v0.2.0/"+of.archive("0.2.0")) || p.Bin != of.binary() {
			t.Errorf("%+v", p)
		}
	}
}

// TestAVersionIsOne, and nothing is removed for what is none.
func TestAVersionIsOne(t *testing.T) {
	for _, bad := range []string{"", "v0.2.0", "0.2", "latest"} {
		if err := run(t.Context(), []string{"-version=" + bad, "-out=/there/is/none"}); err == nil || !strings.Contains(err.Error(), "expected -version such as 0.2.0") {
			t.Errorf("%q: error %v", bad, err)
		}
	}
}
