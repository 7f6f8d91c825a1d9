package node

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// cgroups is where they are mounted.
const cgroups = "/sys/fs/cgroup"

// hierarchies are the directories that cgroups are made in: one for each controller, or one for all of them.
func (m machine) hierarchies() []string {
	if m.unified() {
		return []string{m.path(cgroups)}
	}
	found, _ := filepath.Glob(m.path(cgroups, "*", "cgroup.procs")) // the pattern is well formed
	for i, file := range found {
		found[i] = filepath.Dir(file)
	}
	return found
}

// unified says that cgroups are of version 2.
func (m machine) unified() bool {
	_, err := os.Stat(m.path(cgroups, "cgroup.controllers"))
	return err == nil
}

// cgroups of the sandbox of a directory, parents before what lies in them.
func (m machine) cgroups(dir string) []string {
	var found []string
	for _, hierarchy := range m.hierarchies() {
		entries, _ := os.ReadDir(hierarchy) // one that vanishes has none
		for _, entry := range entries {
			if !strings.HasPrefix(entry.Name(), filepath.Base(dir)+"-") {
				continue
			}
			_ = filepath.WalkDir(filepath.Join(hierarchy, entry.Name()), func(path string, entry fs.DirEntry, err error) error {
				if err == nil && entry.IsDir() {
					found = append(found, path)
				}
				return nil // what vanishes meanwhile is no longer to be listed
			})
		}
	}
	return found
}
