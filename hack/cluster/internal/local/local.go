// Package local keeps one control plane with the operator running on this machine, between `make up` and `make down`.
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

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/hipaatenant/hipaa-tenant-operator/test/cluster"
	"github.com/hipaatenant/hipaa-tenant-operator/test/cluster/process"
	"github.com/hipaatenant/hipaa-tenant-operator/test/operator"
)

// stopGrace is how long a process beside the control plane may take to stop by itself.
const stopGrace = 10 * time.Second

// Environment is the local cluster with all that runs beside it. Everything it needs to know stands in its
// directory, so any later program can take it down.
type Environment struct {
	// Dir is the directory of its state, .local in the repository.
	Dir string
	// Operator is the path of the operator's program. Only Up needs it.
	Operator string
	// Log is told about progress, one line per step.
	Log io.Writer
}

// Kubeconfig returns the path of the administrator's kubeconfig.
func (e Environment) Kubeconfig() string { return filepath.Join(e.Dir, "kubeconfig") }

func (e Environment) clusterDir() string    { return filepath.Join(e.Dir, "cluster") }
func (e Environment) processesFile() string { return filepath.Join(e.Dir, "processes.json") }

// Up starts what does not run. A cluster that runs completely keeps its data, and gets its operator back if that has
// ended. One of which a part has ended, by a crash or a reboot, is taken down and started anew. When a new cluster cannot
// be completed, everything is stopped again, and the logs stay until the next Up.
func (e Environment) Up(ctx context.Context) error {
	c, err := cluster.Open(e.clusterDir())
	if err == nil && c.Running() {
		fmt.Fprintln(e.Log, "the control plane is already running")
		return e.complete(ctx, c)
	}
	if err := e.Down(); err != nil {
		return err
	}
	if err := os.MkdirAll(e.Dir, 0o700); err != nil {
		return err
	}
	c, err = cluster.Start(ctx, cluster.Options{
		Dir: e.clusterDir(), Detached: true, Log: e.Log,
		ControllerManager: true, Scheduler: true, Kwok: true,
	})
	if err != nil {
		return err
	}
	if err := e.complete(ctx, c); err != nil {
		return errors.Join(err, e.stop())
	}
	return nil
}

// complete adds to the control plane what it lacks, and says how to go on.
func (e Environment) complete(ctx context.Context, c *cluster.Cluster) error {
	for _, n := range cluster.RegionNodes() {
		switch err := c.AddNode(ctx, n); {
		case err == nil:
			fmt.Fprintf(e.Log, "node %s in %s is ready\n", n.Name, n.Region)
		case !apierrors.IsAlreadyExists(err):
			return err
		}
	}
	if err := c.WriteKubeconfig(e.Kubeconfig(), c.Config()); err != nil {
		return err
	}
	if err := e.ensureOperator(ctx, c); err != nil {
		return err
	}
	fmt.Fprintf(e.Log, "ready; now type\n  export KUBECONFIG=%s PATH=%s:$PATH\n  kubectl apply -f config/samples\n",
		e.Kubeconfig(), filepath.Dir(c.Kubectl()))
	return nil
}

// ensureOperator installs and starts the operator, unless it runs.
func (e Environment) ensureOperator(ctx context.Context, c *cluster.Cluster) error {
	records, err := e.records()
	if err != nil {
		return err
	}
	if slices.ContainsFunc(records, func(r process.Record) bool { return r.Name == operator.Name && running(r) }) {
		fmt.Fprintln(e.Log, "the operator is already running")
		return nil
	}
	if err := operator.Install(ctx, c); err != nil {
		return fmt.Errorf("install the operator: %w", err)
	}
	op, err := operator.Start(ctx, c, operator.Options{Binary: e.Operator, Dir: e.Dir, Launch: e.Start})
	if err != nil {
		return err
	}
	fmt.Fprintf(e.Log, "the operator is ready; its log is %s\n", op.Log)
	return nil
}

func running(r process.Record) bool {
	_, ok := process.Find(r)
	return ok
}

// Down stops everything and removes the cluster's data, and with it every credential. It does nothing when nothing is
// there. The logs of processes beside the control plane stay.
func (e Environment) Down() error {
	if err := e.stop(); err != nil {
		return err
	}
	kubeconfigs, err := filepath.Glob(filepath.Join(e.Dir, "*kubeconfig"))
	for _, path := range append(kubeconfigs, e.processesFile(), e.clusterDir()) {
		err = errors.Join(err, os.RemoveAll(path))
	}
	return err
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

// Start starts a process that lives until Down. Processes are stopped before the control plane, the last one first.
func (e Environment) Start(spec process.Spec) (*process.Process, error) {
	records, err := e.records()
	if err != nil {
		return nil, err
	}
	spec.Detached = true
	p, err := process.Start(spec)
	if err != nil {
		return nil, err
	}
	records = slices.DeleteFunc(records, func(r process.Record) bool { return !running(r) })
	text, err := json.MarshalIndent(append(records, p.Record()), "", "  ")
	if err == nil {
		err = os.WriteFile(e.processesFile(), text, 0o600)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("record %s: %w", spec.Name, err), p.Stop(0))
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
