// Package local keeps one control plane running on this machine, between `make up` and `make down`.
package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/hipaatenant/hipaa-tenant-operator/test/cluster"
	"github.com/hipaatenant/hipaa-tenant-operator/test/cluster/process"
)

// stopGrace is how long a process beside the control plane may take to stop by itself.
const stopGrace = 10 * time.Second

// Environment is the local cluster with all that runs beside it. Everything it needs to know stands in its
// directory, so any later program can take it down.
type Environment struct {
	// Dir is the directory of its state, .local in the repository.
	Dir string
	// Log is told about progress, one line per step.
	Log io.Writer
}

// Kubeconfig returns the path of the administrator's kubeconfig.
func (e Environment) Kubeconfig() string { return filepath.Join(e.Dir, "kubeconfig") }

func (e Environment) clusterDir() string    { return filepath.Join(e.Dir, "cluster") }
func (e Environment) processesFile() string { return filepath.Join(e.Dir, "processes.json") }

// Up starts the environment unless it runs completely. What a crash or a reboot has left is taken down first.
func (e Environment) Up(ctx context.Context) error {
	if e.running() {
		fmt.Fprintf(e.Log, "already running; export KUBECONFIG=%s\n", e.Kubeconfig())
		return nil
	}
	if err := e.Down(); err != nil {
		return err
	}
	if err := e.start(ctx); err != nil {
		return errors.Join(err, e.stop()) // the logs stay until the next Up
	}
	fmt.Fprintf(e.Log, "ready; export KUBECONFIG=%s\n", e.Kubeconfig())
	return nil
}

func (e Environment) start(ctx context.Context) error {
	if err := os.MkdirAll(e.Dir, 0o700); err != nil {
		return err
	}
	c, err := cluster.Start(ctx, cluster.Options{
		Dir: e.clusterDir(), Detached: true, Log: e.Log,
		ControllerManager: true, Scheduler: true, Kwok: true,
	})
	if err != nil {
		return err
	}
	for _, n := range cluster.RegionNodes() {
		if err := c.AddNode(ctx, n); err != nil {
			return err
		}
		fmt.Fprintf(e.Log, "node %s in %s is ready\n", n.Name, n.Region)
	}
	return c.WriteKubeconfig(e.Kubeconfig(), c.Config())
}

// running says whether the cluster and every process beside it run.
func (e Environment) running() bool {
	c, err := cluster.Open(e.clusterDir())
	if err != nil || !c.Running() {
		return false
	}
	records, err := e.records()
	if err != nil {
		return false
	}
	stopped := func(r process.Record) bool { _, ok := process.Find(r); return !ok }
	return !slices.ContainsFunc(records, stopped)
}

// Down stops everything and removes the cluster's data. It does nothing when nothing is there. The logs of
// processes that StartDetached started stay.
func (e Environment) Down() error {
	if err := e.stop(); err != nil {
		return err
	}
	return errors.Join(os.RemoveAll(e.processesFile()), os.RemoveAll(e.Kubeconfig()), os.RemoveAll(e.clusterDir()))
}

func (e Environment) stop() error {
	records, err := e.records()
	if err != nil {
		return err
	}
	for _, r := range slices.Backward(records) {
		if p, ok := process.Find(r); ok {
			if err := p.Stop(stopGrace); err != nil {
				return err
			}
			fmt.Fprintf(e.Log, "%s stopped\n", r.Name)
		}
	}
	c, err := cluster.Open(e.clusterDir())
	switch {
	case err == nil:
		if err := c.Stop(); err != nil {
			return err
		}
		fmt.Fprintln(e.Log, "control plane stopped")
	case !errors.Is(err, cluster.ErrNoCluster):
		return err
	}
	return nil
}

// StartDetached starts a process that lives until Down, with its output in a file of the environment's
// directory. Processes are stopped before the control plane, the last one first.
func (e Environment) StartDetached(name string, command []string, logFile string) (*process.Process, error) {
	records, err := e.records()
	if err != nil {
		return nil, err
	}
	p, err := process.Start(process.Spec{
		Name: name, Command: command, Dir: e.Dir, Log: filepath.Join(e.Dir, logFile), Detached: true,
	})
	if err != nil {
		return nil, err
	}
	text, err := json.MarshalIndent(append(records, p.Record()), "", "  ")
	if err == nil {
		err = os.WriteFile(e.processesFile(), text, 0o600)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("record %s: %w", name, err), p.Stop(0))
	}
	return p, nil
}

func (e Environment) records() ([]process.Record, error) {
	text, err := os.ReadFile(e.processesFile())
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var records []process.Record
	if err := json.Unmarshal(text, &records); err != nil {
		return nil, fmt.Errorf("read %s: %w; stop what it lists by hand, and remove it", e.processesFile(), err)
	}
	return records, nil
}
