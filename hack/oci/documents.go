package oci

import (
	"encoding/json"
	"strings"
	"time"
)

// Media types of the OCI image specification 1.1.
const (
	typeIndex    = "application/vnd.oci.image.index.v1+json"
	typeManifest = "application/vnd.oci.image.manifest.v1+json"
	typeConfig   = "application/vnd.oci.image.config.v1+json"
	typeLayer    = "application/vnd.oci.image.layer.v1.tar+gzip"
)

// Annotations of the index, which tell an importer how the image is called.
const (
	annotationName = "io.containerd.image.name"          // with registry and tag
	annotationTag  = "org.opencontainers.image.ref.name" // the tag alone
)

type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Size        int64             `json:"size"`
	Annotations map[string]string `json:"annotations,omitempty"`
	Platform    *platform         `json:"platform,omitempty"`
}

type platform struct {
	Architecture string `json:"architecture"`
	OS           string `json:"os"`
}

type index struct {
	Version   int          `json:"schemaVersion"`
	MediaType string       `json:"mediaType"`
	Manifests []descriptor `json:"manifests"`
}

type manifest struct {
	Version   int          `json:"schemaVersion"`
	MediaType string       `json:"mediaType"`
	Config    descriptor   `json:"config"`
	Layers    []descriptor `json:"layers"`
}

type config struct {
	Created      string    `json:"created"`
	Architecture string    `json:"architecture"`
	OS           string    `json:"os"`
	Config       execution `json:"config"`
	RootFS       rootFS    `json:"rootfs"`
	History      []history `json:"history"`
}

type execution struct {
	User       string            `json:"User,omitempty"`
	Entrypoint []string          `json:"Entrypoint,omitempty"`
	Labels     map[string]string `json:"Labels,omitempty"`
}

type rootFS struct {
	Type    string   `json:"type"`
	DiffIDs []string `json:"diff_ids"`
}

type history struct {
	Created   string `json:"created"`
	CreatedBy string `json:"created_by"`
}

// dockerImage is an entry of manifest.json, which `docker load` reads.
type dockerImage struct {
	Config   string
	RepoTags []string
	Layers   []string
}

// document adds a JSON document as a blob.
func (p *packer) document(mediaType string, what any) (descriptor, error) {
	text, err := json.Marshal(what)
	return p.blob(mediaType, text), err
}

// archive holds the blobs and what leads to them.
func (p *packer) archive(top descriptor) ([]byte, error) {
	top.Annotations = map[string]string{annotationName: p.name, annotationTag: p.name[strings.LastIndex(p.name, ":")+1:]}
	files := []File{{"oci-layout", 0o644, []byte(`{"imageLayoutVersion":"1.0.0"}`)}}
	for _, document := range []struct {
		name string
		what any
	}{
		{"index.json", index{Version: 2, MediaType: typeIndex, Manifests: []descriptor{top}}},
		{"manifest.json", p.docker},
	} {
		text, err := json.Marshal(document.what)
		if err != nil {
			return nil, err
		}
		files = append(files, File{document.name, 0o644, text})
	}
	return tarball(append(files, p.blobs...), time.Unix(0, 0))
}
