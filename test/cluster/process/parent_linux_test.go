package process_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hipaatenant/hipaa-tenant-operator/test/cluster/process"
)

// A child must live on when the thread that asked for it ends: the parent-death signal follows the thread
// that started it.
func TestChildOutlivesTheThreadThatAskedForIt(t *testing.T) {
	thread, p := startOnEndingThread(t)
	t.Cleanup(func() {
		if err := p.Stop(0); err != nil {
			t.Error(err)
		}
	})
	within(t, 10*time.Second, func() bool {
		_, err := os.Stat(fmt.Sprintf("/proc/self/task/%d", thread))
		return os.IsNotExist(err)
	})
	if gone(p.PID()) {
		t.Error("expected the child to live on, found it gone")
	}
}

// startOnEndingThread starts a process from a goroutine whose thread ends with it, and returns both. The
// program's main thread never ends, so two goroutines hold a thread each, and the one on another thread starts.
func startOnEndingThread(t *testing.T) (int, *process.Process) {
	t.Helper()
	type result struct {
		thread  int
		process *process.Process
		err     error
	}
	spec := process.Spec{Name: "it", Command: []string{"sleep", "600"}, Log: filepath.Join(t.TempDir(), "log")}
	results := make(chan result, 1)
	var locked sync.WaitGroup
	var once sync.Once
	locked.Add(2)
	for range 2 {
		go func() {
			runtime.LockOSThread() // without an unlock, the thread ends with the goroutine
			locked.Done()
			locked.Wait()
			if syscall.Gettid() != os.Getpid() {
				once.Do(func() {
					p, err := process.Start(spec)
					results <- result{syscall.Gettid(), p, err}
				})
			}
		}()
	}
	r := <-results
	if r.err != nil {
		t.Fatal(r.err)
	}
	return r.thread, r.process
}

// startParent starts this test program as the parent of one process, and returns both.
func startParent(t *testing.T, kind, end string) (*exec.Cmd, process.Record) {
	t.Helper()
	parent := exec.CommandContext(t.Context(), os.Args[0])
	parent.Env = append(os.Environ(), childVariable+"="+kind, endVariable+"="+end, dirVariable+"="+t.TempDir())
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err != nil {
		t.Fatalf("the parent has not started its process: %v (%v)", err, parent.Wait())
	}
	var r process.Record
	if err := json.Unmarshal(line, &r); err != nil {
		t.Fatal(err)
	}
	return parent, r
}

func TestAttachedProcessDiesWithItsParent(t *testing.T) {
	for _, tc := range []struct {
		end    string
		signal syscall.Signal
	}{{"return", 0}, {"panic", 0}, {"interrupt", syscall.SIGINT}, {"terminate", syscall.SIGTERM}, {"kill", syscall.SIGKILL}} {
		t.Run(tc.end, func(t *testing.T) {
			parent, r := startParent(t, "attached", tc.end)
			if tc.signal != 0 {
				if err := parent.Process.Signal(tc.signal); err != nil {
					t.Fatal(err)
				}
			}
			if err := parent.Wait(); (err == nil) != (tc.end == "return") {
				t.Errorf("the parent has not ended by %s: %v", tc.end, err)
			}
			within(t, 10*time.Second, func() bool { _, ok := process.Find(r); return !ok })
		})
	}
}

func TestDetachedProcessOutlivesItsParent(t *testing.T) {
	parent, r := startParent(t, "detached", "kill")
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := parent.Wait(); err == nil {
		t.Fatal("expected the parent to be killed")
	}
	p, ok := process.Find(r)
	if !ok {
		t.Fatal("expected the detached process to live on")
	}
	if err := p.Stop(time.Second); err != nil {
		t.Error(err)
	}
	if !gone(r.PID) {
		t.Error("expected Stop to end it")
	}
}
