package node

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
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

// needed are the controllers that a kubelet wants in its cgroup of version 2, as far as the kernel has them.
var needed = []string{"cpu", "cpuset", "hugetlb", "memory", "pids"}

// enabledFile of a cgroup of version 2 names the controllers that the cgroups in it have.
const enabledFile = "cgroup.subtree_control"

// enabled are the controllers of version 2 that cgroups below the root have; nil with version 1, where each has its own hierarchy.
func (m machine) enabled() ([]string, error) {
	if !m.unified() {
		return nil, nil
	}
	text, err := os.ReadFile(m.path(cgroups, enabledFile))
	if err != nil {
		return nil, err
	}
	return strings.Fields(string(text)), nil
}

// lacking are those of the needed controllers that the root has and does not give to cgroups below.
func (m machine) lacking() ([]string, error) {
	enabled, err := m.enabled()
	if err != nil || !m.unified() {
		return nil, err
	}
	offered, err := os.ReadFile(m.path(cgroups, "cgroup.controllers"))
	return slices.DeleteFunc(strings.Fields(string(offered)), func(name string) bool {
		return !slices.Contains(needed, name) || slices.Contains(enabled, name)
	}), err
}

// controllable says why the controllers that a kubelet lacks cannot be enabled. The kernel refuses it in a cgroup that has processes
// and is not the machine's root, as the root that a container sees.
func (m machine) controllable() error {
	lacking, err := m.lacking()
	if err != nil || len(lacking) == 0 {
		return err
	}
	file := m.path(cgroups, enabledFile)
	if err := unix.Access(file, unix.W_OK); err != nil {
		return fmt.Errorf("a kubelet needs the cgroup controllers %s, and %s cannot be written: %w", strings.Join(lacking, ", "), file, err)
	}
	kind, _ := os.ReadFile(m.path(cgroups, "cgroup.type")) // the machine's root has none
	processes, err := os.ReadFile(m.path(cgroups, "cgroup.procs"))
	if err == nil && len(kind) > 0 && len(processes) > 0 {
		err = fmt.Errorf("a kubelet needs the cgroup controllers %s, which %s cannot pass on: it is not the machine's root, and has processes of its own: %w",
			strings.Join(lacking, ", "), m.path(cgroups), syscall.EBUSY)
	}
	return err
}

// enable gives the cgroups below the root the controllers that a kubelet needs.
func (m machine) enable() error {
	lacking, err := m.lacking()
	if err != nil || len(lacking) == 0 {
		return err
	}
	if err := m.control("+" + strings.Join(lacking, " +")); err != nil {
		return fmt.Errorf("%w: enabling the cgroup controllers %s: %w", ErrImpossible, strings.Join(lacking, ", "), err)
	}
	return nil
}

// disable takes controllers away again that the cgroups below the root did not have before: those that enable gave them, and those
// that the container runtime did. One that somebody else uses by now is busy, and stays.
func (m machine) disable(before []string) error {
	now, err := m.enabled()
	problems := []error{err}
	for _, name := range now {
		if slices.Contains(before, name) {
			continue
		}
		if err := m.control("-" + name); !errors.Is(err, syscall.EBUSY) {
			problems = append(problems, err)
		}
	}
	return errors.Join(problems...)
}

func (m machine) control(change string) error {
	return os.WriteFile(m.path(cgroups, enabledFile), []byte(change), 0o600)
}
