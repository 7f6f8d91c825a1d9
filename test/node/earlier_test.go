package node

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/hipaatenant/hipaa-tenant-operator/test/cluster/process"
)

// ended is the record of a program that runs no more.
func ended(t *testing.T) process.Record {
	t.Helper()
	gone := exec.Command("true")
	if err := gone.Run(); err != nil {
		t.Fatal(err)
	}
	return process.Record{Name: "gone", PID: gone.Process.Pid, StartTime: 1}
}

// directory makes one with a note of its owner.
func directory(t *testing.T, name string, mode os.FileMode, owner any) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), name)
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if owner != nil {
		text, err := json.Marshal(owner)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, ownerFile), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(dir, mode); err != nil {
		t.Fatal(err)
	}
	return dir
}

// A directory is removed by a later run only when the program it belonged to has ended, and when nobody else can have made it.
func TestAbandoned(t *testing.T) {
	const name = dirPrefix + "12"
	gone := ended(t)
	link := filepath.Join(t.TempDir(), name)
	if err := os.Symlink(directory(t, name, 0o700, gone), link); err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct {
		dir  string
		want bool
	}{
		"an ended program's":        {directory(t, name, 0o700, gone), true},
		"nobody's":                  {directory(t, name, 0o700, nil), false},
		"a running program's":       {directory(t, name, 0o700, process.Self()), false},
		"an unreadable owner's":     {directory(t, name, 0o700, "text"), false},
		"one that its group writes": {directory(t, name, 0o770, gone), false},
		"one that everybody writes": {directory(t, name, 0o702, gone), false},
		"one that everybody reads":  {directory(t, name, 0o755, gone), true},
		"a link":                    {link, false},
		"one that matches others":   {directory(t, dirPrefix+"*", 0o700, gone), false},
		"one of another name":       {directory(t, dirPrefix+"1x", 0o700, gone), false},
		"one that is not there":     {filepath.Join(t.TempDir(), name), false},
		"one that begins like ours": {directory(t, "x"+name, 0o700, gone), false},
	} {
		if got := abandoned(c.dir); got != c.want {
			t.Errorf("%s: expected %t, found %t", what, c.want, got)
		}
	}
}

// Another user's directory is never gone by. Only root can make one for a test, and only root needs to be told.
func TestAbandonedByAnother(t *testing.T) {
	dir := directory(t, dirPrefix+"12", 0o700, ended(t))
	if !abandoned(dir) {
		t.Fatal("expected this user's directory to be gone by")
	}
	if os.Geteuid() != 0 {
		return
	}
	if err := os.Chown(dir, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	if abandoned(dir) {
		t.Error("expected another user's directory to be left alone")
	}
}

// What a note says is to be put back is done as far as a Trace would have noted it, and not one file further.
func TestRememberedIsChecked(t *testing.T) {
	m, dir := plant(t), directory(t, dirPrefix+"12", 0o700, nil)
	m.mkdir(t, "/etc/empty")
	text, err := json.Marshal(before{
		Settings: map[string][]byte{"kernel.panic": []byte("7\n"), "kernel.core_pattern": []byte("|/tmp/x"), "../../etc/passwd": []byte("root::0:0")},
		Missing:  []string{"/var/lib/cni", "/etc/empty", "/var/lib/../../etc/empty"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, machineFile), text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := m.remembered(dir).Remove(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := m.read(t, "proc/sys/kernel/core_pattern"); got != "core\n" {
		t.Errorf("expected the setting that no Trace notes to be left alone, found %q", got)
	}
	if got := m.read(t, "proc/sys/kernel/panic"); got != "7\n" {
		t.Errorf("expected kernel.panic to be put back to 7, found %q", got)
	}
	if _, err := os.Stat(m.path("/etc/empty")); err != nil {
		t.Errorf("expected the directory that no Trace makes to be left alone: %v", err)
	}
	if _, err := os.Stat(m.path("/var/lib/cni")); err == nil {
		t.Error("expected /var/lib/cni to be removed")
	}
}

// The next run removes what a killed one left, and what others planted beside it is as it was.
func TestMakeDirRemovesWhatIsLeft(t *testing.T) {
	m := plant(t)
	killed := m.enter(t)
	text, err := json.Marshal(ended(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(killed.dir, ownerFile), text, 0o600); err != nil {
		t.Fatal(err)
	}
	planted := filepath.Join(os.TempDir(), dirPrefix+"1")
	if err := os.Rename(directory(t, dirPrefix+"1", 0o777, ended(t)), planted); err != nil {
		t.Fatal(err)
	}
	killed.misuse(t)
	killed.end(t)
	dir, err := m.makeDir(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if own, _, err := killed.Left(); err != nil || len(own) > 0 {
		t.Errorf("expected nothing of the killed run, found %q (%v)", own, err)
	}
	for _, kept := range []string{filepath.Join(planted, ownerFile), filepath.Join(dir, ownerFile)} {
		if _, err := os.Stat(kept); err != nil {
			t.Errorf("expected it to be kept: %v", err)
		}
	}
}
