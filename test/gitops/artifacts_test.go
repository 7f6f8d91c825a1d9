package gitops

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// artifacts serves tarballs, as source-controller does.
type artifacts struct {
	server *httptest.Server
	mu     sync.Mutex
	files  map[string][]byte
	latest map[string]artifact
}

type artifact struct {
	url, path, sha256 string
	size              int
}

func serveArtifacts() *artifacts {
	a := &artifacts{files: map[string][]byte{}, latest: map[string]artifact{}}
	a.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.mu.Lock()
		defer a.mu.Unlock()
		body, found := a.files[r.URL.Path]
		if !found {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write(body)
	}))
	return a
}

// Close stops serving.
func (a *artifacts) Close() error {
	a.server.Close()
	return nil
}

// add makes the files what the repository holds.
func (a *artifacts) add(repository string, files map[string][]byte) artifact {
	GinkgoHelper()
	var body bytes.Buffer
	zipped := gzip.NewWriter(&body)
	archive := tar.NewWriter(zipped)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		Expect(archive.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: int64(len(files[name]))})).To(Succeed())
		_, err := archive.Write(files[name])
		Expect(err).NotTo(HaveOccurred())
	}
	Expect(archive.Close()).To(Succeed())
	Expect(zipped.Close()).To(Succeed())
	sum := sha256.Sum256(body.Bytes())
	made := artifact{sha256: hex.EncodeToString(sum[:]), size: body.Len()}
	made.path = repository + "/" + made.sha256 + ".tar.gz"
	made.url = a.server.URL + "/" + made.path
	a.mu.Lock()
	defer a.mu.Unlock()
	a.files["/"+made.path], a.latest[repository] = body.Bytes(), made
	return made
}

// revision of what a repository holds.
func (a *artifacts) revision(repository string) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return "main@sha1:" + a.latest[repository].sha256[:40]
}
