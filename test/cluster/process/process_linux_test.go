package process_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hipaatenant/hipaa-tenant-operator/test/cluster/process"
)

// childVariable turns this test program into one that starts a process of the given kind, and ends as
// endVariable says.
const (
	childVariable = "HIPAA_PROCESS_TEST_CHILD"
	endVariable   = "HIPAA_PROCESS_TEST_END"
	dirVariable   = "HIPAA_PROCESS_TEST_DIR"
)

func TestMain(m *testing.M) {
	if kind := os.Getenv(childVariable); kind != "" {
		os.Exit(runChild(kind))
	}
	os.Exit(m.Run())
}

func runChild(kind string) int {
	p, err := process.Start(process.Spec{
		Name: kind, Command: []string{"sleep", "600"}, Log: filepath.Join(os.Getenv(dirVariable), "log"), Detached: kind == "detached",
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if err := json.NewEncoder(os.Stdout).Encode(p.Record()); err != nil {
		return 1
	}
	switch os.Getenv(endVariable) {
	case "return":
		return 0
	case "panic":
		panic("as asked")
	}
	select {}
}

func start(t *testing.T, command ...string) *process.Process {
	t.Helper()
	p, err := process.Start(process.Spec{Name: "it", Command: command, Log: filepath.Join(t.TempDir(), "log")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Stop(0); err != nil {
			t.Error(err)
		}
	})
	return p
}

// shell starts a script, and waits until it has printed "ready".
func shell(t *testing.T, script string) *process.Process {
	t.Helper()
	p := start(t, "sh", "-c", script+"\necho ready\nwhile :; do sleep 0.02; done")
	within(t, 10*time.Second, func() bool { return strings.Contains(p.LogTail(1000), "ready\n") })
	return p
}

func within(t *testing.T, deadline time.Duration, ok func() bool) {
	t.Helper()
	timeout := time.After(deadline)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-timeout:
			t.Fatalf("not so after %s", deadline)
		case <-tick.C:
		}
	}
}

func TestOutputGoesToTheLog(t *testing.T) {
	p := start(t, "sh", "-c", "echo out; echo err >&2")
	<-p.Done()
	if got := p.LogTail(1000); got != "out\nerr\n" {
		t.Errorf("expected both streams, found %q", got)
	}
	if p.Err() != nil || p.Running() {
		t.Errorf("expected exit code 0 and an end, found %v, running %v", p.Err(), p.Running())
	}
}

func TestStartAppendsToTheLog(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log")
	for range 2 {
		p, err := process.Start(process.Spec{Name: "it", Command: []string{"echo", "line"}, Log: log})
		if err != nil {
			t.Fatal(err)
		}
		<-p.Done()
	}
	if got := process.Tail(log, 100); got != "line\nline\n" {
		t.Errorf("expected the logs of both starts, found %q", got)
	}
}

func TestEnvironmentAndDirectory(t *testing.T) {
	dir := t.TempDir()
	p, err := process.Start(process.Spec{
		Name: "it", Command: []string{"/bin/sh", "-c", `echo "$A $HOME"; pwd`}, Dir: dir, Env: []string{"A=1"}, Log: filepath.Join(dir, "log"),
	})
	if err != nil {
		t.Fatal(err)
	}
	<-p.Done()
	if got, want := p.LogTail(1000), "1 \n"+dir+"\n"; got != want {
		t.Errorf("expected %q, found %q", want, got)
	}
}

func TestExitCodeIsKept(t *testing.T) {
	p := start(t, "sh", "-c", "exit 7")
	<-p.Done()
	var exit *exec.ExitError
	if !errors.As(p.Err(), &exit) || exit.ExitCode() != 7 {
		t.Errorf("expected exit code 7, found %v", p.Err())
	}
	if err := p.Stop(time.Second); err != nil {
		t.Errorf("expected no error for stopping what has ended, found %v", err)
	}
}

func TestStartFails(t *testing.T) {
	dir := t.TempDir()
	for name, spec := range map[string]process.Spec{
		"no command":       {Name: "it", Log: filepath.Join(dir, "log")},
		"no such program":  {Name: "it", Command: []string{filepath.Join(dir, "nothing")}, Log: filepath.Join(dir, "log")},
		"no log directory": {Name: "it", Command: []string{"true"}, Log: filepath.Join(dir, "missing", "log")},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := process.Start(spec)
			if err == nil || !strings.HasPrefix(err.Error(), "start it: ") {
				t.Errorf("expected an error that names the process, found %v", err)
			}
		})
	}
}

func TestStop(t *testing.T) {
	for _, tc := range []struct {
		name, script string
		grace        time.Duration
		bye          bool
	}{
		{"by SIGTERM, in time", "trap 'echo bye; exit 0' TERM", 10 * time.Second, true},
		{"by SIGKILL, when SIGTERM is ignored", "trap '' TERM", 50 * time.Millisecond, false},
		{"by SIGKILL at once, without grace", "trap 'echo bye; exit 0' TERM", 0, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := shell(t, tc.script)
			if err := p.Stop(tc.grace); err != nil {
				t.Fatal(err)
			}
			if p.Running() {
				t.Error("expected it to have ended")
			}
			if got := p.LogTail(1000); strings.Contains(got, "bye") != tc.bye {
				t.Errorf("expected a goodbye: %v, found the log %q", tc.bye, got)
			}
		})
	}
}

func TestSignalReachesTheGroup(t *testing.T) {
	p := start(t, "sh", "-c", "sleep 600 & echo $!; wait")
	within(t, 10*time.Second, func() bool { return strings.Contains(p.LogTail(100), "\n") })
	var grandchild int
	if _, err := fmt.Sscan(p.LogTail(100), &grandchild); err != nil {
		t.Fatal(err)
	}
	if err := p.Stop(0); err != nil {
		t.Fatal(err)
	}
	within(t, 10*time.Second, func() bool { return gone(grandchild) })
}

func gone(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || strings.Contains(string(stat), ") Z ")
}

func TestFind(t *testing.T) {
	p := start(t, "sleep", "600")
	r := p.Record()
	if r.Name != "it" || r.PID != p.PID() || r.StartTime == 0 {
		t.Errorf("expected a complete record, found %+v", r)
	}
	again, ok := process.Find(r)
	if !ok || !again.Running() {
		t.Fatal("expected to find the running process")
	}
	other := r
	other.StartTime++
	if _, ok := process.Find(other); ok {
		t.Error("expected not to find a process of the same id and another start")
	}
	if _, ok := process.Find(process.Record{}); ok {
		t.Error("expected not to find the empty record: its signals would reach this program's own group")
	}
	if err := again.Stop(time.Second); err != nil {
		t.Fatal(err)
	}
	if _, ok := process.Find(r); ok {
		t.Error("expected not to find a process that has ended")
	}
	if again.Err() != nil {
		t.Errorf("expected no error of a process that was found, found %v", again.Err())
	}
}

func TestSelf(t *testing.T) {
	if p, ok := process.Find(process.Self()); !ok || p.PID() != os.Getpid() {
		t.Errorf("expected to find this program, found %v", p)
	}
}
