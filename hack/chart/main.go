// Command chart writes the parts of the charts that follow from config/, so that both ways to install the operator give
// the same definitions and the same permissions, and so that the onboarding chart takes exactly what the API takes.
//
//	go run ./hack/chart          write them
//	go run ./hack/chart -check   change nothing; fail when a file is not what would be written
//
// It is run in the root of the repository, by `make generate`.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "chart:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	f := flag.NewFlagSet("chart", flag.ContinueOnError)
	check := f.Bool("check", false, "change nothing, and fail when a file is not what would be written")
	root := f.String("root", ".", "root of the repository")
	if err := f.Parse(args); err != nil {
		return err
	}
	files, err := generate(*root)
	if err != nil {
		return err
	}
	if *check {
		return compare(*root, files)
	}
	return write(*root, files)
}

// file is generated, its path relative to the root of the repository.
type file struct {
	path string
	text []byte
}

func generate(root string) ([]file, error) {
	var files []file
	for _, part := range []struct {
		path string
		text func(root string) ([]byte, error)
	}{
		{"charts/hipaa-tenant-operator/templates/crds.yaml", definitions},
		{"charts/hipaa-tenant-operator/templates/rbac.yaml", permissions},
		{"charts/hipaa-tenant-operator/templates/shred.yaml", shredding},
		{"charts/hipaa-tenant-operator/templates/network-probe.yaml", probing},
		{"charts/hipaa-tenant-operator/templates/monitoring.yaml", monitoring},
		{"charts/hipaa-tenant-operator/" + dashboardFile, dashboard},
		{"charts/hipaa-tenant/values.schema.json", tenantSchema},
	} {
		text, err := part.text(root)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", part.path, err)
		}
		files = append(files, file{part.path, text})
	}
	made, err := presets(root)
	if err != nil {
		return nil, fmt.Errorf("charts/hipaa-tenant/presets: %w", err)
	}
	return append(files, made...), nil
}

func write(root string, files []file) error {
	for _, f := range files {
		if err := os.WriteFile(filepath.Join(root, f.path), f.text, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func compare(root string, files []file) error {
	var stale []string
	for _, f := range files {
		text, err := os.ReadFile(filepath.Join(root, f.path))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if !bytes.Equal(text, f.text) {
			stale = append(stale, f.path)
		}
	}
	if len(stale) > 0 {
		return fmt.Errorf("expected what config/ gives, found something else in %s: run `make generate`, and commit the result", strings.Join(stale, ", "))
	}
	return nil
}
