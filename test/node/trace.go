package node

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
)

// Trace is what a sandbox leaves behind outside its namespaces, and how the machine was before.
type Trace struct {
	dir     string
	on      machine
	keep    bool
	before  before
	mounts  map[mount]bool
	devices map[string]bool
}

// before is how a machine was, as far as a sandbox changes it. It lies in the machineFile, for a later run to put it back.
type before struct {
	// Settings of the kernel.
	Settings map[string][]byte `json:"settings,omitempty"`
	// Missing directories of the system that Prepare makes, parents first.
	Missing []string `json:"missing,omitempty"`
	// Controllers that cgroups of version 2 had; nil with version 1, and where nobody knows.
	Controllers []string `json:"controllers"`
}

// machineFile is where a Trace remembers how the machine was.
const machineFile = "machine.json"

// NewTrace looks at the machine before a sandbox is entered that keeps its files in a directory.
func NewTrace(dir string) (*Trace, error) { return here.newTrace(dir) }

func (m machine) newTrace(dir string) (t *Trace, err error) {
	t = &Trace{dir: dir, on: m}
	if t.before.Settings, err = m.settings(); err != nil {
		return nil, err
	}
	if t.before.Missing, err = m.missing(hidden); err != nil {
		return nil, err
	}
	if t.before.Controllers, err = m.enabled(); err != nil {
		return nil, err
	}
	if t.mounts, err = m.mounts(); err != nil {
		return nil, err
	}
	if t.devices, err = m.devices(); err != nil {
		return nil, err
	}
	text, err := json.Marshal(t.before)
	return t, errors.Join(err, os.WriteFile(filepath.Join(dir, machineFile), text, 0o600))
}

// Prepare makes what the sandbox needs and cannot make inside without leaving it behind: the directories it mounts over, and
// controllers for its cgroups.
func (t *Trace) Prepare() error {
	for _, dir := range t.before.Missing {
		if err := os.Mkdir(t.on.path(dir), 0o755); err != nil {
			return err
		}
	}
	return t.on.enable()
}

// KeepFiles has Remove leave the files, for somebody to read.
func (t *Trace) KeepFiles() { t.keep = true }

// Remove takes away what the sandbox left: its cgroups, its changes of the kernel's settings, the directories it was prepared
// with, its files. The files stay where something else could not be removed: by their note of it the next run tries again.
func (t *Trace) Remove(ctx context.Context) error {
	problems := []error{t.awaitEnd(ctx)}
	for name, was := range t.before.Settings {
		if now, err := os.ReadFile(t.on.settingPath(name)); err == nil && !bytes.Equal(now, was) {
			problems = append(problems, t.on.set(name, was))
		}
	}
	for _, dir := range slices.Backward(t.before.Missing) {
		if err := os.Remove(t.on.path(dir)); !errors.Is(err, fs.ErrNotExist) {
			problems = append(problems, err)
		}
	}
	if t.before.Controllers != nil {
		problems = append(problems, t.on.disable(t.before.Controllers))
	}
	switch err := errors.Join(problems...); {
	case err != nil:
		return err
	case t.keep:
		return os.Remove(filepath.Join(t.dir, ownerFile))
	}
	return os.RemoveAll(t.dir)
}

// awaitEnd removes the sandbox's cgroups, which can be done once the last of their processes is gone, and waits for every other
// process as well: one that still writes would have files again where they were just removed.
func (t *Trace) awaitEnd(ctx context.Context) error {
	var processes []string
	err := wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, 15*time.Second, true, func(context.Context) (done bool, err error) {
		for _, dir := range slices.Backward(t.on.cgroups(t.dir)) { // what lies deeper comes later
			_ = os.Remove(dir) // tried again while it is there
		}
		processes, err = t.on.processes(t.dir)
		return err == nil && len(processes) == 0 && len(t.on.cgroups(t.dir)) == 0, err
	})
	if err != nil {
		return fmt.Errorf("waiting for the end of %d cgroups and of these processes: %q: %w", len(t.on.cgroups(t.dir)), processes, err)
	}
	return nil
}

// Left lists what is still there of the sandbox, a line each: nothing is after Remove. What others may have mounted and plugged in
// meanwhile is listed apart.
func (t *Trace) Left() (own, others []string, err error) {
	processes, err := t.on.processes(t.dir)
	if err != nil {
		return nil, nil, err
	}
	mounts, err := t.on.mounts()
	if err != nil {
		return nil, nil, err
	}
	devices, err := t.on.devices()
	if err != nil {
		return nil, nil, err
	}
	add := func(mine bool, line string) {
		if mine {
			own = append(own, line)
		} else {
			others = append(others, line)
		}
	}
	for m := range mounts {
		if !t.mounts[m] {
			add(t.mounted(m.place), "mount "+m.place)
		}
	}
	for name := range devices {
		if !t.devices[name] {
			add(plugged(name), "device "+name)
		}
	}
	for kind, found := range map[string][]string{"process": processes, "cgroup": t.on.cgroups(t.dir), "setting": t.changed(), "directory": t.directories()} {
		for _, one := range found {
			add(true, kind+" "+one)
		}
	}
	slices.Sort(own)
	slices.Sort(others)
	return own, others, nil
}

// mounted says that sandboxes mount in this place: over the directories they hide, for the nodes' networks, and for pods.
func (t *Trace) mounted(place string) bool {
	return slices.Contains(hidden, place) || strings.HasPrefix(place, netns+"/") || place == t.dir || strings.HasPrefix(place, t.dir+"/")
}

// changed are the kernel's settings that are not as they were.
func (t *Trace) changed() (changed []string) {
	for name, was := range t.before.Settings {
		if now, err := os.ReadFile(t.on.settingPath(name)); err == nil && !bytes.Equal(now, was) {
			changed = append(changed, fmt.Sprintf("%s=%s, which was %s", name, bytes.TrimSpace(now), bytes.TrimSpace(was)))
		}
	}
	return changed
}

// directories that were to be removed.
func (t *Trace) directories() (found []string) {
	for _, dir := range t.before.Missing {
		if _, err := os.Lstat(t.on.path(dir)); err == nil {
			found = append(found, dir)
		}
	}
	if _, err := os.Lstat(t.dir); err == nil && !t.keep {
		found = append(found, t.dir)
	}
	return found
}
