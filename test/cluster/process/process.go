// Package process starts the programs of a test bed so that none of them can be left behind.
//
// An attached process dies with the program that started it, however that program ends: return, panic,
// Ctrl-C or SIGKILL. A detached process lives on and is found again by its Record. Each process leads a
// process group of its own, so signals reach what it may have started, and a Ctrl-C in the terminal
// reaches only the program that owns it.
package process

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// pollInterval is how often a process that this program did not start is checked for its end.
const pollInterval = 20 * time.Millisecond

// Spec says what to start.
type Spec struct {
	// Name is how the process is called in errors and records.
	Name string
	// Command is the program's path, followed by its arguments.
	Command []string
	// Dir is the working directory.
	Dir string
	// Env is the whole environment, as "KEY=value". Nil takes this program's environment.
	Env []string
	// Log is the file that output and errors are appended to. Its directory must exist.
	Log string
	// Detached processes outlive this program.
	Detached bool
}

// Record identifies a process beyond the life of the program that started it.
type Record struct {
	// Name is Spec.Name.
	Name string `json:"name"`
	// PID is the process id, which is also its process group.
	PID int `json:"pid"`
	// StartTime is the kernel's start time in clock ticks since boot. It tells the process from a later
	// one with the same id. It is 0 where the kernel does not say.
	StartTime uint64 `json:"startTime"`
	// Log is the file with its output.
	Log string `json:"log"`
}

// Process is a running or ended process.
type Process struct {
	record Record
	done   chan struct{}
	err    error // set before done is closed
}

// Start starts the process. It fails when the log cannot be opened or the program cannot be executed.
func Start(spec Spec) (*Process, error) {
	if len(spec.Command) == 0 {
		return nil, fmt.Errorf("start %s: expected a command, found none", spec.Name)
	}
	log, err := os.OpenFile(filepath.Clean(spec.Log), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("start %s: open its log: %w", spec.Name, err)
	}
	defer log.Close() // the child has its own descriptor

	cmd := exec.Command(spec.Command[0], spec.Command[1:]...)
	cmd.Dir, cmd.Env = spec.Dir, spec.Env
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = attributes(spec.Detached)
	if err := spawn(cmd); err != nil {
		return nil, fmt.Errorf("start %s: %w", spec.Name, err)
	}
	started, _ := startTime(cmd.Process.Pid)
	p := &Process{
		record: Record{Name: spec.Name, PID: cmd.Process.Pid, StartTime: started, Log: spec.Log},
		done:   make(chan struct{}),
	}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

type spawnRequest struct {
	cmd  *exec.Cmd
	done chan error
}

// spawner starts every child from one thread that lives as long as this program. The kernel sends the
// parent-death signal when the starting *thread* ends, and Go ends threads as it likes: a child started
// from an ordinary goroutine could be killed in the middle of a test.
var spawner = sync.OnceValue(func() chan<- spawnRequest {
	requests := make(chan spawnRequest)
	go func() {
		runtime.LockOSThread()
		for r := range requests {
			r.done <- r.cmd.Start()
		}
	}()
	return requests
})

func spawn(cmd *exec.Cmd) error {
	r := spawnRequest{cmd: cmd, done: make(chan error, 1)}
	spawner() <- r
	return <-r.done
}

// Find returns the process of a record, or false when it has ended (also when another process has its id).
func Find(r Record) (*Process, bool) {
	if !alive(r.PID, r.StartTime) {
		return nil, false
	}
	p := &Process{record: r, done: make(chan struct{})}
	go func() {
		tick := time.NewTicker(pollInterval)
		defer tick.Stop()
		for alive(r.PID, r.StartTime) {
			<-tick.C
		}
		close(p.done)
	}()
	return p, true
}

// Self returns the record of this program.
func Self() Record {
	pid := os.Getpid()
	started, _ := startTime(pid) // cannot fail: this program runs
	return Record{Name: filepath.Base(os.Args[0]), PID: pid, StartTime: started}
}

// Record returns what Find needs.
func (p *Process) Record() Record { return p.record }

// PID returns the process id.
func (p *Process) PID() int { return p.record.PID }

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Running says whether the process has not ended.
func (p *Process) Running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// Err returns why the process ended: nil while it runs, after exit code 0, and for a process that was found.
func (p *Process) Err() error {
	if p.Running() {
		return nil
	}
	return p.err
}

// Signal sends a signal to the process group. It does nothing once the process has ended.
func (p *Process) Signal(sig syscall.Signal) error {
	if !p.Running() {
		return nil
	}
	if err := syscall.Kill(-p.record.PID, sig); err != nil && err != syscall.ESRCH {
		return fmt.Errorf("send %s to %s (pid %d): %w", sig, p.record.Name, p.record.PID, err)
	}
	return nil
}

// Stop sends SIGTERM, and SIGKILL after the grace period, and waits for the end. A grace of 0 or less
// kills at once. It fails when the process survives SIGKILL for five seconds.
func (p *Process) Stop(grace time.Duration) error {
	if grace > 0 {
		if err := p.Signal(syscall.SIGTERM); err != nil {
			return err
		}
		if p.wait(grace) {
			return nil
		}
	}
	if err := p.Signal(syscall.SIGKILL); err != nil {
		return err
	}
	if !p.wait(5 * time.Second) {
		return fmt.Errorf("stop %s: pid %d still runs 5s after SIGKILL; look at it with ps", p.record.Name, p.record.PID)
	}
	return nil
}

func (p *Process) wait(d time.Duration) bool {
	select {
	case <-p.done:
		return true
	case <-time.After(d):
		return false
	}
}

// LogTail returns the last n bytes of the log, from a line's start, or why it cannot be read.
func (p *Process) LogTail(n int64) string { return Tail(p.record.Log, n) }
