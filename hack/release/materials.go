package main

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"encoding/json"
	"runtime/debug"
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
	PURL       string     `json:"purl,omitempty"`
	Properties []property `json:"properties,omitempty"`
}

type property struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// materials writes a bill for each binary, from what Go recorded in it: what is linked, not what might be.
func (r *release) materials(ctx context.Context) error {
	for _, name := range []string{"manager", "kubectl-hipaa"} {
		binary, err := r.build(ctx, platform{"linux", "amd64"}, "./cmd/"+name)
		if err != nil {
			return err
		}
		info, err := buildinfo.Read(bytes.NewReader(binary))
		if err != nil {
			return err
		}
		text, err := billOf(name, r.version, r.when, info)
		if err != nil {
			return err
		}
		if err := r.write(name+"_"+r.version+".cdx.json", text); err != nil {
			return err
		}
	}
	return nil
}

func billOf(name, version string, when time.Time, info *debug.BuildInfo) ([]byte, error) {
	b := bill{
		Format: "CycloneDX", SpecVersion: "1.6", Version: 1,
		Metadata: metadata{when.Format(time.RFC3339), component{Type: "application", Reference: name, Name: name, Version: version}},
		Components: []component{{
			Type: "platform", Name: "go", Version: info.GoVersion, PURL: "pkg:golang/stdlib@" + info.GoVersion, Reference: "go",
		}},
	}
	for _, module := range info.Deps {
		if module.Replace != nil {
			module = module.Replace
		}
		purl := "pkg:golang/" + module.Path + "@" + module.Version
		b.Components = append(b.Components, component{
			Type: "library", Reference: purl, Name: module.Path, Version: module.Version, PURL: purl,
			Properties: []property{{"go:sum", module.Sum}},
		})
	}
	text, err := json.MarshalIndent(b, "", "  ")
	return append(text, '\n'), err
}
