package build

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/hipaatenant/hipaa-tenant-operator/test/cluster"
	"github.com/hipaatenant/hipaa-tenant-operator/test/cluster/process"
)

// Builder builds programs one after the other: each alone uses all cores.
type Builder struct {
	// Root is the repository's root.
	Root string
	// Out is where the programs go.
	Out string
	// Log is told which program is being built, and for how long.
	Log io.Writer
	// Interval is the time between two lines about a program that takes long.
	Interval time.Duration
}

// job is a program that has to be built.
type job struct {
	Program
	version, stamp string
}

// Build builds what is missing or was built from other sources. What is complete stays usable when a later
// program fails.
func (b Builder) Build(ctx context.Context, programs []Program) error {
	jobs, err := b.outdated(ctx, programs)
	if err != nil || len(jobs) == 0 {
		return err
	}
	for _, dir := range []string{b.stampDir(), b.workDir()} {
		if err := os.MkdirAll(dir, 0o750); err != nil {
			return err
		}
	}
	fmt.Fprintf(b.Log, "building %d of %d programs from source into %s; with nothing cached, the whole set takes about 20 minutes on two cores\n",
		len(jobs), len(programs), b.Out)
	began := time.Now()
	for i, j := range jobs {
		if err := b.buildOne(ctx, j, fmt.Sprintf("[%d/%d] %s", i+1, len(jobs), j.Name)); err != nil {
			return err
		}
	}
	fmt.Fprintf(b.Log, "built %d of %d programs in %s\n", len(jobs), len(programs), round(time.Since(began)))
	return os.RemoveAll(b.workDir())
}

func (b Builder) stampDir() string { return filepath.Join(b.Out, ".stamps") }
func (b Builder) workDir() string  { return filepath.Join(b.Out, ".building") }

func (b Builder) outdated(ctx context.Context, programs []Program) ([]job, error) {
	var jobs []job
	versions := map[string]string{} // by nested module and source
	for _, p := range programs {
		key := p.Module + " " + p.Source
		if versions[key] == "" {
			version, err := p.version(ctx, b.Root)
			if err != nil {
				return nil, err
			}
			versions[key] = version
		}
		stamp, err := p.stamp(b.Root, versions[key])
		if err != nil {
			return nil, err
		}
		if !b.current(p, stamp) {
			jobs = append(jobs, job{p, versions[key], stamp})
		}
	}
	return jobs, nil
}

// current says whether the program is there and was built from just these sources.
func (b Builder) current(p Program, stamp string) bool {
	have, err := os.ReadFile(filepath.Join(b.stampDir(), p.Name))
	if err != nil || string(have) != stamp {
		return false
	}
	info, err := os.Stat(filepath.Join(b.Out, p.Name))
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

// buildOne builds aside and moves the result into place, so that an interrupted build leaves no half a
// program under its name.
func (b Builder) buildOne(ctx context.Context, j job, title string) error {
	began := time.Now()
	fmt.Fprintf(b.Log, "%s %s: building\n", title, j.version)
	stop := b.tick(title, began)
	defer stop()

	flags, err := j.linkFlags(j.version)
	if err != nil {
		return err
	}
	result := filepath.Join(b.workDir(), j.Name)
	log := result + ".log"
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", flags, "-o", result, j.Package)
	cmd.Dir = filepath.Join(b.Root, j.Module)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	if err := runLogged(cmd, log); err != nil {
		return fmt.Errorf("build %s: %w; the end of %s:\n%s", j.Name, err, log, process.Tail(log, 3000))
	}
	if err := os.Rename(result, filepath.Join(b.Out, j.Name)); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(b.stampDir(), j.Name), []byte(j.stamp), 0o644); err != nil {
		return err
	}
	stop()
	fmt.Fprintf(b.Log, "%s: done after %s\n", title, round(time.Since(began)))
	return nil
}

// tick prints the elapsed time at every interval, until the returned function is called and has returned.
func (b Builder) tick(title string, began time.Time) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		ticker := time.NewTicker(b.Interval)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				fmt.Fprintf(b.Log, "%s: %s\n", title, round(time.Since(began)))
			}
		}
	}()
	return func() {
		cancel()
		<-ended
	}
}

// runLogged runs a command that its context may cancel, with its output in a file.
func runLogged(cmd *exec.Cmd, log string) error {
	out, err := os.Create(filepath.Clean(log))
	if err != nil {
		return err
	}
	cmd.Stdout, cmd.Stderr = out, out
	// On an interrupt, go stops its compilers and removes its work.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 5 * time.Second
	return errors.Join(cmd.Run(), out.Close())
}

func round(d time.Duration) time.Duration { return d.Round(100 * time.Millisecond) }

// Check fails when a directory that the user has named lacks one of the programs.
func Check(dir string, programs []Program) error {
	var missing []string
	for _, p := range programs {
		info, err := os.Stat(filepath.Join(dir, p.Name))
		if err != nil || !info.Mode().IsRegular() || info.Mode()&0o111 == 0 {
			missing = append(missing, p.Name)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("expected the programs of the control plane in %s=%s, found no executable %s; add them, or unset the variable to have them built",
			cluster.AssetsVariable, dir, strings.Join(missing, ", "))
	}
	return nil
}
