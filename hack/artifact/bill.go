package artifact

import (
	"bytes"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/json"
	"fmt"
	"runtime/debug"
	"strings"
	"time"
)

// bill of materials in the form of CycloneDX 1.6, as far as it says what is linked.
type bill struct {
	Format      string      `json:"bomFormat"`
	SpecVersion string      `json:"specVersion"`
	Version     int         `json:"version"`
	Metadata    metadata    `json:"metadata"`
	Components  []component `json:"components"`
}

type metadata struct {
	Timestamp string    `json:"timestamp"`
	Component component `json:"component"`
}

type component struct {
	Type       string     `json:"type"`
	Reference  string     `json:"bom-ref,omitempty"`
	Name       string     `json:"name"`
	Version    string     `json:"version"`
	Hashes     []hash     `json:"hashes,omitempty"`
	PURL       string     `json:"purl,omitempty"`
	Properties []property `json:"properties,omitempty"`
}

type hash struct {
	Algorithm string `json:"alg"`
	Content   string `json:"content"`
}

type property struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Bill lists what is linked in a program, from what Go recorded in these very bytes: what is there, not what might be.
func Bill(name, version string, when time.Time, binary []byte) ([]byte, error) {
	info, err := buildinfo.Read(bytes.NewReader(binary))
	if err != nil {
		return nil, fmt.Errorf("reading what %s was built from: %w", name, err)
	}
	return marshal(when, application(name, version, binary), linked(info))
}

// ImageBill lists what an image holds: one program, and what is linked in it. The image is the one with the digest, under the
// name that Reference describes.
func ImageBill(image, digest string, when time.Time, program string, binary []byte) ([]byte, error) {
	info, err := buildinfo.Read(bytes.NewReader(binary))
	if err != nil {
		return nil, fmt.Errorf("reading what %s was built from: %w", program, err)
	}
	colon := strings.LastIndex(image, ":")
	repository, tag := image[:colon], image[colon+1:]
	// The digest is of all architectures together, so a bill says which of them it is about.
	purl := fmt.Sprintf("pkg:oci/%s@%s?arch=%s&repository_url=%s&tag=%s",
		repository[strings.LastIndex(repository, "/")+1:], strings.Replace(digest, ":", "%3A", 1), setting(info, "GOARCH"), repository, tag)
	whole := component{Type: "container", Reference: purl, Name: repository, Version: digest, PURL: purl}
	return marshal(when, whole, append([]component{application(program, tag, binary)}, linked(info)...))
}

func application(name, version string, binary []byte) component {
	return component{Type: "application", Reference: name, Name: name, Version: version,
		Hashes: []hash{{"SHA-256", fmt.Sprintf("%x", sha256.Sum256(binary))}}}
}

// setting of the build, as Go recorded it.
func setting(info *debug.BuildInfo, key string) string {
	for _, s := range info.Settings {
		if s.Key == key {
			return s.Value
		}
	}
	return ""
}

// linked are the standard library and the modules; of one that was replaced, what stands for it. Databases of vulnerabilities know
// the library as stdlib, by its version without the letters before and the settings behind.
func linked(info *debug.BuildInfo) []component {
	version, _, _ := strings.Cut(strings.TrimPrefix(info.GoVersion, "go"), " ")
	stdlib := "pkg:golang/stdlib@" + version
	all := []component{{Type: "library", Name: "stdlib", Version: version, PURL: stdlib, Reference: stdlib}}
	for _, module := range info.Deps {
		if module.Replace != nil {
			module = module.Replace
		}
		purl := "pkg:golang/" + module.Path + "@" + module.Version
		all = append(all, component{
			Type: "library", Reference: purl, Name: module.Path, Version: module.Version, PURL: purl,
			Properties: []property{{"go:sum", module.Sum}},
		})
	}
	return all
}

func marshal(when time.Time, what component, parts []component) ([]byte, error) {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false) // a package's URL has an ampersand
	e.SetIndent("", "  ")
	err := e.Encode(bill{
		Format: "CycloneDX", SpecVersion: "1.6", Version: 1,
		Metadata: metadata{when.Format(time.RFC3339), what}, Components: parts,
	})
	return out.Bytes(), err
}
