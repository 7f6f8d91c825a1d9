package node

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// machine is what a sandbox runs on, by its root directory. Tests have one in a directory of theirs.
type machine string

// here is this machine.
const here machine = "/"

func (m machine) path(elem ...string) string {
	return filepath.Join(append([]string{string(m)}, elem...)...)
}

// kernelSettings are those that a kubelet changes for the whole machine.
var kernelSettings = []string{
	"vm.overcommit_memory", "vm.panic_on_oom", "kernel.panic", "kernel.panic_on_oops", "kernel.keys.root_maxkeys", "kernel.keys.root_maxbytes",
}

// settings are what the kernelSettings are now, as far as this kernel has them.
func (m machine) settings() (map[string][]byte, error) {
	now := map[string][]byte{}
	for _, name := range kernelSettings {
		text, err := os.ReadFile(m.settingPath(name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		if err == nil {
			now[name] = text
		}
	}
	return now, nil
}

func (m machine) set(name string, value []byte) error {
	return os.WriteFile(m.settingPath(name), value, 0o600)
}

func (m machine) settingPath(name string) string {
	return m.path("proc", "sys", strings.ReplaceAll(name, ".", "/"))
}

// missing are those of the lineage of directories that are not there, parents first.
func (m machine) missing(dirs []string) (missing []string, err error) {
	for _, dir := range lineage(dirs) {
		switch _, err := os.Stat(m.path(dir)); {
		case errors.Is(err, fs.ErrNotExist):
			missing = append(missing, dir)
		case err != nil:
			return nil, err
		}
	}
	return missing, nil
}

// lineage of directories: they and all that they lie in, but for the root, parents first.
func lineage(dirs []string) []string {
	all := map[string]bool{}
	for _, dir := range dirs {
		for ; dir != "/"; dir = filepath.Dir(dir) {
			all[dir] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// mount is one of the machine's: its number tells it from an earlier one in the same place.
type mount struct{ number, place string }

// mounts are those of this program's mount namespace.
func (m machine) mounts() (map[mount]bool, error) {
	text, err := os.ReadFile(m.path("proc", "self", "mountinfo"))
	if err != nil {
		return nil, err
	}
	found := map[mount]bool{}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) > 4 { // proc_pid_mountinfo(5)
			found[mount{fields[0], fields[4]}] = true
		}
	}
	return found, nil
}

// devices are the network's, by name.
func (m machine) devices() (map[string]bool, error) {
	entries, err := os.ReadDir(m.path("sys", "class", "net"))
	found := map[string]bool{}
	for _, entry := range entries {
		found[entry.Name()] = true
	}
	return found, err
}

// processes that belong to the sandbox of a directory: by their cgroup, or by what they were started with.
func (m machine) processes(dir string) ([]string, error) {
	entries, err := os.ReadDir(m.path("proc"))
	if err != nil {
		return nil, err
	}
	named := regexp.MustCompile(regexp.QuoteMeta(dir) + "([^0-9]|$)") // and no other whose name begins alike
	var found []string
	for _, entry := range entries {
		if strings.Trim(entry.Name(), "0123456789") != "" || entry.Name() == fmt.Sprint(os.Getpid()) {
			continue
		}
		command, err := os.ReadFile(m.path("proc", entry.Name(), "cmdline"))
		if err != nil {
			continue // it has ended
		}
		group, _ := os.ReadFile(m.path("proc", entry.Name(), "cgroup"))
		if named.Match(command) || bytes.Contains(group, []byte("/"+filepath.Base(dir)+"-")) {
			found = append(found, entry.Name()+" "+string(bytes.ReplaceAll(command, []byte{0}, []byte(" "))))
		}
	}
	return found, nil
}
