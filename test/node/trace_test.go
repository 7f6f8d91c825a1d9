package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// plant makes a machine of files: with the directories that nodes hide, but for one, two settings, two mounts and a device.
func plant(t *testing.T) machine {
	t.Helper()
	m := machine(t.TempDir())
	for name, text := range map[string]string{
		"proc/self/mountinfo":             "21 1 254:0 / / rw - ext4 /dev/vda rw\n22 21 0:5 / /run rw - tmpfs tmpfs rw\n",
		"proc/sys/vm/overcommit_memory":   "0\n",
		"proc/sys/kernel/panic":           "1\n",
		"proc/sys/kernel/core_pattern":    "core\n",
		"proc/1/cmdline":                  "init\x00",
		"proc/1/cgroup":                   "0::/\n",
		"sys/class/net/lo/mtu":            "65536\n",
		"sys/fs/cgroup/pids/cgroup.procs": "1\n",
	} {
		m.write(t, name, text)
	}
	for _, dir := range hidden {
		if dir != "/var/lib/kubelet" {
			m.mkdir(t, dir)
		}
	}
	return m
}

func (m machine) write(t *testing.T, name, text string) {
	t.Helper()
	m.mkdir(t, filepath.Dir(name))
	if err := os.WriteFile(m.path(name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (m machine) mkdir(t *testing.T, dir string) {
	t.Helper()
	if err := os.MkdirAll(m.path(dir), 0o755); err != nil {
		t.Fatal(err)
	}
}

func (m machine) read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(m.path(name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// enter prepares a machine for a sandbox.
func (m machine) enter(t *testing.T) *Trace {
	t.Helper()
	t.Setenv("TMPDIR", t.TempDir())
	dir, err := m.makeDir(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	trace, err := m.newTrace(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := trace.Prepare(); err != nil {
		t.Fatal(err)
	}
	return trace
}

// misuse leaves on a machine whatever a sandbox could, and something of others.
func (t *Trace) misuse(tt *testing.T) {
	tt.Helper()
	t.on.write(tt, "proc/self/mountinfo", "21 1 254:0 / / rw - ext4 /dev/vda rw\n22 21 0:5 / /run rw - tmpfs tmpfs rw\n"+
		"30 22 0:9 / /run rw - tmpfs sandbox rw\n31 22 0:4 net /run/netns/node-a rw - nsfs nsfs rw\n"+
		"32 21 0:9 / "+t.dir+"/node-a/kubelet/pods/x rw - tmpfs tmpfs rw\n33 22 0:9 / /run/user/1000 rw - tmpfs tmpfs rw\n")
	for name, text := range map[string]string{
		"proc/sys/kernel/panic":        "10\n",
		"proc/sys/kernel/core_pattern": "another's\n",
		"proc/4711/cmdline":            "etcd\x00--data-dir=" + t.dir + "/cluster\x00",
		"proc/4712/cmdline":            "manager\x00",
		"proc/4712/cgroup":             "7:pids:/" + filepath.Base(t.dir) + "-node-a/kubepods/x\n",
		"proc/4713/cmdline":            "etcd\x00--data-dir=" + t.dir + "7/cluster\x00",
		"sys/class/net/nodes0/mtu":     "1500\n",
		"sys/class/net/to-node-a/mtu":  "1500\n",
		"sys/class/net/docker0/mtu":    "1500\n",
	} {
		t.on.write(tt, name, text)
	}
	t.on.mkdir(tt, "sys/fs/cgroup/pids/"+filepath.Base(t.dir)+"-node-a/kubepods")
	t.on.mkdir(tt, "sys/fs/cgroup/pids/docker")
}

// What a sandbox leaves is found, each by its kind; what others did meanwhile is told apart.
func TestTraceFindsWhatIsLeft(t *testing.T) {
	trace := plant(t).enter(t)
	trace.misuse(t)
	own, others, err := trace.Left()
	if err != nil {
		t.Fatal(err)
	}
	groups := "cgroup " + trace.on.path(cgroups, "pids", filepath.Base(trace.dir)+"-node-a")
	expected := []string{
		groups, groups + "/kubepods", "device nodes0", "device to-node-a", "directory " + trace.dir, "directory /var/lib/kubelet",
		"mount " + trace.dir + "/node-a/kubelet/pods/x", "mount /run", "mount /run/netns/node-a",
		"process 4711 etcd --data-dir=" + trace.dir + "/cluster ", "process 4712 manager ", "setting kernel.panic=10, which was 1",
	}
	slices.Sort(expected)
	if !slices.Equal(own, expected) {
		t.Errorf("expected\n%s\nfound\n%s", strings.Join(expected, "\n"), strings.Join(own, "\n"))
	}
	if !slices.Equal(others, []string{"device docker0", "mount /run/user/1000"}) {
		t.Errorf("expected another's mount and device apart, found %q", others)
	}
}

// end is what the kernel does: processes, mounts and devices end with their namespaces.
func (t *Trace) end(tt *testing.T) {
	tt.Helper()
	t.on.write(tt, "proc/self/mountinfo", "21 1 254:0 / / rw - ext4 /dev/vda rw\n22 21 0:5 / /run rw - tmpfs tmpfs rw\n")
	for _, gone := range []string{"proc/4711", "proc/4712", "sys/class/net/nodes0", "sys/class/net/to-node-a"} {
		if err := os.RemoveAll(t.on.path(gone)); err != nil {
			tt.Fatal(err)
		}
	}
}

func TestTraceRemoves(t *testing.T) {
	trace := plant(t).enter(t)
	if _, err := os.Stat(trace.on.path("/var/lib/kubelet")); err != nil {
		t.Fatalf("expected the directory that nodes hide to be made: %v", err)
	}
	trace.misuse(t)
	trace.end(t)
	if err := trace.Remove(t.Context()); err != nil {
		t.Fatal(err)
	}
	if own, _, err := trace.Left(); err != nil || len(own) > 0 {
		t.Errorf("expected nothing after Remove, found %q (%v)", own, err)
	}
	for _, kept := range []string{"/var/lib/cni", "/run", "sys/fs/cgroup/pids/docker"} {
		if _, err := os.Stat(trace.on.path(kept)); err != nil {
			t.Errorf("expected what was there before, or is another's, to be kept: %v", err)
		}
	}
	if got := trace.on.read(t, "proc/sys/kernel/core_pattern"); got != "another's\n" {
		t.Errorf("expected a setting that no node changes to be left alone, found %q", got)
	}
}

// A directory that somebody began to use meanwhile stays, with what is in it, and so does the note of it.
func TestTraceKeepsWhatIsInADirectory(t *testing.T) {
	trace := plant(t).enter(t)
	trace.on.write(t, "/var/lib/kubelet/config.yaml", "another's")
	if err := trace.Remove(t.Context()); err == nil {
		t.Error("expected an error")
	}
	if got := trace.on.read(t, "/var/lib/kubelet/config.yaml"); got != "another's" {
		t.Errorf("found %q", got)
	}
	if own, _, err := trace.Left(); err != nil || !slices.Contains(own, "directory /var/lib/kubelet") || !slices.Contains(own, "directory "+trace.dir) {
		t.Errorf("expected both directories to be told, found %q (%v)", own, err)
	}
}

// Files are removed once nobody can write them any more, and not before; the rest does not wait.
func TestRemoveWaitsForProcesses(t *testing.T) {
	trace := plant(t).enter(t)
	trace.misuse(t)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := trace.Remove(ctx); err == nil || !strings.Contains(err.Error(), "4711 etcd") {
		t.Errorf("expected an error that names the process, found %v", err)
	}
	if _, err := os.Stat(filepath.Join(trace.dir, ownerFile)); err != nil {
		t.Errorf("expected the note for the next run to be kept: %v", err)
	}
	if got := trace.on.read(t, "proc/sys/kernel/panic"); got != "1\n" {
		t.Errorf("expected the setting to be put back, found %q", got)
	}
	trace.end(t)
	if err := trace.Remove(t.Context()); err != nil {
		t.Error(err)
	}
}

// Files that somebody shall read are kept, and no later run removes them.
func TestKeepFiles(t *testing.T) {
	trace := plant(t).enter(t)
	trace.KeepFiles()
	if err := trace.Remove(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(trace.dir, machineFile)); err != nil {
		t.Errorf("expected the files to be kept: %v", err)
	}
	if _, err := os.Stat(filepath.Join(trace.dir, ownerFile)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("expected the directory to be nobody's, found %v", err)
	}
	if own, _, err := trace.Left(); err != nil || len(own) > 0 {
		t.Errorf("expected nothing to be told, found %q (%v)", own, err)
	}
}

// The note of how the machine was is what the run after a killed one goes by.
func TestTraceIsRemembered(t *testing.T) {
	trace := plant(t).enter(t)
	again := trace.on.remembered(trace.dir)
	if len(trace.before.Settings) != 2 || !maps.EqualFunc(again.before.Settings, trace.before.Settings, slices.Equal) {
		t.Errorf("expected two settings, %q, found %q", trace.before.Settings, again.before.Settings)
	}
	if want := []string{"/var/lib/kubelet"}; !slices.Equal(again.before.Missing, want) {
		t.Errorf("expected %q, found %q", want, again.before.Missing)
	}
	if none := trace.on.remembered(t.TempDir()); none.before.Settings != nil || none.before.Missing != nil {
		t.Errorf("expected nothing where nothing was remembered, found %v", none.before)
	}
}

// The machine of tests is made of the same files as this one.
func TestHere(t *testing.T) {
	mounts, err := here.mounts()
	if err != nil {
		t.Fatal(err)
	}
	places := map[string]bool{}
	for m := range mounts {
		places[m.place] = true
	}
	if !places["/"] || !places["/proc"] {
		t.Errorf("expected / and /proc among the mounts, found %v", places)
	}
	if devices, err := here.devices(); err != nil || !devices["lo"] {
		t.Errorf("expected the loopback device, found %v (%v)", devices, err)
	}
	if now, err := here.settings(); err != nil || len(now["kernel.panic"]) == 0 {
		t.Errorf("expected kernel.panic among the settings, found %v (%v)", now, err)
	}
	mine := exec.Command("sh", "-c", "read line; : /x/"+dirPrefix+"1/cluster")
	end, err := mine.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := mine.Start(); err != nil {
		t.Fatal(err)
	}
	if found, err := here.processes("/x/" + dirPrefix + "1"); err != nil || len(found) != 1 || !strings.HasPrefix(found[0], fmt.Sprint(mine.Process.Pid)) {
		t.Errorf("expected process %d, found %q (%v)", mine.Process.Pid, found, err)
	}
	if err := errors.Join(end.Close(), mine.Wait()); err != nil {
		t.Log(err) // how it ended is its own matter
	}
}
