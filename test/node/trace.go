package node

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/hipaatenant/hipaa-tenant-operator/test/cluster/process"
)

// cgroups is where they are mounted.
const cgroups = "/sys/fs/cgroup"

// hierarchies are the directories that cgroups are made in: one for each controller, or one for all of them.
func hierarchies() []string {
	if _, err := os.Stat(filepath.Join(cgroups, "cgroup.controllers")); err == nil {
		return []string{cgroups}
	}
	found, _ := filepath.Glob(filepath.Join(cgroups, "*", "cgroup.procs")) // the pattern is well formed
	for i, file := range found {
		found[i] = filepath.Dir(file)
	}
	return found
}

// settings are those of the kernel that a kubelet changes for the whole machine.
var settings = []string{
	"vm.overcommit_memory", "vm.panic_on_oom", "kernel.panic", "kernel.panic_on_oops", "kernel.keys.root_maxkeys", "kernel.keys.root_maxbytes",
}

// dirPrefix starts the name of a sandbox's directory, and of its nodes' cgroups.
const dirPrefix = "hipaa-e2e-"

// MakeDir makes the directory of a sandbox, once it has removed what earlier ones left that were killed together with the program
// that would have removed it.
func MakeDir(ctx context.Context) (string, error) {
	earlier, err := filepath.Glob(filepath.Join(os.TempDir(), dirPrefix+"*"))
	if err != nil {
		return "", err
	}
	for _, dir := range earlier {
		if !abandoned(dir) {
			continue
		}
		if err := remembered(dir).Remove(ctx); err != nil {
			return "", fmt.Errorf("removing what an earlier run left: %w", err)
		}
	}
	dir, err := os.MkdirTemp("", dirPrefix)
	if err != nil {
		return "", err
	}
	text, err := json.Marshal(process.Self())
	return dir, errors.Join(err, os.WriteFile(filepath.Join(dir, ownerFile), text, 0o600))
}

// ownerFile names the program that a directory belongs to, as long as it has to be removed.
const ownerFile = "owner.json"

// abandoned says that a directory was to be removed by a program that has ended.
func abandoned(dir string) bool {
	text, err := os.ReadFile(filepath.Join(dir, ownerFile))
	var owner process.Record
	if err != nil || json.Unmarshal(text, &owner) != nil {
		return false
	}
	_, running := process.Find(owner)
	return !running
}

// machineFile is where a Trace remembers the machine's settings, for a later run to put them back.
const machineFile = "machine.json"

// remembered is the Trace of a run that was killed.
func remembered(dir string) *Trace {
	t := &Trace{dir: dir}
	if text, err := os.ReadFile(filepath.Join(dir, machineFile)); err == nil {
		_ = json.Unmarshal(text, &t.settings) // without them there is still the rest to remove
	}
	return t
}

// Trace is what a sandbox leaves behind outside its namespaces, and how the machine was before.
type Trace struct {
	dir      string
	keep     bool
	settings map[string][]byte
	mounts   []string
	devices  []string
}

// NewTrace looks at the machine before a sandbox is entered that keeps its files in a directory.
func NewTrace(dir string) (*Trace, error) {
	t := &Trace{dir: dir, settings: map[string][]byte{}}
	for _, name := range settings {
		text, err := os.ReadFile(settingPath(name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		t.settings[name] = text
	}
	var err error
	if t.mounts, err = mounts(); err != nil {
		return nil, err
	}
	if t.devices, err = devices(); err != nil {
		return nil, err
	}
	text, err := json.Marshal(t.settings)
	return t, errors.Join(err, os.WriteFile(filepath.Join(dir, machineFile), text, 0o600))
}

// KeepFiles has Remove leave the files, for somebody to read.
func (t *Trace) KeepFiles() error {
	t.keep = true
	return os.Remove(filepath.Join(t.dir, ownerFile))
}

// Remove takes away what the sandbox left: its cgroups, its changes of the kernel's settings, its files.
func (t *Trace) Remove(ctx context.Context) error {
	var problems []error
	for name, was := range t.settings {
		if now, err := os.ReadFile(settingPath(name)); err == nil && !bytes.Equal(now, was) {
			problems = append(problems, os.WriteFile(settingPath(name), was, 0o600))
		}
	}
	// A cgroup can be removed once the last of its processes is gone, which a kill takes a moment for.
	err := wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, 15*time.Second, true, func(context.Context) (bool, error) {
		for _, dir := range slices.Backward(t.cgroups()) { // what lies deeper comes later
			_ = os.Remove(dir) // tried again while it is there
		}
		return len(t.cgroups()) == 0, nil
	})
	if err != nil {
		problems = append(problems, fmt.Errorf("removing cgroups: %w", err))
	}
	if !t.keep {
		problems = append(problems, os.RemoveAll(t.dir))
	}
	return errors.Join(problems...)
}

// Left lists what is still there of the sandbox, a line each. Nothing is after Remove.
func (t *Trace) Left() ([]string, error) {
	var left []string
	processes, err := t.processes()
	if err != nil {
		return nil, err
	}
	now, err := mounts()
	if err != nil {
		return nil, err
	}
	plugged, err := devices()
	if err != nil {
		return nil, err
	}
	for kind, found := range map[string][]string{
		"process": processes, "mount": without(now, t.mounts), "device": without(plugged, t.devices), "cgroup": t.cgroups(),
	} {
		for _, one := range found {
			left = append(left, kind+" "+one)
		}
	}
	for name, was := range t.settings {
		if text, err := os.ReadFile(settingPath(name)); err == nil && !bytes.Equal(text, was) {
			left = append(left, fmt.Sprintf("setting %s=%s, which was %s", name, bytes.TrimSpace(text), bytes.TrimSpace(was)))
		}
	}
	if _, err := os.Stat(t.dir); err == nil && !t.keep {
		left = append(left, "directory "+t.dir)
	}
	slices.Sort(left)
	return left, nil
}

// cgroups of the sandbox, parents before what lies in them.
func (t *Trace) cgroups() []string {
	var found []string
	for _, hierarchy := range hierarchies() {
		own, _ := filepath.Glob(filepath.Join(hierarchy, filepath.Base(t.dir)+"-*")) // the pattern is well formed
		for _, top := range own {
			_ = filepath.WalkDir(top, func(path string, entry fs.DirEntry, err error) error {
				if err == nil && entry.IsDir() {
					found = append(found, path)
				}
				return nil // what vanishes meanwhile is no longer to be listed
			})
		}
	}
	return found
}

// processes that belong to the sandbox: by their cgroup, or by what they were started with.
func (t *Trace) processes() ([]string, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	var found []string
	for _, entry := range entries {
		if strings.Trim(entry.Name(), "0123456789") != "" || entry.Name() == fmt.Sprint(os.Getpid()) {
			continue
		}
		command, err := os.ReadFile(filepath.Join("/proc", entry.Name(), "cmdline"))
		if err != nil {
			continue // it has ended
		}
		group, _ := os.ReadFile(filepath.Join("/proc", entry.Name(), "cgroup"))
		if bytes.Contains(command, []byte(t.dir)) || bytes.Contains(group, []byte("/"+filepath.Base(t.dir)+"-")) {
			found = append(found, entry.Name()+" "+string(bytes.ReplaceAll(command, []byte{0}, []byte(" "))))
		}
	}
	return found, nil
}

// mounts of the machine, by where they are.
func mounts() ([]string, error) {
	text, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return nil, err
	}
	found := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) > 1 {
			found[fields[1]] = true
		}
	}
	return slices.Sorted(maps.Keys(found)), nil
}

// devices are the network's.
func devices() ([]string, error) {
	entries, err := os.ReadDir("/sys/class/net")
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names, err
}

func without(all, known []string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(one string) bool { return slices.Contains(known, one) })
}

func settingPath(name string) string { return "/proc/sys/" + strings.ReplaceAll(name, ".", "/") }

func firstLine(text []byte) string {
	line, _, _ := strings.Cut(strings.TrimSpace(string(text)), "\n")
	return line
}

// run starts a command from a thread that lives as long as it, because the kernel takes the end of the thread for that of the
// parent, and waits for its end.
func run(cmd *exec.Cmd) error {
	ended := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		ended <- cmd.Run()
	}()
	return <-ended
}
