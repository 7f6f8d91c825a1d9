package node

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hipaatenant/hipaa-tenant-operator/test/cluster/process"
)

// What a sandbox leaves is found, and is gone after Remove.
func TestTraceFindsWhatIsLeft(t *testing.T) {
	dir := filepath.Join(t.TempDir(), dirPrefix+"test")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	trace, err := NewTrace(dir)
	if err != nil {
		t.Fatal(err)
	}
	mine := exec.Command("sh", "-c", "read line; : "+dir)
	end, err := mine.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := mine.Start(); err != nil {
		t.Fatal(err)
	}
	left, err := trace.Left()
	if err != nil {
		t.Fatal(err)
	}
	if left = ours(left, dir); len(left) != 2 || left[0] != "directory "+dir || !strings.HasPrefix(left[1], "process ") {
		t.Errorf("expected the directory and the process, found %q", left)
	}
	if err := end.Close(); err != nil {
		t.Fatal(err)
	}
	_ = mine.Wait() // how it ended is its own matter
	if err := trace.Remove(t.Context()); err != nil {
		t.Fatal(err)
	}
	if left, err := trace.Left(); err != nil || len(ours(left, dir)) > 0 {
		t.Errorf("expected nothing after Remove, found %q (%v)", left, err)
	}
}

// ours are the lines about a directory: others may mount and plug in what they like meanwhile.
func ours(left []string, dir string) []string {
	return slices.DeleteFunc(left, func(line string) bool { return !strings.Contains(line, dir) })
}

// What a killed run would have put back is put back by the next one.
func TestTraceIsRemembered(t *testing.T) {
	dir := t.TempDir()
	trace, err := NewTrace(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(trace.settings) == 0 || !maps.EqualFunc(remembered(dir).settings, trace.settings, bytes.Equal) {
		t.Errorf("expected the settings %q, found %q", trace.settings, remembered(dir).settings)
	}
	if remembered(t.TempDir()).settings != nil {
		t.Error("expected no settings where none were remembered")
	}
}

func TestTraceTellsWhatWasThereBefore(t *testing.T) {
	now := []string{"/", "/proc", "/tmp/new"}
	if got := without(now, []string{"/proc", "/"}); !slices.Equal(got, []string{"/tmp/new"}) {
		t.Errorf("expected the new mount alone, found %q", got)
	}
	found, err := mounts()
	if err != nil || !slices.Contains(found, "/") || !slices.Contains(found, "/proc") {
		t.Errorf("expected / and /proc among the mounts, found %q (%v)", found, err)
	}
	plugged, err := devices()
	if err != nil || !slices.Contains(plugged, "lo") {
		t.Errorf("expected the loopback device, found %q (%v)", plugged, err)
	}
}

// A directory is removed by a later run only when the program it belonged to has ended.
func TestAbandoned(t *testing.T) {
	gone := exec.Command("true")
	if err := gone.Run(); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		owner any
		want  bool
	}{
		"nobody's":          {nil, false},
		"a running program": {process.Self(), false},
		"an ended program":  {process.Record{Name: "gone", PID: gone.Process.Pid, StartTime: 1}, true},
		"unreadable":        {"text", false},
	} {
		dir := t.TempDir()
		if c.owner != nil {
			text, err := json.Marshal(c.owner)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, ownerFile), text, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if got := abandoned(dir); got != c.want {
			t.Errorf("%s: expected %t, found %t", name, c.want, got)
		}
	}
}

func TestNodesDoNotShareAddresses(t *testing.T) {
	a, b := &Node{Name: "a", Number: 1, Dir: "/x/" + dirPrefix + "1"}, &Node{Name: "b", Number: 2, Dir: "/x/" + dirPrefix + "1"}
	for what, get := range map[string]func(*Node) string{
		"address": (*Node).Address, "pods": (*Node).podNet, "socket": (*Node).socket, "cgroup": (*Node).cgroup,
		"files": func(n *Node) string { return n.path("containerd") },
	} {
		if get(a) == get(b) {
			t.Errorf("%s: both nodes have %s", what, get(a))
		}
	}
	if !strings.HasPrefix(a.cgroup(), dirPrefix+"1-") {
		t.Errorf("expected a cgroup that Trace finds, found %s", a.cgroup())
	}
}

func TestFirstLine(t *testing.T) {
	if got := firstLine([]byte("\n refused \nand more")); got != "refused " {
		t.Errorf("found %q", got)
	}
}
